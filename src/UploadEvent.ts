/**
 * What an upload tells while it runs, and how it ends.
 *
 * @module
 */
import type * as Stream from "effect/Stream"
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import type { FabricError } from "./FabricError.ts"
import type { JournalError } from "./journal/Journal.ts"
import type { SessionId } from "./UploadSession.ts"

/** Bytes to upload. Whatever it is, it can be read again: a path, bytes, or a stream that can be run again. */
export type Source =
  | string
  | Uint8Array
  | { readonly stream: Stream.Stream<Uint8Array, unknown>; readonly size: number }

/** One line of an upload's story. */
export type UploadEvent =
  /** A file begins. `resumed`: bytes that an earlier run has brought already. */
  | {
    readonly _tag: "FileStarted"
    readonly path: string
    readonly size: number
    readonly sessionId: SessionId | undefined
    readonly resumed: number
  }
  /** Bytes of a file arrived, or went out. */
  | {
    readonly _tag: "BytesSent"
    readonly path: string
    /** Bytes of the file on the cluster by now. */
    readonly sent: number
    /** More that have left this machine. It is not known yet whether they arrive; what breaks off begins with none. */
    readonly underWay: number
    readonly size: number
    /** Requests that may be under way at once by now. */
    readonly concurrency: number
  }
  /** Something went wrong for a moment, and is tried again. */
  | { readonly _tag: "Retried"; readonly path: string; readonly reason: string }
  /** A lost request may still arrive until then, so what it brings is not sent again before. */
  | { readonly _tag: "Waiting"; readonly path: string; readonly until: Date }
  /** A session of somebody else at the same path, untouched for 10 minutes. `deleted`: by `cleanStale`. */
  | {
    readonly _tag: "StaleSession"
    readonly path: string
    readonly sessionId: SessionId
    readonly modified: Date
    readonly deleted: boolean
  }
  /** All bytes are there, the cluster makes the file. */
  | { readonly _tag: "Committing"; readonly path: string }
  /** A file is done. */
  | ({ readonly _tag: "FileUploaded" } & FileSummary)

/** What became of one file. */
export interface FileSummary {
  /** Where it is in the store. */
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** Bytes that went over the wire for it, repeats included. */
  readonly sent: number
  /** Bytes that an earlier run had brought. */
  readonly resumed: number
  /** Attempts that had to be repeated. */
  readonly retries: number
  /** From when it was opened to when the cluster had it. */
  readonly seconds: number
}

/** How to upload. */
export interface UploadOptions {
  /** Requests under way at once, 1 to 256. With {@link UploadOptions.chunkSize} the bound on memory. Default 4. */
  readonly concurrency?: number | undefined
  /** Bytes a request, 1 to 1 GiB. Smaller files go by one request, without a session. Default 8 MiB. */
  readonly chunkSize?: number | undefined
  /** Takes up what an earlier run left. Default true. */
  readonly resume?: boolean | undefined
  /** Deletes sessions of others at the same path that are untouched for 10 minutes. Default false. */
  readonly cleanStale?: boolean | undefined
  /** Gives up when all has failed for so many seconds, more than 0, without getting further. Default 300. */
  readonly patience?: number | undefined
}

interface SourceArgs {
  readonly source: string
  readonly issue: string
}

const Base: new (args: SourceArgs) => Cause.YieldableError & { readonly _tag: "SourceError" } & SourceArgs =
  Data
    .TaggedError("SourceError")<SourceArgs>

/** The bytes to upload cannot be read, or are not the same the second time. */
export class SourceError extends Base {
  /** What could not be uploaded, and why. */
  override get message(): string {
    return `Cannot upload ${this.source}: ${this.issue}`
  }
}

/** All ways in which an upload fails. */
export type UploadError = FabricError | SourceError | JournalError
