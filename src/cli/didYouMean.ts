/**
 * A guess at what was meant by a word that is not known.
 *
 * @module
 */

/** The end of a sentence: the guess as a question, or nothing where no candidate comes near. */
export const didYouMean = (typed: string, candidates: ReadonlyArray<string>, prefix = ""): string => {
  const guess = candidates
    .map((name) => [name, distance(typed.toLowerCase(), name)] as const)
    .filter(([name, distance]) => distance <= Math.min(2, name.length / 2))
    .sort(([, a], [, b]) => a - b)[0]
  return guess === undefined ? "" : `; did you mean ${prefix}${guess[0]}?`
}

/** How many letters have to be put in, taken out or changed (Levenshtein), row by row. */
const distance = (from: string, to: string): number => {
  let above = Array.from({ length: to.length + 1 }, (_, at) => at)
  for (let row = 1; row <= from.length; row++) {
    const line = [row]
    for (let at = 1; at <= to.length; at++) {
      const change = above[at - 1]! + (from[row - 1] === to[at - 1] ? 0 : 1)
      line.push(Math.min(change, above[at]! + 1, line[at - 1]! + 1))
    }
    above = line
  }
  return above[to.length]!
}
