/**
 * What the store holds below a path, and how that differs from a plan.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import { listContent } from "../ImageStore.ts"
import type { File, ImageStoreEntry } from "../ImageStoreContent.ts"
import { parentsOf } from "./PackageContent.ts"
import { MARKER, type PackagePlan, pathIn } from "./packagePlan.ts"

/** The stored files by their paths below the destination; `""` where the destination itself is a file. */
export type StoredTree = ReadonlyMap<string, File>

/** Folders that are listed at once. */
const CONCURRENCY = 8

/** What is in a folder. One that does not exist holds nothing. `timeout`: seconds. */
export const listFolder = (
  path: string,
  timeout?: number,
): Effect.Effect<ReadonlyArray<ImageStoreEntry>, FabricError, FabricClient> =>
  Effect.catchIf(
    Effect.map(Stream.runCollect(listContent({ path, timeout })), (entries) => [...entries]),
    (error) => error.isNotFound,
    () => Effect.succeed([]),
  )

/** The marker of the folder that was listed, if it has one. */
export const markerIn = (entries: ReadonlyArray<ImageStoreEntry>): File | undefined =>
  entries.find((entry): entry is File => entry._tag === "File" && entry.path.endsWith(`/${MARKER}`))

/** The files at any depth; none where the destination does not exist. `ask` lists one folder. */
export const readTree = (
  destination: string,
  ask: (folder: string) => ReturnType<typeof listFolder>,
): Effect.Effect<StoredTree, FabricError, FabricClient> =>
  Effect.gen(function* () {
    const tree = new Map<string, File>()
    let level: ReadonlyArray<string> = [destination]
    while (level.length > 0) {
      const entries = (yield* Effect.forEach(level, ask, { concurrency: CONCURRENCY })).flat()
      for (const entry of entries) {
        if (entry._tag === "File") tree.set(entry.path.slice(destination.length + 1), entry)
      }
      level = entries.flatMap((entry) => entry._tag === "Folder" ? [entry.path] : [])
    }
    return tree
  })

/** Where the store is not as the plan says. */
interface Difference {
  /** Files that are missing or have another size, in sentences. */
  readonly wrong: ReadonlyArray<string>
  /** Files that the plan does not have, by their paths below the destination. */
  readonly strays: ReadonlyArray<string>
}

/** How names compare: Windows does not tell `a` from `A`. */
export type KeyOf = (name: string) => string

/** The package's own marker may be there or not: it comes when all the rest is right. */
export const compareTree = (plan: PackagePlan, tree: StoredTree, keyOf: KeyOf): Difference => {
  const found = new Map(Array.from(tree, ([name, { size }]) => [keyOf(name), size]))
  const wanted = new Map([
    ...plan.files.map(({ name, size }) => [name, size] as const),
    ...plan.folders.filter((name) => name !== "").map((name) => [pathIn(name, MARKER), 0] as const),
  ])
  const keys = new Set([...wanted.keys(), MARKER].map(keyOf))
  return {
    wrong: [...wanted].flatMap(([name, size]) => {
      const stored = found.get(keyOf(name))
      return stored === size
        ? []
        : stored === undefined
        ? [`the cluster does not list ${name}`]
        : [`the cluster lists ${name} with ${stored} bytes, not ${size}`]
    }),
    strays: [...tree.keys()].filter((name) => !keys.has(keyOf(name))),
  }
}

/** What to delete to be rid of `strays`: whole folders where the plan has none. */
export const rootsOf = (
  plan: PackagePlan,
  strays: ReadonlyArray<string>,
  keyOf: KeyOf,
): ReadonlyArray<string> => {
  const planned = new Set(plan.folders.map(keyOf))
  return [
    ...new Set(strays.map((name) => parentsOf(name).find((parent) => !planned.has(keyOf(parent))) ?? name)),
  ]
}

/** Strays that stand where the plan has a folder, or in a folder where it has a file: these have to go first. */
export const inTheWay = (
  plan: PackagePlan,
  strays: ReadonlyArray<string>,
  keyOf: KeyOf,
): ReadonlyArray<string> => {
  const folders = new Set(plan.folders.map(keyOf))
  const files = new Set(plan.files.map(({ name }) => keyOf(name)))
  return strays.filter((name) =>
    folders.has(keyOf(name)) || parentsOf(name).some((parent) => files.has(keyOf(parent)))
  )
}
