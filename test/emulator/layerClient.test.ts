import { assert, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { deleteUploadSession } from "../../src/deleteUploadSession.ts"
import { Emulator, Fault } from "../../src/emulator/mod.ts"
import { S } from "./support/calls.ts"

it.layer(Emulator.layerClient({ client: { retry: { times: 0 } } }))("layerClient", (it) => {
  it.effect("runs the operations against an emulator, and shows the same emulator", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      const unknown = yield* Effect.flip(deleteUploadSession({ sessionId: S }))
      assert.isTrue(unknown.isNotFound)
      yield* emulator.inject(Fault.reply(503, "E_ABORT"), { on: "DeleteImageStoreUploadSession" })
      const busy = yield* Effect.flip(deleteUploadSession({ sessionId: S }))
      assert.isTrue(busy.isRetryable)
      assert.deepStrictEqual((yield* emulator.requests).map(({ status }) => status), [404, 503])
    }))
})
