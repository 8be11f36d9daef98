/**
 * What a program may not ask everywhere.
 *
 * @module
 */

/** The answer, or nothing where the question is not allowed, as under Deno without the permission. */
export const whereAllowed = <A>(ask: () => A): A | undefined => {
  try {
    return ask()
  } catch {
    return undefined
  }
}
