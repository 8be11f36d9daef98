import { assert, describe, it } from "@effect/vitest"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { JournalError, putFile } from "../mod.ts"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import { halfPackages } from "../src/halfPackages.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { uploadPackage } from "../src/uploadPackage.ts"
import { failure, inject, requests } from "./support/cluster.ts"
import {
  holds,
  killed,
  names,
  newer,
  OPTIONS,
  resumed,
  run,
  small,
  upload,
} from "./support/killedPackages.ts"
import { afterwards, type Mortal, mortalRun, until } from "./support/mortal.ts"
import { folderOf, stored, temporaryFolder } from "./support/packages.ts"

const YEAR = 365 * 86_400_000

describe("what a killed upload of a package had under way", () => {
  it.effect("a deletion of the marker by a dead run does not unmark the package that came after it", () =>
    run(Effect.gen(function* () {
      yield* Effect.provide(upload(yield* folderOf({ "a.txt": "zero" })), UploadJournal.layerMemory())
      yield* inject(Fault.late("20 seconds"), "DeleteImageStoreContent")
      const [one, two] = [yield* folderOf({ "a.txt": "one" }), yield* folderOf({ "a.txt": "two" })]
      const dead = yield* killed(one, 1, {}, "DeleteImageStoreContent")
      yield* resumed(two, dead)
      yield* holds({ "a.txt": "two" })
      yield* Effect.sleep("5 minutes")
      yield* holds({ "a.txt": "two" })
    })))

  it.effect("in a roll-back does not delete the package that came after it", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf({ "a.txt": "one", "b.txt": "two" })
      yield* inject(Fault.late("20 seconds"), "DeleteImageStoreContent")
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      const dead = yield* killed(source, 1, {}, "DeleteImageStoreContent")
      yield* resumed(source, dead)
      yield* holds({ "a.txt": "one", "b.txt": "two" })
      yield* Effect.sleep("5 minutes")
      yield* holds({ "a.txt": "one", "b.txt": "two" })
    })))

  it.effect("the marker of a dead run does not complete a half package", () =>
    run(Effect.gen(function* () {
      const files = { "a.txt": "one", "b.txt": "two" }
      const many = Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`n${i}.txt`, `${i}`]))
      const source = yield* folderOf({ "a.txt": "ONE", ...many })
      const dead = yield* mortalRun(uploadPackage(yield* folderOf(files), "App", { ...OPTIONS }))
      yield* until("UploadFile", 2)
      yield* inject(Fault.late("9 seconds"), "UploadFile")
      yield* until("UploadFile", 3)
      yield* dead.kill
      const next = yield* Effect.fork(Effect.exit(resumed(source, dead, { concurrency: 1 })))
      yield* until("UploadFile", 3 + 12)
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      yield* Fiber.join(next)
      yield* Effect.sleep("5 minutes")
      const found = yield* stored
      assert.notProperty(found, "App/_.dir")
    })))

  it.effect("a folder's marker of a dead run does not stay where the newer package has no such folder", () =>
    run(Effect.gen(function* () {
      const next = yield* folderOf({ "a.txt": "ONE" })
      const old = { "old/1/2/3/4/a.txt": "a".repeat(100) }
      const dead = yield* mortalRun(uploadPackage(yield* folderOf(old), "App", { ...OPTIONS }))
      yield* until("UploadFile", 4)
      yield* inject(Fault.late("20 seconds"), "UploadFile")
      yield* until("UploadFile", 5)
      yield* dead.kill
      yield* resumed(next, dead)
      yield* Effect.sleep("5 minutes")
      yield* holds({ "a.txt": "ONE" })
    })))

  it.effect("a lost first try of a dead run, repeated with success, does not replace a newer file", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.late("25 seconds"), "UploadFile")
      const next = yield* folderOf(newer)
      const dead = yield* killed(yield* folderOf(small), 12)
      yield* resumed(next, dead, { concurrency: 20 })
      yield* holds(newer)
      yield* Effect.sleep("5 minutes")
      yield* holds(newer)
    })))

  it.effect("a name in another case is the same file on Windows", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.late("20 seconds"), "UploadFile")
      const next = yield* folderOf({ "A.txt": "new1" })
      const dead = yield* killed(yield* folderOf({ "a.txt": "old1" }), 1, { concurrency: 1 })
      yield* resumed(next, dead)
      yield* Effect.sleep("5 minutes")
      assert.deepStrictEqual(Object.values(yield* stored), ["", "new1"])
    })))

  it.effect("the commit of a dead run does not replace a file that goes by one request now", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.late("50 seconds"), "CommitImageStoreUploadSession")
      const next = yield* folderOf({ "a.dll": "b".repeat(300) })
      const dead = yield* killed(
        yield* folderOf({ "a.dll": "a".repeat(300) }),
        1,
        {},
        "CommitImageStoreUploadSession",
      )
      yield* resumed(next, dead, { chunkSize: 1000 })
      yield* holds({ "a.dll": "b".repeat(300) })
      yield* Effect.sleep("15 minutes")
      yield* holds({ "a.dll": "b".repeat(300) })
      assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
    })))

  it.effect("the commit of a dead run does not bring a file that the newer package has not", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.late("50 seconds"), "CommitImageStoreUploadSession")
      const next = yield* folderOf({ "a.txt": "b" })
      const dead = yield* killed(
        yield* folderOf({ "old.dll": "a".repeat(300) }),
        1,
        {},
        "CommitImageStoreUploadSession",
      )
      yield* resumed(next, dead)
      yield* Effect.sleep("15 minutes")
      yield* holds({ "a.txt": "b" })
    })))
})

describe("what a killed upload had under way to the same place in another case", () => {
  /** The next run, to `app`. */
  const toLower = (source: string, { packages, store }: Mortal) =>
    Effect.provide(Stream.runDrain(uploadPackage(source, "app", OPTIONS)), afterwards(store, packages))
  const contents = Effect.map(stored, (files) => Object.values(files).sort())

  it.effect("does not delete the package that came after it", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf({ "a.txt": "one", "b.txt": "two" })
      yield* inject(Fault.late("20 seconds"), "DeleteImageStoreContent")
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      yield* toLower(source, yield* killed(source, 1, {}, "DeleteImageStoreContent"))
      yield* Effect.sleep("5 minutes")
      assert.deepStrictEqual(yield* contents, ["", "one", "two"])
    })))

  it.effect("does not arrive in place of a newer file", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.late("20 seconds"), "UploadFile")
      const next = yield* folderOf({ "a.txt": "new1" })
      yield* toLower(next, yield* killed(yield* folderOf({ "a.txt": "old1" }), 1, { concurrency: 1 }))
      yield* Effect.sleep("5 minutes")
      assert.deepStrictEqual(yield* contents, ["", "new1"])
    })))

  for (const [name, replaced] of [["replace a file", "A.DLL"], ["bring a file back", "other.dll"]] as const) {
    it.effect(`does not ${name} by its commit`, () =>
      run(Effect.gen(function* () {
        const large = "b".repeat(300)
        yield* inject(Fault.late("50 seconds"), "CommitImageStoreUploadSession")
        const next = yield* folderOf({ [replaced]: large })
        const old = yield* folderOf({ "a.dll": "a".repeat(300) })
        yield* toLower(next, yield* killed(old, 1, {}, "CommitImageStoreUploadSession"))
        yield* Effect.sleep("15 minutes")
        assert.deepStrictEqual(yield* contents, ["", large])
        assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
      })))
  }

  it.effect("stays recorded on Linux, where that is another place", () =>
    run(
      Effect.gen(function* () {
        const source = yield* folderOf(small)
        const dead = yield* killed(source, 12)
        yield* toLower(source, dead)
        assert.deepStrictEqual([...dead.packages.values()].map(({ path }) => path), ["App"])
      }),
      { os: "linux" },
    ))
})

describe("what an upload of a package had lost", () => {
  it.effect("what a roll-back removed does not come back from the dead run", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.late("20 seconds"), "UploadFile")
      const source = yield* folderOf(small)
      const dead = yield* killed(source, 1, { concurrency: 1 })
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      yield* failure(resumed(source, dead, { concurrency: 1 }))
      yield* Effect.sleep("5 minutes")
      assert.deepStrictEqual([yield* stored, dead.packages.size], [{}, 0])
    })))

  it.effect("a lost try of an upload that succeeded does not replace a newer file", () =>
    run(Effect.gen(function* () {
      const [one, two] = [yield* folderOf({ "a.txt": "one" }), yield* folderOf({ "a.txt": "two" })]
      yield* Effect.gen(function* () {
        yield* inject(Fault.late("20 seconds"), "UploadFile")
        yield* upload(one)
        yield* upload(two)
        yield* holds({ "a.txt": "two" })
        yield* Effect.sleep("5 minutes")
        yield* holds({ "a.txt": "two" })
      }).pipe(Effect.provide(UploadJournal.layerMemory()))
    })))

  it.effect("session clean does not forget half a package that cannot be listed", () =>
    run(Effect.gen(function* () {
      const dead = yield* killed(yield* folderOf(small), 12)
      yield* Effect.sleep("2 hours")
      const half = Effect.provide(halfPackages, afterwards(dead.store, dead.packages))
      yield* inject(Fault.reply(404, "FABRIC_E_FILE_NOT_FOUND"), "GetImageStoreContent")
      assert.isTrue((yield* Effect.flip(half)).message.includes("FABRIC_E_FILE_NOT_FOUND"))
      assert.deepStrictEqual((yield* half).map(({ path }) => path), ["App"])
    })))

  it.effect("session clean does not forget a package whose file may still arrive", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.late("20 seconds"), "UploadFile")
      const next = yield* folderOf({ "a.txt": "new1" })
      const dead = yield* killed(yield* folderOf({ "a.txt": "old1" }), 1, { concurrency: 1 })
      yield* Effect.provide(halfPackages, afterwards(dead.store, dead.packages))
      yield* resumed(next, dead)
      yield* Effect.sleep("5 minutes")
      yield* holds({ "a.txt": "new1" })
    })))
})

describe("the roll-back of a package", () => {
  it.effect("an upload that is interrupted while its marker goes out is removed", () =>
    run(Effect.gen(function* () {
      const packages = new Map()
      const source = yield* folderOf({ "a.txt": "one" })
      const fiber = yield* Effect.fork(
        Effect.provide(upload(source), UploadJournal.layerMemory({ packages })),
      )
      yield* until("UploadFile", 2)
      yield* Fiber.interrupt(fiber)
      assert.deepStrictEqual([yield* stored, packages.size], [{}, 0])
    })))

  it.effect("does not delete what somebody else has put under the same name", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(small)
      const dead = yield* killed(source, 15)
      for (const name of names.slice(0, 12)) {
        yield* putFile({ path: `App/${name}`, bytes: new TextEncoder().encode("theirs") })
      }
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      yield* failure(resumed(source, dead))
      assert.include(Object.values(yield* stored), "theirs")
    })))

  it.effect("does not delete a package that somebody completed meanwhile", () =>
    run(Effect.gen(function* () {
      const [one, two] = [yield* folderOf(small), yield* folderOf(newer)]
      const slow = yield* Effect.fork(
        Effect.exit(Effect.provide(upload(one, { concurrency: 1 }), UploadJournal.layerMemory())),
      )
      yield* Effect.sleep("10 seconds")
      yield* Effect.provide(upload(two, { concurrency: 4 }), UploadJournal.layerMemory())
      // Until all is sent again.
      yield* until("DeleteImageStoreContent", 1)
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      yield* Fiber.join(slow)
      assert.isAbove(Object.keys(yield* stored).length, 0)
    })))

  it.effect("does not delete what another run was told to keep", () =>
    run(Effect.gen(function* () {
      const packages = new Map()
      const journal = yield* Layer.build(UploadJournal.layerMemory({ packages }))
      const [one, two] = [yield* folderOf(small), yield* folderOf(newer)]
      const first = yield* Effect.fork(
        Effect.exit(Effect.provide(upload(one, { onFailure: "keep" }), journal)),
      )
      yield* Effect.sleep(100)
      const second = yield* Effect.fork(Effect.exit(Effect.provide(upload(two), journal)))
      yield* until("UploadFile", 10)
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      yield* Fiber.join(first)
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      yield* Fiber.join(second)
      assert.isAbove(Object.keys(yield* stored).length, 0)
    })))
})

describe("the record of a package", () => {
  it.effect("goes with it, though the disk was full for a moment", () =>
    run(Effect.gen(function* () {
      const packages = new Map()
      let full = false
      const journal = Layer.map(UploadJournal.layerMemory({ packages }), (context) => {
        const journal = Context.get(context, UploadJournal)
        const update: typeof journal.packages.update = (id, patch) => {
          const fails = !full
          full = true
          return fails
            ? Effect.fail(new JournalError({ place: "/full", issue: "ENOSPC" }))
            : journal.packages.update(id, patch)
        }
        return Context.make(UploadJournal, { ...journal, packages: { ...journal.packages, update } })
      })
      yield* Effect.provide(upload(yield* folderOf(small)), journal)
      yield* holds(small)
      assert.strictEqual(packages.size, 0)
    })))

  it.effect("does not make the next run wait for a time that only a clock knew which was set back since", () =>
    run(Effect.gen(function* () {
      yield* Effect.provide(upload(yield* folderOf({ "a.txt": "zero" })), UploadJournal.layerMemory())
      yield* inject(Fault.late("20 seconds"), "DeleteImageStoreContent")
      const dead = yield* killed(yield* folderOf(small), 1, {}, "DeleteImageStoreContent")
      for (const [id, record] of dead.packages) {
        const [touched, quietAt] = [record.touched + YEAR, record.quietAt + YEAR]
        dead.packages.set(id, { ...record, touched, quietAt })
      }
      const [took] = yield* Effect.timed(resumed(yield* folderOf(newer), dead))
      assert.isBelow(Duration.toSeconds(took), 120)
      yield* Effect.sleep("5 minutes")
      yield* holds(newer)
    })))

  it.effect("is warned of once where the journal cannot be used", () =>
    run(Effect.gen(function* () {
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const place = yield* temporaryFolder
      yield* Effect.promise(() => writeFile(join(place, "file"), ""))
      yield* upload(yield* folderOf(small)).pipe(
        Effect.provide(UploadJournal.layer({ folder: join(place, "file", "below") })),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      )
      assert.strictEqual(warnings.length, 1)
    })))

  it.effect("keeps two uploads apart, though one of theirs takes its time", () =>
    run(Effect.gen(function* () {
      const store = new Map()
      const on = (process: number, slow: number) =>
        Layer.map(
          UploadJournal.layerMemory({ store, owner: { host: "a", process, start: 1 }, alive: () => true }),
          (context) => {
            const journal = Context.get(context, UploadJournal)
            const create: typeof journal.packages.create = (entry) =>
              Effect.zipRight(Effect.sleep(slow), journal.packages.create(entry))
            return Context.make(UploadJournal, { ...journal, packages: { ...journal.packages, create } })
          },
        )
      const [one, two] = [yield* folderOf(small), yield* folderOf(newer)]
      const first = yield* Effect.fork(Effect.provide(upload(one, { concurrency: 1 }), on(1, 500)))
      yield* Effect.sleep(100)
      yield* Effect.provide(upload(two, { concurrency: 4 }), on(2, 0))
      yield* Fiber.join(first)
      const puts = (yield* requests).filter(({ operation }) => operation === "UploadFile")
      assert.strictEqual(puts.length, 2 * (names.length + 1))
    })))
})
