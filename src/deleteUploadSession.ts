/**
 * The program that every other operation imitates.
 *
 * @module
 */
import type * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { makeOperation, readNothing } from "./client/makeOperation.ts"
import { optionalTimeout } from "./client/ServerTimeout.ts"
import type { FabricClient } from "./FabricClient.ts"
import type { FabricError } from "./FabricError.ts"
import { SessionId } from "./UploadSession.ts"

/** What {@link deleteUploadSession} takes, decoded before anything is sent. */
export const DeleteUploadSessionParams: Schema.Struct<{
  sessionId: Schema.Schema<SessionId, string>
  timeout: typeof optionalTimeout
}> = Schema.Struct({ sessionId: SessionId, timeout: optionalTimeout })

/**
 * Deletes an upload session and every chunk that it holds. A file that was committed from it stays.
 *
 * `sessionId` is a GUID with hyphens. `timeout` is how long the cluster may work on it, in whole seconds from 1
 * to 4294967295; default 60.
 *
 * Repeats are harmless. A session that is not there fails with `FabricError.isNotFound`, unless an earlier
 * attempt of this call may have deleted it.
 *
 * REST: `DeleteImageStoreUploadSession`, api-version 6.0 (protocol.md 4.6).
 */
export const deleteUploadSession: (
  params: { readonly sessionId: string; readonly timeout?: number | undefined },
) => Effect.Effect<void, FabricError, FabricClient> = makeOperation({
  name: "DeleteImageStoreUploadSession",
  action: "delete upload session",
  method: "DELETE",
  apiVersion: "6.0",
  usesSessions: true,
  goneMeansDone: true,
  params: DeleteUploadSessionParams,
  request: ({ sessionId }) => ({
    path: "/ImageStore/$/DeleteUploadSession",
    query: { "session-id": sessionId },
    subject: sessionId,
    sessionId,
  }),
  read: readNothing,
})
