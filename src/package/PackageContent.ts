/**
 * What a package holds, wherever it comes from.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { createReadStream } from "node:fs"
import { Readable } from "node:stream"
import type { Problem } from "../PackageError.ts"
import { messageOf } from "../system/messageOf.ts"
import type { Source } from "../UploadEvent.ts"

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
  const parents: Array<string> = []
  for (let at = name.indexOf("/", 1); at >= 0; at = name.indexOf("/", at + 1)) parents.push(name.slice(0, at))
  return parents
}

/** All folders, also those that only the files in them tell of. Each comes after those that it lies in. */
export const foldersOf = ({ files, folders }: PackageContent): ReadonlySet<string> => {
  const all = new Set<string>()
  const add = (name: string): void => {
    if (name === "" || all.has(name)) return
    add(parentOf(name))
    all.add(name)
  }
  folders.forEach(add)
  for (const { name } of files) add(parentOf(name))
  return all
}

/** The folder that a path lies in; `""` is the package itself. */
export const parentOf = (name: string): string => name.slice(0, Math.max(name.lastIndexOf("/"), 0))

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
    catch: messageOf,
  })
