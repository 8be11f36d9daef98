import { afterEach, assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { spawnSync } from "node:child_process"
import { mkdir, readdir, symlink, utimes, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import process from "node:process"
import { vi } from "vitest"
import { compressionFolder, removeLeftCompressions } from "../src/package/compressionFolder.ts"
import { uploadPackage } from "../src/uploadPackage.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { cluster } from "./support/cluster.ts"
import { folderOf, temporaryFolder } from "./support/packages.ts"

afterEach(() => void vi.unstubAllEnvs())

/** A folder for temporary files, and what those of other processes are called there. */
const place = Effect.gen(function* () {
  const parent = yield* temporaryFolder
  vi.stubEnv("TMPDIR", parent)
  const own = basename(yield* Effect.scoped(compressionFolder))
  const nameOf = (pid: number) => own.replace(String(process.pid), String(pid))
  const make = (name: string, file = "0.zip") =>
    Effect.promise(async () => {
      await mkdir(join(parent, name))
      await writeFile(join(parent, name, file), "PK")
    })
  const left = Effect.promise(() => readdir(parent))
  return { left, make, nameOf, own, parent }
})

/** The number of a process that is over. */
const dead = () => spawnSync(process.execPath, ["--version"]).pid

describe("the folder of a compression", () => {
  it.scopedLive("has the name of its process, and goes with its scope", () =>
    Effect.gen(function* () {
      const { left, own } = yield* place
      assert.match(own, new RegExp(`^image-store-zip-${process.pid}@.+-[^-]+$`))
      assert.deepStrictEqual(yield* left, [])
    }))

  it.scopedLive("goes with the next upload of a package where its process is dead", () =>
    Effect.gen(function* () {
      const { left, make, nameOf } = yield* place
      yield* make(nameOf(dead()))
      yield* Effect.exit(Stream.runDrain(uploadPackage(yield* folderOf({})))).pipe(
        Effect.provide([cluster, UploadJournal.layerMemory()]),
      )
      assert.deepStrictEqual((yield* left).filter((name) => name.startsWith("image-store-zip-")), [])
    }))
})

describe("a sweep", () => {
  it.scopedLive("removes what a dead process left", () =>
    Effect.gen(function* () {
      const { left, make, nameOf } = yield* place
      yield* make(nameOf(dead()))
      yield* removeLeftCompressions
      assert.deepStrictEqual(yield* left, [])
    }))

  it.scopedLive("leaves alone what a living process makes, this one among them", () =>
    Effect.gen(function* () {
      const { left, make, nameOf } = yield* place
      const names = [nameOf(process.ppid), nameOf(process.pid)]
      yield* Effect.forEach(names, (name) => make(name))
      yield* removeLeftCompressions
      assert.sameMembers(yield* left, names)
    }))

  it.scopedLive.skipIf(process.platform !== "linux")(
    "removes what a process left that had the same number",
    () =>
      Effect.gen(function* () {
        const { left, make, own, parent } = yield* place
        yield* make(own)
        const before = Date.now() / 1000 - process.uptime() - 60
        yield* Effect.promise(() => utimes(join(parent, own), before, before))
        yield* removeLeftCompressions
        assert.deepStrictEqual(yield* left, [])
      }),
  )

  it.scopedLive("leaves alone what is of another host, of nobody, or no such folder", () =>
    Effect.gen(function* () {
      const { left, make, nameOf, parent } = yield* place
      const name = nameOf(dead())
      const kept = [
        name.replace("@", "@another-"),
        "image-store-zip-a1B2c3",
        `my-${name}`,
        `${name}.bak-`,
      ]
      yield* Effect.forEach(kept, (name) => make(name))
      yield* Effect.promise(() => writeFile(join(parent, `${name}0`), "a file"))
      yield* Effect.promise(() => symlink(join(parent, kept[1]!), join(parent, `${name}1`)))
      yield* removeLeftCompressions
      assert.sameMembers(yield* left, [...kept, `${name}0`, `${name}1`])
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(join(parent, kept[1]!))), ["0.zip"])
    }))

  it.scopedLive("never removes what is no zip file of a compression", () =>
    Effect.gen(function* () {
      const { left, make, nameOf, parent } = yield* place
      const name = nameOf(dead())
      yield* make(name, "letter.txt")
      yield* removeLeftCompressions
      assert.deepStrictEqual(yield* left, [name])
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(join(parent, name))), ["letter.txt"])
    }))
})
