/**
 * What has to be known of an upload session to end it, also when its process is gone: one record a session, kept
 * from before its first chunk until it is dead.
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import process from "node:process"
import { type Journal, type JournalEntry, type JournalPatch, type Owner, patched } from "./JournalEntry.ts"
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
   * them are at work, by default this one alone.
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
      const alive = options.alive ??
        ((other: Owner) => other.process === owner.process && other.start === owner.start)
      const put = (entry: JournalEntry, patch: JournalPatch = {}) =>
        Effect.clockWith((clock) =>
          Effect.sync(() =>
            void store.set(entry.sessionId, patched(entry, patch, clock.unsafeCurrentTimeMillis()))
          )
        )
      return {
        owner,
        entries: Effect.sync(() => [...store.values()]),
        create: put,
        update: (sessionId, patch) =>
          Effect.suspend(() => {
            const entry = store.get(sessionId)
            return entry === undefined ? Effect.void : put(entry, patch)
          }),
        remove: (sessionId) => Effect.sync(() => void store.delete(sessionId)),
        isAlive: (other) => Effect.sync(() => alive(other)),
      }
    })
}
