/**
 * Files beyond 2 GiB and 4 GiB, where numbers of 32 bits end. Nothing of them is ever in memory as a whole.
 *
 * `HUGE_FILES=1` hashes all of them too, which takes some seconds each.
 */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import process from "node:process"
import {
  type FileSummary,
  getUploadSession,
  putChunk,
  type SessionId,
  uploadFile,
  UploadJournal,
  withUploadSession,
} from "../mod.ts"
import type { JournalEntry } from "../src/journal/JournalEntry.ts"
import type { SessionHooks } from "../src/upload/OpenSession.ts"
import { Patience } from "../src/upload/Patience.ts"
import { chunksOf, sizeOf } from "../src/upload/ranges.ts"
import { findResumable } from "../src/upload/resumeSession.ts"
import { transact } from "../src/upload/transaction.ts"
import { cluster, S } from "./support/cluster.ts"
import { rangeStore } from "./support/rangeStore.ts"

const long = process.env["HUGE_FILES"] !== undefined

const MiB = 1024 * 1024
const GiB = 1024 * MiB
/** One byte beyond each border, and more than one chunk beyond it. */
const SIZES = [2 * GiB + 1, 4 * GiB + 1, 4 * GiB + 200 * MiB + 7]

/** Every so many bytes a file says where in it they are. */
const STEP = 16 * MiB
const CHUNK = 4 * STEP

const mark = (piece: Uint8Array, at: number) => {
  new DataView(piece.buffer, piece.byteOffset).setFloat64(0, at)
  return piece
}

/** A file of marks. A piece is good until the next one is asked for. */
const marked = (size: number) => {
  const piece = new Uint8Array(STEP)
  return {
    size,
    stream: Stream.map(
      Stream.rechunk(Stream.range(0, Math.ceil(size / STEP) - 1), 1),
      (step) => mark(piece, step * STEP).subarray(0, size - step * STEP),
    ),
  }
}

const quiet: SessionHooks = {
  sending: () => {},
  out: () => {},
  unsettled: () => {},
  retried: () => {},
  waiting: () => Effect.void,
  arrived: () => {},
  committing: () => {},
}

/** Counts what arrives of a file of marks. */
const counter = () => {
  let bytes = 0
  return {
    bytes: () => bytes,
    see: (at: number, piece: Uint8Array) => {
      bytes += piece.length
      const first = Math.ceil(at / STEP) * STEP
      for (let next = first; next + 8 <= at + piece.length; next += STEP) {
        const told = new DataView(piece.buffer, piece.byteOffset + next - at).getFloat64(0)
        assert.strictEqual(told, next, "a piece is where it belongs")
      }
    },
  }
}

/** What is sent of a file when all goes well, computed without the library. */
const rangesOf = (size: number) => {
  const [whole, chunk] = [BigInt(size), BigInt(CHUNK)]
  return Array.from({ length: Math.ceil(size / CHUNK) }, (_, index) => {
    const first = BigInt(index) * chunk
    const next = first + chunk < whole ? first + chunk : whole
    return `bytes ${first}-${next - 1n}/${whole}`
  })
}

const upload = (size: number) =>
  Effect.map(
    Stream.runLast(uploadFile(marked(size), "App/a.bin", { chunkSize: CHUNK, concurrency: 2 })),
    (last) => Option.getOrThrow(last) as FileSummary,
  )

const journalIsEmpty = Effect.flatMap(
  UploadJournal,
  ({ entries }) => Effect.map(entries, (left) => assert.deepStrictEqual(left, [])),
)

describe("a huge file", () => {
  for (const size of SIZES) {
    it.effect(`of ${size} bytes has exact ranges, and is committed when none is missing`, () => {
      const store = rangeStore(BigInt(size), () => {})
      const piece = new Uint8Array(CHUNK)
      return Effect.gen(function* () {
        yield* withUploadSession({ path: "App/a.bin", size }, ({ put }) =>
          Effect.forEach(
            chunksOf(size, CHUNK),
            (range) => put(range, piece.subarray(0, sizeOf(range))),
            { discard: true },
          ))
        assert.deepStrictEqual(store.chunks, rangesOf(size))
        assert.strictEqual(store.made(), BigInt(size))
        yield* journalIsEmpty
      }).pipe(Effect.provide(Layer.merge(store.layer, UploadJournal.layerMemory())))
    })

    // One of them is enough for the short form.
    it.effect.skipIf(!long && size !== SIZES.at(-1))(`of ${size} bytes goes by one request on Linux`, () => {
      const { bytes, see } = counter()
      const store = rangeStore(BigInt(size), see, { os: "linux" })
      return Effect.gen(function* () {
        assert.strictEqual((yield* upload(size)).sent, size)
        assert.strictEqual(bytes(), size)
        assert.strictEqual(store.made(), BigInt(size))
      }).pipe(Effect.provide(Layer.merge(store.layer, UploadJournal.layerMemory())))
    }, 120_000)

    it.effect.skipIf(!long)(`of ${size} bytes is read, hashed and sent chunk by chunk`, () => {
      const { bytes, see } = counter()
      const store = rangeStore(BigInt(size), see)
      return Effect.gen(function* () {
        const { resumed, sent } = yield* upload(size)
        assert.deepStrictEqual({ resumed, sent }, { resumed: 0, sent: size })
        assert.strictEqual(bytes(), size)
        assert.sameMembers(store.chunks, rangesOf(size))
        assert.strictEqual(store.made(), BigInt(size))
        yield* journalIsEmpty
      }).pipe(Effect.provide(Layer.merge(store.layer, UploadJournal.layerMemory())))
    }, 120_000)
  }

  describe("that was killed beyond 4 GiB", () => {
    const size = SIZES.at(-1)!
    const chunks = chunksOf(size, CHUNK)
    const there = chunks.at(-3)!.first
    /** What the dead run left: all but the last three chunks. */
    const left = (see: Parameters<typeof rangeStore>[1], hashOf: (first: number) => string) => {
      const entry: JournalEntry = {
        sessionId: S as SessionId,
        endpoints: ["http://one:19080"],
        path: "App/a.bin",
        size,
        chunkSize: CHUNK,
        source: "stream",
        owner: { host: "a", process: 1, start: 1 },
        state: "open",
        hashes: Object.fromEntries(chunks.slice(0, -3).map(({ first }) => [first, hashOf(first)])),
        quietAt: 0,
        // So long ago that nothing of it can arrive any more.
        touched: -3_600_000,
      }
      const journal = UploadJournal.layerMemory({
        store: new Map([[entry.sessionId, entry]]),
        owner: { host: "a", process: 2, start: 2 },
      })
      const expected = [{ first: BigInt(there), last: BigInt(size) - 1n }]
      return { journal, store: rangeStore(BigInt(size), see, { expected }) }
    }

    it.effect("is resumed where it lacks something, and nowhere else", () => {
      const { journal, store } = left(() => {}, String)
      const piece = new Uint8Array(CHUNK)
      const patience = new Patience(60_000)
      return Effect.gen(function* () {
        const found = yield* findResumable({
          path: "App/a.bin",
          size,
          chunkSize: CHUNK,
          resume: true,
          patience,
          waiting: () => Effect.void,
          verify: ({ first }, hash) => Effect.succeed(hash === String(first)),
        })
        assert.isAbove(there, 4 * GiB)
        assert(found._tag === "Session")
        assert.deepStrictEqual(found.received, chunks.slice(0, -3))
        yield* transact(
          { path: "App/a.bin", size },
          {
            source: "",
            chunkSize: () => CHUNK,
            resumed: found,
            hooks: quiet,
            patience,
            restart: () => false,
          },
          ({ missing, send }) =>
            Effect.forEach(
              chunks.filter(({ first }) => missing.some((gap) => gap.first <= first && first <= gap.last)),
              (range) => send(range, piece.subarray(0, sizeOf(range)), ""),
              { discard: true },
            ),
        )
        assert.deepStrictEqual(store.chunks, rangesOf(size).slice(-3))
        assert.strictEqual(store.made(), BigInt(size))
        yield* journalIsEmpty
      }).pipe(Effect.scoped, Effect.provide(Layer.merge(store.layer, journal)))
    })

    it.effect.skipIf(!long)("is compared up to there, and gets what is missing and no byte else", () => {
      const { bytes, see } = counter()
      const piece = new Uint8Array(CHUNK)
      const { journal, store } = left(see, (first) => {
        for (let at = 0; at < CHUNK; at += STEP) mark(piece.subarray(at), first + at)
        return createHash("sha256").update(piece).digest("hex")
      })
      return Effect.gen(function* () {
        const { resumed, sent } = yield* upload(size)
        assert.deepStrictEqual({ resumed, sent }, { resumed: there, sent: size - there })
        assert.strictEqual(bytes(), size - there)
        assert.sameMembers(store.chunks, rangesOf(size).slice(-3))
        assert.strictEqual(store.made(), BigInt(size))
        yield* journalIsEmpty
      }).pipe(Effect.provide(Layer.merge(store.layer, journal)))
    }, 120_000)
  })

  it.effect("may have as many bytes as a number tells exactly", () =>
    Effect.gen(function* () {
      const size = Number.MAX_SAFE_INTEGER
      yield* putChunk({
        path: "App/a.bin",
        sessionId: S,
        range: { first: size - 3, last: size - 2 },
        size,
        bytes: new Uint8Array(2),
      })
      const session = Option.getOrThrow(yield* getUploadSession({ sessionId: S }))
      assert.strictEqual(session.size, size)
      assert.deepStrictEqual(session.expected, [
        { first: 0, last: size - 4 },
        { first: size - 1, last: size - 1 },
      ])
    }).pipe(Effect.provide(cluster)))
})
