/**
 * Where results and everything else go.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"

/** What a program reads on stderr, in one line: always when, how grave and what, and more where there is more to tell. */
export const jsonLine = (time: Date, level: string, message: string, more: object = {}): string =>
  JSON.stringify({ time, level, message, ...more })

interface Shape {
  /** Whether the reader is a program. */
  readonly json: boolean
  /** The result, on stdout: a text for people, or one document for a program. Called once a command. */
  readonly result: (text: string, document: unknown) => Effect.Effect<void>
  /** What only people read, on stdout before the result. */
  readonly tell: (text: string) => Effect.Effect<void>
  /** Anything else, on stderr; for a program a {@link jsonLine}, with `more`. At the level `info`, unless told. */
  readonly note: (text: string, more: object, level?: "warning" | "error") => Effect.Effect<void>
}

const Base: Context.TagClass<Output, "@effect-fabric/image-store/cli/Output", Shape> = Context.Tag(
  "@effect-fabric/image-store/cli/Output",
)<Output, Shape>()

/** What a command says. */
export class Output extends Base {
  /** Speaks JSON, or to people. */
  static readonly make = (json: boolean): Shape => ({
    json,
    result: (text, document) => Console.log(json ? JSON.stringify(document, null, 2) : text),
    tell: (text) => json ? Effect.void : Console.log(text),
    note: (text, more, level) =>
      json
        ? Effect.flatMap(
          Clock.currentTimeMillis,
          (now) => Console.error(jsonLine(new Date(now), level ?? "info", text, more)),
        )
        : Console.error(text),
  })
}
