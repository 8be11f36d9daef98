/**
 * The image store service's primary as a plain state machine: sessions, staging area and files. It is
 * synchronous and never reads a clock: whoever calls says what time it is.
 *
 * @module
 */
import type { ByteRange } from "../UploadSession.ts"
import { Agenda } from "./Agenda.ts"
import * as Content from "./Content.ts"
import * as ErrorCode from "./ErrorCode.ts"
import { StagingArea } from "./StagingArea.ts"
import { StoredFiles } from "./StoredFiles.ts"
import * as StorePath from "./StorePath.ts"
import { type Session, UploadSessions } from "./UploadSessions.ts"

/** How a store is set up. */
interface StateOptions {
  readonly os: StorePath.Os
  readonly storage: Content.Storage
  /** Bytes of the disk that holds files and staging area. */
  readonly capacity: number
}

/** A chunk with its whole body. */
interface ChunkUpload {
  readonly sessionId: string
  /** Percent-decoded and otherwise as sent: sessions compare paths exactly. */
  readonly path: string
  readonly range: ByteRange
  /** Bytes of the whole file. */
  readonly size: number
  readonly content: Content.Content
  /** Says yes without noting the range, as the product's own fault does (peers.md 0.13). */
  readonly forget: boolean
}

/** How a commit goes on this time. */
interface CommitCourse {
  /** Milliseconds that joining takes. */
  readonly duration: number
  /** Moving the file in fails, and the old version is put back (protocol.md 4.5). */
  readonly rollBack: boolean
}

/** What a fail-over adds to the `EpochConfigurationNumber` of later file versions. */
const EPOCH = 2 ** 32

/** The state of one image store. */
export class ImageStoreState {
  readonly os: StorePath.Os
  readonly capacity: number
  readonly agenda: Agenda = new Agenda()
  readonly files: StoredFiles
  readonly sessions: UploadSessions
  readonly staging: StagingArea
  /** Until then there is no primary to ask. */
  unavailableUntil = 0

  readonly #storage: Content.Storage
  /** Keys that a commit is writing, with the way to abort it. */
  readonly #writing = new Map<string, () => void>()
  #version = 0
  #epoch: number

  constructor(options: StateOptions) {
    this.os = options.os
    this.capacity = options.capacity
    this.#storage = options.storage
    this.files = new StoredFiles(options.storage)
    this.staging = new StagingArea(options.storage)
    this.#epoch = 6 * EPOCH
    for (const file of this.files.all()) {
      this.#version = Math.max(this.#version, file.version)
      this.#epoch = Math.max(this.#epoch, file.epoch)
    }
    this.sessions = new UploadSessions(this.agenda, (session) => {
      for (const chunk of session.chunks) this.staging.remove(chunk.content)
    })
  }

  /** Does everything that was due by now. Call it before looking at anything. */
  advance(now: number): void {
    this.agenda.advance(now)
  }

  /** Bytes that are left on the disk. */
  get available(): number {
    let used = this.staging.bytes
    for (const file of this.files.all()) used += file.content.size
    return Math.max(0, this.capacity - used)
  }

  #fits(bytes: number): boolean {
    return this.capacity === Infinity || bytes <= this.available
  }

  /** Whether a commit is writing that file, a file above it, or one below it (protocol.md 3.3). */
  isBusy(key: string): boolean {
    if (this.#writing.size === 0) return false
    const separator = StorePath.separatorOf(this.os)
    for (const other of this.#writing.keys()) {
      if (other === key || other.startsWith(key + separator) || key.startsWith(other + separator)) return true
    }
    return false
  }

  /** Whether a commit is writing exactly that file. */
  isWriting(key: string): boolean {
    return this.#writing.has(key)
  }

  /** Writes a whole file. Takes over the content. */
  putFile(path: string, content: Content.Content, now: number): ErrorCode.Failure | undefined {
    const normalized = StorePath.normalize(path, this.os)
    const refused = StorePath.refusal(normalized, this.os) ??
      (this.#fits(content.size) ? undefined : ErrorCode.ioError)
    if (refused !== undefined) {
      this.#storage.release(content)
      return refused
    }
    return this.#write(normalized, content, undefined, now)
  }

  /** The gateway's check of a chunk and the primary's, in one: in the order of protocol.md 4.3. */
  putChunk(chunk: ChunkUpload, now: number): ErrorCode.Failure | undefined {
    const { content, range, size } = chunk
    const open = this.sessions.get(chunk.sessionId)
    const refused = open === undefined ? undefined : refuseChunk(open, chunk)
    if (refused !== undefined || !this.#fits(content.size)) {
      this.#storage.release(content)
      return refused ?? ErrorCode.ioError
    }
    const session = open ?? this.sessions.create(chunk.sessionId, chunk.path, size, now)
    if (chunk.forget) {
      this.#storage.release(content)
      return
    }
    session.received.add(range)
    session.modified = now
    session.chunks.push({ first: range.first, content })
    this.staging.add(content)
  }

  /**
   * Joins the chunks of a session to its file. `done` is called once, perhaps at once, with what happened.
   * The session stays, with its chunks.
   */
  commit(
    sessionId: string,
    course: CommitCourse,
    now: number,
    done: (failure: ErrorCode.Failure | undefined) => void,
  ): void {
    const session = this.sessions.get(sessionId)
    if (session === undefined || !session.received.isWhole(session.size)) {
      return done(ErrorCode.invalidArgument)
    }
    const path = StorePath.normalize(session.path, this.os)
    const key = StorePath.keyOf(path, this.os)
    if (this.#writing.has(key)) return done(ErrorCode.operationsPending)
    if (this.files.get(key)?.sessionId === sessionId) return done(undefined)
    const refused = StorePath.refusal(path, this.os)
    if (refused !== undefined) return done(refused)
    if (course.duration <= 0) return done(this.#finishCommit(session, path, course.rollBack, now))
    let settled = false
    const settle = (failure: ErrorCode.Failure | undefined) => {
      settled = true
      this.#writing.delete(key)
      done(failure)
    }
    this.#writing.set(key, () => settle(ErrorCode.aborted))
    this.agenda.plan(now + course.duration, (then) => {
      if (settled) return
      settle(this.#finishCommit(session, path, course.rollBack, then))
    })
  }

  /** The primary moves: no session, no staged byte and no running commit survives it (protocol.md 4.6). */
  failOver(now: number, unavailable: number): void {
    for (const abort of [...this.#writing.values()]) abort()
    this.sessions.clear()
    this.staging.clear()
    this.#epoch += EPOCH
    this.unavailableUntil = Math.max(this.unavailableUntil, now + unavailable)
  }

  /** Puts a copy of a stored file at another (normalized) path. */
  copyFile(file: Content.StoredFile, path: string, now: number): ErrorCode.Failure | undefined {
    if (!this.#fits(file.content.size)) return ErrorCode.ioError
    this.#storage.retain(file.content)
    return this.#write(path, file.content, undefined, now)
  }

  #finishCommit(
    session: Session,
    path: string,
    rollBack: boolean,
    now: number,
  ): ErrorCode.Failure | undefined {
    // A DELETE is not locked out while chunks are joined, and takes them away.
    if (session.deleted) return ErrorCode.notFound
    const content = Content.join(
      session.chunks.toSorted((a, b) => a.first - b.first).map((chunk) => chunk.content),
    )
    const merged = this.#fits(content.size) ? content.size : this.available
    if (merged !== session.size) {
      this.staging.leave(content, merged)
      return ErrorCode.sizeMismatch(path, session.size, merged)
    }
    if (rollBack) {
      this.files.stamp(StorePath.keyOf(path, this.os), session.sessionId)
      return ErrorCode.aborted
    }
    this.#storage.retain(content)
    const failure = this.#write(path, content, session.sessionId, now)
    session.committed ||= failure === undefined
    return failure
  }

  /** Takes over one ownership of the content. */
  #write(
    path: string,
    content: Content.Content,
    sessionId: string | undefined,
    now: number,
  ): ErrorCode.Failure | undefined {
    const key = StorePath.keyOf(path, this.os)
    try {
      this.files.set({
        key,
        path: this.files.get(key)?.path ?? path,
        version: ++this.#version,
        epoch: this.#epoch,
        modified: now,
        sessionId,
        content,
      })
    } catch (error) {
      if (!Content.isDiskError(error)) throw error
      this.#storage.release(content)
      return ErrorCode.ioError
    }
  }
}

const refuseChunk = (session: Session, chunk: ChunkUpload): ErrorCode.Failure | undefined =>
  session.path !== chunk.path
    ? ErrorCode.idConflict
    : session.size !== chunk.size
    ? ErrorCode.invalidArgument
    : session.received.expects(chunk.range, session.size)
    ? undefined
    : ErrorCode.rangeNotSatisfiable
