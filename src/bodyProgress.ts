/**
 * How much of a request's body is out.
 *
 * @module
 */
import * as FiberRef from "effect/FiberRef"

/**
 * Hears of the bytes of request bodies as they go out, where the transport can see that: what an operation sends is
 * watched with `Effect.locally(operation, bodyProgress, (bytes) => …)`. They are out, not arrived, and a repeat begins
 * with none.
 */
export const bodyProgress: FiberRef.FiberRef<(bytes: number) => void> = FiberRef.unsafeMake<
  (bytes: number) => void
>(() => {})
