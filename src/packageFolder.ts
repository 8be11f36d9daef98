/**
 * A package in a folder.
 *
 * @module
 */
import { type Dirent, type Stats, statSync } from "node:fs"
import { readdir, realpath } from "node:fs/promises"
import { join, sep } from "node:path"
import { codeOf } from "./codeOf.ts"
import type { PackageContent, PackageFile } from "./PackageContent.ts"
import type { Problem } from "./PackageError.ts"

/**
 * Finds everything in a folder. Links are followed while they stay in it; those that leave it, turn in a circle or
 * lead nowhere are problems. Rejects only when the folder itself cannot be read.
 */
export const readFolder = async (source: string): Promise<PackageContent> => {
  const files: Array<PackageFile> = []
  const folders: Array<string> = []
  const problems: Array<Problem> = []
  const root = await realpath(source)

  const visit = async (folder: string, prefix: string, above: ReadonlyArray<string>): Promise<void> => {
    const inside = [...above, folder]
    for (const entry of await readdir(folder, { withFileTypes: true })) {
      const name = prefix + entry.name
      try {
        await take(entry, join(folder, entry.name), name, inside)
      } catch (cause) {
        problems.push({ text: `${name} cannot be read (${codeOf(cause)})` })
      }
    }
  }

  const take = async (
    entry: Dirent,
    path: string,
    name: string,
    inside: ReadonlyArray<string>,
  ): Promise<void> => {
    const target = entry.isSymbolicLink() ? await realpath(path) : path
    if (target !== path && !target.startsWith(root + sep)) {
      problems.push({
        text: inside.includes(target)
          ? `${name} is a link to a folder that it lies in`
          : `${name} is a link that leaves the folder`,
      })
      return
    }
    // Not awaited: to hand so short a call to another thread costs ten times as much.
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

  await visit(root, "", [])
  return { source, files, folders, problems }
}
