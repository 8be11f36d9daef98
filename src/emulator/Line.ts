/**
 * The line between the clients and the cluster.
 *
 * @module
 */

/** All bodies share one line, first come, first served. */
export class Line {
  readonly #perMilli: number
  #freeAt = 0

  /** Bytes a second; `Infinity` is no limit. */
  constructor(bandwidth: number) {
    this.#perMilli = bandwidth / 1000
  }

  /** Milliseconds until that many more bytes are through. */
  take(bytes: number, now: number): number {
    if (this.#perMilli === Infinity) return 0
    this.#freeAt = Math.max(this.#freeAt, now) + bytes / this.#perMilli
    return this.#freeAt - now
  }
}
