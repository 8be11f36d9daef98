/** Tests code of your own against the emulator: no socket, no mock, and half an hour in no time. */
import { type FabricClient, type FabricError, getUploadSession, putChunk } from "@effect-fabric/image-store"
import { Emulator } from "@effect-fabric/image-store/emulator"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as TestClock from "effect/TestClock"
import * as TestContext from "effect/TestContext"
import assert from "node:assert"

const sessionId = "4a2340e8-d8d8-497c-95fe-cdaa1052f33b"

/** The code under test: it needs a cluster, and does not care which. */
const isStale: Effect.Effect<boolean, FabricError, FabricClient> = Effect.map(
  getUploadSession({ sessionId }),
  Option.isNone,
)

const test = Effect.gen(function* () {
  yield* putChunk({
    path: "App/a.bin",
    sessionId,
    range: { first: 0, last: 1 },
    size: 4,
    bytes: new Uint8Array(2),
  })
  assert.equal(yield* isStale, false)
  yield* TestClock.adjust("36 minutes")
  assert.equal(yield* isStale, true)
  yield* Effect.log("a session that nobody touches expires")
})

await Effect.runPromise(
  test.pipe(Effect.provide(Emulator.layerClient()), Effect.provide(TestContext.TestContext)),
)
