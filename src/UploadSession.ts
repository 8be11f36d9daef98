/**
 * An upload session: the chunks of one file that the cluster has staged, until they are committed or deleted.
 *
 * @module
 */
import type * as Brand from "effect/Brand"
import * as Schema from "effect/Schema"
import { Count, ServerDate, type Wire, wire } from "./client/wire.ts"
import { type ImageStorePath, ImageStorePathFromWire } from "./ImageStorePath.ts"

/** The id of an upload session: a GUID that the client makes up, in lower case. */
export type SessionId = string & Brand.Brand<"SessionId">

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const EMPTY_GUID = "00000000-0000-0000-0000-000000000000"

/**
 * Decodes the one form that the gateway parses, 36 characters with hyphens in either case, and refuses the
 * all-zero GUID (protocol.md 4.1). The decoded id is in lower case.
 */
export const SessionId: Schema.Schema<SessionId, string> = Schema.transform(
  Schema.String,
  Schema.String.pipe(
    Schema.filter((id) =>
      id === EMPTY_GUID
        ? "the all-zero GUID is no session"
        : GUID.test(id) || "expected a GUID with hyphens, such as 4a2340e8-d8d8-497c-95fe-cdaa1052f33b"
    ),
    Schema.brand("SessionId"),
  ),
  { strict: true, decode: (id) => id.toLowerCase(), encode: (id) => id },
).annotations({
  identifier: "SessionId",
  arbitrary: () => (fc) => fc.uuid().filter((id) => id !== EMPTY_GUID).map((id) => id as SessionId),
})

/** Positions of bytes in a file, both ends included, as in `Content-Range`. */
export interface ByteRange {
  /** Position of the first byte. */
  readonly first: number
  /** Position of the last byte. */
  readonly last: number
}

/** Reads `{ StartPosition, EndPosition }` (protocol.md 4.4). */
export const ByteRange: Schema.Struct<{
  first: Wire<"StartPosition", number, string | number>
  last: Wire<"EndPosition", number, string | number>
}> = Schema.Struct({
  first: wire("StartPosition", Count),
  last: wire("EndPosition", Count),
}).annotations({ identifier: "ByteRange" })

/** What the cluster knows of an upload session. */
export interface UploadSession {
  /** Who opens a session chooses it. */
  readonly sessionId: SessionId
  /** Where the file goes, as the first chunk spelled it. */
  readonly path: ImageStorePath
  /** Bytes of the whole file. */
  readonly size: number
  /** When the last chunk was accepted, at first when the session was made. It expires 30 to 35 minutes later. */
  readonly modified: Date
  /** What is missing, ascending. Empty: ready to commit, or committed already. */
  readonly expected: ReadonlyArray<ByteRange>
}

/** Reads one entry of `UploadSessions` (protocol.md 4.4). */
export const UploadSession: Schema.Struct<{
  sessionId: Wire<"SessionId", SessionId, string>
  path: Wire<"StoreRelativePath", ImageStorePath, string>
  size: Wire<"FileSize", number, string | number>
  modified: Wire<"ModifiedDate", Date, string>
  expected: Wire<
    "ExpectedRanges",
    ReadonlyArray<ByteRange>,
    ReadonlyArray<{ readonly StartPosition: string | number; readonly EndPosition: string | number }>
  >
}> = Schema.Struct({
  sessionId: wire("SessionId", SessionId),
  path: wire("StoreRelativePath", ImageStorePathFromWire),
  size: wire("FileSize", Count),
  modified: wire("ModifiedDate", ServerDate),
  expected: wire("ExpectedRanges", Schema.Array(ByteRange)),
}).annotations({ identifier: "UploadSession" })

/** The body of both GetUploadSession routes. */
export const UploadSessions: Schema.Struct<{
  sessions: Wire<
    "UploadSessions",
    ReadonlyArray<UploadSession>,
    Schema.Array$<typeof UploadSession>["Encoded"]
  >
}> = Schema.Struct({ sessions: wire("UploadSessions", Schema.Array(UploadSession)) })
