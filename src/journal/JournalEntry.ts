/**
 * The record of one upload session.
 *
 * @module
 */
import type { SessionId } from "../UploadSession.ts"
import type { Change, Owned } from "./Owned.ts"

/** How far a session has come. Each state is written before the request that it announces. */
export type SessionState = "open" | "committing" | "deleting"

/** What is recorded of a session. */
export interface JournalEntry extends Owned {
  /** The session that is recorded. */
  readonly sessionId: SessionId
  /** What it brings, from the root of the store. */
  readonly path: string
  /** Bytes of the whole file. */
  readonly size: number
  /** Bytes of each chunk but the last. */
  readonly chunkSize: number
  /** Where the bytes come from, as far as it can be named. */
  readonly source: string
  /** Written before the request that it announces. */
  readonly state: SessionState
  /** SHA-256 of each chunk that was sent, or was about to be, by its position. */
  readonly hashes: Readonly<Record<number, string>>
  /** The version of the file before the commit; `undefined` where there was none. Known from `committing` on. */
  readonly before?: string | undefined
  /** No chunk that was sent can arrive after this time, in milliseconds since 1970. */
  readonly quietAt: number
}

/** What changes about a session while it lives. Hashes are added to those that are known. */
export type JournalPatch = Partial<Pick<JournalEntry, "state" | "hashes" | "before" | "quietAt">>

/** The entry after changes, in their order. Hashes are added to its own: a copy for each chunk costs too much. */
export const patched = (entry: JournalEntry, changes: Iterable<Change<JournalPatch>>): JournalEntry => {
  const { hashes } = entry
  const after = { ...entry }
  for (const { at, patch } of changes) {
    Object.assign(hashes, patch.hashes)
    Object.assign(after, patch, { hashes, touched: at })
  }
  return after
}
