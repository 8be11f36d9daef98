import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { FabricClient } from "../mod.ts"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import type { FabricErrorReason } from "../src/FabricError.ts"
import { uploadFile } from "../src/uploadFile.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { putChunkOnce } from "../src/uploadSessions.ts"
import { clusterWith, S } from "./support/cluster.ts"
import { turn } from "./support/turn.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

const overSocket = Layer.unwrapScoped(Effect.map(
  Emulator.serve({ port: 0 }),
  ({ emulator, url }) =>
    Layer.merge(Layer.succeed(Emulator, emulator), FabricClient.layerCluster({ endpoints: [url] })),
))

const chunk = { path: "a", sessionId: S, range: { first: 0, last: 3 }, size: 4, bytes: new Uint8Array(4) }

/** Sends a chunk that meets `fault`, and interrupts it when it is under way. */
const interrupted = (fault: Fault) =>
  Effect.gen(function* () {
    const emulator = yield* Emulator
    const before = (yield* emulator.requests).length
    yield* emulator.inject(fault)
    const ends: Array<FabricErrorReason | undefined> = []
    const sending = yield* Effect.fork(
      putChunkOnce({ ...chunk, timeout: 30 }, { out: () => {}, over: (reason) => void ends.push(reason) }),
    )
    yield* Effect.repeat(turn, {
      until: () => Effect.map(emulator.requests, ({ length }) => length > before),
    })
    yield* turn
    const stopping = yield* Effect.fork(Fiber.interrupt(sending))
    yield* turn
    return { ends, stopping }
  })

for (const [face, cluster] of [["in process", clusterWith()], ["over a socket", overSocket]] as const) {
  describe(`a followed request that is interrupted, ${face},`, () => {
    const over = (fault: Fault, seconds: number) =>
      Effect.gen(function* () {
        const { ends, stopping } = yield* interrupted(fault)
        yield* TestClock.adjust(seconds * 1000 - 1)
        yield* turn
        assert.isNull(stopping.unsafePoll())
        assert.deepStrictEqual(ends, [])
        yield* TestClock.adjust(1)
        assert.isTrue(Exit.isInterrupted(yield* Fiber.join(stopping)))
        assert.lengthOf(ends, 1, "told once")
        return { end: ends[0], sessions: yield* (yield* Emulator).sessions }
      })

    it.scoped("goes on to its answer", () =>
      Effect.gen(function* () {
        const { end, sessions } = yield* over(Fault.delay("7 seconds"), 7)
        assert.isUndefined(end)
        assert.lengthOf(sessions, 1)
      }).pipe(Effect.provide(cluster)))

    it.scoped("goes on to an answer that is an error", () =>
      Effect.gen(function* () {
        yield* putChunkOnce({ ...chunk, timeout: 30 }, { out: () => {}, over: () => {} })
        const { end } = yield* over(Fault.delay("7 seconds"), 7)
        assert.include(end, { _tag: "Rejected", code: "FABRIC_E_UPLOAD_SESSION_RANGE_NOT_SATISFIABLE" })
      }).pipe(Effect.provide(cluster)))

    it.scoped("is cut off after 10 seconds, and may still arrive", () =>
      Effect.gen(function* () {
        const { end } = yield* over(Fault.hang, 10)
        assert.include(end, { _tag: "Unreachable", sent: "maybe" })
      }).pipe(Effect.provide(cluster)))
  })
}

describe("a followed request", () => {
  const endOf = (seconds: number) =>
    Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.hang)
      const ends: Array<FabricErrorReason | undefined> = []
      const sending = yield* Effect.fork(Effect.exit(
        putChunkOnce({ ...chunk, timeout: 30 }, { out: () => {}, over: (reason) => void ends.push(reason) }),
      ))
      yield* TestClock.adjust(seconds * 1000)
      yield* Fiber.join(sending)
      return ends
    })

  it.effect("that nobody answers in its time is timed out", () =>
    Effect.gen(function* () {
      assert.include((yield* endOf(70))[0], { _tag: "TimedOut" })
    }).pipe(Effect.provide(clusterWith())))

  it.effect("that the bound of the whole call cuts short may still arrive in its own time", () =>
    Effect.gen(function* () {
      assert.include((yield* endOf(10))[0], { _tag: "Unreachable", sent: "maybe" })
    }).pipe(Effect.provide(clusterWith({ totalTimeout: "10 seconds" }))))
})

describe("an upload that is stopped", () => {
  for (
    const [what, fault] of [["hang", Fault.hang], [
      "come 20 seconds later",
      Fault.delay("20 seconds"),
    ]] as const
  ) {
    it.effect(`while its chunks ${what} is over when those can no longer arrive, and leaves nothing`, () =>
      inVirtualTime(
        Effect.gen(function* () {
          const emulator = yield* Emulator
          yield* emulator.inject(fault, { on: "UploadFileChunk", times: 20 })
          const fiber = yield* Effect.fork(
            Stream.runDrain(uploadFile(new Uint8Array(100), "App/a.bin", { chunkSize: 10 })),
          )
          yield* Effect.sleep("1 second")
          const begun = yield* Clock.currentTimeMillis
          yield* Fiber.interrupt(fiber)
          // 10 seconds to finish, and the 30 + 5 in which an aborted chunk may still arrive.
          assert.approximately(((yield* Clock.currentTimeMillis) - begun) / 1000, 45, 1)
          assert.deepStrictEqual(yield* emulator.sessions, [])
          assert.deepStrictEqual(yield* (yield* UploadJournal).entries, [])
        }).pipe(Effect.provide(Layer.merge(clusterWith({}), UploadJournal.layerMemory()))),
      ))
  }
})
