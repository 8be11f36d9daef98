/** Turns our retries off, and composes others. */
import { deleteUploadSession, FabricClient, FabricError } from "@effect-fabric/image-store"
import { Emulator, Fault } from "@effect-fabric/image-store/emulator"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"

const sessionId = "4a2340e8-d8d8-497c-95fe-cdaa1052f33b"

const program = Effect.gen(function* () {
  const { emulator, url } = yield* Emulator.serve({ port: 0 })
  yield* emulator.inject(Fault.reply(503, "E_ABORT"), { times: 2 })
  const patient = deleteUploadSession({ sessionId, timeout: 10 }).pipe(
    Effect.retry({ while: FabricError.isRetryable, schedule: Schedule.spaced("50 millis"), times: 5 }),
    Effect.timeout("1 minute"),
    Effect.catchIf(FabricError.isNotFound, () => Effect.void),
  )
  yield* Effect.provide(patient, FabricClient.layerCluster({ endpoints: [url], retry: { times: 0 } }))
  yield* Effect.log(`done after ${(yield* emulator.requests).length} requests`)
})

await Effect.runPromise(Effect.scoped(program))
