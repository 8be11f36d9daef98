import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Stream from "effect/Stream"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { JournalError, putFile } from "../mod.ts"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import type { PackageEvent, PackageOptions } from "../src/PackageEvent.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { uploadPackage } from "../src/uploadPackage.ts"
import { failure, inject, requests, requestsOf } from "./support/cluster.ts"
import {
  BYTES,
  contentOf,
  type Env,
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
import { mortalRun, until } from "./support/mortal.ts"
import { fileOf, type Files, folderOf, stored } from "./support/packages.ts"
import { summaryOf } from "./support/uploads.ts"
import { zip } from "./support/zips.ts"

const planOf = (events: ReadonlyArray<PackageEvent>) =>
  events.find((event) => event._tag === "PackagePlanned") as Extract<
    PackageEvent,
    { _tag: "PackagePlanned" }
  >

/** Bytes of files that have arrived in requests so far. */
const arrived = Effect.map(
  requests,
  (all) =>
    all.filter(({ operation }) => operation === "UploadFile" || operation === "UploadFileChunk")
      .reduce((sum, { bodyBytes }) => sum + bodyBytes, 0),
)

describe("a package whose upload was killed", () => {
  it.effect("sends again no more than a chunk a worker, file by file", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(small)
      const dead = yield* killed(source, 15)
      const before = yield* arrived
      const events = yield* resumed(source, dead)
      const again = (yield* arrived) - names.length * BYTES
      yield* holds(small)
      assert.isAtLeast(before, 13 * BYTES)
      assert.isAtMost(again, OPTIONS.chunkSize * OPTIONS.concurrency + 2 * BYTES)
      const { resumed: bytes, sent } = summaryOf(events)
      assert.strictEqual(bytes + sent, names.length * BYTES)
      assert.strictEqual(planOf(events).stored, bytes)
      assert.isFalse(planOf(events).overwrites)
    })))

  it.effect("goes on entry by entry where it is an archive", () =>
    run(Effect.gen(function* () {
      const entries = names.map((name) => ({ name, text: contentOf(name) }))
      const source = yield* fileOf("App.zip", zip(entries))
      const dead = yield* killed(source, 15)
      const { sent } = summaryOf(yield* resumed(source, dead))
      yield* holds(small)
      assert.isAtMost(sent, 11 * BYTES)
    })))

  it.effect("goes on with the large file under way, and keeps those that were committed", () =>
    run(Effect.gen(function* () {
      const large: Files = { "a.dll": "a".repeat(1000), "b.dll": "b".repeat(990), "c.dll": "c".repeat(980) }
      const source = yield* folderOf(large)
      const dead = yield* killed(source, 25, {}, "UploadFileChunk")
      const before = yield* arrived
      const { resumed: bytes } = summaryOf(yield* resumed(source, dead))
      yield* holds(large)
      assert.isAtMost((yield* arrived) - 2970, OPTIONS.chunkSize * OPTIONS.concurrency)
      assert.isAtLeast(bytes, before - OPTIONS.chunkSize * OPTIONS.concurrency)
      assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
    })))

  it.effect("keeps large files of a Linux cluster too, which has no sessions", () =>
    run(
      Effect.gen(function* () {
        const large: Files = { "a.dll": "a".repeat(1000), "b.dll": "b".repeat(990), "c.dll": "c".repeat(980) }
        const source = yield* folderOf(large)
        const dead = yield* killed(source, 3, { concurrency: 1 })
        yield* Effect.sleep("5 seconds")
        const { sent } = summaryOf(yield* resumed(source, dead))
        yield* holds(large)
        assert.isAtMost(sent, 980 + 990)
      }),
      { os: "linux" },
    ))

  it.effect("ends the session of a file that is there already, as an earlier run brought it", () =>
    run(Effect.gen(function* () {
      const large = (letter: string) => ({ ...small, "large.bin": letter.repeat(300) })
      const [one, two] = [yield* folderOf(large("a")), yield* folderOf(large("b"))]
      const dead = yield* killed(one, 20)
      const sent = (yield* requestsOf("UploadFileChunk")).length
      const again = yield* killed(two, sent + 2, {}, "UploadFileChunk", dead)
      assert.strictEqual(again.store.size, 1)
      const begun = (yield* requestsOf("UploadFileChunk")).length
      yield* resumed(one, again)
      yield* holds(large("a"))
      assert.strictEqual((yield* requestsOf("UploadFileChunk")).length, begun)
      assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
      assert.strictEqual(again.store.size, 0)
    })))

  it.effect("sends what has changed in the source", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(small)
      const dead = yield* killed(source, 15)
      yield* Effect.promise(() => writeFile(join(source, names[0]!), contentOf(names[0]!, "2")))
      const events = yield* resumed(source, dead)
      yield* holds({ ...small, [names[0]!]: contentOf(names[0]!, "2") })
      assert.isAtMost(summaryOf(events).sent, 12 * BYTES)
    })))

  it.effect("sends what somebody has replaced in the store, though its size is the same", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(small)
      const dead = yield* killed(source, 15)
      yield* putFile({ path: `App/${names[0]}`, bytes: new TextEncoder().encode("?".repeat(BYTES)) })
      yield* resumed(source, dead)
      yield* holds(small)
    })))

  it.effect("is sent again as a whole when nothing is to be resumed", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(small)
      const dead = yield* killed(source, 15)
      const summary = summaryOf(yield* resumed(source, dead, { resume: false }))
      assert.deepStrictEqual([summary.sent, summary.resumed], [names.length * BYTES, 0])
    })))

  it.effect("is forgotten when it is whole", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(small)
      const dead = yield* killed(source, 15)
      assert.strictEqual(dead.packages.size, 1)
      yield* resumed(source, dead)
      assert.strictEqual(dead.packages.size, 0)
    })))

  it.effect("may be killed again, and keeps what both have brought", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(small)
      const first = yield* killed(source, 8)
      const second = yield* killed(source, 16, {}, "UploadFile", first)
      const { sent } = summaryOf(yield* resumed(source, second))
      yield* holds(small)
      assert.isAtMost(sent, 12 * BYTES)
    })))
})

describe("what a killed upload of a package had under way", () => {
  const late = (source: string) =>
    Effect.gen(function* () {
      yield* inject(Fault.late("20 seconds"), "UploadFile")
      return yield* killed(source, 1, { concurrency: 1 })
    })

  it.effect("does not arrive in place of a newer file", () =>
    run(Effect.gen(function* () {
      const [source, next] = [yield* folderOf(small), yield* folderOf(newer)]
      yield* resumed(next, yield* late(source))
      yield* Effect.sleep("5 minutes")
      yield* holds(newer)
    })))

  it.effect("does not arrive in place of a newer file that goes by chunks", () =>
    run(Effect.gen(function* () {
      const [source, next] = [
        yield* folderOf({ "a.dll": "a" }),
        yield* folderOf({ "a.dll": "b".repeat(300) }),
      ]
      yield* resumed(next, yield* late(source))
      yield* Effect.sleep("5 minutes")
      yield* holds({ "a.dll": "b".repeat(300) })
    })))

  it.effect("is not waited for when it is the same", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf({ "a.txt": "same" })
      const dead = yield* late(source)
      const begun = yield* Clock.currentTimeMillis
      yield* resumed(source, dead)
      assert.isBelow((yield* Clock.currentTimeMillis) - begun, 20_000)
      yield* Effect.sleep("5 minutes")
      yield* holds({ "a.txt": "same" })
    })))

  it.effect("is not waited for minutes after the kill", () =>
    run(Effect.gen(function* () {
      const [source, next] = [yield* folderOf(small), yield* folderOf(newer)]
      const dead = yield* late(source)
      yield* Effect.sleep("2 minutes")
      const begun = yield* Clock.currentTimeMillis
      yield* resumed(next, dead)
      assert.isBelow((yield* Clock.currentTimeMillis) - begun, 30_000)
      yield* holds(newer)
    })))

  it.effect("is known to have been under way until the kill, however long its last request takes", () =>
    run(
      Effect.gen(function* () {
        yield* inject(Fault.hang, "UploadFile")
        const dead = yield* mortalRun(
          uploadPackage(yield* folderOf({ "a.dll": "a".repeat(400) }), "App", OPTIONS),
        )
        yield* until("UploadFile", 1)
        yield* Effect.sleep("50 seconds")
        yield* dead.kill
        const now = yield* Clock.currentTimeMillis
        assert.deepStrictEqual([...dead.packages.values()].map(({ touched }) => now - touched <= 20_000), [
          true,
        ])
      }),
      { os: "linux" },
    ))

  it.effect("does not stay where the newer package has no such file", () =>
    run(Effect.gen(function* () {
      const [source, next] = [yield* folderOf({ "old.txt": "old" }), yield* folderOf({ "new.txt": "new" })]
      yield* resumed(next, yield* late(source))
      yield* Effect.sleep("5 minutes")
      yield* holds({ "new.txt": "new" })
    })))
})

describe("a large file whose chunks may still arrive", () => {
  const files: Files = { ...small, "large.dll": "l".repeat(400) }

  /** Seconds from the start to the last small file. */
  const seconds = (upload: Effect.Effect<unknown, unknown, Env>) =>
    Effect.gen(function* () {
      const begun = yield* Clock.currentTimeMillis
      yield* Effect.orDie(upload)
      yield* holds(files)
      const puts = (yield* requests).filter(({ operation, path }) =>
        operation === "UploadFile" && path.endsWith(".txt")
      )
      return (puts.at(-1)!.at.getTime() - begun) / 1000
    })

  it.effect("does not keep the other files of its package waiting, after a kill", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(files)
      yield* inject(Fault.hang, "UploadFileChunk", 2)
      const dead = yield* killed(source, 2, {}, "UploadFileChunk")
      assert.isBelow(yield* seconds(resumed(source, dead)), 30)
    })))

  it.effect("does not keep them waiting when answers are lost", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(files)
      yield* inject(Fault.late("20 seconds"), "UploadFileChunk", 2)
      assert.isBelow(yield* seconds(Effect.provide(upload(source), UploadJournal.layerMemory())), 30)
    })))
})

describe("a package that is resumed, and fails", () => {
  const fails = (options: PackageOptions = {}) =>
    Effect.gen(function* () {
      const source = yield* folderOf(small)
      const dead = yield* killed(source, 15)
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      assert.strictEqual((yield* failure(resumed(source, dead, options)))._tag, "FabricError")
      return { dead, found: Object.keys(yield* stored) }
    })

  it.effect("is removed: nothing was there before the first run", () =>
    run(Effect.gen(function* () {
      const { dead, found } = yield* fails()
      assert.deepStrictEqual(found, [])
      assert.strictEqual(dead.packages.size, 0)
    })))

  it.effect("is kept when told so, and the next run goes on with it", () =>
    run(Effect.gen(function* () {
      const { dead, found } = yield* fails({ onFailure: "keep" })
      assert.isAtLeast(found.length, 9)
      const source = yield* folderOf(small)
      assert.isAtMost(summaryOf(yield* resumed(source, dead)).sent, 11 * BYTES)
    })))

  it.effect("is left where somebody has put files beside it", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(small)
      const dead = yield* killed(source, 15)
      yield* putFile({ path: "App/other.txt", bytes: new Uint8Array(1) })
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      yield* failure(resumed(source, dead))
      assert.include(Object.keys(yield* stored), "App/other.txt")
    })))
})

describe("the record of a package", () => {
  it.effect("is written on when only its heartbeat could not be", () =>
    run(Effect.gen(function* () {
      const source = yield* folderOf(small)
      const versions: Array<string> = []
      let beats = 0
      const busy = Layer.map(UploadJournal.layerMemory(), (context) => {
        const journal = Context.get(context, UploadJournal)
        const update: typeof journal.packages.update = (id, patch) => {
          if (Object.keys(patch).length === 0) {
            return Effect.zipRight(
              Effect.sync(() => beats++),
              Effect.fail(new JournalError({ place: "/busy", issue: "EBUSY" })),
            )
          }
          for (const [name, { version }] of patch.files ?? []) if (version !== undefined) versions.push(name)
          return journal.packages.update(id, patch)
        }
        return Context.make(UploadJournal, { ...journal, packages: { ...journal.packages, update } })
      })
      yield* inject(Fault.delay("25 seconds"), "UploadFile", 2)
      yield* Effect.provide(upload(source), busy)
      assert.isAtLeast(beats, 1)
      assert.isAtLeast(versions.length, 10)
    })))
})

describe("a package without a record", () => {
  it.effect("is brought all the same where the journal cannot be written, with a warning", () =>
    run(Effect.gen(function* () {
      const warnings: Array<string> = []
      const logger = Logger.make(({ message }) => void warnings.push(String(message)))
      const broken = Layer.map(UploadJournal.layerMemory(), (context) => {
        const journal = Context.get(context, UploadJournal)
        const create = () => Effect.fail(new JournalError({ place: "/full", issue: "ENOSPC" }))
        return Context.make(UploadJournal, { ...journal, packages: { ...journal.packages, create } })
      })
      yield* upload(yield* folderOf(small)).pipe(
        Effect.provide(broken),
        Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
      )
      yield* holds(small)
      assert.strictEqual(warnings.length, 1)
      assert.include(warnings[0], "ENOSPC")
    })))
})

describe("a package whose large files cannot be recorded", () => {
  it.effect("is refused before anything is sent, and the one that is there stays whole", () =>
    run(Effect.gen(function* () {
      const files = { "a.txt": "old", "b.txt": "old" }
      yield* Effect.provide(upload(yield* folderOf(files)), UploadJournal.layerMemory())
      const sent = (yield* requests).length
      const full = Layer.map(UploadJournal.layerMemory(), (context) => {
        const journal = Context.get(context, UploadJournal)
        const create = () => Effect.fail(new JournalError({ place: "/full", issue: "ENOSPC" }))
        return Context.make(UploadJournal, { ...journal, create, packages: { ...journal.packages, create } })
      })
      const next = yield* folderOf({ "a.txt": "new", "large.dll": "l".repeat(400) })
      const error = yield* failure(Effect.provide(upload(next), full))
      assert.strictEqual(error._tag, "JournalError")
      const after = (yield* requests).slice(sent).map(({ method }) => method)
      assert.deepStrictEqual([...new Set(after)], ["GET"])
      yield* holds(files)
    })))
})

/** One of two packages is there, as a whole. */
const holdsOne = Effect.flatMap(
  stored,
  ({ [`App/${names[0]}`]: content }) => holds(content === contentOf(names[0]!) ? small : newer),
)

describe("two packages that go to one place at the same time", () => {
  it.effect("do not end as a mix that can be provisioned, though they come from two machines", () =>
    run(Effect.gen(function* () {
      const [one, two] = [yield* folderOf(small), yield* folderOf(newer)]
      const slow = yield* Effect.fork(
        Effect.provide(upload(one, { concurrency: 1 }), UploadJournal.layerMemory()),
      )
      yield* Effect.sleep("10 seconds")
      yield* Effect.provide(upload(two, { concurrency: 4 }), UploadJournal.layerMemory())
      yield* Fiber.join(slow)
      yield* holdsOne
    })))

  it.effect("do not end as a mix where the one from elsewhere was killed half way", () =>
    run(Effect.gen(function* () {
      const [one, two] = [yield* folderOf(small), yield* folderOf(newer)]
      const slow = yield* Effect.fork(
        Effect.provide(upload(one, { concurrency: 1 }), UploadJournal.layerMemory()),
      )
      yield* until("UploadFile", 14)
      const other = yield* mortalRun(uploadPackage(two, "App", { ...OPTIONS, concurrency: 4 }))
      yield* until("UploadFile", 20)
      yield* other.kill
      yield* Fiber.join(slow)
      yield* holds(small)
    })))

  for (const seconds of [0, 0.25, 3, 15]) {
    it.effect(`go one after the other on one machine (${seconds} s apart)`, () =>
      run(Effect.gen(function* () {
        const store = new Map()
        const on = (process: number) =>
          UploadJournal.layerMemory({ store, owner: { host: "a", process, start: 1 }, alive: () => true })
        const [one, two] = [yield* folderOf(small), yield* folderOf(newer)]
        const first = yield* Effect.fork(Effect.provide(upload(one, { concurrency: 1 }), on(1)))
        yield* Effect.sleep(seconds * 1000)
        const events = yield* Effect.provide(upload(two, { concurrency: 4 }), on(2))
        yield* Fiber.join(first)
        if (seconds >= 3) {
          assert.deepStrictEqual(events[0], { _tag: "Queued", path: "App", process: 1 })
          assert.strictEqual(events[1]?._tag, "PackagePlanned")
        }
        yield* holdsOne
        const puts = (yield* requests).filter(({ operation }) => operation === "UploadFile")
        assert.strictEqual(puts.length, 2 * (names.length + 1))
      })))
  }

  it.effect("go one after the other also where they spell the place differently", () =>
    run(Effect.gen(function* () {
      const [one, two] = [yield* folderOf(small), yield* folderOf(newer)]
      const other = Stream.runDrain(uploadPackage(two, "app", OPTIONS))
      yield* Effect.provide(
        Effect.zip(upload(one), Effect.delay(other, "3 seconds"), { concurrent: true }),
        UploadJournal.layerMemory(),
      )
      assert.sameMembers(Object.values(yield* stored), ["", ...Object.values(newer)])
      assert.strictEqual((yield* requestsOf("UploadFile")).length, 2 * (names.length + 1))
    })))

  it.effect("do not wait for ever for one that only seems to be at work", () =>
    run(Effect.gen(function* () {
      const dead = yield* killed(yield* folderOf(small), 5)
      const alive = UploadJournal.layerMemory({
        store: dead.store,
        packages: dead.packages,
        owner: { host: "a", process: 2, start: 1 },
        alive: () => true,
      })
      yield* Effect.provide(upload(yield* folderOf(newer), { patience: 60 }), alive)
      yield* holds(newer)
    })))
})
