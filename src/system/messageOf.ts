/**
 * What something that was thrown says.
 *
 * @module
 */

/** The message of an error, or the text of whatever else it was. */
export const messageOf = (cause: unknown): string => cause instanceof Error ? cause.message : String(cause)
