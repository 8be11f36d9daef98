/**
 * Time that goes on by itself: whenever nothing is left to do but wait, the clock jumps to the next who waits. Programs
 * that sleep for minutes run in no time, without a test that moves the clock for them.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

class VirtualClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  #now = Date.UTC(2026, 10, 22)
  #sleepers: Array<Sleeper> = []
  #scheduled = false

  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.#now)
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())

  unsafeCurrentTimeMillis(): number {
    return this.#now
  }

  unsafeCurrentTimeNanos(): bigint {
    return BigInt(Math.round(this.#now * 1e6))
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return Effect.async<void>((resume) => {
      const sleeper = { until: this.#now + Duration.toMillis(duration), wake: () => resume(Effect.void) }
      const at = this.#sleepers.findIndex(({ until }) => until > sleeper.until)
      this.#sleepers.splice(at < 0 ? this.#sleepers.length : at, 0, sleeper)
      this.#schedule()
      return Effect.sync(() => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
      })
    })
  }

  /** All that can run without waiting has run when an immediate gets its turn. */
  #schedule(): void {
    if (this.#scheduled) return
    this.#scheduled = true
    setImmediate(() => {
      this.#scheduled = false
      const next = this.#sleepers.shift()
      if (next === undefined) return
      this.#now = Math.max(this.#now, next.until)
      next.wake()
      if (this.#sleepers.length > 0) this.#schedule()
    })
  }
}

/** Runs a program in virtual time. */
export const inVirtualTime = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.withClock(program, new VirtualClock()))
