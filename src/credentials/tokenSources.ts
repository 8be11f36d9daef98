/**
 * Where a token comes from that is not given itself.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"
import { systemSays } from "../system/systemSays.ts"
import { withoutTokens } from "./jwt.ts"

/** Reads the token from a file, which may get another one at any time. */
export const tokenFile = (path: string): Effect.Effect<Redacted.Redacted, Error> =>
  Effect.map(
    Effect.tryPromise({
      try: () => readFile(path, "utf8"),
      // The path is left out: it may be a token pasted in the wrong place.
      catch: (cause) => new Error(`its file cannot be read (${systemSays(cause, "--allow-read")})`),
    }),
    Redacted.make,
  )

/** Characters of what a command prints. A token is shorter. */
const LONGEST_OUTPUT = 64 * 1024
/** Characters of what it says last before it fails. */
const LAST_WORDS = 400

/**
 * Runs a command that prints the token, without a shell: blanks part the words of `line`, quotes of either kind keep
 * them together, and nothing else means anything. It gets no input. Interruption kills it.
 */
export const tokenCommand = (line: string): Effect.Effect<Redacted.Redacted, Error> =>
  Effect.gen(function* () {
    const [program, ...args] = yield* wordsOf(line)
    if (program === undefined) return yield* Effect.fail(new Error("its command is empty"))
    // Most programs need no command, so this is loaded here.
    const { spawn } = yield* Effect.promise(() => import("node:child_process"))
    return yield* Effect.async<Redacted.Redacted, Error>((resume) => {
      const fail = (problem: string) => resume(Effect.fail(new Error(`its command ${problem}`)))
      const notStarted = (cause: unknown) =>
        fail(`cannot be started (${systemSays(cause, "--allow-run --allow-env")})`)
      try {
        const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], windowsHide: true })
        child.once("error", notStarted)
        // Where the system had nothing left for it, there are no pipes either.
        if (child.pid === undefined) return
        const kill = () => {
          child.kill("SIGKILL")
          // What the command has started itself may hold on to them.
          child.stdout.destroy()
          child.stderr.destroy()
        }
        let out = ""
        let err = ""
        child.stdout.setEncoding("utf8").on("data", (text: string) => {
          out += text
          if (out.length <= LONGEST_OUTPUT) return
          kill()
          fail("printed more than a token")
        })
        child.stderr.setEncoding("utf8").on(
          "data",
          (text: string) => err = (err + text).slice(-LONGEST_OUTPUT),
        )
        child.once("close", (code, signal) => {
          if (code === 0) return resume(Effect.succeed(Redacted.make(out)))
          const printed = out.trim()
          const said = withoutTokens(printed === "" ? err : err.replaceAll(printed, "<token>")).trim()
            .slice(-LAST_WORDS)
          fail(`ended with ${signal ?? `code ${code}`}${said === "" ? "" : `: ${said}`}`)
        })
        return Effect.sync(kill)
      } catch (cause) {
        notStarted(cause)
      }
    })
  })

const WORD = /(?:[^\s"']|"[^"]*"|'[^']*')+/g

const wordsOf = (line: string): Either.Either<ReadonlyArray<string>, Error> =>
  line.replace(WORD, "").trim() === ""
    ? Either.right(
      (line.match(WORD) ?? []).map((word) => word.replace(/"([^"]*)"|'([^']*)'/g, (_, a, b) => a ?? b)),
    )
    : Either.left(new Error("its command has a quote that does not end"))
