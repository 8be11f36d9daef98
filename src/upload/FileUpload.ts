/**
 * One file on its way: by a single request, or chunk by chunk.
 *
 * @module
 */
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { FabricClient } from "../FabricClient.ts"
import { FabricError } from "../FabricError.ts"
import { hasUploadSessions, putFileOnce } from "../ImageStore.ts"
import type { ImageStorePath } from "../ImageStorePath.ts"
import type { JournalError } from "../journal/Journal.ts"
import type { JournalEntry } from "../journal/JournalEntry.ts"
import type { FileRecord } from "../journal/PackageRecord.ts"
import type { Body } from "../transport/Exchange.ts"
import { secondsLeft } from "../UploadDeadline.ts"
import {
  type FileSummary,
  type Source,
  SourceError,
  type UploadError,
  type UploadEvent,
  type UploadOptions,
} from "../UploadEvent.ts"
import type { UploadJournal } from "../UploadJournal.ts"
import type { ByteRange } from "../UploadSession.ts"
import type { Emit } from "./eventStream.ts"
import type { FileJournal } from "./FileJournal.ts"
import { FileProgress } from "./FileProgress.ts"
import { forEachAwaited } from "./forEachAwaited.ts"
import { hashOfChunks } from "./Hasher.ts"
import { latestArrival } from "./lateArrival.ts"
import type { Broken, SessionHooks } from "./OpenSession.ts"
import { Patience } from "./Patience.ts"
import { bytesIn, chunksIn, chunksOf, sizeOf } from "./ranges.ts"
import { findResumable, type Resumable } from "./resumeSession.ts"
import type { Slots } from "./Slots.ts"
import { type OpenSource, withSource } from "./Source.ts"
import { reportStale } from "./staleSessions.ts"
import { type ChunkWork, restartOnce, transact } from "./transaction.ts"
import { SMALLEST_CHUNK, uploadDefaults } from "./uploadOptions.ts"
import { putTimeout } from "./uploadTimeouts.ts"
import { type Waiting, waitingEvent, waitUntil } from "./waiting.ts"

/** Chunks of a file that have begun, for each request under way: the others wait until a lost one can no longer arrive. */
const LOST = 4
/** Requests of up to so many bytes go out too fast to tell how far they are. */
const WORTH_TELLING = 1024 * 1024

type Env = FabricClient | UploadJournal

/** One file of an upload. */
export interface FileTask {
  /** The slots that a whole upload shares. */
  readonly slots: Slots
  readonly source: Source
  readonly path: ImageStorePath
  readonly options: UploadOptions
  readonly emit: Emit<UploadEvent>
  /** Ends what earlier runs left for its path, where it goes by one request: else that is taken up. */
  readonly endLeft?: Effect.Effect<void, FabricError | JournalError, Env>
  /** For a file whose session, if any, is not all that is kept of it. */
  readonly journal?: FileJournal | undefined
}

/** Uploads one file in the slots that a whole upload shares. */
export const uploadInSlots = (task: FileTask): Effect.Effect<FileSummary, UploadError, Env> =>
  withSource(task.source, (source) =>
    Effect.clockWith((clock) => {
      const upload = new FileUpload(task, source, clock)
      return Effect.map(upload.run, () => upload.end())
    }))

const isTooLarge = (error: UploadError): error is FabricError =>
  error._tag === "FabricError" && error.reason._tag === "Rejected" && error.reason.status === 413

/** The same refusal, with what follows from it. */
const takesNoChunks = (error: FabricError): FabricError =>
  new FabricError({
    ...error,
    reason: "detail" in error.reason
      ? {
        ...error.reason,
        detail: "the file is too large for one request, and this Linux cluster takes none in several; " +
          "raise the limit of the gateway, or of the proxy before it",
      }
      : error.reason,
  })

const keyOf = ({ first, last }: ByteRange): string => `${first}-${last}`

/** One file on its way. */
class FileUpload {
  readonly #slots: Slots
  readonly #source: OpenSource
  readonly #path: ImageStorePath
  readonly #options: UploadOptions
  readonly #emit: Emit<UploadEvent>
  readonly #endLeft: Effect.Effect<void, FabricError | JournalError, Env>
  readonly #journal: FileJournal | undefined
  readonly #clock: Clock.Clock
  readonly #progress: FileProgress
  readonly #patience: Patience
  #chunkSize: number
  /** Bytes of the chunks that the file went in, or came in. */
  #usedChunkSize = 0
  /** Single requests that went out. */
  #puts = 0
  /** SHA-256 of what was read, by its range. */
  readonly #hashes = new Map<string, string>()

  constructor(
    { emit, endLeft = Effect.void, journal, options, path, slots }: FileTask,
    source: OpenSource,
    clock: Clock.Clock,
  ) {
    this.#slots = slots
    this.#source = source
    this.#path = path
    this.#options = options
    this.#emit = emit
    this.#endLeft = endLeft
    this.#journal = journal
    this.#clock = clock
    this.#progress = new FileProgress(
      { path, size: source.size, concurrency: () => slots.limit },
      emit,
      clock,
    )
    this.#chunkSize = Math.min(options.chunkSize ?? uploadDefaults.chunkSize, slots.largest)
    this.#patience = new Patience(
      (options.patience ?? uploadDefaults.patience) * 1000,
      (error) => this.#retried(error),
      slots.pulse,
    )
  }

  get run(): Effect.Effect<void, UploadError, Env> {
    const journal = this.#journal
    if (journal === undefined) return this.#bring
    const { stored } = journal
    const brought = Effect.zipRight(this.#bring, this.#record(journal))
    return stored === undefined
      ? brought
      : Effect.flatMap(this.#isStored(stored), (is) => is ? Effect.void : brought)
  }

  /** Whether an earlier run brought just these bytes. Chunks larger than this run's would take more memory. */
  #isStored(stored: FileRecord): Effect.Effect<boolean, SourceError> {
    const { bytes, size } = this.#source
    const fits = bytes !== undefined || Math.min(size, stored.chunkSize) <= this.#chunkSize
    if (stored.size !== size || !fits) return Effect.succeed(false)
    const hashes = Effect.forEach(chunksOf(size, stored.chunkSize), (range) => this.#hash(range))
    return Effect.map(hashes, (hashes) => {
      if (hashOfChunks(hashes) !== stored.hash) return false
      this.#progress.start(undefined, size)
      return true
    })
  }

  /** Keeps that the file is there, if its bytes have been seen all. */
  #record(journal: FileJournal): Effect.Effect<void> {
    return Effect.suspend(() => {
      const { size } = this.#source
      const hashes = chunksOf(size, this.#usedChunkSize).map((range) => this.#hashes.get(keyOf(range)))
      return hashes.includes(undefined) ? Effect.void : journal.arrived({
        size,
        chunkSize: this.#usedChunkSize,
        hash: hashOfChunks(hashes as ReadonlyArray<string>),
      })
    })
  }

  /** What is about to go out in a single request is recorded, and waits for what a dead run may still bring. */
  #announce(hash: string): Effect.Effect<void> {
    const journal = this.#journal
    if (journal === undefined) return Effect.void
    return Effect.zipRight(
      this.#untilQuiet(hash),
      Effect.suspend(() => journal.begun({ size: this.#source.size, chunkSize: this.#usedChunkSize, hash })),
    )
  }

  /** What a dead run had begun must not arrive after something else. The same may. */
  #untilQuiet(hash: string): Effect.Effect<void> {
    const late = this.#journal?.late
    return late === undefined ||
        (late.file.hash === hash && hash !== "" && late.file.size === this.#source.size)
      ? Effect.void
      : waitUntil(late.until, this.#waiting)
  }

  get #bring(): Effect.Effect<void, UploadError, Env> {
    const single = Effect.catchIf(
      Effect.zipRight(this.#endLeft, Effect.suspend(() => this.#byRequest)),
      isTooLarge,
      (error) => this.#bySmallerRequests(error),
    )
    if (this.#source.size <= this.#chunkSize) return single
    return Effect.flatMap(
      this.#patience.persist(hasUploadSessions),
      (has) => has ? this.#bySession : single,
    )
  }

  /** Tells that the file is there. */
  end(): FileSummary {
    return this.#progress.end()
  }

  /** Small files, and all on Linux: one request, which may be repeated without harm. */
  get #byRequest(): Effect.Effect<void, FabricError | SourceError, FabricClient> {
    const { bytes, check, size } = this.#source
    this.#progress.start(undefined)
    this.#usedChunkSize = this.#chunkSize
    const sent = bytes !== undefined
      // What is at hand cannot change.
      ? this.#slots.use(this.#sendBytes(bytes))
      : Effect.zipRight(
        size <= this.#chunkSize
          ? this.#slots.useBuffer(size, (buffer) =>
            Effect.flatMap(
              this.#source.read({ first: 0, last: size - 1 }, buffer),
              (bytes) => this.#sendBytes(bytes),
            ))
          : this.#slots.useBuffer(this.#chunkSize, (buffer) => this.#sendPieces(buffer)),
        check,
      )
    return Effect.map(sent, () => this.#progress.arrive(0, size))
  }

  #sendBytes(bytes: Uint8Array): Effect.Effect<void, FabricError, FabricClient> {
    const send = () => this.#patience.persist(this.#put(bytes))
    if (this.#journal === undefined) return send()
    this.#usedChunkSize = Math.max(this.#chunkSize, bytes.length)
    return Effect.flatMap(this.#slots.hasher.sha256(bytes), (hash) => {
      this.#hashes.set(keyOf({ first: 0, last: bytes.length - 1 }), hash)
      return Effect.zipRight(this.#announce(hash), send())
    })
  }

  /** Reads and sends a large file piece by piece, all in one request. */
  #sendPieces(buffer: Uint8Array): Effect.Effect<void, FabricError | SourceError, FabricClient> {
    /** A source that fails is not an unreachable cluster. */
    let failed: SourceError | undefined
    let furthest = 0
    const pieces = Stream.mapEffect(
      Stream.fromIterable(chunksOf(this.#source.size, this.#chunkSize)),
      (range) =>
        this.#source.read(range, buffer).pipe(
          Effect.tap((bytes) => this.#journal === undefined ? Effect.void : this.#see(range, bytes)),
          Effect.tap(() => {
            // A repeat gets further only where no attempt before it came.
            if (range.last < furthest) return
            furthest = range.last + 1
            this.#patience.note()
          }),
          Effect.tapError((error) => Effect.sync(() => failed = error)),
        ),
    )
    return Effect.zipRight(
      this.#announce(""),
      this.#patience.persist(
        Effect.catchAll(
          this.#put({ stream: pieces, size: this.#source.size }),
          (error): Effect.Effect<never, FabricError | SourceError> => failed ?? error,
        ),
      ),
    )
  }

  /** One request for the whole file. */
  #put(body: Body): Effect.Effect<void, FabricError, FabricClient> {
    const { size } = this.#source
    return Effect.flatMap(
      secondsLeft(putTimeout(size, this.#usedChunkSize)),
      (timeout): Effect.Effect<void, FabricError, FabricClient> => {
        const refusal = this.#slots.refusalOf(size)
        if (refusal !== undefined) return refusal
        this.#progress.send(0, size)
        const put = this.#learn(
          size,
          putFileOnce(this.#path, body, timeout, {
            out: (bytes) => size <= WORTH_TELLING ? undefined : this.#progress.goOut(0, bytes),
            over: (reason) => {
              if (reason !== undefined) {
                return this.#slots.failed(reason, this.#clock.unsafeCurrentTimeMillis(), timeout)
              }
              this.#slots.succeeded(size)
              this.#patience.note()
            },
          }),
        )
        if (this.#puts++ === 0 || this.#journal === undefined) return put
        const until = latestArrival(timeout, this.#clock.unsafeCurrentTimeMillis())
        return Effect.zipRight(this.#journal.repeated(Math.max(until, this.#slots.quietAt)), put)
      },
    )
  }

  /** A cluster that finds a single request too large takes smaller ones, if it has sessions at all. */
  #bySmallerRequests(refusal: FabricError): Effect.Effect<void, UploadError, Env> {
    if (this.#source.size <= SMALLEST_CHUNK) return refusal
    return Effect.flatMap(this.#patience.persist(hasUploadSessions), (has) => {
      if (!has) return takesNoChunks(refusal)
      this.#progress.retry()
      return this.#bySession
    })
  }

  /** Large files. */
  get #bySession(): Effect.Effect<void, UploadError, Env> {
    const { name, size } = this.#source
    return Effect.scoped(Effect.gen(this, function* () {
      yield* this.#untilQuiet("")
      yield* reportStale(this.#path, {
        deletes: this.#options.cleanStale === true,
        patience: this.#patience,
        emit: this.#emit,
      })
      const found: Resumable = yield* findResumable({
        path: this.#path,
        size,
        chunkSize: this.#nextChunkSize(),
        resume: this.#options.resume ?? uploadDefaults.resume,
        patience: this.#patience,
        waiting: this.#waiting,
        verify: (range, hash) => this.#isSame(range, hash),
      })
      const resumed = found._tag === "Session" ? found : undefined
      this.#progress.start(resumed?.own.entry.sessionId, bytesIn(resumed?.received ?? []))
      yield* transact(
        { path: this.#path, size },
        {
          source: name,
          chunkSize: () => this.#nextChunkSize(),
          resumed,
          hooks: this.#hooks,
          patience: this.#patience,
          restart: (broken, times) => this.#restart(broken, times),
        },
        (work) => this.#send(work, resumed?.own.entry),
      )
    }))
  }

  /** Sends what is missing: first what nobody has begun, last what a dead run may still bring. */
  #send(work: ChunkWork, resumed: JournalEntry | undefined): Effect.Effect<void, UploadError, Env> {
    const earlier = resumed?.sessionId === work.sessionId ? resumed : undefined
    this.#usedChunkSize = earlier?.chunkSize ?? this.#chunkSize
    const wanted = chunksIn(chunksOf(this.#source.size, this.#usedChunkSize), work.missing)
    const begun = (range: ByteRange) => earlier?.hashes[range.first] !== undefined
    this.#progress.arrived = this.#source.size - bytesIn(wanted)
    return Effect.zipRight(
      forEachAwaited(
        [...wanted.filter((range) => !begun(range)), ...wanted.filter(begun)],
        LOST * (this.#options.concurrency ?? uploadDefaults.concurrency),
        (range) => this.#sendChunk(work, range, begun(range)),
      ),
      this.#source.check,
    )
  }

  /** Sends one chunk. While it may still arrive by itself, it has neither a slot nor a buffer: others go meanwhile. */
  #sendChunk(work: ChunkWork, range: ByteRange, mayArrive: boolean): Effect.Effect<void, UploadError, Env> {
    let again = false
    const send = this.#slots.useBuffer(sizeOf(range), (buffer) =>
      Effect.gen(this, function* () {
        const refusal = this.#slots.refusalOf(sizeOf(range))
        if (refusal !== undefined) return yield* work.giveUp(refusal)
        const bytes = yield* this.#source.read(range, buffer)
        const hash = yield* this.#see(range, bytes)
        // That the source has given it is progress, that it gives it again is not.
        if (!again) this.#patience.note()
        again = true
        return yield* this.#learn(bytes.length, work.send(range, bytes, hash))
      }))
    return Effect.gen(function* () {
      if (mayArrive && (yield* work.settle(range))) return
      while (!(yield* send)) {
        if (yield* work.settle(range)) return
      }
    })
  }

  /** What is read a second time, after a fail-over, has to be what it was: a mix of two contents would be committed. */
  #see(range: ByteRange, bytes: Uint8Array): Effect.Effect<string, SourceError> {
    return Effect.flatMap(this.#slots.hasher.sha256(bytes), (hash) => {
      const before = this.#hashes.get(keyOf(range))
      this.#hashes.set(keyOf(range), hash)
      return before === undefined || before === hash
        ? Effect.succeed(hash)
        : new SourceError({ source: this.#source.name, issue: "it gives other bytes the second time" })
    })
  }

  #isSame(range: ByteRange, hash: string): Effect.Effect<boolean, SourceError> {
    return Effect.map(this.#hash(range), (own) => own === hash)
  }

  #hash(range: ByteRange): Effect.Effect<string, SourceError> {
    return this.#slots.useBuffer(
      sizeOf(range),
      (buffer) => Effect.flatMap(this.#source.read(range, buffer), (bytes) => this.#see(range, bytes)),
    )
  }

  #retried(error: FabricError): void {
    this.#slots.troubled()
    this.#progress.retry(error.message)
  }

  get #waiting(): Waiting {
    return waitingEvent(this.#path, this.#emit)
  }

  get #hooks(): SessionHooks {
    return {
      sending: (range) => this.#progress.send(range.first, sizeOf(range)),
      out: (range, bytes) => this.#progress.goOut(range.first, bytes),
      retried: (error) => this.#retried(error),
      unsettled: () => this.#slots.unsettled = true,
      waiting: this.#waiting,
      arrived: (range) => {
        this.#slots.succeeded(sizeOf(range))
        this.#progress.arrive(range.first, sizeOf(range))
      },
      committing: () => this.#progress.commit(),
    }
  }

  /** Sends so many bytes; where the cluster finds them too large, nobody else has to find out. */
  #learn<A, E extends UploadError, R>(bytes: number, sent: Effect.Effect<A, E, R>): Effect.Effect<A, E, R> {
    return Effect.tapError(sent, (error) => {
      if (isTooLarge(error)) this.#slots.refused(bytes, error)
      return Effect.void
    })
  }

  /** Bytes of a chunk in the next session. */
  #nextChunkSize(): number {
    return this.#chunkSize = Math.min(this.#chunkSize, this.#slots.largest)
  }

  #restart(broken: Broken, times: number): boolean {
    return broken._tag === "ChunkTooLarge" ? this.#usedChunkSize > SMALLEST_CHUNK : restartOnce(broken, times)
  }
}
