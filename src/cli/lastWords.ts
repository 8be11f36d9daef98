/**
 * What is said when a process is told to stop a second time, and ends at once.
 *
 * @module
 */
import * as Effect from "effect/Effect"

/** Puts the words together at once, without waiting for anything. */
type LastWords = () => string | undefined

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
