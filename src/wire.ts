/**
 * How the gateway writes values in JSON (protocol.md 1.5). The wire's spelling stops here.
 *
 * @module
 */
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"

/** A property that the wire spells as `K`. */
export type Wire<K extends PropertyKey, A, I> = Schema.PropertySignature<":", A, K, ":", I, false, never>

/** Reads a property from the key that the wire gives it. */
export const wire = <K extends PropertyKey, A, I>(key: K, schema: Schema.Schema<A, I>): Wire<K, A, I> =>
  Schema.propertySignature(schema).pipe(Schema.fromKey(key))

/**
 * A count that is exact or refused. The gateway writes 64-bit integers as strings, older ones some of them
 * as numbers; above 2^53-1 a number would be rounded in silence.
 */
export const Count: Schema.Schema<number, string | number> = Schema.transformOrFail(
  Schema.Union(Schema.String, Schema.Number),
  Schema.Number,
  {
    strict: true,
    decode: (text, _, ast) => {
      const count = typeof text === "string" && !/^\d+$/.test(text) ? NaN : Number(text)
      return Number.isSafeInteger(count) && count >= 0
        ? ParseResult.succeed(count)
        : ParseResult.fail(new ParseResult.Type(ast, text, "expected a whole number from 0 to 2^53-1"))
    },
    encode: (count) => ParseResult.succeed(String(count)),
  },
).annotations({ identifier: "Count", arbitrary: () => (fc) => fc.maxSafeNat() })

/**
 * `yyyy-MM-ddTHH:mm:ss.fffZ`, as every api-version from 3.0 writes dates. The published example of a session
 * has a dot for the second colon; that is read too.
 */
export const ServerDate: Schema.Schema<Date, string> = Schema.transform(Schema.String, Schema.Date, {
  strict: true,
  decode: (text) => text.replace(/T(\d\d):(\d\d)\.(\d\d)\./, "T$1:$2:$3."),
  encode: (text) => text,
}).annotations({
  identifier: "ServerDate",
  arbitrary: () => (fc) =>
    fc.date({
      min: new Date("2000-01-01T00:00:00Z"),
      max: new Date("2100-01-01T00:00:00Z"),
      noInvalidDate: true,
    }),
})
