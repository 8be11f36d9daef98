/**
 * Waiting until what is under way can no longer arrive, and telling of it. Times are milliseconds since 1970.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type { UploadEvent } from "../UploadEvent.ts"
import type { Emit } from "./eventStream.ts"

/** Hears until when is waited at the most. */
export type Waiting = (until: number) => Effect.Effect<void>

/** Waits until that time. Says so first, where it is still to come. */
export const waitUntil = (time: number, waiting: Waiting = () => Effect.void): Effect.Effect<void> =>
  Effect.flatMap(
    Clock.currentTimeMillis,
    (now) =>
      time > now ? Effect.zipRight(waiting(time), Effect.sleep(Duration.millis(time - now))) : Effect.void,
  )

/** Says so by an event of an upload to `path`. */
export const waitingEvent = (path: string, emit: Emit<UploadEvent>): Waiting => (until) =>
  Effect.sync(() => emit({ _tag: "Waiting", path, until: new Date(until) }))
