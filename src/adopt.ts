/**
 * Sessions that earlier runs left: which of them an upload can go on with, and what becomes of the others.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { FabricClient } from "./FabricClient.ts"
import type { FabricError } from "./FabricError.ts"
import { quietAfter } from "./heartbeat.ts"
import type { JournalError, Records } from "./Journal.ts"
import type { JournalEntry } from "./JournalEntry.ts"
import { CHUNK_TIMEOUT, endSession } from "./OpenSession.ts"
import { isOf, type Owned } from "./Owned.ts"
import type { Patience } from "./Patience.ts"
import { chunksOf, missingChunks } from "./ranges.ts"
import { commitTimeout, findFile } from "./settleCommit.ts"
import { UploadJournal } from "./UploadJournal.ts"
import type { ByteRange } from "./UploadSession.ts"
import { getUploadSession } from "./uploadSessions.ts"
import type { Waiting } from "./waiting.ts"

/** Milliseconds after which a session is dead by itself, whoever made it (protocol.md 4.6). */
const EXPIRED_AFTER = 40 * 60_000

/** Whether an entry belongs to a run that is over, as far as can be told: only then may it be touched. */
export const isLeft = (entry: JournalEntry): Effect.Effect<boolean, never, UploadJournal> =>
  Effect.flatMap(UploadJournal, (journal) => isOver(entry, journal))

/** The same of a record of any kind. */
export const isOver = <Entry extends Owned>(
  entry: Entry,
  { isAtWork }: Pick<Records<never, Entry, never>, "isAtWork">,
): Effect.Effect<boolean, never, UploadJournal> =>
  Effect.gen(function* () {
    const { owner } = yield* UploadJournal
    const now = yield* Clock.currentTimeMillis
    return entry.owner.host === owner.host ? !(yield* isAtWork(entry)) : now - entry.touched >= EXPIRED_AFTER
  })

/** When no chunk of a dead run can arrive any more. */
export const quietAfterDeath = (entry: JournalEntry): Effect.Effect<number> =>
  Effect.map(
    Clock.currentTimeMillis,
    (now) => Math.max(entry.quietAt, quietAfter(entry, CHUNK_TIMEOUT, now)),
  )

/** A session of a run that is over, this process's own by now. */
export interface Taken {
  readonly entry: JournalEntry
  /** Somebody sees to its end: else it is ended when its scope closes. */
  cared: boolean
}

/** Takes a session for as long as the scope is open; nothing when another was faster. */
export const taken = (
  entry: JournalEntry,
): Effect.Effect<
  Option.Option<Taken>,
  JournalError,
  FabricClient | UploadJournal | Scope.Scope
> =>
  Effect.flatMap(UploadJournal, (journal) =>
    Effect.acquireRelease(
      Effect.map(journal.take(entry), Option.map((entry): Taken => ({ entry, cared: false }))),
      Option.match({
        onNone: () => Effect.void,
        onSome: (own) => Effect.ensuring(abandon(own), journal.leave(entry.sessionId)),
      }),
    ))

/** What was to be gone on with, and was not: one whose commit may be running is left for the next run. */
const abandon = (own: Taken): Effect.Effect<void, never, FabricClient | UploadJournal> =>
  own.cared || own.entry.state === "committing" ? Effect.void : Effect.catchAll(
    endTaken(own),
    (error) =>
      Effect.logWarning(
        `Upload session ${own.entry.sessionId} could not be deleted; the next run does it: ${error.message}`,
      ),
  )

/** Milliseconds between two looks whether a commit of a dead run is over. */
const LOOK_AGAIN = 10_000

/** Waits until no commit of a dead run can be running: its deletion would pull the chunks away (protocol.md 4.5). */
const untilSettled = (
  entry: JournalEntry,
  waiting: Waiting,
): Effect.Effect<void, FabricError, FabricClient> =>
  Effect.gen(function* () {
    const until = entry.touched + commitTimeout(entry.size) * 1000
    for (let told = false;; told = true) {
      const now = yield* Clock.currentTimeMillis
      if (now >= until || (yield* isSettled(entry))) return
      if (!told) yield* waiting(until)
      yield* Effect.sleep(Math.min(until - now, LOOK_AGAIN))
    }
  })

/** The cluster has forgotten the session, or made the file. */
const isSettled = (entry: JournalEntry): Effect.Effect<boolean, FabricError, FabricClient> =>
  Effect.flatMap(
    getUploadSession({ sessionId: entry.sessionId }),
    (session) => Option.isNone(session) ? Effect.succeed(true) : hasFile(entry),
  )

/** The folder shows another version than before the commit, of the right size. */
const hasFile = ({ before, path, size }: JournalEntry): Effect.Effect<boolean, FabricError, FabricClient> =>
  Effect.map(findFile(path), Option.exists((file) => file.size === size && file.version !== before))

/** Deletes a session that was taken, and its record. */
export const endTaken = (
  own: Taken,
  waiting: Waiting = () => Effect.void,
): Effect.Effect<void, FabricError | JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    own.cared = true
    const { entry } = own
    const journal = yield* UploadJournal
    if (entry.state === "committing") yield* untilSettled(entry, waiting)
    const quietAt = yield* quietAfterDeath(entry)
    yield* journal.update(entry.sessionId, { state: "deleting", quietAt })
    if (quietAt > (yield* Clock.currentTimeMillis)) yield* waiting(quietAt)
    yield* endSession(entry.sessionId, quietAt)
    yield* journal.remove(entry.sessionId)
  })

/** Ends what dead runs left of this cluster, as far as it `belongs` here and nobody else is at it. */
export const endLeft = (
  belongs: (entry: JournalEntry) => boolean,
  waiting: Waiting,
): Effect.Effect<void, FabricError | JournalError, FabricClient | UploadJournal> =>
  Effect.flatMap(
    leftBy(belongs),
    Effect.forEach(
      (entry) =>
        Effect.scoped(Effect.flatMap(
          taken(entry),
          Option.match({ onNone: () => Effect.void, onSome: (own) => endTaken(own, waiting) }),
        )),
      { discard: true, concurrency: 4 },
    ),
  )

/** What dead runs left of this cluster. */
export const leftBy = (
  belongs: (entry: JournalEntry) => boolean,
): Effect.Effect<ReadonlyArray<JournalEntry>, JournalError, FabricClient | UploadJournal> =>
  Effect.flatMap(UploadJournal, (journal) => leftIn(journal, belongs))

/** The same in records of any kind. */
export const leftIn = <Entry extends Owned>(
  records: Pick<Records<never, Entry, never>, "entries" | "isAtWork">,
  belongs: (entry: Entry) => boolean,
): Effect.Effect<ReadonlyArray<Entry>, JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    const { origins } = yield* FabricClient
    const recorded = (yield* records.entries).filter((entry) => belongs(entry) && isOf(entry, origins))
    return yield* Effect.filter(recorded, (entry) => isOver(entry, records))
  })

/** What an earlier run left for an upload. */
export type Inheritance =
  | { readonly _tag: "None" }
  /** A session to go on with, this process's own by now, and what of the file has arrived. */
  | {
    readonly _tag: "Session"
    readonly own: Taken
    /** No chunk of the dead run can arrive after this time, in milliseconds since 1970. */
    readonly quietAt: number
    readonly received: ReadonlyArray<ByteRange>
  }
  /** The commit had worked; only the session is left to be deleted. */
  | { readonly _tag: "Done"; readonly own: Taken }

/** What an upload can go on with. */
export interface Heir<E, R> {
  readonly path: string
  readonly size: number
  /** Bytes of a chunk at the most: larger ones of an earlier run would take more memory than there is to be. */
  readonly chunkSize: number
  /** Whether to go on at all. */
  readonly resume: boolean
  readonly patience: Patience
  readonly waiting: Waiting
  /** Compares a received chunk with its recorded hash: a session whose chunks are of another source is of no use. */
  readonly verify: (range: ByteRange, hash: string) => Effect.Effect<boolean, E, R>
}

/**
 * Looks for a session of a dead run for a path that can be gone on with, and takes it for the scope. Those that cannot
 * are deleted, and so is the taken one when the scope closes before somebody cared for it.
 */
export const inherit = <E, R>(
  heir: Heir<E, R>,
): Effect.Effect<
  Inheritance,
  E | FabricError | JournalError,
  R | FabricClient | UploadJournal | Scope.Scope
> =>
  Effect.gen(function* () {
    let best: Inheritance = { _tag: "None" }
    for (const recorded of yield* leftBy(({ path }) => path === heir.path)) {
      const own = yield* taken(recorded)
      if (Option.isNone(own)) continue
      const { chunkSize, size, state } = own.value.entry
      const fits = heir.resume && state !== "deleting" && size === heir.size && chunkSize <= heir.chunkSize
      const found: Inheritance = best._tag === "None" && fits
        ? yield* examine(own.value, heir)
        : { _tag: "None" }
      if (found._tag === "None") yield* endTaken(own.value, heir.waiting)
      else best = found
    }
    return best
  })

const examine = <E, R>(
  own: Taken,
  { patience, verify }: Heir<E, R>,
): Effect.Effect<Inheritance, E | FabricError, R | FabricClient> =>
  Effect.gen(function* () {
    const { entry } = own
    const chunks = chunksOf(entry.size, entry.chunkSize)
    const session = yield* patience.persist(getUploadSession({ sessionId: entry.sessionId }))
    const quietAt = yield* quietAfterDeath(entry)
    const same = (ranges: ReadonlyArray<ByteRange>) =>
      Effect.every(ranges, (range) => {
        const hash = entry.hashes[range.first]
        return hash === undefined ? Effect.succeed(false) : verify(range, hash)
      })
    if (entry.state === "committing") {
      if (yield* patience.persist(hasFile(entry))) {
        return (yield* same(chunks)) ? { _tag: "Done", own } : { _tag: "None" }
      }
      // Once a commit was asked for, an id that the cluster has forgotten is not used again (protocol.md 4.5).
      if (Option.isNone(session)) return { _tag: "None" }
    }
    // What was begun may still arrive, so it too has to be of this source.
    const begun = chunks.filter(({ first }) => entry.hashes[first] !== undefined)
    if (Option.isNone(session)) {
      return (yield* same(begun)) ? { _tag: "Session", own, quietAt, received: [] } : { _tag: "None" }
    }
    const missing = missingChunks(chunks, session.value.expected)
    if (session.value.path !== entry.path || session.value.size !== entry.size || missing === undefined) {
      return { _tag: "None" }
    }
    const received = chunks.filter((chunk) => !missing.includes(chunk))
    return (yield* same([...new Set([...received, ...begun])]))
      ? { _tag: "Session", own, quietAt, received }
      : { _tag: "None" }
  })
