import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { uploadFile, uploadPackage, withUploadSession } from "../mod.ts"
import { Emulator, Fault, FaultPlan } from "../src/emulator/mod.ts"
import { clientOver, until } from "./support/mortal.ts"
import { folderOf, stored } from "./support/packages.ts"
import { nothingLeft, run } from "./support/uploads.ts"

/** The third request of an operation is on its way for long when the fourth is refused. */
const slowAndRefused = (on: string, refusal: Fault) => {
  let count = 0
  return {
    latency: "100 millis",
    faults: FaultPlan.make(() => ({ operation }) =>
      operation !== on
        ? undefined
        : ++count === 3
        ? Fault.delay("5 seconds")
        : count === 4
        ? refusal
        : undefined
    ),
  } as const
}

describe("a refusal while another request is under way", () => {
  it.effect("of a chunk leaves no session", () =>
    run(
      Effect.gen(function* () {
        const upload = uploadFile(new Uint8Array(200), "App/a.bin", { chunkSize: 10, concurrency: 2 })
        const error = yield* Effect.flip(Stream.runDrain(upload))
        assert.strictEqual(error._tag, "FabricError")
        yield* Effect.sleep("2 minutes")
        yield* nothingLeft
      }),
      slowAndRefused("UploadFileChunk", Fault.reply(403, "E_ACCESSDENIED")),
    ))

  it.effect("of a chunk that is too large leaves nothing of the first session", () =>
    run(
      Effect.gen(function* () {
        const chunkSize = 128 * 1024
        const source = new Uint8Array(24 * chunkSize)
        yield* Stream.runDrain(uploadFile(source, "App/a.bin", { chunkSize, concurrency: 2 }))
        yield* Effect.sleep("2 minutes")
        yield* nothingLeft
      }),
      slowAndRefused("UploadFileChunk", Fault.tooLarge),
    ))

  it.effect("of a file leaves nothing of the package", () =>
    run(
      Effect.gen(function* () {
        const files = Object.fromEntries(Array.from({ length: 20 }, (_, i) => [`f${i}.txt`, `${i}`]))
        const upload = uploadPackage(yield* folderOf(files), "App", { validate: false, concurrency: 2 })
        const error = yield* Effect.flip(Stream.runDrain(upload))
        assert.strictEqual(error._tag, "FabricError")
        yield* Effect.sleep("2 minutes")
        assert.deepStrictEqual(yield* stored, {})
        yield* nothingLeft
      }),
      slowAndRefused("UploadFile", Fault.reply(403, "E_ACCESSDENIED")),
    ))
})

/** The cluster's answers to deletions take 8 seconds to come back. */
const slowDeletions = clientOver((http) =>
  HttpClient.transform(
    http,
    (answer, { method }) => method === "DELETE" ? Effect.zipLeft(answer, Effect.sleep("8 seconds")) : answer,
  )
)

describe("what arrives after a deletion that is answered late", () => {
  it.effect("is deleted again where it is a chunk", () =>
    run(Effect.gen(function* () {
      const { inject } = yield* Emulator
      const error = yield* Effect.flip(
        withUploadSession({ path: "App/a.bin", size: 10 }, ({ put }) =>
          put({ first: 0, last: 4 }, new Uint8Array(5)).pipe(
            Effect.zipRight(inject(Fault.late("29 seconds"), { on: "UploadFileChunk" })),
            Effect.zipRight(
              Effect.timeoutOption(put({ first: 5, last: 9 }, new Uint8Array(5)), "28 seconds"),
            ),
            Effect.zipRight(Effect.fail("no")),
          )).pipe(Effect.provide(slowDeletions)),
      )
      assert.strictEqual(error, "no")
      yield* Effect.sleep("2 minutes")
      yield* nothingLeft
    })))

  it.effect("is deleted again where it is a file of half a package", () =>
    run(Effect.gen(function* () {
      const { inject } = yield* Emulator
      yield* inject(Fault.late("29 seconds"), { on: "UploadFile" })
      const source = yield* folderOf({ "a.txt": "aa", "b.txt": "b" })
      const upload = yield* Effect.fork(
        Effect.provide(
          Stream.runDrain(uploadPackage(source, "App", { validate: false, concurrency: 1 })),
          slowDeletions,
        ),
      )
      yield* until("UploadFile", 1)
      yield* inject(Fault.reply(429), { on: "UploadFile", times: 100 })
      yield* Effect.sleep("28 seconds")
      yield* Fiber.interrupt(upload)
      yield* Effect.sleep("2 minutes")
      assert.deepStrictEqual(yield* stored, {})
    })))
})
