/** Tokens as Entra ID makes them, signed by nobody. */
import * as Effect from "effect/Effect"
import * as Redacted from "effect/Redacted"

const part = (value: object): string => Buffer.from(JSON.stringify(value)).toString("base64url")

/** A token that expires at `exp`, in seconds since 1970. No two of other names are alike. */
export const jwt = (name: string, exp?: number): string =>
  `${part({ alg: "RS256", typ: "JWT" })}.${part({ sub: name, exp })}.c2lnbmF0dXJl`

/** One who gives tokens. */
export interface Issuer {
  /** How often it was asked. */
  asked: number
  readonly token: Effect.Effect<Redacted.Redacted>
}

/** Gives one token after the other, and the last again and again. */
export const inTurn = (...tokens: ReadonlyArray<string>): Issuer => {
  const issuer: Issuer = {
    asked: 0,
    token: Effect.sync(() => Redacted.make(tokens[Math.min(issuer.asked++, tokens.length - 1)]!)),
  }
  return issuer
}
