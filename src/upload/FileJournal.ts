/**
 * What is kept of a file that is part of a package.
 *
 * @module
 */
import type * as Effect from "effect/Effect"
import type { FileRecord } from "../journal/PackageRecord.ts"

/** What earlier runs have recorded of one file, and how this run records it. */
export interface FileJournal {
  /** So an earlier run brought it, and the cluster lists it like that. */
  readonly stored: FileRecord | undefined
  /** A dead run had begun to bring that, and it may still arrive `until` then, in milliseconds since 1970. */
  readonly late: { readonly file: FileRecord; readonly until: number } | undefined
  /** Bytes are about to go out in a single request. */
  readonly begun: (file: FileRecord) => Effect.Effect<void>
  /** They go out again, and until then, in milliseconds since 1970, those of before or these may arrive. */
  readonly repeated: (until: number) => Effect.Effect<void>
  /** The cluster has it. */
  readonly arrived: (file: FileRecord) => Effect.Effect<void>
}
