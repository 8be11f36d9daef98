import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import type * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { uploadFile } from "../mod.ts"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import { until } from "./support/mortal.ts"
import { run } from "./support/uploads.ts"

/** A wall clock that somebody sets; what sleeps by it does not notice. */
class WallClock implements Clock.Clock {
  readonly [Clock.ClockTypeId]: Clock.ClockTypeId = Clock.ClockTypeId
  readonly #steady: Clock.Clock
  /** Milliseconds by which it is wrong. */
  wrong = 0
  readonly currentTimeMillis: Effect.Effect<number> = Effect.sync(() => this.unsafeCurrentTimeMillis())
  readonly currentTimeNanos: Effect.Effect<bigint> = Effect.sync(() => this.unsafeCurrentTimeNanos())

  constructor(steady: Clock.Clock) {
    this.#steady = steady
  }

  unsafeCurrentTimeMillis(): number {
    return this.#steady.unsafeCurrentTimeMillis() + this.wrong
  }

  unsafeCurrentTimeNanos(): bigint {
    return this.#steady.unsafeCurrentTimeNanos() + BigInt(this.wrong) * 1_000_000n
  }

  sleep(duration: Duration.Duration): Effect.Effect<void> {
    return this.#steady.sleep(duration)
  }
}

const HOUR = 3_600_000

/** Seconds that an upload takes whose clock is set back by an hour after its third chunk, by a clock that is right. */
const uploaded = Effect.gen(function* () {
  const steady = yield* Effect.clock
  const clock = new WallClock(steady)
  const begun = steady.unsafeCurrentTimeMillis()
  const upload = yield* Effect.fork(Effect.withClock(
    Stream.runDrain(uploadFile(new Uint8Array(200), "App/a.bin", { chunkSize: 10, concurrency: 2 })),
    clock,
  ))
  yield* until("UploadFileChunk", 3)
  clock.wrong = -HOUR
  yield* Fiber.join(upload)
  return (steady.unsafeCurrentTimeMillis() - begun) / 1000
})

const within = (most: number, fault: Fault) =>
  Effect.gen(function* () {
    yield* (yield* Emulator).inject(fault, { on: "UploadFileChunk" })
    assert.isAtMost(yield* uploaded, most)
  })

describe("a clock that is set back by an hour during an upload", () => {
  it.effect("does not stretch the wait for a lost chunk by it", () =>
    run(within(180, Fault.reset), { latency: "1 second" }))

  it.effect("does not stretch the deadline of a request by it", () =>
    run(within(180, Fault.hang), { latency: "1 second" }))
})
