/**
 * Virtual time for programs that use the disk: the clock jumps to the next who waits only when for a moment nobody has
 * done anything, so that files are read and written in no time.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** Real milliseconds in which what is under way on the disk is done. */
const MOMENT = 10

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

class PatientClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  #now = Date.UTC(2026, 10, 22)
  #sleepers: Array<Sleeper> = []
  #timer: ReturnType<typeof setTimeout> | undefined

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
        this.#schedule()
      })
    })
  }

  #schedule(): void {
    clearTimeout(this.#timer)
    if (this.#sleepers.length > 0) this.#timer = setTimeout(() => this.#jump(), MOMENT)
  }

  #jump(): void {
    const next = this.#sleepers.shift()
    if (next === undefined) return
    this.#now = Math.max(this.#now, next.until)
    next.wake()
    this.#schedule()
  }
}

/** Runs a program in patient virtual time. */
export const inPatientTime = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> =>
  Effect.suspend(() => Effect.withClock(program, new PatientClock()))
