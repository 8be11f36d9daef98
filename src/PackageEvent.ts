/**
 * What the upload of a package tells while it runs, and how it ends.
 *
 * @module
 */
import type { PackageError } from "./PackageError.ts"
import type { UploadError, UploadEvent, UploadOptions } from "./UploadEvent.ts"

/** How to upload a package. */
export interface PackageOptions extends UploadOptions {
  /** Sends code, config and data packages as zip files. The source stays as it is. Default false. */
  readonly compress?: boolean | undefined
  /** Checks that it is a complete application package before anything is sent. Default true. */
  readonly validate?: boolean | undefined
  /**
   * What becomes of a package that fails or is interrupted, where nothing was before: `remove` deletes what came of
   * it. What was there before is never deleted for a failure. Default `remove`.
   */
  readonly onFailure?: "remove" | "keep" | undefined
  /** Files at the destination that are not of the package: removed, or a failure before anything is sent. Default `remove`. */
  readonly strays?: "remove" | "fail" | undefined
  /** Bytes that an archive may unpack to. Default: 200 times its size, but at least 1 GiB and at most 64 GiB. */
  readonly unpackedLimit?: number | undefined
}

/** What became of a package. */
export interface PackageSummary {
  /** Where it is in the store: what to provision. */
  readonly path: string
  /** `ApplicationTypeName`, where there is a manifest. */
  readonly applicationType: string | undefined
  /** `ApplicationTypeVersion`, where there is a manifest. */
  readonly applicationVersion: string | undefined
  /** Files, without the `_.dir` markers. */
  readonly files: number
  /** Bytes of these. */
  readonly bytes: number
  /** Bytes that went over the wire, repeats included. */
  readonly sent: number
  /** Bytes that an earlier run had brought. */
  readonly resumed: number
  /** Attempts that had to be repeated. */
  readonly retries: number
  /** From the first look at the package to the last one at the cluster. */
  readonly seconds: number
  /** Files that were there and are not of the package, by their paths below `path`, without markers. They are gone. */
  readonly removed: ReadonlyArray<string>
}

/** One line of a package's story. */
export type PackageEvent =
  | UploadEvent
  /** A folder of the package becomes a zip file now, before anything is sent. */
  | { readonly _tag: "Compressing"; readonly folder: string; readonly files: number; readonly bytes: number }
  /** So many bytes of all `bytes` that are compressed have been read by now. Comes a few times a second. */
  | { readonly _tag: "BytesCompressed"; readonly read: number; readonly bytes: number }
  /** Another process of this machine, or another upload of this one, is at work on the same path: it goes first. */
  | { readonly _tag: "Queued"; readonly path: string; readonly process: number }
  /**
   * It is checked and known what will be sent. `stored`: bytes of files that earlier runs of this upload have brought;
   * each is compared with its source before it counts. `overwrites`: something else is at the destination.
   */
  | {
    readonly _tag: "PackagePlanned"
    readonly path: string
    readonly files: number
    readonly bytes: number
    readonly stored: number
    readonly applicationType: string | undefined
    readonly applicationVersion: string | undefined
    readonly overwrites: boolean
  }
  /** After a failure: what has come of the package is being deleted, and again when nothing can arrive any more. */
  | { readonly _tag: "PackageRemoving"; readonly path: string; readonly quietAt: Date }
  /** After a failure: what had come of the package is deleted. */
  | { readonly _tag: "PackageRemoved"; readonly path: string }
  /** After a failure: that could not be done. What is left cannot be provisioned, and the next upload replaces it. */
  | { readonly _tag: "PackageLeft"; readonly path: string; readonly reason: string }
  /** Everything is there, and listed by the cluster as it should be. */
  | ({ readonly _tag: "PackageUploaded" } & PackageSummary)

/** All ways in which the upload of a package fails. */
export type PackageUploadError = UploadError | PackageError
