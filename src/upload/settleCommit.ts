/**
 * A commit, asked for until it is known what became of it.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import { listContent } from "../ImageStore.ts"
import type { File } from "../ImageStoreContent.ts"
import { caseless } from "../ImageStorePath.ts"
import type { JournalError } from "../journal/Journal.ts"
import type { SessionId } from "../UploadSession.ts"
import { commitUploadSession, getUploadSession } from "../uploadSessions.ts"
import { type Patience, sentOnce } from "./Patience.ts"
import { commitTimeout } from "./uploadTimeouts.ts"

/** All is there, and yet the cluster makes no file of it. `refusal`: what it said, if it did not call that a success. */
export interface Poisoned {
  readonly _tag: "Poisoned"
  readonly refusal: FabricError | undefined
}

/** What became of a commit. `refill`: the cluster misses chunks. */
export type CommitOutcome = "committed" | "refill" | Poisoned

/** The file at `path` as its folder lists it; a path itself may be listed while it is written (protocol.md 3.1). */
export const findFile = (path: string): Effect.Effect<Option.Option<File>, FabricError, FabricClient> => {
  const slash = path.lastIndexOf("/")
  const wanted = caseless(path)
  return listContent(slash < 0 ? {} : { path: path.slice(0, slash) }).pipe(
    Stream.filter((entry): entry is File => entry._tag === "File" && caseless(entry.path) === wanted),
    Stream.runHead,
    Effect.catchIf((error) => error.isNotFound, () => Effect.succeedNone),
  )
}

/** Whether a commit has worked: the folder shows the right size under another version than `before` (protocol.md 4.5). */
export const wasCommitted = (
  file: { readonly path: string; readonly size: number; readonly before?: string | undefined },
): Effect.Effect<boolean, FabricError, FabricClient> =>
  Effect.map(
    findFile(file.path),
    Option.exists(({ size, version }) => size === file.size && version !== file.before),
  )

/**
 * Commits, and settles what a lost or doubtful answer leaves open. `before` is the file's version before the first
 * commit of this session; `asked`: an earlier process may have asked already.
 *
 * A success is believed at once only on the first request: to any later one it proves nothing (protocol.md 4.5), so
 * then the folder has to show the right size under another version. Fails with the last error when it cannot be
 * settled.
 */
export const settleCommit = (
  options: {
    readonly sessionId: SessionId
    readonly path: string
    readonly size: number
    readonly before: string | undefined
    readonly asked: boolean
    readonly patience: Patience
    /** Run before each request but the first. */
    readonly repeats: Effect.Effect<void, JournalError>
    /** A request got no answer that settles anything: the commit may be running. */
    readonly unanswered: () => void
  },
): Effect.Effect<CommitOutcome, FabricError | JournalError, FabricClient> => {
  const { patience, sessionId, size } = options
  const isThere = patience.persist(wasCommitted(options))
  const commit = Effect.either(
    sentOnce(commitUploadSession({ sessionId, timeout: commitTimeout(size) })),
  )

  const attempt = (repeat: number): Effect.Effect<CommitOutcome, FabricError | JournalError, FabricClient> =>
    Effect.flatMap(commit, (result) => {
      const first = repeat === 0 && !options.asked
      if (Either.isRight(result)) {
        return first
          ? Effect.succeed("committed" as const)
          : Effect.map(isThere, (there) => there ? "committed" : poisoned(undefined))
      }
      const error = result.left
      if (error.isRetryable) {
        options.unanswered()
        return patience.wait(repeat, error).pipe(
          Effect.zipRight(options.repeats),
          Effect.zipRight(Effect.suspend(() => attempt(repeat + 1))),
        )
      }
      if (!isRefusal(error)) return error
      return first
        ? look(error)
        : Effect.flatMap(isThere, (there) => there ? Effect.succeed("committed" as const) : look(error))
    })

  /** A refused commit: which of its reasons was it? */
  const look = (refusal: FabricError) =>
    Effect.map(
      patience.persist(getUploadSession({ sessionId })),
      (session): CommitOutcome =>
        Option.exists(session, ({ expected }) => expected.length === 0) ? poisoned(refusal) : "refill",
    )

  return Effect.uninterruptible(attempt(0))
}

const poisoned = (refusal: FabricError | undefined): Poisoned => ({ _tag: "Poisoned", refusal })

/** Unknown session, missing ranges, a wrong total, a lost chunk: the session tells which. A proxy has no code. */
const isRefusal = ({ reason }: FabricError): boolean =>
  reason._tag === "Rejected" && reason.code !== undefined && (reason.status === 400 || reason.status === 404)
