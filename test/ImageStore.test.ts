import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import {
  commitUploadSession,
  copyContent,
  deleteContent,
  getFolderSize,
  getInfo,
  getUploadSession,
  getUploadSessions,
  hasUploadSessions,
  ImageStoreInfo,
  listContent,
  putChunk,
  putFile,
} from "../mod.ts"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import {
  cluster,
  clusterWith,
  failure,
  inject,
  inTime,
  requests,
  requestsOf,
  S,
  T,
} from "./support/cluster.ts"

const list = (path?: string) =>
  Effect.map(Stream.runCollect(listContent(path === undefined ? {} : { path })), (all) => [...all])
const put = (path: string, size = 3) => putFile({ path, bytes: new Uint8Array(size) })
const chunk = (first: number, last: number, size = 8, path = "App/a.bin") =>
  putChunk({ path, sessionId: S, range: { first, last }, size, bytes: new Uint8Array(last - first + 1) })

const sent = Effect.map(
  requests,
  (all) => all.map(({ url }) => url.slice(17)),
)

for (const os of ["windows", "linux"] as const) {
  it.effect(`hasUploadSessions asks a cluster on ${os} once, by one request`, () =>
    Effect.gen(function* () {
      for (const _ of [1, 2]) assert.strictEqual(yield* hasUploadSessions, os === "windows")
      const [asked, ...more] = yield* sent
      assert.match(asked!, /^ImageStore\/\$\/GetUploadSession\?api-version=6\.0&session-id=/)
      assert.deepStrictEqual(more, [])
    }).pipe(Effect.provide(clusterWith({}, { os }))))

  describe(`listContent on ${os}`, () => {
    it.effect("tells files and folders, with / between names", () =>
      Effect.gen(function* () {
        yield* put("App/Code/b.dll", 7)
        yield* put("App/a.xml", 5)
        const entries = yield* list("App")
        assert.deepStrictEqual(
          entries.map((
            entry,
          ) => [entry.path as string, entry._tag === "File" ? entry.size : entry.fileCount]),
          [["App/a.xml", 5], ["App/Code", 1]],
        )
        assert.deepStrictEqual((yield* list()).map(({ path }) => path as string), ["App"])
      }).pipe(Effect.provide(clusterWith({}, { os }))))

    it.effect("tells an empty folder from one that is not there", () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* list(), [])
        assert.isTrue((yield* failure(list("App"))).isNotFound)
        yield* put("App/_.dir", 0)
        const error = yield* failure(list("App/none"))
        assert.isTrue(error.isNotFound)
        assert.include(error.message, "App/none")
        assert.notInclude(error.message, "session")
      }).pipe(Effect.provide(clusterWith({}, { os }))))
  })
}

describe("listContent", () => {
  it.effect("gives a file another version under another epoch, though the rest of it is the same", () =>
    Effect.gen(function* () {
      const line = (name: string, loss: string, configuration: string) => ({
        StoreRelativePath: name,
        FileVersion: {
          EpochDataLossNumber: loss,
          EpochConfigurationNumber: configuration,
          VersionNumber: "23",
        },
        FileSize: "1",
        ModifiedDate: "2017-09-28T17:44:22.609Z",
      })
      const body = JSON.stringify({
        StoreFiles: [line("a", "1", "2"), line("b", "1", "3"), line("c", "2", "2")],
      })
      yield* inject(Fault.answer({ status: 200, body }), "GetImageStoreContent")
      const versions = (yield* list("App")).map((entry) => entry._tag === "File" && entry.version)
      assert.lengthOf(new Set(versions), 3)
    }).pipe(Effect.provide(cluster)))

  it.effect("takes 204 for a folder that is there and holds nothing", () =>
    Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.answer({ status: 204 }))
      assert.deepStrictEqual(yield* list("App"), [])
    }).pipe(Effect.provide(cluster)))

  it.effect("asks for page after page, with the token as it came", () =>
    Effect.gen(function* () {
      for (let i = 0; i < 30; i++) yield* put(`App/${String(i).padStart(2, "0")} and é.txt`)
      assert.strictEqual((yield* list("App")).length, 30)
      assert.isAbove((yield* sent).filter((url) => url.includes("ContinuationToken")).length, 1)
    }).pipe(Effect.provide(clusterWith({}, { pageBytes: 500 }))))

  it.effect("does not take a page that names itself as the next one for the end", () =>
    Effect.gen(function* () {
      const page = (token: string) =>
        Fault.answer({
          status: 200,
          body: JSON.stringify({ StoreFiles: [], StoreFolders: [], ContinuationToken: token }),
        })
      const { inject } = yield* Emulator
      yield* inject(page("App%5Ca"))
      yield* inject(page("App%5Ca"))
      const error = yield* failure(list("App"))
      assert.strictEqual(error.reason._tag, "Malformed")
      assert.include(error.message, "Cannot list App at one:19080: an answer that a gateway does not give")
    }).pipe(Effect.provide(cluster)))

  it.effect("says what of an answer cannot be read, and why", () =>
    Effect.gen(function* () {
      const line = {
        StoreRelativePath: "App\\a.txt",
        FileVersion: { EpochDataLossNumber: "1", VersionNumber: "2", EpochConfigurationNumber: "3" },
        FileSize: "4",
        ModifiedDate: "2026-11-25T01:02:03.004Z",
      }
      const refusal = (body: string) =>
        Effect.gen(function* () {
          yield* (yield* Emulator).inject(Fault.answer({ status: 200, body }))
          const { reason } = yield* failure(list("App"))
          return reason._tag === "Malformed" ? reason.detail : reason._tag
        })
      const files = (...StoreFiles: ReadonlyArray<object>) => JSON.stringify({ StoreFiles })
      assert.strictEqual(
        yield* refusal(files(line, { ...line, FileSize: "9007199254740993" })),
        "StoreFiles.1.FileSize: expected a whole number from 0 to 2^53-1, got 9007199254740993",
      )
      assert.strictEqual(
        yield* refusal(files({ ...line, ModifiedDate: "yesterday" })),
        "StoreFiles.0.ModifiedDate: expected a date, got yesterday",
      )
      assert.strictEqual(
        yield* refusal(files({ ...line, FileVersion: undefined })),
        "StoreFiles.0.FileVersion: is missing",
      )
      assert.match(yield* refusal("<html>Welcome</html>"), /^its body is no JSON: .*<html>/)
      assert.strictEqual(yield* refusal(`{"status":"UP"}`), "neither StoreFiles nor StoreFolders is there")
    }).pipe(Effect.provide(cluster)))

  it.effect("does not take a proxy's 404 page for a missing folder", () =>
    Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.answer({ status: 404, body: "<h1>Not Found</h1>" }))
      assert.isFalse((yield* failure(list("App"))).isNotFound)
    }).pipe(Effect.provide(cluster)))
})

describe("content", () => {
  it.effect("goes out under the REST names' routes and api-versions", () =>
    Effect.gen(function* () {
      yield* put("A b/é+c.txt")
      yield* Effect.ignore(list("A b"))
      yield* Effect.ignore(list())
      yield* getFolderSize({ path: "A b" })
      yield* getFolderSize()
      yield* getInfo({ timeout: 9 })
      yield* copyContent({ source: "x", destination: "y" }).pipe(Effect.ignore)
      yield* deleteContent({ path: "A b" })
      assert.deepStrictEqual(
        yield* sent,
        [
          "ImageStore/A%20b/%C3%A9%2Bc.txt?api-version=6.0&timeout=60",
          "ImageStore/A%20b?api-version=6.2&timeout=60",
          "ImageStore?api-version=6.0&timeout=60",
          "ImageStore/A%20b/$/FolderSize?api-version=6.5&timeout=60",
          "ImageStore/$/FolderSize?api-version=6.5&timeout=60",
          "ImageStore/$/Info?api-version=6.5&timeout=9",
          "ImageStore/$/Copy?api-version=6.0&timeout=60",
          "ImageStore/A%20b?api-version=6.0&timeout=60",
        ],
      )
    }).pipe(Effect.provide(cluster)))

  for (const os of ["windows", "linux"] as const) {
    it.effect(`is copied on ${os} by paths with its own separator`, () =>
      Effect.gen(function* () {
        yield* put("Apps/One/a.txt")
        yield* put("Apps/One/skip.txt")
        yield* put("Apps/One/_.dir", 0)
        yield* copyContent({ source: "Apps/One", destination: "Apps/Two", skipFiles: ["skip.txt"] })
        assert.deepStrictEqual((yield* list("Apps/Two")).map(({ path }) => path as string).sort(), [
          "Apps/Two/_.dir",
          "Apps/Two/a.txt",
        ])
      }).pipe(Effect.provide(clusterWith({}, { os }))))
  }

  it.effect("that lacks its _.dir is not copied", () =>
    Effect.gen(function* () {
      yield* put("App/a.txt")
      assert.isTrue((yield* failure(copyContent({ source: "App", destination: "B" }))).isNotFound)
    }).pipe(Effect.provide(cluster)))

  it.effect("is never copied onto itself or what it lies in, which the cluster would delete first", () =>
    Effect.gen(function* () {
      yield* put("App/Code/a.txt")
      for (const [source, destination] of [["App", "App"], ["App", "app"], ["App/Code", "APP"]] as const) {
        const error = yield* failure(copyContent({ source, destination }))
        assert.strictEqual(error.operation, "CopyImageStoreContent")
        assert.include(error.message, `destination: ${source} is in ${destination}`)
      }
      assert.lengthOf(yield* sent, 1)
      yield* put("App/_.dir", 0)
      yield* copyContent({ source: "App", destination: "App2" })
    }).pipe(Effect.provide(cluster)))

  it.effect("is not copied by params that are wrong, and nothing is asked for them", () =>
    Effect.gen(function* () {
      for (
        const params of [{ source: "a/../b" }, { source: "a/b", destination: "" }, {
          source: "a/b",
          timeout: 0,
        }]
      ) {
        const error = yield* failure(copyContent({ destination: "c", ...params }))
        assert.strictEqual(error.reason._tag, "InvalidParams")
      }
      assert.deepStrictEqual(yield* sent, [])
    }).pipe(Effect.provide(cluster)))

  it.effect("says that it could not be copied, also when the first question fails, in its own time", () =>
    Effect.gen(function* () {
      const { inject, requests } = yield* Emulator
      yield* inject(Fault.certificateRequired)
      const error = yield* failure(copyContent({ source: "a/b", destination: "c", timeout: 7 }))
      assert.include(error.message, "Cannot copy a/b to c at one:19080")
      assert.strictEqual(error.operation, "CopyImageStoreContent")
      assert.include((yield* requests)[0]!.url, "timeout=7")
    }).pipe(Effect.provide(cluster)))

  it.effect("that is not there is deleted already", () =>
    Effect.provide(deleteContent({ path: "none/at/all" }), cluster))

  it.effect("of the cluster's own folders is not deleted", () =>
    Effect.gen(function* () {
      const error = yield* failure(deleteContent({ path: "Store" }))
      assert.include(error.message, "belongs to the cluster")
    }).pipe(Effect.provide(cluster)))

  it.effect("is measured", () =>
    Effect.gen(function* () {
      yield* put("App/a", 100)
      yield* put("App/b/c", 23)
      assert.deepStrictEqual((yield* getFolderSize({ path: "App" })).size, 123)
      assert.strictEqual((yield* getFolderSize()).size, 123)
    }).pipe(Effect.provide(cluster)))

  it.effect("is never sent for a path that the store cannot hold", () =>
    Effect.gen(function* () {
      for (const path of ["a%b", "a/../b", "", "a\\b"]) {
        for (const call of [put(path), deleteContent({ path }), list(path), getUploadSessions({ path })]) {
          assert.strictEqual((yield* failure(Effect.asVoid(call))).reason._tag, "InvalidParams")
        }
      }
      assert.deepStrictEqual(yield* sent, [])
    }).pipe(Effect.provide(cluster)))

  it.effect("needs a size when it is a stream", () =>
    Effect.gen(function* () {
      const error = yield* failure(putFile({ path: "a", bytes: Stream.empty }))
      assert.include(error.message, "size: is missing")
    }).pipe(Effect.provide(cluster)))
})

describe("getInfo", () => {
  const published =
    '[{"DiskInfo":{"Capacity":"500090007552","AvailableSpace":"228851900416"},"UsedByMetadata":{"UsedSpace":"23093248","FileCount":6},"UsedByStaging":{"UsedSpace":"6291456","FileCount":9},"UsedByCopy":{"UsedSpace":"4194304","FileCount":2},"UsedByRegister":{"UsedSpace":"4194304","FileCount":3}}]'

  it("reads the published array, and the declared object", () => {
    const read = Schema.decodeUnknownSync(Schema.parseJson(ImageStoreInfo))
    assert.deepStrictEqual(read(published).staging, { size: 6291456, files: 9 })
    assert.deepStrictEqual(read(published.slice(1, -1).replaceAll(/:(\d+)/g, ':"$1"')), read(published))
  })

  it.effect("shows what sessions stage, until they end", () =>
    Effect.gen(function* () {
      yield* chunk(0, 3)
      assert.strictEqual((yield* getInfo()).staging.size, 4)
    }).pipe(Effect.provide(cluster)))
})

describe("sessions", () => {
  it.effect("are read by id and by path", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* getUploadSession({ sessionId: S }), Option.none())
      assert.deepStrictEqual(yield* getUploadSessions({ path: "App/a.bin" }), [])
      yield* chunk(0, 3)
      const session = Option.getOrThrow(yield* getUploadSession({ sessionId: S }))
      assert.deepStrictEqual(session.expected, [{ first: 4, last: 7 }])
      assert.deepStrictEqual(yield* getUploadSessions({ path: "App/a.bin" }), [session])
      assert.deepStrictEqual(yield* getUploadSessions({ path: "App/A.bin" }), [])
    }).pipe(Effect.provide(cluster)))

  it.effect("are committed when nothing is expected, and stay", () =>
    Effect.gen(function* () {
      yield* chunk(0, 3)
      assert.strictEqual((yield* failure(commitUploadSession({ sessionId: S }))).reason._tag, "Rejected")
      yield* chunk(4, 7)
      yield* commitUploadSession({ sessionId: S })
      yield* commitUploadSession({ sessionId: S })
      assert.deepStrictEqual((yield* list("App")).map(({ path }) => path as string), ["App/a.bin"])
      assert.isTrue(Option.isSome(yield* getUploadSession({ sessionId: S })))
    }).pipe(Effect.provide(cluster)))

  it.effect("take a lost chunk for arrived when it is no longer expected", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* emulator.inject(Fault.dropAnswer, { on: "UploadFileChunk" })
      yield* inTime(chunk(0, 3))
      assert.lengthOf(yield* requestsOf("UploadFileChunk"), 1)
      assert.strictEqual(yield* emulator.leaked, 0)
    }).pipe(Effect.provide(cluster)))

  it.effect("get a lost chunk again only when it can no longer arrive", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* emulator.inject(Fault.reset, { on: "UploadFileChunk" })
      yield* inTime(chunk(0, 3))
      const [lost, again] = yield* requestsOf("UploadFileChunk")
      assert.isAtLeast(again!.at.getTime() - lost!.at.getTime(), 65_000)
    }).pipe(Effect.provide(cluster)))

  it.effect("are asked for a lost commit again only while they are known and complete", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* chunk(0, 7)
      yield* emulator.inject(Fault.dropAnswer, { on: "CommitImageStoreUploadSession" })
      yield* inTime(commitUploadSession({ sessionId: S }))
      yield* emulator.inject(Fault.reset, { on: "CommitImageStoreUploadSession" })
      const error = yield* failure(inTime(commitUploadSession({ sessionId: T })))
      assert.strictEqual(error.reason._tag, "Unreachable")
    }).pipe(Effect.provide(cluster)))

  for (
    const [name, wrong, field] of [
      ["a range that ends before it begins", { range: { first: 4, last: 3 } }, "range"],
      ["a range beyond the file", { range: { first: 4, last: 8 } }, "range"],
      ["bytes that are not those of the range", { bytes: new Uint8Array(3) }, "bytes"],
      ["half a byte", { range: { first: 0.5, last: 4 } }, "range.first"],
      ["text for bytes", { bytes: "four" }, "bytes"],
    ] as const
  ) {
    it.effect(`never send ${name}`, () =>
      Effect.gen(function* () {
        const params = {
          path: "a",
          sessionId: S,
          range: { first: 4, last: 7 },
          size: 8,
          bytes: new Uint8Array(4),
          ...wrong,
        }
        const { reason } = yield* failure(putChunk(params as Parameters<typeof putChunk>[0]))
        assert.strictEqual(reason._tag === "InvalidParams" && reason.field, field)
        assert.deepStrictEqual(yield* sent, [])
      }).pipe(Effect.provide(cluster)))
  }

  it.effect("have sizes that are exact or refused", () =>
    Effect.gen(function* () {
      const body = (size: string) =>
        `{"UploadSessions":[{"StoreRelativePath":"a","SessionId":"${S}","FileSize":"${size}","ModifiedDate":"2026-11-22T00:00:00.000Z","ExpectedRanges":[]}]}`
      const emulator = yield* Emulator
      yield* emulator.inject(Fault.answer({ status: 200, body: body("9007199254740991") }))
      assert.strictEqual(Option.getOrThrow(yield* getUploadSession({ sessionId: S })).size, 9007199254740991)
      yield* emulator.inject(Fault.answer({ status: 200, body: body("9007199254740993") }))
      assert.strictEqual((yield* failure(getUploadSession({ sessionId: S }))).reason._tag, "Malformed")
    }).pipe(Effect.provide(cluster)))
})
