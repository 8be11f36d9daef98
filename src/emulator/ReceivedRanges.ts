/**
 * Which bytes of a file have arrived, and which are still expected (protocol.md 4.3, 4.4).
 *
 * @module
 */
import type { ByteRange } from "../UploadSession.ts"

/** Positions that arrived, ascending, disjoint, neighbours merged. */
export class ReceivedRanges {
  readonly #edges: Array<{ first: number; last: number }> = []

  /** Adds a range that lies inside one expected range. */
  add({ first, last }: ByteRange): void {
    let at = this.#edges.length
    while (at > 0 && this.#edges[at - 1]!.first > first) at--
    const before = this.#edges[at - 1]
    const after = this.#edges[at]
    const joinsBefore = before !== undefined && before.last + 1 === first
    const joinsAfter = after !== undefined && last + 1 === after.first
    if (joinsBefore && joinsAfter) {
      before.last = after.last
      this.#edges.splice(at, 1)
    } else if (joinsBefore) before.last = last
    else if (joinsAfter) after.first = first
    else this.#edges.splice(at, 0, { first, last })
  }

  /**
   * The missing ranges of a file of that size, ascending. A file of no bytes expects 0 to 0 for ever, which
   * is why its commit always fails.
   */
  expected(size: number): Array<ByteRange> {
    if (size === 0) return [{ first: 0, last: 0 }]
    const missing: Array<ByteRange> = []
    let next = 0
    for (const { first, last } of this.#edges) {
      if (first > next) missing.push({ first: next, last: first - 1 })
      next = last + 1
    }
    if (next < size) missing.push({ first: next, last: size - 1 })
    return missing
  }

  /** Whether a range lies wholly inside one missing range. */
  expects(range: ByteRange, size: number): boolean {
    if (size === 0) return range.first === 0 && range.last === 0
    if (range.last >= size) return false
    // Gaps lie between neighbours: the range must end before the first edge that ends at or after its start.
    for (const { first, last } of this.#edges) {
      if (last >= range.first) return range.last < first
    }
    return true
  }

  /** Nothing is missing and nothing is too much: a last position equal to the size never gets here. */
  isWhole(size: number): boolean {
    return this.#edges.length === 1 && this.#edges[0]!.first === 0 && this.#edges[0]!.last === size - 1
  }
}
