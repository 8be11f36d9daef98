/**
 * The roll-back of a package that was new: half of it is of no use to anybody.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type { FabricClient } from "../FabricClient.ts"
import { PackageError } from "../PackageError.ts"
import type { PackageEvent } from "../PackageEvent.ts"
import type { Emit } from "../upload/eventStream.ts"
import type { Slots } from "../upload/Slots.ts"
import { waitUntil } from "../upload/waiting.ts"
import type { UploadJournal } from "../UploadJournal.ts"
import type { PackageJournal } from "./PackageJournal.ts"
import { MARKER } from "./packagePlan.ts"
import type { PackageUpload } from "./PackageUpload.ts"

type Env = FabricClient | UploadJournal

/** Seconds that one deletion of the clean-up may take, attempts included. */
const UNDO_WITHIN = 60

/** A package on its way to a place where nothing was before. */
interface FirstUpload {
  readonly path: string
  readonly slots: Slots
  readonly upload: PackageUpload
  readonly journal: PackageJournal
  readonly emit: Emit<PackageEvent>
}

/** Deletes the destination when the upload fails or is interrupted. The upload's own error is the result. */
export const withRollBack = <A, E>(
  bring: Effect.Effect<A, E, Env>,
  { emit, journal, path, slots, upload }: FirstUpload,
): Effect.Effect<A, E, Env> => {
  const left = (problem: string) => new PackageError({ source: path, problems: [problem] })
  const inTime = <A, E>(effect: Effect.Effect<A, E, FabricClient>) =>
    Effect.timeoutFail(effect, {
      duration: `${UNDO_WITHIN} seconds`,
      onTimeout: () => left(`it could not be removed within ${UNDO_WITHIN} s`),
    })
  const removeOnce = inTime(Effect.zipRight(
    // What others have put there meanwhile stays.
    Effect.flatMap(
      upload.ofOthers,
      (others) => others === undefined ? Effect.void : left(others),
    ),
    upload.delete(""),
  ))
  const removeForGood = Effect.gen(function* () {
    // Neither deletion nor roll-back under a commit that may be running (protocol.md 4.5).
    if (slots.unsettled) return yield* left("a commit may still be running; its session is in the journal")
    const now = yield* Clock.currentTimeMillis
    emit({ _tag: "PackageRemoving", path, quietAt: new Date(Math.max(now, upload.quietAt)) })
    yield* removeOnce
    // A file whose answer was lost may still arrive, or did so behind the deletion: then it has to go again.
    if (upload.quietAt <= now) return
    yield* waitUntil(upload.quietAt)
    yield* removeOnce
  })
  // In a fiber of its own: in one that is interrupted already nothing else could be, and it has to end in time.
  const remove = Effect.flatMap(Effect.forkDaemon(Effect.interruptible(removeForGood)), Fiber.join)
  // Streams drop what is attached to their error, and whoever interrupts one hears no event: so what is left is logged.
  const removeAndTell = Effect.matchCauseEffect(remove, {
    onSuccess: () => {
      emit({ _tag: "PackageRemoved", path })
      return Effect.zipRight(
        journal.forget(0),
        Effect.logDebug(`Removed what had come of the package at ${path}`),
      )
    },
    onFailure: (cause) => {
      const reason = Cause.prettyErrors(cause)[0]?.message ?? "interrupted"
      emit({ _tag: "PackageLeft", path, reason })
      return Effect.logWarning(
        `Part of the package is left at ${path}; without its ${MARKER} it cannot be provisioned: ${reason}`,
      )
    },
  })
  return Effect.uninterruptibleMask((restore) => Effect.onError(restore(bring), () => removeAndTell))
}
