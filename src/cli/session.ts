/**
 * `image-store session …`
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import { deleteUploadSession } from "../deleteUploadSession.ts"
import { FabricClient } from "../FabricClient.ts"
import { FabricError } from "../FabricError.ts"
import { bytesIn, sizeOf } from "../upload/ranges.ts"
import type { UploadSession } from "../UploadSession.ts"
import { commitUploadSession, getUploadSession, getUploadSessions } from "../uploadSessions.ts"
import { CliError } from "./CliError.ts"
import { count, moment, percent, size } from "./format.ts"
import { Output } from "./Output.ts"
import { at } from "./shell.ts"
import { fields, table } from "./table.ts"

/** Ranges that are printed before the rest is only counted. */
const MOST_RANGES = 20

/** `session delete` */
export const remove = (
  params: { readonly "session-id": string; readonly "if-exists": boolean },
): Effect.Effect<void, FabricError, FabricClient | Output> =>
  Effect.gen(function* () {
    const { result } = yield* Output
    const sessionId = params["session-id"]
    const deleted = yield* deleteUploadSession({ sessionId }).pipe(
      Effect.as(true),
      Effect.catchIf((error) => params["if-exists"] && error.isNotFound, () => Effect.succeed(false)),
    )
    yield* result(
      deleted ? `Deleted upload session ${sessionId}.` : `There is no upload session ${sessionId}.`,
      { sessionId, deleted },
    )
  })

/** `session commit` */
export const commit = (
  params: { readonly "session-id": string },
): Effect.Effect<void, FabricError, FabricClient | Output> =>
  Effect.gen(function* () {
    const { note, result } = yield* Output
    const sessionId = params["session-id"]
    yield* Effect.catchAll(
      commitUploadSession({ sessionId }),
      (error) => Effect.flatMap(explained(error, sessionId), Effect.fail),
    )
    yield* result(`Committed upload session ${sessionId}.`, { sessionId, committed: true })
    const { origins } = yield* FabricClient
    const next = `image-store session delete ${sessionId} ${at(origins)}`
    yield* note(`Its chunks still take space on the cluster. To free it: ${next}`, { next })
  })

/** The cluster refuses an unknown session and one with gaps by the same words (protocol.md 4.5): a look tells which. */
const explained = (
  error: FabricError,
  sessionId: string,
): Effect.Effect<FabricError, never, FabricClient> => {
  const { reason } = error
  if (reason._tag !== "Rejected" || reason.code !== "E_INVALIDARG") return Effect.succeed(error)
  return Effect.flatMap(FabricClient, ({ origins }) =>
    Effect.match(getUploadSession({ sessionId }), {
      onFailure: () => error,
      onSuccess: (session) =>
        new FabricError({
          ...error,
          reason: { ...reason, detail: whyNot(session, `${sessionId} ${at(origins)}`) },
        }),
    }))
}

/** `words`: what a command has to be told to show the session. */
const whyNot = (session: Option.Option<UploadSession>, words: string): string =>
  Option.match(session, {
    onNone: () => `it does not know this session: ${GONE}`,
    onSome: ({ expected }) =>
      expected.length > 0
        ? `the session still misses ${count(expected.length, "range")}; see image-store session show ${words}`
        : "the session misses nothing, so its chunks do not make up the file's size; delete it and upload again",
  })

/** How a session comes to be unknown. */
const GONE =
  "it was deleted, or it has expired 30 minutes after its last chunk, or the cluster's primary moved, " +
  "which loses all sessions"

/** `session show` */
export const show = (
  params: { readonly "session-id": string },
): Effect.Effect<void, FabricError | CliError, FabricClient | Output> =>
  Effect.gen(function* () {
    const { result } = yield* Output
    const sessionId = params["session-id"]
    const session = yield* getUploadSession({ sessionId })
    if (Option.isNone(session)) {
      const endpoint = (yield* FabricClient).endpoint()
      return yield* CliError.failed(`There is no upload session ${sessionId} at ${endpoint}: ${GONE}`, {
        operation: "GetImageStoreUploadSessionById",
        endpoint,
        attempts: 1,
        reason: { _tag: "Rejected", status: 204, code: "NotFound", detail: GONE },
      })
    }
    yield* result(describe(session.value), session.value)
  })

/** `session list` */
export const list = (
  { path }: { readonly path: string },
): Effect.Effect<void, FabricError, FabricClient | Output> =>
  Effect.gen(function* () {
    const { json, note, result } = yield* Output
    const sessions = yield* getUploadSessions({ path })
    if (sessions.length === 0 && !json) return yield* note(`There is no upload session for ${path}.`, {})
    yield* result(
      table(
        [["SESSION", "left"], ["SIZE", "right"], ["RECEIVED", "right"], ["LAST CHUNK", "left"]],
        sessions.map((session) => [
          session.sessionId,
          size(session.size),
          percent(received(session), session.size),
          moment(session.modified),
        ]),
      ),
      sessions,
    )
  })

const received = ({ expected, size }: UploadSession): number => size - bytesIn(expected)

/** A session as people read it. */
export const describe = (session: UploadSession): string => {
  const { expected, modified, path, sessionId } = session
  const rows = expected.slice(0, MOST_RANGES).map((range) =>
    `  bytes ${range.first}-${range.last} (${size(sizeOf(range))})`
  )
  const more = expected.length - rows.length
  return [
    fields([
      ["Session", sessionId],
      ["Path", path],
      ["Size", session.size < 1024 ? size(session.size) : `${size(session.size)} (${session.size} bytes)`],
      ["Received", `${size(received(session))}, ${percent(received(session), session.size)}`],
      ["Last chunk", moment(modified)],
      [
        "Missing",
        expected.length === 0
          ? "nothing: ready to commit, or committed already"
          : count(expected.length, "range"),
      ],
    ]),
    ...rows,
    ...(more > 0 ? [`  and ${more} more`] : []),
  ].join("\n")
}
