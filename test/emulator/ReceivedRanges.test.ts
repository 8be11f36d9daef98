import { describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { expect } from "vitest"
import { ReceivedRanges } from "../../src/emulator/ReceivedRanges.ts"

/** The same thing as a set of positions: slow and obvious. */
const missing = (arrived: ReadonlySet<number>, size: number) => {
  const ranges: Array<{ first: number; last: number }> = []
  for (let at = 0; at < size; at++) {
    if (arrived.has(at)) continue
    if (ranges.at(-1)?.last === at - 1) ranges.at(-1)!.last = at
    else ranges.push({ first: at, last: at })
  }
  return ranges
}

const scripts = FastCheck.integer({ min: 1, max: 40 }).chain((size) =>
  FastCheck.record({
    size: FastCheck.constant(size),
    chunks: FastCheck.array(
      FastCheck.tuple(FastCheck.nat(size + 1), FastCheck.nat(size + 1))
        .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) })),
      { maxLength: 40 },
    ),
  })
)

describe("ReceivedRanges", () => {
  it("agrees with a set of positions, whatever chunks come in whatever order", () => {
    FastCheck.assert(
      FastCheck.property(scripts, ({ chunks, size }) => {
        const ranges = new ReceivedRanges()
        const arrived = new Set<number>()
        for (const range of chunks) {
          const free = missing(arrived, size).some(({ first, last }) =>
            range.first >= first && range.last <= last
          )
          expect(ranges.expects(range, size)).toBe(free)
          if (!free) continue
          ranges.add(range)
          for (let at = range.first; at <= range.last; at++) arrived.add(at)
          expect(ranges.expected(size)).toEqual(missing(arrived, size))
          expect(ranges.isWhole(size)).toBe(arrived.size === size)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it("expects 0 to 0 of a file without bytes for ever", () => {
    const ranges = new ReceivedRanges()
    ranges.add({ first: 0, last: 0 })
    expect(ranges.expected(0)).toEqual([{ first: 0, last: 0 }])
    expect(ranges.isWhole(0)).toBe(false)
  })

  it("expects nothing after a first chunk that ends at the length, and is not whole either", () => {
    const ranges = new ReceivedRanges()
    ranges.add({ first: 0, last: 20 })
    expect(ranges.expected(20)).toEqual([])
    expect(ranges.isWhole(20)).toBe(false)
    expect(ranges.expects({ first: 0, last: 0 }, 20)).toBe(false)
  })
})
