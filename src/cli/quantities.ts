/**
 * Sizes and times as people type them.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { CliError } from "./CliError.ts"

const SIZE = /^(\d+(?:\.\d+)?) ?(|B|[KMG]i?B)$/i
const UNITS = {
  "": 1,
  b: 1,
  kib: 2 ** 10,
  mib: 2 ** 20,
  gib: 2 ** 30,
  kb: 1e3,
  mb: 1e6,
  gb: 1e9,
} as const

/** Bytes: `8MiB`, `512 KiB`, `100MB`, or a number alone. */
export const readSize = (option: string, text: string): Effect.Effect<number, CliError> => {
  const [, number, unit = ""] = SIZE.exec(text.trim()) ?? []
  const bytes = Number(number) * UNITS[unit.toLowerCase() as keyof typeof UNITS]
  return Number.isSafeInteger(bytes) && bytes > 0
    ? Effect.succeed(bytes)
    : CliError.usage(`--${option} "${text}" is no size: write bytes, or such as 512KiB or 8MiB`)
}

const NUMBER = String.raw`(\d+(?:\.\d+)?) ?`
const TIME = new RegExp(
  `^(?:${NUMBER}(?:h|hrs?|hours?))? ?(?:${NUMBER}(?:m|mins?|minutes?))? ?(?:${NUMBER}(?:s|secs?|seconds?))?$`,
)
/** Timers do not run longer. */
const LONGEST = 24 * 24 * 3600

/** Seconds: `90s`, `30 minutes`, `1h30m`. */
export const readTime = (option: string, text: string): Effect.Effect<number, CliError> => {
  const [, hours = 0, minutes = 0, seconds = 0] = TIME.exec(text.trim().toLowerCase()) ?? []
  const all = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
  return all > LONGEST
    ? CliError.usage(`--${option} goes up to 576h, not ${text}`)
    : all > 0
    ? Effect.succeed(all)
    : CliError.usage(`--${option} "${text}" is no time: write such as 90s, 30 minutes or 1h30m`)
}
