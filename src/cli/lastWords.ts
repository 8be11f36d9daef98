/**
 * What is said when a process is told to stop a second time, and ends without more ado.
 *
 * @module
 */
import * as Effect from "effect/Effect"

/** Makes the words on the spot, without waiting for anything. */
export type LastWords = () => string | undefined

let current: LastWords | undefined

/** What the command that is running wants to have said. */
export const lastWords: LastWords = () => current?.()

/** Whether the command says itself what goes on after it was told to stop. */
export const hasLastWords = (): boolean => current !== undefined

/** Has these words ready while an effect runs. A process runs one command. */
export const withLastWords = <A, E, R>(
  words: LastWords,
  effect: Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> =>
  Effect.acquireUseRelease(
    Effect.sync(() => current = words),
    () => effect,
    () => Effect.sync(() => current = undefined),
  )
