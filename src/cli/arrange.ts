/**
 * Sorts a command line into words and options, so that options can stand anywhere.
 *
 * @module
 */
import * as Either from "effect/Either"
import { CliError } from "./CliError.ts"
import { commands } from "./commands.ts"
import { didYouMean } from "./didYouMean.ts"
import { builtInOptions, clusterOptions, globalOptions } from "./globals.ts"
import type { OptionSpecs } from "./Spec.ts"

/** A command line in order. */
export interface Arranged {
  /** The command and its arguments. */
  readonly words: ReadonlyArray<string>
  /** Options with their values; a flag has none. */
  readonly options: ReadonlyArray<readonly [name: string, value: string | undefined]>
}

const known: OptionSpecs = Object.assign(
  Object.create(null),
  globalOptions,
  { completions: builtInOptions.completions },
  clusterOptions,
  ...commands.map(({ options }) => options),
)

/** Arranges what was typed, or says which option is wrong. After `--` nothing is an option. */
export const arrange = (argv: ReadonlyArray<string>): Either.Either<Arranged, CliError> => {
  const words: Array<string> = []
  const options: Array<readonly [string, string | undefined]> = []
  for (let at = 0; at < argv.length; at++) {
    const token = argv[at]!
    if (token === "--") {
      words.push(...argv.slice(at + 1))
      break
    }
    if (!token.startsWith("-") || token === "-") {
      words.push(token)
      continue
    }
    const [, name = "", inline] = /^--?([^=]*)(?:=([\s\S]*))?$/.exec(token) ?? []
    const spec = token.startsWith("--") ? known[name] : undefined
    if (spec === undefined) {
      return usage(
        `There is no option ${token.split("=", 1)[0]}${
          didYouMean(name, Object.keys(known), "--") || "; see the command's --help"
        }`,
      )
    }
    if (spec.kind === "flag") {
      if (inline !== undefined) return usage(`--${name} takes no value`)
      options.push([name, undefined])
      continue
    }
    const value = inline ?? argv[++at]
    // An empty value is mostly a variable that is not set: going on without it would ask another cluster.
    if (value === undefined || value.trim() === "") {
      return usage(`--${name} needs a value: --${name} ${spec.value}`)
    }
    if (spec.kind === "integer" && !/^-?\d+$/.test(value)) {
      return usage(`--${name} takes a whole number, not "${value}"`)
    }
    if (spec.kind === "choice" && !spec.choices.includes(value)) {
      return usage(`--${name} is one of ${spec.choices.join(", ")}, not "${value}"`)
    }
    options.push([name, value])
  }
  return Either.right({ words, options })
}

const usage = (message: string) => Either.left(CliError.usage(message))
