import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import { existsSync, readFileSync } from "node:fs"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { tokenCommand, tokenFile } from "../src/credentials/tokenSources.ts"
import { isRunning } from "../src/system/isRunning.ts"
import { temporaryFolder } from "./support/packages.ts"
import { jwt } from "./support/tokens.ts"

const TOKEN = jwt("hunter2")

const printed = (line: string) => Effect.map(tokenCommand(line), Redacted.value)
const problem = (line: string) => Effect.map(Effect.flip(tokenCommand(line)), ({ message }) => message)

describe("a command", () => {
  it.effect("is run as its words stand there, and no shell sees them", () =>
    Effect.gen(function* () {
      const words =
        `node -e "console.log(process.argv.slice(1).join('|'))" -- $HOME  'a b'c"d  'e" * ; a>b && \\ ''`
      assert.strictEqual(yield* printed(words), "$HOME|a bcd  'e|*|;|a>b|&&|\\|\n")
    }))

  it.effect("gets no input", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* printed(`node -e "process.stdin.on('end', () => console.log('end')).resume()"`),
        "end\n",
      )
    }))

  it.effect("that fails is told with what it said, without the token", () =>
    Effect.gen(function* () {
      const says = (text: string) => problem(`node -e "${text}"`)
      assert.strictEqual(
        yield* says(`console.error('ERROR: please run az login'); process.exit(3)`),
        "its command ended with code 3: ERROR: please run az login",
      )
      const chatty = yield* says(
        `process.exitCode = 4; process.stderr.write('x'.repeat(1e5), () => console.error(' no account'))`,
      )
      assert.match(chatty, /^its command ended with code 4: x+ no account$/)
      const opaque = "opaque-hunter2"
      for (const token of [TOKEN, opaque]) {
        const told = yield* says(
          `console.log('${token}'); console.error('x'.repeat(390) + '${token} is not right'); process.exitCode = 1`,
        )
        assert.include(told, "<token> is not right")
        assert.notInclude(told, token.slice(-20))
      }
      const killed = yield* says(`console.log('${TOKEN}'); process.kill(process.pid, 'SIGKILL')`)
      assert.strictEqual(killed, "its command ended with SIGKILL")
    }))

  it.effect("that cannot be run is told without its words: the token may be one of them", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* problem(TOKEN), "its command cannot be started (ENOENT)")
      assert.strictEqual(yield* problem(`az "${TOKEN}`), "its command has a quote that does not end")
      assert.strictEqual(yield* problem("  "), "its command is empty")
    }))

  it.effect("that prints no end of it is ended", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        yield* problem(
          `node -e "process.stdout.on('error', () => {}); setInterval(() => console.log('x'.repeat(10000)))"`,
        ),
        "its command printed more than a token",
      )
    }))

  it.scoped("is killed when nobody waits for it any more", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "pid")
      const text =
        `require('node:fs').writeFileSync(process.argv[1], String(process.pid)); setInterval(() => {}, 1e6)`
      const running = yield* Effect.fork(tokenCommand(`node -e "${text}" '${file}'`))
      const turn = Effect.promise(() => new Promise(setImmediate))
      yield* Effect.repeat(turn, { until: () => existsSync(file) && readFileSync(file, "utf8") !== "" })
      const pid = Number(readFileSync(file, "utf8"))
      assert.isTrue(isRunning(pid))
      yield* Fiber.interrupt(running)
      yield* Effect.repeat(turn, { until: () => isRunning(pid) === false })
    }))
})

describe("a file", () => {
  it.scoped("is read each time", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "token")
      const source = Effect.map(tokenFile(file), Redacted.value)
      for (const token of ["one\n", "two\n"]) {
        yield* Effect.promise(() => writeFile(file, token))
        assert.strictEqual(yield* source, token)
      }
    }))

  it.effect("that cannot be read is told without its path", () =>
    Effect.gen(function* () {
      assert.strictEqual(
        (yield* Effect.flip(tokenFile(`/none/${TOKEN}`))).message,
        "its file cannot be read (ENOENT)",
      )
    }))
})
