/**
 * What has to be known of an upload session to end it, also when its process is gone: one record a session, kept
 * from before its first chunk until it is dead.
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import process from "node:process"
import {
  isSameOwner,
  type Journal,
  type JournalEntry,
  type JournalPatch,
  type Owner,
  patched,
} from "./JournalEntry.ts"
import { defaultFolder, openFolder } from "./journalFolder.ts"
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
    Layer.sync(UploadJournal, () => openFolder(options.folder ?? defaultFolder()))

  /**
   * In memory: a crash forgets it. `store` lets several owners share one, as processes do; `alive` says which of
   * the others are at work, by default none.
   */
  static readonly layerMemory = (
    options: {
      readonly store?: Map<SessionId, JournalEntry> | undefined
      readonly owner?: Owner | undefined
      readonly alive?: ((owner: Owner) => boolean) | undefined
    } = {},
  ): Layer.Layer<UploadJournal> =>
    Layer.sync(UploadJournal, () => {
      const store = options.store ?? new Map<SessionId, JournalEntry>()
      const owner = options.owner ?? { host: "memory", process: process.pid, start: 0 }
      const alive = options.alive ?? (() => false)
      const atWork = new Set<SessionId>()
      const put = (entry: JournalEntry, patch: JournalPatch = {}) =>
        Effect.clockWith((clock) =>
          Effect.sync(() =>
            void store.set(entry.sessionId, patched(entry, [{ at: clock.unsafeCurrentTimeMillis(), patch }]))
          )
        )
      return {
        owner,
        entries: Effect.sync(() => [...store.values()]),
        create: (entry) => Effect.zipRight(put(entry), Effect.sync(() => void atWork.add(entry.sessionId))),
        update: (sessionId, patch) =>
          Effect.suspend(() => {
            const entry = store.get(sessionId)
            return entry === undefined ? Effect.void : put(entry, patch)
          }),
        remove: (sessionId) =>
          Effect.sync(() => {
            store.delete(sessionId)
            atWork.delete(sessionId)
          }),
        isAtWork: (entry) =>
          Effect.sync(() =>
            isSameOwner(entry.owner, owner) ? atWork.has(entry.sessionId) : alive(entry.owner)
          ),
        take: ({ owner: before, sessionId }) =>
          Effect.sync(() => {
            const entry = store.get(sessionId)
            if (entry === undefined || !isSameOwner(entry.owner, before) || atWork.has(sessionId)) {
              return Option.none()
            }
            const own = { ...entry, owner }
            store.set(sessionId, own)
            atWork.add(sessionId)
            return Option.some(own)
          }),
        leave: (sessionId) => Effect.sync(() => void atWork.delete(sessionId)),
      }
    })
}
