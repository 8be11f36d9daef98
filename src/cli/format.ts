/**
 * Sizes, times and numbers as people read them.
 *
 * @module
 */

const UNITS = ["KiB", "MiB", "GiB", "TiB", "PiB"]

/** Bytes in IEC units with three digits or so: `999 B`, `1.5 KiB`, `12.0 MiB`, `640 GiB`. */
export const size = (bytes: number): string => {
  if (bytes < 1024) return `${bytes} B`
  let value = bytes / 1024
  let unit = 0
  while (value >= 1023.5 && unit < UNITS.length - 1) {
    value /= 1024
    unit++
  }
  return `${value >= 99.95 ? value.toFixed(0) : value.toFixed(1)} ${UNITS[unit]}`
}

/** A share of a whole, never rounded up to all of it: `99 %`. */
export const percent = (part: number, whole: number): string =>
  `${whole === 0 ? 100 : Math.floor(part / whole * 100)} %`

/** A moment to the second, in UTC: `2026-11-22 17:05:09Z`. */
export const moment = (date: Date): string => date.toISOString().replace("T", " ").replace(/\.\d+Z$/, "Z")

/** A time to the second: `0.4 s`, `12 s`, `2 min 5 s`, `1 h 30 min`. */
export const time = (seconds: number): string => {
  if (seconds < 9.95 && !Number.isInteger(seconds)) return `${seconds.toFixed(1)} s`
  const all = Math.round(seconds)
  if (all < 60) return `${all} s`
  if (all < 3600) return `${Math.floor(all / 60)} min ${all % 60} s`
  return `${Math.floor(all / 3600)} h ${Math.floor(all % 3600 / 60)} min`
}

/** The word that goes with a number: `is` with 1, `are` with any other. */
export const plural = (number: number, one: string, many: string): string => number === 1 ? one : many

/** `1 file`, `2 files`. */
export const count = (number: number, noun: string): string => `${number} ${plural(number, noun, `${noun}s`)}`
