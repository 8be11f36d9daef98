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
import { closeSync, constants, fstatSync, openSync, readSync, type Stats } from "node:fs"
import * as Fs from "node:fs/promises"
import { resolve } from "node:path"
import { codeOf } from "../system/codeOf.ts"
import { type Source, SourceError } from "../UploadEvent.ts"
import type { ByteRange } from "../UploadSession.ts"
import { sizeOf } from "./ranges.ts"

/** A source that is open for reading. */
export interface OpenSource {
  /** What it is called in errors and in the journal. */
  readonly name: string
  readonly size: number
  /** All of it, where that is at hand. */
  readonly bytes?: Uint8Array
  /**
   * Reads a range into `buffer`, or into memory of its own. Ranges are read one after the other, and are cheapest in
   * ascending order.
   */
  readonly read: (range: ByteRange, buffer: Uint8Array) => Effect.Effect<Uint8Array, SourceError>
  /** Fails when the source is no longer what it was when it was opened. */
  readonly check: Effect.Effect<void, SourceError>
}

/** Opens a source while `use` runs. */
export const withSource = <A, E, R>(
  source: Source,
  use: (open: OpenSource) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | SourceError, R> =>
  Effect.suspend(() =>
    typeof source === "string"
      ? withFile(resolve(source), use)
      : source instanceof Uint8Array
      ? use(atHand("bytes", source))
      : withStream(source.stream, source.size, use)
  )

const atHand = (name: string, bytes: Uint8Array): OpenSource => ({
  name,
  size: bytes.length,
  bytes,
  read: ({ first, last }) => Effect.succeed(bytes.subarray(first, last + 1)),
  check: Effect.void,
})

/** Files of up to so many bytes are read at once when they are opened: a single call to another thread costs more. */
const SMALL = 64 * 1024

/** A pipe is opened without waiting for one who writes. */
const READ = constants.O_RDONLY | (constants.O_NONBLOCK ?? 0)

const withFile = <A, E, R>(
  path: string,
  use: (open: OpenSource) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | SourceError, R> => {
  let found: Stats
  let bytes: Uint8Array | undefined
  try {
    const file = openSync(path, READ)
    try {
      found = fstatSync(file)
      if (found.size <= SMALL && found.isFile()) bytes = readAtOnce(file, found.size)
    } finally {
      closeSync(file)
    }
  } catch (cause) {
    return unreadable(path)(cause)
  }
  if (!found.isFile()) return new SourceError({ source: path, issue: "it is not a file" })
  if (found.size > SMALL) return withLargeFile(path, found, use)
  // What becomes of it later does not matter: these bytes are those of one moment.
  return bytes === undefined ? changed(path) : use(atHand(path, bytes))
}

/** All bytes of a small file; `undefined` when there are not `size`. `readFileSync` asks the system for more. */
const readAtOnce = (file: number, size: number): Uint8Array | undefined => {
  // One more, to see that it ends where it should.
  const bytes = new Uint8Array(size + 1)
  let filled = 0
  let read: number
  do {
    read = readSync(file, bytes, filled, bytes.length - filled, filled)
    filled += read
  } while (read !== 0 && filled < size)
  return filled === size ? bytes.subarray(0, size) : undefined
}

const unreadable = (path: string) => (cause: unknown): SourceError =>
  new SourceError({ source: path, issue: `it cannot be read (${codeOf(cause)})` })

const changed = (path: string): SourceError =>
  new SourceError({ source: path, issue: "it changed while it was uploaded" })

const isSame = (before: Stats, now: Stats): boolean =>
  now.size === before.size && now.mtimeMs === before.mtimeMs

const withLargeFile = <A, E, R>(
  path: string,
  before: Stats,
  use: (open: OpenSource) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | SourceError, R> => {
  const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unreadable(path) })
  return Effect.acquireUseRelease(
    attempt(() => Fs.open(path, "r")),
    (file) =>
      use({
        name: path,
        size: before.size,
        read: inTurn((range, buffer) =>
          Effect.flatMap(
            // Cut off, it would go on reading into a buffer that is used again.
            Effect.uninterruptible(
              attempt(() => readFully(file, buffer.subarray(0, sizeOf(range)), range.first)),
            ),
            (bytes) => bytes.length === sizeOf(range) ? Effect.succeed(bytes) : changed(path),
          )
        ),
        check: Effect.flatMap(
          attempt(() => file.stat()),
          (now) => isSame(before, now) ? Effect.void : changed(path),
        ),
      }),
    (file) => Effect.promise(() => file.close()),
  )
}

/** One at a time, in the order in which they are asked for. */
const inTurn = (read: OpenSource["read"]): OpenSource["read"] => {
  const turn = Effect.unsafeMakeSemaphore(1)
  return (range, buffer) => turn.withPermits(1)(read(range, buffer))
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
const withStream = <A, E, R>(
  stream: Stream.Stream<Uint8Array, unknown>,
  size: number,
  use: (open: OpenSource) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E | SourceError, R> => {
  if (!Number.isSafeInteger(size) || size < 0) {
    return new SourceError({
      source: "the stream",
      issue: `its size is no number of bytes: ${size}`,
    })
  }
  let cursor: Cursor | undefined
  const close = Effect.suspend(() =>
    cursor === undefined ? Effect.void : Scope.close(cursor.scope, Exit.void)
  )

  const forget = Effect.sync(() => {
    cursor = undefined
  })

  const open = Effect.gen(function* () {
    yield* close
    const scope = yield* Scope.make()
    const pull = yield* Scope.extend(Stream.toPull(stream), scope)
    return cursor = { scope, pull, rest: EMPTY, position: 0 }
  })

  /** More bytes, or none at the end. Pieces without bytes are passed over. */
  const more = (from: Cursor): Effect.Effect<Uint8Array, SourceError> =>
    Effect.catchAll(
      Effect.repeat(Effect.map(from.pull, (chunks) => concat([...chunks])), {
        until: ({ length }) => length > 0,
      }),
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
  return Effect.ensuring(
    use({
      name: "stream",
      size,
      // Interrupted in between, a cursor no longer knows where it is.
      read: inTurn((range, buffer) =>
        Effect.onInterrupt(read(range, buffer), () => Effect.zipRight(close, forget))
      ),
      check: Effect.void,
    }),
    close,
  )
}

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
