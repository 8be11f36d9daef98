/**
 * Ends the sessions that earlier runs left.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { FabricClient } from "./FabricClient.ts"
import type { FabricError } from "./FabricError.ts"
import type { JournalError } from "./journal/Journal.ts"
import type { JournalEntry } from "./journal/JournalEntry.ts"
import { isOf } from "./journal/Owned.ts"
import { isOver } from "./upload/deadRuns.ts"
import { endTaken, takeOver } from "./upload/takeOver.ts"
import { UploadJournal } from "./UploadJournal.ts"
import type { SessionId } from "./UploadSession.ts"

/** What became of one recorded session. */
export interface CleanedSession {
  /** Which session it was. */
  readonly sessionId: SessionId
  /** What it was to bring, from the root of the store. */
  readonly path: string
  /** Bytes of the file that it was for. */
  readonly size: number
  /** What became of it. */
  readonly outcome:
    /** It is gone, and its record too. */
    | { readonly _tag: "Deleted" }
    /** It would be deleted without `dryRun`. */
    | { readonly _tag: "WouldDelete" }
    /** Its process is at work, or may be: it runs elsewhere. */
    | { readonly _tag: "InUse"; readonly host: string; readonly process: number }
    /** Another run, or clean-up, was faster: it resumes the session, or deletes it. */
    | { readonly _tag: "Taken" }
    /** It is of another cluster. */
    | { readonly _tag: "OtherCluster"; readonly endpoints: ReadonlyArray<string> }
    /** The cluster would not delete it. Its record stays. */
    | { readonly _tag: "Failed"; readonly error: FabricError | JournalError }
}

/** How to clean. */
export interface CleanOptions {
  /** Only tells what would be done. Default false. */
  readonly dryRun?: boolean | undefined
  /** Deletes sessions of processes that seem to be at work too. Default false. */
  readonly force?: boolean | undefined
}

/**
 * Deletes every recorded session of this cluster whose process is over, and tells of each. A session whose last chunk
 * may still arrive is deleted again when it no longer can; that and a commit that may still run are waited for.
 *
 * Sessions of a process that is at work are left alone, and those of another host for 40 minutes, after which the
 * cluster has forgotten them.
 */
export const cleanSessions = (
  options: CleanOptions = {},
): Stream.Stream<CleanedSession, JournalError, FabricClient | UploadJournal> =>
  Stream.unwrap(Effect.gen(function* () {
    const entries = yield* Effect.flatMap(UploadJournal, (journal) => journal.entries)
    return Stream.mapEffect(
      Stream.fromIterable(entries),
      (entry) =>
        Effect.map(clean(entry, options), (outcome): CleanedSession => ({
          sessionId: entry.sessionId,
          path: entry.path,
          size: entry.size,
          outcome,
        })),
      { concurrency: 8, unordered: true },
    )
  }))

const clean = (
  entry: JournalEntry,
  { dryRun = false, force = false }: CleanOptions,
): Effect.Effect<CleanedSession["outcome"], never, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    const { origins } = yield* FabricClient
    if (!isOf(entry, origins)) {
      return { _tag: "OtherCluster", endpoints: entry.endpoints }
    }
    if (!force && !(yield* isOver(entry, yield* UploadJournal))) {
      return { _tag: "InUse", host: entry.owner.host, process: entry.owner.process }
    }
    if (dryRun) return { _tag: "WouldDelete" }
    return yield* Effect.scoped(Effect.gen(function* () {
      const own = yield* takeOver(entry)
      if (Option.isNone(own)) return { _tag: "Taken" } as const
      yield* endTaken(own.value, (until) =>
        Effect.flatMap(Clock.currentTimeMillis, (now) =>
          Effect.logInfo(
            `Session ${entry.sessionId} may still get a chunk or its commit; waiting up to ${
              Math.ceil((until - now) / 1000)
            } s`,
          )))
      return { _tag: "Deleted" } as const
    })).pipe(Effect.catchAll((error) => Effect.succeed({ _tag: "Failed", error } as const)))
  })
