/**
 * What can be seen of a JSON Web Token from outside.
 *
 * @module
 */

/** Every one begins with `{"` in Base64. */
const ANY = /eyJ[\w-]{10,}[\w.-]*/g

/** A text without the tokens in it. */
export const withoutTokens = (text: string): string => text.replace(ANY, "<token>")

/**
 * When a token expires, in milliseconds since 1970; Infinity where it does not tell. Nobody vouches for that here: the
 * cluster has the last word.
 */
export const expiryOf = (token: string): number => {
  const [, payload, signature] = token.split(".")
  if (payload === undefined || signature === undefined) return Infinity
  try {
    const { exp } = JSON.parse(Buffer.from(payload, "base64url").toString())
    return Number.isFinite(exp) ? exp * 1000 : Infinity
  } catch {
    return Infinity
  }
}
