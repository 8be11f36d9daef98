/**
 * The upload sessions of the image store's primary: a map in its memory, and a sweep (protocol.md 4.6).
 *
 * @module
 */
import type { Agenda } from "./Agenda.ts"
import type { Content } from "./Content.ts"
import { ReceivedRanges } from "./ReceivedRanges.ts"

const MINUTE = 60_000
/** Since the last accepted chunk, or the creation. */
const SESSION_TIMEOUT = 30 * MINUTE
const SWEEP_INTERVAL = 5 * MINUTE

/** A chunk that was accepted. */
interface Chunk {
  readonly first: number
  readonly content: Content
}

/** One session. */
export class Session {
  readonly received: ReceivedRanges = new ReceivedRanges()
  readonly chunks: Array<Chunk> = []
  readonly sessionId: string
  /** As the first chunk spelled it. */
  readonly path: string
  /** Bytes of the whole file, as the first chunk said. */
  readonly size: number
  /** When the last chunk was accepted; before the first one, when the session was made. */
  modified: number
  /** Whether a commit of it has written the file. */
  committed = false
  /** Whether its chunks are gone. */
  deleted = false

  constructor(sessionId: string, path: string, size: number, now: number) {
    this.sessionId = sessionId
    this.path = path
    this.size = size
    this.modified = now
  }
}

/** All sessions, in the order in which the gateway lists them. */
export class UploadSessions {
  readonly #byId = new Map<string, Session>()
  readonly #agenda: Agenda
  readonly #dropChunks: (session: Session) => void
  /** When the next sweep is due. */
  #sweepAt = 0
  #sweepPlanned = false

  constructor(agenda: Agenda, dropChunks: (session: Session) => void) {
    this.#agenda = agenda
    this.#dropChunks = dropChunks
  }

  get(sessionId: string): Session | undefined {
    return this.#byId.get(sessionId)
  }

  /** Sessions with exactly that path, by id. */
  at(path: string): Array<Session> {
    return this.all().filter((session) => session.path === path)
  }

  /** By id, which is how the primary's map is ordered. */
  all(): Array<Session> {
    return [...this.#byId.values()].sort((a, b) => a.sessionId < b.sessionId ? -1 : 1)
  }

  /** Opens a session. One that finds the map empty puts the next sweep off. */
  create(sessionId: string, path: string, size: number, now: number): Session {
    if (this.#byId.size === 0) this.#planSweep(now + SESSION_TIMEOUT)
    const session = new Session(sessionId, path, size, now)
    this.#byId.set(sessionId, session)
    return session
  }

  /** Removes a session with its chunks. Whether there was one. */
  delete(sessionId: string): boolean {
    const session = this.#byId.get(sessionId)
    if (session === undefined) return false
    this.#byId.delete(sessionId)
    session.deleted = true
    this.#dropChunks(session)
    return true
  }

  /** What a fail-over does: no session survives it. */
  clear(): void {
    for (const sessionId of [...this.#byId.keys()]) this.delete(sessionId)
  }

  #planSweep(at: number): void {
    this.#sweepAt = at
    if (this.#sweepPlanned) return
    this.#sweepPlanned = true
    this.#agenda.plan(at, (now) => this.#sweep(now))
  }

  #sweep(now: number): void {
    this.#sweepPlanned = false
    if (now < this.#sweepAt) return this.#planSweep(this.#sweepAt)
    for (const session of [...this.#byId.values()]) {
      if (session.modified + SESSION_TIMEOUT <= now) this.delete(session.sessionId)
    }
    if (this.#byId.size > 0) this.#planSweep(now + SWEEP_INTERVAL)
  }
}
