/**
 * The commands as `@effect/cli` knows them.
 *
 * @module
 */
import * as Args from "@effect/cli/Args"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as Options from "@effect/cli/Options"
import * as Option from "effect/Option"
import { type Command, commands } from "./commands.ts"
import { clusterOptions, globalOptions } from "./globals.ts"
import type { ArgSpecs, OptionSpec, OptionSpecs } from "./Spec.ts"

/** The options that a command takes. */
export const optionsOf = (command: Command): OptionSpecs => ({
  ...command.options,
  ...(command.cluster === undefined ? {} : clusterOptions),
  ...globalOptions,
})

const optional = <A>(options: Options.Options<A>): Options.Options<A | undefined> =>
  Options.map(Options.optional(options), Option.getOrUndefined)

const option = (name: string, spec: OptionSpec): Options.Options<unknown> => {
  switch (spec.kind) {
    case "flag":
      return Options.boolean(name)
    case "integer":
      return optional(Options.withPseudoName(Options.integer(name), spec.value))
    case "choice":
      return optional(Options.choice(name, spec.choices))
    case "text":
      return optional(Options.withPseudoName(Options.text(name), spec.value))
    case "list":
      return Options.repeated(Options.withPseudoName(Options.text(name), spec.value))
  }
}

const argument = (name: string, spec: ArgSpecs[string]): Args.Args<unknown> => {
  const text = Args.withDescription(Args.text({ name }), spec.summary)
  return spec.optional ? Args.map(Args.optional(text), Option.getOrUndefined) : text
}

/** One command alone: what was typed, by name. */
export const descriptor = (
  command: Command,
): CommandDescriptor.Command<Readonly<Record<string, unknown>>> => {
  // The log level is an option that every command of @effect/cli has by itself.
  const { "log-level": _, ...specs } = optionsOf(command)
  const options = Object.entries(specs).map(([name, spec]) =>
    [name, Options.withDescription(option(name, spec), spec.summary)] as const
  )
  const args = Object.entries(command.args)
  return CommandDescriptor.make(
    command.words.at(-1)!,
    Options.all(Object.fromEntries(options)),
    Args.all(args.map(([name, spec]) => argument(name, spec))),
  ).pipe(
    CommandDescriptor.withDescription(command.summary),
    CommandDescriptor.map((typed) => ({
      ...typed.options as object,
      ...Object.fromEntries(args.map(([name], at) => [name, typed.args[at]])),
    })),
  )
}

/** The whole program, for its completions. */
export const program = (): CommandDescriptor.Command<unknown> => {
  const child = (command: Command) => [command, descriptor(command)] as const
  const [first, ...others] = [...new Set(commands.map(({ words }) => words[0]))].map((word) => {
    const members = commands.filter(({ words }) => words[0] === word)
    const [head, ...rest] = members
    return members.length === 1 ? child(head!) : [
      word,
      CommandDescriptor.withSubcommands(CommandDescriptor.make(word), [child(head!), ...rest.map(child)]),
    ] as const
  })
  return CommandDescriptor.withSubcommands(CommandDescriptor.make("image-store"), [first!, ...others])
}
