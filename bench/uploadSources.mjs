/**
 * Files and packages to upload, made on the spot.
 *
 * @module
 */
import { randomFillSync } from "node:crypto"
import * as Fs from "node:fs"
import * as Path from "node:path"

export const MiB = 1024 * 1024

export const block = randomFillSync(Buffer.alloc(8 * MiB))

/** A file of bytes that do not compress. */
export const makeFile = (file, size) => {
  Fs.mkdirSync(Path.dirname(file), { recursive: true })
  const descriptor = Fs.openSync(file, "w")
  for (let at = 0; at < size; at += block.length) {
    Fs.writeSync(descriptor, block, 0, Math.min(block.length, size - at))
  }
  Fs.closeSync(descriptor)
  return file
}

/** A file of zeros that takes no space. It is read once: else the first to read it waits for the system's memory. */
export const makeHollow = (file, size) => {
  const descriptor = Fs.openSync(file, "w+")
  Fs.ftruncateSync(descriptor, size)
  const buffer = Buffer.alloc(8 * MiB)
  for (let at = 0; at < size; at += buffer.length) Fs.readSync(descriptor, buffer, 0, buffer.length, at)
  Fs.closeSync(descriptor)
  return file
}

/** So many files of so many bytes, 50 in a folder. `kinds`: pairs of both. */
export const makePackage = (folder, kinds) => {
  kinds.forEach(([count, size], kind) => {
    for (let i = 0; i < count; i++) {
      makeFile(
        Path.join(
          folder,
          `Service${kind}Pkg`,
          `Part${Math.trunc(i / 50)}`,
          `file${i}.bin`,
        ),
        size,
      )
    }
  })
  return folder
}

/** The files of a folder, as names below it. */
export const filesIn = (folder) =>
  Fs.readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => {
      const file = Path.join(entry.parentPath ?? entry.path, entry.name)
      return {
        file,
        name: Path.relative(folder, file).replaceAll("\\", "/"),
        size: Fs.statSync(file).size,
      }
    })
