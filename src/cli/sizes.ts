/**
 * Sizes for people.
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

/** `1 file`, `2 files`. */
export const count = (number: number, noun: string): string => `${number} ${noun}${number === 1 ? "" : "s"}`
