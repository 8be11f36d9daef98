/**
 * A folder that is there afterwards.
 *
 * @module
 */
import { mkdirSync } from "node:fs"
import { dirname } from "node:path"
import { codeOf } from "./codeOf.ts"

/**
 * Makes a folder and those above it. Node's own way (`recursive`) never ends where the system does not find a
 * folder that it refuses to make, as below `/proc` or a link to nowhere. Whether what is there already is a folder
 * shows when it is written to.
 */
export const makeFolder = (folder: string, mode = 0o777): void => {
  const trouble = troubleOf(folder, mode)
  if (trouble === undefined) return
  const above = dirname(folder)
  if (codeOf(trouble) !== "ENOENT" || above === folder) throw trouble
  makeFolder(above, mode)
  const left = troubleOf(folder, mode)
  if (left !== undefined) throw left
}

/** Why a folder is not there after it was made; somebody else may have made it. */
const troubleOf = (folder: string, mode: number): unknown => {
  try {
    mkdirSync(folder, mode)
    return undefined
  } catch (cause) {
    return codeOf(cause) === "EEXIST" ? undefined : cause
  }
}
