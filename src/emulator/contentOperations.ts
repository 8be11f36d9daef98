/**
 * Listing, deleting, copying and measuring what is stored (protocol.md 3).
 *
 * @module
 */
import type { StoredFile } from "./Content.ts"
import * as ErrorCode from "./ErrorCode.ts"
import type { ImageStoreState } from "./ImageStoreState.ts"
import * as StorePath from "./StorePath.ts"

/** A folder in a listing. */
interface ListedFolder {
  readonly path: string
  /** Files at any depth below it, counted in 16 bits. */
  readonly fileCount: number
}

/** One page of a listing. */
interface Listing {
  readonly files: Array<StoredFile>
  readonly folders: Array<ListedFolder>
  /** The path of the first entry that did not fit. Empty: that was all. */
  readonly continuation: string
}

/** Roughly what the service counts for an entry: two bytes a character and its numbers. */
const estimate = (path: string): number => 2 * path.length + 64

/** What is directly in a folder, or the file of that name. `""` is the root. */
export const list = (
  state: ImageStoreState,
  path: string,
  options: { readonly from?: string | undefined; readonly pageBytes: number },
): Listing => {
  const separator = StorePath.separatorOf(state.os)
  const folder = StorePath.normalize(path, state.os)
  const key = StorePath.keyOf(folder, state.os)
  const prefix = key === "" ? "" : key + separator
  const { from: given = "" } = options
  const token = StorePath.keyOf(StorePath.normalize(given, state.os), state.os)
  // A folder goes on where its content begins: `sub.txt` comes before what is below `sub`, and was listed.
  const isFolder = token !== "" && (given.endsWith(separator) || state.files.get(token) === undefined) &&
    !isEmpty(state, token + separator)
  const from = isFolder ? token + separator : token
  const file = key === "" ? undefined : state.files.get(key)
  // Where a file and a folder share a name, Windows shows the folder and Linux the file.
  if (file !== undefined && (state.os === "linux" || isEmpty(state, prefix))) {
    return { files: from > key ? [] : [file], folders: [], continuation: "" }
  }
  const files: Array<StoredFile> = []
  const folders: Array<ListedFolder> = []
  let room = options.pageBytes
  let open: { path: string; key: string; fileCount: number } | undefined
  let continuation = ""
  const fits = (entry: string, token = entry): boolean => {
    // The first one always does, or there would be no end of pages.
    const first = room === options.pageBytes
    room -= estimate(entry)
    if (room >= 0 || first) return true
    continuation = token
    return false
  }
  const close = (): boolean => {
    if (open === undefined) return true
    // A file of the same name was listed before; the separator says that it is not meant.
    const alone = state.files.get(open.key) === undefined
    if (!fits(open.path, alone ? open.path : open.path + separator)) return false
    folders.push({ path: open.path, fileCount: open.fileCount & 0xffff })
    open = undefined
    return true
  }
  for (const found of state.files.startingWith(prefix, from)) {
    if (state.isWriting(found.key)) continue
    const end = found.key.indexOf(separator, prefix.length)
    if (end >= 0) {
      const below = found.key.slice(0, end)
      if (open?.key === below) open.fileCount++
      else if (close()) open = { path: found.path.slice(0, end), key: below, fileCount: 1 }
      else break
    } else if (close() && fits(found.path)) files.push(found)
    else break
  }
  if (continuation === "") close()
  files.sort(byNameWithoutCase)
  return { files, folders, continuation }
}

const isEmpty = (state: ImageStoreState, prefix: string): boolean =>
  state.files.startingWith(prefix).next().done === true

/** The gateway puts files into a map that ignores case, on either system. */
const byNameWithoutCase = (a: StoredFile, b: StoredFile): number => {
  const [left, right] = [StorePath.lowerCase(a.key), StorePath.lowerCase(b.key)]
  return left < right ? -1 : left > right ? 1 : a.key < b.key ? -1 : 1
}

/** A stable file of exactly that path, or a stable marker file directly in it. */
export const exists = (state: ImageStoreState, path: string): boolean => {
  const key = StorePath.keyOf(StorePath.normalize(path, state.os), state.os)
  const marker = key + StorePath.separatorOf(state.os) + StorePath.MARKER
  return [key, marker].some((name) => state.files.get(name) !== undefined && !state.isWriting(name))
}

const RESERVED = new Set(["store", "windowsfabricstore"])

/** Removes a file, or a folder with everything below it. What is not there is as good as removed. */
export const remove = (state: ImageStoreState, path: string): ErrorCode.Failure | undefined => {
  const normalized = StorePath.normalize(path, state.os)
  if (RESERVED.has(normalized.toLowerCase())) return ErrorCode.reservedDirectory
  const key = StorePath.keyOf(normalized, state.os)
  if (key === "") return ErrorCode.invalidArgument
  if (state.files.get(key) !== undefined) state.files.delete(key)
  else removeBelow(state, key)
}

const removeBelow = (state: ImageStoreState, key: string): void => {
  for (const file of [...state.files.startingWith(key + StorePath.separatorOf(state.os))]) {
    state.files.delete(file.key)
  }
}

/** The body of a copy. */
export interface CopyDescription {
  readonly source: string
  readonly destination: string
  readonly skipFiles: ReadonlyArray<string>
  readonly echo: boolean
}

/** Copies a file, or a folder that carries a marker (protocol.md 3.4). */
export const copy = (
  state: ImageStoreState,
  description: CopyDescription,
  now: number,
): ErrorCode.Failure | undefined => {
  const destination = StorePath.normalize(description.destination, state.os)
  const refused = StorePath.refusal(destination, state.os)
  if (refused !== undefined) return refused
  const separator = StorePath.separatorOf(state.os)
  // The source is compared as given: separators are not converted, case does not count on either system.
  const source = StorePath.lowerCase(description.source)
  const file = find(state, source)
  if (file !== undefined) {
    const there = state.files.get(StorePath.keyOf(destination, state.os)) !== undefined
    return description.echo && there ? undefined : state.copyFile(file, destination, now)
  }
  const marker = find(state, source + separator + StorePath.MARKER)
  if (marker === undefined) return ErrorCode.fileNotFound
  const there = state.files.get(StorePath.keyOf(destination + separator + StorePath.MARKER, state.os))
  if (description.echo && there !== undefined) return
  const skipped = new Set(description.skipFiles.map(StorePath.lowerCase))
  const nameOf = (path: string) => StorePath.lowerCase(path.slice(path.lastIndexOf(separator) + 1))
  const sources = [...state.files.all()].filter((found) =>
    StorePath.lowerCase(found.path).startsWith(source + separator) && found.key !== marker.key &&
    !skipped.has(nameOf(found.path))
  )
  // What is there goes first, be it a file or a folder.
  const destinationKey = StorePath.keyOf(destination, state.os)
  state.files.delete(destinationKey)
  removeBelow(state, destinationKey)
  for (const found of [...sources, marker]) {
    // The destination may lie in the source, and was deleted first.
    if (state.files.get(found.key) !== found) return ErrorCode.fileNotFound
    const failure = state.copyFile(found, destination + found.path.slice(source.length), now)
    if (failure !== undefined) return failure
  }
}

const find = (state: ImageStoreState, lowerCased: string): StoredFile | undefined => {
  if (state.os === "windows") return state.files.get(lowerCased)
  for (const file of state.files.all()) {
    if (StorePath.lowerCase(file.key) === lowerCased) return file
  }
}

/** Bytes and number of the files at and below a path, and its normalized spelling. */
export const measure = (
  state: ImageStoreState,
  path: string,
): { readonly path: string; readonly bytes: number; readonly files: number } => {
  const normalized = StorePath.normalize(path, state.os)
  const key = StorePath.keyOf(normalized, state.os)
  const own = state.files.get(key)
  let bytes = own?.content.size ?? 0
  let files = own === undefined ? 0 : 1
  const below = key === ""
    ? state.files.all()
    : state.files.startingWith(key + StorePath.separatorOf(state.os))
  for (const file of below) {
    bytes += file.content.size
    files += 1
  }
  return { path: normalized, bytes, files }
}
