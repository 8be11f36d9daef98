/**
 * The eight operations on stored content (protocol.md 3).
 *
 * @module
 */
import { answer, type Call, dateText, type Handler, onPrimary, type Outcome, retrying } from "./Call.ts"
import type { StoredFile } from "./Content.ts"
import * as content from "./contentOperations.ts"
import { parseCopy } from "./copyDescription.ts"
import * as ErrorCode from "./ErrorCode.ts"
import * as Reply from "./Reply.ts"
import { decode } from "./Route.ts"
import * as StorePath from "./StorePath.ts"

const LONGEST_TOKEN = 4096
/** The versions whose listings are not cut into pages. */
const UNPAGED = new Set([1, 2, 3])
/** From this version on, empty listings lack a content type. */
const BARE = 6.2

/** GET of the root or a path. */
export const list: Handler = (call, now) => {
  const token = call.route.query.get("ContinuationToken")
  const from = token === undefined ? undefined : decode(token)
  if (token !== undefined && from === undefined) return Reply.error(ErrorCode.invalidArgument)
  if (from !== undefined && from.length > LONGEST_TOKEN) return Reply.error(ErrorCode.valueTooLarge)
  return onPrimary("retried", (call) => {
    const { path, version } = call.route
    const paged = !UNPAGED.has(version)
    const listing = content.list(call.state, path, {
      from: paged ? from : undefined,
      pageBytes: paged ? call.cluster.pageBytes : Infinity,
    })
    return listing.files.length + listing.folders.length === 0 ? nothing(call) : Reply.json({
      StoreFiles: listing.files.map((file) => showFile(file, version)),
      StoreFolders: listing.folders.map((folder) => ({
        StoreRelativePath: folder.path,
        FileCount: String(folder.fileCount),
      })),
      ...(paged ? { ContinuationToken: encodeURIComponent(listing.continuation) } : {}),
    })
  })(call, now)
}

/** Three ways to say that there is nothing (protocol.md 3.1). */
const nothing = ({ state, route }: Call): Reply.Reply => {
  if (route.operation === "GetImageStoreRootContent") return Reply.error(ErrorCode.nameDoesNotExist)
  const bare = route.version >= BARE
  return content.exists(state, route.path)
    ? bare ? Reply.bareNoContent : Reply.noContent
    : bare
    ? Reply.bareNotFound
    : Reply.emptyNotFound
}

const showFile = (file: StoredFile, version: number): unknown => ({
  StoreRelativePath: file.path,
  FileVersion: {
    EpochDataLossNumber: "131510254310497004",
    VersionNumber: String(file.version),
    EpochConfigurationNumber: String(file.epoch),
  },
  FileSize: String(file.content.size),
  ModifiedDate: dateText(file.modified, version),
})

/** Waits while a commit is writing at, above or below a path. */
const whenFree = (call: Call, now: number, path: string, work: (now: number) => Outcome): Outcome => {
  const key = StorePath.keyOf(StorePath.normalize(path, call.state.os), call.state.os)
  return retrying(call, now, (then) => call.state.isBusy(key) ? undefined : work(then))
}

/** PUT of a whole file. */
export const uploadFile: Handler = onPrimary("passed on", (call, now) => {
  const { path } = call.route
  return whenFree(call, now, path, (then) => answer(call.state.putFile(path, call.takeBody(), then)))
})

/** DELETE of a file, or a folder and everything below it. */
export const deleteContent: Handler = onPrimary("passed on", (call, now) => {
  const { path } = call.route
  return whenFree(call, now, path, () => answer(content.remove(call.state, path)))
})

/** POST `$/Copy`. */
export const copy: Handler = (call, now) => {
  const description = parseCopy(call.text)
  if (description === undefined) return Reply.error(ErrorCode.invalidArgument)
  return onPrimary("passed on", (call, now) =>
    whenFree(
      call,
      now,
      description.destination,
      (then) => answer(content.copy(call.state, description, then)),
    ))(call, now)
}

/** GET `$/FolderSize`, of the root or a path. */
export const folderSize: Handler = onPrimary("retried", ({ state, route }) => {
  const found = content.measure(state, route.path)
  return found.path !== "" && found.files === 0
    ? Reply.error(ErrorCode.fileNotFound)
    : Reply.json({ StoreRelativePath: found.path, FolderSize: String(found.bytes) })
})

/** What `$/Info` says of an unlimited disk: the published example's. */
const EXAMPLE_CAPACITY = 500090007552

/** GET `$/Info`. */
export const info: Handler = onPrimary("retried", ({ state, cluster }) => {
  const all = content.measure(state, "")
  const registered = ["Store", "WindowsFabricStore"].map((folder) => content.measure(state, folder))
  const bytes = registered.reduce((sum, found) => sum + found.bytes, 0)
  const files = registered.reduce((sum, found) => sum + found.files, 0)
  const capacity = state.capacity === Infinity ? EXAMPLE_CAPACITY : state.capacity
  const usage = (usedSpace: number, fileCount: number) => ({
    UsedSpace: String(usedSpace),
    FileCount: cluster.infoShape === "array" ? fileCount : String(fileCount),
  })
  const shown = {
    DiskInfo: {
      Capacity: String(capacity),
      AvailableSpace: String(Math.max(0, capacity - all.bytes - state.staging.bytes)),
    },
    // What the store's own records take is not emulated.
    UsedByMetadata: usage(0, 0),
    UsedByStaging: usage(state.staging.bytes, state.staging.files),
    UsedByCopy: usage(all.bytes - bytes, all.files - files),
    UsedByRegister: usage(bytes, files),
  }
  return Reply.json(cluster.infoShape === "array" ? [shown] : shown)
})
