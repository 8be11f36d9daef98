/**
 * Runs a command line as this process.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as LogLevel from "effect/LogLevel"
import { writeSync } from "node:fs"
import process from "node:process"
import { setTimeout } from "node:timers"
import { codeOf } from "../system/codeOf.ts"
import { messageOf } from "../system/messageOf.ts"
import { CliError } from "./CliError.ts"
import { Host } from "./Host.ts"
import { hasLastWords, lastWords } from "./lastWords.ts"
import { Output } from "./Output.ts"
import { report } from "./report.ts"
import { run } from "./run.ts"

const INTERRUPTED = 130

/** After so many milliseconds an interruption that is still under way is explained. */
const PATIENCE = 500

/** What keeps the process alive after its end is not waited for longer, in milliseconds. */
const LINGER = 1000

/** Ends at once, with what the command has to say to that. */
const leave = (): never => {
  const words = lastWords()
  if (words !== undefined) tryWrite(`${words}\n`)
  return process.exit(INTERRUPTED)
}

const tryWrite = (text: string): void => {
  try {
    writeSync(process.stderr.fd, text)
  } catch {
    // Nobody reads it any more.
  }
}

/**
 * Runs `argv`, and sets the process's exit code. The first SIGINT, SIGTERM or SIGHUP interrupts and lets everything be
 * cleaned up, the second ends at once. A result that cannot be written interrupts, too.
 */
export const runMain = (argv: ReadonlyArray<string>): void => {
  const output = Output.make(argv.includes("--json"))
  const fiber = Effect.runFork(Effect.provide(run(argv), Host.layer))
  let stopping = false
  const stop = () => {
    if (stopping) leave()
    stopping = true
    fiber.unsafeInterruptAsFork(fiber.id())
    // A command with last words explains itself.
    if (hasLastWords()) return
    setTimeout(() => Effect.runSync(output.note(STOPPING, { stopping: true })), PATIENCE).unref()
  }
  process.on("SIGINT", stop)
  process.on("SIGTERM", stop)
  // The terminal, or the connection to it, is closed.
  process.on("SIGHUP", stop)
  // Deno refuses to listen by an error that nothing can catch.
  process.once("uncaughtException", (error) => {
    Effect.runSync(Effect.provideService(report(Cause.die(error), LogLevel.Info), Output, output))
    process.exit(1)
  })
  let ended = false
  let unwritable: NodeJS.ErrnoException | undefined
  const fail = () => {
    process.exitCode = 1
    const failure = CliError.failed(`Cannot write the output: ${messageOf(unwritable)}`)
    Effect.runSync(Effect.provideService(report(Cause.fail(failure), LogLevel.Info), Output, output))
  }
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    // Whatever is written after that fails, too, and is no second signal.
    if (unwritable !== undefined) return
    unwritable = error
    if (ended) return hasFailed(error) ? fail() : undefined
    if (stopping) return
    if (hasLastWords()) Effect.runSync(output.note(`The output cannot be written (${codeOf(error)})`, {}))
    stop()
  })
  fiber.addObserver((exit) => {
    ended = true
    process.exitCode = Exit.match(exit, {
      onSuccess: (code) => stopping && code === 0 ? INTERRUPTED : code,
      onFailure: (cause) => Cause.isInterrupted(cause) ? INTERRUPTED : 1,
    })
    if (unwritable !== undefined && hasFailed(unwritable)) fail()
    // The natural end lets what was written go out.
    setTimeout(() => process.exit(), LINGER).unref()
  })
}

/** A reader that has seen enough, such as `head`, is no failure. */
const hasFailed = ({ code }: NodeJS.ErrnoException): boolean => code !== "EPIPE"

const STOPPING = "Finishing what must not be cut off; once more, and it is"
