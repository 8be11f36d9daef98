/**
 * How many requests an upload has under way at once, and how large they may be.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type { FabricError, FabricErrorReason } from "../FabricError.ts"
import { chunkMemory, Hasher } from "./Hasher.ts"
import { arrivesUntil } from "./lateArrival.ts"
import type { Pulse } from "./Patience.ts"
import { SMALLEST_CHUNK } from "./uploadOptions.ts"

/** One who wants a slot. Whoever is interrupted gives back by it what it had, whether it knew or not. */
interface Ticket {
  held: boolean
  wake: () => void
}

const nothing = (): void => {}

/** Successes in a row after which one more request is tried. */
const GROW_AFTER = 8

/**
 * A bound that shrinks when the cluster is overloaded and grows again while it copes: halved by trouble, one more
 * after some successes. With the size of a chunk it bounds the memory of an upload.
 */
export class Slots {
  readonly #most: number
  readonly #buffers: Array<Uint8Array> = []
  readonly #waiting: Array<Ticket> = []
  /** An upload is given up as a whole. */
  readonly pulse: Pulse = { failing: undefined }
  /** A commit may still be running, for all that is known: what is at its path must not be touched. */
  unsettled = false
  /** Hashes what the slots read. */
  readonly hasher: Hasher = new Hasher()
  #largest = Infinity
  #refusal: FabricError | undefined
  /** Bytes of the largest body that has been taken. */
  #accepted = 0
  #limit: number
  #taken = 0
  #streak = 0

  constructor(most: number) {
    this.#most = most
    this.#limit = most
  }

  /** Slots for as long as an upload takes. */
  static readonly make = (most: number): Effect.Effect<Slots, never, Scope.Scope> =>
    Effect.acquireRelease(
      Effect.sync(() => new Slots(most)),
      ({ hasher }) => Effect.sync(() => hasher.close()),
    )

  /** Requests that may be under way at once by now. */
  get limit(): number {
    return this.#limit
  }

  /** Runs an effect in a slot. Slots are given in the order in which they are asked for. */
  use<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    // Not by Effect's semaphore, which takes a tenth of the time of a small file.
    return Effect.suspend(() => {
      const ticket: Ticket = { held: false, wake: nothing }
      return Effect.ensuring(
        Effect.zipRight(this.#turn(ticket), effect),
        Effect.sync(() => this.#leave(ticket)),
      )
    })
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
        return buffer !== undefined && buffer.length >= size ? buffer : chunkMemory(size)
      }),
      use,
      (buffer) => Effect.sync(() => void this.#buffers.push(buffer)),
    ))
  }

  /** Bytes of a request's body that the cluster may still take: it has found more too large. */
  get largest(): number {
    return this.#largest
  }

  /** The cluster has found a body of so many bytes too large. */
  refused(bytes: number, refusal: FabricError): void {
    this.#largest = Math.min(this.#largest, Math.max(Math.ceil(bytes / 2), SMALLEST_CHUNK))
    this.#refusal = refusal
  }

  /** By what a body of so many bytes would be refused, as another was; unless as many were taken before. */
  refusalOf(bytes: number): FabricError | undefined {
    return bytes > Math.max(this.#largest, this.#accepted) ? this.#refusal : undefined
  }

  /** No single request that was left without an answer can arrive after this time, in milliseconds since 1970. */
  quietAt = 0

  /** A single request that failed now, by that clock, may still arrive within `timeout` seconds and some more. */
  failed(reason: FabricErrorReason, now: number, timeout: number): void {
    this.quietAt = Math.max(this.quietAt, arrivesUntil(reason, timeout, now))
  }

  /** A request with a body of so many bytes succeeded. */
  succeeded(bytes: number): void {
    this.#accepted = Math.max(this.#accepted, bytes)
    if (this.#limit < this.#most && ++this.#streak >= GROW_AFTER) this.#resize(this.#limit + 1)
  }

  /** The cluster was too busy, too slow, or away. */
  troubled(): void {
    this.#resize(Math.ceil(this.#limit / 2))
  }

  #resize(limit: number): void {
    this.#streak = 0
    this.#limit = limit
    this.#wake()
  }

  #turn(ticket: Ticket): Effect.Effect<void> {
    return Effect.suspend(() => {
      if (this.#taken < this.#limit) {
        this.#take(ticket)
        return Effect.void
      }
      return Effect.async<void>((resume) => {
        ticket.wake = () => resume(Effect.void)
        this.#waiting.push(ticket)
      })
    })
  }

  #take(ticket: Ticket): void {
    this.#taken++
    ticket.held = true
  }

  #leave(ticket: Ticket): void {
    if (ticket.held) {
      this.#taken--
      this.#wake()
    } else {
      const at = this.#waiting.indexOf(ticket)
      if (at >= 0) this.#waiting.splice(at, 1)
    }
  }

  /** While somebody waits, no slot is free. */
  #wake(): void {
    while (this.#taken < this.#limit && this.#waiting.length > 0) {
      const ticket = this.#waiting.shift()!
      this.#take(ticket)
      ticket.wake()
    }
  }
}
