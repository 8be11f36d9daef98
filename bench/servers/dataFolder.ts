/**
 * The emulator with a data folder. Its first line is its URL. It answers `"memory"` with the most bytes that it has held,
 * by the system's books, and with how a stored file comes out: `{"hash":path}` by its own `sha256`, `{"read":path}` as a
 * stream, piece by piece. Ends with its input.
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

type Question = "memory" | { readonly read: string } | { readonly hash: string }

const peak = (): number => Number(/VmHWM:\s+(\d+)/.exec(readFileSync("/proc/self/status", "utf8"))![1]) * 1024

const find = ({ files }: EmulatorShape, path: string) =>
  Effect.flatMap(files, (all) => Effect.fromNullable(all.find((file) => file.path === path)))

const answer = (emulator: EmulatorShape, question: Question) =>
  Effect.gen(function* () {
    if (question === "memory") return peak()
    if ("hash" in question) {
      const { sha256, size } = yield* find(emulator, question.hash)
      return { size, sha256: yield* sha256 }
    }
    const { stream } = yield* find(emulator, question.read)
    const hash = createHash("sha256")
    let size = 0
    yield* Stream.runForEach(stream, (piece) =>
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
      console.log(JSON.stringify(await Effect.runPromise(answer(emulator, JSON.parse(line) as Question))))
    }
  })
})

await Effect.runPromise(serve.pipe(Effect.scoped, Logger.withMinimumLogLevel(LogLevel.None)))
process.exit(0)
