import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import * as Http from "node:http"
import { FabricClient, FabricConfig, putChunk, putFile, type SessionId } from "../mod.ts"
import { Emulator, type EmulatorOptions, Fault, type RequestEntry } from "../src/emulator/mod.ts"
import { hasUploadSessions } from "../src/ImageStore.ts"
import { JournalError } from "../src/journal/Journal.ts"
import type { JournalEntry } from "../src/journal/JournalEntry.ts"
import { type Answer, type Exchange, exchange, exchangeOf } from "../src/transport/Exchange.ts"
import type { FileSummary, Source, UploadOptions } from "../src/UploadEvent.ts"
import { uploadFile } from "../src/uploadFile.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { withUploadSession } from "../src/withUploadSession.ts"
import { bytesOf, hashOf } from "./support/bytes.ts"
import { certificate } from "./support/certificates.ts"
import { clusterWith, failure, inject, requests, requestsOf, S } from "./support/cluster.ts"
import { afterwards, clientOver, mortal, SECOND, until } from "./support/mortal.ts"
import { fileOf } from "./support/packages.ts"
import { serveHttps } from "./support/sockets.ts"
import { nothingLeft } from "./support/uploads.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

/** The session that a request is for. */
const idIn = ({ url }: RequestEntry) => new URL(url).searchParams.get("session-id")

const upload = (source: Source, options: UploadOptions = {}, path = "App/a.bin") =>
  Effect.map(
    Stream.runCollect(uploadFile(source, path, { chunkSize: 10, ...options })),
    (events) => [...events],
  )

const summaryOf = (source: Source, options: UploadOptions = {}) =>
  Effect.map(upload(source, options), (events) => {
    const last = events.at(-1)!
    assert.strictEqual(last._tag, "FileUploaded")
    return last as Extract<typeof last, { _tag: "FileUploaded" }>
  })

/** Each test in virtual time, on a cluster and a journal of its own. */
const run = <A, E>(
  program: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof clusterWith>> | UploadJournal>,
  emulator: EmulatorOptions = {},
  store = new Map<SessionId, JournalEntry>(),
) =>
  inVirtualTime(
    Effect.provide(program, Layer.merge(clusterWith({}, emulator), UploadJournal.layerMemory({ store }))),
  )

const holds = (bytes: Uint8Array, path = "App/a.bin") =>
  Effect.gen(function* () {
    const file = (yield* (yield* Emulator).files).find((each) => each.path === path)
    assert.strictEqual(file && (yield* file.sha256), hashOf(bytes))
  })

describe("uploadFile", () => {
  it.effect("brings a large file in chunks, and leaves nothing but the file", () =>
    run(Effect.gen(function* () {
      const bytes = bytesOf(95)
      const events = yield* upload(bytes)
      yield* holds(bytes)
      yield* nothingLeft
      assert.strictEqual((yield* requestsOf("UploadFileChunk")).length, 10)
      assert.deepStrictEqual(events.map(({ _tag }) => _tag).filter((tag) => tag !== "BytesSent"), [
        "FileStarted",
        "Committing",
        "FileUploaded",
      ])
      assert.strictEqual(yield* (yield* Emulator).leaked, 0)
    })))

  for (const size of [0, 1, 10]) {
    it.effect(`brings a file of ${size} bytes by one request`, () =>
      run(Effect.gen(function* () {
        yield* upload(bytesOf(size))
        yield* holds(bytesOf(size))
        assert.strictEqual((yield* requestsOf("UploadFileChunk")).length, 0)
      })))
  }

  it.effect("brings a stream, run once when nothing goes wrong", () =>
    run(Effect.gen(function* () {
      const bytes = bytesOf(1000)
      let runs = 0
      const stream = Stream.unwrap(Effect.sync(() => {
        runs++
        return Stream.fromIterable([bytes.subarray(0, 333), bytes.subarray(333, 340), bytes.subarray(340)])
      }))
      yield* upload({ stream, size: 1000 }, { chunkSize: 64 })
      yield* holds(bytes)
      assert.strictEqual(runs, 1)
    })))

  it.effect("tells and counts each repeat of its questions, too", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.reply(503, "FABRIC_E_NOT_PRIMARY"), {
        on: "GetImageStoreUploadSessionById",
        times: 3,
      })
      const events = yield* upload(bytesOf(95))
      assert.strictEqual(events.filter(({ _tag }) => _tag === "Retried").length, 3)
      assert.strictEqual((events.at(-1) as FileSummary).retries, 3)
    })))

  for (const [name, size] of [["more", 90], ["fewer", 110]] as const) {
    it.effect(`fails for a stream that gives ${name} bytes than announced, with a clean cluster`, () =>
      run(Effect.gen(function* () {
        const error = yield* failure(upload({ stream: Stream.make(bytesOf(100)), size }))
        assert.strictEqual(error._tag, "SourceError")
        yield* nothingLeft
        assert.deepStrictEqual(yield* (yield* Emulator).files, [])
      })))
  }

  it.effect("goes by single requests on Linux", () =>
    run(
      Effect.gen(function* () {
        yield* upload(bytesOf(95))
        yield* holds(bytesOf(95))
        assert.strictEqual((yield* requestsOf("UploadFile")).length, 1)
      }),
      { os: "linux" },
    ))

  it.effect("never has more requests under way than concurrency", () =>
    run(
      Effect.gen(function* () {
        yield* upload(bytesOf(400), { concurrency: 3 })
        const at = (yield* requestsOf("UploadFileChunk")).map(({ at }) => at.getTime())
        for (const time of at) {
          assert.isAtMost(at.filter((other) => other > time - 1000 && other <= time).length, 3)
        }
      }),
      { latency: "1 second" },
    ))

  for (
    const [name, fault, on] of [
      ["a chunk's answer is lost", Fault.dropAnswer, "UploadFileChunk"],
      ["a chunk is reset", Fault.reset, "UploadFileChunk"],
      ["a chunk is refused a connection", Fault.refuse, "UploadFileChunk"],
      ["a chunk hangs", Fault.hang, "UploadFileChunk"],
      ["a chunk arrives late", Fault.late("20 seconds"), "UploadFileChunk"],
      ["a chunk is acknowledged but not recorded", Fault.forgetChunk, "UploadFileChunk"],
      ["the cluster is busy", Fault.error("FABRIC_E_SERVICE_TOO_BUSY"), "UploadFileChunk"],
      ["a chunk times out after the work", Fault.loseReply, "UploadFileChunk"],
      ["the primary moves", Fault.failOver("20 seconds"), "UploadFileChunk"],
      ["the primary moves before the commit", Fault.failOver("20 seconds"), "CommitImageStoreUploadSession"],
      ["the commit's answer is lost", Fault.dropAnswer, "CommitImageStoreUploadSession"],
      ["the commit is reset", Fault.reset, "CommitImageStoreUploadSession"],
      ["the commit is slow", Fault.slowDisk("3 minutes"), "CommitImageStoreUploadSession"],
      ["another write is pending", Fault.commitPending, "CommitImageStoreUploadSession"],
      ["a commit is rolled back", Fault.rollBack, "CommitImageStoreUploadSession"],
      ["the deletion's answer is lost", Fault.dropAnswer, "DeleteImageStoreUploadSession"],
      ["the deletion is refused for a while", Fault.reply(503, "E_ABORT"), "DeleteImageStoreUploadSession"],
      ["reading the session fails", Fault.reset, "GetImageStoreUploadSessionById"],
    ] as const
  ) {
    it.effect(`succeeds and leaves nothing when ${name}`, () =>
      run(Effect.gen(function* () {
        yield* putFile({ path: "App/a.bin", bytes: bytesOf(5, 9) })
        const bytes = bytesOf(95)
        yield* (yield* Emulator).inject(fault, { on, times: 2 })
        yield* upload(bytes)
        yield* holds(bytes)
        yield* Effect.sleep("2 minutes")
        yield* nothingLeft
      })))
  }

  it.effect("sends no chunk twice that had arrived", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.dropAnswer, { on: "UploadFileChunk", times: 3 })
      const { sent } = yield* summaryOf(bytesOf(100))
      assert.strictEqual(sent, 100)
      assert.strictEqual(yield* (yield* Emulator).leaked, 0)
      assert.isUndefined((yield* requestsOf("UploadFileChunk")).find(({ status }) => status === 400))
    })))

  for (
    const [name, unsent, atOnce] of [
      ["at once when it was refused before its body was sent", true, true],
      ["after quiet time when it was sent, whatever the answer", undefined, false],
    ] as const
  ) {
    it.effect(`sends a chunk again ${name}`, () =>
      run(Effect.gen(function* () {
        let refusals = 2
        const refusing = clientOver((client) => {
          const send: Exchange = (outgoing, watch) =>
            !outgoing.target.includes("/UploadChunk") || refusals-- <= 0
              ? exchange(client)(outgoing, watch)
              : Effect.sync(() => {
                const answer: Answer = { status: 503, headers: {}, text: "", ...(unsent && { unsent }) }
                watch.end(Exit.succeed(answer))
                return answer
              })
          return Object.assign(HttpClient.make(client.execute), { [exchangeOf]: send })
        })
        const began = yield* Clock.currentTimeMillis
        const events = yield* Effect.provide(upload(bytesOf(95)), refusing)
        yield* holds(bytesOf(95))
        assert.strictEqual(events.some(({ _tag }) => _tag === "Waiting"), !atOnce)
        assert.strictEqual((yield* Clock.currentTimeMillis) - began < 5000, atOnce)
      })))
  }

  for (
    const [what, refusal] of [
      ["has its id for another path", Fault.error("FABRIC_E_UPLOAD_SESSION_ID_CONFLICT")],
      ["knows it by another length", Fault.error("E_INVALIDARG")],
    ] as const
  ) {
    it.effect(`deletes a session and begins another when the cluster ${what}`, () =>
      run(Effect.gen(function* () {
        yield* inject(refusal, "UploadFileChunk")
        yield* upload(bytesOf(95), { concurrency: 1 })
        yield* holds(bytesOf(95))
        yield* nothingLeft
        const [refused] = yield* requestsOf("UploadFileChunk")
        const sent = (yield* requests).filter(({ operation }) => /Chunk$|^Delete/.test(operation!))
        const deleted = sent.findIndex(({ operation }) => operation === "DeleteImageStoreUploadSession")
        assert.isTrue(sent.slice(0, deleted + 1).every((each) => idIn(each) === idIn(refused!)))
        assert.isTrue(sent.slice(deleted + 1).every((each) => idIn(each) !== idIn(refused!)))
      })))
  }

  it.effect("begins another session where what is expected does not end where chunks end", () =>
    run(
      Effect.gen(function* () {
        const { failOver, sessions } = yield* Emulator
        const other = yield* Effect.fork(Effect.gen(function* () {
          yield* until("GetImageStoreContent", 1)
          const [session] = yield* sessions
          yield* failOver
          const range = { first: 5, last: 14 }
          yield* putChunk({ ...session!, range, bytes: new Uint8Array(10) })
        }))
        yield* upload(bytesOf(95))
        yield* Fiber.join(other)
        yield* holds(bytesOf(95))
        yield* nothingLeft
      }),
      { latency: "1 second" },
    ))

  it.effect("knows its file on Windows by a name in other letters, which the folder keeps", () =>
    run(Effect.gen(function* () {
      yield* putFile({ path: "APP/A.bin", bytes: bytesOf(5, 9) })
      yield* inject(Fault.dropAnswer, "CommitImageStoreUploadSession")
      yield* upload(bytesOf(95))
      yield* holds(bytesOf(95), "APP/A.bin")
      assert.lengthOf(yield* requestsOf("UploadFileChunk"), 10)
      yield* nothingLeft
    })))

  it.effect("makes chunks smaller when the cluster finds them too large", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.tooLarge, { on: "UploadFileChunk" })
      const bytes = bytesOf(700_000)
      yield* upload(bytes, { chunkSize: 200_000 })
      yield* holds(bytes)
      yield* nothingLeft
    })))

  it.effect("goes by chunks in a session when the cluster finds one request for all too large", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.tooLarge, { on: "UploadFile" })
      const bytes = bytesOf(200_000)
      const events = yield* upload(bytes, { chunkSize: 300_000 })
      yield* holds(bytes)
      yield* nothingLeft
      assert.strictEqual((yield* requestsOf("UploadFile")).length, 1)
      assert.strictEqual((yield* requestsOf("UploadFileChunk")).length, 2)
      assert.strictEqual(events.filter(({ _tag }) => _tag === "FileStarted").length, 1)
      const { resumed, retries, sent } = events.at(-1) as FileSummary
      assert.deepStrictEqual({ resumed, retries, sent }, { resumed: 0, retries: 1, sent: 400_000 })
    })))

  it.effect("says so when a Linux cluster finds one request too large, for it takes no chunks", () =>
    run(
      Effect.gen(function* () {
        yield* (yield* Emulator).inject(Fault.tooLarge, { on: "UploadFile" })
        const error = yield* failure(upload(bytesOf(200_000), { chunkSize: 300_000 }))
        assert.include(error.message, "413")
        assert.include(error.message, "this Linux cluster")
        assert.strictEqual((yield* requestsOf("UploadFile")).length, 1)
      }),
      { os: "linux" },
    ))

  it.effect("fails when the cluster finds even the smallest request too large", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.tooLarge, { on: "UploadFile", times: 9 })
      assert.include((yield* failure(upload(bytesOf(9)))).message, "413")
      assert.strictEqual((yield* requestsOf("UploadFile")).length, 1)
    })))

  it.effect("says so when the cluster expects, twice, what ends where no chunk does", () =>
    run(Effect.gen(function* () {
      yield* hasUploadSessions
      const session = {
        StoreRelativePath: "App/a.bin",
        SessionId: S,
        FileSize: "95",
        ModifiedDate: "2026-11-22T00:00:00.000Z",
        ExpectedRanges: [{ StartPosition: "3", EndPosition: "94" }],
      }
      const answer = Fault.answer({ status: 200, body: JSON.stringify({ UploadSessions: [session] }) })
      yield* inject(answer, "GetImageStoreUploadSessionById", 2)
      const error = yield* Effect.flip(upload(bytesOf(95)))
      assert.strictEqual(
        error.message,
        "Cannot upload App/a.bin at one:19080 (after 2 attempts): an answer that a gateway does not give: 200, " +
          "with ranges that end where no chunk does; is this a Service Fabric gateway?",
      )
      yield* nothingLeft
    })))

  it.effect("gives up after the time without progress, with a clean cluster", () =>
    run(Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* emulator.inject(Fault.reply(503, "E_ABORT"), { on: "UploadFileChunk", times: 10_000 })
      const error = yield* failure(upload(bytesOf(95), { patience: 60 }))
      assert.strictEqual(error._tag, "FabricError")
      yield* nothingLeft
    })))

  it.effect("fails at once when the cluster does not let us", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.reply(403, "E_ACCESSDENIED"), {
        on: "UploadFileChunk",
        times: 100,
      })
      const error = yield* failure(upload(bytesOf(95)))
      assert.include(error.message, "admin role")
      yield* nothingLeft
    })))

  it.effect("does not delete a session whose commit cannot be told, and keeps its record", () =>
    run(Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* emulator.inject(Fault.hang, { on: "CommitImageStoreUploadSession", times: 1000 })
      yield* failure(upload(bytesOf(95), { patience: 120 }))
      const [entry] = yield* (yield* UploadJournal).entries
      assert.strictEqual(entry?.state, "committing")
      assert.strictEqual((yield* requestsOf("DeleteImageStoreUploadSession")).length, 0)
    })))

  it.effect("refuses what cannot work before anything is sent", () =>
    run(Effect.gen(function* () {
      for (const options of [{ concurrency: 0 }, { chunkSize: 0.5 }, { patience: -1 }]) {
        assert.include((yield* failure(upload(bytesOf(9), options))).message, Object.keys(options)[0]!)
      }
      assert.include((yield* failure(Stream.runDrain(uploadFile(bytesOf(9), "a/../b")))).message, '".."')
      // As JavaScript may have it.
      const nowhere = Stream.runDrain(uploadFile(bytesOf(9), undefined as unknown as string))
      assert.include((yield* failure(nowhere)).message, "path: Expected string")
      assert.deepStrictEqual(yield* (yield* Emulator).requests, [])
    })))

  it.effect("says so when the file is not there", () =>
    run(Effect.gen(function* () {
      const error = yield* failure(upload("/none/such.file"))
      assert.strictEqual(error._tag, "SourceError")
      assert.include(error.message, "ENOENT")
    })))

  /** A session at the path that nobody has recorded here, and nobody touches. */
  const withStale = <A, E>(
    then: (warnings: ReadonlyArray<string>) => Effect.Effect<A, E, Emulator | FabricClient | UploadJournal>,
  ) => {
    const warnings: Array<string> = []
    const logger = Logger.make(({ message }) => void warnings.push(String(message)))
    return run(
      Effect.gen(function* () {
        const emulator = yield* Emulator
        const { kill } = yield* mortal(bytesOf(95))
        yield* until("UploadFileChunk", 2)
        yield* kill
        yield* Effect.sleep("11 minutes")
        assert.strictEqual((yield* emulator.sessions).length, 1)
        yield* Effect.provide(then(warnings), Logger.replace(Logger.defaultLogger, logger))
        yield* holds(bytesOf(95))
      }),
      { latency: "1 second" },
    )
  }

  it.effect("reports sessions of others that nobody touches, and deletes them when told to", () =>
    withStale(() =>
      Effect.gen(function* () {
        const seen = (yield* upload(bytesOf(95))).filter(({ _tag }) => _tag === "StaleSession")
        assert.deepStrictEqual(seen.map((event) => "deleted" in event && event.deleted), [false])
        assert.strictEqual((yield* (yield* Emulator).sessions).length, 1)
        yield* upload(bytesOf(95), { cleanStale: true })
        yield* nothingLeft
      })
    ))

  it.effect("is as patient with their deletion as with all else", () =>
    withStale(() =>
      Effect.gen(function* () {
        const { inject } = yield* Emulator
        yield* inject(Fault.reply(503, "E_ABORT"), { on: "DeleteImageStoreUploadSession", times: 12 })
        yield* upload(bytesOf(95), { cleanStale: true })
        yield* nothingLeft
      })
    ))

  it.effect("does not fail because they cannot be deleted", () =>
    withStale((warnings) =>
      Effect.gen(function* () {
        const { inject, sessions } = yield* Emulator
        const [stale] = yield* sessions
        yield* inject(Fault.reply(403, "E_ACCESSDENIED"), { on: "DeleteImageStoreUploadSession" })
        const events = yield* upload(bytesOf(95), { cleanStale: true })
        assert.notInclude(events.map(({ _tag }) => _tag), "StaleSession")
        assert.include(warnings.join(), `session ${stale?.sessionId} is left: `)
        assert.deepStrictEqual((yield* sessions).map(({ sessionId }) => sessionId), [stale?.sessionId])
      })
    ))

  it.effect("does not fail because they cannot be understood", () =>
    withStale((warnings) =>
      Effect.gen(function* () {
        const huge = {
          StoreRelativePath: "App/a.bin",
          SessionId: "4a2340e8-d8d8-497c-95fe-cdaa1052f33b",
          FileSize: "9007199254740993",
          ModifiedDate: "2017-09-28T17:06:47.260Z",
          ExpectedRanges: [],
        }
        yield* (yield* Emulator).inject(
          Fault.answer({ status: 200, body: JSON.stringify({ UploadSessions: [huge] }) }),
          { on: "GetImageStoreUploadSessionByPath" },
        )
        yield* upload(bytesOf(95))
        assert.include(warnings.join(), "Cannot list the upload sessions of App/a.bin")
      })
    ))
})

describe("a wrong end is not believed", () => {
  it.effect("when the primary moves between a chunk and its session", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.reply(404, "NotFound"), { on: "UploadFileChunk" })
      yield* upload(bytesOf(95))
      yield* holds(bytesOf(95))
      yield* nothingLeft
    })))

  it.effect("when a commit is rolled back, the session is lost, and the same id is filled and committed again", () =>
    run(
      Effect.gen(function* () {
        const emulator = yield* Emulator
        yield* putFile({ path: "App/a.bin", bytes: bytesOf(95, 9) })
        yield* emulator.inject(Fault.rollBack, { on: "CommitImageStoreUploadSession" })
        yield* Effect.fork(Effect.gen(function* () {
          while ((yield* requestsOf("CommitImageStoreUploadSession")).length === 0) {
            yield* Effect.sleep("10 millis")
          }
          yield* Effect.sleep("50 millis")
          yield* emulator.failOver
        }))
        yield* upload(bytesOf(95))
        yield* holds(bytesOf(95))
        yield* nothingLeft
      }),
      { latency: "20 millis" },
    ))

  it.effect("when the folder cannot be listed before a commit that is rolled back", () =>
    run(Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* putFile({ path: "App/a.bin", bytes: bytesOf(95, 9) })
      yield* emulator.inject(Fault.reply(404, "FABRIC_E_FILE_NOT_FOUND"), { on: "GetImageStoreContent" })
      yield* emulator.inject(Fault.rollBack, { on: "CommitImageStoreUploadSession" })
      yield* upload(bytesOf(95))
      yield* holds(bytesOf(95))
      yield* nothingLeft
    })))

  it.effect("when a commit takes longer than the patience for chunks", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.slowDisk("100 seconds"), { on: "CommitImageStoreUploadSession" })
      yield* upload(bytesOf(95), { patience: 50 })
      yield* holds(bytesOf(95))
      yield* nothingLeft
    })))

  for (const [name, size] of [["shrinks", 100], ["grows", 90]] as const) {
    it.effect(`when a stream ${name} on its way to a Linux cluster`, () =>
      run(
        Effect.gen(function* () {
          const error = yield* failure(upload({ stream: Stream.make(bytesOf(95)), size }))
          assert.strictEqual(error._tag, "SourceError")
          assert.isAtMost((yield* requestsOf("UploadFile")).length, 1)
        }),
        { os: "linux" },
      ))
  }

  for (const [name, fails] of [["a hash", "hashes"], ["the commit", "state"]] as const) {
    it.effect(`when the journal cannot take ${name}: the session goes all the same`, () =>
      run(Effect.gen(function* () {
        const journal = yield* UploadJournal
        const full: UploadJournal["Type"] = {
          ...journal,
          update: (id, patch) =>
            fails in patch
              ? new JournalError({ place: "/full", issue: "ENOSPC" })
              : journal.update(id, patch),
        }
        const error = yield* failure(Effect.provideService(upload(bytesOf(95)), UploadJournal, full))
        assert.strictEqual(error._tag, "JournalError")
        assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
      })))
  }

  it.effect("when the journal cannot take that a chunk goes again: nobody would know how long it may arrive", () =>
    run(Effect.gen(function* () {
      const journal = yield* UploadJournal
      const full: UploadJournal["Type"] = {
        ...journal,
        update: (id, patch) =>
          Object.keys(patch).length === 0
            ? new JournalError({ place: "/full", issue: "ENOSPC" })
            : journal.update(id, patch),
      }
      yield* inject(Fault.refuse, "UploadFileChunk")
      const error = yield* failure(Effect.provideService(upload(bytesOf(95)), UploadJournal, full))
      assert.strictEqual(error._tag, "JournalError")
      assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
    })))

  it.effect("when a size is no size", () =>
    run(Effect.gen(function* () {
      for (const size of [-1, 1.5, NaN]) {
        assert.strictEqual((yield* failure(upload({ stream: Stream.empty, size })))._tag, "SourceError")
      }
      for (const size of [0, NaN, 2 ** 53]) {
        const error = yield* failure(withUploadSession({ path: "a", size }, () => Effect.void))
        assert.include(error.message, "size")
      }
      assert.deepStrictEqual(yield* (yield* Emulator).requests, [])
    })))
})

describe("a lost chunk", () => {
  it.effect("is waited for before it goes again, and that is told", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.reset, { on: "UploadFileChunk" })
      const events = yield* upload(bytesOf(95))
      const waits = events.filter((event) => event._tag === "Waiting")
      assert.strictEqual(waits.length, 1)
      const chunks = yield* requestsOf("UploadFileChunk")
      const again = chunks.at(-1)!.at.getTime()
      assert.isAtLeast(again, waits[0]!.until.getTime())
    })))

  it.effect("does not go again before its timeout is over, and 5 seconds more", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.reset, "UploadFileChunk")
      yield* upload(bytesOf(95), { concurrency: 1 })
      const chunks = yield* requestsOf("UploadFileChunk")
      assert.isAtLeast(chunks.at(-1)!.at.getTime() - chunks[0]!.at.getTime(), 35_000)
    })))
})

describe("interruption", () => {
  for (const second of [0, 1, 2, 3, 5, 8, 11, 13, 20, 24]) {
    it.effect(`after ${second} seconds leaves the file as it was or new, and nothing else`, () =>
      run(
        Effect.gen(function* () {
          const emulator = yield* Emulator
          yield* putFile({ path: "App/a.bin", bytes: bytesOf(5, 9) })
          const fiber = yield* Effect.fork(upload(bytesOf(95), { concurrency: 2 }))
          yield* Effect.sleep(second * 1000 + 500)
          yield* Fiber.interrupt(fiber)
          const [file] = yield* emulator.files
          assert.include([hashOf(bytesOf(5, 9)), hashOf(bytesOf(95))], yield* file!.sha256)
          yield* nothingLeft
        }),
        { latency: "1 second" },
      ))
  }
})

describe("what is read a second time", () => {
  /** Loses the first chunks when so many have come. */
  const failOverAfter = (chunks: number) =>
    Effect.fork(
      Effect.flatMap(Emulator, ({ failOver }) => Effect.zipRight(until("UploadFileChunk", chunks), failOver)),
    )

  it.effect("has to be what it was, or no file comes of it", () =>
    run(
      Effect.gen(function* () {
        let runs = 0
        const stream = Stream.unwrap(Effect.sync(() => Stream.make(bytesOf(100, ++runs))))
        yield* failOverAfter(5)
        const error = yield* failure(upload({ stream, size: 100 }, { concurrency: 1 }))
        assert.include(error.message, "it gives other bytes the second time")
        assert.deepStrictEqual(yield* (yield* Emulator).files, [])
        yield* nothingLeft
      }),
      { latency: "1 second" },
    ))

  it.effect("is taken when it is the same", () =>
    run(
      Effect.gen(function* () {
        yield* failOverAfter(5)
        yield* upload({ stream: Stream.suspend(() => Stream.make(bytesOf(100))), size: 100 }, {
          concurrency: 1,
        })
        yield* holds(bytesOf(100))
        yield* nothingLeft
      }),
      { latency: "1 second" },
    ))
})

describe("a proxy that has had enough", () => {
  it.effect("is not the gateway, whose work may still come", () =>
    run(Effect.gen(function* () {
      const emulator = yield* Emulator
      let chunks = 0
      // It waits for 2 seconds; the gateway goes on for 20.
      const behindProxy = clientOver((client) =>
        HttpClient.transform(client, (sent, request) =>
          request.url.includes("UploadChunk") && ++chunks === 10
            ? Effect.zipRight(
              Effect.forkDaemon(Effect.delay(sent, "20 seconds")),
              Effect.delay(
                Effect.zipRight(
                  emulator.inject(Fault.answer({ status: 504, body: "<html>" }), { on: "UploadFileChunk" }),
                  sent,
                ),
                "2 seconds",
              ),
            )
            : sent)
      )
      yield* Effect.provide(upload(bytesOf(95)), behindProxy)
      yield* Effect.sleep("2 minutes")
      assert.notInclude(
        (yield* requestsOf("UploadFileChunk")).map(({ status }) =>
          status
        ),
        400,
      )
      yield* holds(bytesOf(95))
      yield* nothingLeft
    })))
})

describe("resume", () => {
  const resumed = (bytes: Uint8Array, store: Map<SessionId, JournalEntry>, options: UploadOptions = {}) =>
    Effect.provide(
      Effect.zipLeft(summaryOf(bytes, { concurrency: 2, ...options }), nothingLeft),
      afterwards(store),
    )

  const killed = <A, E>(
    seconds: number,
    then: (store: Map<SessionId, JournalEntry>) => Effect.Effect<A, E, FabricClient | Emulator>,
  ) =>
    run(
      Effect.gen(function* () {
        yield* putFile({ path: "App/a.bin", bytes: bytesOf(5, 9) })
        const { kill, store } = yield* mortal(bytesOf(200))
        yield* Effect.sleep(seconds * 1000 + 500)
        yield* kill
        assert.strictEqual(store.size, 1)
        return yield* then(store)
      }),
      { latency: "1 second" },
    )

  it.effect("sends what is missing, and at most one chunk a worker again", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        const had = (yield* requestsOf("UploadFileChunk")).length
        const { resumed: brought, sent } = yield* resumed(bytesOf(200), store)
        assert.isAbove(brought, 0)
        assert.strictEqual(brought + sent, 200)
        assert.isAtMost(sent, 200 - (had - 2) * 10)
        assert.strictEqual(yield* (yield* Emulator).leaked, 0)
        yield* holds(bytesOf(200))
      })))

  it.effect("begins again under the same id when the cluster has forgotten the session", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        const emulator = yield* Emulator
        const [id] = store.keys()
        yield* emulator.failOver
        const { sent } = yield* resumed(bytesOf(200), store)
        assert.strictEqual(sent, 200)
        assert.include((yield* requestsOf("UploadFileChunk")).at(-1)!.url, id!)
        yield* holds(bytesOf(200))
      })))

  for (
    const [what, other] of [
      ["path", { path: "App/b.bin", size: 200 }],
      ["length", { path: "App/a.bin", size: 190 }],
    ] as const
  ) {
    it.effect(`sends nothing under an id that the cluster has for another ${what} by now`, () =>
      killed(11, (store) =>
        Effect.gen(function* () {
          const [sessionId] = store.keys()
          yield* (yield* Emulator).failOver
          const chunk = { sessionId: sessionId!, range: { first: 0, last: 9 }, bytes: bytesOf(10) }
          yield* putChunk({ ...chunk, ...other })
          const before = (yield* requestsOf("UploadFileChunk")).length
          const { resumed: brought } = yield* resumed(bytesOf(200), store)
          assert.strictEqual(brought, 0)
          assert.notInclude((yield* requestsOf("UploadFileChunk")).slice(before).map(idIn), sessionId!)
          yield* holds(bytesOf(200))
        })))
  }

  it.effect("does not use an id again that the cluster has forgotten since its commit was asked for", () =>
    run(Effect.gen(function* () {
      const { failOver } = yield* Emulator
      yield* inject(Fault.hang, "CommitImageStoreUploadSession")
      const { kill, store } = yield* mortal(bytesOf(200))
      yield* until("CommitImageStoreUploadSession", 1)
      yield* kill
      const [id] = store.keys()
      yield* failOver
      const before = (yield* requestsOf("UploadFileChunk")).length
      yield* resumed(bytesOf(200), store)
      const ids = (yield* requestsOf("UploadFileChunk")).slice(before).map(idIn)
      assert.lengthOf(ids, 20)
      assert.notInclude(ids, id!)
      yield* holds(bytesOf(200))
    })))

  it.effect("does not mix two sources of the same size", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        const { resumed: brought } = yield* resumed(bytesOf(200, 7), store)
        assert.strictEqual(brought, 0)
        yield* holds(bytesOf(200, 7))
      })))

  it.effect("deletes the session of a source that has another size by now", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        yield* resumed(bytesOf(210), store)
        yield* holds(bytesOf(210))
      })))

  for (const seconds of [11, 12, 13, 14]) {
    it.effect(`finds out what became of a commit, killed after ${seconds} seconds`, () =>
      killed(seconds, (store) =>
        Effect.gen(function* () {
          yield* resumed(bytesOf(200), store)
          yield* holds(bytesOf(200))
        })))
  }

  it.effect("leaves the session of a run that is still at work alone", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        const [id] = store.keys()
        yield* Effect.provide(
          summaryOf(bytesOf(200)),
          UploadJournal.layerMemory({ store, owner: SECOND, alive: () => true }),
        )
        assert.isTrue(store.has(id!))
        assert.deepStrictEqual((yield* (yield* Emulator).sessions).map(({ sessionId }) => sessionId), [id!])
      })))

  it.effect("does not take the session of a run at work for a stale one, however long it takes", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        const [id] = store.keys()
        yield* Effect.sleep("11 minutes")
        const events = yield* Effect.provide(
          upload(bytesOf(200), { cleanStale: true }),
          UploadJournal.layerMemory({ store, owner: SECOND, alive: () => true }),
        )
        assert.notInclude(events.map(({ _tag }) => _tag), "StaleSession")
        assert.deepStrictEqual((yield* (yield* Emulator).sessions).map(({ sessionId }) => sessionId), [id!])
      })))

  it.effect("is as patient as the upload while the cluster is away", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        yield* (yield* Emulator).inject(Fault.reply(503, "E_ABORT"), {
          on: "GetImageStoreUploadSessionById",
          times: 12,
        })
        const { resumed: brought } = yield* resumed(bytesOf(200), store)
        assert.isAbove(brought, 0)
        yield* holds(bytesOf(200))
      })))

  it.effect("is for one of two runs that find the same session", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        const runs = yield* Effect.forEach([2, 3], (process) =>
          Effect.provide(
            summaryOf(bytesOf(200)),
            UploadJournal.layerMemory({
              store,
              owner: { host: "a", process, start: process },
              alive: ({ process }) => process !== 1,
            }),
          ), { concurrency: 2 })
        assert.strictEqual(runs.filter(({ resumed }) => resumed > 0).length, 1)
        assert.strictEqual(store.size, 0)
        assert.strictEqual(yield* (yield* Emulator).leaked, 0)
        assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
        yield* holds(bytesOf(200))
      })))

  it.effect("can be turned off, and what was left goes all the same", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        const { sent } = yield* resumed(bytesOf(200), store, { resume: false })
        assert.strictEqual(sent, 200)
      })))

  it.effect("is not for a file that goes by one request by now, and what was left goes all the same", () =>
    killed(9, (store) => resumed(bytesOf(10), store)))

  const toLower = (bytes: Uint8Array, store: Map<SessionId, JournalEntry>) =>
    Effect.provide(Effect.zipLeft(upload(bytes, {}, "app/a.bin"), nothingLeft), afterwards(store))

  it.effect("is not for a path in another case, and what was left goes all the same", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        const [id] = store.keys()
        yield* toLower(bytesOf(200), store)
        const chunks = (yield* requestsOf("UploadFileChunk")).filter(({ path }) => path.includes("/app/"))
        assert.isAtLeast(chunks.length, 20)
        assert.isFalse(chunks.some(({ url }) => url.includes(id!)))
        yield* holds(bytesOf(200))
      })))

  it.effect("ends what was left for a file that goes by one request by now to a path in another case", () =>
    killed(9, (store) => toLower(bytesOf(10), store)))

  it.effect("takes no more memory than this upload's own chunks", () =>
    killed(9, (store) =>
      Effect.gen(function* () {
        const before = (yield* requestsOf("UploadFileChunk")).length
        yield* resumed(bytesOf(200), store, { chunkSize: 4 })
        const own = (yield* requestsOf("UploadFileChunk")).slice(before)
        assert.isAtMost(Math.max(...own.map(({ bodyBytes }) => bodyBytes)), 4)
        yield* holds(bytesOf(200))
      })))

  for (
    const [how, fault, stop] of [
      ["is interrupted", Fault.delay("10 seconds"), true],
      ["fails", Fault.reply(403, "E_ACCESSDENIED"), false],
    ] as const
  ) {
    it.effect(`leaves nothing when it ${how} while it still compares`, () =>
      killed(9, (store) =>
        Effect.gen(function* () {
          const emulator = yield* Emulator
          const fiber = yield* Effect.fork(Effect.provide(upload(bytesOf(200)), afterwards(store)))
          // The last question before the session is taken.
          yield* until("GetImageStoreUploadSessionByPath", 2)
          yield* emulator.inject(fault, { on: "GetImageStoreUploadSessionById" })
          yield* Effect.sleep("5 seconds")
          assert.deepStrictEqual([...store.values()].map(({ owner }) => owner.process), [2])
          assert.isTrue(Exit.isFailure(yield* (stop ? Fiber.interrupt(fiber) : Fiber.await(fiber))))
          assert.deepStrictEqual(yield* emulator.sessions, [])
          assert.strictEqual(store.size, 0)
        })))
  }
})

describe("progress over sockets", () => {
  for (const os of ["windows", "linux"] as const) {
    it.scopedLive(`is told before a large request has arrived, on ${os}`, () =>
      Effect.gen(function* () {
        const size = 4 * 1024 * 1024
        const { url } = yield* Emulator.serve({ port: 0, os })
        const events = yield* upload(new Uint8Array(size), { chunkSize: 2 * 1024 * 1024, concurrency: 1 })
          .pipe(
            Effect.provide(
              Layer.merge(FabricClient.layerCluster({ endpoints: [url] }), UploadJournal.layerMemory()),
            ),
          )
        const progress = events.filter((event) => event._tag === "BytesSent")
        assert.isAbove(progress[0]!.underWay, 0)
        assert.isTrue(progress.every(({ sent, underWay }) => sent + underWay <= size))
        const { sent, underWay } = progress.at(-1)!
        assert.deepStrictEqual({ sent, underWay }, { sent: size, underWay: 0 })
      }).pipe(Logger.withMinimumLogLevel(LogLevel.None)))
  }
})

describe("chunks that another thread hashes", () => {
  const size = 7 * 1024 * 1024 + 5
  /** The emulator behind TLS. */
  const behindTls = (url: string) =>
    Effect.gen(function* () {
      const own = yield* Effect.promise(() => certificate("localhost"))
      const { port } = yield* serveHttps(own, (request, response) => {
        const onward = Http.request(url + request.url, { method: request.method, headers: request.headers })
        onward.on("response", (answer) => {
          response.writeHead(answer.statusCode!, answer.headers)
          answer.pipe(response)
        })
        request.pipe(onward)
      })
      return FabricClient.layerCluster({ endpoints: [`https://localhost:${port}`], ca: own.cert })
    })
  const transports = {
    "HTTP": (url: string) => Effect.succeed(FabricClient.layerCluster({ endpoints: [url] })),
    "TLS": behindTls,
    "fetch": (url: string) =>
      Effect.succeed(FabricClient.layer.pipe(
        Layer.provide(FetchHttpClient.layer),
        Layer.provide(FabricConfig.layer({ endpoints: [url] })),
      )),
  }

  const cases = Object.entries(transports).flatMap(([name, transport]) =>
    (["windows", "linux"] as const).map((os) => [name, transport, os] as const)
  )
  for (const [name, transport, os] of cases) {
    it.scoped(`arrive bit for bit over ${name} on ${os}`, () =>
      Effect.gen(function* () {
        const { emulator, url } = yield* Emulator.serve({ port: 0, os })
        const bytes = bytesOf(size)
        const path = yield* fileOf("large.bin", bytes)
        yield* upload(path, { chunkSize: 2 * 1024 * 1024 }).pipe(
          Effect.provide(Layer.orDie(yield* transport(url))),
          Effect.provide(UploadJournal.layerMemory()),
        )
        const [file] = yield* emulator.files
        assert.strictEqual(yield* file!.sha256, hashOf(bytes))
        assert.strictEqual(yield* emulator.staged, 0)
      }))
  }
})
