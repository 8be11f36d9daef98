/**
 * The JSON body of a copy (protocol.md 3.4).
 *
 * @module
 */
import type { CopyDescription } from "./contentOperations.ts"

/** Both spellings of `CopyFlag`: names, and the numbers of api-versions before 3.0. */
const FLAGS: ReadonlyMap<unknown, "Echo" | "Overwrite"> = new Map<unknown, "Echo" | "Overwrite">([
  ["Echo", "Echo"],
  ["Overwrite", "Overwrite"],
  [1, "Echo"],
  [2, "Overwrite"],
])

/** Reads the body. `undefined`: it cannot be read, or names nothing. */
export const parseCopy = (text: string): CopyDescription | undefined => {
  const body = parseJson(text)
  if (typeof body !== "object" || body === null) return
  const { RemoteSource, RemoteDestination, SkipFiles, CopyFlag } = body as Record<string, unknown>
  if (typeof RemoteSource !== "string" || typeof RemoteDestination !== "string") return
  const skipFiles = SkipFiles ?? []
  const flag = FLAGS.get(CopyFlag ?? "Overwrite")
  if (!Array.isArray(skipFiles) || flag === undefined || RemoteSource === "") return
  if (!skipFiles.every((name) => typeof name === "string")) return
  return { source: RemoteSource, destination: RemoteDestination, skipFiles, echo: flag === "Echo" }
}

const parseJson = (text: string): unknown => {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
