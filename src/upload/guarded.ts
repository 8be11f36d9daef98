/**
 * What the body of a transaction may do wrong with its chunks, and is kept from.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as FiberSet from "effect/FiberSet"
import * as Scope from "effect/Scope"
import type { FabricError } from "../FabricError.ts"
import type { JournalError } from "../journal/Journal.ts"
import type { ChunkWork, SessionWork } from "../withUploadSession.ts"

/**
 * Callers may give up a range and try it again, or leave one under way: it is not sent again without a look, and a
 * round is over only when all that it began is over. After that nothing is sent.
 */
export const guarded = <A, E, R>(
  use: (work: SessionWork) => Effect.Effect<A, E, R>,
): (work: ChunkWork) => Effect.Effect<A, E, R> => {
  /** The last try of each range that is not known to have arrived, by session. */
  const doubtful = new Map<string, Fiber.Fiber<unknown, unknown>>()
  return ({ missing, put, sessionId, settle }: ChunkWork) => {
    const round = (underWay: FiberSet.FiberSet<void, FabricError | JournalError>) => {
      const once: SessionWork["put"] = (range, bytes, hash) =>
        Effect.suspend(() => {
          const key = `${sessionId} ${range.first}`
          const before = doubtful.get(key)
          const send = Effect.tap(put(range, bytes, hash), () => void doubtful.delete(key))
          const again = before === undefined
            ? send
            // It may have been given up, and yet be about to finish: who gives up this one too must not forget it.
            : Effect.zipRight(
              Effect.uninterruptible(Fiber.await(before)),
              Effect.flatMap(settle(range), (arrived) => arrived ? Effect.void : send),
            )
          return Effect.flatMap(FiberSet.run(underWay, again), (fiber) => {
            doubtful.set(key, fiber)
            return Effect.onInterrupt(Fiber.join(fiber), () => Fiber.interrupt(fiber))
          })
        })
      return Effect.zipLeft(use({ sessionId, missing, put: once }), FiberSet.awaitEmpty(underWay))
    }
    // A scope of its own: what `use` opens belongs to its caller.
    return Effect.acquireUseRelease(
      Scope.make(),
      (scope) =>
        Effect.flatMap(Scope.extend(FiberSet.make<void, FabricError | JournalError>(), scope), round),
      Scope.close,
    )
  }
}
