/**
 * The one error channel: a {@link FabricError} whose `reason` is a plain tagged record.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"
import { BODY_UNREADABLE, NO_TOKEN } from "./transport/NoAnswer.ts"

/** Why an operation failed. Each reason has only the fields that are true of it. */
export type FabricErrorReason =
  /** The params are wrong. Nothing was sent. */
  | { readonly _tag: "InvalidParams"; readonly field: string; readonly issue: string }
  /**
   * Nobody answered, or there was no token to ask with (`NO_TOKEN`). `sent: "no"`: the request cannot have reached
   * the cluster.
   */
  | {
    readonly _tag: "Unreachable"
    readonly code: string
    readonly detail: string
    readonly sent: "no" | "maybe"
  }
  /** The two sides could not agree on TLS: trust, name, or plain HTTP on one side only. */
  | { readonly _tag: "Untrusted"; readonly code: string; readonly detail: string; readonly hint: string }
  /** The deadline of an attempt, or of the whole call, passed. */
  | { readonly _tag: "TimedOut"; readonly seconds: number }
  /**
   * The cluster wants other credentials: 401 or 403 with an empty body, or a page about certificates. The hint says
   * which, as far as the cluster tells.
   */
  | { readonly _tag: "Unauthenticated"; readonly status: number; readonly hint: string }
  /** Any other error answer. `code` is an open set: `FABRIC_E_…`, `NotFound`, …; proxies send none. */
  | {
    readonly _tag: "Rejected"
    readonly status: number
    readonly code: string | undefined
    readonly detail: string
    /** Seconds after which the answer asks to come back, where it does (`Retry-After`). */
    readonly retryAfter?: number
    /** `"no"`: the answer came before the body was sent, so nothing of it can reach the cluster. */
    readonly sent?: "no"
  }
  /** A redirect, or a success that cannot be understood. */
  | { readonly _tag: "Malformed"; readonly status: number; readonly detail: string }
  /** A Linux gateway: it has no upload sessions (protocol.md 4). */
  | { readonly _tag: "SessionsUnsupported" }

/** Codes that are worth another attempt, whatever the status (protocol.md 2.1). */
const RETRYABLE_CODES: ReadonlySet<string> = new Set([
  "E_ABORT",
  "FABRIC_E_COMMUNICATION_ERROR",
  "FABRIC_E_CONNECTION_CLOSED_BY_REMOTE_END",
  "FABRIC_E_GATEWAY_NOT_REACHABLE",
  "FABRIC_E_NO_WRITE_QUORUM",
  "FABRIC_E_NOT_PRIMARY",
  "FABRIC_E_NOT_READY",
  "FABRIC_E_OBJECT_CLOSED",
  "FABRIC_E_OPERATION_NOT_COMPLETE",
  "FABRIC_E_RECONFIGURATION_PENDING",
  "FABRIC_E_REPLICATION_QUEUE_FULL",
  "FABRIC_E_SERVICE_OFFLINE",
  "FABRIC_E_SERVICE_TOO_BUSY",
  "FABRIC_E_TIMEOUT",
  "FABRIC_E_WRITE_CONFLICT",
  "OperationsPending",
])

/** Statuses that are worth another attempt, whatever the body. */
const RETRYABLE_STATUSES: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504])

const TORN = "a file that it lists is being written, or is lost on the cluster's disk; try again"

/** What an operator can do about a code, where that is known; before it, what that means for one operation. */
const HINTS: Readonly<Record<string, string>> = {
  "CopyImageStoreContent FABRIC_E_FILE_NOT_FOUND":
    "nothing is at the source, or it is a folder without the file _.dir that marks it as complete",
  "GetImageStoreContent FABRIC_E_FILE_NOT_FOUND": TORN,
  "GetImageStoreContent NotFound": "nothing of that name is there",
  "GetImageStoreRootContent FABRIC_E_FILE_NOT_FOUND": TORN,
  E_ABORT: "a fail-over or an upgrade may be under way; try again in a moment",
  E_ACCESSDENIED: "the credentials are known to the cluster but lack the admin role",
  FABRIC_E_IMAGEBUILDER_RESERVED_DIRECTORY_ERROR: "this folder belongs to the cluster; name what is below it",
  FABRIC_E_IMAGESTORE_IOERROR:
    "the cluster could not write; is its disk full? See the space that is left with getInfo, or image-store info",
  FABRIC_E_SERVICE_DOES_NOT_EXIST:
    "this cluster has no image store service: its image store is a file share, which this API cannot reach",
  NotFound:
    "nothing of that name is there; a session is also lost when it expires or the cluster's primary moves",
  FABRIC_E_TIMEOUT: "the cluster is slow or changes its primary; try again, or raise the timeout",
  FABRIC_E_UPLOAD_SESSION_ID_CONFLICT: "the session was opened for another path; use a new session id",
  FABRIC_E_UPLOAD_SESSION_RANGE_NOT_SATISFIABLE:
    "the range is not one that the session still expects; read the session to see which are",
}

interface Args {
  /** The operation by its REST name, such as `DeleteImageStoreUploadSession`. */
  readonly operation: string
  /** What was to be done, as the end of "Cannot …". */
  readonly action: string
  /** Host and port of the endpoint that was asked last, or would have been. */
  readonly endpoint: string
  /** How many requests were made. 0: nothing was sent. */
  readonly attempts: number
  readonly reason: FabricErrorReason
}

const Base: new (args: Args) => Cause.YieldableError & { readonly _tag: "FabricError" } & Args = Data
  .TaggedError(
    "FabricError",
  )<Args>

/**
 * Every way in which an operation can fail. Match on `error.reason._tag`.
 *
 * It holds text and numbers only: no request, header, credential or live cause can be reached from it.
 */
export class FabricError extends Base {
  /** Whether a value is a {@link FabricError}. */
  static readonly is = (u: unknown): u is FabricError => u instanceof FabricError

  /** Whether the cluster itself said that the thing is not there. See {@link FabricError.isNotFound}. */
  static readonly isNotFound = (u: unknown): u is FabricError => FabricError.is(u) && u.isNotFound

  /** Whether a value is a {@link FabricError} that another attempt may not meet. */
  static readonly isRetryable = (u: unknown): u is FabricError => FabricError.is(u) && u.isRetryable

  /**
   * The cluster said that the session, file or folder does not exist. A bare 404 of a proxy, and a cluster
   * without image store service, are not that: the code decides, never the status alone (protocol.md 6). Nor is a
   * listing that fails with `FABRIC_E_FILE_NOT_FOUND`: that folder is there (protocol.md 3.1).
   */
  get isNotFound(): boolean {
    return meansNotFound(this.reason) && !isTorn(this)
  }

  /** Whether the same call may succeed later. */
  get isRetryable(): boolean {
    return meansRetry(this.reason) || isTorn(this)
  }

  /** What could not be done, where, why, and what to try. */
  override get message(): string {
    const tries = this.attempts > 1 ? ` (after ${this.attempts} attempts)` : ""
    const place = this.attempts > 0 || this.reason._tag !== "InvalidParams" ? ` at ${this.endpoint}` : ""
    return `Cannot ${this.action}${place}${tries}: ${explain(this.reason, this.operation, this.attempts)}`
  }
}

/** Deno does not let the program use the network, and will not the next time either. */
const FORBIDDEN = "NotCapable"

/** Nobody answered, and nobody will: the next attempt meets the same. */
const FINAL: ReadonlySet<string> = new Set([FORBIDDEN, BODY_UNREADABLE, NO_TOKEN])

const NOT_FOUND_CODES: ReadonlySet<string> = new Set([
  "NotFound",
  "FABRIC_E_FILE_NOT_FOUND",
  "FABRIC_E_DIRECTORY_NOT_FOUND",
  "FABRIC_E_NAME_DOES_NOT_EXIST",
])

/** Whether the cluster itself said that the thing is not there. */
export const meansNotFound = (reason: FabricErrorReason): boolean =>
  reason._tag === "Rejected" && NOT_FOUND_CODES.has(reason.code ?? "")

/** Whether a folder could not be listed that is there: a file that it lists is not on the disk (protocol.md 3.1). */
const isTorn = ({ operation, reason }: FabricError): boolean =>
  LISTINGS.has(operation) && reason._tag === "Rejected" && reason.code === "FABRIC_E_FILE_NOT_FOUND"

const LISTINGS: ReadonlySet<string> = new Set(["GetImageStoreContent", "GetImageStoreRootContent"])

/** Whether another attempt may not meet the same. */
export const meansRetry = (reason: FabricErrorReason): boolean =>
  reason._tag === "Rejected"
    ? RETRYABLE_STATUSES.has(reason.status) || RETRYABLE_CODES.has(reason.code ?? "")
    : reason._tag === "TimedOut" || (reason._tag === "Unreachable" && !FINAL.has(reason.code))

/** `Retry-After` is honoured up to so many milliseconds. */
const LONGEST_RETRY_AFTER = 300_000

/** Milliseconds that the cluster asks to wait before another attempt. */
export const askedDelay = (reason: FabricErrorReason): number =>
  reason._tag === "Rejected" ? Math.min((reason.retryAfter ?? 0) * 1000, LONGEST_RETRY_AFTER) : 0

const explain = (reason: FabricErrorReason, operation: string, attempts: number): string => {
  switch (reason._tag) {
    case "InvalidParams":
      return `${reason.field}: ${reason.issue}`
    case "Unreachable":
      if (reason.code === NO_TOKEN) {
        return `there is no token to show: ${reason.detail}; ` +
          (attempts === 0 ? "nothing was sent" : "an earlier attempt may have reached the cluster")
      }
      return `nobody answered (${reason.code}: ${reason.detail}); ` +
        (reason.code === FORBIDDEN
          ? "let the program use the network: deno run --allow-net"
          : reason.code === BODY_UNREADABLE
          ? "the body has to be readable, and of the size that was announced"
          : reason.sent === "no"
          ? "check the address, the port (the gateway's is 19080) and the network"
          : "the request may have reached the cluster")
    case "Untrusted":
      // What is no HTTP at all, `node:http` names like that.
      return `no ${reason.code.startsWith("HPE_") ? "answer that can be read" : "secure connection"} ` +
        `(${reason.code}: ${plain(reason.detail)}); ${reason.hint}`
    case "TimedOut":
      return `no answer within ${reason.seconds} s; the request may have reached the cluster`
    case "Unauthenticated":
      return `the cluster answered ${reason.status} to these credentials; ${reason.hint}`
    case "Rejected":
      return explainRejection(reason, operation)
    case "Malformed":
      return `an answer that a gateway does not give: ${reason.status}, ${reason.detail}` +
        // A detail that asks something itself knows that it is one.
        (reason.detail.includes("?") ? "" : "; is this a Service Fabric gateway?")
    case "SessionsUnsupported":
      return "this is a Linux cluster, whose gateway has no upload sessions; upload files by single requests"
  }
}

/** What matters of a line of OpenSSL: not its numbers, functions and files. */
const plain = (detail: string): string => {
  const [, words] = /SSL routines:[^:]*:([^:)\n]+)/.exec(detail) ?? []
  return words === undefined ? detail : words.replaceAll("_", " ").toLowerCase()
}

const explainRejection = (
  { code, detail, status }: Extract<FabricErrorReason, { readonly _tag: "Rejected" }>,
  operation: string,
): string => {
  const hint = code === undefined
    ? "no Service Fabric error; a proxy may have answered"
    : HINTS[`${operation} ${code}`] ?? HINTS[code]
  const said = detail === "" ? "" : `: ${detail}`
  return `the cluster answered ${status}${code === undefined ? "" : ` ${code}`}${said}${
    hint ? `; ${hint}` : ""
  }`
}
