/**
 * Commands that people copy from what they read.
 *
 * @module
 */

/** A word of a command line, quoted where a shell would read more into it. */
export const word = (text: string): string =>
  /^[\w./@+=:-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`

/** The options that name a cluster by its addresses. */
export const at = (origins: ReadonlyArray<string>): string =>
  origins.map((origin) => `--endpoint ${word(origin)}`).join(" ")
