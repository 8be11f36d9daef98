/**
 * What a journal can do, whatever it keeps its records in.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type * as Effect from "effect/Effect"
import type * as Option from "effect/Option"
import type { SessionId } from "../UploadSession.ts"
import type { JournalEntry, JournalPatch } from "./JournalEntry.ts"
import type { Owner } from "./Owned.ts"
import type { PackagePatch, PackageRecord } from "./PackageRecord.ts"

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
  /** Where nothing can be recorded, why, and what to do. */
  override get message(): string {
    return `Cannot keep the upload journal in ${this.place}: ${this.issue}; name another folder with XDG_STATE_HOME`
  }
}

/** Records of one kind: each is written to by its owner alone, and changes as its owner goes on. */
export interface Records<Id, Entry, Patch> {
  /** All that are not forgotten. What is no record is put aside, and what cannot be read left out, with a warning. */
  readonly entries: Effect.Effect<ReadonlyArray<Entry>, JournalError>
  /** Begins a record. On disk when it returns. */
  readonly create: (entry: Entry) => Effect.Effect<void, JournalError>
  /** Records what is about to change. A change of a session's state is on disk when it returns. */
  readonly update: (id: Id, patch: Patch) => Effect.Effect<void, JournalError>
  /** Forgets a record of this process. One that is not there is forgotten already. */
  readonly remove: (id: Id) => Effect.Effect<void, JournalError>
  /** Whether somebody is at work on what is recorded, as far as can be told from here. */
  readonly isAtWork: (entry: Entry) => Effect.Effect<boolean>
  /**
   * Makes the record of a run that is over this process's own, and gives it back as it is by then. Of several that try
   * at once, one succeeds; the others get nothing.
   */
  readonly take: (entry: Entry) => Effect.Effect<Option.Option<Entry>, JournalError>
  /** This process is not at work on it any more: the next run may take it. */
  readonly leave: (id: Id) => Effect.Effect<void>
}

/** Upload sessions, each until it is known to be dead, and packages, each until it is whole or gone. */
export interface Journal extends Records<SessionId, JournalEntry, JournalPatch> {
  /** This process. */
  readonly owner: Owner
  /** The records of packages; those of sessions are the journal's own. */
  readonly packages: Records<string, PackageRecord, PackagePatch>
}
