/**
 * The five operations on upload sessions (protocol.md 4).
 *
 * @module
 */
import { answer, type Call, dateText, type Handler, onPrimary, type Outcome } from "./Call.ts"
import * as ErrorCode from "./ErrorCode.ts"
import * as Reply from "./Reply.ts"
import type { Query } from "./Route.ts"
import type { Session } from "./UploadSessions.ts"

const GUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/
const EMPTY_GUID = "00000000-0000-0000-0000-000000000000"

/** In lower case. `undefined`: missing, malformed or all zeros. */
export const sessionIdOf = (query: Query): string | undefined => {
  const id = query.get("session-id")?.toLowerCase()
  return id !== undefined && GUID.test(id) && id !== EMPTY_GUID ? id : undefined
}

/** The two kinds of operations refuse a bad id with different codes (protocol.md 4.1). */
const withSessionId =
  (refusal: ErrorCode.Failure, work: (call: Call, now: number, sessionId: string) => Outcome): Handler =>
  (call, now) => {
    const sessionId = sessionIdOf(call.route.query)
    return sessionId === undefined ? Reply.error(refusal) : work(call, now, sessionId)
  }

/** PUT `{path}/$/UploadChunk`. */
export const uploadChunk: Handler = withSessionId(
  ErrorCode.invalidSessionId,
  (call, now, sessionId) =>
    onPrimary("retried", (call, now) =>
      answer(call.state.putChunk({
        sessionId,
        path: call.route.path,
        ...call.contentRange,
        content: call.takeBody(),
        forget: call.forgetChunk,
      }, now)))(call, now),
)

/** GET `$/GetUploadSession`. */
export const getById: Handler = withSessionId(
  ErrorCode.invalidSessionId,
  (call, now, sessionId) =>
    onPrimary("retried", (call) => {
      const session = call.state.sessions.get(sessionId)
      return show(session === undefined ? [] : [session], call.route.version)
    })(call, now),
)

/** GET `{path}/$/GetUploadSession`. Sessions of exactly that path. */
export const getByPath: Handler = onPrimary(
  "retried",
  (call) => show(call.state.sessions.at(call.route.path), call.route.version),
)

const show = (sessions: ReadonlyArray<Session>, version: number): Reply.Reply =>
  sessions.length === 0 ? Reply.noContent : Reply.json({
    UploadSessions: sessions.map((session) => ({
      StoreRelativePath: session.path,
      SessionId: session.sessionId,
      FileSize: String(session.size),
      ModifiedDate: dateText(session.modified, version),
      ExpectedRanges: session.received.expected(session.size).map(({ first, last }) => ({
        StartPosition: String(first),
        EndPosition: String(last),
      })),
    })),
  })

/** POST `$/CommitUploadSession`. */
export const commit: Handler = withSessionId(
  ErrorCode.invalidArgument,
  (call, now, sessionId) =>
    onPrimary("passed on", (call, now) => {
      const size = call.state.sessions.get(sessionId)?.size ?? 0
      const duration = call.slowDisk + size / call.cluster.joinSpeed
      let reply: Reply.Reply | undefined
      call.state.commit(sessionId, { duration, rollBack: call.rollBack }, now, (failure) => {
        reply = answer(failure)
      })
      if (reply !== undefined) return reply
      // The commit goes on by itself; the gateway waits for it no longer than the call's time.
      return {
        at: Math.min(now + duration, call.deadline),
        next: () => reply ?? Reply.error(ErrorCode.timedOut),
      }
    })(call, now),
)

/** DELETE `$/DeleteUploadSession`. */
export const deleteSession: Handler = withSessionId(
  ErrorCode.invalidArgument,
  (call, now, sessionId) =>
    onPrimary(
      "retried",
      (call) => answer(call.state.sessions.delete(sessionId) ? undefined : ErrorCode.notFound),
    )(call, now),
)
