/**
 * Many things at once, none of which outlives the whole.
 *
 * @module
 */
import * as Effect from "effect/Effect"

/**
 * `Effect.forEach` with a bound and `discard`, which is over only when all that it began is over. Effect's own ends
 * while others still clean up, when one fails before the last was begun (effect 3.22); a session would be deleted, or a
 * package removed, under a request that is still on its way.
 */
export const forEachAwaited = <A, E, R>(
  items: Iterable<A>,
  concurrency: number,
  work: (item: A) => Effect.Effect<unknown, E, R>,
): Effect.Effect<void, E, R> =>
  Effect.suspend(() => {
    const iterator = items[Symbol.iterator]()
    const worker = Effect.suspend(() => {
      let next: IteratorResult<A>
      return Effect.whileLoop({
        while: () => !(next = iterator.next()).done,
        body: () => work(next.value),
        step: () => {},
      })
    })
    return Effect.all(Array.from({ length: concurrency }, () => worker), {
      concurrency: "unbounded",
      discard: true,
    })
  })
