/**
 * The life of an upload session, and of the next one where it cannot be brought to its end.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Cause from "effect/Cause"
import { refuseParams } from "../client/makeOperation.ts"
import { FabricClient } from "../FabricClient.ts"
import { FabricError, type FabricErrorReason } from "../FabricError.ts"
import type { JournalError } from "../journal/Journal.ts"
import type { JournalEntry } from "../journal/JournalEntry.ts"
import { UploadJournal } from "../UploadJournal.ts"
import type { ByteRange, SessionId } from "../UploadSession.ts"
import { withHeartbeat } from "./heartbeat.ts"
import { type Broken, OpenSession, type SessionHooks } from "./OpenSession.ts"
import { Patience } from "./Patience.ts"
import { bytesIn, chunksOf, missingChunks } from "./ranges.ts"
import type { Taken } from "./takeOver.ts"

import type { SessionWork, TransactionOptions } from "../withUploadSession.ts"

/** Times that the cluster may want the same, or more, again before that counts as failure. */
const MOST_ROUNDS = 3

/** What the body of a transaction gets: chunks are read again rather than held while a lost one may still arrive. */
export interface ChunkWork extends Pick<SessionWork, "sessionId" | "missing"> {
  /** Sends a range. `false`: it is lost, and must not be sent again before it is settled. */
  readonly send: OpenSession["put"]
  /** The id goes to somebody who may use it. */
  readonly handOut: () => void
  /** Whether a range that was begun before, here or by a dead process, has arrived; waits until that is certain. */
  readonly settle: OpenSession["settle"]
  /** The session's chunks are too large, by what another's was refused for: fails with that. */
  readonly giveUp: OpenSession["giveUp"]
}

/** A session that was taken from a dead run, none of whose chunks can arrive after `quietAt`. */
export interface ResumedSession {
  readonly own: Taken
  readonly quietAt: number
}

/** What `uploadFile` adds: a session to take over, its chunks, and the story. */
export interface TransactionExtras {
  readonly source: string
  /** Bytes of a chunk, asked for each new session. `undefined`: ranges are whatever `use` makes them. */
  readonly chunkSize: () => number | undefined
  /** A session of a run that is over, to resume. From its start on the transaction sees to its end. */
  readonly resumed?: ResumedSession | undefined
  readonly hooks: SessionHooks
  /** Default: one of this session alone. */
  readonly patience?: Patience
  /** A session could not be brought to an end for a reason, which was the case so many `times` by now: try a new one? */
  readonly restart: (broken: Broken, times: number) => boolean
}

/** One restart for each reason: a cluster that poisons two sessions will not take a third. */
export const restartOnce = (broken: Broken, times: number): boolean =>
  broken._tag !== "ChunkTooLarge" && times === 1

/** {@link withUploadSession} with all that an upload of a file needs. */
export const transact = <A, E, R>(
  options: TransactionOptions,
  extras: TransactionExtras,
  use: (work: ChunkWork) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | FabricError | JournalError, R | FabricClient | UploadJournal> => {
  const times: Partial<Record<Broken["_tag"], number>> = {}
  const attempt = (
    resumed: ResumedSession | undefined,
  ): Effect.Effect<A, E | FabricError | JournalError, R | FabricClient | UploadJournal> =>
    Effect.flatMap(oneSession(options, extras, resumed, use), (result) => {
      if (!("_tag" in result)) return Effect.succeed(result.value)
      const count = times[result._tag] = (times[result._tag] ?? 0) + 1
      return extras.restart(result, count)
        ? Effect.suspend(() => attempt(undefined))
        : giveUp(result, options)
    })
  return attempt(extras.resumed)
}

const oneSession = <A, E, R>(
  { path, patience = 300, size }: TransactionOptions,
  extras: TransactionExtras,
  resumed: ResumedSession | undefined,
  use: (work: ChunkWork) => Effect.Effect<A, E, R>,
): Effect.Effect<
  { readonly value: A } | Broken,
  E | FabricError | JournalError,
  R | FabricClient | UploadJournal
> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const journal = yield* UploadJournal
      const { origins } = yield* FabricClient
      const now = yield* Clock.currentTimeMillis
      const { hooks, source } = extras
      const earlier = resumed && { ...resumed.own.entry, quietAt: resumed.quietAt }
      const chunkSize = earlier?.chunkSize ?? extras.chunkSize()
      const fresh: JournalEntry = {
        sessionId: crypto.randomUUID() as SessionId,
        endpoints: origins,
        path,
        size,
        chunkSize: chunkSize ?? size,
        source,
        owner: journal.owner,
        state: "open",
        hashes: {},
        quietAt: 0,
        touched: now,
      }
      if (resumed === undefined) yield* journal.create(fresh)
      else {
        yield* journal.update(resumed.own.entry.sessionId, { quietAt: resumed.quietAt })
        resumed.own.handled = true
      }
      const session = new OpenSession(
        earlier ?? fresh,
        earlier !== undefined,
        journal,
        extras.patience ?? new Patience(patience * 1000, hooks.retried),
        hooks,
      )
      const exit = yield* Effect.exit(
        restore(rounds(session, chunkSize === undefined ? undefined : chunksOf(size, chunkSize), use)),
      )
      const ended = yield* Effect.exit(Effect.ensuring(session.end, journal.leave(session.sessionId)))
      if (Exit.isSuccess(ended)) {
        const errors: ReadonlyArray<unknown> = Exit.isFailure(exit) ? [...Cause.failures(exit.cause)] : []
        // What `use` fails by for a reason of its own is its result, whatever became of a chunk.
        return session.broken.find(({ error }) => errors.includes(error)) ?? (yield* exit)
      }
      // A stream drops what is attached to an error, so it is logged too.
      yield* Effect.logWarning(
        `Upload session ${session.sessionId} could not be deleted; the next run does it`,
        ended.cause,
      )
      if (Exit.isFailure(exit)) return yield* Effect.failCause(Cause.sequential(exit.cause, ended.cause))
      return exit.value
    })
  )

/** Sends, looks what is missing, sends that, and commits when nothing is. */
const rounds = <A, E, R>(
  session: OpenSession,
  chunks: ReadonlyArray<ByteRange> | undefined,
  use: (work: ChunkWork) => Effect.Effect<A, E, R>,
): Effect.Effect<{ readonly value: A } | Broken, E | FabricError | JournalError, R | FabricClient> =>
  Effect.gen(function* () {
    let missing = yield* session.expected
    let least = Infinity
    let idle = 0
    for (;;) {
      if (chunks !== undefined && missingChunks(chunks, missing) === undefined) return { _tag: "OffGrid" }
      let sent = false
      const send: OpenSession["put"] = (range, bytes, hash) =>
        Effect.suspend(() => {
          sent = true
          return session.put(range, bytes, hash)
        })
      const settle: OpenSession["settle"] = (range) =>
        Effect.suspend(() => {
          sent = true
          return session.settle(range)
        })
      const value = yield* withHeartbeat(
        session.touch,
        use({
          sessionId: session.sessionId,
          missing,
          send,
          settle,
          giveUp: (refusal) => session.giveUp(refusal),
          handOut: () => session.handOut(),
        }),
      )
      const wanted = missing
      missing = yield* session.expected
      // Where nothing was wanted, what is missing by now was lost.
      if (!sent && wanted.length > 0 && missing.length > 0) return yield* unsent(session.path, wanted)
      if (missing.length === 0) {
        const outcome = yield* session.commit
        if (outcome === "committed") return { value }
        if (outcome !== "refill") return outcome
        missing = yield* session.expected
      }
      const bytes = bytesIn(missing)
      idle = bytes < least ? 0 : idle + 1
      least = Math.min(least, bytes)
      if (idle >= MOST_ROUNDS) return { _tag: "Lost" }
    }
  })

/** More rounds would not change it. */
const unsent = (path: string, missing: ReadonlyArray<ByteRange>) =>
  refuseParams(
    { name: "UploadFileChunk", action: `upload ${path}` },
    "use",
    `it ended without having sent ${
      missing.map(({ first, last }) => `bytes ${first} to ${last}`).join(", ")
    }`,
  )

/** What a session expects that makes no sense. */
const SENSELESS = {
  OffGrid: "with ranges that end where no chunk does",
  Lost: "with chunks missing that had arrived, again and again; " +
    "does the primary keep moving, or was nothing sent for half an hour?",
}

/** What remains to be said when a new session does not help either. */
const giveUp = (
  broken: Broken,
  { path, size }: TransactionOptions,
): Effect.Effect<never, FabricError, FabricClient> => {
  if ("error" in broken) return broken.error
  const fail = (operation: string, action: string, reason: FabricErrorReason) =>
    Effect.flatMap(
      FabricClient,
      ({ endpoint }) => new FabricError({ operation, action, endpoint: endpoint(), attempts: 2, reason }),
    )
  const senseless = (detail: string) => ({ _tag: "Malformed", status: 200, detail }) as const
  if (broken._tag !== "Poisoned") {
    return fail("GetImageStoreUploadSessionById", `upload ${path}`, senseless(SENSELESS[broken._tag]))
  }
  const detail = `the cluster took all ${size} bytes twice and did not make a file of them; ` +
    "is its disk full? See the space that is left with getInfo, or image-store info"
  const refused = broken.refusal?.reason
  return fail(
    "CommitImageStoreUploadSession",
    `commit ${path}`,
    refused?._tag === "Rejected" ? { ...refused, detail } : senseless(detail),
  )
}
