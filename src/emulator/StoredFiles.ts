/**
 * The files of the image store, in the order of their keys.
 *
 * @module
 */
import type { Storage, StoredFile } from "./Content.ts"

/** A map that is always sorted by key, because listings and their continuation tokens depend on the order. */
export class StoredFiles {
  readonly #byKey = new Map<string, StoredFile>()
  readonly #keys: Array<string> = []
  readonly #storage: Storage

  constructor(storage: Storage) {
    this.#storage = storage
    for (const file of storage.recover()) this.#remember(file)
  }

  get size(): number {
    return this.#byKey.size
  }

  get(key: string): StoredFile | undefined {
    return this.#byKey.get(key)
  }

  /** All files, by key. */
  *all(): Generator<StoredFile> {
    for (const key of this.#keys) yield this.#byKey.get(key)!
  }

  /** Puts a file in, in place of the one that has its key. Takes over one ownership of its content. */
  set(file: StoredFile): void {
    const before = this.#byKey.get(file.key)
    this.#storage.keep(file)
    this.#remember(file)
    if (before !== undefined) this.#forget(before)
  }

  /** Takes a file out. */
  delete(key: string): void {
    const file = this.#byKey.get(key)
    if (file === undefined) return
    this.#byKey.delete(key)
    this.#keys.splice(this.#position(key), 1)
    this.#forget(file)
  }

  /** Leaves a file as it is and notes another session as its writer. */
  stamp(key: string, sessionId: string): void {
    const file = this.#byKey.get(key)
    if (file === undefined) return
    const stamped = { ...file, sessionId }
    this.#storage.keep(stamped)
    this.#byKey.set(key, stamped)
  }

  /** Files whose key starts with `prefix` and is not before `from`. */
  *startingWith(prefix: string, from = ""): Generator<StoredFile> {
    for (let at = this.#position(from > prefix ? from : prefix); at < this.#keys.length; at++) {
      const key = this.#keys[at]!
      if (!key.startsWith(prefix)) return
      yield this.#byKey.get(key)!
    }
  }

  #remember(file: StoredFile): void {
    if (!this.#byKey.has(file.key)) this.#keys.splice(this.#position(file.key), 0, file.key)
    this.#byKey.set(file.key, file)
  }

  #forget(file: StoredFile): void {
    this.#storage.drop(file)
    this.#storage.release(file.content)
  }

  /** Where a key is, or would be. */
  #position(key: string): number {
    let low = 0
    let high = this.#keys.length
    while (low < high) {
      const middle = (low + high) >>> 1
      if (this.#keys[middle]! < key) low = middle + 1
      else high = middle
    }
    return low
  }
}
