/**
 * Help as plain text.
 *
 * @module
 */
import { type Command, commands, groups } from "./commands.ts"
import { builtInOptions, clusterOptions, globalOptions } from "./globals.ts"
import type { ArgSpecs, OptionSpec, OptionSpecs } from "./Spec.ts"
import { version } from "./version.ts"
import { wrap } from "./wrap.ts"

const list = (
  title: string,
  rows: ReadonlyArray<readonly [term: string, text: string]>,
  width: number,
): string => {
  if (rows.length === 0) return ""
  const indent = Math.max(...rows.map(([term]) => term.length)) + 4
  const aligned = (text: string) => wrap(text, width - indent).join(`\n${" ".repeat(indent)}`)
  return `\n${title}:\n${
    rows.map(([term, text]) => `  ${term.padEnd(indent - 2)}${aligned(text)}\n`).join("")
  }`
}

const argument = (name: string, { optional }: { readonly optional?: true }): string =>
  optional ? `[${name}]` : `<${name}>`

const option = (name: string, spec: OptionSpec): string =>
  `--${name}${spec.kind === "flag" ? "" : ` ${spec.value}`}`

const options = (title: string, specs: OptionSpecs, width: number): string =>
  list(
    title,
    Object.entries(specs).map(([name, spec]) => [
      option(name, spec),
      spec.kind === "choice" ? `${spec.summary} (${spec.choices.join(", ")})` : spec.summary,
    ]),
    width,
  )

const args = (specs: ArgSpecs, width: number): string =>
  list("Arguments", Object.entries(specs).map(([name, spec]) => [argument(name, spec), spec.summary]), width)

/** The words and the arguments of a command. */
const synopsis = (command: Command): string =>
  [...command.words, ...Object.entries(command.args).map(([name, spec]) => argument(name, spec))].join(" ")

const examples = (lines: Command["examples"]): string =>
  `\nExamples:\n${lines.map(([what, line]) => `  # ${what}\n  ${line}\n`).join("\n")}`

/** Help for the whole program, or for the commands that begin with `word`. Lines are broken to fit `width`. */
export const overview = (width: number, word?: string): string =>
  word === undefined
    ? `image-store ${version}: Azure Service Fabric's image store from the command line\n\n` +
      "Usage: image-store <command> [arguments] [options]\n" +
      groups.map(([title, members]) =>
        list(title, members.map((command) => [synopsis(command), command.summary]), width)
      ).join("") +
      options("Options of every command", { ...globalOptions, ...builtInOptions }, width) +
      options("Options of commands that talk to a cluster", clusterOptions, width) +
      `\n${
        wrap(
          "The cluster is the first of: --endpoint, FABRIC_ENDPOINT, SFCTL_SERVICEFABRIC_ENDPOINT, the one that " +
            "`sfctl cluster select` chose, http://localhost:19080. FABRIC_TIMEOUT, FABRIC_CLIENT_CERT, " +
            "FABRIC_CLIENT_KEY, FABRIC_CLIENT_PFX, FABRIC_CLIENT_PASSPHRASE, FABRIC_CA, FABRIC_SERVER_THUMBPRINT, " +
            "FABRIC_SERVER_COMMON_NAME, FABRIC_TOKEN_FILE and FABRIC_TOKEN_COMMAND stand in for the options; " +
            "FABRIC_TOKEN is a token itself.",
          width,
        ).join("\n")
      }\n` +
      "\nExit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted.\n" +
      examples([
        ["See it work, without a cluster", "image-store demo"],
        ["What a command takes", "image-store session delete --help"],
      ])
    : `Usage: image-store ${word} <command> [arguments] [options]\n` +
      list(
        "Commands",
        commands.filter(({ words }) => words[0] === word).map((
          command,
        ) => [synopsis(command), command.summary]),
        width,
      )

/** Help for one command. Lines are broken to fit `width`. */
export const manual = (width: number, command: Command): string => {
  const own = Object.keys(command.options).length > 0 || command.cluster !== undefined ? " [options]" : ""
  return `${command.summary}.\n\nUsage: image-store ${synopsis(command)}${own}\n` +
    (command.details === undefined ? "" : `\n${wrap(command.details, width).join("\n")}\n`) +
    args(command.args, width) +
    options("Options", command.options, width) +
    (command.cluster === undefined ? "" : options("Cluster", clusterOptions, width)) +
    options("Output", globalOptions, width) +
    examples(command.examples)
}
