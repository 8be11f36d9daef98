/**
 * The emulator with a data folder. Its first line is its URL. It answers `"memory"` with the most bytes that it has held,
 * by the system's books, and `{"read":path}` with how a stored file comes out: piece by piece, into a hash. Ends with its
 * input.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import * as process from "node:process"
import * as Readline from "node:readline"
import { Emulator, type EmulatorShape } from "../../src/emulator/mod.ts"

type Question = "memory" | { readonly read: string }

const peak = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024

const read = ({ files }: EmulatorShape, path: string) =>
  Effect.gen(function* () {
    const file = (yield* files).find((file) => file.path === path)
    if (file === undefined) return { size: -1, sha256: "" }
    const hash = createHash("sha256")
    let size = 0
    yield* Stream.runForEach(file.stream, (piece) =>
      Effect.sync(() => {
        hash.update(piece)
        size += piece.byteLength
      }))
    return { size, sha256: hash.digest("hex") }
  })

const serve = Effect.gen(function* () {
  const { emulator, url } = yield* Emulator.serve({ port: 0, data: process.argv[2]! })
  console.log(url)
  yield* Effect.promise(async () => {
    for await (const line of Readline.createInterface({ input: process.stdin })) {
      const question = JSON.parse(line) as Question
      console.log(
        JSON.stringify(
          question === "memory" ? peak() : await Effect.runPromise(read(emulator, question.read)),
        ),
      )
    }
  })
})

await Effect.runPromise(serve.pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None)))
process.exit(0)
