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
import type { ByteRange } from "../UploadSession.ts"
import type { SessionWork } from "../withUploadSession.ts"
import type { ChunkWork } from "./transaction.ts"

/**
 * Callers may give up a range and try it again, or leave one under way: it is not sent again without a look, and not at
 * all in the round in which it has arrived. A round is over only when all that it began is over. After that nothing is
 * sent.
 */
export const guarded = <A, E, R>(
  use: (work: SessionWork) => Effect.Effect<A, E, R>,
): (work: ChunkWork) => Effect.Effect<A, E, R> => {
  /** Ranges that were begun, and are not known to have arrived, by session: one sends them at a time. */
  const doubtful = new Map<string, Effect.Semaphore>()
  return ({ handOut, missing, send, sessionId, settle }: ChunkWork) => {
    /** Ranges that have arrived in this round. The next one may want them again, after a fail-over. */
    const there = new Set<string>()
    type Chunk = readonly [range: ByteRange, bytes: Uint8Array, hash: string]
    const bring = (...chunk: Chunk): ReturnType<SessionWork["put"]> =>
      Effect.flatMap(send(...chunk), (arrived) => arrived ? Effect.void : bringAgain(...chunk))
    const bringAgain = (...chunk: Chunk): ReturnType<SessionWork["put"]> =>
      Effect.flatMap(settle(chunk[0]), (arrived) => arrived ? Effect.void : bring(...chunk))
    const once: SessionWork["put"] = (range, bytes, hash = "") =>
      Effect.suspend(() => {
        const whole = `${range.first}-${range.last}`
        if (there.has(whole)) return Effect.void
        const key = `${sessionId} ${range.first}`
        const begun = doubtful.get(key)
        const turns = begun ?? Effect.unsafeMakeSemaphore(1)
        doubtful.set(key, turns)
        const brought = begun === undefined ? bring(range, bytes, hash) : bringAgain(range, bytes, hash)
        return turns.withPermits(1)(Effect.map(brought, () => {
          doubtful.delete(key)
          there.add(whole)
        }))
      })
    const round = (underWay: FiberSet.FiberSet<void, FabricError | JournalError>) =>
      Effect.zipLeft(
        use({
          get sessionId() {
            handOut()
            return sessionId
          },
          missing,
          put: (...chunk) =>
            Effect.flatMap(
              FiberSet.run(underWay, once(...chunk)),
              (fiber) => Effect.onInterrupt(Fiber.join(fiber), () => Fiber.interrupt(fiber)),
            ),
        }),
        FiberSet.awaitEmpty(underWay),
      )
    // A scope of its own: what `use` opens belongs to its caller.
    return Effect.acquireUseRelease(
      Scope.make(),
      (scope) =>
        Effect.flatMap(Scope.extend(FiberSet.make<void, FabricError | JournalError>(), scope), round),
      Scope.close,
    )
  }
}
