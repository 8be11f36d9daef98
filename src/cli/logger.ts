/**
 * What is logged, on stderr.
 *
 * @module
 */
import type * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"

/** A line for people: the time, the level where it is not the usual one, and what happened. */
const line: Logger.Logger<unknown, string> = Logger.make(({ date, logLevel, message }) => {
  const text = Array.isArray(message) ? message.map(String).join(" ") : String(message)
  const level = logLevel === LogLevel.Info ? "" : `${logLevel._tag.toLowerCase()}: `
  return `${date.toTimeString().slice(0, 8)} ${level}${text}`
})

/** Logs lines for people, or JSON. */
export const logger = (json: boolean): Layer.Layer<never> =>
  Logger.replace(Logger.defaultLogger, Logger.withConsoleError(json ? Logger.jsonLogger : line))

/** A level by the name that the command line gives it. */
export const levelOf = (name: string | undefined): LogLevel.LogLevel | undefined =>
  LogLevel.allLevels.find(({ _tag }) => _tag.toLowerCase() === name)
