/**
 * From a command line to an exit code.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import { arrange, type Arranged } from "./arrange.ts"
import type { ClusterParams } from "./globals.ts"
import type { Host } from "./Host.ts"
import { levelOf, logger } from "./logger.ts"
import { Output } from "./Output.ts"
import { parse } from "./parse.ts"
import { report } from "./report.ts"

/** Runs a command line. Succeeds with the exit code: 0 done, 1 failed, 2 wrong use. */
export const run = (argv: ReadonlyArray<string>): Effect.Effect<number, never, Host> =>
  Effect.suspend(() => {
    const json = isJson(argv)
    const output = Output.make(json)
    return Effect.flatMap(arrange(argv), (line) => {
      const level = logLevel(line)
      return execute(line).pipe(
        Effect.as(0),
        Effect.catchAllCause((cause) => report(cause, level)),
        Logger.withMinimumLogLevel(level),
      )
    }).pipe(
      Effect.catchAll((error) => report(Cause.fail(error), LogLevel.Info)),
      Effect.provideService(Output, output),
      // Whatever fails is reported once, here.
      Effect.withUnhandledErrorLogLevel(Option.none()),
      Effect.provide(logger(json)),
    )
  })

const isJson = (argv: ReadonlyArray<string>): boolean => {
  const end = argv.indexOf("--")
  return (end < 0 ? argv : argv.slice(0, end)).includes("--json")
}

/** The last one counts. */
const logLevel = ({ options }: Arranged): LogLevel.LogLevel =>
  levelOf(options.findLast(([name]) => name === "log-level")?.[1]) ?? LogLevel.Info

const execute = (line: Arranged): Effect.Effect<void, unknown, Host | Output> =>
  Effect.gen(function* () {
    const shell = line.options.find(([name]) => name === "completions")?.[1]
    if (shell !== undefined) {
      const { completions } = yield* Effect.promise(() => import("./completions.ts"))
      const script = yield* completions(shell)
      return yield* (yield* Output).result(script, { script })
    }
    const { command, params } = yield* parse(line)
    const handler = yield* Effect.promise(command.load)
    const effect = handler(params)
    if (command.cluster === undefined) return yield* effect as Effect.Effect<void, unknown, Host | Output>
    const { withCluster } = yield* Effect.promise(() => import("./cluster.ts"))
    return yield* withCluster(params as ClusterParams & typeof params, command.cluster, effect)
  })
