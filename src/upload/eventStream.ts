/**
 * What a program tells while it runs, as a stream.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { setImmediate } from "node:timers"

/** Tells an event. */
export type Emit<A> = (event: A) => void

/**
 * The stream of what `run` emits. It ends when `run` does; when it is not pulled any more, `run` is interrupted. Events
 * are handed over together once a turn of the event loop: one by one, a stream costs more than a small file.
 */
export const eventStream = <A, E, R>(
  run: (emit: Emit<A>) => Effect.Effect<unknown, E, R>,
): Stream.Stream<A, E, Exclude<R, Scope.Scope>> =>
  Stream.asyncPush<A, E, R>(
    (emit) => {
      let events: Array<A> = []
      const handOver = () => {
        emit.array(events)
        events = []
      }
      const running = run((event) => {
        if (events.push(event) === 1) setImmediate(handOver)
      })
      return Effect.forkScoped(Effect.matchCause(running, {
        onFailure: (cause) => {
          handOver()
          emit.halt(cause)
        },
        onSuccess: () => {
          handOver()
          emit.end()
        },
      }))
    },
    { bufferSize: "unbounded" },
  )
