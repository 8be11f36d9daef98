/**
 * Time that goes on by itself: whenever nothing is left to do but wait, the clock jumps to the next who waits. Programs
 * that sleep for minutes run in no time, without a test that moves the clock for them.
 */
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"

/** Real milliseconds in which what is under way on the disk is done. */
const MOMENT = 10

/** When all virtual time begins, in milliseconds since 1970. */
export const VIRTUAL_START: number = Date.UTC(2026, 10, 22)

interface Sleeper {
  readonly until: number
  readonly wake: () => void
}

/** Gives back what asks for a jump of the clock; it comes when nothing else is left to do. */
type Idle = (jump: () => void) => () => void

/** All that can run without waiting has run when an immediate gets its turn. */
const afterTasks: Idle = (jump) => {
  let asked = false
  return () => {
    if (asked) return
    asked = true
    setImmediate(() => {
      asked = false
      jump()
    })
  }
}

/** What waits for the disk is done when for a moment nobody has slept or woken. */
const afterMoment: Idle = (jump) => {
  let timer: ReturnType<typeof setTimeout> | undefined
  return () => {
    clearTimeout(timer)
    timer = setTimeout(jump, MOMENT)
  }
}

class VirtualClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  readonly #ask: () => void
  #now = VIRTUAL_START
  #sleepers: Array<Sleeper> = []

  constructor(idle: Idle) {
    this.#ask = idle(() => this.#jump())
  }

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
      this.#ask()
      return Effect.sync(() => {
        this.#sleepers = this.#sleepers.filter((other) => other !== sleeper)
        if (this.#sleepers.length > 0) this.#ask()
      })
    })
  }

  #jump(): void {
    const next = this.#sleepers.shift()
    if (next === undefined) return
    this.#now = Math.max(this.#now, next.until)
    next.wake()
    if (this.#sleepers.length > 0) this.#ask()
  }
}

type InTime = <A, E, R>(program: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>

const inTimeOf = (idle: Idle): InTime => (program) =>
  Effect.suspend(() => Effect.withClock(program, new VirtualClock(idle)))

/** Runs a program in virtual time. */
export const inVirtualTime: InTime = inTimeOf(afterTasks)

/** Runs a program that uses the disk in virtual time: files are read and written in no time. */
export const inPatientTime: InTime = inTimeOf(afterMoment)
