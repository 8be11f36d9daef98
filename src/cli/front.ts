/**
 * What is answered before anything is loaded: help and version.
 *
 * @module
 */
import { commands, find } from "./commands.ts"
import { manual, overview } from "./help.ts"
import { version } from "./version.ts"

/** Longer lines are hard to read. */
const WIDEST = 100

/**
 * The text that a command line asks for, if it asks for no more than a text. `columns`: the terminal's, if there is
 * one.
 */
export const front = (argv: ReadonlyArray<string>, columns = 80): string | undefined => {
  const width = Math.min(columns, WIDEST)
  if (argv.length === 0) return overview(width)
  if (argv[0] === "help") return helpOn(argv.slice(1).filter((word) => !word.startsWith("-")), width)
  const end = argv.indexOf("--")
  const before = end < 0 ? argv : argv.slice(0, end)
  if (before.includes("--help") || before.includes("-h")) {
    const words = before.filter((word) => !word.startsWith("-"))
    return helpOn(words, width) ?? helpOn(words.slice(0, 1), width) ?? overview(width)
  }
  return before.includes("--version") ? `${version}\n` : undefined
}

/** Help on what `words` choose, if that is anything. */
const helpOn = (words: ReadonlyArray<string>, width: number): string | undefined => {
  const command = find(words)
  if (command !== undefined) return manual(width, command)
  if (words.length === 0) return overview(width)
  const isGroup = commands.some((candidate) => candidate.words.length > 1 && candidate.words[0] === words[0])
  return isGroup && words.length === 1 ? overview(width, words[0]) : undefined
}
