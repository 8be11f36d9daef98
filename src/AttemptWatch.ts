/**
 * How long one attempt is waited for.
 *
 * @module
 */
import type * as Clock from "effect/Clock"
import type { Deadline, Deadlines } from "./Deadlines.ts"
import type { Watch } from "./Exchange.ts"

/** While a body is sent, so many milliseconds may pass without a byte of it going out (protocol.md 1.3). */
const STALL_LIMIT = 30_000
/** Where a body's progress cannot be seen, it is taken to go out at no less than so many bytes a millisecond. */
const SLOWEST_LINE = 16
/** No timer of JavaScript holds more milliseconds: beyond that an attempt has no deadline. */
const LONGEST_PATIENCE = 2 ** 31 - 1

/**
 * One deadline that moves: a stall limit while the body goes out, then the cluster's own time and some grace,
 * because the cluster starts its clock at the last byte of the body. Never later than `end`.
 */
export class AttemptWatch implements Watch {
  readonly #deadlines: Deadlines
  readonly #clock: Clock.Clock
  readonly #patience: number
  readonly #end: number
  readonly #size: number
  readonly #heard: (bytes: number) => void
  #deadline: Deadline | undefined

  /** Times are milliseconds, `size` is that of the request's body in bytes, of which `heard` is told what is out. */
  constructor(
    deadlines: Deadlines,
    clock: Clock.Clock,
    patience: number,
    end: number,
    size: number,
    heard: (bytes: number) => void = () => {},
  ) {
    this.#deadlines = deadlines
    this.#clock = clock
    this.#patience = patience
    this.#end = end
    this.#size = size
    this.#heard = heard
  }

  begin(expire: () => void): void {
    const at = this.#in(this.#size > 0 ? STALL_LIMIT : this.#patience)
    if (at < Infinity) this.#deadline = this.#deadlines.start(this.#clock, at, expire)
  }

  progress(bytes: number): void {
    this.#deadline?.move(this.#in(STALL_LIMIT))
    this.#heard(bytes)
  }

  sent(): void {
    if (this.#size > 0) this.#deadline?.move(this.#in(this.#patience))
  }

  unseen(): void {
    this.#deadline?.move(this.#in(STALL_LIMIT + this.#size / SLOWEST_LINE + this.#patience))
  }

  end(): void {
    this.#deadline?.clear()
    this.#deadline = undefined
  }

  #in(span: number): number {
    return Math.min(
      span > LONGEST_PATIENCE ? Infinity : this.#clock.unsafeCurrentTimeMillis() + span,
      this.#end,
    )
  }
}
