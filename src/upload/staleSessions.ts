/**
 * Sessions at a path that nobody has recorded here: machines of CI have no journal of earlier runs.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { deleteUploadSession } from "../deleteUploadSession.ts"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import type { JournalError } from "../journal/Journal.ts"
import type { UploadEvent } from "../UploadEvent.ts"
import { UploadJournal } from "../UploadJournal.ts"
import type { SessionId } from "../UploadSession.ts"
import { getSessionsAndTime } from "../uploadSessions.ts"
import type { Emit } from "./eventStream.ts"
import type { Patience } from "./Patience.ts"

/** Milliseconds without a chunk after which a session of somebody else counts as left behind. */
const STALE_AFTER = 10 * 60_000

/**
 * Tells of the stale sessions at a path, and deletes them if asked to. Their age is by the cluster's own clock. They are
 * of others: those that cannot be deleted, or understood, are a warning.
 */
export const reportStale = (
  path: string,
  options: { readonly deletes: boolean; readonly patience: Patience; readonly emit: Emit<UploadEvent> },
): Effect.Effect<void, FabricError | JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    const { deletes, emit, patience } = options
    const { now, sessions } = yield* Effect.catchIf(
      patience.persist(getSessionsAndTime({ path })),
      (error) => error.reason._tag === "Malformed",
      (error) => Effect.as(Effect.logWarning(error.message), { now: undefined, sessions: [] }),
    )
    if (now === undefined || sessions.length === 0) return
    const recorded = new Set(
      (yield* Effect.flatMap(UploadJournal, ({ entries }) => entries)).map(({ sessionId }) => sessionId),
    )
    for (const { modified, sessionId } of sessions) {
      if (recorded.has(sessionId) || now.getTime() - modified.getTime() < STALE_AFTER) continue
      const report = Effect.sync(() =>
        emit({ _tag: "StaleSession", path, sessionId, modified, deleted: deletes })
      )
      yield* deletes
        ? Effect.matchEffect(patience.persist(remove(sessionId)), {
          onFailure: ({ message }) =>
            Effect.logWarning(`Stale upload session ${sessionId} is left: ${message}`),
          onSuccess: () => report,
        })
        : report
    }
  })

const remove = (sessionId: SessionId): Effect.Effect<void, FabricError, FabricClient> =>
  Effect.catchIf(deleteUploadSession({ sessionId }), (error) => error.isNotFound, () => Effect.void)
