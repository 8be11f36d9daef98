/**
 * How many requests an upload has under way at once.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { type FabricError, mayArrive } from "./FabricError.ts"

/** Successes in a row after which one more request is tried. */
const GROW_AFTER = 8

/**
 * A bound that shrinks when the cluster is overloaded and grows again while it copes: halved by trouble, one more
 * after some successes. With the size of a chunk it bounds the memory of an upload.
 */
export class Slots {
  readonly #most: number
  readonly #semaphore: Effect.Semaphore
  readonly #buffers: Array<Uint8Array> = []
  #limit: number
  #streak = 0

  constructor(most: number) {
    this.#most = most
    this.#limit = most
    this.#semaphore = Effect.unsafeMakeSemaphore(most)
  }

  /** Requests that may be under way at once by now. */
  get limit(): number {
    return this.#limit
  }

  /** Runs an effect in a slot. */
  use<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return this.#semaphore.withPermits(1)(effect)
  }

  /**
   * Runs an effect in a slot with a buffer of at least `size` bytes. Buffers are used again, so the effect must be
   * done with its own when it ends.
   */
  useBuffer<A, E, R>(
    size: number,
    use: (buffer: Uint8Array) => Effect.Effect<A, E, R>,
  ): Effect.Effect<A, E, R> {
    return this.use(Effect.acquireUseRelease(
      Effect.sync(() => {
        const buffer = this.#buffers.pop()
        return buffer !== undefined && buffer.length >= size ? buffer : new Uint8Array(size)
      }),
      use,
      (buffer) => Effect.sync(() => void this.#buffers.push(buffer)),
    ))
  }

  /** No single request that was left without an answer can arrive after this time, in milliseconds since 1970. */
  quietAt = 0

  /** A single request was cut off, and may still arrive within `timeout` seconds and some more. */
  noteAborted(timeout: number): Effect.Effect<void> {
    return Effect.clockWith((clock) =>
      Effect.sync(() => {
        this.quietAt = Math.max(this.quietAt, clock.unsafeCurrentTimeMillis() + (timeout + 5) * 1000)
      })
    )
  }

  /** A single request failed, and may still arrive within `timeout` seconds and some more. */
  noteUnanswered({ reason }: FabricError, timeout: number): Effect.Effect<void> {
    return mayArrive(reason) ? this.noteAborted(timeout) : Effect.void
  }

  /** A request succeeded. */
  readonly succeeded: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#limit >= this.#most || ++this.#streak < GROW_AFTER) return Effect.void
    return this.#resize(this.#limit + 1)
  })

  /** The cluster was too busy, too slow, or away. */
  readonly troubled: Effect.Effect<void> = Effect.suspend(() => this.#resize(Math.ceil(this.#limit / 2)))

  #resize(limit: number): Effect.Effect<void> {
    this.#streak = 0
    this.#limit = limit
    return this.#semaphore.resize(limit)
  }
}
