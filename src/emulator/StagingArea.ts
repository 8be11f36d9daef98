/**
 * Where chunks wait for their commit, and what they take there: `UsedByStaging` (protocol.md 3.5, 4.6).
 *
 * @module
 */
import type { Content, Storage } from "./Content.ts"

/** The primary's staging area. Only a delete, an expiry or a fail-over makes it smaller. */
export class StagingArea {
  bytes = 0
  files = 0
  /** Joined files of failed commits, which no DELETE reaches. */
  #leftovers: Array<Content> = []
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
  }

  /** Takes over the content of a chunk. */
  add(content: Content): void {
    this.bytes += content.size
    this.files += 1
  }

  /** Gives the content of a chunk up. */
  remove(content: Content): void {
    this.bytes -= content.size
    this.files -= 1
    this.#storage.release(content)
  }

  /** Keeps what a commit joined and could not use, as far as it got. */
  leave(content: Content, bytes: number): void {
    const leftover = { ...content, size: bytes }
    this.#storage.retain(leftover)
    this.#leftovers.push(leftover)
    this.add(leftover)
  }

  /** What a fail-over does about leftovers. */
  clear(): void {
    for (const leftover of this.#leftovers) this.remove(leftover)
    this.#leftovers = []
  }
}
