/**
 * Names in the image store: the one place that decides how a path becomes a URL, and which names can be sent.
 *
 * @module
 */
import type * as Brand from "effect/Brand"
import * as Schema from "effect/Schema"

/** A path in the image store, without a leading separator, `/` between its segments: `MyApp/Code/app.dll`. */
export type ImageStorePath = string & Brand.Brand<"ImageStorePath">

/** The store puts a version before a name, and file systems take no longer ones (protocol.md 5). */
const LONGEST_NAME = 200
/** The gateway's listener refuses longer segments of a URL (protocol.md 5): letters beyond ASCII take 6 and more each. */
const LONGEST_SEGMENT = 260

// deno-lint-ignore no-control-regex
const CONTROL = /[\u0000-\u001f\u007f]/

/** Why the store cannot hold a path, or `undefined` when it can. */
export const problemOfPath = (path: string): string | undefined => {
  if (path === "") return "a path needs at least one name"
  if (!path.isWellFormed()) return "it holds half of a surrogate pair, which no URL can carry"
  for (const name of path.split("/")) {
    const said = problemOfName(name)
    if (said !== undefined) return said
  }
}

const problemOfName = (name: string): string | undefined => {
  if (name === "") return "a name between separators is empty; write a/b, without / at the ends"
  if (name === "." || name === "..") return `the gateway refuses "${name}" as a name`
  if (name === "$") return `the gateway reads "$" as the start of an action, so nothing can have that name`
  if (name.includes("\\")) return "write / between names, not \\"
  if (CONTROL.test(name)) return "it holds a control character"
  if (/[%#?]/.test(name)) return "the gateway can lose or decode twice the characters %, # and ? in a name"
  if (/[<>:"|*]/.test(name)) return 'no Windows image store can hold the characters < > : " | * in a name'
  if (/^\s|[\s.]$/.test(name)) return "the store trims blanks and dots at the ends of a name"
  if (name.length > LONGEST_NAME) {
    return `a name has ${name.length} characters, the gateway takes ${LONGEST_NAME}`
  }
  const escaped = encodeURIComponent(name).length
  if (escaped > LONGEST_SEGMENT) {
    return `a name has ${escaped} characters when it is escaped for a URL, the gateway takes ${LONGEST_SEGMENT}`
  }
}

/**
 * Accepts what arrives at the cluster as it was written, and refuses the rest with the reason: `.` and `..`,
 * `$`, empty names, `\`, `%`, `#`, `?`, control characters, what Windows cannot hold, trailing dots and
 * blanks, names over 200 characters, or over 260 as the URL has them (protocol.md 5).
 */
export const ImageStorePath: Schema.Schema<ImageStorePath, string> = Schema.String.pipe(
  Schema.filter(problemOfPath),
  Schema.brand("ImageStorePath"),
).annotations({
  identifier: "ImageStorePath",
  arbitrary: () => (fc) =>
    fc.array(fc.string({ minLength: 1, maxLength: 12, unit: "grapheme" }), { minLength: 1, maxLength: 4 })
      .map((names) => names.join("/")).filter((path) => problemOfPath(path) === undefined)
      .map((path) => path as ImageStorePath),
})

/** A path as files are compared on Windows, where case does not count. On Linux two files may have the same (protocol.md 5). */
export const caseless = (path: string): string => path.toLowerCase()

/**
 * Reads a path that the cluster wrote: `\` on Windows, `/` on Linux. Nothing is refused, so that what a
 * listing shows is what is there.
 */
export const pathFromWire = (text: string): ImageStorePath => text.replaceAll("\\", "/") as ImageStorePath

/** The schema of {@link pathFromWire}. */
export const ImageStorePathFromWire: Schema.Schema<ImageStorePath, string> = Schema.transform(
  Schema.String,
  Schema.String.pipe(Schema.brand("ImageStorePath")),
  { strict: true, decode: pathFromWire, encode: (path) => path },
).annotations({ arbitrary: () => (fc) => fc.string().map(pathFromWire) })

/** The path as it goes into a URL: every name escaped, `/` kept. One spelling for all calls of a session. */
export const escapePath = (path: ImageStorePath): string => path.split("/").map(encodeURIComponent).join("/")
