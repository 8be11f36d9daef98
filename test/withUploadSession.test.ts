import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import { FabricError, putChunk, putFile, UploadJournal, withUploadSession } from "../mod.ts"
import { Emulator, type EmulatorOptions, Fault } from "../src/emulator/mod.ts"
import { chunksOf } from "../src/upload/ranges.ts"
import type { ByteRange } from "../src/UploadSession.ts"
import type { SessionWork } from "../src/withUploadSession.ts"
import { clusterWith, inject, requests, requestsOf } from "./support/cluster.ts"
import { until } from "./support/mortal.ts"
import { nothingLeft } from "./support/uploads.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

const run = <A, E>(
  program: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof clusterWith>> | UploadJournal>,
  emulator: EmulatorOptions = {},
) =>
  inVirtualTime(
    Effect.provide(
      program,
      Layer.mergeAll(
        clusterWith({}, emulator),
        UploadJournal.layerMemory(),
        Logger.remove(Logger.defaultLogger),
      ),
    ),
  )

const FILE = { path: "App/a.bin", size: 10 } as const
/** The file's bytes, by their position. */
const bytes = Uint8Array.from({ length: 10 }, (_, i) => i)

/** Sends what is missing, in one request each. */
const sendMissing = ({ missing, put }: SessionWork) =>
  Effect.forEach(missing, (range) => put(range, bytes.slice(range.first, range.last + 1)), { discard: true })

type Put = ReturnType<typeof sendMissing>

const asked = Effect.map(
  requests,
  (all) => all.map(({ operation }) => operation).filter((name) => /Chunk|Commit|Delete/.test(name ?? "")),
)

const fileBytes = Effect.gen(function* () {
  const [file] = yield* (yield* Emulator).files
  return file === undefined ? undefined : [...(yield* file.bytes)]
})

/** The whole file went out in one request, and is there. */
const sentOnce = Effect.gen(function* () {
  const chunks = yield* requestsOf("UploadFileChunk")
  assert.deepStrictEqual(chunks.map(({ bodyBytes }) => bodyBytes), [10])
  assert.deepStrictEqual(yield* fileBytes, [...bytes])
  yield* nothingLeft
})

/** Its session was committed, then deleted, and the file is there. */
const committedAndDeleted = Effect.gen(function* () {
  assert.deepStrictEqual(yield* asked, [
    "UploadFileChunk",
    "CommitImageStoreUploadSession",
    "DeleteImageStoreUploadSession",
  ])
  assert.deepStrictEqual(yield* fileBytes, [...bytes])
  yield* nothingLeft
})

describe("withUploadSession", () => {
  it.effect("commits when use has ended, and deletes after that", () =>
    run(Effect.gen(function* () {
      const value = yield* withUploadSession(FILE, (work) => Effect.as(sendMissing(work), "done"))
      assert.strictEqual(value, "done")
      yield* committedAndDeleted
    })))

  it.effect("deletes without a commit when use fails, and fails as use did", () =>
    run(Effect.gen(function* () {
      const failed = withUploadSession(
        FILE,
        ({ put }) => Effect.zipRight(put({ first: 0, last: 4 }, bytes.slice(0, 5)), Effect.fail("no more")),
      )
      assert.strictEqual(yield* Effect.flip(failed), "no more")
      assert.deepStrictEqual(yield* asked, ["UploadFileChunk", "DeleteImageStoreUploadSession"])
      yield* nothingLeft
    })))

  for (
    const [how, fails] of [
      ["ignores that, and fails", (put: Put) => Effect.zipRight(Effect.ignore(put), Effect.fail("mine"))],
      ["ignores that, and dies", (put: Put) => Effect.zipRight(Effect.ignore(put), Effect.die("mine"))],
      ["has its own word for that", (put: Put) => Effect.mapError(put, () => "mine")],
    ] as const
  ) {
    it.effect(`fails as use did, once, where a chunk has broken the session and use ${how}`, () =>
      run(Effect.gen(function* () {
        yield* inject(Fault.reply(409, "FABRIC_E_UPLOAD_SESSION_ID_CONFLICT"), "UploadFileChunk")
        const exit = yield* Effect.exit(withUploadSession(FILE, (work) => fails(sendMissing(work))))
        assert(Exit.isFailure(exit))
        assert.strictEqual(Cause.squash(exit.cause), "mine")
        assert.deepStrictEqual(yield* asked, ["UploadFileChunk", "DeleteImageStoreUploadSession"])
        yield* nothingLeft
      })))
  }

  it.effect("is tried again with a new session whichever of two broken chunks use fails by", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.reply(409, "FABRIC_E_UPLOAD_SESSION_ID_CONFLICT"), "UploadFileChunk", 2)
      yield* withUploadSession(
        FILE,
        (work) =>
          Effect.catchAll(
            sendMissing(work),
            (first) => Effect.zipRight(Effect.ignore(sendMissing(work)), Effect.fail(first)),
          ),
      )
      assert.deepStrictEqual(yield* fileBytes, [...bytes])
      yield* nothingLeft
    })))

  it.effect("shows in its record that it is at work, however long use takes", () =>
    run(Effect.gen(function* () {
      const { entries } = yield* UploadJournal
      const silent = yield* withUploadSession(FILE, (work) =>
        Effect.sleep("10 minutes").pipe(
          Effect.zipRight(Effect.all([entries, Clock.currentTimeMillis])),
          Effect.map(([[entry], now]) => now - entry!.touched),
          Effect.zipLeft(sendMissing(work)),
        ))
      assert.isAtMost(silent, 20_000)
    })))

  it.effect("opens nothing when use ends before its first chunk", () =>
    run(Effect.gen(function* () {
      assert.strictEqual(
        yield* Effect.flip(withUploadSession(FILE, () => Effect.fail("never mind"))),
        "never mind",
      )
      assert.deepStrictEqual(yield* asked, [])
      yield* nothingLeft
    })))

  for (
    const [how, first, ends] of [
      ["sends all by itself", 10, Effect.void],
      ["sends a part by itself, and nothing else", 5, Effect.void],
      ["fails after it has sent by itself", 5, Effect.fail("no")],
      ["is interrupted after it has sent by itself", 5, Effect.interrupt],
    ] as const
  ) {
    it.effect(`ends a session whose id use has taken, where it ${how}`, () =>
      run(Effect.gen(function* () {
        const exit = yield* Effect.exit(
          withUploadSession({ path: "App/a.bin", size: 10 }, ({ sessionId }) =>
            Effect.zipRight(
              putChunk({
                path: "App/a.bin",
                sessionId,
                range: { first: 0, last: first - 1 },
                size: 10,
                bytes: new Uint8Array(first),
              }),
              ends,
            )),
        )
        assert.strictEqual(Exit.isSuccess(exit), first === 10)
        yield* nothingLeft
      })))
  }

  it.effect("refuses what cannot work before anything is sent", () =>
    run(Effect.gen(function* () {
      for (const patience of [0, -1, NaN]) {
        const error = yield* Effect.flip(withUploadSession({ ...FILE, patience }, sendMissing))
        assert.isTrue(FabricError.is(error) && error.reason._tag === "InvalidParams")
        assert.include(error.message, "patience")
      }
      const error = yield* Effect.flip(withUploadSession({ ...FILE, path: "App/a?.bin" }, sendMissing))
      assert.include(error.message, "the characters %, # and ?")
      assert.deepStrictEqual(yield* asked, [])
    })))

  it.effect("says what use did not send, and does not blame the cluster's disk", () =>
    run(Effect.gen(function* () {
      let runs = 0
      const error = yield* Effect.flip(withUploadSession(FILE, () => Effect.sync(() => void runs++)))
      assert.isTrue(FabricError.is(error))
      assert.include(error.message, "use: it ended without having sent bytes 0 to 9")
      assert.strictEqual(runs, 1)
      yield* nothingLeft
    })))

  it.effect("runs use again with what the cluster has lost", () =>
    run(Effect.gen(function* () {
      const { failOver } = yield* Emulator
      const seen: Array<SessionWork["missing"]> = []
      yield* withUploadSession(FILE, (work) => {
        seen.push(work.missing)
        const send = sendMissing(work)
        return seen.length === 1 ? Effect.zipRight(send, failOver) : send
      })
      assert.deepStrictEqual(seen, [[{ first: 0, last: 9 }], [{ first: 0, last: 9 }]])
      assert.deepStrictEqual(yield* fileBytes, [...bytes])
      yield* nothingLeft
    })))

  it.effect("gives a session up after three more rounds that brought nothing, and tries one other", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.forgetChunk, "UploadFileChunk", 100)
      const error = yield* Effect.flip(withUploadSession(FILE, sendMissing))
      assert.include(FabricError.is(error) ? error.message : "", "with chunks missing")
      const chunks = yield* requestsOf("UploadFileChunk")
      const ids = chunks.map(({ url }) => /session-id=([^&]+)/.exec(url)![1])
      assert.deepStrictEqual([...new Set(ids)].map((id) => ids.filter((other) => other === id).length), [
        4,
        4,
      ])
      yield* nothingLeft
    })))

  it.effect("keeps the first error when the clean-up fails too, with the other attached and the session recorded", () =>
    run(Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), { on: "DeleteImageStoreUploadSession", times: 100 })
      const exit = yield* Effect.exit(
        withUploadSession(
          FILE,
          ({ put }) => Effect.zipRight(put({ first: 0, last: 4 }, bytes.slice(0, 5)), Effect.fail("no more")),
        ),
      )
      assert.isTrue(Exit.isFailure(exit))
      const errors = Exit.isFailure(exit) ? [...Cause.failures(exit.cause)] : []
      assert.strictEqual(errors[0], "no more")
      assert.isTrue(FabricError.is(errors[1]))
      assert.lengthOf(yield* sessions, 1)
      assert.deepStrictEqual(
        (yield* (yield* UploadJournal).entries).map(({ state }) => state),
        ["deleting"],
      )
    })))

  it.effect("says of a cluster that calls it a success, and makes no file, just that", () =>
    run(Effect.gen(function* () {
      const { inject } = yield* Emulator
      const commit = { on: "CommitImageStoreUploadSession" } as const
      for (let session = 0; session < 2; session++) {
        yield* inject(Fault.reply(503, "E_ABORT"), commit)
        yield* inject(Fault.answer({ status: 200, body: "" }), commit)
      }
      const error = yield* Effect.flip(withUploadSession(FILE, sendMissing))
      assert(FabricError.is(error))
      assert.strictEqual(
        error.message,
        "Cannot commit App/a.bin at one:19080 (after 2 attempts): an answer that a gateway does not give: 200, " +
          "the cluster took all 10 bytes twice and did not make a file of them; is its disk full? " +
          "See the space that is left with getInfo, or image-store info",
      )
      yield* nothingLeft
    })))

  for (
    const [how, after] of [
      ["moves its primary at the end of each round", Effect.flatMap(Emulator, ({ failOver }) => failOver)],
      ["lets a session expire that use leaves alone", Effect.sleep("40 minutes")],
    ] as const
  ) {
    it.effect(`says of a cluster that loses what it had, again and again, just that, where it ${how}`, () =>
      run(Effect.gen(function* () {
        const error = yield* Effect.flip(
          withUploadSession(FILE, (work) => Effect.zipRight(sendMissing(work), after)),
        )
        assert(FabricError.is(error))
        assert.strictEqual(
          error.message,
          "Cannot upload App/a.bin at one:19080 (after 2 attempts): an answer that a gateway does not give: 200, " +
            "with chunks missing that had arrived, again and again; " +
            "does the primary keep moving, or was nothing sent for half an hour?",
        )
        assert.notInclude(yield* asked, "CommitImageStoreUploadSession")
        yield* nothingLeft
      })))
  }

  it.effect("does not take another's file of another size for its own commit", () =>
    run(Effect.gen(function* () {
      const commit = "CommitImageStoreUploadSession"
      yield* inject(Fault.reply(503, "E_ABORT"), commit)
      yield* inject(Fault.answer({ status: 200, body: "" }), commit)
      yield* Effect.fork(
        Effect.zipRight(until(commit, 1), putFile({ path: FILE.path, bytes: new Uint8Array([9]) })),
      )
      yield* withUploadSession(FILE, sendMissing)
      assert.deepStrictEqual(yield* fileBytes, [...bytes])
      yield* nothingLeft
    })))

  it.effect("tries another session where the cluster does not find the one to commit", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.reply(404, "NotFound"), "CommitImageStoreUploadSession")
      yield* withUploadSession(FILE, sendMissing)
      assert.lengthOf(yield* requestsOf("UploadFileChunk"), 2)
      assert.deepStrictEqual(yield* fileBytes, [...bytes])
      yield* nothingLeft
    })))

  it.effect("does not take a proxy's 400 for the cluster's word on the commit", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.answer({ status: 400, body: "<html>" }), "CommitImageStoreUploadSession")
      const error = yield* Effect.flip(withUploadSession(FILE, sendMissing))
      assert.include(FabricError.is(error) ? error.message : "", "400")
      assert.lengthOf(yield* requestsOf("UploadFileChunk"), 1)
      yield* nothingLeft
    })))

  it.effect("is deleted though its journal breaks down over that", () =>
    run(Effect.gen(function* () {
      const journal = yield* UploadJournal
      const breaking: typeof journal = {
        ...journal,
        update: (id, patch) => patch.state === "deleting" ? Effect.die("broken") : journal.update(id, patch),
      }
      yield* Effect.provideService(withUploadSession(FILE, sendMissing), UploadJournal, breaking)
      yield* nothingLeft
    })))

  it.effect("is a success when only the clean-up fails: the next run does it", () =>
    run(Effect.gen(function* () {
      const { inject } = yield* Emulator
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), { on: "DeleteImageStoreUploadSession", times: 100 })
      yield* withUploadSession(FILE, sendMissing)
      assert.deepStrictEqual(yield* fileBytes, [...bytes])
      assert.lengthOf(yield* (yield* UploadJournal).entries, 1)
    })))

  it.effect("is left to the next run when a minute has not been enough to delete it", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.reply(503, "E_ABORT"), "DeleteImageStoreUploadSession", 1000)
      const begun = yield* Clock.currentTimeMillis
      yield* withUploadSession(FILE, sendMissing)
      const seconds = ((yield* Clock.currentTimeMillis) - begun) / 1000
      assert.isTrue(seconds > 60 && seconds < 90, `${seconds} s`)
      assert.lengthOf(yield* (yield* UploadJournal).entries, 1)
    })))

  it.effect("is deleted when it is interrupted, and what was there stays", () =>
    run(
      Effect.gen(function* () {
        yield* putFile({ path: FILE.path, bytes: new Uint8Array([9]) })
        const fiber = yield* Effect.fork(withUploadSession(FILE, ({ put }) =>
          Effect.zipRight(put({ first: 0, last: 4 }, bytes.slice(0, 5)), Effect.never)))
        yield* Effect.sleep("5 seconds")
        yield* Fiber.interrupt(fiber)
        assert.deepStrictEqual(yield* fileBytes, [9])
        yield* nothingLeft
      }),
      { latency: "1 second" },
    ))

  it.effect("is not deleted while it cannot be told what became of its commit", () =>
    run(Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.hang, { on: "CommitImageStoreUploadSession", times: 1000 })
      const error = yield* Effect.flip(withUploadSession({ ...FILE, patience: 60 }, sendMissing))
      assert.isTrue(FabricError.is(error))
      assert.lengthOf(yield* sessions, 1)
      assert.notInclude(yield* asked, "DeleteImageStoreUploadSession")
      assert.deepStrictEqual(
        (yield* (yield* UploadJournal).entries).map(({ state }) => state),
        ["committing"],
      )
    })))

  it.effect("is not deleted either when a refusal comes after a commit that got no answer", () =>
    run(Effect.gen(function* () {
      yield* inject(Fault.hang, "CommitImageStoreUploadSession")
      yield* inject(Fault.reply(403, "E_ACCESSDENIED"), "CommitImageStoreUploadSession")
      const error = yield* Effect.flip(withUploadSession(FILE, sendMissing))
      assert.include(FabricError.is(error) ? error.message : "", "403")
      assert.notInclude(yield* asked, "DeleteImageStoreUploadSession")
      assert.deepStrictEqual(
        (yield* (yield* UploadJournal).entries).map(({ state }) => state),
        ["committing"],
      )
    })))

  for (const fault of ["delay", "late"] as const) {
    it.effect(`looks before a range goes again that its caller gave up, and retries: ${fault}`, () =>
      run(Effect.gen(function* () {
        yield* (yield* Emulator).inject(Fault[fault]("3 seconds"), { on: "UploadFileChunk" })
        yield* withUploadSession(
          FILE,
          (work) => Effect.retry(Effect.timeout(sendMissing(work), "1 second"), { times: 60 }),
        )
        yield* sentOnce
      })))
  }

  it.effect("sends nothing again that has arrived when use begins anew for a reason of its own", () =>
    run(Effect.gen(function* () {
      let reads = 0
      const read = (range: ByteRange) =>
        ++reads === 4 ? Effect.fail("a hiccup") : Effect.succeed(bytes.slice(range.first, range.last + 1))
      yield* withUploadSession(FILE, ({ put }) =>
        Effect.retry(
          Effect.forEach(
            chunksOf(10, 3),
            (range) => Effect.flatMap(read(range), (piece) => put(range, piece)),
            { discard: true },
          ),
          { times: 1 },
        ))
      const chunks = yield* requestsOf("UploadFileChunk")
      assert.deepStrictEqual(chunks.map(({ bodyBytes, status }) => [bodyBytes, status]), [
        [3, 200],
        [3, 200],
        [3, 200],
        [1, 200],
      ])
      assert.deepStrictEqual(yield* fileBytes, [...bytes])
      assert.strictEqual(yield* (yield* Emulator).leaked, 0)
    })))

  it.effect("does not send a range while it is still under way, though its caller does not wait for that", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.delay("3 seconds"), { on: "UploadFileChunk" })
      yield* withUploadSession(
        FILE,
        (work) =>
          Effect.retry(Effect.timeout(Effect.disconnect(sendMissing(work)), "1 second"), { times: 60 }),
      )
      yield* sentOnce
    })))

  it.effect("looks before a range goes again that use gave up in the round before", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.delay("3 seconds"), { on: "UploadFileChunk" })
      yield* withUploadSession(
        FILE,
        (work) => Effect.ignore(Effect.timeout(sendMissing(work), "1 second")),
      )
      yield* sentOnce
    })))

  it.effect("waits for what use has left under way", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.delay("20 seconds"), { on: "UploadFileChunk" })
      yield* withUploadSession(
        FILE,
        (work) => Effect.zipRight(Effect.forkDaemon(sendMissing(work)), Effect.sleep("1 second")),
      )
      yield* committedAndDeleted
    })))

  it.effect("stops what use has left under way when use fails", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.delay("20 seconds"), { on: "UploadFileChunk" })
      const failed = withUploadSession(
        FILE,
        (work) =>
          Effect.zipRight(
            Effect.forkDaemon(sendMissing(work)),
            Effect.zipRight(Effect.sleep("1 second"), Effect.fail("no more")),
          ),
      )
      assert.strictEqual(yield* Effect.flip(failed), "no more")
      yield* Effect.sleep("5 minutes")
      yield* nothingLeft
    })))

  it.effect("sends nothing more when it is over: that would bring the session back", () =>
    run(Effect.gen(function* () {
      let late: ReturnType<typeof sendMissing> = Effect.void
      yield* withUploadSession(FILE, (work) => late = sendMissing(work))
      assert.isTrue(Exit.isFailure(yield* Effect.exit(late)))
      yield* Effect.sleep("5 minutes")
      yield* nothingLeft
    })))

  it.effect("leaves what use opens to the scope of its caller", () =>
    run(Effect.gen(function* () {
      let open = false
      const resource = Effect.acquireRelease(
        Effect.sync(() => void (open = true)),
        () => Effect.sync(() => void (open = false)),
      )
      yield* Effect.scoped(Effect.gen(function* () {
        yield* withUploadSession(FILE, (work) => Effect.zipRight(resource, sendMissing(work)))
        assert.isTrue(open)
      }))
      assert.isFalse(open)
    })))
})
