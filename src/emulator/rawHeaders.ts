/**
 * Headers as they were sent: names and values in turn.
 *
 * @module
 */

/** A header's first value. `name` is in lower case; the sender's spelling does not count. */
export const headerOf = (rawHeaders: ReadonlyArray<string>, name: string): string | undefined => {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    const sent = rawHeaders[at]!
    if (sent.length === name.length && sent.toLowerCase() === name) return rawHeaders[at + 1]
  }
}

/** A header's first value under exactly that name. */
export const headerSpelled = (rawHeaders: ReadonlyArray<string>, name: string): string | undefined => {
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at] === name) return rawHeaders[at + 1]
  }
}
