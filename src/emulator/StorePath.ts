/**
 * How the image store service reads a path (protocol.md 5).
 *
 * @module
 */
import { type Failure, invalidArgument, ioError, pathTooLong } from "./ErrorCode.ts"

/** The platform of the cluster's nodes. Only `windows` has upload sessions. */
export type Os = "windows" | "linux"

/** The name that marks a folder as completely uploaded (protocol.md 5.1). */
export const MARKER = "_.dir"

/** Between the names of a stored path. */
export const separatorOf = (os: Os): "\\" | "/" => os === "windows" ? "\\" : "/"

/** The platform's separators, without blanks and separators at both ends. */
export const normalize = (path: string, os: Os): string =>
  os === "windows"
    ? path.replaceAll("/", "\\").trim().replace(/^\\+|\\+$/g, "")
    : path.replaceAll("\\", "/").trim().replace(/^\/+|\/+$/g, "")

/** What a normalized path is stored under: without case on Windows. */
export const keyOf = (normalized: string, os: Os): string =>
  os === "windows" ? lowerCase(normalized) : normalized

/**
 * Letter by letter, and as long as before, as Windows does it. JavaScript's own way looks at the letters beside
 * a sigma, and makes two of a dotted I.
 */
export const lowerCase = (text: string): string =>
  ASCII.test(text) ? text.toLowerCase() : text.replace(/[^\u0130]/gu, (letter) => letter.toLowerCase())

// deno-lint-ignore no-control-regex
const ASCII = /^[\u0000-\u007f]*$/

/** A stored file is named `{version}.{name}`, and file systems take 255 characters. */
const LONGEST_NAME = 255 - "131510254310497004_25769803776_2147483647.".length

// deno-lint-ignore no-control-regex
const WINDOWS_ILLEGAL = /[\u0000-\u001f<>:"|?*]/

/** Why the file system would not take a file of that (normalized) name, if it would not. */
export const refusal = (path: string, os: Os): Failure | undefined => {
  if (path === "") return invalidArgument
  const names = path.split(separatorOf(os))
  if (names.some((name) => name === "." || name === "..")) return invalidArgument
  if (names.some((name) => name.length > LONGEST_NAME)) return pathTooLong
  if (names.includes("")) return ioError
  if (os === "windows" ? WINDOWS_ILLEGAL.test(path) : path.includes("\0")) return ioError
}
