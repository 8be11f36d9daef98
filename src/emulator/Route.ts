/**
 * From a request line to an operation: address, verb, template and `api-version` are matched together, and
 * whatever does not match is one and the same 400 (protocol.md 1.1 to 1.3).
 *
 * @module
 */
import * as ErrorCode from "./ErrorCode.ts"
import * as Reply from "./Reply.ts"
import type { Os } from "./StorePath.ts"

/** The operations by their names in the REST reference. */
export type Operation =
  | "CommitImageStoreUploadSession"
  | "CopyImageStoreContent"
  | "DeleteImageStoreContent"
  | "DeleteImageStoreUploadSession"
  | "GetAadMetadata"
  | "GetClusterManifest"
  | "GetClusterVersion"
  | "GetImageStoreContent"
  | "GetImageStoreFolderSize"
  | "GetImageStoreInfo"
  | "GetImageStoreRootContent"
  | "GetImageStoreRootFolderSize"
  | "GetImageStoreUploadSessionById"
  | "GetImageStoreUploadSessionByPath"
  | "UploadFile"
  | "UploadFileChunk"

/** What stands behind the `?`, read as far as somebody asks: most requests have more than anybody wants. */
export class Query {
  readonly #text: string

  constructor(text: string) {
    this.#text = text
  }

  /** A pair counts if it splits on `=` into two non-empty parts; the first one of a name wins; no decoding. */
  get(name: string): string | undefined {
    const text = this.#text
    for (let at = 0; at < text.length;) {
      const next = text.indexOf("&", at)
      const end = next < 0 ? text.length : next
      if (text.startsWith(name, at) && text[at + name.length] === "=") {
        const value = text.slice(at + name.length + 1, end)
        if (value !== "" && !value.includes("=")) return value
      }
      at = end + 1
    }
  }
}

/** A request that names an operation. */
export interface Route {
  readonly operation: Operation
  /** Percent-decoded, `/` between the segments of the URL. `""` when the operation has none. */
  readonly path: string
  readonly query: Query
  /** The number in `api-version`. */
  readonly version: number
  /** Milliseconds that the gateway gives the operation once it has the body. */
  readonly timeout: number
}

/** What routes depend on. */
export interface RouteOptions {
  readonly os: Os
  /** The newest `api-version`: the runtime's major and minor version. */
  readonly newest: number
}

interface Target {
  readonly operation: Operation
  readonly session?: boolean
  /** Runtimes before this one lack the route. */
  readonly since?: number
}

// `{path}` stands for one segment or more. There is nothing here that the real gateway lacks.
const TARGETS: ReadonlyMap<string, Target> = new Map<string, Target>([
  ["GET ImageStore", { operation: "GetImageStoreRootContent" }],
  ["GET ImageStore/{path}", { operation: "GetImageStoreContent" }],
  ["PUT ImageStore/{path}", { operation: "UploadFile" }],
  ["DELETE ImageStore/{path}", { operation: "DeleteImageStoreContent" }],
  ["POST ImageStore/$/Copy", { operation: "CopyImageStoreContent" }],
  ["GET ImageStore/$/FolderSize", { operation: "GetImageStoreRootFolderSize", since: 6.5 }],
  ["GET ImageStore/{path}/$/FolderSize", { operation: "GetImageStoreFolderSize", since: 6.5 }],
  ["GET ImageStore/$/Info", { operation: "GetImageStoreInfo", since: 6.5 }],
  ["PUT ImageStore/{path}/$/UploadChunk", { operation: "UploadFileChunk", session: true }],
  ["GET ImageStore/$/GetUploadSession", { operation: "GetImageStoreUploadSessionById", session: true }],
  ["GET ImageStore/{path}/$/GetUploadSession", {
    operation: "GetImageStoreUploadSessionByPath",
    session: true,
  }],
  ["POST ImageStore/$/CommitUploadSession", { operation: "CommitImageStoreUploadSession", session: true }],
  ["DELETE ImageStore/$/DeleteUploadSession", { operation: "DeleteImageStoreUploadSession", session: true }],
  ["GET $/GetAadMetadata", { operation: "GetAadMetadata" }],
  ["GET $/GetClusterVersion", { operation: "GetClusterVersion", since: 6.4 }],
  ["GET $/GetClusterManifest", { operation: "GetClusterManifest" }],
])

const refused: Reply.Reply = Reply.error(ErrorCode.invalidArgument)

/** RFC 3986's path characters, and blanks. */
const PATH = /^(?:[\w\-.~!$&'()*+,;=:@/ ]|%[0-9A-Fa-f]{2})*$/

/** HTTP.sys refuses longer segments before the gateway sees them. */
const LONGEST_SEGMENT = 260

/** What a URL's path says, whatever the method and the system. */
interface Address {
  readonly longestSegment: number
  /** The first segment, `undefined` where nothing is served. */
  readonly root: string | undefined
  readonly wellFormed: boolean
  /** The path with its content path as `{path}`. */
  readonly template: string
  /** The content path, decoded; `undefined`: not UTF-8. */
  readonly path: string | undefined
}

const readAddress = (rawPath: string): Address => {
  const segments = rawPath.split("/").filter((segment) => segment !== "")
  const first = segments[0]
  const action = segments.indexOf("$", 1)
  const names = segments.slice(1, action < 0 ? undefined : action)
  return {
    longestSegment: segments.reduce((longest, { length }) => Math.max(longest, length), 0),
    root: first === "$" || first?.toLowerCase() === "imagestore" ? first : undefined,
    wellFormed: PATH.test(rawPath) && !segments.includes(".") && !segments.includes(".."),
    template: first === "$" ? segments.join("/") : [
      first,
      ...(names.length > 0 ? ["{path}"] : []),
      ...(action < 0 ? [] : segments.slice(action)),
    ].join("/"),
    path: decode(first === "$" ? "" : names.join("/")),
  }
}

/** Clients ask for few paths again and again; to read one costs more than all else about a small request. */
const addresses = new Map<string, Address>()
const MOST_ADDRESSES = 1000

const addressOf = (rawPath: string): Address => {
  let address = addresses.get(rawPath)
  if (address === undefined) {
    address = readAddress(rawPath)
    if (addresses.size >= MOST_ADDRESSES) addresses.clear()
    addresses.set(rawPath, address)
  }
  return address
}

/** Finds the operation that a request names, or the answer to a request that names none. */
export const match = (method: string, target: string, options: RouteOptions): Route | Reply.Reply => {
  const sent = withoutOrigin(target)
  const fragment = sent.indexOf("#")
  const whole = fragment < 0 ? sent : sent.slice(0, fragment)
  const mark = whole.indexOf("?")
  const address = addressOf(mark < 0 ? whole : whole.slice(0, mark))
  if (options.os === "windows" && address.longestSegment > LONGEST_SEGMENT) return Reply.listenerBadRequest
  if (address.root === undefined) return Reply.bareNotFound
  if (!address.wellFormed) return refused
  const found = TARGETS.get(`${method} ${address.template}`)
  if (found === undefined || (found.session && options.os === "linux")) return refused
  const query = new Query(mark < 0 ? "" : whole.slice(mark + 1))
  const version = parseVersion(query.get("api-version"))
  const { path } = address
  if (path === undefined || version === undefined || version < 1 || version > options.newest) return refused
  if (found.since !== undefined && found.since > options.newest) return refused
  return { operation: found.operation, path, query, version, timeout: parseTimeout(query.get("timeout")) }
}

/** Proxies get the whole URL in the request line; only its path and query matter. */
const withoutOrigin = (target: string): string => {
  if (target.startsWith("/")) return target
  const origin = /^https?:\/\/[^/?#]*/i.exec(target)
  return origin === null ? "" : target.slice(origin[0].length)
}

/** Percent-decodes. `undefined`: not UTF-8. */
export const decode = (text: string): string | undefined => {
  if (!text.includes("%")) return text
  try {
    return decodeURIComponent(text)
  } catch {
    return undefined
  }
}

const PREVIEW = "-preview"

const parseVersion = (text: string | undefined): number | undefined => {
  const digits = text?.endsWith(PREVIEW) ? text.slice(0, -PREVIEW.length) : text
  return digits !== undefined && /^(?:\d+\.?\d*|\.\d+)$/.test(digits) ? Number(digits) : undefined
}

const DEFAULT_TIMEOUT = 60
const LONGEST_TIMEOUT = 4294967295

/** What is no unsigned 32-bit number of seconds is silently the default. */
const parseTimeout = (text: string | undefined): number => {
  const seconds = text !== undefined && /^\d+$/.test(text) ? Number(text) : DEFAULT_TIMEOUT
  return 1000 * (seconds <= LONGEST_TIMEOUT ? seconds : DEFAULT_TIMEOUT)
}

/** Whether a match is an operation. */
export const isRoute = (found: Route | Reply.Reply): found is Route => "operation" in found
