/**
 * Code, config and data packages as zip files, which Service Fabric unpacks when it provisions the application.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { open } from "node:fs/promises"
import { join } from "node:path"
import { codeOf } from "../system/codeOf.ts"
import { SourceError } from "../UploadEvent.ts"
import { compressionFolder, unwritable, zipName } from "./compressionFolder.ts"
import { lastName, type PackageContent, type PackageFile, readableOf } from "./PackageContent.ts"
import { MARKER } from "./packagePlan.ts"
import { loadZip } from "./zipArchive.ts"

/** The same for all entries and everywhere, so that a package gives the same bytes whenever it is compressed. */
const DATE = new Date(1980, 0, 1)

/** Milliseconds between two times at which it is told how much has been read. */
const TELL_EVERY = 250

/** A folder that becomes a zip file. */
interface Compression {
  /** Path of the folder in the package. */
  readonly folder: string
  readonly files: ReadonlyArray<PackageFile>
  /** Bytes before. */
  readonly bytes: number
}

/** What is told of compressions. */
export interface CompressionHooks {
  /** The turn of a folder has come. */
  readonly begins: (compression: Compression) => void
  /** So many bytes of all folders have been read. Told a few times a second, and in the end. */
  readonly read: (bytes: number) => void
}

/** The folders of `packages` that can become zip files: those that hold something. */
export const compressionsOf = (
  content: PackageContent,
  packages: ReadonlyArray<string>,
): ReadonlyArray<Compression> =>
  packages.map((folder) => {
    const files = content.files
      .filter(({ name }) => name.startsWith(`${folder}/`) && lastName(name) !== MARKER)
      .toSorted((a, b) => a.name < b.name ? -1 : 1)
    return { folder, files, bytes: files.reduce((sum, { size }) => sum + size, 0) }
  }).filter(({ files }) => files.length > 0)

/**
 * The package with those folders as zip files, made in the system's folder for temporary files and removed with the
 * scope. The package itself is left as it is. The same files give the same bytes on one machine. Fails when a file is
 * not as long any more as it was found to be.
 */
export const compressPackage = (
  content: PackageContent,
  compressions: ReadonlyArray<Compression>,
  { begins, read }: CompressionHooks,
): Effect.Effect<PackageContent, SourceError, Scope.Scope> =>
  Effect.gen(function* () {
    const failed = (cause: unknown) => failure(content.source, cause)
    const unwritten = (cause: unknown) =>
      new SourceError({ source: content.source, issue: unwritable(cause) })
    const clock = yield* Effect.clock
    let seen = 0
    let told = 0
    const note = (bytes: number) => {
      seen += bytes
      const now = clock.unsafeCurrentTimeMillis()
      if (now - told < TELL_EVERY) return
      told = now
      read(seen)
    }
    const place = yield* Effect.mapError(compressionFolder, unwritten)
    const zips = yield* Effect.forEach(compressions, (compression, index) => {
      const source = join(place, zipName(index))
      begins(compression)
      return Effect.map(
        toItsEnd((signal) => writeZip(source, compression, note, unwritten, signal), failed),
        (size): PackageFile => ({ name: `${compression.folder}.zip`, size, source }),
      )
    })
    read(seen)
    const gone = (name: string) => compressions.some(({ folder }) => `${name}/`.startsWith(`${folder}/`))
    return {
      ...content,
      files: [...content.files.filter(({ name }) => !gone(name)), ...zips],
      folders: content.folders.filter((name) => !gone(name)),
    }
  })

/** Interrupted, it is told so and waited for: what it has open cannot be removed everywhere. */
const toItsEnd = <A, E>(
  run: (signal: AbortSignal) => Promise<A>,
  failed: (cause: unknown) => E,
): Effect.Effect<A, E> =>
  Effect.async((resume, signal) => {
    const done = run(signal).then(
      (value) => resume(Effect.succeed(value)),
      (cause) => resume(Effect.fail(failed(cause))),
    )
    return Effect.promise(() => done)
  })

/** Writes a zip file and tells its size in bytes. When it ends, however it does, nothing of it is open. */
const writeZip = async (
  path: string,
  { files, folder }: Compression,
  note: (bytes: number) => void,
  unwritten: (cause: unknown) => SourceError,
  signal: AbortSignal,
): Promise<number> => {
  const { ZipWriter } = await loadZip()
  const fail = (cause: unknown) => Promise.reject(unwritten(cause))
  const out = await open(path, "w").catch(fail)
  try {
    let size = 0
    const write = async (piece: Uint8Array) => {
      await out.writeFile(piece).catch(fail)
      size += piece.length
    }
    const writer = new ZipWriter(new WritableStream({ write }), {
      useWebWorkers: false,
      keepOrder: true,
      lastModDate: DATE,
      extendedTimestamp: false,
      signal,
    })
    for (const file of files) {
      await reading(
        file,
        note,
        (readable) => writer.add(file.name.slice(folder.length + 1), { readable, size: file.size }),
      )
    }
    await writer.close()
    return size
  } finally {
    await out.close()
  }
}

/** Gives all bytes of a file to `use`, and tells how many of them `note`. Fails where they are not as many as it had. */
const reading = async (
  file: PackageFile,
  note: (bytes: number) => void,
  use: (readable: ReadableStream<Uint8Array>) => Promise<unknown>,
): Promise<void> => {
  const source = typeof file.source === "string" ? file.source : file.name
  const changed = () => new SourceError({ source, issue: "it changed while it was compressed" })
  let seen = 0
  try {
    const { close, read } = await openFile(file)
    try {
      await use(
        new ReadableStream({
          pull: async (controller) => {
            const piece = await read()
            if (piece === undefined) return controller.close()
            seen += piece.length
            // One that grows all the time would have no end.
            if (seen > file.size) throw changed()
            note(piece.length)
            controller.enqueue(piece)
          },
        }),
      )
    } finally {
      await close()
    }
  } catch (cause) {
    throw seen > file.size ? changed() : failure(source, cause)
  }
  if (seen < file.size) throw changed()
}

/** Bytes read at a time. */
const PIECE = 256 * 1024

interface OpenFile {
  /** Nothing at the end. */
  readonly read: () => Promise<Uint8Array | undefined>
  readonly close: () => Promise<void>
}

const openFile = async (file: PackageFile): Promise<OpenFile> => {
  if (typeof file.source !== "string") {
    const reader = readableOf(file).getReader()
    return { read: async () => (await reader.read()).value, close: () => reader.cancel() }
  }
  const handle = await open(file.source)
  return {
    read: async () => {
      const piece = new Uint8Array(PIECE)
      const { bytesRead } = await handle.read(piece, 0, PIECE)
      return bytesRead === 0 ? undefined : piece.subarray(0, bytesRead)
    },
    close: () => handle.close(),
  }
}

/** Why it failed, unless that is known already. */
const failure = (source: string, cause: unknown): SourceError =>
  cause instanceof SourceError
    ? cause
    : new SourceError({ source, issue: `it cannot be compressed (${codeOf(cause)})` })
