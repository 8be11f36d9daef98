/**
 * SHA-256 of chunks, on another thread while this one reads and sends.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { createHash } from "node:crypto"
import { setImmediate } from "node:timers"
import { Worker } from "node:worker_threads"

/** Bytes hashed at a time on this thread: a fraction of a millisecond, then what is to be sent gets its turn. */
const PIECE = 1024 * 1024

/** Memory that the thread of a {@link Hasher} can see too. A small piece of it is hashed sooner than handed over. */
export const chunkMemory = (size: number): Uint8Array =>
  new Uint8Array(size > PIECE ? new SharedArrayBuffer(size) : new ArrayBuffer(size))

/** As text it runs wherever the library does: bundled, from a registry, under Deno without a permission. */
const THREAD = `
const { createHash } = require("node:crypto")
const { parentPort } = require("node:worker_threads")
parentPort.on("message", ({ id, memory, start, length }) => {
  const hash = createHash("sha256").update(new Uint8Array(memory, start, length)).digest("hex")
  parentPort.postMessage({ id, hash })
})
parentPort.postMessage({})`

/** What the program was started with is not the thread's business: no preloaded module, no secret of the environment. */
export const startThread = (): HashThread => new Worker(THREAD, { eval: true, execArgv: [], env: {} })

/** What is needed of a thread. Readers of the types need not know those of Node. */
export interface HashThread {
  on(event: "message", listener: (message: Done) => void): unknown
  on(event: "error", listener: () => void): unknown
  postMessage(order: object): void
  terminate(): unknown
}

/** What the thread says; its first word is of no order. */
interface Done {
  readonly id: number
  readonly hash: string
}

/** One who waits for a hash, and of what. */
interface Order {
  readonly bytes: Uint8Array
  readonly done: (hash: Effect.Effect<string>) => void
}

/** Hashes, and has a thread for it from the first large chunk until it is closed. */
export class Hasher {
  readonly #start: () => HashThread
  readonly #orders = new Map<number, Order>()
  #count = 0
  #begun = false
  #thread: HashThread | undefined
  /** Until the thread runs, and where none can be had, chunks are hashed here. */
  #runs = false

  constructor(start: () => HashThread = startThread) {
    this.#start = start
  }

  /** SHA-256 in hexadecimal. Bytes outside {@link chunkMemory} are hashed here: to copy them costs as much. */
  sha256(bytes: Uint8Array): Effect.Effect<string> {
    return Effect.suspend(() => {
      if (!(bytes.buffer instanceof SharedArrayBuffer)) return sha256Here(bytes)
      if (!this.#begun) this.#begin()
      return this.#runs ? this.#order(bytes) : sha256Here(bytes)
    })
  }

  close(): void {
    this.#begun = true
    this.#runs = false
    void this.#thread?.terminate()
  }

  #order(bytes: Uint8Array): Effect.Effect<string> {
    return Effect.async((done) => {
      const id = this.#count++
      this.#orders.set(id, { bytes, done })
      // Not the view itself: Deno would copy that number by number.
      this.#thread!.postMessage({
        id,
        memory: bytes.buffer,
        start: bytes.byteOffset,
        length: bytes.length,
      })
    })
  }

  #begin(): void {
    this.#begun = true
    try {
      this.#thread = this.#start()
    } catch {
      return // Node's permissions may not allow it.
    }
    this.#thread.on("message", ({ hash, id }: Done) => {
      this.#runs = true
      this.#orders.get(id)?.done(Effect.succeed(hash))
      this.#orders.delete(id)
    })
    this.#thread.on("error", () => {
      this.#runs = false
      for (const { bytes, done } of this.#orders.values()) done(sha256Here(bytes))
      this.#orders.clear()
    })
  }
}

const turn = Effect.async<void>((resume) => void setImmediate(() => resume(Effect.void)))

/** One hash for what is hashed in chunks: the hash of theirs, and of a single one its own. */
export const hashOfChunks = (hashes: ReadonlyArray<string>): string =>
  hashes.length === 1 ? hashes[0]! : createHash("sha256").update(hashes.join("")).digest("hex")

const sha256Here = (bytes: Uint8Array): Effect.Effect<string> =>
  bytes.length <= PIECE
    ? Effect.sync(() => createHash("sha256").update(bytes).digest("hex"))
    : Effect.gen(function* () {
      const hash = createHash("sha256")
      for (let at = 0; at < bytes.length; at += PIECE) {
        if (at > 0) yield* turn
        hash.update(bytes.subarray(at, at + PIECE))
      }
      return hash.digest("hex")
    })
