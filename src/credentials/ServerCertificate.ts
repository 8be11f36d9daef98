/**
 * How a cluster's certificate is known where no authority vouches for it.
 *
 * @module
 */
import * as Either from "effect/Either"

/** What a gateway's certificate may be known by. Each of them is enough. */
export interface ServerCertificate {
  /** SHA-1 or SHA-256 thumbprints, in upper-case hex digits. */
  readonly thumbprints: ReadonlyArray<string>
  /** Names that it may be for, in place of the endpoint's host. An authority has to vouch for them. */
  readonly commonNames: ReadonlyArray<string>
}

/** What people and programs write between the digits, and what Windows puts in front of them unseen (U+200E). */
const BETWEEN = /[\s:\p{Cf}]/gu
/** Longer values are not repeated as a whole: they may be something else, pasted in the wrong place. */
const LONGEST_ECHO = 100

/** Reads a thumbprint as it was written down or copied, or says why it is none. */
export const parseThumbprint = (text: string): Either.Either<string, string> => {
  const digits = text.replace(BETWEEN, "").toUpperCase()
  if (/^[0-9A-F]*$/.test(digits) && (digits.length === 40 || digits.length === 64)) {
    return Either.right(digits)
  }
  const shown = text.length > LONGEST_ECHO ? `${text.slice(0, 20)}…` : text
  return Either.left(
    `expected the 40 hex digits of a SHA-1 thumbprint, or the 64 of a SHA-256 one, got "${shown}"`,
  )
}
