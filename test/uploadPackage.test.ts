import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { execFileSync } from "node:child_process"
import { readdir, readFile, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join, resolve } from "node:path"
import process from "node:process"
import { putFile } from "../mod.ts"
import { Emulator, Fault, FaultPlan, type Operation } from "../src/emulator/mod.ts"
import type { PackageEvent, PackageOptions } from "../src/PackageEvent.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { uploadPackage } from "../src/uploadPackage.ts"
import { clusterWith, failure, inject, requestsOf } from "./support/cluster.ts"
import { clientOver } from "./support/mortal.ts"
import {
  applicationManifest,
  fileOf,
  folderOf,
  serviceManifest,
  shop,
  shopMarkers,
  stored,
} from "./support/packages.ts"
import { run, summaryOf } from "./support/uploads.ts"
import { unzip } from "./support/zips.ts"

const upload = (source: string, options: PackageOptions = {}, path?: string) =>
  Effect.map(Stream.runCollect(uploadPackage(source, path, options)), (events) => [...events])

/** The message of the error that an upload fails with. */
const refusal = (source: string, options: PackageOptions = {}, path?: string) =>
  Effect.map(
    failure(upload(source, options, path)),
    (error) => `${error._tag}: ${error.message}`,
  )

const withMarkers = (
  files: Readonly<Record<string, unknown>>,
  markers: ReadonlyArray<string>,
  under = "Shop",
) =>
  Object.fromEntries(
    [...Object.entries(files), ...markers.map((marker) => [marker, ""] as const)]
      .map(([name, content]) => [`${under}/${name}`, content]),
  )

/** The requests of one operation, by the path below `/ImageStore/`. */
const asked = (operation: Operation) =>
  Effect.map(
    requestsOf(operation),
    (all) => all.map(({ path }) => decodeURIComponent(path.replace("/ImageStore/", ""))),
  )

const sentNothing = Effect.gen(function* () {
  for (const operation of ["UploadFile", "UploadFileChunk", "DeleteImageStoreContent"] as const) {
    assert.deepStrictEqual(yield* asked(operation), [])
  }
})

const contains = (text: string, ...parts: ReadonlyArray<string>) =>
  parts.forEach((part) => assert.include(text, part))

describe("a folder", () => {
  it.effect("is brought with a marker in each folder", () =>
    run(Effect.gen(function* () {
      yield* upload(yield* folderOf(shop))
      assert.deepStrictEqual(yield* stored, withMarkers({ ...shop }, shopMarkers))
    })))

  it.effect("is never marked complete before what is in it", () =>
    run(Effect.gen(function* () {
      yield* upload(yield* folderOf(shop))
      const puts = yield* asked("UploadFile")
      const markers = puts.filter((path) => path.endsWith("_.dir"))
      assert.deepStrictEqual(puts.slice(-markers.length), markers)
      const depths = markers.map((path) => path.split("/").length)
      assert.deepStrictEqual(depths, [...depths].sort((a, b) => b - a))
      assert.strictEqual(puts.at(-1), "Shop/_.dir")
    })))

  it.effect("learns once what the cluster finds too large, and not with each file", () =>
    run(Effect.gen(function* () {
      const files = Object.fromEntries(["a", "b", "c", "d", "e"].map((name) => [name, name.repeat(200_000)]))
      yield* inject(Fault.tooLarge, "UploadFile")
      yield* upload(yield* folderOf(files), { chunkSize: 300_000, concurrency: 1, validate: false }, "Big")
      assert.deepStrictEqual(yield* stored, withMarkers(files, ["_.dir"], "Big"))
      assert.lengthOf((yield* asked("UploadFile")).filter((path) => path !== "Big/_.dir"), 1)
      // The first was refused; it and the others go in two chunks each.
      assert.lengthOf(yield* asked("UploadFileChunk"), 2 * 5)
    })))

  it.effect("sends nothing of a size that the cluster has found too large for another file", () =>
    run(
      Effect.gen(function* () {
        const files = Object.fromEntries(
          ["a", "b", "c", "d", "e"].map((name) => [name, name.repeat(900_000)]),
        )
        const refused: Array<number> = []
        const limited = clientOver(HttpClient.transform((sent, request) => {
          const size = request.body.contentLength ?? 0
          if (size <= 150_000) return sent
          refused.push(size)
          const answer = HttpClientResponse.fromWeb(request, new Response(null, { status: 413 }))
          return Effect.delay(Effect.succeed(answer), `${refused.length % 3 + 1} seconds`)
        }))
        const options = { chunkSize: 1_000_000, concurrency: 2, validate: false }
        yield* Effect.provide(upload(yield* folderOf(files), options, "Big"), limited)
        assert.deepStrictEqual(yield* stored, withMarkers(files, ["_.dir"], "Big"))
        // What was under way by then is refused with the first.
        for (const size of [900_000, 450_000, 225_000]) {
          assert.include([1, 2], refused.filter((each) => each === size).length)
        }
        assert.isAtMost(refused.length, 6)
      }),
      { latency: "1 second" },
    ))

  it.effect("tells how it goes, and ends with a summary", () =>
    run(Effect.gen(function* () {
      const events = yield* upload(yield* folderOf(shop))
      const bytes = Object.values(shop).reduce(
        (sum, content) => sum + new TextEncoder().encode(content as string).length,
        0,
      )
      assert.deepStrictEqual(events[0], {
        _tag: "PackagePlanned",
        path: "Shop",
        files: 5,
        bytes,
        stored: 0,
        applicationType: "Shop",
        applicationVersion: "1.2.3",
        overwrites: false,
      })
      const { seconds, ...summary } = summaryOf(events)
      assert.isAtLeast(seconds, 0)
      assert.deepStrictEqual(summary, {
        _tag: "PackageUploaded",
        path: "Shop",
        applicationType: "Shop",
        applicationVersion: "1.2.3",
        files: 5,
        bytes,
        sent: bytes,
        resumed: 0,
        retries: 0,
        removed: [],
      })
      assert.strictEqual(events.filter(({ _tag }) => _tag === "FileUploaded").length, 5)
    })))

  it.effect("sends large files by sessions, of which none is left", () =>
    run(Effect.gen(function* () {
      const big = "x".repeat(1000)
      const files = { ...shop, "Web/Code/a.dll": big, "Web/Code/b.dll": big }
      yield* upload(yield* folderOf(files), { chunkSize: 300, concurrency: 3 })
      assert.deepStrictEqual(yield* stored, withMarkers(files, shopMarkers))
      assert.isAtLeast((yield* asked("UploadFileChunk")).length, 8)
      assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
    })))

  // Large bodies are read while they are sent, and virtual time would run out on the disk.
  it.scoped("goes by single requests to a Linux cluster", () =>
    Effect.gen(function* () {
      yield* upload(yield* folderOf(shop), { chunkSize: 5 })
      assert.deepStrictEqual(yield* stored, withMarkers({ ...shop }, shopMarkers))
    }).pipe(Effect.provide(Layer.merge(clusterWith({}, { os: "linux" }), UploadJournal.layerMemory()))))

  it.effect("of hundreds of small files is brought whole", () =>
    run(Effect.gen(function* () {
      const files = Object.fromEntries(Array.from({ length: 300 }, (_, i) => [`d${i % 7}/f${i}.txt`, `${i}`]))
      const events = yield* upload(yield* folderOf(files), { validate: false, concurrency: 8 })
      assert.strictEqual(summaryOf(events).files, 300)
      assert.strictEqual((yield* (yield* Emulator).files).length, 300 + 8)
    })))

  it.effect("has one bound on requests under way, for all its files together", () =>
    run(
      Effect.gen(function* () {
        const files = Object.fromEntries(
          Array.from({ length: 12 }, (_, i) => [`f${i}`, "x".repeat(i % 3 ? 5 : 95)]),
        )
        yield* upload(yield* folderOf(files), { validate: false, concurrency: 3, chunkSize: 10 })
        const begins = (yield* (yield* Emulator).requests).filter(({ method }) => method === "PUT")
          .map(({ at }) => at.getTime())
        assert.strictEqual(begins.length, 4 * 10 + 8 + 1)
        for (const begin of begins) {
          assert.isAtMost(begins.filter((other) => other > begin - 1000 && other <= begin).length, 3)
        }
      }),
      { latency: "1 second" },
    ))

  it.effect("keeps names with blanks, + and & as they are", () =>
    run(Effect.gen(function* () {
      const files = { "a b/c+d&e=f;g@h,i's (1) ü.txt": "hello" }
      yield* upload(yield* folderOf(files, "My App"), { validate: false })
      assert.deepStrictEqual(yield* stored, withMarkers(files, ["a b/_.dir", "_.dir"], "My App"))
    })))

  it.effect("has its own markers replaced, not doubled, and empty folders marked", () =>
    run(Effect.gen(function* () {
      const files = { "a.txt": "a", "_.dir": "", "sub/_.dir": "not empty", "void/": "" }
      yield* upload(yield* folderOf(files), { validate: false })
      assert.deepStrictEqual(
        yield* stored,
        withMarkers({ "a.txt": "a" }, ["sub/_.dir", "void/_.dir", "_.dir"]),
      )
      assert.strictEqual((yield* asked("UploadFile")).length, 4)
    })))

  it.effect("outlasts lost answers, resets and a cluster that is away", () =>
    run(
      Effect.gen(function* () {
        const files = { ...shop, "Web/Code/big.dll": "y".repeat(500) }
        yield* upload(yield* folderOf(files), { chunkSize: 50 })
        assert.deepStrictEqual(yield* stored, withMarkers(files, shopMarkers))
        assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
      }),
      { faults: FaultPlan.random({ seed: 7, probability: 0.15 }) },
    ))
})

describe("a package is refused that", () => {
  it.effect("is a single file, with a hint to uploadFile", () =>
    run(Effect.gen(function* () {
      const message = yield* refusal(yield* fileOf("app.dll", new Uint8Array(3)))
      contains(message, "PackageError", "uploadFile")
      yield* sentNothing
    })))

  it.effect("is not there", () =>
    run(Effect.gen(function* () {
      contains(yield* refusal("/no/such/folder"), "SourceError", "/no/such/folder", "ENOENT")
    })))

  it.effect("is an empty folder", () =>
    run(Effect.gen(function* () {
      contains(yield* refusal(yield* folderOf({}), { validate: false }), "no file")
    })))

  it.effect("has names that the store cannot hold: all are told at once, before anything is sent", () =>
    run(Effect.gen(function* () {
      const message = yield* refusal(
        yield* folderOf({
          "a#b.txt": "",
          "100%/x.txt": "",
          "100%/y.txt": "",
          "what?": "",
          "end.": "",
          "ok.txt": "",
        }),
        { validate: false },
      )
      contains(message, "4 things", '"a#b.txt"', '"100%"', '"what?"', '"end."')
      assert.notInclude(message, "x.txt")
      yield* sentNothing
    })))

  it.effect.skipIf(process.platform !== "linux")(
    "has a name that no text can tell",
    () =>
      run(Effect.gen(function* () {
        const folder = yield* folderOf({ "ok.txt": "", "\ufffd.txt": "" })
        execFileSync("bash", ["-c", "echo > $'a\\xff.txt'"], { cwd: folder })
        const message = yield* refusal(folder, { validate: false })
        contains(message, `${folder}: a\ufffd.txt cannot be read: its name is no UTF-8`)
        yield* sentNothing
      })),
  )

  it.effect("goes where the cluster keeps its own files", () =>
    run(Effect.gen(function* () {
      contains(yield* refusal(yield* folderOf(shop), {}, "Store/Shop"), "another destination")
      contains(yield* refusal(yield* folderOf(shop), {}, "windowsfabricstore"), "another destination")
      yield* sentNothing
    })))

  it.effect("has a destination that the store cannot hold", () =>
    run(Effect.gen(function* () {
      contains(yield* refusal(yield* folderOf(shop), {}, "../Shop"), "FabricError", "path")
      yield* sentNothing
    })))

  it.effect("goes where a file is", () =>
    run(
      Effect.gen(function* () {
        contains(yield* refusal(yield* folderOf(shop)), "Shop is a file in the store")
      }),
      { files: { Shop: "a file" } },
    ))

  for (const os of ["windows", "linux"] as const) {
    it.effect(`has names that differ by case only, ${os === "windows" ? "on" : "but not off"} Windows`, () =>
      run(
        Effect.gen(function* () {
          const folder = yield* folderOf({ "readme.txt": "1", "README.txt": "2", "Sub/a": "3", "sub/a": "4" })
          if (os === "linux") return yield* upload(folder, { validate: false })
          const message = yield* refusal(folder, { validate: false })
          contains(message, "2 things", "README.txt", "Sub and sub differ by case only")
          yield* sentNothing
        }),
        { os },
      ))
  }

  for (const os of ["windows", "linux"] as const) {
    it.effect(`has folders named like devices, ${os === "windows" ? "on" : "but not off"} Windows`, () =>
      run(
        Effect.gen(function* () {
          const folder = yield* folderOf({
            "Aux/a": "1",
            "in/com1.d/b": "2",
            "con": "3",
            "console/nul.txt": "4",
          })
          if (os === "linux") return yield* upload(folder, { validate: false }, "prn")
          const message = yield* refusal(folder, { validate: false }, "prn")
          contains(message, "3 things", "prn cannot", "Aux cannot", "in/com1.d cannot")
          yield* sentNothing
        }),
        { os },
      ))
  }

  it.effect("has links that leave the folder, turn in a circle or lead nowhere; others are followed", () =>
    run(Effect.gen(function* () {
      const folder = yield* folderOf({ "in/a.txt": "a" })
      const outside = yield* fileOf("secret", new TextEncoder().encode("secret"))
      yield* Effect.promise(() => symlink(outside, join(folder, "out")))
      yield* Effect.promise(() => symlink("..", join(folder, "in", "circle")))
      yield* Effect.promise(() => symlink("nothing", join(folder, "dangling")))
      yield* Effect.promise(() => symlink("in/a.txt", join(folder, "fine")))
      const message = yield* refusal(folder, { validate: false })
      contains(
        message,
        "3 things",
        "out is a link that leaves",
        "in/circle is a link to a folder",
        "dangling",
      )

      const good = yield* folderOf({ "in/a.txt": "a" })
      yield* Effect.promise(() => symlink("in", join(good, "too")))
      yield* upload(good, { validate: false })
      assert.strictEqual((yield* stored)["Shop/too/a.txt"], "a")
    })))

  it.effect("lacks what its manifests name, unless it is not to be validated", () =>
    run(Effect.gen(function* () {
      const folder = yield* folderOf({ "hello.txt": "hello" })
      contains(yield* refusal(folder), "ApplicationManifest.xml is missing")
      yield* sentNothing
      assert.strictEqual(summaryOf(yield* upload(folder, { validate: false })).applicationType, undefined)
    })))
})

describe("what was there before", () => {
  const old = {
    "Shop/ApplicationManifest.xml": "old",
    "Shop/Old/Code/old.dll": "old",
    "Shop/Old/Code/_.dir": "",
    "Shop/Old/_.dir": "",
    "Shop/_.dir": "",
    "Other/kept.txt": "kept",
  }

  it.effect("is replaced: old files do not stay to be deployed later", () =>
    run(
      Effect.gen(function* () {
        const events = yield* upload(yield* folderOf(shop))
        assert.deepStrictEqual(yield* stored, {
          ...withMarkers({ ...shop }, shopMarkers),
          "Other/kept.txt": "kept",
        })
        assert.deepStrictEqual(summaryOf(events).removed, ["Old/Code/old.dll"])
        assert.isTrue((events[0] as Extract<PackageEvent, { _tag: "PackagePlanned" }>).overwrites)
      }),
      { files: old },
    ))

  it.effect("cannot be provisioned as a mix: its marker goes first, and comes last", () =>
    run(
      Effect.gen(function* () {
        yield* upload(yield* folderOf(shop))
        const writes = (yield* (yield* Emulator).requests).filter(({ method }) => method !== "GET")
          .map(({ method, path }) => `${method} ${path}`)
        assert.strictEqual(writes[0], "DELETE /ImageStore/Shop/_.dir")
        assert.strictEqual(writes.at(-1), "PUT /ImageStore/Shop/_.dir")
        assert.strictEqual(writes.at(-2), "DELETE /ImageStore/Shop/Old")
      }),
      { files: old },
    ))

  it.effect("fails the upload before anything changes, when strays must not be", () =>
    run(
      Effect.gen(function* () {
        const message = yield* refusal(yield* folderOf(shop), { strays: "fail" })
        contains(message, "Old/Code/old.dll is at Shop, but not in the package")
        assert.deepStrictEqual(yield* stored, old)
        yield* sentNothing
      }),
      { files: old },
    ))

  it.effect("makes way where a folder becomes a file or a file a folder", () =>
    run(
      Effect.gen(function* () {
        yield* upload(yield* folderOf({ was: "folder", "file/a.txt": "a" }), { validate: false })
        assert.deepStrictEqual(
          yield* stored,
          withMarkers({ was: "folder", "file/a.txt": "a" }, ["file/_.dir", "_.dir"]),
        )
        const writes = (yield* (yield* Emulator).requests).filter(({ method }) => method !== "GET")
        assert.deepStrictEqual(writes.slice(0, 2).map(({ path }) => path).sort(), [
          "/ImageStore/Shop/file",
          "/ImageStore/Shop/was",
        ])
      }),
      { files: { "Shop/was/x/y.txt": "y", "Shop/file": "f" } },
    ))

  /** The upload fails, and leaves what was there, without its marker. */
  const fails = Effect.gen(function* () {
    yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile", 3)
    contains(yield* refusal(yield* folderOf(shop)), "E_ACCESSDENIED")
    const left = yield* stored
    assert.strictEqual(left["Shop/Old/Code/old.dll"], "old")
    assert.notProperty(left, "Shop/_.dir")
  })

  it.effect("is not deleted when the upload fails", () => run(fails, { files: old }))

  it.effect("is not taken for missing while a file that it lists is not on the disk", () =>
    run(
      Effect.gen(function* () {
        yield* inject(Fault.reply(404, "FABRIC_E_FILE_NOT_FOUND"), "GetImageStoreContent")
        yield* fails
      }),
      { files: old },
    ))

  it.effect("may be there under another spelling on Windows", () =>
    run(
      Effect.gen(function* () {
        const events = yield* upload(yield* folderOf({ "readme.txt": "new" }), { validate: false })
        assert.deepStrictEqual(summaryOf(events).removed, [])
        assert.deepStrictEqual(Object.values(yield* stored), ["", "new"])
      }),
      { files: { "shop/README.txt": "old", "shop/_.dir": "" } },
    ))
})

describe("an upload that fails", () => {
  it.effect("leaves no half package", () =>
    run(Effect.gen(function* () {
      const folder = yield* folderOf(shop)
      const events: Array<PackageEvent> = []
      yield* inject(Fault.reply(403, "E_ACCESSDENIED", "Access denied."), "UploadFile", 2)
      const error = yield* uploadPackage(folder).pipe(
        Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
        Effect.flip,
      )
      assert.include(error.message, "E_ACCESSDENIED")
      assert.deepStrictEqual(yield* stored, {})
      assert.deepStrictEqual(events.slice(-2).map(({ _tag }) => _tag), ["PackageRemoving", "PackageRemoved"])
      assert.deepStrictEqual(events.at(-1), { _tag: "PackageRemoved", path: "Shop" })
    })))

  it.effect("keeps what came, without the marker, when told so", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.answer({ status: 200 }), "UploadFile")
      yield* refusal(yield* folderOf(shop), { onFailure: "keep", concurrency: 1 })
      const left = yield* stored
      assert.isAtLeast(Object.keys(left).length, 4)
      assert.notProperty(left, "Shop/_.dir")
    })))

  it.effect("says so when the cluster lost a file, and never marks the package complete", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.answer({ status: 200 }), "UploadFile")
      contains(
        yield* refusal(yield* folderOf(shop), { onFailure: "keep" }),
        "PackageError",
        "the cluster does not list",
      )
      assert.notInclude(yield* asked("UploadFile"), "Shop/_.dir")
    })))

  it.effect("says so when a file has another size in the store", () =>
    run(
      Effect.gen(function* () {
        yield* inject(Fault.answer({ status: 200 }), "UploadFile")
        const folder = yield* folderOf({ "a.txt": "12345" })
        contains(yield* refusal(folder, { validate: false }), "the cluster lists a.txt with 3 bytes, not 5")
      }),
      { files: { "Shop/a.txt": "123" } },
    ))

  it.effect("says so when the marker itself is lost", () =>
    run(
      Effect.gen(function* () {
        const folder = yield* folderOf({ "a.txt": "12345" })
        yield* inject(Fault.answer({ status: 200 }), "UploadFile", 9)
        contains(
          yield* refusal(folder, { validate: false }),
          "the cluster does not list _.dir",
        )
      }),
      { files: { "Shop/a.txt": "54321" } },
    ))

  it.effect("waits for a file that the cluster does not list yet", () =>
    run(Effect.gen(function* () {
      const folder = yield* folderOf({ "a.txt": "a" })
      yield* inject(Fault.answer({ status: 200 }), "UploadFile")
      const fiber = yield* Effect.fork(upload(folder, { validate: false }))
      yield* Effect.sleep("2 seconds")
      yield* putFile({ path: "Shop/a.txt", bytes: new TextEncoder().encode("a") })
      summaryOf(yield* Fiber.join(fiber))
    })))

  it.effect("is told by its own error, and what the clean-up could not do besides", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile", 9)
      yield* inject(Fault.reply(400, "E_INVALIDARG"), "DeleteImageStoreContent", 9)
      const events: Array<PackageEvent> = []
      const error = yield* uploadPackage(yield* folderOf(shop)).pipe(
        Stream.runForEach((event) => Effect.sync(() => void events.push(event))),
        Effect.flip,
      )
      assert.include(error.message, "E_ACCESSDENIED")
      const left = events.at(-1)!
      assert.strictEqual(left._tag, "PackageLeft")
      if (left._tag === "PackageLeft") assert.include(left.reason, "E_INVALIDARG")
    })))

  it.effect("does not wait for ever for a cluster that does not answer the clean-up", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile", 9)
      yield* inject(Fault.hang, "DeleteImageStoreContent", 9)
      assert.include(yield* refusal(yield* folderOf(shop)), "E_ACCESSDENIED")
      const tries = (yield* (yield* Emulator).requests).filter(({ method }) => method === "DELETE")
      assert.isAtMost((yield* Clock.currentTimeMillis) - tries[0]!.at.getTime(), 61_000)
    })))

  it.effect("that is interrupted is removed again when nothing of it can arrive any more", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.hang, "UploadFile", 1)
      const fiber = yield* Effect.fork(upload(yield* folderOf(shop)))
      while ((yield* asked("UploadFile")).length === 0) yield* Effect.sleep("10 millis")
      yield* Fiber.interrupt(fiber)
      const deleted = (yield* (yield* Emulator).requests).filter(({ method }) => method === "DELETE")
      assert.strictEqual(deleted.length, 2)
      assert.isAtLeast(deleted[1]!.at.getTime() - deleted[0]!.at.getTime(), 35_000)
    })))

  for (const onFailure of ["remove", "keep"] as const) {
    it.effect(`that is interrupted is ${onFailure === "keep" ? "kept" : "removed"}, with no session left`, () =>
      run(
        Effect.gen(function* () {
          const folder = yield* folderOf({ ...shop, "Web/Code/big.dll": "z".repeat(1000) })
          const begun = yield* Deferred.make<void>()
          const fiber = yield* Effect.fork(
            Stream.runForEach(
              uploadPackage(folder, undefined, { chunkSize: 100, onFailure }),
              (event) => event._tag === "BytesSent" ? Deferred.succeed(begun, void 0) : Effect.void,
            ),
          )
          yield* Deferred.await(begun)
          const exit = yield* Fiber.interrupt(fiber)
          assert.isTrue(Exit.isInterrupted(exit))
          assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
          const left = yield* stored
          if (onFailure === "remove") assert.deepStrictEqual(left, {})
          assert.notProperty(left, "Shop/_.dir")
        }),
        { latency: "1 second" },
      ))
  }
})

describe("a deletion whose answer was lost", () => {
  const late = inject(Fault.late("20 seconds"), "DeleteImageStoreContent")

  it.effect("does not take the marker that comes after it", () =>
    run(
      Effect.gen(function* () {
        yield* late
        yield* upload(yield* folderOf(shop))
        yield* Effect.sleep("2 minutes")
        assert.deepStrictEqual(yield* stored, withMarkers({ ...shop }, shopMarkers))
      }),
      { files: { "Shop/old.txt": "old", "Shop/_.dir": "" } },
    ))

  it.effect("does not take what comes where something was in the way", () =>
    run(
      Effect.gen(function* () {
        yield* late
        yield* upload(yield* folderOf({ was: "a folder, now a file" }), { validate: false })
        yield* Effect.sleep("2 minutes")
        assert.deepStrictEqual(yield* stored, { "Shop/was": "a folder, now a file", "Shop/_.dir": "" })
      }),
      { files: { "Shop/was/x.txt": "old" } },
    ))

  it.effect("does not take the next package, when it was to remove half of one", () =>
    run(Effect.gen(function* () {
      const folder = yield* folderOf(shop)
      yield* inject(Fault.error("E_ACCESSDENIED"), "UploadFile")
      yield* late
      yield* refusal(folder)
      yield* upload(folder)
      yield* Effect.sleep("2 minutes")
      assert.deepStrictEqual(yield* stored, withMarkers({ ...shop }, shopMarkers))
    })))

  for (const lost of [Fault.loseMessage, Fault.hang, Fault.loseReply]) {
    it.effect(`leaves no half package (${lost._tag})`, () =>
      run(Effect.gen(function* () {
        yield* inject(Fault.error("E_ACCESSDENIED"), "UploadFile")
        yield* inject(lost, "DeleteImageStoreContent")
        yield* refusal(yield* folderOf(shop))
        assert.deepStrictEqual(yield* stored, {})
      })))
  }
})

describe("the removal of half a package", () => {
  const small = { "big.dll": "z".repeat(1000), "small.txt": "s" }
  const options = { chunkSize: 100, validate: false } as const

  it.effect("is left undone while a commit may be running", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.hang, "CommitImageStoreUploadSession", 1000)
      yield* refusal(yield* folderOf(small), { ...options, patience: 60 }, "Shop")
      assert.deepStrictEqual(yield* asked("DeleteImageStoreContent"), [])
      assert.deepStrictEqual(
        (yield* (yield* UploadJournal).entries).map(({ state }) => state),
        ["committing"],
      )
    })))

  it.effect("does not take what another run has completed meanwhile", () =>
    run(
      Effect.gen(function* () {
        const folder = yield* folderOf(small)
        const slow = yield* Effect.fork(upload(folder, { ...options, concurrency: 1 }, "Shop"))
        yield* Effect.sleep("5 seconds")
        const elsewhere = UploadJournal.layerMemory()
        yield* Effect.provide(upload(folder, { ...options, concurrency: 8 }, "Shop"), elsewhere)
        yield* Fiber.interrupt(slow)
        assert.deepStrictEqual(yield* stored, withMarkers(small, ["_.dir"]))
      }),
      { latency: "1 second" },
    ))

  it.effect("does not take a file of somebody else for which it failed", () =>
    run(
      Effect.gen(function* () {
        const slow = yield* Effect.fork(
          refusal(yield* folderOf(small), { ...options, strays: "fail" }, "Shop"),
        )
        yield* Effect.sleep("2 seconds")
        yield* putFile({ path: "Shop/theirs.txt", bytes: new TextEncoder().encode("theirs") })
        contains(yield* Fiber.join(slow), "theirs.txt is at Shop, but not in the package")
        assert.deepStrictEqual(yield* stored, { ...withMarkers(small, []), "Shop/theirs.txt": "theirs" })
      }),
      { latency: "1 second" },
    ))

  it.effect("is as patient as its minute while the primary moves", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile")
      yield* inject(Fault.reply(503, "E_ABORT"), "DeleteImageStoreContent", 5)
      yield* refusal(yield* folderOf(small), options, "Shop")
      assert.deepStrictEqual(yield* stored, {})
    })))
})

describe("compress", () => {
  const files = {
    ...shop,
    "ApplicationManifest.xml": applicationManifest({ Web: "1.0.0", Api: "1.0.0" }),
    "Web/Code/_.dir": "",
    "Web/Extra/kept.txt": "no package of the manifest",
    "Api/ServiceManifest.xml": serviceManifest("Api", '<CodePackage Name="Code" Version="1"/>'),
    "Api/Code.zip": "already packed",
  }

  it.effect("sends packages as zip files, and leaves the caller's folder alone", () =>
    run(Effect.gen(function* () {
      const folder = yield* folderOf(files)
      const before = yield* Effect.promise(() => readdir(folder, { recursive: true }))
      const events = yield* upload(folder, { compress: true })
      const all = yield* stored
      assert.deepStrictEqual(Object.keys(all).sort(), [
        "Shop/Api/Code.zip",
        "Shop/Api/ServiceManifest.xml",
        "Shop/Api/_.dir",
        "Shop/ApplicationManifest.xml",
        "Shop/Web/Code.zip",
        "Shop/Web/Config.zip",
        "Shop/Web/Extra/_.dir",
        "Shop/Web/Extra/kept.txt",
        "Shop/Web/ServiceManifest.xml",
        "Shop/Web/_.dir",
        "Shop/_.dir",
      ])
      assert.strictEqual(all["Shop/Api/Code.zip"], "already packed")
      const packed = (yield* (yield* Emulator).files).find(({ path }) => path === "Shop/Web/Code.zip")!
      assert.deepStrictEqual(unzip(yield* packed.bytes), {
        "web.exe": "MZ and more",
        "wwwroot/index.html": "<h1>Shop</h1>",
      })
      assert.deepStrictEqual(yield* Effect.promise(() => readdir(folder, { recursive: true })), before)
      assert.deepStrictEqual(
        events.flatMap((event) => event._tag === "Compressing" ? [`${event.folder} ${event.files}`] : []),
        ["Web/Code 2", "Web/Config 1"],
      )
    })))

  it.effect("gives the same bytes every time", () =>
    run(Effect.gen(function* () {
      const hashes = (under: string) =>
        Effect.flatMap(Effect.flatMap(Emulator, ({ files }) => files), (all) =>
          Effect.forEach(
            all.filter(({ path }) => path.startsWith(`${under}/`) && path.endsWith(".zip")),
            ({ sha256 }) => sha256,
          ))
      yield* upload(yield* folderOf(files), { compress: true }, "One")
      yield* Effect.sleep("1 hour")
      yield* upload(yield* folderOf(files), { compress: true }, "Two")
      assert.deepStrictEqual(yield* hashes("One"), yield* hashes("Two"))
    })))

  it.effect("leaves no temporary file, whether it succeeds or not", () =>
    run(Effect.gen(function* () {
      const temporary = Effect.promise(async () =>
        (await readdir(tmpdir())).filter((name) => name.startsWith("image-store-zip-"))
      )
      const before = yield* temporary
      const folder = yield* folderOf(files)
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "UploadFile", 1)
      yield* refusal(folder, { compress: true })
      yield* upload(folder, { compress: true })
      assert.deepStrictEqual(yield* temporary, before)
    })))

  for (
    const [field, option, got] of [
      ["unpackedLimit", { unpackedLimit: NaN }, "more than 0 bytes, got NaN"],
      ["onFailure", { onFailure: "leave" }, "remove or keep, got leave"],
      ["strays", { strays: "keep" }, "remove or fail, got keep"],
    ] as const
  ) {
    it.effect(`has a wrong ${field}: that is said before anything is read`, () =>
      run(Effect.gen(function* () {
        const error = yield* failure(
          Stream.runDrain(uploadPackage("nowhere", "App", option as PackageOptions)),
        )
        assert.strictEqual(
          error.message,
          `Cannot upload ${resolve("nowhere")}: ${field}: expected ${got}`,
        )
      })))
  }

  it.effect("needs the manifests even where nothing is validated", () =>
    run(Effect.gen(function* () {
      const folder = yield* folderOf({ "a.txt": "a" })
      contains(
        yield* refusal(folder, { compress: true, validate: false }),
        "ApplicationManifest.xml is missing",
      )
    })))

  it.effect("refuses a folder beside the zip file that it would become", () =>
    run(Effect.gen(function* () {
      const folder = yield* folderOf({ ...shop, "Web/Code.zip": "packed" })
      contains(yield* refusal(folder, { compress: true }), "Web/Code", "Web/Code.zip")
      const text = yield* Effect.promise(() => readFile(join(folder, "Web/Code.zip"), "utf8"))
      assert.strictEqual(text, "packed")
    })))
})
