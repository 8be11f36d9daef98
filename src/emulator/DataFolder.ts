/**
 * Content on disk.
 *
 * ```
 * {data}/content/{n}        the bytes of one request body
 * {data}/files/{v}.json     one stored file: its path, and whose bytes it is made of
 * ```
 * All names are made up here, so no path that a client sends can reach the file system, and other names are left alone.
 * A record is written to a temporary name and renamed, after its bytes: a crash leaves either the whole file or none.
 *
 * @module
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { Buffer } from "node:buffer"
import * as fs from "node:fs"
import * as path from "node:path"
import type { Content, Segment, Sink, Storage, StoredFile } from "./Content.ts"
import { claimFolder, writeWhole } from "./folderClaim.ts"
import { keyOf, type Os } from "./StorePath.ts"

/** A record as it is written. The key follows from the path. */
const Record = Schema.Struct({
  path: Schema.String,
  version: Schema.NonNegativeInt,
  epoch: Schema.NonNegativeInt,
  modified: Schema.Number,
  sessionId: Schema.optional(Schema.String),
  segments: Schema.Array(Schema.Struct({
    name: Schema.String.pipe(Schema.pattern(/^\d*$/)),
    size: Schema.NonNegativeInt,
  })),
})

type Record = typeof Record.Type

const readRecord = Schema.decodeUnknownOption(Schema.parseJson(Record))

/** A storage that holds the file in which it writes open. */
export interface DataFolder extends Storage {
  readonly close: () => void
}

const PIECE = 64 * 1024

/**
 * Opens a data folder, made if need be. What no stored file needs is removed: staged chunks do not last.
 * Throws where the folder is not an emulator's, is open already, or cannot be written.
 */
export const openDataFolder = (folder: string, os: Os): DataFolder => {
  const contentFolder = path.join(folder, "content")
  const filesFolder = path.join(folder, "files")
  const leave = claimFolder(folder, os, [contentFolder, filesFolder])
  const owners = new Map<string, number>()
  const open = new Set<DiskSink>()
  let last = 0

  const segment = (name: string, size: number): Segment => ({
    name,
    size,
    read: (inPassing) => readPieces(path.join(contentFolder, name), inPassing),
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
      const segments = content.segments.map(({ name, size }) => ({ name, size }))
      writeWhole(recordName(file), JSON.stringify({ ...known, segments } satisfies Record))
    },
    drop: (file) => fs.rmSync(recordName(file), { force: true }),
    retain,
    release,
    recover: () => {
      const whole = (name: string, size: number) => sizeOf(path.join(contentFolder, name)) === size
      const files = readRecords(filesFolder)
        // A power loss can leave less than was written.
        .filter(({ segments }) => segments.every(({ name, size }) => size === 0 || whole(name, size)))
        .map(({ segments, ...record }): StoredFile => ({
          ...record,
          sessionId: record.sessionId,
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
      for (const name of fs.readdirSync(contentFolder).filter((name) => /^\d+$/.test(name))) {
        last = Math.max(last, Number(name))
        if (!owners.has(name)) fs.rmSync(path.join(contentFolder, name))
      }
      return [...newest.values()]
    },
    close: () => {
      for (const sink of [...open]) sink.discard()
      leave()
    },
  }
}

/** Writes one body, straight through: memory does not grow with it. */
class DiskSink implements Sink {
  readonly #file: string
  readonly #ended: (size: number) => Segment
  #handle: number | undefined
  #size = 0

  constructor(file: string, ended: (size: number) => Segment) {
    this.#file = file
    this.#ended = ended
  }

  write(bytes: Uint8Array): void {
    if (bytes.byteLength === 0) return
    this.#handle ??= fs.openSync(this.#file, "w")
    for (let at = 0; at < bytes.byteLength;) {
      at += fs.writeSync(this.#handle, bytes, at, bytes.byteLength - at)
    }
    this.#size += bytes.byteLength
    giveBack(bytes)
  }

  end(): Segment {
    this.#close()
    return this.#ended(this.#size)
  }

  discard(): void {
    this.#close()
    fs.rmSync(this.#file, { force: true })
    this.#ended(0)
  }

  #close(): void {
    if (this.#handle !== undefined) fs.closeSync(this.#handle)
    this.#handle = undefined
  }
}

/**
 * Gives memory back at once, where all of it is this piece's: on Deno hundreds of MiB would wait for the collector,
 * which sees only small objects. Node 20 has no `transfer`, and collects in time.
 */
const giveBack = ({ buffer, byteLength }: Uint8Array): void => {
  if (byteLength === buffer.byteLength && buffer instanceof ArrayBuffer) buffer.transfer?.(0)
}

/** Bytes of a file; `undefined` where there is none. */
const sizeOf = (file: string): number | undefined => {
  const found = fs.lstatSync(file, { throwIfNoEntry: false })
  return found?.isFile() ? found.size : undefined
}

/** Records that are whole; what a crash cut off is removed. */
const readRecords = (folder: string): Array<Record> =>
  fs.readdirSync(folder).flatMap((name) => {
    const file = path.join(folder, name)
    if (/^\d+\.json\.tmp$/.test(name)) fs.rmSync(file)
    return /^\d+\.json$/.test(name) ? Option.toArray(readRecord(fs.readFileSync(file, "utf8"))) : []
  })

const readPieces = function* (file: string, inPassing: boolean): Generator<Uint8Array> {
  const handle = fs.openSync(file, "r")
  try {
    let piece: Uint8Array | undefined
    for (;;) {
      if (!inPassing || piece === undefined) piece = Buffer.allocUnsafe(PIECE)
      const read = fs.readSync(handle, piece)
      if (read === 0) return
      yield piece.subarray(0, read)
    }
  } finally {
    fs.closeSync(handle)
  }
}
