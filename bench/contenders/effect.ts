/**
 * A loop of Effect programs: one runtime, and one fiber a worker, which runs an `Effect.whileLoop`.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as ManagedRuntime from "effect/ManagedRuntime"
import { type Load, slices } from "./slices.ts"

export const effectSlices = <E, R, LE>(
  call: () => Effect.Effect<unknown, E, R>,
  layer: Layer.Layer<R, LE>,
): Promise<void> => {
  const runtime = ManagedRuntime.make(layer)
  const load: Load = async (concurrency, goesOn) => {
    let calls = 0
    const loop = Effect.whileLoop({
      while: goesOn,
      body: call,
      step: () => calls++,
    })
    await Promise.all(
      Array.from({ length: concurrency }, () => runtime.runPromise(loop)),
    )
    return calls
  }
  return slices(load)
}
