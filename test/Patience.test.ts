import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as fc from "effect/FastCheck"
import { Emulator } from "../src/emulator/mod.ts"
import type { FabricClient } from "../src/FabricClient.ts"
import { FabricError, type FabricErrorReason } from "../src/FabricError.ts"
import { Patience } from "../src/upload/Patience.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

const errorOf = (reason: FabricErrorReason) =>
  new FabricError({
    operation: "GetImageStoreInfo",
    action: "look",
    endpoint: "one:19080",
    attempts: 1,
    reason,
  })

const busy = (retryAfter?: number) =>
  errorOf({
    _tag: "Rejected",
    status: 503,
    code: undefined,
    detail: "",
    ...(retryAfter === undefined ? {} : { retryAfter }),
  })

const run = <A, E>(program: Effect.Effect<A, E, FabricClient>) =>
  inVirtualTime(Effect.provide(program, Emulator.layerClient()))

/** Seconds at which something that always fails is tried, with a patience of so many seconds. */
const tries = (limit: number, error: FabricError) =>
  run(Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    const seconds: Array<number> = []
    const failing = Effect.flatMap(Clock.currentTimeMillis, (now) => {
      seconds.push((now - begun) / 1000)
      return error
    })
    const last = yield* Effect.flip(new Patience(limit * 1000).persist(failing))
    assert.strictEqual(last, error)
    return seconds
  }))

describe("patience", () => {
  it.effect("is over after its time without progress, however many attempts that takes", () =>
    Effect.gen(function* () {
      const seconds = yield* tries(300, busy())
      assert.isAbove(seconds.length, 25)
      assert.isAtLeast(seconds.at(-1)!, 300)
      assert.isAtMost(seconds.at(-1)!, 310)
    }))

  it.effect("begins anew with each progress", () =>
    run(Effect.gen(function* () {
      const begun = yield* Clock.currentTimeMillis
      const patience = new Patience(20_000)
      let left = 5
      yield* patience.persist(
        Effect.suspend(() =>
          --left > 0 ? Effect.zipRight(Effect.sync(() => patience.note()), busy()) : Effect.void
        ).pipe(
          Effect.delay("15 seconds"),
        ),
      )
      assert.isAbove((yield* Clock.currentTimeMillis) - begun, 60_000)
    })))

  it.effect("waits longer and longer, up to ten seconds", () =>
    Effect.gen(function* () {
      const seconds = yield* tries(120, busy())
      const waits = seconds.slice(1).map((at, i) => at - seconds[i]!)
      assert.isBelow(waits[0]!, 0.51)
      assert.isTrue(waits.every((wait) => wait <= 10))
    }))

  it.effect("waits as long as the cluster asks", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* tries(100, busy(40)), [0, 40, 80, 100])
    }))

  it.effect("is not stretched by a cluster that asks for more", () =>
    Effect.promise(() =>
      fc.assert(fc.asyncProperty(fc.integer({ min: 0, max: 1e9 }), async (asked) => {
        const seconds = await Effect.runPromise(tries(60, busy(asked)))
        assert.isAtMost(seconds.at(-1)!, 70)
      }))
    ))

  it.effect("is none for what the next attempt meets too", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* tries(60, errorOf({ _tag: "SessionsUnsupported" })), [0])
    }))
})

describe("a pause", () => {
  it.effect("in which nothing is tried does not count", () =>
    run(Effect.gen(function* () {
      yield* Effect.sleep("10 minutes")
      const patience = new Patience(60_000)
      for (const _ of [1, 2, 3]) {
        let failures = 2
        yield* patience.persist(Effect.suspend(() => failures-- > 0 ? busy() : Effect.void))
        yield* Effect.sleep("10 minutes")
      }
    })))

  it.effect("of what was tried counts, though something else succeeds meanwhile at once", () =>
    run(Effect.gen(function* () {
      const patience = new Patience(60_000)
      yield* patience.wait(0, busy())
      yield* Effect.sleep("70 seconds")
      yield* patience.persist(Effect.void)
      assert.strictEqual((yield* Effect.flip(patience.wait(1, busy()))).message, busy().message)
    })))

  it.effect("does not last for ever where the clock is set back", () =>
    run(Effect.gen(function* () {
      const begun = yield* Clock.currentTimeMillis
      const patience = new Patience(60_000, undefined, { failing: begun + 3_600_000 })
      yield* Effect.flip(patience.persist(busy()))
      assert.isAtMost((yield* Clock.currentTimeMillis) - begun, 70_000)
    })))
})

describe("patience of several", () => {
  it.effect("lasts from the first failure since any of them got further", () =>
    run(Effect.gen(function* () {
      const pulse = { failing: undefined }
      const [one, other] = [new Patience(60_000, undefined, pulse), new Patience(60_000, undefined, pulse)]
      const error = errorOf({ _tag: "TimedOut", seconds: 65 })
      yield* one.wait(0, error)
      yield* Effect.sleep("70 seconds")
      assert.strictEqual(yield* Effect.flip(other.wait(0, error)), error)
      other.note()
      yield* one.wait(0, error)
    })))
})
