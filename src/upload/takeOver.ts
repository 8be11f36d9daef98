/**
 * Sessions of dead runs that are taken over: how they end.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import type { JournalError } from "../journal/Journal.ts"
import type { JournalEntry } from "../journal/JournalEntry.ts"
import { UploadJournal } from "../UploadJournal.ts"
import { getUploadSession } from "../uploadSessions.ts"
import { leftSessions } from "./deadRuns.ts"
import { forEachAwaited } from "./forEachAwaited.ts"
import { quietAfter } from "./heartbeat.ts"
import { latestArrival } from "./lateArrival.ts"
import { END_PATIENCE, endSession } from "./OpenSession.ts"
import { Patience } from "./Patience.ts"
import { wasCommitted } from "./settleCommit.ts"
import { uploadDefaults } from "./uploadOptions.ts"
import { CHUNK_TIMEOUT, commitTimeout } from "./uploadTimeouts.ts"
import type { Waiting } from "./waiting.ts"

/** A session of a run that is over, this process's own by now. */
export interface Taken {
  readonly entry: JournalEntry
  /** Somebody sees to its end: else it is ended when its scope closes. */
  handled: boolean
}

/** Takes a session for as long as the scope is open; nothing when another was faster. */
export const takeOver = (
  entry: JournalEntry,
): Effect.Effect<
  Option.Option<Taken>,
  JournalError,
  FabricClient | UploadJournal | Scope.Scope
> =>
  Effect.flatMap(UploadJournal, (journal) =>
    Effect.acquireRelease(
      Effect.map(journal.take(entry), Option.map((entry): Taken => ({ entry, handled: false }))),
      Option.match({
        onNone: () => Effect.void,
        onSome: (own) => Effect.ensuring(abandon(own), journal.leave(entry.sessionId)),
      }),
    ))

/** What was to be resumed, and was not: one whose commit may be running is left for the next run. */
const abandon = (own: Taken): Effect.Effect<void, never, FabricClient | UploadJournal> =>
  own.handled || own.entry.state === "committing" ? Effect.void : Effect.catchAll(
    endTaken(own),
    (error) =>
      Effect.logWarning(
        `Upload session ${own.entry.sessionId} could not be deleted; the next run does it: ${error.message}`,
      ),
  )

/**
 * When no chunk of a dead run can arrive any more. One that went out this moment would not be later, whatever is recorded:
 * the clock may have been set back since.
 */
export const quietAfterDeath = (entry: JournalEntry): Effect.Effect<number> =>
  Effect.map(
    Clock.currentTimeMillis,
    (now) =>
      Math.min(
        latestArrival(CHUNK_TIMEOUT, now),
        Math.max(entry.quietAt, quietAfter(entry, CHUNK_TIMEOUT, now)),
      ),
  )

/** Milliseconds between two looks whether a commit of a dead run is over. */
const LOOK_AGAIN = 10_000

/** Waits until no commit of a dead run can be running: its deletion would pull the chunks away (protocol.md 4.5). */
const untilSettled = (
  entry: JournalEntry,
  waiting: Waiting,
  limit: number,
): Effect.Effect<void, FabricError, FabricClient> =>
  Effect.gen(function* () {
    const touched = Math.min(entry.touched, yield* Clock.currentTimeMillis)
    const until = touched + commitTimeout(entry.size) * 1000
    for (let told = false;; told = true) {
      const now = yield* Clock.currentTimeMillis
      if (now >= until || (yield* new Patience(limit).persist(isSettled(entry)))) return
      if (!told) yield* waiting(until)
      yield* Effect.sleep(Math.min(until - now, LOOK_AGAIN))
    }
  })

/** The cluster has forgotten the session, or made the file. */
const isSettled = (entry: JournalEntry): Effect.Effect<boolean, FabricError, FabricClient> =>
  Effect.flatMap(
    getUploadSession({ sessionId: entry.sessionId }),
    (session) => Option.isNone(session) ? Effect.succeed(true) : wasCommitted(entry),
  )

/** Deletes a session that was taken, and its record. The cluster may be away for `limit` milliseconds. */
export const endTaken = (
  own: Taken,
  waiting: Waiting = () => Effect.void,
  limit: number = END_PATIENCE,
): Effect.Effect<void, FabricError | JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    own.handled = true
    const { entry } = own
    const journal = yield* UploadJournal
    if (entry.state === "committing") yield* untilSettled(entry, waiting, limit)
    const quietAt = yield* quietAfterDeath(entry)
    yield* journal.update(entry.sessionId, { state: "deleting", quietAt })
    if (quietAt > (yield* Clock.currentTimeMillis)) yield* waiting(quietAt)
    yield* endSession(entry.sessionId, quietAt, limit)
    yield* journal.remove(entry.sessionId)
  })

/** Sessions that are ended at once. */
const CONCURRENCY = 4

/**
 * Ends what dead runs left of this cluster, as far as it `belongs` here and nobody else is at it. `patience`: seconds that
 * the cluster may be away.
 */
export const endLeft = (
  belongs: (entry: JournalEntry) => boolean,
  waiting: Waiting,
  patience: number = uploadDefaults.patience,
): Effect.Effect<void, FabricError | JournalError, FabricClient | UploadJournal> =>
  Effect.flatMap(
    leftSessions(belongs),
    (left) =>
      forEachAwaited(left, CONCURRENCY, (entry) =>
        Effect.scoped(Effect.flatMap(
          takeOver(entry),
          Option.match({
            onNone: () => Effect.void,
            onSome: (own) => endTaken(own, waiting, patience * 1000),
          }),
        ))),
  )
