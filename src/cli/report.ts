/**
 * What a failure looks like, and the exit code that goes with it.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as LogLevel from "effect/LogLevel"
import { FabricError } from "../FabricError.ts"
import { JournalError } from "../journal/Journal.ts"
import { PackageError } from "../PackageError.ts"
import { messageOf } from "../system/messageOf.ts"
import { SourceError } from "../UploadEvent.ts"
import { CliError } from "./CliError.ts"
import { Output } from "./Output.ts"

/** Says on stderr why a command failed. Succeeds with the exit code; interruption goes on. */
export const report = (
  cause: Cause.Cause<unknown>,
  level: LogLevel.LogLevel,
): Effect.Effect<number, never, Output> => {
  if (Cause.isInterruptedOnly(cause)) return Effect.interrupt
  const error = Cause.squash(cause)
  const exitCode = exitCodeOf(error)
  const debug = LogLevel.lessThanEqual(level, LogLevel.Debug) ? Cause.pretty(cause) : undefined
  const text = isExpected(error) ? messageOf(error) : `Internal error: ${messageOf(error)}`
  return Effect.as(
    Effect.flatMap(
      Output,
      ({ json, note }) =>
        note(
          json || debug === undefined ? text : `${text}\n\n${debug}`,
          { error: { exitCode, ...detailsOf(error), ...(debug === undefined ? {} : { debug }) } },
          "error",
        ),
    ),
    exitCode,
  )
}

/** Whether the message is all that there is to say. The system's own errors have a code, or Deno's name. */
const isExpected = (error: unknown): boolean =>
  error instanceof CliError || FabricError.is(error) || error instanceof SourceError ||
  error instanceof PackageError || error instanceof JournalError || ConfigError.isConfigError(error) ||
  (error instanceof Error &&
    (error.name === "NotCapable" || ("code" in error && typeof error.code === "string")))

/** 2 for what never should have been sent. */
const exitCodeOf = (error: unknown): 1 | 2 => {
  if (error instanceof CliError) return error.exitCode
  if (ConfigError.isConfigError(error)) return 2
  return FabricError.is(error) && error.reason._tag === "InvalidParams" ? 2 : 1
}

const detailsOf = (error: unknown): object => {
  if (error instanceof CliError) return error.details ?? {}
  if (error instanceof PackageError) return { source: error.source, problems: error.problems }
  if (!FabricError.is(error)) return {}
  const { attempts, endpoint, operation, reason } = error
  return { operation, endpoint, attempts, reason }
}
