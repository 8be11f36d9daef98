/**
 * The other operations on upload sessions. No Linux cluster has them (protocol.md 4).
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { decodeParams, makeOperation, readJson, readNothing } from "./client/makeOperation.ts"
import type { Follower, Operation, Request } from "./client/Operation.ts"
import { optionalTimeout, type WithTimeout } from "./client/ServerTimeout.ts"
import { FabricClient } from "./FabricClient.ts"
import type { FabricError } from "./FabricError.ts"
import { escapePath, ImageStorePath } from "./ImageStorePath.ts"
import type { Answer } from "./transport/Exchange.ts"
import { latestArrival } from "./upload/lateArrival.ts"
import { arrived, sizeOf } from "./upload/ranges.ts"
import { type ByteRange, SessionId, type UploadSession, UploadSessions } from "./UploadSession.ts"

const readJsonOfSessions = readJson(UploadSessions)

const readSessions = (answer: Answer) =>
  answer.status === 204
    ? Either.right<ReadonlyArray<UploadSession>>([])
    : Either.map(readJsonOfSessions(answer), ({ sessions }) => sessions)

/** What {@link getUploadSession} takes. */
export const GetUploadSessionParams: Schema.Struct<{
  sessionId: Schema.Schema<SessionId, string>
  timeout: typeof optionalTimeout
}> = Schema.Struct({ sessionId: SessionId, timeout: optionalTimeout })

const byId: Operation<Option.Option<UploadSession>> = {
  name: "GetImageStoreUploadSessionById",
  action: "read upload session",
  method: "GET",
  apiVersion: "6.0",
  usesSessions: true,
  read: (answer) => Either.map(readSessions(answer), (sessions) => Option.fromNullable(sessions[0])),
}

const byIdRequest = ({ sessionId }: { readonly sessionId: SessionId }) => ({
  path: "/ImageStore/$/GetUploadSession",
  query: { "session-id": sessionId },
  subject: sessionId,
  sessionId,
})

/**
 * Reads an upload session: none if the cluster does not know it. A session that was committed is still known,
 * with nothing expected, until it is deleted or expires.
 *
 * REST: `GetImageStoreUploadSessionById`, api-version 6.0 (protocol.md 4.4).
 */
export const getUploadSession: (
  params: { readonly sessionId: string } & WithTimeout,
) => Effect.Effect<Option.Option<UploadSession>, FabricError, FabricClient> = makeOperation({
  ...byId,
  params: GetUploadSessionParams,
  request: byIdRequest,
})

/** What {@link getUploadSessions} takes. */
export const GetUploadSessionsParams: Schema.Struct<{
  path: Schema.Schema<ImageStorePath, string>
  timeout: typeof optionalTimeout
}> = Schema.Struct({ path: ImageStorePath, timeout: optionalTimeout })

const byPath = {
  name: "GetImageStoreUploadSessionByPath",
  action: "list the upload sessions",
  method: "GET",
  apiVersion: "6.0",
  usesSessions: true,
} as const

const byPathRequest = ({ path }: { readonly path: ImageStorePath }) => ({
  path: `/ImageStore/${escapePath(path)}/$/GetUploadSession`,
  subject: `of ${path}`,
})

/**
 * Reads all upload sessions for a file. They are found by the path as their first chunk spelled it, letter by
 * letter; none is no error.
 *
 * REST: `GetImageStoreUploadSessionByPath`, api-version 6.0 (protocol.md 4.4).
 */
export const getUploadSessions: (
  params: { readonly path: string } & WithTimeout,
) => Effect.Effect<ReadonlyArray<UploadSession>, FabricError, FabricClient> = makeOperation({
  ...byPath,
  params: GetUploadSessionsParams,
  request: byPathRequest,
  read: readSessions,
})

/** The sessions for a file, and the server's own clock: `undefined` where it did not say. */
export const getSessionsAndTime: (
  params: { readonly path: string },
) => Effect.Effect<
  { readonly sessions: ReadonlyArray<UploadSession>; readonly now: Date | undefined },
  FabricError,
  FabricClient
> = makeOperation({
  ...byPath,
  params: GetUploadSessionsParams,
  request: byPathRequest,
  read: (answer) =>
    Either.map(readSessions(answer), (sessions) => {
      const now = new Date(String(answer.headers.date))
      return { sessions, now: Number.isNaN(now.getTime()) ? undefined : now }
    }),
})

/** What {@link commitUploadSession} takes. */
export const CommitUploadSessionParams: Schema.Struct<{
  sessionId: Schema.Schema<SessionId, string>
  timeout: typeof optionalTimeout
}> = Schema.Struct({ sessionId: SessionId, timeout: optionalTimeout })

/**
 * Makes the file of a session that expects nothing more. The session and its chunks stay on the cluster until
 * they are deleted: call {@link deleteUploadSession} afterwards. The time it takes grows with the file.
 *
 * A commit under way is not cut off by interruption. When its answer is lost, it is asked for again only while
 * the session is still known and complete; otherwise the attempt's own error is the result, and what has
 * happened is open. A success on a repeat is no proof that the file is new: compare its version
 * (protocol.md 4.5).
 *
 * An unknown session and a missing range are both a `Rejected` with status 400 and code `E_INVALIDARG`.
 *
 * REST: `CommitImageStoreUploadSession`, api-version 6.0 (protocol.md 4.5).
 */
export const commitUploadSession: (
  params: { readonly sessionId: string } & WithTimeout,
) => Effect.Effect<void, FabricError, FabricClient> = makeOperation({
  name: "CommitImageStoreUploadSession",
  action: "commit upload session",
  method: "POST",
  apiVersion: "6.0",
  usesSessions: true,
  uninterruptible: true,
  params: CommitUploadSessionParams,
  request: ({ sessionId }) => ({
    path: "/ImageStore/$/CommitUploadSession",
    query: { "session-id": sessionId },
    subject: sessionId,
    sessionId,
    lookAgain: (run) =>
      Effect.map(
        run(byId, byIdRequest({ sessionId }), undefined),
        (session) => Option.exists(session, ({ expected }) => expected.length === 0) ? "repeat" : "unsettled",
      ),
  }),
  read: readNothing,
})

/** What {@link putChunk} takes. `size` is that of the whole file, in bytes. */
export const PutChunkParams: Schema.Struct<{
  path: Schema.Schema<ImageStorePath, string>
  sessionId: Schema.Schema<SessionId, string>
  range: Schema.Struct<{ first: typeof Schema.NonNegativeInt; last: typeof Schema.NonNegativeInt }>
  size: typeof Schema.NonNegativeInt
  bytes: typeof Schema.Uint8ArrayFromSelf
  timeout: typeof optionalTimeout
}> = Schema.Struct({
  path: ImageStorePath,
  sessionId: SessionId,
  range: Schema.Struct({ first: Schema.NonNegativeInt, last: Schema.NonNegativeInt }),
  size: Schema.NonNegativeInt,
  bytes: Schema.Uint8ArrayFromSelf.annotations({
    message: () => ({ message: "expected a Uint8Array", override: true }),
  }),
  timeout: optionalTimeout,
})

const FittingChunk = PutChunkParams.pipe(
  Schema.filter(({ bytes, range, range: { first, last }, size }) =>
    last < first
      ? { path: ["range"], message: `the last byte (${last}) comes before the first (${first})` }
      : last >= size
      ? {
        path: ["range"],
        message: `the last byte (${last}) is not in a file of ${size} bytes; an empty file needs no session`,
      }
      : bytes.length !== sizeOf(range)
      ? { path: ["bytes"], message: `${bytes.length} bytes were given for a range of ${sizeOf(range)}` }
      : undefined
  ),
)

interface Chunk {
  readonly path: string
  readonly sessionId: string
  readonly range: ByteRange
  readonly size: number
  readonly bytes: Uint8Array
}

const UPLOAD_CHUNK: Operation<void> = {
  name: "UploadFileChunk",
  action: "upload a chunk",
  method: "PUT",
  apiVersion: "6.0",
  usesSessions: true,
  uninterruptible: true,
  read: readNothing,
}

const chunkRequest = ({ bytes, path, range, sessionId, size }: typeof PutChunkParams.Type): Request => ({
  path: `/ImageStore/${escapePath(path)}/$/UploadChunk`,
  query: { "session-id": sessionId },
  headers: {
    "Content-Range": `bytes ${range.first}-${range.last}/${size}`,
    "Content-Type": "application/octet-stream",
  },
  body: bytes,
  subject: `of ${path}`,
  sessionId,
  lookAgain: (run, timeout) => {
    const look = Effect.map(
      run(byId, byIdRequest({ sessionId }), undefined),
      (session) => Option.exists(session, ({ expected }) => arrived(range, expected)) ? "done" : "repeat",
    )
    return Effect.flatMap(
      look,
      (seen) =>
        // As long as one that went out at this moment may take to arrive.
        seen === "done" ? Effect.succeed(seen) : Effect.delay(look, latestArrival(timeout, 0)),
    )
  },
})

/**
 * Sends one range of a file. The first chunk opens the session, and fixes path and size.
 *
 * Never have two requests under way for overlapping ranges. A chunk under way is not cut off by interruption.
 * When its answer is lost, the session is read: if the range arrived, that is a success; if not, it is sent
 * again once the first try can no longer arrive, which is `timeout` and 5 seconds later. A range that is not
 * expected is refused by the cluster, and leaks its bytes there: read the session first (protocol.md 4.3).
 *
 * REST: `UploadFileChunk`, api-version 6.0 (protocol.md 4.2).
 */
export const putChunk: (
  params: Chunk & WithTimeout,
) => Effect.Effect<void, FabricError, FabricClient> = makeOperation({
  ...UPLOAD_CHUNK,
  params: FittingChunk,
  request: chunkRequest,
})

const decodeChunk = decodeParams({ ...UPLOAD_CHUNK, params: FittingChunk })

/** One attempt of {@link putChunk}. */
export const putChunkOnce = (
  params: Chunk & WithTimeout,
  follower: Follower,
): Effect.Effect<void, FabricError, FabricClient> =>
  Effect.gen(function* () {
    const chunk = yield* decodeChunk(params)
    const { once } = yield* FabricClient
    return yield* once.run(UPLOAD_CHUNK, { ...chunkRequest(chunk), follower }, chunk.timeout)
  })
