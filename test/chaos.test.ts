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
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { FabricClient, FabricConfig, type SessionId } from "../mod.ts"
import { cleanSessions } from "../src/cleanSessions.ts"
import { Emulator, Fault, FaultPlan } from "../src/emulator/mod.ts"
import type { JournalEntry } from "../src/journal/JournalEntry.ts"
import type { PackageRecord } from "../src/journal/PackageRecord.ts"
import type { UploadOptions } from "../src/UploadEvent.ts"
import { uploadFile } from "../src/uploadFile.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { uploadPackage } from "../src/uploadPackage.ts"
import { hashOf } from "./support/bytes.ts"
import { randomBytes, randomOf } from "./support/random.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

/**
 * Whole lives of uploads in virtual time: random files, streams and packages to either system, faults, interruptions and
 * kills, then a resume or a clean. One seed is one life. `CHAOS_SEEDS=100000` runs more, `CHAOS_SEED=n` runs one again,
 * and both together so many from there on.
 */
const { CHAOS_SEED, CHAOS_SEEDS } = process.env
const start = Number(CHAOS_SEED ?? 1)
const seeds = Number(CHAOS_SEEDS ?? (CHAOS_SEED === undefined ? 1000 : 1))

type Random = ReturnType<typeof randomOf>

/** What is uploaded to `App`, and what was there before: bytes by path. */
interface Subject {
  readonly kind: "file" | "package"
  readonly wanted: Readonly<Record<string, Uint8Array>>
  readonly before: Readonly<Record<string, Uint8Array>>
  readonly upload: (options: UploadOptions) => Stream.Stream<unknown, unknown, FabricClient | UploadJournal>
}

const file = (random: Random): Subject => {
  const bytes = randomBytes(random, 1 + random(300))
  const cut = random(bytes.length)
  const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)]
  const source = random(2) === 0 ? bytes : { stream: Stream.fromIterable(pieces), size: bytes.length }
  return {
    kind: "file",
    wanted: { "a.bin": bytes },
    before: random(2) === 0 ? { "a.bin": randomBytes(random, 1 + random(20)) } : {},
    upload: (options) => uploadFile(source, "App/a.bin", options),
  }
}

const NONE = new Uint8Array(0)

/** A package that is complete, or lacks its marker. */
const wholePackage = (random: Random, names: ReadonlyArray<string>) => ({
  ...Object.fromEntries(names.map((name) => [name, randomBytes(random, random(3) * random(60))])),
  "sub/_.dir": NONE,
  ...(random(3) > 0 ? { "_.dir": NONE } : {}),
})

const packageOf = (random: Random, folder: string): Subject => {
  const names = ["a.bin", "sub/b.bin", "sub/c.bin", "d.bin", "e.bin"].slice(random(3))
  const wanted = Object.fromEntries(names.map((name) => [name, randomBytes(random, random(3) * random(60))]))
  mkdirSync(join(folder, "sub"), { recursive: true })
  for (const [name, bytes] of Object.entries(wanted)) writeFileSync(join(folder, name), bytes)
  return {
    kind: "package",
    wanted,
    before: random(2) === 0 ? wholePackage(random, ["a.bin", "sub/b.bin", "old.bin"]) : {},
    upload: (options) => uploadPackage(folder, "App", { ...options, validate: false }),
  }
}

const life = (seed: number, folder: string) => {
  const random = randomOf(seed)
  const os = random(4) === 0 ? "linux" : "windows"
  const { before, kind, upload, wanted } = random(3) === 0 ? packageOf(random, folder) : file(random)
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
    Fault.tooLarge,
    Fault.reply(403, "E_ACCESSDENIED"),
    Fault.reply(409, "FABRIC_E_UPLOAD_SESSION_ID_CONFLICT"),
    Fault.answer({ status: 429, headers: { "Retry-After": "7" } }),
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
  const stop = random(3)
  const stopAfter = random(60) * 500
  // The next run comes at once, or when it has to know how long ago the last one died.
  const pause = `${random(2) * random(120)} seconds` as const

  const warnings: Array<string> = []
  const listening = Logger.replace(
    Logger.defaultLogger,
    Logger.make(({ message }) => void warnings.push(String(message))),
  )

  const program = Effect.gen(function* () {
    const emulator = yield* Emulator
    const store = new Map<SessionId, JournalEntry>()
    const packages = new Map<string, PackageRecord>()
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
    const firstPackages = new Map<string, PackageRecord>()
    const first = Layer.merge(
      clientOver(Layer.provide(mortal, base)),
      UploadJournal.layerMemory({
        store: firstStore,
        packages: firstPackages,
        owner: { host: "a", process: 1, start: 1 },
      }),
    )
    const second = Layer.merge(
      clientOver(Layer.provide(direct, base)),
      UploadJournal.layerMemory({
        store,
        packages,
        owner: { host: "a", process: 2, start: 2 },
        alive: ({ process }) => process === 2,
      }),
    )
    const work = Stream.runDrain(upload(options))

    const fiber = yield* Effect.forkDaemon(Effect.provide(work, first))
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
    // Under a commit that may be running nothing is removed.
    const settled = firstStore.size === 0
    for (const [id, entry] of firstStore) store.set(id, entry)
    for (const [id, record] of firstPackages) packages.set(id, record)
    firstStore.clear()
    firstPackages.clear()

    // What a run leaves, the next one ends: by going on, or by cleaning.
    const goOn = stop === 2 && random(2) === 0
    yield* Effect.sleep(pause)
    if (goOn) succeeded = Exit.isSuccess(yield* Effect.exit(Effect.provide(work, second))) || succeeded
    unlucky = 0
    yield* Effect.sleep(pause)
    yield* Effect.provide(Stream.runDrain(cleanSessions()), second)
    yield* Effect.sleep("2 minutes")

    assert.deepStrictEqual(yield* emulator.sessions, [], "no session is left")
    assert.strictEqual(yield* emulator.staged, 0, "nothing is staged")
    assert.deepStrictEqual([...store.keys()], [], "the journal is empty")

    const stored: Record<string, string> = {}
    for (const { path, sha256 } of yield* emulator.files) stored[path.slice("App/".length)] = yield* sha256
    const now = contentOf(stored)
    const [goal, previous] = [wanted, before].map((files) => contentOf(hashesOf(files)))
    if (succeeded) {
      assert.deepStrictEqual(now, goal, "the content is what was uploaded")
      if (kind === "package") assert.property(stored, "_.dir", "it is marked as complete")
    } else if (kind === "file" || "_.dir" in stored) {
      assert.deepInclude([goal, previous], now, "the content is new or as before")
    } else {
      // Nobody can provision it. What is there is whole, and new or old.
      for (const [name, hash] of Object.entries(now)) {
        assert.include([goal![name], previous![name]], hash, `${name} is new or old`)
      }
      const removes = stop !== 2 && settled && Object.keys(before).length === 0
      if (removes && !warnings.some((text) => text.startsWith("Part of the package is left"))) {
        assert.deepStrictEqual(stored, {}, "half a package was removed, or it is said that it was not")
      }
    }
  })
  return inVirtualTime(
    Effect.provide(
      program,
      Emulator.layer({
        os,
        faults: ending,
        latency: "200 millis",
        files: Object.fromEntries(Object.entries(before).map(([name, bytes]) => [`App/${name}`, bytes])),
      }),
    ).pipe(
      Effect.withRandom(Random.make(seed)),
      Effect.provide(listening),
    ),
  )
}

const hashesOf = (files: Readonly<Record<string, Uint8Array>>) =>
  Object.fromEntries(Object.entries(files).map(([name, bytes]) => [name, hashOf(bytes)]))

/** Without markers, by name. */
const contentOf = (hashes: Readonly<Record<string, string>>) =>
  Object.fromEntries(Object.entries(hashes).filter(([name]) => !/(^|\/)_\.dir$/.test(name)))

describe("chaos", () => {
  it(`${seeds} lives of an upload end with the file or as before, and with nothing left`, async () => {
    for (let seed = start; seed < start + seeds; seed++) {
      const folder = mkdtempSync(join(tmpdir(), "image-store-chaos-"))
      const exit = await Effect.runPromiseExit(
        Logger.withMinimumLogLevel(life(seed, folder), LogLevel.Warning),
      )
      rmSync(folder, { recursive: true, force: true })
      if (Exit.isFailure(exit)) {
        assert.fail(`seed ${seed} (run it again with CHAOS_SEED=${seed}): ${exit.cause}`)
      }
    }
  }, 3_600_000)
})
