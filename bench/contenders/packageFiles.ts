/**
 * The files of a folder.
 *
 * @module
 */
import * as Fs from "node:fs"
import * as Path from "node:path"

/** A file of a package. */
export interface PackageFile {
  /** Below the package, with `/` between names. */
  readonly name: string
  readonly file: string
  readonly size: number
}

/** The files of a folder, folder by folder, each folder's own first. */
export const filesOf = (folder: string, prefix = ""): Array<PackageFile> => {
  const entries = Fs.readdirSync(folder, { withFileTypes: true })
  const at = (name: string) => Path.join(folder, name)
  return [
    ...entries.filter((entry) => entry.isFile()).map(({ name }) => ({
      name: prefix + name,
      file: at(name),
      size: Fs.statSync(at(name)).size,
    })),
    ...entries.filter((entry) => entry.isDirectory()).flatMap(({ name }) =>
      filesOf(at(name), `${prefix}${name}/`)
    ),
  ]
}
