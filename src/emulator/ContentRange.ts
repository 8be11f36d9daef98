/**
 * `Content-Range` as the gateway reads it, which is not quite as HTTP means it (protocol.md 4.2).
 *
 * @module
 */
import type { ByteRange } from "../UploadSession.ts"

/** A chunk's place, and the size of the whole file. */
export interface ContentRange {
  readonly range: ByteRange
  readonly size: number
}

/** What a chunk without the header is taken for. */
export const absent: ContentRange = { range: { first: 0, last: 0 }, size: 0 }

/** Reads a header's value. `undefined`: it is refused. */
export const parse = (text: string): ContentRange | undefined => {
  const value = text.trim()
  const sides = (value.startsWith("bytes ") ? value.slice("bytes ".length) : value).split("/")
  const size = unsigned(sides[1])
  if (sides.length !== 2 || size === undefined) return
  const ends = sides[0]!.split("-")
  // Whatever is no pair of positions, such as `*`, is silently 0 to 0.
  if (ends.length !== 2) return check({ first: 0, last: 0 }, size)
  const first = unsigned(ends[0])
  const last = unsigned(ends[1])
  return first === undefined || last === undefined ? undefined : check({ first, last }, size)
}

/** A last position equal to the size passes: the session that it opens can never be committed. */
const check = (range: ByteRange, size: number): ContentRange | undefined =>
  range.first <= range.last && range.last <= size ? { range, size } : undefined

/** Positions beyond 2^53 - 1 are refused, which the gateway would not do. */
const unsigned = (text: string | undefined): number | undefined => {
  const digits = text?.trim() ?? ""
  const value = Number(digits)
  return /^\d+$/.test(digits) && Number.isSafeInteger(value) ? value : undefined
}
