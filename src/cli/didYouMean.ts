/**
 * A guess at what was meant by a word that is not known.
 *
 * @module
 */
import * as AutoCorrect from "@effect/cli/AutoCorrect"
import * as CliConfig from "@effect/cli/CliConfig"

/** The end of a sentence: the guess as a question, or nothing where no candidate comes near. */
export const didYouMean = (typed: string, candidates: ReadonlyArray<string>, prefix = ""): string => {
  const guess = candidates
    .map((name) => [name, AutoCorrect.levensteinDistance(typed, name, CliConfig.defaultConfig)] as const)
    .filter(([name, distance]) => distance <= Math.min(2, name.length / 2))
    .sort(([, a], [, b]) => a - b)[0]
  return guess === undefined ? "" : `; did you mean ${prefix}${guess[0]}?`
}
