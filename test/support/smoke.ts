/** The library in one go, for runtimes on which the whole suite does not run: `bun test/support/smoke.ts`. */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import assert from "node:assert"
import * as Stream from "effect/Stream"
import {
  deleteUploadSession,
  FabricClient,
  FabricError,
  getUploadSession,
  listContent,
  putChunk,
  putFile,
  uploadFile,
  UploadJournal,
} from "../../mod.ts"
import { Emulator, Fault } from "../../src/emulator/mod.ts"

const sessionId = "4a2340e8-d8d8-497c-95fe-cdaa1052f33b"
const session = Effect.map(getUploadSession({ sessionId }), Option.map(({ expected }) => expected))

const program = Effect.gen(function* () {
  const { emulator, url } = yield* Emulator.serve({ port: 0 })
  yield* Effect.gen(function* () {
    yield* putChunk({
      path: "App/a.bin",
      sessionId,
      range: { first: 0, last: 1 },
      size: 4,
      bytes: new Uint8Array(2),
    })
    assert.deepEqual(yield* session, Option.some([{ first: 2, last: 3 }]))
    yield* emulator.inject(Fault.dropAnswer, { on: "DeleteImageStoreUploadSession" })
    yield* deleteUploadSession({ sessionId })
    assert.deepEqual(yield* session, Option.none())
    assert.ok((yield* Effect.flip(deleteUploadSession({ sessionId }))).isNotFound)
    yield* putFile({ path: "App/b.bin", bytes: new Uint8Array(1_000_000) })
    assert.equal(yield* Stream.runCount(listContent({ path: "App" })), 1)
    const size = 5 * 1024 * 1024
    const bytes = Stream.fromIterable(Array.from({ length: 5 }, (_, i) => new Uint8Array(size / 5).fill(i)))
    yield* Stream.runDrain(
      uploadFile({ stream: bytes, size }, "App/c.bin", { chunkSize: 2 * 1024 * 1024 }),
    ).pipe(Effect.provide(UploadJournal.layerMemory()))
    assert.equal((yield* emulator.files).find(({ path }) => path === "App/c.bin")?.size, size)
    assert.deepEqual(yield* emulator.sessions, [])
    assert.ok(FabricError.isRetryable(
      yield* Effect.flip(Effect.provide(
        deleteUploadSession({ sessionId }),
        FabricClient.layerCluster({ endpoints: ["http://127.0.0.1:1"], retry: { times: 0 } }),
      )),
    ))
  }).pipe(Effect.provide(FabricClient.layerCluster({ endpoints: [url], retry: { firstDelay: "10 millis" } })))
})

await Effect.runPromise(Effect.scoped(program))
console.log("1 passed, 0 failed")
