/**
 * When an upload has to be over.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

const Base: Context.ReferenceClass<UploadDeadline, "@effect-fabric/image-store/UploadDeadline", number> =
  Context.Reference<UploadDeadline>()("@effect-fabric/image-store/UploadDeadline", {
    defaultValue: () => Infinity,
  })

/**
 * When an upload has to be over, in milliseconds since 1970. The cluster gets no more time for a file's bytes than is
 * left until then, so that nothing of them arrives long after the upload was stopped. To stop it is up to who sets this:
 *
 * ```ts
 * const end = Date.now() + 30 * 60_000
 * uploadPackage("./MyApp").pipe(
 *   Stream.runDrain,
 *   Effect.timeout("30 minutes"),
 *   Effect.provideService(UploadDeadline, end),
 * )
 * ```
 */
export class UploadDeadline extends Base {}

/** Whole seconds that the cluster gets for what goes out now: `wanted`, or what is left, and one at the least. */
export const secondsLeft = (wanted: number): Effect.Effect<number> =>
  Effect.zipWith(
    UploadDeadline,
    Clock.currentTimeMillis,
    (deadline, now) => Math.max(1, Math.min(wanted, Math.ceil((deadline - now) / 1000))),
  )
