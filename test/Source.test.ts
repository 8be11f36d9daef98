import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import { appendFile, truncate, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import process from "node:process"
import { type OpenSource, withSource } from "../src/upload/Source.ts"
import type { SourceError } from "../src/UploadEvent.ts"
import { bytesOf } from "./support/bytes.ts"
import { fileOf, temporaryFolder } from "./support/packages.ts"

const SMALL = 1000
const LARGE = 200_000

/** Looks at a file with these bytes while it is open. */
const opened = <A, E>(
  bytes: Uint8Array,
  look: (
    file: {
      readonly path: string
      readonly source: OpenSource
      readonly read: (first: number, last: number) => Effect.Effect<Uint8Array, SourceError>
    },
  ) => Effect.Effect<A, E>,
) =>
  Effect.flatMap(fileOf("a.bin", bytes), (path) =>
    withSource(path, (source) =>
      look({
        path,
        source,
        read: (first, last) =>
          Effect.map(source.read({ first, last }, new Uint8Array(bytes.length)), (found) => found.slice()),
      })))

/** The message of the error that opening a source fails with. */
const refusal = (source: string) =>
  Effect.map(Effect.flip(withSource(source, () => Effect.void)), ({ message }) => message)

describe("a file", () => {
  for (const size of [0, 1, SMALL, 64 * 1024, 64 * 1024 + 1, LARGE]) {
    it.scoped(`of ${size} bytes is read range by range`, () =>
      opened(bytesOf(size), ({ read, source }) =>
        Effect.gen(function* () {
          assert.strictEqual(source.size, size)
          for (const first of [0, Math.trunc(size / 2)].filter((at) => at < size)) {
            assert.deepStrictEqual(yield* read(first, size - 1), bytesOf(size).slice(first))
          }
          yield* source.check
        })))
  }

  for (const [name, size] of [["small", SMALL], ["large", LARGE]] as const) {
    it.scoped(`that is ${name} gives the same bytes again, or fails, when it is written meanwhile`, () =>
      Effect.gen(function* () {
        const before = bytesOf(size)
        for (
          const change of [
            (path: string) => truncate(path, size - 1),
            (path: string) => appendFile(path, "more"),
            (path: string) => writeFile(path, new Uint8Array(size)).then(() => utimes(path, 1, 1)),
          ]
        ) {
          const all = yield* opened(
            before,
            ({ path, read, source }) =>
              Effect.promise(() => change(path)).pipe(
                Effect.zipRight(read(0, size - 1)),
                Effect.zipLeft(source.check),
                Effect.either,
              ),
          )
          if (all._tag === "Right") assert.deepStrictEqual(all.right, before)
          else assert.include(all.left.message, "it changed while it was uploaded")
        }
      }))
  }

  it.scoped("that is not there, or is none, is told by its path", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      const none = join(folder, "none")
      assert.strictEqual(
        yield* refusal(none),
        `Cannot upload ${none}: it cannot be read (ENOENT)`,
      )
      assert.strictEqual(yield* refusal(folder), `Cannot upload ${folder}: it is not a file`)
    }))

  it.scoped.skipIf(process.platform !== "linux")(
    "that has no size but bytes is not taken for empty",
    () =>
      Effect.gen(function* () {
        assert.strictEqual(
          yield* refusal("/proc/cpuinfo"),
          "Cannot upload /proc/cpuinfo: it changed while it was uploaded",
        )
      }),
  )

  // Windows has none in its folders.
  it.scoped.skipIf(process.platform === "win32")(
    "that is a pipe is not waited for",
    () =>
      Effect.gen(function* () {
        const pipe = join(yield* temporaryFolder, "pipe")
        execFileSync("mkfifo", [pipe])
        assert.strictEqual(yield* refusal(pipe), `Cannot upload ${pipe}: it is not a file`)
      }),
  )
})

describe("a stream", () => {
  const pieces = (...sizes: ReadonlyArray<number>) =>
    Stream.rechunk(Stream.fromIterable(sizes.map((size) => new Uint8Array(size))), 1)

  it.effect("may hold pieces without bytes", () =>
    Effect.gen(function* () {
      const bytes = yield* withSource(
        { stream: pieces(0, 2, 0, 0, 3, 0), size: 5 },
        ({ read }) => read({ first: 0, last: 4 }, new Uint8Array(5)),
      )
      assert.strictEqual(bytes.length, 5)
    }))

  it.effect("is told to be too long, though a piece without bytes comes before the rest", () =>
    Effect.gen(function* () {
      const error = yield* Effect.flip(withSource(
        { stream: pieces(5, 0, 1), size: 5 },
        ({ read }) => read({ first: 0, last: 4 }, new Uint8Array(5)),
      ))
      assert.include(error.message, "more than the 5 bytes")
    }))
})
