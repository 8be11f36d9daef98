/**
 * Content on disk.
 *
 * ```
 * {data}/content/{n}        the bytes of one request body
 * {data}/files/{v}.json     one stored file: its path, and whose bytes it is made of
 * ```
 * All names are made up here, so no path that a client sends can reach the file system. A record is written
 * to a temporary name and renamed, after its bytes: a crash leaves either the whole file or none.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import * as fs from "node:fs"
import * as path from "node:path"
import { makeFolder } from "../makeFolder.ts"
import type { Content, Segment, Sink, Storage, StoredFile } from "./Content.ts"
import { keyOf, type Os } from "./StorePath.ts"

/** A record as it is written. The key follows from the path. */
interface Record extends Omit<StoredFile, "key" | "content"> {
  readonly segments: ReadonlyArray<{ readonly name: string; readonly size: number }>
}

/** A storage that holds the file in which it writes open. */
export interface DataFolder extends Storage {
  readonly close: () => void
}

const PIECE = 64 * 1024

/**
 * Opens a data folder, made if need be. What no stored file needs is removed: staged chunks do not last.
 * Throws where the folder cannot be made or written.
 */
export const openDataFolder = (folder: string, os: Os): DataFolder => {
  const contentFolder = path.join(folder, "content")
  const filesFolder = path.join(folder, "files")
  for (const each of [contentFolder, filesFolder]) {
    makeFolder(each)
    tryToWrite(each)
  }
  const owners = new Map<string, number>()
  const open = new Set<DiskSink>()
  let last = 0

  const segment = (name: string, size: number): Segment => ({
    name,
    size,
    read: () => readPieces(path.join(contentFolder, name)),
  })
  const retain = (content: Content): void => {
    for (const { name } of content.segments) owners.set(name, (owners.get(name) ?? 0) + 1)
  }
  const release = (content: Content): void => {
    for (const { name } of content.segments) {
      const left = (owners.get(name) ?? 0) - 1
      if (left > 0) owners.set(name, left)
      else {
        owners.delete(name)
        fs.rmSync(path.join(contentFolder, name), { force: true })
      }
    }
  }
  const recordName = (file: StoredFile): string => path.join(filesFolder, `${file.version}.json`)

  return {
    open: () => {
      const name = String(++last)
      const sink = new DiskSink(path.join(contentFolder, name), (size) => {
        open.delete(sink)
        if (size > 0) owners.set(name, 1)
        return size > 0 ? segment(name, size) : segment("", 0)
      })
      open.add(sink)
      return sink
    },
    keep: (file) => {
      const { key: _, content, ...known } = file
      const record: Record = {
        ...known,
        segments: content.segments.map(({ name, size }) => ({ name, size })),
      }
      writeWhole(recordName(file), JSON.stringify(record))
    },
    drop: (file) => fs.rmSync(recordName(file), { force: true }),
    retain,
    release,
    recover: () => {
      const files = readRecords(filesFolder)
        .map(({ segments, ...record }): StoredFile => ({
          ...record,
          key: keyOf(record.path, os),
          content: {
            size: segments.reduce((sum, { size }) => sum + size, 0),
            segments: segments.map(({ name, size }) => segment(name, size)),
          },
        }))
        .sort((a, b) => a.version - b.version)
      // After a crash between writing a new version and removing the old one there are two: the new one counts.
      const newest = new Map(files.map((file) => [file.key, file]))
      for (const file of files) {
        if (newest.get(file.key) === file) retain(file.content)
        else fs.rmSync(recordName(file), { force: true })
      }
      for (const name of fs.readdirSync(contentFolder)) {
        if (!owners.has(name)) fs.rmSync(path.join(contentFolder, name), { force: true, recursive: true })
        else last = Math.max(last, Number(name))
      }
      return [...newest.values()]
    },
    close: () => {
      for (const sink of [...open]) sink.discard()
    },
  }
}

/** Writes one body, straight through: memory does not grow with it. */
class DiskSink implements Sink {
  private readonly file: string
  private readonly ended: (size: number) => Segment
  private handle: number | undefined
  private size = 0

  constructor(file: string, ended: (size: number) => Segment) {
    this.file = file
    this.ended = ended
  }

  write(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return
    this.handle ??= fs.openSync(this.file, "w")
    for (let at = 0; at < bytes.byteLength;) at += fs.writeSync(this.handle, bytes, at, bytes.byteLength - at)
    this.size += bytes.byteLength
    giveBack(bytes)
  }

  end(): Segment {
    this.close()
    return this.ended(this.size)
  }

  discard(): void {
    this.close()
    fs.rmSync(this.file, { force: true })
    this.ended(0)
  }

  private close(): void {
    if (this.handle !== undefined) fs.closeSync(this.handle)
    this.handle = undefined
  }
}

/**
 * Gives memory back at once, where all of it is this piece's: on Deno hundreds of MiB would wait for the collector,
 * which sees only small objects. Node 20 has no `transfer`, and collects in time.
 */
const giveBack = ({ buffer, byteLength }: Uint8Array): void => {
  if (byteLength === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer?.(0)
}

/** A disk that cannot be written says so now, and not to the first upload. */
const tryToWrite = (folder: string): void => {
  const file = path.join(folder, "probe.tmp")
  fs.writeFileSync(file, "")
  fs.rmSync(file)
}

const writeWhole = (file: string, text: string): void => {
  fs.writeFileSync(`${file}.tmp`, text)
  fs.renameSync(`${file}.tmp`, file)
}

/** Records that are whole; what a crash cut off is removed. */
const readRecords = (folder: string): Array<Record> =>
  fs.readdirSync(folder).flatMap((name) => {
    const file = path.join(folder, name)
    if (name.endsWith(".json")) return [JSON.parse(fs.readFileSync(file, "utf8")) as Record]
    fs.rmSync(file, { force: true, recursive: true })
    return []
  })

const readPieces = function* (file: string): Generator<Uint8Array> {
  const handle = fs.openSync(file, "r")
  try {
    for (;;) {
      const piece = Buffer.allocUnsafe(PIECE)
      const read = fs.readSync(handle, piece)
      if (read === 0) return
      yield piece.subarray(0, read)
    }
  } finally {
    fs.closeSync(handle)
  }
}
