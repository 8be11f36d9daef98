/**
 * A package in a folder.
 *
 * @module
 */
import { type Dirent, readdirSync, realpathSync, type Stats, statSync } from "node:fs"
import { join, sep } from "node:path"
import type { Problem } from "../PackageError.ts"
import { codeOf } from "../system/codeOf.ts"
import type { PackageContent, PackageFile } from "./PackageContent.ts"

/** What stands in a name for bytes that are no UTF-8: nothing is found by it. */
const UNREADABLE = "\ufffd"

/**
 * Finds everything in a folder. Links are followed while they stay in it; those that leave it, turn in a circle or
 * lead nowhere are problems. Throws only when the folder itself cannot be read. Not one call is asynchronous: to hand so
 * short ones to another thread costs ten times as much.
 */
export const readFolder = (source: string): PackageContent => {
  const files: Array<PackageFile> = []
  const folders: Array<string> = []
  const problems: Array<Problem> = []
  const root = realpathSync(source)

  const visit = (folder: string, prefix: string, above: ReadonlyArray<string>): void => {
    const inside = [...above, folder]
    for (const entry of readdirSync(folder, { withFileTypes: true })) {
      const name = prefix + entry.name
      try {
        take(entry, join(folder, entry.name), name, inside)
      } catch (cause) {
        const code = codeOf(cause)
        problems.push({
          text: code === "ENOENT" && entry.name.includes(UNREADABLE)
            ? `${name} cannot be read: its name is no UTF-8`
            : `${name} cannot be read (${code})`,
        })
      }
    }
  }

  const take = (
    entry: Dirent,
    path: string,
    name: string,
    inside: ReadonlyArray<string>,
  ): void => {
    const target = entry.isSymbolicLink() ? realpathSync(path) : path
    if (target !== path && !target.startsWith(root + sep)) {
      problems.push({
        text: inside.includes(target)
          ? `${name} is a link to a folder that it lies in`
          : `${name} is a link that leaves the folder`,
      })
      return
    }
    const found = target === path && entry.isDirectory() ? entry : statSync(target)
    if (found.isDirectory()) {
      if (inside.includes(target)) {
        problems.push({ text: `${name} is a link to a folder that it lies in` })
        return
      }
      folders.push(name)
      return visit(target, `${name}/`, inside)
    }
    if (!found.isFile()) problems.push({ text: `${name} is neither a file nor a folder` })
    else files.push({ name, size: (found as Stats).size, source: target })
  }

  visit(root, "", [])
  return { source, files, folders, problems }
}
