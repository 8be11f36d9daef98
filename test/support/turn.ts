/** Lets everything run that does not wait for the clock. */
import * as Effect from "effect/Effect"
import { setImmediate } from "node:timers"

export const turn: Effect.Effect<void> = Effect.async((resume) =>
  void setImmediate(() => resume(Effect.void))
)
