/**
 * One operation on its way through the gateway, as the handlers see it.
 *
 * @module
 */
import type { Content } from "./Content.ts"
import type { ContentRange } from "./ContentRange.ts"
import * as ErrorCode from "./ErrorCode.ts"
import type { ImageStoreState } from "./ImageStoreState.ts"
import type { AadMetadata } from "./Options.ts"
import * as Reply from "./Reply.ts"
import type { Route } from "./Route.ts"

/** No answer yet: look again at that time, in milliseconds. */
export interface Later {
  readonly at: number
  readonly next: (now: number) => Outcome
}

/** What a handler says. */
export type Outcome = Reply.Reply | Later

/** Does the work of one operation. */
export type Handler = (call: Call, now: number) => Outcome

/** What handlers know of the cluster, besides the store's state. */
export interface Cluster {
  readonly version: string
  readonly imageStore: string
  readonly aad: AadMetadata | undefined
  readonly infoShape: "array" | "object"
  readonly pageBytes: number
  /** Bytes a millisecond at which a commit joins chunks. */
  readonly joinSpeed: number
}

/** An operation with everything that it needs. */
export interface Call {
  readonly state: ImageStoreState
  readonly cluster: Cluster
  readonly route: Route
  /** Of an upload: where its bytes belong. */
  readonly contentRange: ContentRange
  /** The body of a copy. */
  readonly text: string
  /** When the gateway gives up: `timeout` after it had the body. */
  readonly deadline: number
  /** Milliseconds that a fault adds to a commit's joining. */
  readonly slowDisk: number
  readonly rollBack: boolean
  readonly forgetChunk: boolean
  /** Hands the body of an upload over to the store. */
  readonly takeBody: () => Content
}

/** How often the gateway asks the primary again. */
const RETRY = 5000

const timedOut = Reply.error(ErrorCode.timedOut)

/** Tries until there is an answer, and gives up when the call's time is over (protocol.md 1.3). */
export const retrying = (
  call: Call,
  now: number,
  attempt: (now: number) => Outcome | undefined,
): Outcome =>
  attempt(now) ?? (now >= call.deadline ? timedOut : {
    at: Math.min(now + RETRY, call.deadline),
    next: (then) => retrying(call, then, attempt),
  })

/** Whether the gateway itself asks again while there is no primary, or passes the failure on. */
type Kind = "retried" | "passed on"

/** Does work on the primary, if there is one (protocol.md 2.1, 4.6, 6). */
export const onPrimary = (kind: Kind, work: Handler): Handler => (call, now) => {
  if (call.route.timeout === 0) return Reply.error(ErrorCode.timeoutNotPositive)
  if (call.cluster.imageStore !== "fabric:ImageStore") return Reply.error(ErrorCode.noImageStoreService)
  if (now >= call.state.unavailableUntil) return work(call, now)
  if (kind === "passed on") return Reply.error(ErrorCode.aborted)
  return retrying(call, now, (then) => then >= call.state.unavailableUntil ? work(call, then) : undefined)
}

/** 200 without a body, or the failure. */
export const answer = (failure: ErrorCode.Failure | undefined): Reply.Reply =>
  failure === undefined ? Reply.ok : Reply.error(failure)

/** ISO 8601 from api-version 3.0 on, before that ticks of 100 ns since 1601 (protocol.md 1.2, 1.5). */
export const dateText = (millis: number, version: number): string =>
  version >= 3
    ? new Date(millis).toISOString()
    : String((BigInt(Math.trunc(millis)) + 11644473600000n) * 10000n)
