/**
 * The machine and the terminal that a command runs on.
 *
 * @module
 */
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { readFile } from "node:fs/promises"
import process from "node:process"
import { createInterface } from "node:readline"
import { ClusterHttpClient } from "../ClusterHttpClient.ts"
import type { FabricConfig } from "../FabricConfig.ts"
import { isReadable } from "../system/isReadable.ts"

interface Shape {
  /** An environment variable; `undefined` when it is not set, empty, or must not be read. */
  readonly variable: (name: string) => Effect.Effect<string | undefined>
  /** A file's text; `undefined` when there is none, or it must not be read. */
  readonly text: (path: string) => Effect.Effect<string | undefined>
  /** Asks a question that is answered by yes or no. `undefined`: there is no terminal to ask on. */
  readonly ask: ((question: string) => Effect.Effect<boolean>) | undefined
  /** How clusters are reached. */
  readonly transport: Layer.Layer<HttpClient.HttpClient, ConfigError.ConfigError, FabricConfig>
}

const Base: Context.TagClass<Host, "@effect-fabric/image-store/cli/Host", Shape> = Context.Tag(
  "@effect-fabric/image-store/cli/Host",
)<Host, Shape>()

/** What commands see of the world around them. */
export class Host extends Base {
  /** This process. */
  static readonly layer: Layer.Layer<Host> = Layer.sync(Host, () => {
    const absent = absentOnce()
    return {
      variable: (name) =>
        isReadable({ name: "env", variable: name })
          // An empty variable is how many build systems write one that is not set.
          ? Effect.sync(() => process.env[name] || undefined)
          : absent(`${name} must not be read`),
      text: (path) =>
        isReadable({ name: "read", path })
          ? Effect.catchAll(
            Effect.tryPromise(() => readFile(path, "utf8")),
            () => absent(`${path} cannot be read`),
          )
          : absent(`${path} must not be read`),
      ask: process.stdin.isTTY && process.stderr.isTTY ? askOn(process.stdin, process.stderr) : undefined,
      transport: ClusterHttpClient.layer,
    }
  })
}

/** Takes something for absent, and says each only once. */
const absentOnce = () => {
  const said = new Set<string>()
  return (what: string): Effect.Effect<undefined> =>
    Effect.suspend(() => {
      const first = !said.has(what)
      said.add(what)
      return Effect.as(first ? Effect.logDebug(`${what} and counts as absent`) : Effect.void, undefined)
    })
}

/** Asks on a terminal. It stays as it is, not raw, so that Ctrl-C is a signal like any other. */
export const askOn =
  (input: NodeJS.ReadableStream, output: NodeJS.WritableStream) =>
  (question: string): Effect.Effect<boolean> =>
    Effect.async((resume) => {
      const lines = createInterface({ input, output, terminal: false })
      output.write(`${question} [y/N] `)
      let answer: string | undefined
      lines.once("line", (line) => {
        answer = line
        lines.close()
      })
      lines.once("close", () => {
        // The input came to its end, or it was Ctrl-C: the line of the question is still open.
        if (answer === undefined) output.write("\n")
        resume(Effect.succeed(/^y(es)?$/i.test(answer?.trim() ?? "")))
      })
      return Effect.sync(() => lines.close())
    })
