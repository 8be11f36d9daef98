/**
 * The record of a package on its way: which of its files need not be sent again.
 *
 * @module
 */
import type { Change, Owned } from "./Owned.ts"

/** A file whose bytes went out, or were about to. */
export interface FileRecord {
  /** Bytes. */
  readonly size: number
  /** Bytes of the chunks that it was hashed in. */
  readonly chunkSize: number
  /** SHA-256 of its one chunk, or of the SHA-256 of all its chunks; `""` where that was not known before it went out. */
  readonly hash: string
  /** The version under which the cluster listed it after its answer. Until then its bytes may still be under way. */
  readonly version?: string
}

/** What is recorded of a package. */
export interface PackageRecord extends Owned {
  /** One for each run. */
  readonly uploadId: string
  /** Where the package goes, from the root of the store. */
  readonly path: string
  /** The folder or archive that it comes from. */
  readonly source: string
  /** What is at the path came from this upload, or from earlier runs of it, and may go when it fails. */
  readonly first: boolean
  /**
   * No deletion, no marker and no lost request of this upload can arrive after this time, in milliseconds since 1970. Files
   * without a version may, besides.
   */
  readonly quietAt: number
  /** By their paths in the package. */
  readonly files: ReadonlyMap<string, FileRecord>
}

/** What changes about a package while it is on its way: files are added to those that are known. */
export type PackagePatch = Partial<Pick<PackageRecord, "files" | "quietAt">>

/** The record after changes, in their order. Files are added to its own map: a copy for each of them costs too much. */
export const patchedPackage = (
  record: PackageRecord,
  changes: Iterable<Change<PackagePatch>>,
): PackageRecord => {
  const files = record.files as Map<string, FileRecord>
  let { quietAt, touched } = record
  for (const { at, patch } of changes) {
    for (const [name, file] of patch.files ?? []) files.set(name, file)
    quietAt = patch.quietAt ?? quietAt
    touched = at
  }
  return { ...record, quietAt, touched }
}
