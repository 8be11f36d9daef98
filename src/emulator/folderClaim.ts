/**
 * Whose data folder it is: what an emulator does not know it neither reads nor removes.
 *
 * ```
 * {data}/emulator.json      that it is one, and for which system
 * {data}/lock               the process that has it open
 * ```
 *
 * @module
 */
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import * as fs from "node:fs"
import * as path from "node:path"
import process from "node:process"
import { codeOf } from "../system/codeOf.ts"
import { isRunning } from "../system/isRunning.ts"
import { makeFolder } from "../system/makeFolder.ts"
import type { Os } from "./StorePath.ts"

const MARK = "emulator.json"
const LOCK = "lock"

const readMark = Schema.decodeUnknownEither(Schema.parseJson(
  Schema.Struct({ format: Schema.Literal(1), os: Schema.Literal("windows", "linux") }),
))

/** Folders that this process has open: it cannot ask the system of itself. */
const own = new Set<string>()

/**
 * Makes a data folder with `subfolders`, or takes one that an emulator of the same system made and nobody has open.
 * Returns how to leave it. Throws where it is anything else, or cannot be written.
 */
export const claimFolder = (folder: string, os: Os, subfolders: ReadonlyArray<string>): () => void => {
  makeFolder(folder)
  const real = fs.realpathSync(folder)
  checkMark(real, os)
  const lock = path.join(real, LOCK)
  const owner = ownerIn(lock) ?? process.pid
  if (owner === process.pid ? own.has(real) : isRunning(owner) === true) {
    throw new Error(`process ${owner} has it open`)
  }
  for (const each of subfolders) {
    makeFolder(each)
    if (!fs.lstatSync(each).isDirectory()) {
      throw new Error(`${path.basename(each)} in it is no folder of its own`)
    }
    tryToWrite(each)
  }
  writeWhole(path.join(real, MARK), JSON.stringify({ format: 1, os }))
  writeWhole(lock, String(process.pid))
  own.add(real)
  return () => {
    own.delete(real)
    fs.rmSync(lock, { force: true })
  }
}

const checkMark = (folder: string, os: Os): void => {
  const text = readIfThere(path.join(folder, MARK))
  if (text === undefined) {
    const [some] = fs.readdirSync(folder)
    if (some === undefined) return
    throw new Error(`it is not empty, and no emulator made it: there is ${some} in it`)
  }
  const mark = readMark(text)
  if (Either.isLeft(mark)) throw new Error(`${MARK} in it was not written by this version`)
  if (mark.right.os !== os) {
    throw new Error(`it holds what an emulator for ${mark.right.os} stored, not one for ${os}`)
  }
}

const ownerIn = (lock: string): number | undefined => {
  const owner = Number(readIfThere(lock))
  return Number.isSafeInteger(owner) && owner > 0 ? owner : undefined
}

const readIfThere = (file: string): string | undefined => {
  try {
    return fs.readFileSync(file, "utf8")
  } catch (cause) {
    if (codeOf(cause) === "ENOENT") return undefined
    throw cause
  }
}

/** A disk that cannot be written says so now, and not to the first upload. */
const tryToWrite = (folder: string): void => {
  const file = path.join(folder, "probe.tmp")
  fs.writeFileSync(file, "")
  fs.rmSync(file)
}

/** A crash leaves what was there before, or all of it. */
export const writeWhole = (file: string, text: string): void => {
  fs.writeFileSync(`${file}.tmp`, text)
  fs.renameSync(`${file}.tmp`, file)
}
