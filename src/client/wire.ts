/**
 * How the gateway writes values in JSON (protocol.md 1.5). The wire's spelling stops here.
 *
 * @module
 */
import * as Schema from "effect/Schema"

/** A property that the wire spells as `K`. */
export type Wire<K extends PropertyKey, A, I> = Schema.PropertySignature<":", A, K, ":", I, false, never>

/** Reads a property from the key that the wire gives it. */
export const wire = <K extends PropertyKey, A, I>(key: K, schema: Schema.Schema<A, I>): Wire<K, A, I> =>
  Schema.propertySignature(schema).pipe(Schema.fromKey(key))

/** 64-bit integers are strings, in older gateways some of them numbers. */
export const Digits: Schema.Union<[typeof Schema.String, typeof Schema.Number]> = Schema.Union(
  Schema.String,
  Schema.Number,
)

/** Digits of a count that is exact: above 2^53-1 a number would be rounded in silence. */
export const CountDigits: Schema.Schema<string | number> = Digits.pipe(
  Schema.filter((digits) =>
    (typeof digits === "number" ? digits >= 0 : /^\d+$/.test(digits)) &&
      Number.isSafeInteger(Number(digits)) ||
    `expected a whole number from 0 to 2^53-1, got ${digits}`
  ),
)

/** A count, exact or refused. */
export const Count: Schema.Schema<number, string | number> = Schema.transform(CountDigits, Schema.Number, {
  strict: true,
  decode: Number,
  encode: String,
}).annotations({ identifier: "Count", arbitrary: () => (fc) => fc.maxSafeNat() })

/** Reads the text of a {@link DateText}. */
export const dateOf = (text: string): Date => new Date(text.replace(/T(\d\d):(\d\d)\.(\d\d)\./, "T$1:$2:$3."))

/**
 * `yyyy-MM-ddTHH:mm:ss.fffZ`, as every api-version from 3.0 writes dates. The published example of a session
 * has a dot for the second colon; that is read too.
 */
export const DateText: Schema.Schema<string> = Schema.String.pipe(
  Schema.filter((text) => !Number.isNaN(dateOf(text).getTime()) || `expected a date, got ${text}`),
)

/** A date of the cluster. */
export const ServerDate: Schema.Schema<Date, string> = Schema.transform(DateText, Schema.DateFromSelf, {
  strict: true,
  decode: dateOf,
  encode: (date) => date.toISOString(),
}).annotations({
  identifier: "ServerDate",
  arbitrary: () => (fc) =>
    fc.date({
      min: new Date("2000-01-01T00:00:00Z"),
      max: new Date("2100-01-01T00:00:00Z"),
      noInvalidDate: true,
    }),
})
