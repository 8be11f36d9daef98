/**
 * How long one attempt is waited for.
 *
 * @module
 */
import type * as Clock from "effect/Clock"
import { cutOff, type End, expired, type Watch } from "../transport/Exchange.ts"
import type { Deadline, Deadlines } from "./Deadlines.ts"

/** While a body is sent, so many milliseconds may pass without a byte of it going out (protocol.md 1.3). */
const STALL_LIMIT = 30_000
/** Where a body's progress cannot be seen, it is taken to go out at no less than so many bytes a millisecond. */
const SLOWEST_LINE = 16
/** How many milliseconds an attempt may go on when nobody waits for it any more, where somebody follows it. */
const FINISH_WITHIN = 10_000
/** No timer of JavaScript holds more milliseconds: beyond that an attempt has no deadline. */
const LONGEST_PATIENCE = 2 ** 31 - 1

/** One who hears how the body goes out, and how the attempt ends. */
interface Listener {
  readonly out: (bytes: number) => void
  readonly over: (end: End) => void
}

/**
 * One deadline that moves: a stall limit while the body goes out, then the cluster's own time and some grace,
 * because the cluster starts its clock at the last byte of the body. Never later than `end`.
 */
export class AttemptWatch implements Watch {
  readonly #deadlines: Deadlines
  readonly #clock: Clock.Clock
  readonly #patience: number
  readonly #size: number
  readonly #listener: Listener | undefined
  #end: number
  #expire: (() => void) | undefined
  #deadline: Deadline | undefined
  #at = Infinity
  #interrupted = false

  /** Times are milliseconds, `size` is that of the request's body in bytes. */
  constructor(
    deadlines: Deadlines,
    clock: Clock.Clock,
    patience: number,
    end: number,
    size: number,
    listener?: Listener,
  ) {
    this.#deadlines = deadlines
    this.#clock = clock
    this.#patience = patience
    this.#end = end
    this.#size = size
    this.#listener = listener
  }

  begin(expire: () => void): void {
    this.#expire = expire
    this.#wait(this.#size > 0 ? STALL_LIMIT : this.#patience)
  }

  progress(bytes: number): void {
    this.#wait(STALL_LIMIT)
    this.#listener?.out(bytes)
  }

  sent(): void {
    if (this.#size > 0) this.#wait(this.#patience)
  }

  after(milliseconds: number, then: () => void): () => void {
    const at = this.#clock.unsafeCurrentTimeMillis() + milliseconds
    const deadline = this.#deadlines.start(this.#clock, at, then)
    return () => deadline.clear()
  }

  unseen(): void {
    this.#wait(STALL_LIMIT + this.#size / SLOWEST_LINE + this.#patience)
  }

  interrupted(): boolean {
    if (this.#listener === undefined) return false
    this.#interrupted = true
    this.#end = Math.min(this.#end, this.#clock.unsafeCurrentTimeMillis() + FINISH_WITHIN)
    this.#set(Math.min(this.#at, this.#end))
    return true
  }

  end(end: End): void {
    this.#expire = undefined
    this.#deadline?.clear()
    this.#deadline = undefined
    this.#listener?.over(this.#interrupted && end === expired ? cutOff : end)
  }

  /** So many milliseconds from now, but not beyond the end. */
  #wait(span: number): void {
    this.#set(
      Math.min(
        span > LONGEST_PATIENCE ? Infinity : this.#clock.unsafeCurrentTimeMillis() + span,
        this.#end,
      ),
    )
  }

  #set(at: number): void {
    this.#at = at
    if (this.#deadline !== undefined) this.#deadline.move(at)
    else if (this.#expire !== undefined && at < Infinity) {
      this.#deadline = this.#deadlines.start(this.#clock, at, this.#expire)
    }
  }
}
