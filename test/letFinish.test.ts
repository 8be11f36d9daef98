import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import { letFinish } from "../src/letFinish.ts"
import { uploadFile } from "../src/uploadFile.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { clusterWith } from "./support/cluster.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

/** Runs a request of so many seconds that is stopped after one; tells when it was over, and what happened. */
const stopped = (seconds: number) =>
  inVirtualTime(Effect.gen(function* () {
    const told: Array<string> = []
    const tell = (word: string) => Effect.sync(() => void told.push(word))
    const request = Effect.onInterrupt(
      Effect.zipRight(Effect.sleep(seconds * 1000), tell("done")),
      () => tell("cut off"),
    )
    const fiber = yield* Effect.fork(letFinish(request, tell("aborted")))
    yield* Effect.sleep(1000)
    const begun = yield* Clock.currentTimeMillis
    const exit = yield* Fiber.interrupt(fiber)
    assert.isTrue(Exit.isInterrupted(exit))
    return { told, after: ((yield* Clock.currentTimeMillis) - begun) / 1000 }
  }))

describe("letFinish", () => {
  it.effect("gives back what the request gives", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* letFinish(Effect.succeed(1), Effect.die("aborted")), 1)
      assert.strictEqual(yield* Effect.flip(letFinish(Effect.fail("no"), Effect.die("aborted"))), "no")
    }))

  it.effect("lets a request finish that has seconds to go", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* stopped(8), { told: ["done"], after: 7 })
    }))

  it.effect("aborts one that is not done in 10 seconds", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* stopped(3600), { told: ["cut off", "aborted"], after: 10 })
    }))
})

describe("an upload that is stopped", () => {
  for (
    const [what, fault] of [["hang", Fault.hang], [
      "come 20 seconds later",
      Fault.delay("20 seconds"),
    ]] as const
  ) {
    it.effect(`while its chunks ${what} is over when those can no longer arrive, and leaves nothing`, () =>
      inVirtualTime(
        Effect.gen(function* () {
          const emulator = yield* Emulator
          yield* emulator.inject(fault, { on: "UploadFileChunk", times: 20 })
          const fiber = yield* Effect.fork(
            Stream.runDrain(uploadFile(new Uint8Array(100), "App/a.bin", { chunkSize: 10 })),
          )
          yield* Effect.sleep("1 second")
          const begun = yield* Clock.currentTimeMillis
          yield* Fiber.interrupt(fiber)
          // 10 seconds to finish, and the 30 + 5 in which an aborted chunk may still arrive.
          assert.approximately(((yield* Clock.currentTimeMillis) - begun) / 1000, 45, 1)
          assert.deepStrictEqual(yield* emulator.sessions, [])
          assert.deepStrictEqual(yield* (yield* UploadJournal).entries, [])
        }).pipe(Effect.provide(Layer.merge(clusterWith({}), UploadJournal.layerMemory()))),
      ))
  }
})
