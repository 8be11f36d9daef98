/**
 * The question whether a gateway has upload sessions. Linux gateways answer a route that they lack as they answer bad
 * params; a session that nobody can have tells the two apart (protocol.md 4).
 *
 * @module
 */
import * as Either from "effect/Either"
import type { Operation, Request } from "./Operation.ts"

/** Reads a session that nobody has: `SessionsUnsupported` where there can be none. */
export const SESSIONS_PROBE: Operation<void> = {
  name: "GetImageStoreUploadSessionById",
  action: "find out whether there are upload sessions",
  method: "GET",
  apiVersion: "6.0",
  usesSessions: true,
  read: () => Either.void,
}

/** What it sends. */
export const probeRequest = (): Request => ({
  path: "/ImageStore/$/GetUploadSession",
  query: { "session-id": crypto.randomUUID() },
})
