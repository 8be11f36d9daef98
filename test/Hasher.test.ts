import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import { createHash } from "node:crypto"
import { Worker } from "node:worker_threads"
import { chunkMemory, Hasher, type HashThread, startThread } from "../src/upload/Hasher.ts"

const MiB = 1024 * 1024
const expected = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const filled = (size: number, seed: number) => {
  const bytes = chunkMemory(size)
  for (let i = 0; i < size; i += 997) bytes[i] = i + seed
  return bytes
}

/** A hasher, and for each of its threads when that runs. */
const hasherOf = (start: () => HashThread) => {
  const running: Array<Effect.Effect<unknown>> = []
  const watched = () => {
    const thread = start()
    const word = new Promise((resolve) => thread.on("message", resolve))
    running.push(Effect.promise(() => word))
    return thread
  }
  return Effect.map(
    Effect.acquireRelease(
      Effect.sync(() => new Hasher(watched)),
      (hasher) => Effect.sync(() => hasher.close()),
    ),
    (hasher) => ({ hasher, running }),
  )
}

describe("hashes", () => {
  it.scoped("are those of the bytes, before the thread runs and after, in whatever order", () =>
    Effect.gen(function* () {
      const { hasher, running } = yield* hasherOf(startThread)
      const chunks = [3 * MiB, MiB + 1, MiB, 5, 0].map(filled)
      for (let round = 0; round < 3; round++) {
        assert.deepStrictEqual(
          yield* Effect.forEach(chunks, (bytes) => hasher.sha256(bytes), { concurrency: "unbounded" }),
          chunks.map(expected),
        )
        if (round === 0) yield* running[0]!
      }
      assert.strictEqual(running.length, 1)
    }))

  it.scoped("are those of any part of a chunk", () =>
    Effect.gen(function* () {
      const { hasher, running } = yield* hasherOf(startThread)
      const chunk = filled(2 * MiB, 7)
      yield* hasher.sha256(chunk)
      yield* running[0]!
      yield* Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(FastCheck.nat(2 * MiB), FastCheck.nat(2 * MiB), async (start, end) => {
            const part = chunk.subarray(start, end)
            assert.strictEqual(await Effect.runPromise(hasher.sha256(part)), expected(part))
          }),
          { numRuns: 50 },
        )
      )
    }))

  it.scoped("need no thread for small chunks, nor for memory that it does not see", () =>
    Effect.gen(function* () {
      const { hasher, running } = yield* hasherOf(startThread)
      for (const bytes of [filled(MiB, 1), new Uint8Array(3 * MiB).fill(1)]) {
        assert.strictEqual(yield* hasher.sha256(bytes), expected(bytes))
      }
      assert.deepStrictEqual(running, [])
    }))

  it.scoped("come all the same after it was closed, and begin no thread then", () =>
    Effect.gen(function* () {
      const { hasher, running } = yield* hasherOf(startThread)
      hasher.close()
      const chunk = filled(2 * MiB, 5)
      assert.strictEqual(yield* hasher.sha256(chunk), expected(chunk))
      assert.deepStrictEqual(running, [])
    }))

  it.scoped("come all the same where no thread can be had", () =>
    Effect.gen(function* () {
      let tries = 0
      const { hasher } = yield* hasherOf(() => {
        tries++
        throw new Error("not allowed")
      })
      const chunk = filled(2 * MiB, 3)
      for (let i = 0; i < 3; i++) assert.strictEqual(yield* hasher.sha256(chunk), expected(chunk))
      assert.strictEqual(tries, 1)
    }))

  it.scoped("come all the same when the thread ends under them", () =>
    Effect.gen(function* () {
      const { hasher, running } = yield* hasherOf(() =>
        new Worker(
          `const { parentPort } = require("node:worker_threads")
          parentPort.on("message", () => { throw new Error("out of memory") })
          parentPort.postMessage({})`,
          { eval: true },
        )
      )
      const chunks = [2 * MiB, 3 * MiB].map(filled)
      yield* hasher.sha256(chunks[0]!)
      yield* running[0]!
      for (let i = 0; i < 2; i++) {
        assert.deepStrictEqual(
          yield* Effect.forEach(chunks, (bytes) => hasher.sha256(bytes), { concurrency: "unbounded" }),
          chunks.map(expected),
        )
      }
    }))
})
