/**
 * What is known of a command's upload sessions without a look at the disk.
 *
 * @module
 */
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type { Journal } from "../journal/Journal.ts"
import type { JournalEntry } from "../journal/JournalEntry.ts"
import { UploadJournal } from "../UploadJournal.ts"
import type { SessionId } from "../UploadSession.ts"

type Known = Pick<JournalEntry, "path" | "state" | "before" | "quietAt">

/** Sessions of this process: those that are recorded, and how many have come to their end. */
export class Sessions {
  readonly recorded: Map<SessionId, Known> = new Map()
  /** Files whose commit was asked for, with the version before it. */
  readonly committing: Map<string, string | undefined> = new Map()
  /** Sessions that are dead. */
  ended = 0

  /** The same journal, watched. */
  watch<E, R>(journal: Layer.Layer<UploadJournal, E, R>): Layer.Layer<UploadJournal, E, R> {
    return Layer.map(
      journal,
      (context) => Context.make(UploadJournal, this.#watched(Context.get(context, UploadJournal))),
    )
  }

  #watched(journal: Journal): Journal {
    const { recorded } = this
    return {
      ...journal,
      take: (entry) =>
        Effect.tap(
          journal.take(entry),
          (own) => Effect.sync(() => Option.map(own, (entry) => recorded.set(entry.sessionId, entry))),
        ),
      create: (entry) =>
        Effect.suspend(() => {
          recorded.set(entry.sessionId, entry)
          return Effect.tapError(
            journal.create(entry),
            () => Effect.sync(() => recorded.delete(entry.sessionId)),
          )
        }),
      update: (sessionId, patch) =>
        Effect.suspend(() => {
          const known = recorded.get(sessionId)
          if (known !== undefined) recorded.set(sessionId, { ...known, ...patch })
          if (known !== undefined && patch.state === "committing") {
            this.committing.set(known.path, patch.before)
          }
          return journal.update(sessionId, patch)
        }),
      remove: (sessionId) =>
        Effect.tap(journal.remove(sessionId), () =>
          Effect.sync(() => {
            if (recorded.delete(sessionId)) this.ended++
          })),
    }
  }

  /** When the last lost chunk can no longer bring a deleted session back; 0 when none is waited for. */
  get quietAt(): number {
    return Math.max(
      0,
      ...[...this.recorded.values()].map(({ quietAt, state }) => state === "deleting" ? quietAt : 0),
    )
  }

  /** What is recorded, a line each. */
  get lines(): string {
    return [...this.recorded].map(([id, { path }]) => `  ${id}  ${path}`).join("\n")
  }
}
