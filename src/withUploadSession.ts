/**
 * The transaction: commits inside, deletes at the end, whatever happened.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decodeParams } from "./client/makeOperation.ts"
import type { FabricClient } from "./FabricClient.ts"
import type { FabricError } from "./FabricError.ts"
import { ImageStorePath } from "./ImageStorePath.ts"
import type { JournalError } from "./journal/Journal.ts"
import { guarded } from "./upload/guarded.ts"
import type { SessionHooks } from "./upload/OpenSession.ts"
import { restartOnce, transact } from "./upload/transaction.ts"
import type { UploadJournal } from "./UploadJournal.ts"
import type { ByteRange, SessionId } from "./UploadSession.ts"

/** What `use` gets to bring a file's bytes to the cluster. */
export interface SessionWork {
  /** The session's own. Chunks may go by `putChunk` too, but all of them have to be over when `use` is. */
  readonly sessionId: SessionId
  /** What the cluster still expects, ascending. */
  readonly missing: ReadonlyArray<ByteRange>
  /**
   * Brings one range, and is done when the cluster has it. Ranges must not overlap, and their borders must stay the
   * same in all rounds. Lost answers are understood, nothing is sent twice without need, also when the caller gives up
   * and tries again. Sends nothing once `use` is over. `hash` is recorded for a resume.
   */
  readonly put: (
    range: ByteRange,
    bytes: Uint8Array,
    hash?: string,
  ) => Effect.Effect<void, FabricError | JournalError, FabricClient>
}

/** The file that a session brings. */
export interface TransactionOptions {
  /** Where the file goes, from the root of the store. */
  readonly path: string
  /** Bytes of the whole file, at least 1: an empty file cannot be committed (protocol.md 4.3). */
  readonly size: number
  /** Gives up when all has failed for so many seconds, more than 0, without getting further. Default 300. */
  readonly patience?: number | undefined
}

const quiet: SessionHooks = {
  sending: () => {},
  out: () => {},
  unsettled: () => {},
  retried: () => {},
  waiting: () => Effect.void,
  arrived: () => {},
  committing: () => {},
}

/**
 * Runs `use` with a new upload session, commits the session when everything has arrived, and deletes it in any case:
 * after success too, because the cluster keeps the chunks of a committed session. Interruption ends it just so.
 *
 * `use` sends what `missing` says, and runs again with what is missing then: after a fail-over the cluster may want
 * all of it again. Where the cluster does not go on with a session, and `use` fails by what `put` says of that, it
 * runs once more, with a new session.
 *
 * The first error is the result; an error of the clean-up is attached to it, or logged after a success, and the
 * session stays in the {@link UploadJournal} for the next run.
 *
 * The session is not deleted when it cannot be told whether the commit happened (protocol.md 4.5): that too stays in
 * the journal.
 */
export const withUploadSession = <A, E, R>(
  options: TransactionOptions,
  use: (work: SessionWork) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | FabricError | JournalError, R | FabricClient | UploadJournal> =>
  Effect.flatMap(
    checked(options),
    () =>
      transact(
        options,
        { source: "", chunkSize: () => undefined, hooks: quiet, restart: restartOnce },
        guarded(use),
      ),
  )

const checked = decodeParams({
  name: "UploadFileChunk",
  action: "open an upload session",
  params: Schema.Struct({
    path: ImageStorePath,
    size: Schema.Int.pipe(Schema.greaterThanOrEqualTo(1, {
      message: ({ actual }) =>
        `expected whole bytes, at least 1, got ${actual}; write an empty file with putFile`,
    })),
    patience: Schema.optional(Schema.Positive),
  }),
})
