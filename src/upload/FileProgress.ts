/**
 * How far one file has come: what is counted, and what is told of it.
 *
 * @module
 */
import type * as Clock from "effect/Clock"
import type { FileSummary, UploadEvent } from "../UploadEvent.ts"
import type { SessionId } from "../UploadSession.ts"
import type { Emit } from "./eventStream.ts"

/** Milliseconds between two events that only tell what has gone out. */
const TELL_EVERY = 250

/** The file whose progress it is. */
interface Subject {
  readonly path: string
  readonly size: number
  /** Requests that may be under way at once by now. */
  readonly concurrency: () => number
}

/** Counts, and emits. */
export class FileProgress {
  readonly #subject: Subject
  readonly #emit: Emit<UploadEvent>
  readonly #clock: Clock.Clock
  readonly #begun: number
  #started = false
  /** Bytes that went over the wire, repeats included. */
  #sent = 0
  /** Bytes that an earlier run had brought. */
  #resumed = 0
  /** Bytes on the cluster by now. */
  #arrived = 0
  #retries = 0
  /** Bytes that are out of the requests under way, by where in the file these begin. */
  readonly #underWay = new Map<number, number>()
  #lastTold = 0

  constructor(subject: Subject, emit: Emit<UploadEvent>, clock: Clock.Clock) {
    this.#subject = subject
    this.#emit = emit
    this.#clock = clock
    this.#begun = clock.unsafeCurrentTimeMillis()
  }

  /** The file begins. Told once, also where it begins again in smaller requests. */
  start(sessionId: SessionId | undefined, resumed = 0): void {
    this.#resumed = this.#arrived = resumed
    if (this.#started) return
    this.#started = true
    const { path, size } = this.#subject
    this.#emit({ _tag: "FileStarted", path, size, sessionId, resumed })
  }

  /** What the cluster has when a round of chunks begins. */
  set arrived(bytes: number) {
    this.#arrived = bytes
  }

  /** A request for `size` bytes of the file from `first` on goes out. */
  send(first: number, size: number): void {
    this.#sent += size
    this.#underWay.delete(first)
  }

  /** So many more bytes of it are out. */
  goOut(first: number, bytes: number): void {
    this.#underWay.set(first, (this.#underWay.get(first) ?? 0) + bytes)
    if (this.#clock.unsafeCurrentTimeMillis() - this.#lastTold >= TELL_EVERY) this.#tell()
  }

  /** The cluster has it. */
  arrive(first: number, size: number): void {
    this.#arrived += size
    this.#underWay.delete(first)
    this.#tell()
  }

  /** Something has to be tried again. */
  retry(reason?: string): void {
    this.#retries++
    if (reason !== undefined) this.#emit({ _tag: "Retried", path: this.#subject.path, reason })
  }

  /** The cluster makes the file. */
  commit(): void {
    this.#emit({ _tag: "Committing", path: this.#subject.path })
  }

  /** The file is there. */
  end(): FileSummary {
    const summary: FileSummary = {
      path: this.#subject.path,
      size: this.#subject.size,
      sent: this.#sent,
      resumed: this.#resumed,
      retries: this.#retries,
      seconds: (this.#clock.unsafeCurrentTimeMillis() - this.#begun) / 1000,
    }
    this.#emit({ _tag: "FileUploaded", ...summary })
    return summary
  }

  #tell(): void {
    const { concurrency, path, size } = this.#subject
    let underWay = 0
    for (const bytes of this.#underWay.values()) underWay += bytes
    this.#lastTold = this.#clock.unsafeCurrentTimeMillis()
    this.#emit({
      _tag: "BytesSent",
      path,
      sent: this.#arrived,
      underWay,
      size,
      concurrency: concurrency(),
    })
  }
}
