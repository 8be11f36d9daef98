/**
 * Which records are of runs that are over: only these may be touched.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import { FabricClient } from "../FabricClient.ts"
import type { JournalError, Records } from "../journal/Journal.ts"
import type { JournalEntry } from "../journal/JournalEntry.ts"
import { isOf, type Owned } from "../journal/Owned.ts"
import { UploadJournal } from "../UploadJournal.ts"

/** Milliseconds after which a session is dead by itself, whoever made it (protocol.md 4.6). */
const EXPIRED_AFTER = 40 * 60_000

/** Whether a record is of a run that is over, as far as can be told. */
export const isOver = <Entry extends Owned>(
  entry: Entry,
  { isAtWork }: Pick<Records<never, Entry, never>, "isAtWork">,
): Effect.Effect<boolean, never, UploadJournal> =>
  Effect.gen(function* () {
    const { owner } = yield* UploadJournal
    const now = yield* Clock.currentTimeMillis
    return entry.owner.host === owner.host ? !(yield* isAtWork(entry)) : now - entry.touched >= EXPIRED_AFTER
  })

/** The sessions of dead runs on this cluster that `belongs` picks. */
export const leftSessions = (
  belongs: (entry: JournalEntry) => boolean,
): Effect.Effect<ReadonlyArray<JournalEntry>, JournalError, FabricClient | UploadJournal> =>
  Effect.flatMap(UploadJournal, (journal) => leftIn(journal, belongs))

/** The same for records of any kind. */
export const leftIn = <Entry extends Owned>(
  records: Pick<Records<never, Entry, never>, "entries" | "isAtWork">,
  belongs: (entry: Entry) => boolean,
): Effect.Effect<ReadonlyArray<Entry>, JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    const { origins } = yield* FabricClient
    const recorded = (yield* records.entries).filter((entry) => belongs(entry) && isOf(entry, origins))
    return yield* Effect.filter(recorded, (entry) => isOver(entry, records))
  })
