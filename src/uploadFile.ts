/**
 * One file: bytes, ranges, chunks.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Schema from "effect/Schema"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { endLeft, inherit, type Inheritance } from "./adopt.ts"
import { deleteUploadSession } from "./deleteUploadSession.ts"
import { FabricClient } from "./FabricClient.ts"
import { FabricError } from "./FabricError.ts"
import { hasUploadSessions, putFile } from "./ImageStore.ts"
import { ImageStorePath } from "./ImageStorePath.ts"
import type { JournalEntry, JournalError } from "./JournalEntry.ts"
import { type Broken, CHUNK_TIMEOUT, type SessionHooks } from "./OpenSession.ts"
import { Patience } from "./Patience.ts"
import { chunksOf, sizeOf } from "./ranges.ts"
import { commitTimeout } from "./settleCommit.ts"
import { Slots } from "./Slots.ts"
import { type OpenSource, openSource, sha256 } from "./Source.ts"
import type {
  FileSummary,
  Source,
  SourceError,
  UploadError,
  UploadEvent,
  UploadOptions,
} from "./UploadEvent.ts"
import { UploadJournal } from "./UploadJournal.ts"
import type { ByteRange, SessionId } from "./UploadSession.ts"
import { getSessionsAndTime } from "./uploadSessions.ts"
import { restartOnce, type SessionWork, transact } from "./withUploadSession.ts"

/** What is used where nothing else is said. */
export const uploadDefaults: {
  readonly concurrency: number
  readonly chunkSize: number
  readonly resume: boolean
  readonly cleanStale: boolean
  readonly patience: number
} = { concurrency: 4, chunkSize: 8 * 1024 * 1024, resume: true, cleanStale: false, patience: 300 }

/** No chunk is made smaller than so many bytes, however often the cluster finds it too large. */
const SMALLEST_CHUNK = 64 * 1024
/** Milliseconds without a chunk after which a session of somebody else counts as left behind. */
const STALE_AFTER = 10 * 60_000

/**
 * Uploads one file, and tells how it goes. The stream ends with `FileUploaded`.
 *
 * `source` is a path, bytes, or a stream of known size that can be run again. Files of up to a chunk, and all files on
 * Linux clusters, go by one request; larger ones by an upload session, which is committed and deleted, or only
 * deleted, whatever happens. Memory: `concurrency` times `chunkSize`. An earlier run that was killed is taken up: what
 * it brought is compared with its record and not sent again.
 *
 * Fails with `FabricError`; with `SourceError` when the source cannot be read or is not the same the second time; with
 * `JournalError` when sessions cannot be recorded. In each case the session is gone, or recorded for the next run.
 */
export const uploadFile = (
  source: Source,
  path: string,
  options: UploadOptions = {},
): Stream.Stream<UploadEvent, UploadError, FabricClient | UploadJournal> =>
  told((emit) =>
    Effect.flatMap(
      validated(path, options),
      () =>
        uploadInSlots(
          new Slots(options.concurrency ?? uploadDefaults.concurrency),
          source,
          path,
          options,
          emit,
        ),
    )
  )

/** The stream of what `run` emits. It ends when `run` does; when it is not pulled any more, `run` is interrupted. */
export const told = <A, E, R>(
  run: (emit: (event: A) => Effect.Effect<void>) => Effect.Effect<unknown, E, R>,
): Stream.Stream<A, E, Exclude<R, Scope.Scope>> =>
  Stream.asyncPush<A, E, R>(
    (emit) =>
      Effect.forkScoped(Effect.matchCause(run((event) => Effect.sync(() => void emit.single(event))), {
        onFailure: (cause) => emit.halt(cause),
        onSuccess: () => emit.end(),
      })),
    { bufferSize: "unbounded" },
  )

const decodePath = Schema.decodeUnknownEither(ImageStorePath)

/** Fails for a path or an option that cannot work, before anything is sent. */
export const validated = (
  path: string,
  { chunkSize = uploadDefaults.chunkSize, concurrency = uploadDefaults.concurrency, patience = 1 }:
    UploadOptions,
): Effect.Effect<void, FabricError, FabricClient> =>
  Effect.flatMap(FabricClient, ({ endpoint }) => {
    const refuse = (field: string, issue: string) =>
      new FabricError({
        operation: "UploadFile",
        action: `upload to ${path}`,
        endpoint: endpoint(),
        attempts: 0,
        reason: { _tag: "InvalidParams", field, issue },
      })
    const decoded = decodePath(path)
    if (Either.isLeft(decoded)) return refuse("path", decoded.left.message.split("\n").at(-1)!.trim())
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > 256) {
      return refuse("concurrency", `expected a whole number from 1 to 256, got ${concurrency}`)
    }
    if (!Number.isInteger(chunkSize) || chunkSize < 1 || chunkSize > 2 ** 30) {
      return refuse("chunkSize", `expected whole bytes from 1 to 1073741824, got ${chunkSize}`)
    }
    if (!(patience > 0)) return refuse("patience", `expected more than 0 seconds, got ${patience}`)
    return Effect.void
  })

/** Uploads one file in the slots that a whole upload shares. */
export const uploadInSlots = (
  slots: Slots,
  source: Source,
  path: string,
  options: UploadOptions,
  emit: (event: UploadEvent) => Effect.Effect<void>,
): Effect.Effect<FileSummary, UploadError, FabricClient | UploadJournal> =>
  Effect.scoped(Effect.gen(function* () {
    const open = yield* openSource(source)
    const begun = yield* Clock.currentTimeMillis
    const upload = new FileUpload(slots, open, path, options, emit, begun)
    const bySession = open.size > upload.chunkSize && (yield* upload.patience.persist(hasUploadSessions))
    yield* bySession ? upload.bySession : upload.byRequest
    const summary = upload.summary(yield* Clock.currentTimeMillis)
    yield* emit({ _tag: "FileUploaded", ...summary })
    return summary
  }))

type Env = FabricClient | UploadJournal

/** One file on its way. */
class FileUpload {
  readonly patience: Patience
  chunkSize: number
  readonly #slots: Slots
  readonly #source: OpenSource
  readonly #path: string
  readonly #options: UploadOptions
  readonly #emit: (event: UploadEvent) => Effect.Effect<void>
  readonly #begun: number
  /** Sources are read in order, by one at a time. */
  readonly #reading = Effect.unsafeMakeSemaphore(1)
  #sent = 0
  #resumed = 0
  #there = 0
  #retries = 0

  constructor(
    slots: Slots,
    source: OpenSource,
    path: string,
    options: UploadOptions,
    emit: (event: UploadEvent) => Effect.Effect<void>,
    begun: number,
  ) {
    this.#slots = slots
    this.#source = source
    this.#path = path
    this.#options = options
    this.#emit = emit
    this.#begun = begun
    this.chunkSize = options.chunkSize ?? uploadDefaults.chunkSize
    this.patience = new Patience(
      (options.patience ?? uploadDefaults.patience) * 1000,
      begun,
      (error) => this.#retried(error),
    )
  }

  summary(now: number): FileSummary {
    return {
      path: this.#path,
      size: this.#source.size,
      sent: this.#sent,
      resumed: this.#resumed,
      retries: this.#retries,
      seconds: (now - this.#begun) / 1000,
    }
  }

  /** Small files, and all on Linux: one request, which may be repeated without harm. */
  get byRequest(): Effect.Effect<void, FabricError | SourceError, FabricClient> {
    const { size } = this.#source
    const path = this.#path
    const timeout = size <= this.chunkSize ? CHUNK_TIMEOUT : commitTimeout(size)
    /** A source that fails is not an unreachable cluster. */
    let failed: SourceError | undefined
    const send = (bytes: Uint8Array | Stream.Stream<Uint8Array, SourceError>) =>
      Effect.flatMap(
        FabricClient,
        ({ once }) =>
          Effect.provideService(putFile({ path, bytes, size, timeout }), FabricClient, once).pipe(
            Effect.tap(() => this.#slots.succeeded),
            Effect.tapError((error) => this.#slots.noteUnanswered(error, timeout)),
            Effect.catchAll((error): Effect.Effect<never, FabricError | SourceError> => failed ?? error),
            Effect.onExit(() => Effect.sync(() => this.#sent += size)),
          ),
      )
    const small = this.#slots.useBuffer(
      size,
      (buffer) =>
        Effect.flatMap(
          this.#read({ first: 0, last: size - 1 }, buffer),
          (bytes) => Effect.zipRight(this.patience.progress, this.patience.persist(send(bytes))),
        ),
    )
    const large = this.#slots.useBuffer(this.chunkSize, (buffer) =>
      this.patience.persist(send(
        Stream.mapEffect(Stream.fromIterable(chunksOf(size, this.chunkSize)), (range) =>
          this.#read(range, buffer).pipe(
            Effect.tap(() =>
              this.patience.progress
            ),
            Effect.tapError((error) => Effect.sync(() => failed = error)),
          )),
      )))
    const sent = size === 0
      ? this.patience.persist(send(new Uint8Array(0)))
      : size <= this.chunkSize
      ? small
      : large
    return this.#started(undefined).pipe(
      Effect.zipRight(sent),
      Effect.zipRight(this.#source.check),
      Effect.zipRight(this.#progress(size)),
    )
  }

  /** Large files. */
  get bySession(): Effect.Effect<void, UploadError, Env> {
    const { name, size } = this.#source
    return Effect.gen(this, function* () {
      const inheritance: Inheritance = this.#options.resume === false
        ? { _tag: "None" }
        : yield* inherit(this.#path, size, (range, hash) => this.#isSame(range, hash))
      yield* this.#reportStale(inheritance)
      if (inheritance._tag === "Done") {
        this.#resumed = size
        yield* this.#started(inheritance.entry.sessionId)
        return yield* endLeft(inheritance.entry)
      }
      const adopt = inheritance._tag === "Session" ? inheritance : undefined
      this.#resumed = (adopt?.received ?? []).reduce((sum, range) => sum + sizeOf(range), 0)
      this.#there = this.#resumed
      yield* this.#started(adopt?.entry.sessionId)
      yield* transact(
        { path: this.#path, size, patience: this.#options.patience ?? uploadDefaults.patience },
        {
          source: name,
          chunkSize: () => this.chunkSize,
          adopt: adopt?.entry,
          hooks: this.#hooks,
          restart: (broken, times) => this.#restart(broken, times),
        },
        (work) => this.#send(work, adopt?.entry),
      )
    })
  }

  /** Sends what is missing: first what nobody has begun, last what a dead run may still bring. */
  #send(
    { missing, put, sessionId }: SessionWork,
    adopt: JournalEntry | undefined,
  ): Effect.Effect<void, UploadError, Env> {
    const adopted = adopt?.sessionId === sessionId ? adopt : undefined
    const wanted = chunksOf(this.#source.size, adopted?.chunkSize ?? this.chunkSize).filter((chunk) =>
      missing.some((gap) => gap.first <= chunk.first && chunk.last <= gap.last)
    )
    const begun = (range: ByteRange) => adopted?.hashes[range.first] !== undefined
    this.#there = this.#source.size - wanted.reduce((sum, range) => sum + sizeOf(range), 0)
    return Effect.zipRight(
      Effect.forEach(
        [...wanted.filter((range) => !begun(range)), ...wanted.filter(begun)],
        (range) =>
          this.#slots.useBuffer(sizeOf(range), (buffer) =>
            Effect.gen(this, function* () {
              const bytes = yield* this.#read(range, buffer)
              yield* put(range, bytes, yield* sha256(bytes))
            })),
        { concurrency: this.#options.concurrency ?? uploadDefaults.concurrency, discard: true },
      ),
      this.#source.check,
    )
  }

  #read(range: ByteRange, buffer: Uint8Array): Effect.Effect<Uint8Array, SourceError> {
    return this.#reading.withPermits(1)(this.#source.read(range, buffer))
  }

  #isSame(range: ByteRange, hash: string): Effect.Effect<boolean, SourceError> {
    return this.#slots.useBuffer(
      sizeOf(range),
      (buffer) => Effect.map(Effect.flatMap(this.#read(range, buffer), sha256), (own) => own === hash),
    )
  }

  #started(sessionId: SessionId | undefined): Effect.Effect<void> {
    return this.#emit({
      _tag: "FileStarted",
      path: this.#path,
      size: this.#source.size,
      sessionId,
      resumed: this.#resumed,
    })
  }

  #progress(bytes: number): Effect.Effect<void> {
    this.#there += bytes
    return this.#emit({
      _tag: "BytesSent",
      path: this.#path,
      sent: this.#there,
      size: this.#source.size,
      concurrency: this.#slots.limit,
    })
  }

  #retried(error: FabricError): Effect.Effect<void> {
    this.#retries++
    return Effect.zipRight(
      this.#slots.troubled,
      this.#emit({ _tag: "Retried", path: this.#path, reason: error.message }),
    )
  }

  readonly #hooks: SessionHooks = {
    sending: (range) => Effect.sync(() => this.#sent += sizeOf(range)),
    retried: (error) => this.#retried(error),
    arrived: (range) =>
      Effect.zipRight(this.#slots.succeeded, Effect.suspend(() => this.#progress(sizeOf(range)))),
    committing: Effect.suspend(() => this.#emit({ _tag: "Committing", path: this.#path })),
  }

  #restart(broken: Broken, times: number): boolean {
    if (broken._tag !== "ChunkTooLarge") return restartOnce(broken, times)
    if (this.chunkSize <= SMALLEST_CHUNK) return false
    this.chunkSize = Math.max(Math.ceil(this.chunkSize / 2), SMALLEST_CHUNK)
    return true
  }

  /** Machines of CI have no journal of earlier runs, but the cluster knows the sessions of a path. */
  #reportStale(inheritance: Inheritance): Effect.Effect<void, FabricError | JournalError, Env> {
    const own = inheritance._tag === "None" ? undefined : inheritance.entry.sessionId
    return Effect.gen(this, function* () {
      const { now, sessions } = yield* this.patience.persist(getSessionsAndTime({ path: this.#path }))
      if (now === undefined || sessions.length === 0) return
      const recorded = new Set(
        (yield* Effect.flatMap(UploadJournal, ({ entries }) => entries)).map(({ sessionId }) => sessionId),
      )
      for (const { modified, sessionId } of sessions) {
        if (
          sessionId === own || recorded.has(sessionId) || now.getTime() - modified.getTime() < STALE_AFTER
        ) continue
        const deleted = this.#options.cleanStale === true
        if (deleted) {
          yield* Effect.catchIf(
            deleteUploadSession({ sessionId }),
            (error) => error.isNotFound,
            () => Effect.void,
          )
        }
        yield* this.#emit({ _tag: "StaleSession", path: this.#path, sessionId, modified, deleted })
      }
    })
  }
}
