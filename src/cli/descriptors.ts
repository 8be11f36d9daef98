/**
 * The commands as `@effect/cli` knows them, for their completions.
 *
 * @module
 */
import * as Args from "@effect/cli/Args"
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as Options from "@effect/cli/Options"
import { type Command, commands, optionsOf } from "./commands.ts"
import type { OptionSpec } from "./Spec.ts"

const option = (name: string, spec: OptionSpec): Options.Options<unknown> => {
  switch (spec.kind) {
    case "flag":
      return Options.boolean(name)
    case "integer":
      return Options.integer(name)
    case "choice":
      return Options.choice(name, spec.choices)
    case "text":
    case "list":
      return Options.text(name)
  }
}

const descriptor = (command: Command): CommandDescriptor.Command<unknown> => {
  // The log level is an option that every command of @effect/cli has by itself.
  const { "log-level": _, ...specs } = optionsOf(command)
  return CommandDescriptor.make(
    command.words.at(-1)!,
    Options.all(
      Object.entries(specs).map(([name, spec]) => Options.withDescription(option(name, spec), spec.summary)),
    ),
    Args.all(
      Object.entries(command.args).map(([name, { summary }]) =>
        Args.withDescription(Args.text({ name }), summary)
      ),
    ),
  ).pipe(CommandDescriptor.withDescription(command.summary))
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
