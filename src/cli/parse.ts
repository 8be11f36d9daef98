/**
 * From a command line to a command and what it was given.
 *
 * @module
 */
import * as CliConfig from "@effect/cli/CliConfig"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as HelpDoc from "@effect/cli/HelpDoc"
import * as FileSystem from "@effect/platform/FileSystem"
import * as Path from "@effect/platform/Path"
import * as Terminal from "@effect/platform/Terminal"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { stripVTControlCharacters } from "node:util"
import type { Arranged } from "./arrange.ts"
import { CliError } from "./CliError.ts"
import { type Command, commands, find } from "./commands.ts"
import { descriptor, optionsOf } from "./descriptors.ts"
import { didYouMean } from "./didYouMean.ts"

/** A command and what it was given, by name. */
interface Invocation {
  readonly command: Command
  readonly params: Readonly<Record<string, unknown>>
}

/** Chooses the command and reads its arguments and options, or says what is wrong with them. */
export const parse = ({ options, words }: Arranged): Effect.Effect<Invocation, CliError> =>
  Effect.gen(function* () {
    const command = find(words)
    if (command === undefined) {
      return yield* CliError.usage(noCommand(words[0] === "help" ? words.slice(1) : words))
    }
    const name = command.words.join(" ")
    const takes = optionsOf(command)
    const foreign = options.find(([option]) => !(option in takes))
    if (foreign !== undefined) return yield* CliError.usage(`"${name}" takes no option --${foreign[0]}`)
    const line = [
      command.words.at(-1)!,
      // A flag is given its value, because a word that looks like one could follow.
      ...options.filter(([option]) => option !== "log-level").flatMap((
        [option, value],
      ) => [`--${option}`, value ?? "true"]),
      "--",
      ...words.slice(command.words.length),
    ]
    const directive = yield* CommandDescriptor.parse(descriptor(command), line, config).pipe(
      Effect.mapError(({ error }) => CliError.usage(plain(error))),
      Effect.mapError(({ message }) => CliError.usage(`${message}; see image-store ${name} --help`)),
      Effect.provide(unused),
    )
    if (directive._tag === "BuiltIn") return yield* CliError.usage(`see image-store ${name} --help`)
    const [extra] = directive.leftover
    if (extra !== undefined) {
      return yield* CliError.usage(`"${extra}" is one argument too many; see image-store ${name} --help`)
    }
    return { command, params: directive.value }
  })

const config: CliConfig.CliConfig = { ...CliConfig.defaultConfig, isCaseSensitive: true, autoCorrectLimit: 0 }

/** What reading files and asking for values would need, which no option here does. */
const unused: Layer.Layer<FileSystem.FileSystem | Path.Path | Terminal.Terminal> = Layer.mergeAll(
  FileSystem.layerNoop({}),
  Path.layer,
  Layer.succeed(Terminal.Terminal, {} as Terminal.Terminal),
)

const plain = (doc: HelpDoc.HelpDoc): string => stripVTControlCharacters(HelpDoc.toAnsiText(doc)).trim()

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
      : didYouMean(first, commands.map(({ words }) => words[0])) || "; image-store --help lists them"
  }`
}
