/**
 * The emulator, as `image-store emulator` runs it without a log. Talks like `bare.mjs`.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as process from "node:process"
import * as Readline from "node:readline"
import { Emulator } from "../../src/emulator/mod.ts"

const serve = Effect.gen(function* () {
  const { url } = yield* Emulator.serve({ port: 0 })
  console.log(url)
  yield* Effect.promise(async () => {
    for await (const _ of Readline.createInterface({ input: process.stdin })) {
      const { user, system } = process.cpuUsage()
      console.log(JSON.stringify(user + system))
    }
  })
})

await Effect.runPromise(
  serve.pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None)),
)
process.exit(0)
