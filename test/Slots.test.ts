import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FastCheck from "effect/FastCheck"
import { FabricError } from "../src/FabricError.ts"
import { Slots } from "../src/upload/Slots.ts"
import { SMALLEST_CHUNK } from "../src/upload/uploadOptions.ts"

/** How many slots there are for those who take them now. */
const free = (slots: Slots) =>
  Effect.gen(function* () {
    let inside = 0
    const stay = slots.use(Effect.zipRight(Effect.sync(() => void inside++), Effect.never))
    const fibers = yield* Effect.forEach(Array(20), () => Effect.fork(stay))
    yield* Effect.yieldNow()
    const count = inside
    yield* Fiber.interruptAll(fibers)
    return count
  })

describe("slots", () => {
  it.effect("are given in the order in which they are asked for, and no more than there are", () =>
    Effect.gen(function* () {
      const slots = new Slots(2)
      const order: Array<number> = []
      let inside = 0
      yield* Effect.forEach(
        Array.from({ length: 20 }, (_, index) => index),
        (index) =>
          slots.use(Effect.gen(function* () {
            assert.isAtMost(++inside, 2)
            order.push(index)
            for (let turns = index % 3; turns >= 0; turns--) yield* Effect.yieldNow()
            inside--
          })),
        { concurrency: "unbounded" },
      )
      assert.deepStrictEqual(order, order.toSorted((a, b) => a - b))
    }))

  it.effect("are halved by trouble, and come back one by one", () =>
    Effect.gen(function* () {
      const slots = new Slots(5)
      slots.troubled()
      assert.strictEqual(slots.limit, 3)
      assert.strictEqual(yield* free(slots), 3)
      for (let successes = 0; successes < 8; successes++) slots.succeeded(1)
      assert.strictEqual(yield* free(slots), 4)
      for (let successes = 0; successes < 80; successes++) slots.succeeded(1)
      assert.strictEqual(yield* free(slots), 5, "never more than at first")
    }))

  it.effect("that come back are given to those who wait", () =>
    Effect.gen(function* () {
      const slots = new Slots(2)
      slots.troubled()
      const gate = yield* Deferred.make<void>()
      let inside = 0
      const enter = slots.use(Effect.zipRight(Effect.sync(() => void inside++), Deferred.await(gate)))
      const fibers = yield* Effect.forEach([1, 2], () => Effect.fork(enter))
      yield* Effect.yieldNow()
      assert.strictEqual(inside, 1)
      for (let successes = 0; successes < 8; successes++) slots.succeeded(1)
      yield* Effect.yieldNow()
      assert.strictEqual(inside, 2)
      yield* Deferred.succeed(gate, undefined)
      yield* Effect.forEach(fibers, Fiber.join)
    }))

  it("know what the cluster finds too large: half of the least that it refused, unless it has taken more", () => {
    const slots = new Slots(2)
    const refusal = new FabricError({
      operation: "UploadFileChunk",
      action: "upload App/a.bin",
      endpoint: "one:19080",
      attempts: 1,
      reason: { _tag: "Rejected", status: 413, code: undefined, detail: "" },
    })
    assert.isUndefined(slots.refusalOf(2 ** 40))
    for (const bytes of [400_000, 800_000]) slots.refused(bytes, refusal)
    assert.strictEqual(slots.largest, 200_000)
    assert.isUndefined(slots.refusalOf(200_000))
    assert.strictEqual(slots.refusalOf(200_001), refusal)
    slots.succeeded(300_000)
    assert.isUndefined(slots.refusalOf(300_000))
    assert.strictEqual(slots.refusalOf(300_001), refusal)
    slots.refused(1, refusal)
    assert.strictEqual(slots.largest, SMALLEST_CHUNK)
  })

  it.effect("are never lost, whenever those who use them or wait for them are interrupted or fail", () =>
    Effect.promise(() =>
      FastCheck.assert(FastCheck.asyncProperty(
        FastCheck.integer({ min: 1, max: 3 }),
        FastCheck.array(
          FastCheck.record({
            turns: FastCheck.nat(3),
            fails: FastCheck.boolean(),
            stopAfter: FastCheck.nat(8),
          }),
          { minLength: 1, maxLength: 12 },
        ),
        (most, users) =>
          Effect.runPromise(Effect.gen(function* () {
            const slots = new Slots(most)
            const fibers = yield* Effect.forEach(users, ({ fails, stopAfter, turns }) =>
              Effect.gen(function* () {
                const user = yield* Effect.fork(slots.use(Effect.gen(function* () {
                  for (let turn = 0; turn < turns; turn++) yield* Effect.yieldNow()
                  if (fails) yield* Effect.fail("as it should")
                })))
                for (let turn = 0; turn < stopAfter; turn++) yield* Effect.yieldNow()
                yield* Fiber.interrupt(user)
              }).pipe(Effect.fork))
            yield* Effect.forEach(fibers, Fiber.await)
            assert.strictEqual(yield* free(slots), most)
          })),
      ))
    ))
})
