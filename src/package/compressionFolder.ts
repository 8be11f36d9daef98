/**
 * Where a compression writes its zip files: a temporary folder of the system, with its process in the name, so that the
 * next one can remove what a dead one left.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { lstat, mkdtemp, readdir, rm, rmdir, unlink } from "node:fs/promises"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { isStillRunning } from "../system/isRunning.ts"
import { whereAllowed } from "../system/whereAllowed.ts"

const PREFIX = "image-store-zip-"

/** The name of a zip file in its folder. */
export const zipName = (index: number): string => `${index}.zip`

/** A folder of this process, removed with the scope. Those that dead processes left are removed first. */
export const compressionFolder: Effect.Effect<string, unknown, Scope.Scope> = Effect.acquireRelease(
  Effect.tryPromise({
    try: async () => {
      const parent = whereAllowed(tmpdir) ?? "/tmp"
      const owner = ownerOf(process.pid)
      await removeLeft(parent)
      return await mkdtemp(join(parent, owner === undefined ? PREFIX : `${PREFIX}${owner}-`))
    },
    catch: (cause) => cause,
  }),
  (place) => Effect.promise(() => rm(place, { recursive: true, force: true, maxRetries: 3 })),
)

/** A process of this host, by name; nothing where its name is not told, because nobody could say whether it lives. */
const ownerOf = (pid: number): string | undefined => {
  const host = whereAllowed(hostname)
  return host === undefined ? undefined : `${pid}@${encodeURIComponent(host)}`
}

/** What cannot be removed is somebody else's, or somebody else is faster. */
const removeLeft = async (parent: string): Promise<void> => {
  for (const name of await readdir(parent).catch(() => [])) {
    const [, owner, pid] = /^image-store-zip-((\d+)@.+)-[^-]+$/.exec(name) ?? []
    if (owner !== undefined && owner === ownerOf(Number(pid))) {
      await removeDead(join(parent, name), Number(pid)).catch(() => {})
    }
  }
}

/** Removes a folder whose process was at work when it changed last, and is over; but nothing that is not a zip file. */
const removeDead = async (place: string, pid: number): Promise<void> => {
  const found = await lstat(place)
  if (!found.isDirectory() || isStillRunning(pid, found.mtimeMs) !== false) return
  for (const name of await readdir(place)) {
    if (/^\d+\.zip$/.test(name)) await unlink(join(place, name))
  }
  await rmdir(place)
}
