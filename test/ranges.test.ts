import { assert, describe, it } from "@effect/vitest"
import * as FastCheck from "effect/FastCheck"
import { arrived, chunksOf, missingChunks, sizeOf } from "../src/upload/ranges.ts"

const file = FastCheck.record({
  size: FastCheck.integer({ min: 1, max: 5000 }),
  chunk: FastCheck.integer({ min: 1, max: 700 }),
})

describe("chunks", () => {
  it.prop("tile the file without gap or overlap", [file], ([{ chunk, size }]) => {
    const chunks = chunksOf(size, chunk)
    assert.strictEqual(chunks[0]?.first, 0)
    assert.strictEqual(chunks.at(-1)?.last, size - 1)
    chunks.forEach((range, i) => {
      assert.isTrue(sizeOf(range) >= 1 && sizeOf(range) <= chunk)
      if (i > 0) assert.strictEqual(range.first, chunks[i - 1]!.last + 1)
    })
  })

  it("go far beyond 4 GiB without losing a byte", () => {
    const size = 5 * 2 ** 30 + 1
    const chunks = chunksOf(size, 8 * 2 ** 20)
    assert.strictEqual(chunks.length, 641)
    assert.deepStrictEqual(chunks.at(-1), { first: size - 1, last: size - 1 })
    assert.strictEqual(chunks[82]!.first, 82 * 8 * 2 ** 20)
  })

  it.prop(
    "that are missing are those inside what is expected",
    [file, FastCheck.infiniteStream(FastCheck.boolean())],
    ([{ chunk, size }, coins]) => {
      const chunks = chunksOf(size, chunk)
      const missing = chunks.filter(() => coins.next().value)
      // What a server expects: neighbours in one range.
      const expected: Array<{ first: number; last: number }> = []
      for (const { first, last } of missing) {
        const previous = expected.at(-1)
        if (previous?.last === first - 1) previous.last = last
        else expected.push({ first, last })
      }
      assert.deepStrictEqual(missingChunks(chunks, expected), missing)
      for (const each of chunks) assert.strictEqual(arrived(each, expected), !missing.includes(each))
    },
  )

  it("are of no use when the cluster expects half of one", () => {
    assert.isUndefined(missingChunks(chunksOf(100, 10), [{ first: 5, last: 19 }]))
    assert.isUndefined(missingChunks(chunksOf(100, 10), [{ first: 10, last: 24 }]))
  })
})
