/**
 * What is answered before anything is loaded: help and version.
 *
 * @module
 */
import { commands, find } from "./commands.ts"
import { manual, overview } from "./help.ts"
import { version } from "./version.ts"

/** The text that a command line asks for, if it asks for no more than a text. */
export const front = (argv: ReadonlyArray<string>): string | undefined => {
  if (argv.length === 0) return overview()
  if (argv[0] === "help") return helpOn(argv.slice(1).filter((word) => !word.startsWith("-")))
  const end = argv.indexOf("--")
  const before = end < 0 ? argv : argv.slice(0, end)
  if (before.includes("--help") || before.includes("-h")) {
    const words = before.filter((word) => !word.startsWith("-"))
    return helpOn(words) ?? helpOn(words.slice(0, 1)) ?? overview()
  }
  return before.includes("--version") ? `${version}\n` : undefined
}

/** Help on what `words` choose, if that is anything. */
const helpOn = (words: ReadonlyArray<string>): string | undefined => {
  const command = find(words)
  if (command !== undefined) return manual(command)
  if (words.length === 0) return overview()
  const isGroup = commands.some((candidate) => candidate.words.length > 1 && candidate.words[0] === words[0])
  return isGroup && words.length === 1 ? overview(words[0]) : undefined
}
