/**
 * Code, config and data packages as zip files, which Service Fabric unpacks when it provisions the application.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { createWriteStream } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Writable } from "node:stream"
import { codeOf } from "./codeOf.ts"
import { lastName, type PackageContent, type PackageFile, readableOf } from "./PackageContent.ts"
import { MARKER } from "./packagePlan.ts"
import { SourceError } from "./UploadEvent.ts"
import { loadZip } from "./zipArchive.ts"

/** The same for all entries and everywhere, so that a package gives the same bytes whenever it is compressed. */
const DATE = new Date(1980, 0, 1)

/** A folder that becomes a zip file. */
export interface Compression {
  /** Path of the folder in the package. */
  readonly folder: string
  readonly files: ReadonlyArray<PackageFile>
  /** Bytes before. */
  readonly bytes: number
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
 * scope. The package itself is left as it is. The same files give the same bytes on one machine.
 */
export const compressPackage = (
  content: PackageContent,
  compressions: ReadonlyArray<Compression>,
): Effect.Effect<PackageContent, SourceError, Scope.Scope> =>
  Effect.gen(function* () {
    const failed = (cause: unknown) =>
      new SourceError({ source: content.source, issue: `it cannot be compressed (${codeOf(cause)})` })
    const place = yield* Effect.acquireRelease(
      Effect.tryPromise({ try: () => mkdtemp(join(temporary(), "image-store-zip-")), catch: failed }),
      (place) => Effect.promise(() => rm(place, { recursive: true, force: true, maxRetries: 3 })),
    )
    const zips = yield* Effect.forEach(compressions, ({ files, folder }, index) => {
      const source = join(place, `${index}.zip`)
      return Effect.map(
        Effect.tryPromise({ try: (signal) => writeZip(source, folder, files, signal), catch: failed }),
        (size): PackageFile => ({ name: `${folder}.zip`, size, source }),
      )
    })
    const gone = (name: string) => compressions.some(({ folder }) => `${name}/`.startsWith(`${folder}/`))
    return {
      ...content,
      files: [...content.files.filter(({ name }) => !gone(name)), ...zips],
      folders: content.folders.filter((name) => !gone(name)),
    }
  })

/** Deno does not tell without the permission to read the environment. */
const temporary = (): string => {
  try {
    return tmpdir()
  } catch {
    return "/tmp"
  }
}

/** Writes a zip file and tells its size in bytes. */
const writeZip = async (
  path: string,
  folder: string,
  files: ReadonlyArray<PackageFile>,
  signal: AbortSignal,
): Promise<number> => {
  const { ZipWriter } = await loadZip()
  const out = createWriteStream(path)
  const writer = new ZipWriter(Writable.toWeb(out) as WritableStream<Uint8Array>, {
    useWebWorkers: false,
    keepOrder: true,
    lastModDate: DATE,
    extendedTimestamp: false,
    signal,
  })
  for (const file of files) {
    await writer.add(file.name.slice(folder.length + 1), { readable: readableOf(file), size: file.size })
  }
  await writer.close()
  return out.bytesWritten
}
