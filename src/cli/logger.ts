/**
 * What is logged, on stderr.
 *
 * @module
 */
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { jsonLine } from "./Output.ts"

const textOf = (message: unknown): string =>
  Array.isArray(message) ? message.map(String).join(" ") : String(message)

const nameOf = ({ _tag }: LogLevel.LogLevel): string => _tag.toLowerCase()

/** A line for people: the time, the level where it is not the usual one, and what happened. */
const forPeople: Logger.Logger<unknown, string> = Logger.make(({ date, logLevel, message }) => {
  const level = logLevel === LogLevel.Info ? "" : `${nameOf(logLevel)}: `
  return `${date.toTimeString().slice(0, 8)} ${level}${textOf(message)}`
})

/** The same for programs, as they get anything else on stderr. */
const forPrograms: Logger.Logger<unknown, string> = Logger.make(({ date, logLevel, message }) =>
  jsonLine(date, nameOf(logLevel), textOf(message))
)

/** Logs lines for people, or JSON. */
export const logger = (json: boolean): Layer.Layer<never> =>
  Logger.replace(Logger.defaultLogger, Logger.withConsoleError(json ? forPrograms : forPeople))

/** A level by the name that the command line gives it. */
export const levelOf = (name: string | undefined): LogLevel.LogLevel | undefined =>
  LogLevel.allLevels.find((level) => nameOf(level) === name)
