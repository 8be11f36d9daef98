import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Random from "effect/Random"
import * as Stream from "effect/Stream"
import { createHash } from "node:crypto"
import process from "node:process"
import { FabricClient, FabricConfig, type SessionId } from "../mod.ts"
import { Emulator, Fault, FaultPlan } from "../src/emulator/mod.ts"
import type { JournalEntry } from "../src/JournalEntry.ts"
import { cleanSessions } from "../src/cleanSessions.ts"
import { uploadFile } from "../src/uploadFile.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { randomOf } from "./support/random.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

/**
 * Whole lives of uploads in virtual time: random files, faults, interruptions and kills, then a resume or a clean. One
 * seed is one life. `CHAOS_SEEDS=100000` runs more, `CHAOS_SEED=n` runs one again.
 */
const only = process.env["CHAOS_SEED"]
const seeds = only === undefined ? Number(process.env["CHAOS_SEEDS"] ?? 1000) : 1
const start = only === undefined ? 1 : Number(only)

const hashOf = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex")

const life = (seed: number) => {
  const random = randomOf(seed)
  const bytes = Uint8Array.from({ length: 1 + random(300) }, () => random(256))
  const old = Uint8Array.from({ length: 1 + random(20) }, () => random(256))
  const faults = [
    Fault.reply(503, "E_ABORT"),
    Fault.reply(504, "FABRIC_E_TIMEOUT"),
    Fault.reset,
    Fault.refuse,
    Fault.dropAnswer,
    Fault.late(`${1 + random(30)} seconds`),
    Fault.delay(`${1 + random(20)} seconds`),
    Fault.hang,
    Fault.failOver(`${random(20)} seconds`),
    Fault.rollBack,
    Fault.slowDisk(`${1 + random(120)} seconds`),
    Fault.commitPending,
    Fault.forgetChunk,
    Fault.loseReply,
    Fault.loseMessage,
  ]
  // Plans that end: bad luck for as many requests as this, then none.
  let unlucky = 5 + random(25)
  const plan = FaultPlan.random({ seed, probability: 0.05 + random(30) / 100, faults })
  const ending = FaultPlan.make(() => {
    const next = plan.begin()
    return (arrival) => {
      const fault = next(arrival)
      return fault !== undefined && unlucky-- > 0 ? fault : undefined
    }
  })
  const options = { chunkSize: 1 + random(40), concurrency: 1 + random(4) }
  const before = random(2) === 0
  const stop = random(3)
  const stopAfter = random(60) * 500

  const program = Effect.gen(function* () {
    const emulator = yield* Emulator
    const store = new Map<SessionId, JournalEntry>()
    let dead = false
    const mortal = Layer.effect(
      HttpClient.HttpClient,
      Effect.map(
        HttpClient.HttpClient,
        HttpClient.transform((sent) => Effect.suspend(() => dead ? Effect.never : sent)),
      ),
    )
    const endpoints = ["http://one:19080", "http://two:19080"]
    const clientOver = (layer: Layer.Layer<HttpClient.HttpClient>) =>
      FabricClient.layer.pipe(
        Layer.provide(layer),
        Layer.provide(Layer.orDie(FabricConfig.layer({ endpoints }))),
      )
    const direct = Layer.effect(HttpClient.HttpClient, HttpClient.HttpClient)
    const http = yield* HttpClient.HttpClient
    const base = Layer.succeed(HttpClient.HttpClient, http)
    const firstStore = new Map<SessionId, JournalEntry>()
    const first = Layer.merge(
      clientOver(Layer.provide(mortal, base)),
      UploadJournal.layerMemory({ store: firstStore, owner: { host: "a", process: 1, start: 1 } }),
    )
    const second = Layer.merge(
      clientOver(Layer.provide(direct, base)),
      UploadJournal.layerMemory({
        store,
        owner: { host: "a", process: 2, start: 2 },
        alive: ({ process }) => process === 2,
      }),
    )
    const upload = Stream.runDrain(uploadFile(bytes, "App/a.bin", options))

    const fiber = yield* Effect.forkDaemon(Effect.provide(upload, first))
    let succeeded = false
    if (stop === 0) succeeded = Exit.isSuccess(yield* Fiber.await(fiber))
    else {
      yield* Effect.sleep(stopAfter)
      if (stop === 1) succeeded = Exit.isSuccess(yield* Fiber.interrupt(fiber))
      else {
        dead = true
        yield* Fiber.interruptFork(fiber)
      }
    }
    for (const [id, entry] of firstStore) store.set(id, entry)
    firstStore.clear()

    // What a run leaves, the next one ends: by going on, or by cleaning.
    const goOn = stop === 2 && random(2) === 0
    if (goOn) succeeded = Exit.isSuccess(yield* Effect.exit(Effect.provide(upload, second))) || succeeded
    unlucky = 0
    yield* Effect.sleep("2 minutes")
    yield* Effect.provide(Stream.runDrain(cleanSessions()), second)
    yield* Effect.sleep("2 minutes")

    assert.deepStrictEqual(yield* emulator.sessions, [], "no session is left")
    assert.strictEqual(yield* emulator.staged, 0, "nothing is staged")
    assert.deepStrictEqual([...store.keys()], [], "the journal is empty")
    const file = (yield* emulator.files).find(({ path }) => path === "App/a.bin")
    const hash = file === undefined ? "none" : yield* file.sha256
    if (succeeded) assert.strictEqual(hash, hashOf(bytes), "the file is what was uploaded")
    else assert.include([hashOf(bytes), before ? hashOf(old) : "none"], hash, "the file is new or as before")
  })
  return inVirtualTime(
    Effect.provide(
      program,
      Emulator.layer({
        faults: ending,
        latency: "200 millis",
        files: before ? { "App/a.bin": old } : {},
      }),
    ).pipe(
      Effect.withRandom(Random.make(seed)),
    ),
  )
}

describe("chaos", () => {
  it(`${seeds} lives of an upload end with the file or as before, and with nothing left`, async () => {
    for (let seed = start; seed < start + seeds; seed++) {
      const exit = await Effect.runPromiseExit(Logger.withMinimumLogLevel(life(seed), LogLevel.None))
      if (Exit.isFailure(exit)) {
        assert.fail(`seed ${seed} (run it again with CHAOS_SEED=${seed}): ${exit.cause}`)
      }
    }
  }, 3_600_000)
})
