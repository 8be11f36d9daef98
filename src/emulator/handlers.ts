/**
 * Which handler does which operation.
 *
 * @module
 */
import type { Handler } from "./Call.ts"
import * as cluster from "./clusterHandlers.ts"
import * as content from "./contentHandlers.ts"
import type { Operation } from "./Route.ts"
import * as session from "./sessionHandlers.ts"

/** All operations that the emulator has. */
export const handlers: Readonly<Record<Operation, Handler>> = {
  CommitImageStoreUploadSession: session.commit,
  CopyImageStoreContent: content.copy,
  DeleteImageStoreContent: content.deleteContent,
  DeleteImageStoreUploadSession: session.deleteSession,
  GetAadMetadata: cluster.aadMetadata,
  GetClusterManifest: cluster.clusterManifest,
  GetClusterVersion: cluster.clusterVersion,
  GetImageStoreContent: content.list,
  GetImageStoreFolderSize: content.folderSize,
  GetImageStoreInfo: content.info,
  GetImageStoreRootContent: content.list,
  GetImageStoreRootFolderSize: content.folderSize,
  GetImageStoreUploadSessionById: session.getById,
  GetImageStoreUploadSessionByPath: session.getByPath,
  UploadFile: content.uploadFile,
  UploadFileChunk: session.uploadChunk,
}
