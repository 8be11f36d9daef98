import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import {
  cleanSessions,
  type FabricClient,
  putFile,
  type SessionId,
  uploadFile,
  type UploadJournal,
  uploadPackage,
} from "../mod.ts"
import { Emulator, type EmulatorOptions, Fault, type Operation } from "../src/emulator/mod.ts"
import type { JournalEntry } from "../src/journal/JournalEntry.ts"
import { bytesOf } from "./support/bytes.ts"
import { clusterWith, requestsOf, S } from "./support/cluster.ts"
import { afterwards, mortal, until } from "./support/mortal.ts"
import { folderOf } from "./support/packages.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

const run = <A, E>(
  program: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof clusterWith>>>,
  emulator: EmulatorOptions = {},
) => inVirtualTime(Effect.provide(program, clusterWith({}, emulator)))

const clean = (store: Map<SessionId, JournalEntry>) =>
  Effect.provide(Stream.runDrain(cleanSessions()), afterwards(store))

/** Seconds that something takes. */
const took = <A, E, R>(program: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    yield* program
    return ((yield* Clock.currentTimeMillis) - begun) / 1000
  })

const times = (operation: Operation) =>
  Effect.map(requestsOf(operation), (all) => all.map(({ at }) => at.getTime()))

describe("what a dead run left", () => {
  it.effect("is not deleted under the last of its commits, however often it had asked", () =>
    run(Effect.gen(function* () {
      const { inject } = yield* Emulator
      const commit = { on: "CommitImageStoreUploadSession" } as const
      yield* inject(Fault.reply(503, "E_ABORT"), { ...commit, times: 12 })
      const { kill, store } = yield* mortal(bytesOf(95))
      yield* until(commit.on, 12)
      yield* inject(Fault.slowDisk("50 seconds"), commit)
      yield* until(commit.on, 13)
      yield* Effect.sleep("1 second")
      yield* kill
      yield* clean(store)
      const [begun, deleted] = [
        (yield* times(commit.on)).at(-1)!,
        (yield* times("DeleteImageStoreUploadSession"))[0]!,
      ]
      assert.isAtLeast(deleted - begun, 50_000)
      assert.strictEqual(store.size, 0)
    })))

  it.effect("cannot come back by a chunk that was sent long after the first", () =>
    run(Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      const chunk = { on: "UploadFileChunk" } as const
      yield* inject(Fault.reply(503, "E_ABORT"), { ...chunk, times: 60 })
      const { kill, store } = yield* mortal(bytesOf(20), { patience: 3600, concurrency: 1 })
      yield* until(chunk.on, 60)
      yield* inject(Fault.late("20 seconds"), chunk)
      yield* until(chunk.on, 61)
      yield* kill
      yield* clean(store)
      yield* Effect.sleep("2 minutes")
      assert.deepStrictEqual(yield* sessions, [])
    })))

  it.effect("cannot come back by a chunk that was sent when the run was too busy to beat", () =>
    run(Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.late("20 seconds"), { on: "UploadFileChunk" })
      const { kill, store } = yield* mortal(bytesOf(20), { concurrency: 1 })
      yield* until("UploadFileChunk", 1)
      yield* kill
      for (const [id, entry] of store) store.set(id, { ...entry, touched: entry.touched - 50_000 })
      yield* clean(store)
      yield* Effect.sleep("2 minutes")
      assert.deepStrictEqual(yield* sessions, [])
    })))

  it.effect("is not waited for when its run died minutes ago", () =>
    run(Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.hang, { on: "UploadFileChunk" })
      const { kill, store } = yield* mortal(bytesOf(95))
      yield* until("UploadFileChunk", 1)
      yield* kill
      yield* Effect.sleep("2 minutes")
      assert.isAtMost(yield* took(clean(store)), 1)
      assert.deepStrictEqual(yield* sessions, [])
    })))

  it.effect("is sent again when a fail-over takes it, though all of it had arrived", () =>
    run(Effect.gen(function* () {
      const { files, inject, sessions } = yield* Emulator
      // The last question before the commit.
      yield* inject(Fault.hang, { on: "GetImageStoreContent" })
      const { kill, store } = yield* mortal(bytesOf(95))
      yield* until("GetImageStoreContent", 1)
      yield* kill
      // The primary moves when the next run has seen that nothing is missing.
      const look = { on: "GetImageStoreUploadSessionById" } as const
      yield* inject(Fault.delay(0), { ...look, times: 3 })
      yield* inject(Fault.failOver("1 second"), look)
      const resumed = Stream.runDrain(uploadFile(bytesOf(95), "App/a.bin", { chunkSize: 10 }))
      yield* Effect.provide(resumed, afterwards(store))
      assert.deepStrictEqual((yield* files).map(({ size }) => size), [95])
      assert.deepStrictEqual(yield* sessions, [])
    })))

  /** An upload that meets what `mortal` left, while the cluster is away for longer than a minute. */
  const outlasts = (
    asked: Operation,
    operation: Operation,
    next: Stream.Stream<unknown, unknown, FabricClient | UploadJournal>,
  ) =>
    run(
      Effect.gen(function* () {
        const { inject, sessions } = yield* Emulator
        yield* inject(Fault.reply(503, "E_ABORT"), { on: "CommitImageStoreUploadSession", times: 1 })
        const { kill, store } = yield* mortal(bytesOf(95))
        yield* until(asked, 2)
        yield* kill
        yield* inject(Fault.reply(503, "E_ABORT"), { on: operation, times: 15 })
        const seconds = yield* took(Effect.provide(Stream.runDrain(next), afterwards(store)))
        assert.isAbove(seconds, 60)
        assert.deepStrictEqual([yield* sessions, store.size], [[], 0])
      }),
      { latency: "1 second" },
    )

  it.effect("is asked whether its commit is over for as long as the upload has patience", () =>
    outlasts(
      "CommitImageStoreUploadSession",
      "GetImageStoreUploadSessionById",
      uploadFile(bytesOf(96), "App/a.bin", { chunkSize: 100 }),
    ))

  for (
    const [name, size, chunkSize] of [
      ["of another size", 96, 10],
      ["that goes by one request", 96, 100],
    ] as const
  ) {
    it.effect(`is deleted for as long as the upload of a file ${name} has patience`, () =>
      outlasts(
        "UploadFileChunk",
        "DeleteImageStoreUploadSession",
        uploadFile(bytesOf(size), "App/a.bin", { chunkSize }),
      ))
  }

  it.effect("is deleted for as long as the upload of a package has patience", () =>
    Effect.scoped(Effect.flatMap(folderOf({ "b.txt": "b" }), (folder) =>
      outlasts(
        "UploadFileChunk",
        "DeleteImageStoreUploadSession",
        uploadPackage(folder, "App", { validate: false }),
      ))))

  const GiB = 1024 ** 3
  const committing = (now: number): JournalEntry => ({
    sessionId: S as SessionId,
    endpoints: ["http://one:19080"],
    path: "App/a.bin",
    size: 100 * GiB,
    chunkSize: 8 * 1024 * 1024,
    source: "",
    owner: { host: "a", process: 1, start: 1 },
    state: "committing",
    hashes: {},
    quietAt: 0,
    touched: now,
  })

  it.effect("is not waited for when the cluster has forgotten its commit", () =>
    run(Effect.gen(function* () {
      const entry = committing(yield* Clock.currentTimeMillis)
      assert.isAtMost(yield* took(clean(new Map([[entry.sessionId, entry]]))), 40)
    })))

  it.effect("is not waited for when its commit is seen to be over", () =>
    run(
      Effect.gen(function* () {
        const { files } = yield* Emulator
        const { kill, store } = yield* mortal(bytesOf(4000), { chunkSize: 1000 })
        while ((yield* files).length === 0) yield* Effect.sleep("1 millis")
        yield* kill
        assert.deepStrictEqual([...store.values()].map(({ state }) => state), ["committing"])
        const resumed = Stream.runDrain(uploadFile(bytesOf(4000), "App/a.bin", { chunkSize: 1000 }))
        assert.isAtMost(yield* took(Effect.provide(resumed, afterwards(store))), 40)
        assert.strictEqual(store.size, 0)
      }),
      { latency: "20 millis" },
    ))
})

describe("an upload that was killed over its commit", () => {
  const theirs = bytesOf(95).reverse()

  for (
    const [when, fault, pause] of [
      ["before it worked", Fault.reply(503, "E_ABORT"), "1 minute"],
      ["when it had worked", Fault.dropAnswer, "1 minute"],
      ["when it had worked, days ago", Fault.dropAnswer, "3 days"],
    ] as const
  ) {
    it.effect(`${when}, does not take the file of somebody else for its own`, () =>
      run(
        Effect.gen(function* () {
          const { files, inject, sessions } = yield* Emulator
          const commit = { on: "CommitImageStoreUploadSession" } as const
          yield* inject(fault, commit)
          const { kill, store } = yield* mortal(bytesOf(95))
          yield* until(commit.on, 1)
          yield* Effect.sleep("1500 millis")
          yield* kill
          yield* Effect.sleep(pause)
          yield* putFile({ path: "App/a.bin", bytes: theirs })
          const upload = uploadFile(bytesOf(95), "App/a.bin", { chunkSize: 10 })
          yield* Effect.provide(Stream.runDrain(upload), afterwards(store))
          const [file] = yield* files
          assert.deepStrictEqual([...(yield* file!.bytes)], [...bytesOf(95)])
          assert.deepStrictEqual(yield* sessions, [])
          assert.strictEqual(store.size, 0)
        }),
        { latency: "1 second" },
      ))
  }

  it.effect("when it had worked, sends nothing again while the cluster knows its session", () =>
    run(
      Effect.gen(function* () {
        const { inject } = yield* Emulator
        yield* inject(Fault.dropAnswer, { on: "CommitImageStoreUploadSession" })
        const { kill, store } = yield* mortal(bytesOf(95))
        yield* until("CommitImageStoreUploadSession", 1)
        yield* Effect.sleep("1500 millis")
        yield* kill
        const sent = (yield* requestsOf("UploadFileChunk")).length
        const upload = uploadFile(bytesOf(95), "App/a.bin", { chunkSize: 10 })
        yield* Effect.provide(Stream.runDrain(upload), afterwards(store))
        assert.strictEqual((yield* requestsOf("UploadFileChunk")).length, sent)
      }),
      { latency: "1 second" },
    ))
})
