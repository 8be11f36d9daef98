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
import type { JournalEntry, JournalError } from "./JournalEntry.ts"
import { CHUNK_TIMEOUT, endSession } from "./OpenSession.ts"
import type { Patience } from "./Patience.ts"
import { chunksOf, missingChunks } from "./ranges.ts"
import { commitTimeout, findFile } from "./settleCommit.ts"
import { UploadJournal } from "./UploadJournal.ts"
import type { ByteRange } from "./UploadSession.ts"
import { getUploadSession } from "./uploadSessions.ts"

/** Milliseconds after which a session is dead by itself, whoever made it (protocol.md 4.6). */
const EXPIRED_AFTER = 40 * 60_000
/** A run gives up after 5 minutes without progress, so it died no later than that after its last record. */
const LONGEST_SILENCE = 6 * 60_000
/** Milliseconds after its process died in which a chunk may still arrive. */
const LATE = (CHUNK_TIMEOUT + 5) * 1000

/** Whether an entry belongs to a run that is over, as far as can be told: only then may it be touched. */
export const isLeft = (entry: JournalEntry): Effect.Effect<boolean, never, UploadJournal> =>
  Effect.gen(function* () {
    const journal = yield* UploadJournal
    const now = yield* Clock.currentTimeMillis
    return entry.owner.host === journal.owner.host
      ? !(yield* journal.isAtWork(entry))
      : now - entry.touched >= EXPIRED_AFTER
  })

/** When no chunk of a dead run can arrive any more. */
export const quietAfterDeath = (entry: JournalEntry): Effect.Effect<number> =>
  Effect.map(
    Clock.currentTimeMillis,
    (now) => Math.max(entry.quietAt, Math.min(now, entry.touched + LONGEST_SILENCE) + LATE),
  )

/** The record of a session that is this process's own while the scope is open; nothing when another was faster. */
export const taken = (
  entry: JournalEntry,
): Effect.Effect<Option.Option<JournalEntry>, JournalError, UploadJournal | Scope.Scope> =>
  Effect.flatMap(UploadJournal, (journal) =>
    Effect.acquireRelease(
      journal.take(entry),
      Option.match({ onNone: () => Effect.void, onSome: () => journal.leave(entry.sessionId) }),
    ))

/** Deletes a session that was taken, and its record. */
export const endTaken = (
  entry: JournalEntry,
): Effect.Effect<void, FabricError | JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    const journal = yield* UploadJournal
    // A deletion under a running commit pulls its chunks away (protocol.md 4.5): no commit runs longer than it may.
    if (entry.state === "committing") {
      const wait = entry.touched + commitTimeout(entry.size) * 1000 - (yield* Clock.currentTimeMillis)
      if (wait > 0) yield* Effect.sleep(wait)
    }
    const quietAt = yield* quietAfterDeath(entry)
    yield* journal.update(entry.sessionId, { state: "deleting", quietAt })
    yield* endSession(entry.sessionId, quietAt)
    yield* journal.remove(entry.sessionId)
  })

/** What an earlier run left for an upload. */
export type Inheritance =
  | { readonly _tag: "None" }
  /** A session to go on with, this process's own by now, and what of the file has arrived. */
  | { readonly _tag: "Session"; readonly entry: JournalEntry; readonly received: ReadonlyArray<ByteRange> }
  /** The commit had worked; only the session is left to be deleted. */
  | { readonly _tag: "Done"; readonly entry: JournalEntry }

/**
 * Looks for a session of a dead run for `path` that can be gone on with, and takes it for the scope. Those that cannot
 * are deleted. `verify` compares a received chunk with its recorded hash: a session whose chunks are of another source
 * is of no use.
 */
export const inherit = <E, R>(
  path: string,
  size: number,
  patience: Patience,
  verify: (range: ByteRange, hash: string) => Effect.Effect<boolean, E, R>,
): Effect.Effect<
  Inheritance,
  E | FabricError | JournalError,
  R | FabricClient | UploadJournal | Scope.Scope
> =>
  Effect.gen(function* () {
    const journal = yield* UploadJournal
    const { origins } = yield* FabricClient
    let best: Inheritance = { _tag: "None" }
    for (const recorded of yield* journal.entries) {
      if (recorded.path !== path || !recorded.endpoints.some((origin) => origins.includes(origin))) continue
      if (!(yield* isLeft(recorded))) continue
      const own = yield* taken(recorded)
      if (Option.isNone(own)) continue
      const entry = own.value
      const found: Inheritance = best._tag === "None" && entry.state !== "deleting" && entry.size === size
        ? yield* examine(entry, patience, verify)
        : { _tag: "None" }
      if (found._tag === "None") yield* endTaken(entry)
      else best = found
    }
    return best
  })

const examine = <E, R>(
  entry: JournalEntry,
  patience: Patience,
  verify: (range: ByteRange, hash: string) => Effect.Effect<boolean, E, R>,
): Effect.Effect<Inheritance, E | FabricError, R | FabricClient> =>
  Effect.gen(function* () {
    const chunks = chunksOf(entry.size, entry.chunkSize)
    const session = yield* patience.persist(getUploadSession({ sessionId: entry.sessionId }))
    const quietAt = yield* quietAfterDeath(entry)
    const same = (ranges: ReadonlyArray<ByteRange>) =>
      Effect.every(ranges, (range) => {
        const hash = entry.hashes[range.first]
        return hash === undefined ? Effect.succeed(false) : verify(range, hash)
      })
    if (entry.state === "committing") {
      const file = yield* patience.persist(findFile(entry.path))
      if (Option.exists(file, ({ size, version }) => size === entry.size && version !== entry.before)) {
        return (yield* same(chunks)) ? { _tag: "Done", entry } : { _tag: "None" }
      }
      // Once a commit was asked for, an id that the cluster has forgotten is not used again (protocol.md 4.5).
      if (Option.isNone(session)) return { _tag: "None" }
    }
    // What was begun may still arrive, so it too has to be of this source.
    const begun = chunks.filter(({ first }) => entry.hashes[first] !== undefined)
    if (Option.isNone(session)) {
      return (yield* same(begun))
        ? { _tag: "Session", entry: { ...entry, quietAt }, received: [] }
        : { _tag: "None" }
    }
    const missing = missingChunks(chunks, session.value.expected)
    if (session.value.path !== entry.path || session.value.size !== entry.size || missing === undefined) {
      return { _tag: "None" }
    }
    const received = chunks.filter((chunk) => !missing.includes(chunk))
    return (yield* same([...new Set([...received, ...begun])]))
      ? { _tag: "Session", entry: { ...entry, quietAt }, received }
      : { _tag: "None" }
  })
