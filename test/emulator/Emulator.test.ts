import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { Buffer } from "node:buffer"
import { Emulator, type EmulatorOptions, Fault } from "../../src/emulator/mod.ts"
import {
  commit,
  copy,
  discard,
  getSession,
  list,
  putChunk,
  putFile,
  removeContent,
  S,
  T,
  upload,
} from "./support/calls.ts"

const with_ = (options: EmulatorOptions = {}) => Effect.provide(Emulator.layer(options))

/** How long something takes on the test clock, in milliseconds, looking every half second. */
const timed = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const began = yield* TestClock.currentTimeMillis
    const fiber = yield* Effect.fork(effect)
    while ((yield* Fiber.poll(fiber))._tag === "None") yield* TestClock.adjust("500 millis")
    return { result: yield* Fiber.join(fiber), millis: (yield* TestClock.currentTimeMillis) - began }
  })

describe("sessions", () => {
  it.effect("expire half an hour after their last accepted chunk, when the sweep comes by", () =>
    Effect.gen(function* () {
      const { sessions } = yield* Emulator
      yield* putChunk("a", [0, 0], 10)
      yield* TestClock.adjust("4 minutes")
      yield* putChunk("a", [1, 1], 10)
      yield* TestClock.adjust("26 minutes")
      assert.lengthOf(yield* sessions, 1, "the first sweep, after 30 minutes, finds it too young")
      yield* TestClock.adjust(Duration.subtract(Duration.minutes(5), Duration.millis(1)))
      assert.lengthOf(yield* sessions, 1)
      yield* TestClock.adjust("1 millis")
      assert.lengthOf(yield* sessions, 0, "the next one, 5 minutes later, does not")
      assert.strictEqual((yield* getSession()).status, 204)
    }).pipe(with_()))

  it.effect("are not kept alive by looking, committing or refused chunks", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* putChunk("a", [0, 9], 10)
      for (let minute = 0; minute < 30; minute++) {
        yield* getSession()
        yield* putChunk("a", [0, 9], 10)
        yield* commit()
        yield* TestClock.adjust("1 minute")
      }
      assert.lengthOf(yield* emulator.sessions, 0)
      assert.lengthOf(yield* emulator.files, 1)
      assert.strictEqual(yield* emulator.staged, 0)
      assert.strictEqual((yield* commit()).code, "E_INVALIDARG", "although the file is there")
    }).pipe(with_()))

  it.effect("put the sweep off when they find no other session", () =>
    Effect.gen(function* () {
      const { sessions } = yield* Emulator
      yield* putChunk("a", [0, 0], 10)
      yield* discard()
      yield* TestClock.adjust("29 minutes")
      yield* putChunk("a", [0, 0], 10, { id: T })
      yield* TestClock.adjust("29 minutes")
      assert.lengthOf(yield* sessions, 1)
      yield* TestClock.adjust("1 minute")
      assert.lengthOf(yield* sessions, 0)
    }).pipe(with_()))

  it.effect("are dated by their creation, then by their last accepted chunk", () =>
    Effect.gen(function* () {
      yield* putChunk("a", [0, 0], 10)
      yield* TestClock.adjust("90 seconds")
      yield* putChunk("a", [0, 0], 10)
      assert.include((yield* getSession()).body, `"ModifiedDate":"1970-01-01T00:00:00.000Z"`)
      yield* putChunk("a", [1, 1], 10)
      assert.include((yield* getSession()).body, `"ModifiedDate":"1970-01-01T00:01:30.000Z"`)
    }).pipe(with_()))

  it.effect("hold staging space until they are deleted, also after their commit", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* putChunk("a", [0, 5], 10)
      yield* putChunk("a", [6, 9], 10)
      assert.strictEqual(yield* emulator.staged, 10)
      yield* commit()
      assert.strictEqual(yield* emulator.staged, 10)
      assert.strictEqual((yield* emulator.sessions)[0]!.committed, true)
      yield* discard()
      assert.strictEqual(yield* emulator.staged, 0)
      assert.strictEqual((yield* emulator.files)[0]!.size, 10)
    }).pipe(with_()))

  it.effect("join their chunks in the order of positions", () =>
    Effect.gen(function* () {
      const { files } = yield* Emulator
      const text = (value: string) => ({ bytes: new TextEncoder().encode(value) })
      yield* putChunk("a", [6, 10], 11, text("world"))
      yield* putChunk("a", [0, 5], 11, text("hello "))
      yield* commit()
      const file = (yield* files)[0]!
      assert.strictEqual(yield* file.text, "hello world")
      assert.strictEqual(
        yield* file.sha256,
        "b94d27b9934d3e08a52e52d7da7dabfac484efe37a5380ee9088f7ace2efcde9",
      )
    }).pipe(with_()))

  it.effect("write a file again when it was overwritten after their commit", () =>
    Effect.gen(function* () {
      const { files } = yield* Emulator
      yield* upload("a", "mine")
      yield* putFile("a", "yours")
      yield* commit()
      assert.strictEqual(yield* (yield* files)[0]!.text, "mine")
    }).pipe(with_()))

  it.effect("answer 200 over the old content when their id was used before", () =>
    Effect.gen(function* () {
      const { files } = yield* Emulator
      yield* upload("a", "first")
      yield* discard()
      const before = (yield* files)[0]!
      assert.strictEqual((yield* upload("a", "again")).status, 200)
      assert.strictEqual(yield* (yield* files)[0]!.text, "first")
      assert.strictEqual((yield* files)[0]!.version, before.version)
    }).pipe(with_()))

  it.effect("leave a joined file in the staging area when its length is wrong, once per try", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* putChunk("a", [0, 9], 10, { bytes: new Uint8Array(3) })
      const answer = yield* commit()
      assert.include(answer.body, "Upload failed due to an internal error. Image store file")
      yield* commit()
      yield* discard()
      assert.strictEqual(yield* emulator.staged, 6)
      yield* emulator.failOver
      assert.strictEqual(yield* emulator.staged, 0)
    }).pipe(with_()))
})

describe("a fail-over", () => {
  it.effect("loses sessions, and the next chunk opens one again", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* upload("kept", "1234", { id: T })
      yield* putChunk("a", [0, 4], 10)
      yield* emulator.failOver
      assert.strictEqual(yield* emulator.staged, 0)
      assert.lengthOf(yield* emulator.files, 1)
      assert.strictEqual((yield* getSession()).status, 204)
      assert.strictEqual((yield* discard()).code, "NotFound")
      assert.strictEqual((yield* commit()).code, "E_INVALIDARG")
      yield* putChunk("a", [5, 9], 10)
      assert.deepStrictEqual((yield* emulator.sessions)[0]!.expected, [{ first: 0, last: 4 }])
    }).pipe(with_()))

  it.effect("begins an epoch, which the files that are written from then on tell", () =>
    Effect.gen(function* () {
      const { failOver } = yield* Emulator
      const epochs = Effect.map(
        list("App"),
        ({ body }) =>
          Array.from(body.matchAll(/"EpochConfigurationNumber":"(\d+)"/g), ([, epoch]) => BigInt(epoch!)),
      )
      yield* putFile("App/a", "1")
      yield* putFile("App/b", "1")
      const [before] = yield* epochs
      yield* failOver
      yield* putFile("App/b", "1")
      const [a, b] = yield* epochs
      assert.strictEqual(a, before)
      assert.isTrue(b! > a!)
    }).pipe(with_()))

  it.effect("makes commits fail while there is no primary, and lookups wait", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* putChunk("a", [0, 9], 10)
      yield* emulator.inject(Fault.failOver("12 seconds"))
      assert.strictEqual((yield* commit()).code, "E_ABORT")
      assert.strictEqual((yield* putFile("b", "1")).code, "E_ABORT")
      assert.strictEqual((yield* removeContent("b")).code, "E_ABORT")
      const impatient = yield* timed(getSession({ timeout: 2 }))
      assert.deepStrictEqual([impatient.result.code, impatient.millis], ["FABRIC_E_TIMEOUT", 2000])
      const patient = yield* timed(discard())
      assert.deepStrictEqual([patient.result.code, patient.millis], ["NotFound", 10_000])
    }).pipe(with_()))
})

describe("a commit that takes time", () => {
  it.effect("holds other writers off, hides the file from listings, and ends", () =>
    Effect.gen(function* () {
      const { files } = yield* Emulator
      yield* putFile("App/a", "old")
      yield* putFile("App/b", "old")
      yield* putChunk("App/a", [0, 9], 10)
      yield* putChunk("App/a", [0, 9], 10, { id: T })
      const running = yield* Effect.fork(commit())
      yield* Effect.yieldNow()
      assert.strictEqual((yield* commit({ id: T })).code, "OperationsPending")
      assert.strictEqual((yield* commit()).code, "OperationsPending")
      assert.notInclude((yield* list("App")).body, "App\\\\a")
      assert.include((yield* list("App/a")).body, "App\\\\a")
      const waiting = yield* timed(removeContent("App", { timeout: 1 }))
      assert.strictEqual(waiting.result.code, "FABRIC_E_TIMEOUT")
      const writer = yield* timed(putFile("App/a", "newer"))
      assert.strictEqual(writer.result.status, 200)
      assert.strictEqual((yield* running).status, 200)
      assert.strictEqual(yield* (yield* files)[0]!.text, "newer")
    }).pipe(with_({ diskSpeed: 5 })))

  it.effect("answers 504 when its time is over, goes on, and is done", () =>
    Effect.gen(function* () {
      const { files } = yield* Emulator
      yield* putChunk("a", [0, 99], 100)
      const first = yield* timed(commit({ timeout: 1 }))
      assert.deepStrictEqual([first.result.code, first.millis], ["FABRIC_E_TIMEOUT", 1000])
      assert.strictEqual((yield* commit()).code, "OperationsPending")
      yield* TestClock.adjust("9 seconds")
      assert.lengthOf(yield* files, 1)
      assert.strictEqual((yield* commit()).status, 200)
    }).pipe(with_({ diskSpeed: 10 })))

  it.effect("fails with NotFound when its session is deleted under it", () =>
    Effect.gen(function* () {
      const { files } = yield* Emulator
      yield* putChunk("a", [0, 9], 10)
      const running = yield* Effect.fork(commit())
      yield* Effect.yieldNow()
      assert.strictEqual((yield* discard()).status, 200)
      assert.strictEqual((yield* timed(running)).result.code, "NotFound")
      assert.lengthOf(yield* files, 0)
    }).pipe(with_({ diskSpeed: 10 })))

  it.effect("is aborted by a fail-over", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* putChunk("a", [0, 9], 10)
      const running = yield* Effect.fork(commit())
      yield* Effect.yieldNow()
      yield* emulator.failOver
      assert.strictEqual((yield* timed(running)).result.code, "E_ABORT")
    }).pipe(with_({ diskSpeed: 10 })))
})

describe("the line", () => {
  it.effect("has latency", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* timed(getSession())).millis, 2000)
    }).pipe(with_({ latency: "2 seconds" })))

  it.effect("has a bandwidth that all bodies share", () =>
    Effect.gen(function* () {
      const both = Effect.all([putFile("a", "x".repeat(500)), putFile("b", "x".repeat(1000))], {
        concurrency: "unbounded",
      })
      assert.strictEqual((yield* timed(both)).millis, 15_000)
    }).pipe(with_({ bandwidth: 100 })))

  it.effect("carries what was sent to its end when the client leaves", () =>
    Effect.gen(function* () {
      const { files } = yield* Emulator
      const client = yield* Effect.fork(putFile("a", "1"))
      yield* Effect.yieldNow()
      yield* Fiber.interrupt(client)
      assert.lengthOf(yield* files, 0)
      yield* TestClock.adjust("1 second")
      assert.lengthOf(yield* files, 1)
    }).pipe(with_({ latency: "2 seconds" })))

  it.effect("leaves on the gateway what had arrived when the client left", () =>
    Effect.gen(function* () {
      const { files, leaked } = yield* Emulator
      const client = yield* Effect.fork(putFile("a", "x".repeat(100)))
      yield* TestClock.adjust("3 seconds")
      yield* Fiber.interrupt(client)
      yield* TestClock.adjust("1 hour")
      assert.lengthOf(yield* files, 0)
      assert.strictEqual(yield* leaked, 30)
    }).pipe(with_({ bandwidth: 10 })))
})

describe("a disk", () => {
  it.effect("refuses chunks and files that do not fit", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* putFile("a", "x".repeat(11))).code, "FABRIC_E_IMAGESTORE_IOERROR")
      assert.strictEqual((yield* putChunk("a", [0, 10], 11)).code, "FABRIC_E_IMAGESTORE_IOERROR")
      assert.strictEqual((yield* putFile("a", "x".repeat(10))).status, 200)
    }).pipe(with_({ capacity: 10 })))

  it.effect("that is too small for chunks and joined file together poisons the commit", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* putChunk("a", [0, 5], 6)
      assert.strictEqual((yield* commit()).code, "E_INVALIDARG")
      assert.strictEqual((yield* commit()).code, "E_INVALIDARG")
      assert.deepStrictEqual((yield* emulator.sessions)[0]!.expected, [])
      assert.strictEqual(yield* emulator.staged, 10, "the rest of the disk holds half of a joined file")
      yield* discard()
      assert.strictEqual(yield* emulator.staged, 4)
    }).pipe(with_({ capacity: 10 })))
})

describe("the gateway", () => {
  it.effect("leaks refused chunks, and nothing else", () =>
    Effect.gen(function* () {
      const { leaked } = yield* Emulator
      yield* putChunk("a", [0, 4], 10)
      yield* putFile("b", "12345")
      assert.strictEqual(yield* leaked, 0)
      yield* putChunk("a", [0, 4], 10)
      yield* putChunk("a", [5, 9], 10, { id: "xyz" })
      assert.strictEqual(yield* leaked, 10)
      yield* putChunk("a", [9, 5], 10, { bytes: new Uint8Array(5) })
      assert.strictEqual(yield* leaked, 10, "a bad Content-Range is refused before the body is read")
    }).pipe(with_()))

  it.effect("remembers what it was asked, host by host", () =>
    Effect.gen(function* () {
      const { requests } = yield* Emulator
      yield* getSession({ host: "one:19080" })
      yield* putFile("a/b", "123", { host: "two:19080" })
      const [first, second] = yield* requests
      assert.deepInclude(first, {
        operation: "GetImageStoreUploadSessionById",
        method: "GET",
        host: "one:19080",
        url: `http://one:19080/ImageStore/$/GetUploadSession?api-version=6.0&timeout=60&session-id=${S}`,
        path: "/ImageStore/$/GetUploadSession",
        status: 204,
        reason: "No Content",
      })
      assert.deepInclude(second, { operation: "UploadFile", host: "two:19080", bodyBytes: 3 })
      assert.strictEqual(second!.headers["content-type"], "application/octet-stream")
    }).pipe(with_()))

  it.effect("forgets the oldest requests first", () =>
    Effect.gen(function* () {
      const { requests } = yield* Emulator
      for (let n = 0; n < 10; n++) yield* list(`f${n}`)
      assert.deepStrictEqual(
        (yield* requests).map(({ path }) => path),
        ["/ImageStore/f7", "/ImageStore/f8", "/ImageStore/f9"],
      )
    }).pipe(with_({ history: 3 })))

  it.effect("does not keep a sender's buffer", () => {
    // A Buffer's own `slice` would share the bytes.
    const senders = {
      array: new Uint8Array([1, 2, 3]),
      buffer: Buffer.from(new Uint8Array([1, 2, 3]).buffer),
    }
    return Effect.gen(function* () {
      const { files } = yield* Emulator
      for (const [name, bytes] of Object.entries(senders)) yield* putFile(`sent-${name}`, bytes)
      for (const bytes of Object.values(senders)) bytes.fill(0)
      for (const file of yield* files) {
        assert.deepStrictEqual(new Uint8Array(yield* file.bytes), new Uint8Array([1, 2, 3]), file.path)
      }
    }).pipe(with_({ files: senders }))
  })

  it.effect("counts files below a folder in 16 bits", () =>
    Effect.gen(function* () {
      assert.include((yield* list("")).body, `{"StoreRelativePath":"App","FileCount":"1"}`)
    }).pipe(with_({
      files: Object.fromEntries(Array.from({ length: 65537 }, (_, n) => [`App/${n}`, ""])),
    })))

  it.effect("puts a folder in the place of a file and of a folder of that name", () =>
    Effect.gen(function* () {
      const { files } = yield* Emulator
      assert.strictEqual((yield* copy("App", "Old")).status, 200)
      assert.deepStrictEqual((yield* files).map(({ path }) => path), [
        "App/_.dir",
        "App/a",
        "Old/_.dir",
        "Old/a",
      ])
    }).pipe(with_({ files: { "App/_.dir": "", "App/a": "1", "Old": "file", "Old/stray": "2" } })))

  it.effect("copies nothing into a folder that lies in the source, but deletes it", () =>
    Effect.gen(function* () {
      const { files } = yield* Emulator
      assert.strictEqual((yield* copy("App", "App\\sub")).code, "FABRIC_E_FILE_NOT_FOUND")
      assert.notInclude((yield* files).map(({ path }) => path), "App/sub/_.dir")
    }).pipe(with_({ files: { "App/_.dir": "", "App/sub/_.dir": "" } })))

  it.effect("answers 10,000 deletes in well under a minute", () =>
    Effect.gen(function* () {
      const { requests } = yield* Emulator
      for (let n = 0; n < 10_000; n++) assert.strictEqual((yield* discard()).status, 404)
      assert.lengthOf(yield* requests, 10_000)
    }).pipe(with_()), 20_000)
})

describe("a listing", () => {
  /** The paths on all pages, in their order. */
  const pages = (path: string) =>
    Effect.gen(function* () {
      const seen: Array<string> = []
      let token = ""
      do {
        const page = JSON.parse((yield* list(path, { token })).body)
        assert.isAbove(page.StoreFiles.length + page.StoreFolders.length, 0, "no page is empty")
        for (const entry of [...page.StoreFiles, ...page.StoreFolders]) seen.push(entry.StoreRelativePath)
        token = page.ContinuationToken
      } while (token !== "")
      return seen
    })

  const files = { "App/sub.txt": "", "App/sub/a": "", "App/sub/b": "", "App/z": "" }

  for (const [os, separator] of [["windows", "\\"], ["linux", "/"]] as const) {
    for (const pageBytes of [1, 150, 250]) {
      it.effect(`has each entry on one page, on ${os} with pages of ${pageBytes} bytes`, () =>
        Effect.gen(function* () {
          assert.deepStrictEqual(
            (yield* pages("App")).sort(),
            ["sub", "sub.txt", "z"].map((name) => `App${separator}${name}`),
          )
        }).pipe(with_({ os, pageBytes, files })))
    }
  }

  it.effect("is the same in pages as in one piece, also where a file and a folder share a name", () =>
    Effect.gen(function* () {
      const names = FastCheck.array(FastCheck.constantFrom("a", "a.txt", "b", "B", "a b"), {
        minLength: 1,
        maxLength: 3,
      })
      yield* Effect.promise(() =>
        FastCheck.assert(
          FastCheck.asyncProperty(
            FastCheck.array(names, { minLength: 1, maxLength: 12 }),
            FastCheck.constantFrom("windows" as const, "linux" as const),
            FastCheck.integer({ min: 1, max: 400 }),
            async (paths, os, pageBytes) => {
              const files = Object.fromEntries(paths.map((path) => [["App", ...path].join("/"), "x"]))
              const of = (pageBytes: number) =>
                Effect.runPromise(Effect.provide(pages("App"), Emulator.layer({ os, pageBytes, files })))
              assert.deepStrictEqual((await of(pageBytes)).sort(), (await of(1e6)).sort())
            },
          ),
          { numRuns: 300 },
        )
      )
    }))

  it.effect("names folders as they were sent, whatever their letters are in lower case", () =>
    Effect.gen(function* () {
      assert.include((yield* list("")).body, `{"StoreRelativePath":"İΣ","FileCount":"2"}`)
      assert.include((yield* list("%C4%B0%CF%83")).body, `"StoreRelativePath":"İΣ\\\\a"`)
      yield* copy("İσ", "App")
      assert.include((yield* list("App")).body, `"StoreRelativePath":"App\\\\a"`)
    }).pipe(with_({ files: { "İΣ/a": "", "İΣ/_.dir": "" } })))
})
