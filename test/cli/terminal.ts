/** The command in this process, over an emulated cluster, on a machine that is made up. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { Host } from "../../src/cli/Host.ts"
import { run } from "../../src/cli/run.ts"

export interface Machine {
  readonly env?: Readonly<Record<string, string>>
  readonly files?: Readonly<Record<string, string>>
  /** What the user says to each question, or `undefined` for no terminal. */
  readonly answer?: boolean
  /** Hears at once what goes to stderr, also of a command that is interrupted. */
  readonly hear?: (text: string) => void
}

export interface Ran {
  readonly code: number
  readonly out: string
  readonly err: string
  /** What was asked. */
  readonly questions: ReadonlyArray<string>
}

/** Runs a command line. Words are split at blanks, unless given one by one. */
export const imageStore = (
  line: string | ReadonlyArray<string>,
  { answer, env = {}, files = {}, hear = () => {} }: Machine = {},
): Effect.Effect<Ran, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const out: Array<string> = []
    const err: Array<string> = []
    const questions: Array<string> = []
    const console = recording(
      yield* Effect.console,
      (text) => out.push(text),
      (text) => {
        err.push(text)
        hear(text)
      },
    )
    const client = yield* HttpClient.HttpClient
    const host = Layer.succeed(Host, {
      variable: (name) => Effect.succeed(env[name]),
      text: (path) => Effect.succeed(files[path]),
      ask: answer === undefined ? undefined : (question) =>
        Effect.sync(() => {
          questions.push(question)
          return answer
        }),
      transport: Layer.succeed(HttpClient.HttpClient, client),
    })
    const code = yield* run(typeof line === "string" ? line.split(" ") : line).pipe(
      Effect.provide(host),
      Effect.withConsole(console),
    )
    return { code, out: out.join("\n"), err: err.join("\n"), questions }
  })

/** A console that hands on what is written to it. */
export const recording = (
  base: Console.Console,
  out: (text: string) => void,
  err: (text: string) => void,
): Console.Console => {
  const log = (...args: ReadonlyArray<unknown>) => out(args.join(" "))
  const error = (...args: ReadonlyArray<unknown>) => err(args.join(" "))
  return {
    ...base,
    log: (...args) => Effect.sync(() => log(...args)),
    error: (...args) => Effect.sync(() => error(...args)),
    unsafe: { ...base.unsafe, log, error },
  }
}

/** A chunk of a file, straight to the emulator. */
export const chunk = (
  path: string,
  sessionId: string,
  range: string,
  bytes: number,
): Effect.Effect<void, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const client = yield* HttpClient.HttpClient
    const request = HttpClientRequest.put(
      `http://one:19080/ImageStore/${path}/$/UploadChunk?api-version=6.0&session-id=${sessionId}`,
    ).pipe(
      HttpClientRequest.setHeader("Content-Range", `bytes ${range}`),
      HttpClientRequest.bodyUint8Array(new Uint8Array(bytes)),
    )
    const { status } = yield* Effect.orDie(client.execute(request))
    if (status !== 200) return yield* Effect.dieMessage(`The emulator answered ${status}`)
  })
