/**
 * An upload session while it is open: its chunks, its commit, its end, and the record of each.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import { deleteUploadSession } from "../deleteUploadSession.ts"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError, FabricErrorReason } from "../FabricError.ts"
import type { Journal, JournalError } from "../journal/Journal.ts"
import type { JournalEntry } from "../journal/JournalEntry.ts"
import { secondsLeft } from "../UploadDeadline.ts"
import type { ByteRange, SessionId } from "../UploadSession.ts"
import { getUploadSession, putChunkOnce } from "../uploadSessions.ts"
import { arrivesUntil, latestArrival, mayArrive } from "./lateArrival.ts"
import { Patience } from "./Patience.ts"
import { arrived } from "./ranges.ts"
import { type CommitOutcome, findFile, type Poisoned, settleCommit } from "./settleCommit.ts"
import { CHUNK_TIMEOUT, commitTimeout } from "./uploadTimeouts.ts"
import { type Waiting, waitUntil } from "./waiting.ts"

/** Milliseconds that the end of a session may take without getting further, where nothing else is said. */
export const END_PATIENCE = 60_000
/** Seconds that one request of it may take. */
const END_TIMEOUT = 20

/** The error of a chunk by which its session cannot be brought to an end. */
interface BrokenByChunk {
  readonly _tag: "Useless" | "ChunkTooLarge"
  readonly error: FabricError
}

/** Why a session has to be given up for a new one. */
export type Broken =
  | BrokenByChunk
  /** The cluster expects what does not end where chunks end. */
  | { readonly _tag: "OffGrid" }
  /** The cluster loses what it had, again and again. */
  | { readonly _tag: "Lost" }
  | Poisoned

/** What happens on the way. */
export interface SessionHooks {
  /** A chunk goes out, for the first time or again. */
  readonly sending: (range: ByteRange) => void
  /** So many more bytes of the chunk are out. */
  readonly out: (range: ByteRange, bytes: number) => void
  /** What became of the commit cannot be told: it may still be running. */
  readonly unsettled: () => void
  /** An attempt failed and is repeated. */
  readonly retried: (error: FabricError) => void
  /** Nothing is sent again before that time: a lost chunk may still arrive. */
  readonly waiting: Waiting
  /** A chunk arrived. */
  readonly arrived: (range: ByteRange) => void
  readonly committing: () => void
}

/** One session, from its record before the first chunk to its death. */
export class OpenSession {
  readonly sessionId: SessionId
  readonly path: string
  /** Why the session cannot be brought to an end: each error has been the result of a chunk. */
  readonly broken: Array<BrokenByChunk> = []
  readonly #entry: JournalEntry
  readonly #journal: Journal
  readonly #patience: Patience
  readonly #hooks: SessionHooks
  /** A chunk was sent, so the cluster may know the session. */
  #begun: boolean
  /** No chunk that was sent can arrive after this time. */
  #quietAt: number
  /** Bytes of a range that were out by any attempt, by its first. */
  readonly #furthest = new Map<number, number>()
  /** A commit was asked for and may be running, for all that is known. */
  #mayCommit = false
  /** What became of the commit cannot be told: then the session is not deleted. */
  #unsettled = false
  /** A commit of this id was asked for, here or in an earlier process; and the version of the file before the first. */
  #asked: boolean
  #before: string | undefined

  constructor(
    entry: JournalEntry,
    begun: boolean,
    journal: Journal,
    patience: Patience,
    hooks: SessionHooks,
  ) {
    this.sessionId = entry.sessionId
    this.path = entry.path
    this.#entry = entry
    this.#begun = begun
    this.#quietAt = entry.quietAt
    this.#journal = journal
    this.#patience = patience
    this.#hooks = hooks
    this.#asked = entry.state === "committing"
    this.#before = entry.before
  }

  /** What the cluster expects; everything, when it does not know the session. */
  get expected(): Effect.Effect<ReadonlyArray<ByteRange>, FabricError, FabricClient> {
    const everything = [{ first: 0, last: this.#entry.size - 1 }]
    if (!this.#begun) return Effect.succeed(everything)
    return Effect.map(
      this.#patience.persist(getUploadSession({ sessionId: this.sessionId })),
      Option.match({ onNone: () => everything, onSome: ({ expected }) => expected }),
    )
  }

  /** Somebody else gets the id, and may send chunks under it by the operations themselves. */
  handOut(): void {
    this.#begun = true
  }

  /** Records that the run is at work on it at this moment. */
  get touch(): Effect.Effect<void, JournalError> {
    return this.#journal.update(this.sessionId, {})
  }

  /**
   * Sends one range. `hash` is kept for a resume. When it is interrupted, what is under way gets 10 seconds to finish.
   *
   * `true`: the cluster has it. `false`: its answer was lost, and it has not arrived by now; it must not be sent again
   * before {@link OpenSession.settle} has said that it will not.
   */
  put(
    range: ByteRange,
    bytes: Uint8Array,
    hash: string,
  ): Effect.Effect<boolean, FabricError | JournalError, FabricClient> {
    const { path, size } = this.#entry
    const send = Effect.flatMap(
      secondsLeft(CHUNK_TIMEOUT),
      (timeout) =>
        Effect.clockWith((clock) => {
          let gone = 0
          this.#hooks.sending(range)
          return Effect.either(putChunkOnce(
            { path, sessionId: this.sessionId, range, size, bytes, timeout },
            {
              out: (bytes) => {
                this.#goneOut(range, gone += bytes)
                this.#hooks.out(range, bytes)
              },
              over: (reason) => this.#noteUnanswered(reason, timeout, clock.unsafeCurrentTimeMillis()),
            },
          ))
        }),
    )

    const attempt = (
      repeat: number,
    ): Effect.Effect<boolean, FabricError | JournalError, FabricClient> =>
      Effect.flatMap(send, (result) => {
        if (Either.isRight(result)) return Effect.succeed(this.#arrived(range))
        const error = result.left
        const { reason } = error
        if (isRangeRefusal(error)) {
          return Effect.flatMap(
            this.#has(range),
            (has) => has ? Effect.succeed(true) : this.#break({ _tag: "Useless", error }),
          )
        }
        if (
          reason._tag === "Rejected" && (reason.status === 409 || reason.code === "E_INVALIDARG") &&
          !error.isRetryable
        ) {
          return this.#break({ _tag: "Useless", error })
        }
        if (reason._tag === "Rejected" && reason.status === 413) {
          return this.#break({ _tag: "ChunkTooLarge", error })
        }
        // The primary moved between the gateway's look and the chunk (protocol.md 4.3): the next one opens the session again.
        if (!error.isRetryable && !error.isNotFound) return error
        this.#hooks.retried(error)
        const wait = this.#patience.wait(repeat, error)
        return mayArrive(reason)
          ? Effect.zipRight(wait, this.#has(range))
          // How long a dead run's last request may be under way is computed from what it wrote last.
          : wait.pipe(
            Effect.zipRight(this.touch),
            Effect.zipRight(Effect.suspend(() => attempt(repeat + 1))),
          )
      })

    this.#begun = true
    return Effect.zipRight(
      this.#journal.update(this.sessionId, { hashes: { [range.first]: hash } }),
      attempt(0),
    )
  }

  /**
   * Whether a range has arrived that was sent, here or by a dead process, and got no answer. Looks, and once more when
   * nothing can arrive any more.
   */
  settle(range: ByteRange): Effect.Effect<boolean, FabricError, FabricClient> {
    return Effect.flatMap(
      this.#has(range),
      (has) => has ? Effect.succeed(true) : Effect.zipRight(this.#untilQuiet, this.#has(range)),
    )
  }

  /** Commits what is complete. */
  readonly commit: Effect.Effect<CommitOutcome, FabricError | JournalError, FabricClient> = Effect.gen(
    this,
    function* () {
      const asked = this.#asked
      const before = asked ? this.#before : yield* this.#version
      return yield* Effect.uninterruptible(this.#commitOver(before, asked))
    },
  )

  /** The file's version by now, as its folder lists it. */
  get #version(): Effect.Effect<string | undefined, FabricError, FabricClient> {
    return Effect.map(
      this.#patience.persist(findFile(this.#entry.path)),
      (file) => Option.getOrUndefined(Option.map(file, ({ version }) => version)),
    )
  }

  /** Commits in place of the version `before`. `asked`: a commit of this session may have worked already. */
  #commitOver(
    before: string | undefined,
    asked: boolean,
  ): Effect.Effect<CommitOutcome, FabricError | JournalError, FabricClient> {
    const { path, size } = this.#entry
    return Effect.gen(this, function* () {
      yield* this.#journal.update(this.sessionId, {
        state: "committing",
        ...(before === undefined ? {} : { before }),
      })
      this.#asked = true
      this.#before = before
      this.#hooks.committing()
      this.#patience.note()
      return yield* settleCommit({
        sessionId: this.sessionId,
        path,
        size,
        before,
        asked,
        // A join takes its time, and may have to be asked for again.
        patience: new Patience(this.#patience.limit + 2 * commitTimeout(size) * 1000),
        repeats: this.touch,
        unanswered: () => this.#mayCommit = true,
      })
    }).pipe(Effect.tapError((error) =>
      Effect.sync(() => {
        this.#unsettled = error._tag === "FabricError" && (error.isRetryable || this.#mayCommit)
        if (this.#unsettled) this.#hooks.unsettled()
      })
    ))
  }

  /**
   * Ends the session: deletes it, and again when a lost chunk can no longer bring it back. Only then its record goes.
   * Fails when the cluster cannot be brought to it in a minute; the record stays for the next run.
   */
  readonly end: Effect.Effect<void, FabricError | JournalError, FabricClient> = Effect.suspend(() => {
    if (this.#unsettled) return Effect.void
    if (!this.#begun) return this.#journal.remove(this.sessionId)
    // A journal that cannot be written is no reason to leave the session behind.
    return Effect.zipRight(
      Effect.exit(this.#journal.update(this.sessionId, { state: "deleting", quietAt: this.#quietAt })),
      Effect.zipRight(endSession(this.sessionId, this.#quietAt), this.#journal.remove(this.sessionId)),
    )
  })

  #arrived(range: ByteRange): true {
    this.#patience.note()
    this.#hooks.arrived(range)
    return true
  }

  /** Gives the session up for one of smaller chunks: the error of another's tells that its own are too large. */
  giveUp(error: FabricError): Effect.Effect<never, FabricError> {
    return this.#break({ _tag: "ChunkTooLarge", error })
  }

  #break(broken: BrokenByChunk): Effect.Effect<never, FabricError> {
    this.broken.push(broken)
    return broken.error
  }

  /** Whether the cluster has a range. */
  #has(range: ByteRange): Effect.Effect<boolean, FabricError, FabricClient> {
    return Effect.map(
      this.#patience.persist(getUploadSession({ sessionId: this.sessionId })),
      (session) => Option.exists(session, ({ expected }) => arrived(range, expected)) && this.#arrived(range),
    )
  }

  /** So many bytes of a range are out by an attempt: it gets further only where no attempt before it came. */
  #goneOut({ first }: ByteRange, bytes: number): void {
    if (bytes <= (this.#furthest.get(first) ?? 0)) return
    this.#furthest.set(first, bytes)
    this.#patience.note()
  }

  /** An attempt to send a chunk failed now. */
  #noteUnanswered(reason: FabricErrorReason | undefined, timeout: number, now: number): void {
    if (reason !== undefined) this.#quietAt = Math.max(this.#quietAt, arrivesUntil(reason, timeout, now))
  }

  readonly #untilQuiet: Effect.Effect<void> = Effect.flatMap(Clock.currentTimeMillis, (now) =>
    // A chunk that went out at this moment would not be later, whatever the clock has said before.
    waitUntil(Math.min(this.#quietAt, latestArrival(CHUNK_TIMEOUT, now)), this.#hooks.waiting))
}

/**
 * Deletes a session for good: now, and once more when no lost chunk can bring it back after `quietAt`. Each time has
 * `limit` milliseconds.
 */
export const endSession = (
  sessionId: SessionId,
  quietAt: number,
  limit: number = END_PATIENCE,
): Effect.Effect<void, FabricError, FabricClient> =>
  Effect.gen(function* () {
    const remove = new Patience(limit).persist(
      deleteUploadSession({ sessionId, timeout: END_TIMEOUT }).pipe(
        Effect.catchIf(
          (error) => error.isNotFound || error.reason._tag === "SessionsUnsupported",
          () => Effect.void,
        ),
      ),
    )
    // What comes before the deletion goes with it, what comes before its answer need not.
    const now = yield* Clock.currentTimeMillis
    yield* remove
    if (quietAt <= now) return
    yield* waitUntil(Math.min(quietAt, latestArrival(CHUNK_TIMEOUT, yield* Clock.currentTimeMillis)))
    yield* remove
  })

const isRangeRefusal = ({ reason }: FabricError): boolean =>
  reason._tag === "Rejected" && reason.code === "FABRIC_E_UPLOAD_SESSION_RANGE_NOT_SATISFIABLE"
