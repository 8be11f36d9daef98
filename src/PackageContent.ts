/**
 * What a package holds, wherever it comes from.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import { Readable } from "node:stream"
import type { Problem } from "./PackageError.ts"
import type { Source } from "./UploadEvent.ts"

/** A file of a package. */
export interface PackageFile {
  /** Path in the package, with `/` between names. */
  readonly name: string
  /** Bytes. */
  readonly size: number
  readonly source: Source
}

/** The files and folders of a package, as they were found. Names are not checked yet. */
export interface PackageContent {
  /** The folder or archive. */
  readonly source: string
  readonly files: ReadonlyArray<PackageFile>
  /** Paths of folders. Those that hold files may be left out. */
  readonly folders: ReadonlyArray<string>
  /** What could not be taken in. */
  readonly problems: ReadonlyArray<Problem>
}

/** The folders that a path lies in, the outermost first; the package itself is not one of them. */
export const parentsOf = (name: string): ReadonlyArray<string> => {
  const names = name.split("/")
  return names.slice(0, -1).map((_, index) => names.slice(0, index + 1).join("/")).filter((parent) =>
    parent !== ""
  )
}

/** The last name of a path. */
export const lastName = (name: string): string => name.slice(name.lastIndexOf("/") + 1)

/** The bytes of a file, as the web reads them. */
export const readableOf = ({ source }: PackageFile): ReadableStream<Uint8Array> =>
  typeof source === "string"
    ? Readable.toWeb(createReadStream(source, { highWaterMark: 256 * 1024 })) as ReadableStream<Uint8Array>
    : Stream.toReadableStream(
      source instanceof Uint8Array ? Stream.succeed(source) : source.stream,
    )

/** All bytes of a file, in memory. Fails with a sentence. */
export const readAll = (file: PackageFile): Effect.Effect<Uint8Array<ArrayBuffer>, string> =>
  Effect.tryPromise({
    try: async () => new Uint8Array(await new Response(readableOf(file)).arrayBuffer()),
    catch: (cause) => cause instanceof Error ? cause.message : String(cause),
  })
