/**
 * Until when a request may still reach the cluster that was left without an answer (protocol.md 4.3).
 *
 * @module
 */
import type { FabricErrorReason } from "../FabricError.ts"

/** Milliseconds after its timeout in which a request may still arrive. */
const GRACE = 5000

/** Whether what a request was to bring may still come to the cluster: it was sent, and not refused for good. */
export const mayArrive = (reason: FabricErrorReason): boolean =>
  reason._tag === "TimedOut" ||
  (reason._tag === "Unreachable" && reason.sent === "maybe") ||
  (reason._tag === "Rejected" && reason.sent !== "no" && (reason.status >= 500 || reason.status === 408))

/** Whether nobody is at work on a failed request any more: the gateway has answered, or its time is over. */
const isOver = (reason: FabricErrorReason): boolean =>
  // Without a code it was a proxy that had enough; the gateway behind it goes on for as long as it was given.
  (reason._tag === "Rejected" && reason.code !== undefined) || reason._tag === "TimedOut"

/** Until when a request may arrive that goes out `now`, and that the cluster works on for `timeout` seconds. */
export const latestArrival = (timeout: number, now: number): number => now + timeout * 1000 + GRACE

/**
 * Until when a request that failed `now` may still arrive, if the cluster works on it for `timeout` seconds: both times in
 * milliseconds since 1970, and 0 where it cannot.
 */
export const arrivesUntil = (reason: FabricErrorReason, timeout: number, now: number): number =>
  mayArrive(reason) ? latestArrival(isOver(reason) ? 0 : timeout, now) : 0
