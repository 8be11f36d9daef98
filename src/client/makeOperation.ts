/**
 * Makes an operation of the REST API an Effect program.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as ParseResult from "effect/ParseResult"
import * as Schema from "effect/Schema"
import { FabricClient } from "../FabricClient.ts"
import { FabricError } from "../FabricError.ts"
import { messageOf } from "../system/messageOf.ts"
import type { Answer } from "../transport/Exchange.ts"
import type { Operation, Request } from "./Operation.ts"
import type { WithTimeout } from "./ServerTimeout.ts"

/** An operation with the schema of its params. */
export interface Definition<P extends WithTimeout, I, A> extends Operation<A> {
  readonly params: Schema.Schema<P, I>
  /** What to send for decoded params. */
  readonly request: (params: P) => Request
}

/** The program of an operation: it decodes the params, and sends nothing when they are wrong. */
export const makeOperation = <P extends WithTimeout, I, A>(
  definition: Definition<P, I, A>,
): (params: I) => Effect.Effect<A, FabricError, FabricClient> => {
  const decode = decodeParams(definition)
  return (params) =>
    Effect.flatMap(decode(params), (decoded) =>
      Effect.flatMap(
        FabricClient,
        ({ run }) => run(definition, definition.request(decoded), decoded.timeout),
      ))
}

/** Decodes the params of an operation, or refuses them before anything is sent. */
export const decodeParams = <P, I>(
  { action, name, params }: Pick<Operation<never>, "action" | "name"> & {
    readonly params: Schema.Schema<P, I>
  },
): (params: I) => Effect.Effect<P, FabricError, FabricClient> => {
  const decode = Schema.decodeUnknownEither(params)
  return (given) =>
    Effect.suspend(() => {
      const decoded = decode(given)
      return Either.isRight(decoded)
        ? Effect.succeed(decoded.right)
        : refuseParams({ action, name }, ...firstIssue(decoded.left))
    })
}

/** Refuses to do what `field` does not allow, before anything is sent. `issue` must not echo what may be a secret. */
export const refuseParams = (
  { action, name }: Pick<Operation<never>, "action" | "name">,
  field: string,
  issue: string,
): Effect.Effect<never, FabricError, FabricClient> =>
  Effect.flatMap(FabricClient, ({ endpoint }) =>
    new FabricError({
      operation: name,
      action,
      endpoint: endpoint(),
      attempts: 0,
      reason: { _tag: "InvalidParams", field, issue },
    }))

/** The first issue: where, and what. */
const issueIn = (error: ParseResult.ParseError): readonly [path: string, message: string] => {
  const [{ message, path } = { message: "cannot be read", path: [] }] = ParseResult.ArrayFormatter
    .formatErrorSync(error)
  return [path.join("."), message]
}

/** The same for params. Of what was given only numbers are repeated: a text may be a secret in the wrong place. */
const firstIssue = (error: ParseResult.ParseError): readonly [field: string, issue: string] => {
  const [path, message] = issueIn(error)
  return [path || "params", message.replace(ACTUAL_TEXT, "")]
}

const ACTUAL_TEXT = /, actual (?!-?[\d.e+]+$|NaN$|-?Infinity$)[\s\S]*$/

/** Reads the answer of an operation that only succeeds: 200, whatever the body. */
export const readNothing = ({ status }: Answer): Either.Either<void, string> =>
  status === 200 ? Either.void : Either.left("no content, where a plain success was expected")

/** Characters of what is wrong with an answer: it repeats the answer, which may be long. */
const LONGEST_DETAIL = 500

/** Reads a body by a schema of its JSON, which is compiled with the first body: programs that read none do not wait. */
export const readJson = <A, I>(schema: Schema.Schema<A, I>): (answer: Answer) => Either.Either<A, string> => {
  let decode: ((body: unknown) => Either.Either<A, ParseResult.ParseError>) | undefined
  return ({ text }) =>
    Either.mapLeft(
      Either.flatMap(parse(text), (body) => {
        decode ??= Schema.decodeUnknownEither(schema)
        return Either.mapLeft(
          decode(body),
          (error) => issueIn(error).filter((part) => part !== "").join(": "),
        )
      }),
      (detail) => detail.slice(0, LONGEST_DETAIL),
    )
}

const parse = (text: string): Either.Either<unknown, string> =>
  Either.try({
    try: () => JSON.parse(text),
    catch: (cause) => `its body is no JSON: ${messageOf(cause)}`,
  })
