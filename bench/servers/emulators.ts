/**
 * Emulators on demand. To `{"open":{…}}` it answers with the URL of a new one, to `{"look":url}` with what that one
 * holds, and ends it. Ends with its input.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Scope from "effect/Scope"
import * as process from "node:process"
import * as Readline from "node:readline"
import { Emulator, type EmulatorShape, Fault, FaultPlan } from "../../src/emulator/mod.ts"

interface Wish {
  /** Milliseconds. */
  readonly latency?: number
  /** Bytes a second. */
  readonly bandwidth?: number
  /** Share of the chunks with which something goes wrong. */
  readonly faults?: number
  readonly seed?: number
  /** Connections and answers get lost too: then a client has to wait until a chunk can no longer arrive. */
  readonly lost?: boolean
}

const open = new Map<
  string,
  { readonly emulator: EmulatorShape; readonly scope: Scope.CloseableScope }
>()

const serve = async (
  { bandwidth, faults = 0, latency = 0, lost = false, seed = 1 }: Wish,
) => {
  const scope = Effect.runSync(Scope.make())
  const { emulator, url } = await Effect.runPromise(
    Emulator.serve({
      port: 0,
      latency,
      ...(bandwidth === undefined ? {} : { bandwidth }),
      ...(faults === 0 ? {} : {
        faults: FaultPlan.random({
          seed,
          probability: faults,
          on: ["UploadFileChunk"],
          faults: [
            Fault.error("E_ABORT"),
            ...(lost ? [Fault.dropAnswer, Fault.reset] : []),
          ],
        }),
      }),
    }).pipe(Scope.extend(scope), Logger.withMinimumLogLevel(LogLevel.None)),
  )
  open.set(url, { emulator, scope })
  return url
}

const look = async (url: string) => {
  const { emulator, scope } = open.get(url)!
  open.delete(url)
  const seen = await Effect.runPromise(Effect.gen(function* () {
    const requests = yield* emulator.requests
    return {
      requests: requests.length,
      bytes: requests.reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
      refused: requests.filter(({ operation, status }) =>
        operation === "UploadFileChunk" && status === 400
      ).length,
      sessions: (yield* emulator.sessions).length,
      staged: yield* emulator.staged,
      leaked: yield* emulator.leaked,
      hashes: yield* Effect.flatMap(
        emulator.files,
        Effect.forEach(({ sha256 }) => sha256),
      ),
    }
  }))
  await Effect.runPromise(Scope.close(scope, Exit.void))
  return seen
}

for await (const line of Readline.createInterface({ input: process.stdin })) {
  const question = JSON.parse(line) as { readonly open: Wish } | {
    readonly look: string
  }
  console.log(
    JSON.stringify(
      "open" in question ? await serve(question.open) : await look(question.look),
    ),
  )
}
process.exit(0)
