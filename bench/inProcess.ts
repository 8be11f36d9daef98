/**
 * Delete calls against the layer without a socket, under the test clock. Writes one JSON line: seconds.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as TestContext from "effect/TestContext"
import * as process from "node:process"
import { deleteUploadSession } from "../src/deleteUploadSession.ts"
import { Emulator } from "../src/emulator/mod.ts"
import { putChunk } from "../src/uploadSessions.ts"

const calls = Number(process.argv[2])
const ids = Array.from({ length: calls }, () => crypto.randomUUID())
const bytes = new Uint8Array(1)

const program = Effect.gen(function* () {
  // Half a file each, so that every session is there to be deleted.
  const chunk = {
    path: "App/Code.zip",
    bytes,
    range: { first: 0, last: 0 },
    size: 2,
  }
  yield* Effect.forEach(ids, (sessionId) => putChunk({ ...chunk, sessionId }), {
    discard: true,
  })
  const start = performance.now()
  yield* Effect.forEach(
    ids,
    (sessionId) => deleteUploadSession({ sessionId }),
    { concurrency: 16, discard: true },
  )
  return (performance.now() - start) / 1000
})

const seconds = await Effect.runPromise(
  program.pipe(
    Effect.provide(Emulator.layerClient()),
    Effect.provide(TestContext.TestContext),
  ),
)
console.log(JSON.stringify(seconds))
process.exit(0)
