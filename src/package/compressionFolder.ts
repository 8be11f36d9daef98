/**
 * Where a compression writes its zip files: a temporary folder of the system, with its process in the name, so that the
 * next upload of a package can remove what a dead one left.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { lstatSync, readdirSync, rmdirSync, unlinkSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { hostname, tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { codeOf } from "../system/codeOf.ts"
import { isReadable } from "../system/isReadable.ts"
import { isStillRunning } from "../system/isRunning.ts"
import { whereAllowed } from "../system/whereAllowed.ts"

const PREFIX = "image-store-zip-"

/** The name of a zip file in its folder. */
export const zipName = (index: number): string => `${index}.zip`

/** The system's folder for temporary files. */
const compressionParent = (): string => whereAllowed(tmpdir) ?? "/tmp"

/** What the system takes that from. */
const VARIABLES = process.platform === "win32" ? ["TEMP", "TMP", "TMPDIR"] : ["TMPDIR", "TMP", "TEMP"]

/** Why nothing can be written there, and what to do about it. */
export const unwritable = (cause: unknown): string => {
  const code = codeOf(cause)
  const what = code === "ENOSPC" ? "there is no room for its zip files" : "its zip files cannot be written"
  return `${what} in ${compressionParent()} (${code}); ${VARIABLES[0]} names another folder`
}

/** A folder of this process, removed with the scope. */
export const compressionFolder: Effect.Effect<string, unknown, Scope.Scope> = Effect.acquireRelease(
  Effect.tryPromise({
    try: () => {
      const owner = ownerOf(process.pid)
      return mkdtemp(join(compressionParent(), owner === undefined ? PREFIX : `${PREFIX}${owner}-`))
    },
    catch: (cause) => cause,
  }),
  (place) => Effect.promise(() => rm(place, { recursive: true, force: true, maxRetries: 3 })),
)

/** Removes the folders that dead processes left, where nobody has to be asked for leave to look. */
export const removeLeftCompressions: Effect.Effect<void> = Effect.sync(() => {
  if (!VARIABLES.every((variable) => isReadable({ name: "env", variable }))) return
  const parent = compressionParent()
  if (isReadable({ name: "read", path: parent })) removeLeft(parent)
})

/** A process of this host, by name; nothing where its name is not told, because nobody could say whether it lives. */
const ownerOf = (pid: number): string | undefined => {
  const host = whereAllowed(hostname)
  return host === undefined ? undefined : `${pid}@${encodeURIComponent(host)}`
}

/** What cannot be removed is somebody else's, or somebody else is faster. */
const removeLeft = (parent: string): void => {
  for (const name of whereAllowed(() => readdirSync(parent)) ?? []) {
    const [, owner, pid] = /^image-store-zip-((\d+)@.+)-[^-]+$/.exec(name) ?? []
    if (owner !== undefined && owner === ownerOf(Number(pid))) {
      whereAllowed(() => removeDead(join(parent, name), Number(pid)))
    }
  }
}

/** Removes a folder whose process was at work when it changed last, and is over; but nothing that is not a zip file. */
const removeDead = (place: string, pid: number): void => {
  const found = lstatSync(place)
  if (!found.isDirectory() || isStillRunning(pid, found.mtimeMs) !== false) return
  for (const name of readdirSync(place)) {
    if (/^\d+\.zip$/.test(name)) unlinkSync(join(place, name))
  }
  rmdirSync(place)
}
