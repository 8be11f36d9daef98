/**
 * Scripts that complete commands and options in a shell.
 *
 * @module
 */
import * as CommandDescriptor from "@effect/cli/CommandDescriptor"
import * as Effect from "effect/Effect"
import { program } from "./descriptors.ts"

const NAME = "image-store"

/** The script for `bash`, `zsh` or `fish`. */
export const completions = (shell: string): Effect.Effect<string> =>
  Effect.map(scriptOf(shell), (lines) =>
    // Wizard mode, which @effect/cli has for every command, is not offered here.
    mended(
      lines.filter((line) => !/^\s*'--wizard|-l wizard/.test(line)).join("\n").replaceAll(" --wizard", ""),
    ))

/**
 * @effect/cli 0.77 spells a name with a hyphen in two ways, loses what comes below a group, lists choices by commas, and
 * offers nothing in bash after a flag, as if that took a value.
 */
const mended = (script: string): string =>
  script
    .replaceAll('cmd="image-store"', 'cmd="image__store"')
    .replaceAll(/^( +)image-store\)$/gm, "$1image__store)")
    .replaceAll(/^( +)image__store,(\w+),(\w+)\)$/gm, "$1image__store__$2,$3)")
    .replaceAll("_image-store__", "_image__store__")
    .replaceAll(/^ +--[\w-]+\)\n +COMPREPLY=\( "\$\{cur\}" \)\n +return 0\n +;;\n/gm, "")
    .replaceAll(/compgen -W "([^" ]+)"/g, (_, choices: string) =>
      `compgen -W "${choices.replaceAll(",", " ")}"`)

const scriptOf = (shell: string): Effect.Effect<Array<string>> => {
  switch (shell) {
    case "fish":
      return CommandDescriptor.getFishCompletions(program(), NAME)
    case "zsh":
      return CommandDescriptor.getZshCompletions(program(), NAME)
    default:
      return CommandDescriptor.getBashCompletions(program(), NAME)
  }
}
