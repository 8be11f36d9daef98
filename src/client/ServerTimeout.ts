/**
 * The `timeout` that every operation of the REST API takes.
 *
 * @module
 */
import * as Schema from "effect/Schema"

/**
 * How long the cluster may work on a request, in whole seconds: 1 to 4294967295. The gateway ignores what it
 * cannot read and uses 60 (protocol.md 1.3), so a bad one is refused here.
 */
export const ServerTimeout: Schema.filter<typeof Schema.Number> = Schema.Number.pipe(
  Schema.filter((seconds) => Number.isInteger(seconds) && seconds >= 1 && seconds <= 4294967295),
).annotations({
  identifier: "ServerTimeout",
  message: ({ actual }) => ({
    message: `expected whole seconds from 1 to 4294967295, got ${
      typeof actual === "number" ? actual : `a value of type ${typeof actual}`
    }`,
    override: true,
  }),
  arbitrary: () => (fc) => fc.integer({ min: 1, max: 4294967295 }),
})

/** The param that every operation takes. */
export interface WithTimeout {
  /** Whole seconds that the cluster may work on it, 1 to 4294967295. Default: the configuration's, 60 there. */
  readonly timeout?: number | undefined
}

/** Its schema. Default: the configuration's `timeout`, which is 60 by default. */
export const optionalTimeout: Schema.optional<typeof ServerTimeout> = Schema.optional(ServerTimeout)
