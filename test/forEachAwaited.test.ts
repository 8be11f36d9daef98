import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import { forEachAwaited } from "../src/upload/forEachAwaited.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

const numbers = (count: number) => Array.from({ length: count }, (_, i) => i)

describe("forEachAwaited", () => {
  it.effect.prop(
    "takes each item once, in order, and never more at once than it may",
    { count: FastCheck.nat(40), most: FastCheck.integer({ min: 1, max: 8 }) },
    ({ count, most }) =>
      inVirtualTime(Effect.gen(function* () {
        const taken: Array<number> = []
        let working = 0
        let peak = 0
        yield* forEachAwaited(numbers(count), most, (item) =>
          Effect.suspend(() => {
            taken.push(item)
            peak = Math.max(peak, ++working)
            return Effect.delay(Effect.sync(() => working--), `${item % 7} seconds`)
          }))
        assert.deepStrictEqual(taken, numbers(count))
        assert.isAtMost(peak, most)
      })),
  )

  for (const count of [3, 4, 20]) {
    it.effect(`is over when what it began is, if one of ${count} fails`, () =>
      inVirtualTime(Effect.gen(function* () {
        const over: Array<number> = []
        const error = yield* Effect.flip(
          forEachAwaited(
            numbers(count),
            3,
            (item) =>
              item === 1 ? Effect.delay(Effect.fail("no"), "1 second") : Effect.onInterrupt(
                Effect.never,
                () =>
                  Effect.delay(
                    Effect.sync(() => over.push(item)),
                    "10 seconds",
                  ),
              ),
          ),
        )
        assert.strictEqual(error, "no")
        assert.deepStrictEqual(over, [0, 2])
      })))
  }

  it.effect("is over when what it began is, if it is interrupted", () =>
    inVirtualTime(Effect.gen(function* () {
      let over = 0
      const fiber = yield* Effect.fork(
        forEachAwaited(numbers(20), 3, () =>
          Effect.onInterrupt(Effect.never, () =>
            Effect.delay(
              Effect.sync(() => over++),
              "10 seconds",
            ))),
      )
      yield* Effect.sleep("1 second")
      const begun = yield* Clock.currentTimeMillis
      yield* Fiber.interrupt(fiber)
      assert.strictEqual(over, 3)
      assert.strictEqual((yield* Clock.currentTimeMillis) - begun, 10_000)
    })))
})
