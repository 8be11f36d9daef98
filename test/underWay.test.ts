import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { uploadFile, uploadPackage } from "../mod.ts"
import { Fault, FaultPlan } from "../src/emulator/mod.ts"
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
