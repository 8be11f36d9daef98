/**
 * What will be where in the store.
 *
 * @module
 */
import { caseless, problemOfPath } from "../ImageStorePath.ts"
import type { Problem } from "../PackageError.ts"
import { foldersOf, lastName, type PackageContent, type PackageFile, parentsOf } from "./PackageContent.ts"

/** The empty file that marks a folder as complete (protocol.md 5.1). */
export const MARKER = "_.dir"

/** What a package will be in the store. */
export interface PackagePlan {
  /** The folder or archive that it comes from. */
  readonly source: string
  /** Where the package goes. */
  readonly path: string
  /** The files, the largest first, so that no large one is left alone at the end. Markers are not among them. */
  readonly files: ReadonlyArray<PackageFile>
  /** The folders, the deepest first; `""`, the package itself, is the last. Each gets a marker. */
  readonly folders: ReadonlyArray<string>
  /** Bytes of all files. */
  readonly bytes: number
}

/** A path below a folder. Either may be empty. */
export const pathIn = (folder: string, name: string): string =>
  folder === "" || name === "" ? folder + name : `${folder}/${name}`

/** The plan, and every name in it that cannot be. */
export const planPackage = (
  content: PackageContent,
  path: string,
): { readonly plan: PackagePlan; readonly problems: ReadonlyArray<Problem> } => {
  const files = content.files.filter(({ name }) => lastName(name) !== MARKER)
  const folders = foldersOf(content)
  const names = [...folders, ...files.map(({ name }) => name)]
  return {
    plan: {
      source: content.source,
      path,
      files: files.toSorted((a, b) => b.size - a.size || (a.name < b.name ? -1 : 1)),
      folders: [...[...folders].sort((a, b) => depth(b) - depth(a)), ""],
      bytes: files.reduce((sum, { size }) => sum + size, 0),
    },
    problems: [
      ...reservedProblems(path),
      ...nameProblems([...content.folders, ...content.files.map(({ name }) => name)]),
      ...[...folders].filter((name) => lastName(name) === MARKER).map((name) => ({
        text: `${name} is a folder, but the store marks folders by files of that name`,
      })),
      ...deviceProblems([...parentsOf(pathIn(path, MARKER)), ...folders]),
      ...collisions(names),
    ],
  }
}

const depth = (name: string): number => name.split("/").length

/** Where the cluster keeps what is provisioned: a package there would be taken for that. */
const reservedProblems = (path: string): ReadonlyArray<Problem> =>
  /^(Store|WindowsFabricStore)(\/|$)/i.test(path)
    ? [{ text: `the cluster keeps its own files in ${path.split("/")[0]}; choose another destination` }]
    : []

/** A folder's name is told once, with the first that needs it, and not with each file below it. */
const nameProblems = (names: ReadonlyArray<string>): ReadonlyArray<Problem> => {
  const wrong = names.flatMap((name) => {
    const problem = problemOfPath(name)
    return problem === undefined ? [] : [{ name, problem }]
  })
  const told = new Set<string>()
  return wrong.sort((a, b) => depth(a.name) - depth(b.name)).flatMap(({ name, problem }) => {
    const part = parentsOf(name).find((parent) => problemOfPath(parent) !== undefined) ?? name
    if (told.has(part)) return []
    told.add(part)
    return [{ text: `${JSON.stringify(name)} cannot be stored: ${problem}` }]
  })
}

/** What Windows takes for a device, whatever comes after a dot. Files get a version before their name, folders do not. */
const DEVICE = /^(con|prn|aux|nul|com[1-9]|lpt[1-9])(\.|$)/i

const deviceProblems = (folders: Iterable<string>): ReadonlyArray<Problem> =>
  [...folders].filter((name) => DEVICE.test(lastName(name))).map((name) => ({
    text: `${name} cannot be a folder: Windows keeps that name for a device`,
    on: "windows",
  }))

const collisions = (names: ReadonlyArray<string>): ReadonlyArray<Problem> => {
  const seen = new Map<string, string>()
  return names.flatMap((name): ReadonlyArray<Problem> => {
    const key = caseless(name)
    const other = seen.get(key)
    if (other === undefined) {
      seen.set(key, name)
      return []
    }
    if (other === name) return [{ text: `${name} is a file and a folder` }]
    // Of two folders of one name, what they hold needs no mention.
    if (parentsOf(name).at(-1) !== parentsOf(other).at(-1)) return []
    return [{
      text: `${other} and ${name} differ by case only, which Windows does not tell apart`,
      on: "windows",
    }]
  })
}
