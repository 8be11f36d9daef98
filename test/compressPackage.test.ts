import { afterEach, assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { existsSync, readdirSync, readlinkSync, symlinkSync } from "node:fs"
import { appendFile, readdir, rm, truncate, writeFile } from "node:fs/promises"
import { join } from "node:path"
import process from "node:process"
import { setImmediate } from "node:timers/promises"
import { vi } from "vitest"
import { type CompressionHooks, compressionsOf, compressPackage } from "../src/package/compressPackage.ts"
import type { PackageContent } from "../src/package/PackageContent.ts"
import { readFolder } from "../src/package/packageFolder.ts"
import { failure } from "./support/cluster.ts"
import { folderOf, shop, temporaryFolder } from "./support/packages.ts"

afterEach(() => void vi.unstubAllEnvs())

/** Files in a folder that this process has open, where the system tells. */
const openIn = (folder: string): ReadonlyArray<string> => {
  try {
    return readdirSync("/proc/self/fd").flatMap(targetOf).filter((path) => path.startsWith(folder))
  } catch {
    return []
  }
}

const targetOf = (fd: string): ReadonlyArray<string> => {
  try {
    return [readlinkSync(`/proc/self/fd/${fd}`)]
  } catch {
    return []
  }
}

/** A package, and the folder in which its zip files come to be. */
const shopOnDisk = Effect.gen(function* () {
  const folder = yield* folderOf({
    ...shop,
    "Web/Code/empty.txt": "",
    "Web/Code/large.dll": new Uint8Array(1e6),
  })
  const place = yield* temporaryFolder
  vi.stubEnv("TMPDIR", place)
  return { folder, place, content: readFolder(folder) }
})

const compress = (
  content: PackageContent,
  packages: ReadonlyArray<string> = ["Web/Code"],
  hooks: CompressionHooks = { begins: () => {}, read: () => {} },
) => Effect.scoped(compressPackage(content, compressionsOf(content, packages), hooks))

/** Nothing is left, and nothing is open, as soon as the compression has ended. */
const nothingLeft = (folder: string, place: string) =>
  Effect.gen(function* () {
    assert.deepStrictEqual([...openIn(place), ...openIn(folder)], [])
    assert.deepStrictEqual(yield* Effect.promise(() => readdir(place)), [])
  })

describe("a package that is compressed", () => {
  it.scopedLive("tells of each folder when its turn comes, and how much has been read a few times a second", () =>
    Effect.gen(function* () {
      const place = yield* temporaryFolder
      vi.stubEnv("TMPDIR", place)
      const stream = Stream.map(Stream.range(1, 10), () => new Uint8Array(2))
      const content: PackageContent = {
        source: "Shop.sfpkg",
        files: ["Web/Code/web.exe", "Web/Config/Settings.xml"].map((name) => ({
          name,
          size: 20,
          source: { stream: Stream.rechunk(stream, 1), size: 20 },
        })),
        folders: [],
        problems: [],
      }
      const told: Array<string | number> = []
      let now = 1000
      yield* compress(content, ["Web/Code", "Web/Config"], {
        begins: ({ folder }) => told.push(folder),
        read: (bytes) => told.push(bytes),
      }).pipe(
        // Each piece takes a tenth of a second.
        Effect.withClock(Object.assign(Clock.make(), { unsafeCurrentTimeMillis: () => now += 100 })),
      )
      assert.deepStrictEqual(told, ["Web/Code", 2, 8, 14, 20, "Web/Config", 26, 32, 38, 40])
    }))

  for (
    const [what, name, change] of [
      ["gone", "web.exe", (file: string) => rm(file)],
      ["shorter", "large.dll", (file: string) => truncate(file, 500_000)],
      ["empty", "large.dll", (file: string) => truncate(file)],
      ["longer", "large.dll", (file: string) => appendFile(file, "more")],
      ["longer by a lot", "web.exe", (file: string) => writeFile(file, new Uint8Array(2e6))],
      ["no longer empty", "empty.txt", (file: string) => writeFile(file, "some")],
    ] as const
  ) {
    it.scopedLive(`fails when one of its files is ${what} by now`, () =>
      Effect.gen(function* () {
        const { content, folder, place } = yield* shopOnDisk
        yield* Effect.promise(() => change(join(folder, "Web/Code", name)))
        const error = yield* failure(compress(content))
        assert.strictEqual(error._tag, "SourceError")
        assert.include(error.message, `Web/Code/${name}`)
        assert.include(error.message, what === "gone" ? "ENOENT" : "changed")
        yield* nothingLeft(folder, place)
      }))
  }

  it.scopedLive.skipIf(!existsSync("/dev/full"))(
    "says that there is no room for it, and where, and blames none of its files",
    () =>
      Effect.gen(function* () {
        const { content, folder, place } = yield* shopOnDisk
        const begins = () => symlinkSync("/dev/full", join(place, readdirSync(place)[0]!, "0.zip"))
        const { message } = yield* Effect.flip(compress(content, ["Web/Code"], { begins, read: () => {} }))
        assert.strictEqual(
          message,
          `Cannot upload ${folder}: there is no room for its zip files in ${place} (ENOSPC); TMPDIR names another folder`,
        )
        yield* nothingLeft(folder, place)
      }),
  )

  it.scopedLive("says where it cannot be written", () =>
    Effect.gen(function* () {
      const { content, folder, place } = yield* shopOnDisk
      yield* Effect.promise(() => rm(place, { recursive: true }))
      const { message } = yield* Effect.flip(compress(content))
      assert.strictEqual(
        message,
        `Cannot upload ${folder}: its zip files cannot be written in ${place} (ENOENT); TMPDIR names another folder`,
      )
    }))

  it.scopedLive.skipIf(process.platform !== "linux")(
    "has nothing open when it was interrupted",
    () =>
      Effect.gen(function* () {
        const { folder, place } = yield* shopOnDisk
        yield* Effect.promise(() => truncate(join(folder, "Web/Code/large.dll"), 2 ** 30))
        const fiber = yield* Effect.fork(compress(readFolder(folder)))
        yield* Effect.promise(async () => {
          while (!openIn(folder).some((path) => path.endsWith("large.dll"))) await setImmediate()
        })
        yield* Fiber.interrupt(fiber)
        yield* nothingLeft(folder, place)
      }),
  )

  /** A package in an archive, with a file that is said to have 20 bytes. */
  const shopInStream = (bytes: Stream.Stream<Uint8Array>) =>
    Effect.gen(function* () {
      const place = yield* temporaryFolder
      vi.stubEnv("TMPDIR", place)
      const begun = yield* Deferred.make<void>()
      const ended = yield* Deferred.make<void>()
      const stream = bytes.pipe(
        Stream.tap(() => Deferred.succeed(begun, undefined)),
        Stream.ensuring(Deferred.succeed(ended, undefined)),
      )
      const content: PackageContent = {
        source: "Shop.sfpkg",
        files: [{ name: "Web/Code/web.exe", size: 20, source: { stream, size: 20 } }],
        folders: [],
        problems: [],
      }
      return { begun, content, ended, place }
    })

  it.scopedLive("fails when a stream gives less than was said", () =>
    Effect.gen(function* () {
      const { content, ended, place } = yield* shopInStream(Stream.succeed(new Uint8Array(10)))
      const error = yield* failure(compress(content))
      assert.include(error.message, "Web/Code/web.exe: it changed")
      assert.isTrue(yield* Deferred.isDone(ended))
      yield* nothingLeft(place, place)
    }))

  it.scopedLive("ends the stream that it reads when it is interrupted, also one that gives nothing more", () =>
    Effect.gen(function* () {
      const { begun, content, ended, place } = yield* shopInStream(
        Stream.concat(Stream.succeed(new Uint8Array(10)), Stream.never),
      )
      const fiber = yield* Effect.fork(compress(content))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(fiber)
      assert.isTrue(yield* Deferred.isDone(ended))
      yield* nothingLeft(place, place)
    }))
})
