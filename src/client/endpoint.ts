/**
 * The address of a gateway.
 *
 * @module
 */
import * as Either from "effect/Either"

/**
 * Reads `http://host:port` or `https://host:port`, or says what is wrong and what to write. A text that may
 * hold a password is not repeated.
 */
export const parseEndpoint = (endpoint: string | URL): Either.Either<URL, string> => {
  const text = String(endpoint).trim()
  const bare = /^(?:tcp:\/\/)?([^\s/:@]+|\[[0-9a-f:.]+\])(?::(\d+))?\/?$/i.exec(text)
  if (bare !== null) {
    const port = bare[2] === undefined || bare[2] === "19000" ? "19080" : bare[2]
    const why = bare[2] === "19000" || /^tcp:/i.test(text)
      ? "is the address for PowerShell; the HTTP gateway is at"
      : "has no scheme; write"
    return Either.left(`"${text}" ${why} http://${bare[1]}:${port}, or https:// for a secured cluster`)
  }
  if (!URL.canParse(text)) return Either.left(`not a URL; write http://host:19080 or https://host:19080`)
  const url = new URL(text)
  if (url.username !== "" || url.password !== "") {
    return Either.left(`credentials do not belong into the address; write ${url.protocol}//${url.host}`)
  }
  if (url.protocol !== "http:" && url.protocol !== "https:") {
    return Either.left(
      `"${url.protocol}" is not spoken by the HTTP gateway; write http://host:19080 or https://host:19080`,
    )
  }
  if (url.pathname !== "/" || url.search !== "" || url.hash !== "") {
    return Either.left(`an endpoint is scheme, host and port alone; write ${url.origin}`)
  }
  return Either.right(url)
}
