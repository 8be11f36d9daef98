/**
 * What is in the image store: files, folders, and the space that they take.
 *
 * @module
 */
import * as Schema from "effect/Schema"
import { Count, CountDigits, dateOf, DateText, Digits, type Wire, wire } from "./client/wire.ts"
import { type ImageStorePath, ImageStorePathFromWire, pathFromWire } from "./ImageStorePath.ts"

/** A file of the image store. */
export interface File {
  /** It is a file. */
  readonly _tag: "File"
  /** Full path from the root. */
  readonly path: ImageStorePath
  /** Bytes. */
  readonly size: number
  /** Changes whenever the file is written, even with the same bytes. */
  readonly version: string
  /** When the file was written, by the cluster's clock. */
  readonly modified: Date
}

/** A folder of the image store. Folders exist through what is in them. */
export interface Folder {
  /** It is a folder. */
  readonly _tag: "Folder"
  /** Full path from the root. */
  readonly path: ImageStorePath
  /** Files at any depth below it, `_.dir` files included. The gateway's counter wraps at 65536 (protocol.md 3.1). */
  readonly fileCount: number
}

/** One line of a listing. */
export type ImageStoreEntry = File | Folder

interface FileLine {
  readonly StoreRelativePath: string
  readonly FileVersion: {
    readonly EpochDataLossNumber: string | number
    readonly VersionNumber: string | number
    readonly EpochConfigurationNumber: string | number
  }
  readonly FileSize: string | number
  readonly ModifiedDate: string
}

const FileLine: Schema.Schema<FileLine> = Schema.Struct({
  StoreRelativePath: Schema.String,
  FileVersion: Schema.Struct({
    EpochDataLossNumber: Digits,
    VersionNumber: Digits,
    EpochConfigurationNumber: Digits,
  }),
  FileSize: CountDigits,
  ModifiedDate: DateText,
})

interface FolderLine {
  readonly StoreRelativePath: string
  readonly FileCount: string | number
}

const FolderLine: Schema.Schema<FolderLine> = Schema.Struct({
  StoreRelativePath: Schema.String,
  FileCount: CountDigits,
})

/** The body of a listing, as the wire has it. */
export interface ListingBody {
  readonly StoreFiles?: ReadonlyArray<FileLine> | null | undefined
  readonly StoreFolders?: ReadonlyArray<FolderLine> | null | undefined
  readonly ContinuationToken?: string | null | undefined
}

/**
 * Checks the body of a listing (protocol.md 3.1). {@link listingOf} reads it, all lines at once: there can be thousands,
 * and a schema that also turns each value into ours takes three times as long.
 */
export const ListingBody: Schema.Schema<ListingBody> = Schema.Struct({
  StoreFiles: Schema.optional(Schema.NullOr(Schema.Array(FileLine))),
  StoreFolders: Schema.optional(Schema.NullOr(Schema.Array(FolderLine))),
  ContinuationToken: Schema.optional(Schema.NullOr(Schema.String)),
}).pipe(
  // Or any JSON would be an empty listing.
  Schema.filter(({ StoreFiles, StoreFolders }) =>
    StoreFiles !== undefined || StoreFolders !== undefined || "neither StoreFiles nor StoreFolders is there"
  ),
)

/** One page of a listing. An empty token: the last one. */
export interface ListingPage {
  readonly entries: ReadonlyArray<ImageStoreEntry>
  readonly token: string
}

/** What a body says. */
export const listingOf = (
  { ContinuationToken, StoreFiles, StoreFolders }: ListingBody,
): ListingPage => ({
  entries: [...(StoreFiles ?? []).map(fileOf), ...(StoreFolders ?? []).map(folderOf)],
  token: ContinuationToken ?? "",
})

const fileOf = ({ FileSize, FileVersion, ModifiedDate, StoreRelativePath }: FileLine): File => ({
  _tag: "File",
  path: pathFromWire(StoreRelativePath),
  // In the order of their weight.
  version:
    `${FileVersion.EpochDataLossNumber}.${FileVersion.EpochConfigurationNumber}.${FileVersion.VersionNumber}`,
  size: Number(FileSize),
  modified: dateOf(ModifiedDate),
})

const folderOf = ({ FileCount, StoreRelativePath }: FolderLine): Folder => ({
  _tag: "Folder",
  path: pathFromWire(StoreRelativePath),
  fileCount: Number(FileCount),
})

/** The size of everything below a folder. */
export interface FolderSize {
  /** From the root of the store. */
  readonly path: ImageStorePath
  /** Bytes. */
  readonly size: number
}

/** Reads the body of a folder size (protocol.md 3.5). */
export const FolderSize: Schema.Struct<{
  path: Wire<"StoreRelativePath", ImageStorePath, string>
  size: Wire<"FolderSize", number, string | number>
}> = Schema.Struct({
  path: wire("StoreRelativePath", ImageStorePathFromWire),
  size: wire("FolderSize", Count),
})

/** Space that one kind of files takes. */
export interface StoreUsage {
  /** Bytes. */
  readonly size: number
  /** How many there are. */
  readonly files: number
}

/** How full the disk of the image store's primary is, and with what. */
export interface ImageStoreInfo {
  /** Bytes that the disk holds. */
  readonly capacity: number
  /** Bytes that are free on it. */
  readonly available: number
  /** The store's own records. */
  readonly metadata: StoreUsage
  /** Chunks of upload sessions, and files on their way in. */
  readonly staging: StoreUsage
  /** Content that was uploaded or copied. */
  readonly copy: StoreUsage
  /** Registered application packages. */
  readonly register: StoreUsage
}

type UsageWire = { readonly UsedSpace: string | number; readonly FileCount: string | number }

const Usage: Schema.Schema<StoreUsage, UsageWire> = Schema.Struct({
  size: wire("UsedSpace", Count),
  files: wire("FileCount", Count),
})

interface InfoWire {
  readonly DiskInfo: { readonly Capacity: string | number; readonly AvailableSpace: string | number }
  readonly UsedByMetadata: UsageWire
  readonly UsedByStaging: UsageWire
  readonly UsedByCopy: UsageWire
  readonly UsedByRegister: UsageWire
}

const InfoBody = Schema.Struct({
  DiskInfo: Schema.Struct({ Capacity: Count, AvailableSpace: Count }),
  UsedByMetadata: Usage,
  UsedByStaging: Usage,
  UsedByCopy: Usage,
  UsedByRegister: Usage,
})

/** Reads the body of an image store info: one object, or an array with one (protocol.md 3.5). */
export const ImageStoreInfo: Schema.Schema<ImageStoreInfo, InfoWire | readonly [InfoWire]> = Schema.transform(
  Schema.Union(InfoBody, Schema.Tuple(InfoBody)),
  Schema.Any as Schema.Schema<ImageStoreInfo>,
  {
    strict: true,
    decode: (body): ImageStoreInfo => {
      const info = "DiskInfo" in body ? body : body[0]
      return {
        capacity: info.DiskInfo.Capacity,
        available: info.DiskInfo.AvailableSpace,
        metadata: info.UsedByMetadata,
        staging: info.UsedByStaging,
        copy: info.UsedByCopy,
        register: info.UsedByRegister,
      }
    },
    encode: (info) => ({
      DiskInfo: { Capacity: info.capacity, AvailableSpace: info.available },
      UsedByMetadata: info.metadata,
      UsedByStaging: info.staging,
      UsedByCopy: info.copy,
      UsedByRegister: info.register,
    }),
  },
)
