/** What other clients get wrong about uploads, and what hurts their users: each of them once, so that it cannot come here. */
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import {
  FabricClient,
  type PackageOptions,
  type Source,
  uploadFile,
  UploadJournal,
  type UploadOptions,
  uploadPackage,
} from "../mod.ts"
import { expiryOf } from "../src/credentials/jwt.ts"
import { Emulator, Fault, FaultPlan } from "../src/emulator/mod.ts"
import { bytesOf } from "./support/bytes.ts"
import { certificate } from "./support/certificates.ts"
import { clusterWith, requestsOf } from "./support/cluster.ts"
import { folderOf, shop, stored } from "./support/packages.ts"
import { serveHttps } from "./support/sockets.ts"
import { inTurn, jwt } from "./support/tokens.ts"
import { type Env, nothingLeft, run } from "./support/uploads.ts"
import { inVirtualTime, VIRTUAL_START } from "./support/virtualTime.ts"

const bringFile = (source: Source, options: UploadOptions = {}) =>
  Stream.runDrain(uploadFile(source, "App/a.bin", { chunkSize: 10, ...options }))

const bringFolder = (folder: string, options: PackageOptions = {}, path = "Shop") =>
  Stream.runDrain(uploadPackage(folder, path, options))

const holds = (bytes: Uint8Array) =>
  Effect.gen(function* () {
    const file = (yield* (yield* Emulator).files).find(({ path }) => path === "App/a.bin")
    assert.deepStrictEqual(file && [...(yield* file.bytes)], [...bytes])
  })

describe("a connection", () => {
  /** The emulator behind TLS. */
  const behindTls = Effect.gen(function* () {
    const { emulator, url } = yield* Emulator.serve({ port: 0 })
    const own = yield* Effect.promise(() => certificate("localhost"))
    let requests = 0
    const { connections, port } = yield* serveHttps(own, (request, response) => {
      requests++
      const onward = Http.request(url + request.url, { method: request.method, headers: request.headers })
      onward.on("response", (answer) => {
        response.writeHead(answer.statusCode!, answer.headers)
        answer.pipe(response)
      })
      request.pipe(onward)
    })
    return {
      ca: own.cert,
      connections,
      emulator,
      endpoint: `https://localhost:${port}`,
      requests: () => requests,
    }
  })

  it.scoped("is used for many files: no new handshake for each", () =>
    Effect.gen(function* () {
      const { ca, connections, emulator, endpoint } = yield* behindTls
      const files = Object.fromEntries(Array.from({ length: 40 }, (_, i) => [`f${i}`, `${i}`]))
      yield* bringFolder(yield* folderOf(files), { validate: false, concurrency: 3 }).pipe(
        Effect.provide(FabricClient.layerCluster({ endpoints: [endpoint], ca })),
        Effect.provide(UploadJournal.layerMemory()),
      )
      assert.strictEqual((yield* emulator.files).length, 41)
      // Listings are read eight at once.
      assert.isAtMost(connections(), 8)
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None)))

  it.scoped("to a cluster that nobody vouches for gets no byte, and is not tried for minutes", () =>
    Effect.gen(function* () {
      const { endpoint, requests } = yield* behindTls
      const error = yield* bringFile(bytesOf(95)).pipe(
        Effect.flip,
        Effect.provide(FabricClient.layerCluster({ endpoints: [endpoint] })),
        Effect.provide(UploadJournal.layerMemory()),
      )
      assert.strictEqual(error._tag === "FabricError" && error.reason._tag, "Untrusted")
      assert.strictEqual(requests(), 0)
    }).pipe(Logger.withMinimumLogLevel(LogLevel.None)))
})

describe("a token", () => {
  // sfctl signs in, and then uploads by connections of its own that know nothing of it.
  it.effect("is not forgotten where bytes go: all requests of uploads show it, of files and of packages", () =>
    inVirtualTime(Effect.scoped(
      Effect.gen(function* () {
        yield* bringFile(bytesOf(95))
        yield* bringFolder(yield* folderOf({ ...shop, "Web/Code/big.dll": "x".repeat(700) }), {
          chunkSize: 100,
        })
        const requests = yield* (yield* Emulator).requests
        assert.includeMembers(requests.map(({ operation }) => operation), ["UploadFile", "UploadFileChunk"])
        for (const { headers, operation } of requests) {
          assert.strictEqual(headers["authorization"], "Bearer hunter2", operation)
        }
        yield* holds(bytesOf(95))
        yield* nothingLeft
      }).pipe(Effect.provide(
        Layer.merge(
          clusterWith({ endpoints: ["https://one:19080"], token: "hunter2" }, { token: "hunter2" }),
          UploadJournal.layerMemory(),
        ),
      )),
    )))

  it.effect("that is refused half way, whenever it expires, is renewed once for all chunks under way", () => {
    const issuer = inTurn("first", "second")
    let chunks = 0
    return inVirtualTime(Effect.scoped(
      Effect.gen(function* () {
        const stream = Stream.tap(
          Stream.map(
            Stream.rechunk(Stream.range(0, 19), 1),
            (piece) => bytesOf(200).subarray(piece * 10, piece * 10 + 10),
          ),
          () => Effect.sync(() => chunks++),
        )
        yield* bringFile({ stream, size: 200 }, { concurrency: 4 })
        assert.strictEqual(issuer.asked, 2)
        const statuses = (yield* requestsOf("UploadFileChunk")).map(({ status }) => status)
        assert.strictEqual(statuses.filter((status) => status === 200).length, 20)
        assert.include(statuses, 403)
        yield* holds(bytesOf(200))
        yield* nothingLeft
        assert.strictEqual(yield* (yield* Emulator).leaked, 0)
      }).pipe(Effect.provide(
        Layer.merge(
          clusterWith({ endpoints: ["https://one:19080"], token: issuer.token }, {
            token: (token) => token === (chunks < 10 ? "first" : "second"),
          }),
          UploadJournal.layerMemory(),
        ),
      )),
    ))
  })

  it.effect("that runs out during an upload is renewed, and nothing is sent twice", () => {
    const in10Minutes = VIRTUAL_START / 1000 + 600
    const issuer = inTurn(jwt("first", in10Minutes), jwt("second", in10Minutes + 600), jwt("third"))
    let now = VIRTUAL_START
    return inVirtualTime(Effect.scoped(
      Effect.gen(function* () {
        const stream = Stream.mapEffect(
          Stream.rechunk(Stream.range(0, 99), 1),
          (piece) =>
            Effect.map(Effect.delay(Clock.currentTimeMillis, "15 seconds"), (at) => {
              now = at
              return bytesOf(1000).subarray(piece * 10, piece * 10 + 10)
            }),
        )
        yield* bringFile({ stream, size: 1000 })
        assert.strictEqual(issuer.asked, 3)
        assert.isAbove(now, VIRTUAL_START + 1200_000)
        const chunks = yield* requestsOf("UploadFileChunk")
        assert.deepStrictEqual(new Set(chunks.map(({ status }) => status)), new Set([200]))
        assert.strictEqual(chunks.length, 100)
        yield* holds(bytesOf(1000))
      }).pipe(Effect.provide(
        Layer.merge(
          clusterWith({ endpoints: ["https://one:19080"], token: issuer.token }, {
            token: (token) => token !== "" && expiryOf(token) > now,
          }),
          UploadJournal.layerMemory(),
        ),
      )),
    ))
  })
})

describe("a chunk", () => {
  it.effect("that is lost for good fails the upload: no file is made without it", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.reply(500, "FABRIC_E_IMAGESTORE_IOERROR"), {
        on: "UploadFileChunk",
        times: 10_000,
      })
      assert.isTrue(Exit.isFailure(yield* Effect.exit(bringFile(bytesOf(95), { patience: 30 }))))
      assert.deepStrictEqual(yield* requestsOf("CommitImageStoreUploadSession"), [])
      assert.deepStrictEqual(yield* (yield* Emulator).files, [])
      yield* nothingLeft
    })))

  it.effect("is looked for on the cluster before the commit", () =>
    run(Effect.gen(function* () {
      yield* bringFile(bytesOf(95))
      const story = (yield* (yield* Emulator).requests).map(({ operation }) => operation)
      const commit = story.indexOf("CommitImageStoreUploadSession")
      const look = story.lastIndexOf("GetImageStoreUploadSessionById", commit)
      assert.isAbove(look, story.lastIndexOf("UploadFileChunk"))
    })))

  it.effect("is read when it can go, and not before: memory does not grow with the file", () =>
    run(
      Effect.gen(function* () {
        const { requests } = yield* Emulator
        const ahead: Array<number> = []
        const stream = Stream.mapEffect(Stream.rechunk(Stream.range(1, 200), 1), (piece) =>
          Effect.map(requests, (all) => {
            const arrived = all.filter(({ operation, status }) =>
              operation === "UploadFileChunk" && status === 200
            )
            ahead.push(piece * 5 - arrived.length * 10)
            return bytesOf(1000).subarray((piece - 1) * 5, piece * 5)
          }))
        yield* bringFile({ stream, size: 1000 }, { concurrency: 3 })
        assert.strictEqual(ahead.length, 200)
        assert.isAtMost(Math.max(...ahead), 3 * 10)
        yield* holds(bytesOf(1000))
      }),
      { latency: "1 second" },
    ))
})

describe("an error", () => {
  it.effect("after minutes of silence names the cluster and the file, not a task that was canceled", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.hang, { on: "UploadFileChunk", times: 1000 })
      const error = yield* Effect.flip(bringFile(bytesOf(95), { patience: 60 }))
      assert.match(
        error.message,
        /^Cannot upload a chunk of App\/a\.bin at one:19080: no answer within \d+ s/,
      )
      yield* nothingLeft
    })))

  for (const kind of ["file", "package"] as const) {
    it.effect(`of a cluster whose store is a file share says so at once, for a ${kind}`, () =>
      run(
        Effect.gen(function* () {
          const begun = yield* Clock.currentTimeMillis
          const folder = yield* folderOf(shop)
          const error = yield* Effect.flip<unknown, { readonly message: string }, Env>(
            kind === "file" ? bringFile(bytesOf(95)) : bringFolder(folder),
          )
          assert.include(error.message, "FABRIC_E_SERVICE_DOES_NOT_EXIST")
          assert.include(error.message, "its image store is a file share")
          assert.isBelow((yield* Clock.currentTimeMillis) - begun, 10_000)
          assert.deepStrictEqual(yield* (yield* UploadJournal).entries, [])
        }),
        { imageStore: "file:C:\\SfDevCluster\\Data\\ImageStoreShare" },
      ))

    it.effect(`of a full disk is asked for, and no session of a ${kind} stays on it`, () =>
      run(
        Effect.gen(function* () {
          const folder = yield* folderOf({ ...shop, "Web/Code/big.dll": "x".repeat(700) })
          const error = yield* Effect.flip<unknown, { readonly message: string }, Env>(
            kind === "file"
              ? bringFile(bytesOf(700), { chunkSize: 100 })
              : bringFolder(folder, { chunkSize: 100 }),
          )
          assert.include(error.message, "is its disk full?")
          // What a failed commit joined is out of a client's reach (protocol.md 4.5).
          assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
          assert.deepStrictEqual(yield* (yield* UploadJournal).entries, [])
          assert.deepStrictEqual(yield* stored, {})
        }),
        { capacity: 1000 },
      ))
  }
})

describe("a whole upload is not lost", () => {
  it.effect("by a 504 after 75 of 172 files: that file goes again, and no other", () => {
    const faults = FaultPlan.make(() => {
      let count = 0
      return ({ operation }) =>
        operation === "UploadFile" && [76, 77].includes(++count) ? Fault.error("FABRIC_E_TIMEOUT") : undefined
    })
    return run(
      Effect.gen(function* () {
        const files = Object.fromEntries(Array.from({ length: 172 }, (_, i) => [`f${i}`, `${i}`]))
        yield* bringFolder(yield* folderOf(files), { validate: false })
        assert.strictEqual((yield* (yield* Emulator).files).length, 173)
        assert.strictEqual((yield* requestsOf("UploadFile")).length, 173 + 2)
      }),
      { faults },
    )
  })

  const bare = { body: "", headers: {}, reason: "" }
  for (
    const [name, fault] of [
      ["a proxy's bare 502", Fault.answer({ ...bare, status: 502 })],
      ["a proxy's bare 503", Fault.answer({ ...bare, status: 503 })],
      ["a proxy's bare 504", Fault.answer({ ...bare, status: 504 })],
      ["FABRIC_E_OBJECT_CLOSED", Fault.error("FABRIC_E_OBJECT_CLOSED")],
      ["FABRIC_E_COMMUNICATION_ERROR", Fault.error("FABRIC_E_COMMUNICATION_ERROR")],
    ] as const
  ) {
    for (
      const on of [
        "GetImageStoreUploadSessionByPath",
        "UploadFileChunk",
        "GetImageStoreUploadSessionById",
        "CommitImageStoreUploadSession",
        "DeleteImageStoreUploadSession",
      ] as const
    ) {
      it.effect(`by ${name}, twice, to ${on}`, () =>
        run(Effect.gen(function* () {
          yield* (yield* Emulator).inject(fault, { on, times: 2 })
          yield* bringFile(bytesOf(95))
          yield* holds(bytesOf(95))
          yield* nothingLeft
          assert.isAtLeast((yield* requestsOf(on)).length, 3)
        })))
    }
  }

  it.effect("by a proxy that finds chunks too large and says so in a page of its own", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(
        Fault.answer({ status: 413, body: "<html><h1>413 Request Entity Too Large</h1></html>" }),
        { on: "UploadFileChunk" },
      )
      const bytes = bytesOf(300_000)
      yield* bringFile(bytes, { chunkSize: 200_000 })
      yield* holds(bytes)
      yield* nothingLeft
    })))
})

describe("what an upload leaves", () => {
  it.effect("is removed where its path has to be escaped, too", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.error("E_ACCESSDENIED"), { on: "UploadFileChunk" })
      const files = { "a&b/c d.txt": "small", "big.bin": "x".repeat(50) }
      yield* Effect.flip(bringFolder(yield* folderOf(files), { validate: false, chunkSize: 10 }, "My App+ü"))
      assert.deepStrictEqual(yield* stored, {})
      yield* nothingLeft
    })))

  it.effect("is one of two versions that went to one path at once, and never a complete mix", () =>
    run(
      Effect.gen(function* () {
        const versionOf = (version: string) =>
          Object.fromEntries(Array.from({ length: 12 }, (_, i) => [`f${i}`, version.repeat(i + 1)]))
        const versions = ["one", "second"].map(versionOf)
        const folders = yield* Effect.forEach(versions, (files) => folderOf(files))
        const exits = yield* Effect.forEach(
          folders,
          (folder, index) =>
            Effect.delay(
              Effect.exit(bringFolder(folder, { validate: false, concurrency: 1 + index })),
              index * 3000,
            ),
          { concurrency: 2 },
        )
        const all = yield* stored
        if ("Shop/_.dir" in all) {
          assert.deepInclude(
            versions.map((files) =>
              Object.fromEntries([
                ...Object.entries(files).map(([name, content]) => [`Shop/${name}`, content]),
                ["Shop/_.dir", ""],
              ])
            ),
            all,
          )
        } else assert.isTrue(exits.every(Exit.isFailure))
      }),
      { latency: "1 second" },
    ))
})
