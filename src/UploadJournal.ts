/**
 * What has to be known of an upload session to end it, also when its process is gone: one record a session, kept
 * from before its first chunk until it is dead. And what has to be known of a package to resume it.
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import process from "node:process"
import type { Journal, Records } from "./journal/Journal.ts"
import { type JournalEntry, patched } from "./journal/JournalEntry.ts"
import { defaultFolder, noJournal, openFolder } from "./journal/journalFolder.ts"
import { type Change, isSameOwner, type Owned, type Owner } from "./journal/Owned.ts"
import { type PackageRecord, patchedPackage } from "./journal/PackageRecord.ts"
import type { SessionId } from "./UploadSession.ts"

const Base: Context.TagClass<UploadJournal, "@effect-fabric/image-store/UploadJournal", Journal> = Context
  .Tag(
    "@effect-fabric/image-store/UploadJournal",
  )<UploadJournal, Journal>()

/** Where sessions are recorded until they are dead, so that the next run can end what this one could not. */
export class UploadJournal extends Base {
  /**
   * One file a session in a folder of the user's state. Default: `effect-fabric/image-store` in `XDG_STATE_HOME`,
   * which is `~/.local/state`, or in `LOCALAPPDATA` on Windows.
   */
  static readonly layer = (
    options: { readonly folder?: string | undefined } = {},
  ): Layer.Layer<UploadJournal> =>
    Layer.sync(UploadJournal, () => {
      const folder = options.folder ?? defaultFolder()
      return folder === undefined ? noJournal() : openFolder(folder)
    })

  /**
   * In memory: a crash forgets it. `store` lets several owners share one, as processes do, and `packages` belong to it
   * unless they are given; `alive` says which of the others are at work, by default none.
   */
  static readonly layerMemory = (
    options: {
      readonly store?: Map<SessionId, JournalEntry> | undefined
      readonly packages?: Map<string, PackageRecord> | undefined
      readonly owner?: Owner | undefined
      readonly alive?: ((owner: Owner) => boolean) | undefined
    } = {},
  ): Layer.Layer<UploadJournal> =>
    Layer.sync(UploadJournal, () => {
      const store = options.store ?? new Map<SessionId, JournalEntry>()
      const packages = options.packages ?? packagesBeside(store)
      const owner = options.owner ?? { host: "memory", process: process.pid, start: 0 }
      const alive = options.alive ?? (() => false)
      return {
        owner,
        ...inMemory(store, ({ sessionId }) => sessionId, patched, owner, alive),
        packages: inMemory(packages, ({ uploadId }) => uploadId, patchedPackage, owner, alive),
      }
    })
}

/** By the map of sessions: owners that share those share the packages too. */
const packagesOf = new WeakMap<object, Map<string, PackageRecord>>()

const packagesBeside = (sessions: object): Map<string, PackageRecord> => {
  const packages = packagesOf.get(sessions) ?? new Map<string, PackageRecord>()
  packagesOf.set(sessions, packages)
  return packages
}

/** Records in a map. */
const inMemory = <Id, Entry extends Owned, Patch>(
  store: Map<Id, Entry>,
  idOf: (entry: Entry) => Id,
  patched: (entry: Entry, changes: Iterable<Change<Patch>>) => Entry,
  owner: Owner,
  alive: (owner: Owner) => boolean,
): Records<Id, Entry, Patch> => {
  const atWork = new Set<Id>()
  const touch = (entry: Entry, change: (at: number) => Entry) =>
    Effect.clockWith((clock) =>
      Effect.sync(() => void store.set(idOf(entry), change(clock.unsafeCurrentTimeMillis())))
    )
  return {
    entries: Effect.sync(() => [...store.values()]),
    create: (entry) =>
      Effect.zipRight(
        touch(entry, (touched) => ({ ...entry, touched })),
        Effect.sync(() => void atWork.add(idOf(entry))),
      ),
    update: (id, patch) =>
      Effect.suspend(() => {
        const entry = store.get(id)
        return entry === undefined ? Effect.void : touch(entry, (at) => patched(entry, [{ at, patch }]))
      }),
    remove: (id) =>
      Effect.sync(() => {
        store.delete(id)
        atWork.delete(id)
      }),
    isAtWork: (entry) =>
      Effect.sync(() => isSameOwner(entry.owner, owner) ? atWork.has(idOf(entry)) : alive(entry.owner)),
    take: (before) =>
      Effect.sync(() => {
        const id = idOf(before)
        const entry = store.get(id)
        if (entry === undefined || !isSameOwner(entry.owner, before.owner) || atWork.has(id)) {
          return Option.none()
        }
        const own = { ...entry, owner }
        store.set(id, own)
        atWork.add(id)
        // What was taken stays as it was, whatever is recorded from now on.
        return Option.some(structuredClone(own))
      }),
    leave: (id) => Effect.sync(() => void atWork.delete(id)),
  }
}
