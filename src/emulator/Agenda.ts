/**
 * Work that happens later. Nothing runs in the background: whoever looks at the store says what time it is,
 * and everything that was due by then happens first, in order, at its own time.
 *
 * @module
 */

interface Entry {
  readonly at: number
  readonly run: (now: number) => void
}

/** Work ordered by time; what is due at one time runs in the order in which it was planned. */
export class Agenda {
  readonly #entries: Array<Entry> = []

  /** Plans work for a time in milliseconds. */
  plan(at: number, run: (now: number) => void): void {
    let place = this.#entries.length
    while (place > 0 && this.#entries[place - 1]!.at > at) place--
    this.#entries.splice(place, 0, { at, run })
  }

  /** Runs what is due. Work may plan more work. */
  advance(now: number): void {
    while (this.#entries.length > 0 && this.#entries[0]!.at <= now) {
      const { at, run } = this.#entries.shift()!
      run(at)
    }
  }
}
