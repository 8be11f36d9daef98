/**
 * What the system says of a file that fails.
 *
 * @module
 */

/** The system's code, such as `ENOENT`, or what there is instead. */
export const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : String(cause)
