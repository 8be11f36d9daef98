/**
 * One upload at a time: two to the same path would mix their packages.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { FabricClient } from "../FabricClient.ts"
import type { JournalError } from "../journal/Journal.ts"
import type { PackageEvent } from "../PackageEvent.ts"
import type { Emit } from "../upload/eventStream.ts"
import { waitingEvent, waitUntil } from "../upload/waiting.ts"
import type { UploadJournal } from "../UploadJournal.ts"
import { PackageJournal, type PackageJournalOptions } from "./PackageJournal.ts"
import { leftOf, rivalsOf } from "./packageRecords.ts"
import type { StoredTree } from "./storedTree.ts"

/** Milliseconds between two looks whether another upload is over. A look must not take more than a part of the time. */
const LOOK_EVERY = 1_000
const PART = 10

/** One warning for all that cannot be recorded. */
const warnOnce = (): (error: JournalError) => Effect.Effect<void> => {
  let told = false
  return (error) =>
    Effect.suspend(() => {
      if (told) return Effect.void
      told = true
      return Effect.logWarning(
        `If this upload breaks off, the next one has to send all small files again. ${error.message}`,
      )
    })
}

/**
 * Waits while another process of this machine uploads to the same path, or another fiber of this one. At most until a
 * time in milliseconds since 1970: whether a process is at work cannot always be told.
 */
const untilAlone = (
  path: string,
  until: number,
  emit: Emit<PackageEvent>,
  ownId?: string,
): Effect.Effect<void, JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    for (let told = false;; told = true) {
      const begun = yield* Clock.currentTimeMillis
      const [rival] = yield* rivalsOf(path, ownId)
      if (rival === undefined) return
      const now = yield* Clock.currentTimeMillis
      if (now >= until) {
        return yield* Effect.logWarning(
          `Process ${rival.owner.process} may still be uploading to ${path}; going on beside it`,
        )
      }
      if (!told) emit({ _tag: "Queued", path, process: rival.owner.process })
      yield* Effect.sleep(Math.max(LOOK_EVERY, PART * (now - begun)))
    }
  })

/** Waits until no deletion and no marker of an earlier upload can arrive any more: they would hit what comes now. */
const untilQuiet = (
  path: string,
  emit: Emit<PackageEvent>,
): Effect.Effect<void, JournalError, FabricClient | UploadJournal> =>
  Effect.flatMap(
    leftOf(path),
    (left) => waitUntil(Math.max(0, ...left.map(({ quietAt }) => quietAt)), waitingEvent(path, emit)),
  )

/**
 * Begins the journal of a package once nothing else is under way to the same path from this machine, as far as it is
 * recorded. `look` tells what is at the destination, by then.
 */
export const beginPackage = <E, R>(
  options: Omit<PackageJournalOptions, "before" | "warn">,
  patience: number,
  emit: Emit<PackageEvent>,
  look: Effect.Effect<StoredTree, E, R>,
): Effect.Effect<
  { readonly before: StoredTree; readonly journal: PackageJournal },
  E,
  R | FabricClient | UploadJournal | Scope.Scope
> =>
  Effect.gen(function* () {
    const { path } = options.plan
    const until = (yield* Clock.currentTimeMillis) + patience * 1000
    const warn = warnOnce()
    for (;;) {
      yield* Effect.catchAll(Effect.zipRight(untilAlone(path, until, emit), untilQuiet(path, emit)), warn)
      const before = yield* look
      const journal = yield* PackageJournal.open({ ...options, before, warn })
      const others = yield* Effect.orElseSucceed(rivalsOf(path, journal.uploadId), () => [])
      if (journal.failure !== undefined || others.length === 0 || (yield* Clock.currentTimeMillis) >= until) {
        return { before, journal }
      }
      // Of those that came at the same moment one stays recorded, and the others, who see it, give way.
      if (others.every(({ uploadId }) => journal.uploadId < uploadId)) {
        yield* Effect.catchAll(untilAlone(path, until, emit, journal.uploadId), warn)
      }
      yield* journal.leave
    }
  })
