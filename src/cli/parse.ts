/**
 * From a command line to a command and what it was given.
 *
 * @module
 */
import * as Either from "effect/Either"
import type { Arranged } from "./arrange.ts"
import { CliError } from "./CliError.ts"
import { type Command, commands, find, optionsOf } from "./commands.ts"
import { didYouMean } from "./didYouMean.ts"
import { folderPath } from "./folderPath.ts"
import { builtInOptions } from "./globals.ts"
import type { OptionSpec } from "./Spec.ts"

/** A command and what it was given, by name. */
interface Invocation {
  readonly command: Command
  readonly params: Readonly<Record<string, unknown>>
}

/** Chooses the command and reads its arguments and options, or says what is wrong with them. */
export const parse = ({ options, words }: Arranged): Either.Either<Invocation, CliError> => {
  const command = find(words)
  if (command === undefined) return usage(noCommand(words[0] === "help" ? words.slice(1) : words))
  const name = command.words.join(" ")
  const takes = optionsOf(command)
  const foreign = options.find(([option]) => !(option in takes))
  if (foreign !== undefined) return usage(`"${name}" takes no option --${foreign[0]}`)
  const args = Object.entries(command.args)
  const typed = words.slice(command.words.length)
  const missing = args.find(([, { optional }], at) => !optional && at >= typed.length)
  if (missing !== undefined) return usage(`Missing argument <${missing[0]}>; see image-store ${name} --help`)
  const extra = typed[args.length]
  if (extra !== undefined) {
    return usage(`"${extra}" is one argument too many; see image-store ${name} --help`)
  }
  return Either.right({
    command,
    params: Object.fromEntries([
      ...args.map(([arg, { folder }], at) => [arg, folder ? folderPath(typed[at]) : typed[at]]),
      ...Object.entries(takes).map(([option, { kind }]) => [
        option,
        valueOf(kind, options.filter(([given]) => given === option).map(([, value]) => value)),
      ]),
    ]),
  })
}

/** What an option comes to that was given with these values: the last one counts, unless it is a list. */
const valueOf = (kind: OptionSpec["kind"], given: ReadonlyArray<string | undefined>): unknown => {
  const last = given.at(-1)
  switch (kind) {
    case "flag":
      return given.length > 0
    case "list":
      return given
    case "integer":
      return last === undefined ? undefined : Number(last)
    case "text":
    case "choice":
      return last
  }
}

const usage = (message: string) => Either.left(CliError.usage(message))

const noCommand = ([first, second]: ReadonlyArray<string>): string => {
  const members = commands.filter(({ words }) => words.length > 1 && words[0] === first)
  if (members.length > 0) {
    const names = members.map(({ words }) => words[1]!)
    return second === undefined
      ? `"${first}" needs one of ${names.join(", ")}; see image-store ${first} --help`
      : `There is no command "${first} ${second}"${
        didYouMean(second, names) || `; see image-store ${first} --help`
      }`
  }
  if (first === undefined) return "Name a command; image-store --help lists them"
  const inGroup = commands.find(({ words }) => words[1] === first)
  return `There is no command "${first}"${
    inGroup !== undefined
      ? `; did you mean ${inGroup.words.join(" ")}?`
      : Object.hasOwn(builtInOptions, first)
      ? `; did you mean --${first}?`
      : didYouMean(first, commands.map(({ words }) => words[0])) || "; image-store --help lists them"
  }`
}
