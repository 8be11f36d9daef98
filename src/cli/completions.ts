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
    lines.filter((line) => !/^\s*'--wizard|-l wizard/.test(line)).join("\n").replaceAll(" --wizard", ""))

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
