/**
 * When to give up: measured in time without progress, not in attempts, because an upgrade of the cluster moves its
 * primary several times.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import { FabricClient } from "../FabricClient.ts"
import { askedDelay, FabricError } from "../FabricError.ts"

/** Milliseconds before the first repeat, doubled with each failure in a row, and at most. */
const FIRST_DELAY = 500
const LONGEST_DELAY = 10_000

/** Sends each request once: whoever waits with patience hears of every failure, and decides what is repeated. */
export const sentOnce = <A, E, R>(
  program: Effect.Effect<A, E, R>,
): Effect.Effect<A, E, Exclude<R, FabricClient> | FabricClient> =>
  Effect.flatMap(FabricClient, ({ once }) => Effect.provideService(program, FabricClient, once))

/** Since when nothing got further, in milliseconds since 1970, though it was tried: one for all that belongs together. */
export interface Pulse {
  failing: number | undefined
}

/** The time that something may fail without getting further. Pauses in which nothing is tried do not count. */
export class Patience {
  /** Milliseconds. */
  readonly limit: number
  readonly #retried: (error: FabricError) => void
  readonly #pulse: Pulse

  /** `limit` is in milliseconds. `retried` hears of what {@link Patience.persist} repeats. */
  constructor(
    limit: number,
    retried: (error: FabricError) => void = () => {},
    pulse: Pulse = { failing: undefined },
  ) {
    this.limit = limit
    this.#pulse = pulse
    this.#retried = retried
  }

  /** Something got further. */
  note(): void {
    this.#pulse.failing = undefined
  }

  /**
   * Waits before repeat number `repeat`, counted from 0, and as long as the cluster asks; fails with `error` when the
   * patience is over. The last wait ends when the patience does.
   */
  readonly wait = (repeat: number, error: FabricError): Effect.Effect<void, FabricError> =>
    Effect.clockWith((clock) => {
      const now = clock.unsafeCurrentTimeMillis()
      // The clock may have been set back.
      const failing = this.#pulse.failing = Math.min(this.#pulse.failing ?? now, now)
      const left = failing + this.limit - now
      if (left <= 0) return error
      const delay = Math.min(FIRST_DELAY * 2 ** repeat, LONGEST_DELAY)
      return Effect.flatMap(
        Random.next,
        (random) =>
          Effect.sleep(Math.max(delay * (1 - random / 5), Math.min(askedDelay(error.reason), left))),
      )
    })

  /** Repeats what fails for a moment until it succeeds or the patience is over. */
  readonly persist = <A, E, R>(
    effect: Effect.Effect<A, E | FabricError, R>,
  ): Effect.Effect<A, E | FabricError, R | FabricClient> => {
    const once = sentOnce(effect)
    const attempt = (repeat: number, mends: boolean): Effect.Effect<A, E | FabricError, R | FabricClient> =>
      Effect.catchIf(
        mends ? Effect.tap(once, () => this.note()) : once,
        FabricError.isRetryable,
        (error) => {
          // Whoever was the first to fail is the one whose success ends it.
          const first = mends || this.#pulse.failing === undefined
          this.#retried(error)
          return Effect.zipRight(
            this.wait(repeat, error),
            Effect.suspend(() => attempt(repeat + 1, first)),
          )
        },
      )
    return attempt(0, false)
  }
}
