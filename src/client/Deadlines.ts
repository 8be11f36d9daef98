/**
 * Deadlines that cost next to nothing while they are met: all calls of a clock share one sleeping fiber.
 *
 * `Effect.timeout` forks two fibers a call and leaves its sleep behind in the test clock. Here a deadline is
 * an entry in a list, and the fiber sleeps until the earliest.
 *
 * @module
 */
import type * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"

/** One pending deadline. Times are milliseconds of its clock. */
export interface Deadline {
  /** Moves the deadline to another time. Without effect when it has passed or was cleared. */
  readonly move: (at: number) => void
  /** The deadline was met. A repeat changes nothing. */
  readonly clear: () => void
}

/** Timers hold no more than 31 bits of milliseconds: above that they fire at once or never. */
const LONGEST_SLEEP = 2 ** 31 - 1

/** All pending deadlines, by clock: the test clock of one test does not end the calls of another. */
export class Deadlines {
  readonly #queues = new Map<Clock.Clock, Queue>()

  /** Calls `expire` when `clock` reaches `at`, unless the deadline is cleared before. */
  start(clock: Clock.Clock, at: number, expire: () => void): Deadline {
    let queue = this.#queues.get(clock)
    if (queue === undefined) {
      queue = new Queue(clock, () => this.#queues.delete(clock))
      this.#queues.set(clock, queue)
    }
    const entry = new Entry(queue, at, expire)
    queue.insert(entry)
    return entry
  }

  /** Forgets every deadline and ends the sleeping fibers. */
  readonly close: Effect.Effect<void> = Effect.suspend(() =>
    Effect.forEach([...this.#queues.values()], (queue) => queue.close, { discard: true })
  )
}

/** A deadline in its queue: a doubly linked list, so that clearing one touches two others. */
class Entry implements Deadline {
  previous: Entry | undefined = undefined
  next: Entry | undefined = undefined
  pending = true
  readonly queue: Queue
  at: number
  expire: (() => void) | undefined

  constructor(queue: Queue, at: number, expire: () => void) {
    this.queue = queue
    this.at = at
    this.expire = expire
  }

  move(at: number): void {
    if (!this.pending) return
    this.queue.remove(this)
    this.at = at
    this.queue.insert(this)
  }

  clear(): void {
    if (!this.pending) return
    this.pending = false
    this.expire = undefined
    this.queue.remove(this)
  }
}

/** The deadlines of one clock, earliest first. No more are in it than calls are under way. */
class Queue {
  readonly #clock: Clock.Clock
  readonly #idle: () => void
  #first: Entry | undefined = undefined
  #last: Entry | undefined = undefined
  #sleeper: Fiber.RuntimeFiber<void> | undefined = undefined
  #wakesAt = Infinity

  constructor(clock: Clock.Clock, idle: () => void) {
    this.#clock = clock
    this.#idle = idle
  }

  /** New deadlines are mostly the latest, so the place is looked for from the end. */
  insert(entry: Entry): void {
    let after = this.#last
    while (after !== undefined && after.at > entry.at) after = after.previous
    const before = after === undefined ? this.#first : after.next
    entry.previous = after
    entry.next = before
    if (after === undefined) this.#first = entry
    else after.next = entry
    if (before === undefined) this.#last = entry
    else before.previous = entry
    if (entry.at < this.#wakesAt) this.#sleep(entry.at)
  }

  remove(entry: Entry): void {
    if (entry.previous === undefined) this.#first = entry.next
    else entry.previous.next = entry.next
    if (entry.next === undefined) this.#last = entry.previous
    else entry.next.previous = entry.previous
    entry.previous = entry.next = undefined
  }

  readonly close: Effect.Effect<void> = Effect.suspend(() => {
    this.#idle()
    this.#first = this.#last = undefined
    return this.#sleeper === undefined ? Effect.void : Fiber.interrupt(this.#sleeper)
  })

  #sleep(until: number): void {
    this.#sleeper?.unsafeInterruptAsFork(this.#sleeper.id())
    const now = this.#clock.unsafeCurrentTimeMillis()
    const span = Math.min(Math.max(until - now, 0), LONGEST_SLEEP)
    this.#wakesAt = now + span
    this.#sleeper = Effect.runFork(
      Effect.andThen(this.#clock.sleep(Duration.millis(span)), () => this.#wake()),
    )
  }

  #wake(): void {
    const now = this.#clock.unsafeCurrentTimeMillis()
    // A clock that was set back meanwhile takes its deadlines with it: they are as far away as they were.
    const back = Math.max(this.#wakesAt - now, 0)
    for (let entry = this.#first; back > 0 && entry !== undefined; entry = entry.next) entry.at -= back
    this.#sleeper = undefined
    this.#wakesAt = Infinity
    for (let entry = this.#first; entry !== undefined && entry.at <= now; entry = this.#first) {
      const { expire } = entry
      entry.clear()
      expire?.()
    }
    if (this.#first === undefined) this.#idle()
    else if (this.#first.at < this.#wakesAt) this.#sleep(this.#first.at)
  }
}
