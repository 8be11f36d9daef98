/**
 * `image-store emulator`
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import { Emulator, FaultPlan } from "../emulator/mod.ts"
import { codeOf } from "../system/codeOf.ts"
import { messageOf } from "../system/messageOf.ts"
import { CliError } from "./CliError.ts"
import { Output } from "./Output.ts"

/** The port of the gateway. */
const PORT = 19080

/** Milliseconds: a longer way is better tried by a fault. */
const LONGEST_WAY = 60_000
/** Megabits a second: more than this machine carries. */
const WIDEST_LINE = 1_000_000
/** Bytes a second in a megabit a second. */
const MEGABIT = 1e6 / 8

/** `emulator` */
export const emulator = (
  params: {
    readonly port: number | undefined
    readonly host: string | undefined
    readonly os: string | undefined
    readonly data: string | undefined
    readonly chaos: string | undefined
    readonly latency: number | undefined
    readonly bandwidth: number | undefined
  },
): Effect.Effect<void, CliError, Output> =>
  Effect.gen(function* () {
    const { note, result } = yield* Output
    const { bandwidth, data, host = "127.0.0.1", latency, os, port = PORT } = params
    yield* within("port", port, 0, 65535)
    yield* within("latency", latency, 0, LONGEST_WAY)
    yield* within("bandwidth", bandwidth, 1, WIDEST_LINE)
    const faults = params.chaos === undefined ? undefined : yield* plan(params.chaos)
    const { url } = yield* Emulator.serve({
      port,
      host,
      logLevel: LogLevel.Info,
      os: os === "linux" ? "linux" : "windows",
      ...(latency === undefined ? {} : { latency }),
      ...(bandwidth === undefined ? {} : { bandwidth: bandwidth * MEGABIT }),
      ...(data === undefined ? {} : { data }),
      ...(faults === undefined ? {} : { faults }),
    }).pipe(
      Effect.catchAll(({ cause }) => cannotListen(host, port, cause)),
      // The data folder: there is no other work before it listens.
      Effect.catchAllDefect((defect) => cannotKeep(data, defect)),
    )
    yield* result(url, { url })
    yield* note(`Try: image-store ls --endpoint ${url}    Stop: Ctrl-C`, { listening: url })
    yield* Effect.never
  }).pipe(Effect.scoped)

const within = (
  option: string,
  value: number | undefined,
  least: number,
  most: number,
): Effect.Effect<void, CliError> =>
  value === undefined || (value >= least && value <= most)
    ? Effect.void
    : CliError.usage(`--${option} goes from ${least} to ${most}, not ${value}`)

const RANDOM = /^random(?::(\d{1,9})(?::(0|1|0?\.\d+))?)?$/

/** `product`, `random`, `random:SEED` or `random:SEED:SHARE`. */
const plan = (text: string): Effect.Effect<FaultPlan, CliError, Output> =>
  Effect.gen(function* () {
    if (text === "product") return FaultPlan.product
    const parts = RANDOM.exec(text)
    if (parts === null) {
      return yield* CliError.usage(
        `--chaos "${text}" is no plan: write product, random, random:SEED or random:SEED:SHARE, ` +
          `such as random:42:0.1`,
      )
    }
    const seed = parts[1] === undefined ? yield* Random.nextIntBetween(0, 1e9) : Number(parts[1])
    const probability = Number(parts[2] ?? 0.1)
    const { note } = yield* Output
    yield* note(`For the same faults again: --chaos random:${seed}:${probability}`, { seed, probability })
    return FaultPlan.random({ seed, probability })
  })

const cannotKeep = (data: string | undefined, defect: unknown): CliError => {
  const reason = messageOf(defect)
  return CliError.failed(
    data === undefined
      ? `Cannot start the emulator: ${reason}`
      : `Cannot keep content in ${data} (${reason}); choose another folder with --data`,
  )
}

const cannotListen = (host: string, port: number, cause: unknown): CliError => {
  const code = codeOf(cause)
  return CliError.failed(
    code === "EADDRINUSE"
      ? `Cannot listen on ${host}:${port}: the port is taken, perhaps by another emulator; choose one with --port, 0 for any`
      : `Cannot listen on ${host}:${port} (${code}); choose another address with --host and --port`,
  )
}
