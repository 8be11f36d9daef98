/**
 * The record of one upload session.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { SessionId } from "./UploadSession.ts"

/** The process that a session belongs to. */
export interface Owner {
  readonly host: string
  readonly process: number
  /** When it began, in milliseconds since 1970. */
  readonly start: number
}

/** How far a session has come. Each state is written before the request that it announces. */
export type SessionState = "open" | "committing" | "deleting"

/** What is recorded of a session. */
export interface JournalEntry {
  readonly sessionId: SessionId
  /** Origins of the cluster's endpoints. */
  readonly endpoints: ReadonlyArray<string>
  readonly path: string
  /** Bytes of the whole file. */
  readonly size: number
  readonly chunkSize: number
  /** Where the bytes come from, as far as it can be named. */
  readonly source: string
  readonly owner: Owner
  readonly state: SessionState
  /** SHA-256 of each chunk that was sent, or was about to be, by its position. */
  readonly hashes: Readonly<Record<number, string>>
  /** The version of the file before the commit; `undefined` where there was none. Known from `committing` on. */
  readonly before?: string | undefined
  /** No chunk that was sent can arrive after this time, in milliseconds since 1970. */
  readonly quietAt: number
  /** When something was written last, in milliseconds since 1970. */
  readonly touched: number
}

interface Args {
  readonly place: string
  readonly issue: string
}

const ErrorBase: new (args: Args) => Cause.YieldableError & { readonly _tag: "JournalError" } & Args = Data
  .TaggedError(
    "JournalError",
  )<Args>

/** The journal cannot be written. No chunk is sent without it, because a crash would leave the session behind. */
export class JournalError extends ErrorBase {
  override get message(): string {
    return `Cannot keep the upload journal in ${this.place}: ${this.issue}; name another folder with XDG_STATE_HOME`
  }
}

/** What changes about a session while it lives. Hashes are added to those that are known. */
export type JournalPatch = Partial<Pick<JournalEntry, "state" | "hashes" | "before" | "quietAt">>

/** A change of a session's record, made at a time in milliseconds since 1970. */
export interface JournalChange {
  readonly at: number
  readonly patch: JournalPatch
}

/** The entry after changes, in their order. There is one for each chunk, so its hashes are copied once for all. */
export const patched = (entry: JournalEntry, changes: Iterable<JournalChange>): JournalEntry => {
  const hashes = { ...entry.hashes }
  const after = { ...entry }
  for (const { at, patch } of changes) {
    Object.assign(hashes, patch.hashes)
    Object.assign(after, patch, { hashes, touched: at })
  }
  return after
}

/** Whether two are the same process. */
export const isSameOwner = (one: Owner, other: Owner): boolean =>
  one.host === other.host && one.process === other.process && one.start === other.start

/** What a journal can do. */
export interface Journal {
  /** This process. */
  readonly owner: Owner
  /** Every session that is not known to be dead. Records that cannot be read are put aside with a warning. */
  readonly entries: Effect.Effect<ReadonlyArray<JournalEntry>, JournalError>
  /** Records a session, before its first chunk. On disk when it returns. */
  readonly create: (entry: JournalEntry) => Effect.Effect<void, JournalError>
  /** Records what is about to change. A change of state is on disk when it returns. */
  readonly update: (sessionId: SessionId, patch: JournalPatch) => Effect.Effect<void, JournalError>
  /** Forgets a session that is dead. One that is not there is forgotten already. */
  readonly remove: (sessionId: SessionId) => Effect.Effect<void, JournalError>
  /** Whether somebody is at work on an entry's session, as far as can be told from here. */
  readonly isAtWork: (entry: JournalEntry) => Effect.Effect<boolean>
  /**
   * Makes the session of a run that is over this process's own, and gives back its record as it is by then. Of several
   * that try at once, one succeeds; the others get nothing.
   */
  readonly take: (entry: JournalEntry) => Effect.Effect<Option.Option<JournalEntry>, JournalError>
  /** This process is not at work on a session any more: if it is not dead, the next run may take it. */
  readonly leave: (sessionId: SessionId) => Effect.Effect<void>
}
