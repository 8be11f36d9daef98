/**
 * Azure Service Fabric's image store for Effect. Every upload session ends, committed or deleted, and nothing is
 * left behind.
 *
 * ```ts
 * import { deleteUploadSession, FabricClient } from "@effect-fabric/image-store"
 * import * as Effect from "effect/Effect"
 *
 * const program = deleteUploadSession({ sessionId: "4a2340e8-d8d8-497c-95fe-cdaa1052f33b" }).pipe(
 *   Effect.catchTag("FabricError", (error) => Effect.logError(error.message)),
 *   Effect.provide(FabricClient.layerCluster({ endpoints: ["http://localhost:19080"] })),
 * )
 * ```
 *
 * @module
 */
export { type CleanedSession, type CleanOptions, cleanSessions } from "./src/cleanSessions.ts"
export { ClusterHttpClient } from "./src/ClusterHttpClient.ts"
export { deleteUploadSession, DeleteUploadSessionParams } from "./src/deleteUploadSession.ts"
export { FabricClient } from "./src/FabricClient.ts"
export { type ClientCertificate, FabricConfig, type RetryPolicy } from "./src/FabricConfig.ts"
export { FabricError, type FabricErrorReason } from "./src/FabricError.ts"
export { type HalfPackage, halfPackages } from "./src/halfPackages.ts"
export {
  copyContent,
  CopyContentParams,
  deleteContent,
  DeleteContentParams,
  getFolderSize,
  GetFolderSizeParams,
  getInfo,
  GetInfoParams,
  hasUploadSessions,
  listContent,
  ListContentParams,
  putFile,
  PutFileParams,
} from "./src/ImageStore.ts"
export {
  type File,
  type Folder,
  FolderSize,
  type ImageStoreEntry,
  ImageStoreInfo,
  type StoreUsage,
} from "./src/ImageStoreContent.ts"
export { ImageStorePath } from "./src/ImageStorePath.ts"
export { type Journal, JournalError, type Records } from "./src/journal/Journal.ts"
export type { JournalEntry, JournalPatch, SessionState } from "./src/journal/JournalEntry.ts"
export type { Owner } from "./src/journal/Owned.ts"
export type { FileRecord, PackagePatch, PackageRecord } from "./src/journal/PackageRecord.ts"
export type { Operation, Request, RunOperation } from "./src/client/Operation.ts"
export type { WithTimeout } from "./src/client/ServerTimeout.ts"
export {
  commitUploadSession,
  CommitUploadSessionParams,
  getUploadSession,
  GetUploadSessionParams,
  getUploadSessions,
  GetUploadSessionsParams,
  putChunk,
  PutChunkParams,
} from "./src/uploadSessions.ts"
export { PackageError } from "./src/PackageError.ts"
export type { PackageEvent, PackageOptions, PackageSummary, PackageUploadError } from "./src/PackageEvent.ts"
export {
  type FileSummary,
  type Source,
  SourceError,
  type UploadError,
  type UploadEvent,
  type UploadOptions,
} from "./src/UploadEvent.ts"
export type { ServerCertificate } from "./src/credentials/ServerCertificate.ts"
export { UploadDeadline } from "./src/UploadDeadline.ts"
export { uploadFile } from "./src/uploadFile.ts"
export { uploadDefaults } from "./src/upload/uploadOptions.ts"
export { uploadPackage } from "./src/uploadPackage.ts"
export { UploadJournal } from "./src/UploadJournal.ts"
export { ByteRange, SessionId, UploadSession } from "./src/UploadSession.ts"
export { type SessionWork, type TransactionOptions, withUploadSession } from "./src/withUploadSession.ts"

if ((import.meta as ImportMeta & { readonly main?: boolean }).main) await import("./src/cli/main.ts")
