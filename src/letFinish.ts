/**
 * What is under way when an upload is stopped.
 *
 * @module
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Runtime from "effect/Runtime"

/** How long what is under way may go on after the upload was stopped. */
const FINISH_WITHIN = "10 seconds"

/**
 * Runs a request that an interruption does not cut off, if it ends by itself within 10 seconds: most do, and then
 * nothing of it has to be waited for later. After that it is aborted, and `aborted` runs.
 */
export const letFinish = <A, E, R>(
  request: Effect.Effect<A, E, R>,
  aborted: Effect.Effect<void>,
): Effect.Effect<A, E, R> =>
  Effect.withFiberRuntime<A, E, R>((parent, { runtimeFlags }) =>
    Effect.async((resume) => {
      // No child: an interruption reaches the children of a fiber at once. And it costs less than a daemon.
      const context = parent.currentContext as Context.Context<R>
      const runtime = Runtime.make({ context, runtimeFlags, fiberRefs: parent.getFiberRefs() })
      const fiber = Runtime.runFork(runtime, Effect.interruptible(request))
      fiber.addObserver(resume)
      const done = Effect.as(Fiber.await(fiber), true)
      const late = Effect.as(Effect.sleep(FINISH_WITHIN), false)
      return Effect.flatMap(
        Effect.race(Effect.interruptible(done), Effect.interruptible(late)),
        (finished) => finished ? Effect.void : Effect.zipRight(Fiber.interrupt(fiber), aborted),
      )
    })
  )
