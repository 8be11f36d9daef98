/**
 * Bytes that can be read again: the same ones, or the upload fails.
 *
 * @module
 */
import type * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import * as Fs from "node:fs/promises"
import { resolve } from "node:path"
import { type Source, SourceError } from "./UploadEvent.ts"
import type { ByteRange } from "./UploadSession.ts"
import { sizeOf } from "./ranges.ts"

/** A source that is open for reading. */
export interface OpenSource {
  /** What it is called in errors and in the journal. */
  readonly name: string
  readonly size: number
  /** Reads a range into `buffer`, or into memory of its own. Ranges are cheapest in ascending order. */
  readonly read: (range: ByteRange, buffer: Uint8Array) => Effect.Effect<Uint8Array, SourceError>
  /** Fails when the source is no longer what it was when it was opened. */
  readonly check: Effect.Effect<void, SourceError>
}

/** Opens a source for as long as the scope lasts. */
export const openSource = (source: Source): Effect.Effect<OpenSource, SourceError, Scope.Scope> =>
  typeof source === "string" ? openFile(resolve(source)) : source instanceof Uint8Array
    ? Effect.succeed({
      name: "bytes",
      size: source.length,
      read: ({ first, last }) => Effect.succeed(source.subarray(first, last + 1)),
      check: Effect.void,
    })
    : openStream(source.stream, source.size)

const openFile = (path: string): Effect.Effect<OpenSource, SourceError, Scope.Scope> => {
  const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, SourceError> =>
    Effect.tryPromise({
      try: run,
      catch: (cause) => new SourceError({ source: path, issue: `it cannot be read (${codeOf(cause)})` }),
    })
  return Effect.gen(function* () {
    const file = yield* Effect.acquireRelease(
      attempt(() => Fs.open(path, "r")),
      (file) => Effect.promise(() => file.close()),
    )
    const stat = attempt(() => file.stat())
    const before = yield* stat
    if (!before.isFile()) return yield* new SourceError({ source: path, issue: "it is not a file" })
    const changed = Effect.suspend(() =>
      new SourceError({ source: path, issue: "it changed while it was uploaded" })
    )
    return {
      name: path,
      size: before.size,
      read: (range, buffer) =>
        Effect.flatMap(
          // Cut off, it would go on reading into a buffer that is used again.
          Effect.uninterruptible(
            attempt(() => readFully(file, buffer.subarray(0, sizeOf(range)), range.first)),
          ),
          (bytes) => bytes.length === sizeOf(range) ? Effect.succeed(bytes) : changed,
        ),
      check: Effect.flatMap(
        stat,
        ({ mtimeMs, size }) => size === before.size && mtimeMs === before.mtimeMs ? Effect.void : changed,
      ),
    }
  })
}

/** A single read may bring less than was asked for. */
const readFully = async (file: Fs.FileHandle, buffer: Uint8Array, position: number): Promise<Uint8Array> => {
  let filled = 0
  while (filled < buffer.length) {
    const { bytesRead } = await file.read(buffer, filled, buffer.length - filled, position + filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return buffer.subarray(0, filled)
}

const codeOf = (cause: unknown): string =>
  typeof cause === "object" && cause !== null && "code" in cause ? String(cause.code) : String(cause)

/** A run of a stream, and how far it has been read. */
interface Cursor {
  readonly scope: Scope.CloseableScope
  readonly pull: Effect.Effect<Chunk.Chunk<Uint8Array>, Option.Option<unknown>>
  /** Read, but not asked for yet: it begins at `position`. */
  rest: Uint8Array
  position: number
}

const EMPTY = new Uint8Array(0)

/** A stream only goes on: for what lies behind it is run again from its start. */
const openStream = (
  stream: Stream.Stream<Uint8Array, unknown>,
  size: number,
): Effect.Effect<OpenSource, SourceError, Scope.Scope> =>
  Effect.gen(function* () {
    if (!Number.isSafeInteger(size) || size < 0) {
      return yield* new SourceError({
        source: "the stream",
        issue: `its size is no number of bytes: ${size}`,
      })
    }
    let cursor: Cursor | undefined
    const close = Effect.suspend(() =>
      cursor === undefined ? Effect.void : Scope.close(cursor.scope, Exit.void)
    )
    yield* Effect.addFinalizer(() => close)

    const forget = Effect.sync(() => {
      cursor = undefined
    })

    const open = Effect.gen(function* () {
      yield* close
      const scope = yield* Scope.make()
      const pull = yield* Scope.extend(Stream.toPull(stream), scope)
      return cursor = { scope, pull, rest: EMPTY, position: 0 }
    })

    /** More bytes, or none at the end. */
    const more = (from: Cursor): Effect.Effect<Uint8Array, SourceError> =>
      Effect.catchAll(
        Effect.map(from.pull, (chunks) => concat([...chunks])),
        Option.match({
          onNone: () => Effect.succeed(EMPTY),
          onSome: (error) => new SourceError({ source: "the stream", issue: `it failed: ${String(error)}` }),
        }),
      )

    const wrongSize = (than: string) =>
      new SourceError({
        source: "the stream",
        issue: `it gives ${than} than the ${size} bytes that were announced`,
      })

    const read = (range: ByteRange, buffer: Uint8Array): Effect.Effect<Uint8Array, SourceError> =>
      Effect.gen(function* () {
        const from = cursor === undefined || cursor.position > range.first ? yield* open : cursor
        const into = buffer.subarray(0, sizeOf(range))
        while (from.position <= range.last) {
          if (from.rest.length === 0) {
            from.rest = yield* more(from)
            if (from.rest.length === 0) return yield* wrongSize("less")
          }
          const wanted = from.position < range.first
            ? range.first - from.position
            : range.last + 1 - from.position
          const piece = from.rest.subarray(0, wanted)
          if (from.position >= range.first) into.set(piece, from.position - range.first)
          from.rest = from.rest.subarray(piece.length)
          from.position += piece.length
        }
        // The last range reads on, to see that the stream ends where it should.
        if (
          range.last === size - 1 && (from.rest.length > 0 || (yield* more(from)).length > 0)
        ) return yield* wrongSize("more")
        return into
      })
    return {
      name: "stream",
      size,
      // Interrupted in between, a cursor no longer knows where it is.
      read: (range, buffer) => Effect.onInterrupt(read(range, buffer), () => Effect.zipRight(close, forget)),
      check: Effect.void,
    }
  })

const concat = (parts: ReadonlyArray<Uint8Array>): Uint8Array => {
  if (parts.length === 1) return parts[0]!
  const whole = new Uint8Array(parts.reduce((sum, { length }) => sum + length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

/** Bytes from which hashing leaves the main thread. */
const HASH_ELSEWHERE = 64 * 1024

/** SHA-256 in hexadecimal. Large chunks are hashed on another thread, while others are sent. */
export const sha256 = (bytes: Uint8Array): Effect.Effect<string> =>
  bytes.length < HASH_ELSEWHERE
    ? Effect.sync(() => createHash("sha256").update(bytes).digest("hex"))
    : Effect.map(
      Effect.promise(() => crypto.subtle.digest("SHA-256", bytes as Uint8Array<ArrayBuffer>)),
      (hash) => Array.from(new Uint8Array(hash), (byte) => byte.toString(16).padStart(2, "0")).join(""),
    )
