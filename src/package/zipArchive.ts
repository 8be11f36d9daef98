/**
 * A package in a zip file: `.zip` and `.sfpkg`. It is read entry by entry, nothing is unpacked to disk.
 *
 * @module
 */
import type * as Zip from "@zip.js/zip.js"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import * as Fs from "node:fs/promises"
import { PackageError, type Problem } from "../PackageError.ts"
import { codeOf } from "../system/codeOf.ts"
import { messageOf } from "../system/messageOf.ts"
import type { PackageContent, PackageFile } from "./PackageContent.ts"

/** The library's part without workers and file systems. It is loaded when the first archive is. */
export const loadZip = (): Promise<typeof Zip> => import("@zip.js/zip.js/lib/zip-core-native.js")

/** Stored, and deflated: all that Service Fabric and its tools use. */
const METHODS: ReadonlySet<number> = new Set([0, 8])

/** Below so many bytes no archive counts as a bomb. */
const HARMLESS = 2 ** 30
/** Archives of programs unpack to 2 to 4 times their size; a bomb to a thousand times. */
const LARGEST_RATIO = 200

/** Bytes that an archive of `size` bytes may unpack to where nothing else is said: at most 64 GiB. */
const defaultLimit = (size: number): number => Math.min(2 ** 36, Math.max(HARMLESS, size * LARGEST_RATIO))

/**
 * Opens an archive for as long as the scope lasts. Links, encrypted entries and duplicate names are problems, and so
 * is unpacking to more than `limit` bytes. That an entry unpacks to what is said of it is seen when it is read: its
 * stream fails otherwise.
 */
export const openArchive = (
  source: string,
  limit: number | undefined,
): Effect.Effect<PackageContent, PackageError, Scope.Scope> =>
  Effect.gen(function* () {
    const refuse = (problem: string) => new PackageError({ source, problems: [problem] })
    const file = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: () => Fs.open(source, "r"),
        catch: (cause) => refuse(`it cannot be read (${codeOf(cause)})`),
      }),
      (file) => Effect.promise(() => file.close()),
    )
    const { entries, size } = yield* Effect.tryPromise({
      try: () => readEntries(file),
      catch: (cause) => refuse(`it is not a zip file that can be read (${messageOf(cause)})`),
    })
    const unpacked = entries.reduce((sum, { uncompressedSize }) => sum + uncompressedSize, 0)
    const most = limit ?? defaultLimit(size)
    if (unpacked > most) {
      return yield* refuse(
        `its ${size} bytes would unpack to ${unpacked}, more than the limit of ${most}; ` +
          "raise unpackedLimit if that is meant",
      )
    }
    return contentOf(source, entries)
  })

const readEntries = async (file: Fs.FileHandle) => {
  const { Reader, ZipReader } = await loadZip()
  const { size } = await file.stat()
  class FileReader extends Reader<Fs.FileHandle> {
    override size = size
    override async readUint8Array(index: number, length: number): Promise<Uint8Array> {
      const bytes = new Uint8Array(Math.max(0, Math.min(length, size - index)))
      for (let filled = 0; filled < bytes.length;) {
        const { bytesRead } = await file.read(bytes, filled, bytes.length - filled, index + filled)
        if (bytesRead === 0) throw new Error("the archive became shorter while it was read")
        filled += bytesRead
      }
      return bytes
    }
  }
  const reader = new ZipReader(new FileReader(file), {
    useWebWorkers: false,
    checkCrc32: true,
    // Bombs let many entries share the same bytes.
    checkOverlappingEntry: true,
    // All names are checked together with those of folders, and all that are wrong are told at once.
    filenameValidation: "tolerant",
  })
  return { entries: await reader.getEntries(), size }
}

const contentOf = (source: string, entries: ReadonlyArray<Zip.Entry>): PackageContent => {
  const files: Array<PackageFile> = []
  const folders: Array<string> = []
  const problems: Array<Problem> = []
  const seen = new Set<string>()
  for (const entry of entries) {
    // Old tools of .NET write \ between names, which the format forbids.
    const name = entry.filename.replaceAll("\\", "/")
    if (entry.directory) {
      folders.push(name.replace(/\/$/, ""))
      continue
    }
    if (seen.has(name)) {
      problems.push({ text: `${name} is in the archive twice` })
      continue
    }
    seen.add(name)
    const problem = entry.encrypted
      ? "is encrypted"
      : entry.symlink
      ? "is a link"
      : !METHODS.has(entry.compressionMethod)
      ? `is compressed by method ${entry.compressionMethod}; use deflate`
      : undefined
    if (problem !== undefined) problems.push({ text: `${name} ${problem}` })
    const size = entry.uncompressedSize
    files.push({ name, size, source: { stream: bytesOf(entry), size } })
  }
  return { source, files, folders, problems }
}

/** The bytes of an entry. The stream can be run again. */
const bytesOf = (entry: Zip.FileEntry): Stream.Stream<Uint8Array, string> =>
  Stream.unwrapScoped(Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new AbortController()),
      (controller) => Effect.sync(() => controller.abort()),
    ),
    ({ signal }) => {
      const { readable, writable } = new TransformStream<Uint8Array, Uint8Array>()
      // What goes wrong is met by the one who reads; what is wrong before the first byte would never get there.
      entry.getData(writable, { signal }).catch((cause) => writable.abort(cause)).catch(() => {})
      return Stream.fromReadableStream({
        evaluate: () => readable,
        onError: messageOf,
        releaseLockOnEnd: true,
      })
    },
  ))
