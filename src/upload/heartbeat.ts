/**
 * The heartbeat of a run in its records: from it the next one knows until when a dead one was at work.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Schedule from "effect/Schedule"
import type { Owned } from "../journal/Owned.ts"
import { latestArrival } from "./lateArrival.ts"

/** Seconds between two beats: few, because after a host was asleep bytes may go out before the next one. */
const BEAT_EVERY = 5
/** Milliseconds after its last beat in which a run may have sent something: many beats, for a machine that is busy. */
const SILENCE = 60_000

/** Runs what sends, and touches its record meanwhile. A beat that cannot be written is missed, and no more. */
export const withHeartbeat = <A, E, R>(
  touch: Effect.Effect<void, unknown>,
  sends: Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.forkDaemon(
      Effect.interruptible(Effect.schedule(Effect.ignore(touch), Schedule.spaced(`${BEAT_EVERY} seconds`))),
    ),
    () => sends,
    Fiber.interrupt,
  )

/**
 * When no request of a dead run can arrive any more that the cluster works on for `timeout` seconds, in milliseconds
 * since 1970.
 */
export const quietAfter = ({ touched }: Pick<Owned, "touched">, timeout: number, now: number): number =>
  latestArrival(timeout, Math.min(now, touched + SILENCE))
