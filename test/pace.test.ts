/** How many requests an upload has under way at once, as the cluster sees it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { type PackageEvent, type UploadEvent, uploadFile, UploadJournal, uploadPackage } from "../mod.ts"
import { Emulator, Fault, FaultPlan } from "../src/emulator/mod.ts"
import { clusterWith, requests } from "./support/cluster.ts"
import { folderOf } from "./support/packages.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

/** Milliseconds that each answer takes. */
const LATENCY = 1000
const MOST = 8

/** These requests that bring bytes go wrong, counted from 0. */
const plan = (faults: Readonly<Record<number, Fault>>) =>
  FaultPlan.make(() => {
    let count = 0
    return ({ operation }) => operation.startsWith("UploadFile") ? faults[count++] : undefined
  })

const cluster = (faults: Readonly<Record<number, Fault>>) =>
  Layer.merge(clusterWith({}, { latency: LATENCY, faults: plan(faults) }), UploadJournal.layerMemory())

/** When the requests that bring bytes came, in milliseconds. */
const arrivals = Effect.map(
  requests,
  (all) => all.filter(({ operation }) => operation?.startsWith("UploadFile")).map(({ at }) => at.getTime()),
)

/** The most that were under way at once between two times. */
const atOnce = (arrived: ReadonlyArray<number>, from: number, until: number) =>
  Math.max(
    0,
    ...arrived.filter((time) => time >= from && time < until)
      .map((time) => arrived.filter((other) => other > time - LATENCY && other <= time).length),
  )

/** What the events tell, each change once. */
const told = (events: ReadonlyArray<UploadEvent | PackageEvent>) =>
  events.flatMap((event) => event._tag === "BytesSent" ? [event.concurrency] : [])
    .filter((concurrency, index, all) => concurrency !== all[index - 1])

const upload = (size: number) =>
  Effect.map(
    Stream.runCollect(uploadFile(new Uint8Array(size), "App/a.bin", { chunkSize: 1, concurrency: MOST })),
    (events) => [...events],
  )

describe("an upload has fewer requests under way", () => {
  /** Which request goes wrong. */
  const BAD = 40
  for (
    const [name, fault, answered] of [
      ["a 503", Fault.reply(503, "E_ABORT"), LATENCY],
      ["a 504", Fault.reply(504, "FABRIC_E_TIMEOUT"), LATENCY],
      ["a 429", Fault.reply(429), LATENCY],
      ["a 502 of a proxy", Fault.answer({ status: 502, body: "<html>Bad Gateway</html>" }), LATENCY],
      ["a reset", Fault.reset, 0],
      // In process it cannot be seen when the body is out, so it may stall for 30 s more.
      ["no answer in its time", Fault.hang, 65_000],
    ] as const
  ) {
    it.effect(`after ${name}, and more again when that is over`, () =>
      inVirtualTime(Effect.gen(function* () {
        const events = yield* upload(900)
        const arrived = yield* arrivals
        const trouble = arrived[BAD]! + answered
        assert.strictEqual(atOnce(arrived, 0, trouble), MOST)
        // Those that were under way are over by then; one more may be tried after eight successes.
        assert.isAtMost(atOnce(arrived, trouble + LATENCY, trouble + 2 * LATENCY), MOST / 2 + 1)
        assert.strictEqual(atOnce(arrived, trouble + 2 * LATENCY, Infinity), MOST)
        assert.deepStrictEqual(told(events), [8, 4, 5, 6, 7, 8])
      })).pipe(Effect.provide(cluster({ [BAD]: fault }))))
  }

  it.effect("but never none, however long that lasts", () => {
    const bad = Object.fromEntries(
      Array.from({ length: 30 }, (_, index) => [BAD + index, Fault.reply(503, "E_ABORT")]),
    )
    return inVirtualTime(Effect.gen(function* () {
      const events = told(yield* upload(500))
      assert.strictEqual(Math.min(...events), 1)
      assert.strictEqual(events.at(-1), MOST)
      assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
    })).pipe(Effect.provide(cluster(bad)))
  })

  it.effect("of all files of a package, whichever of them met with it", () =>
    inVirtualTime(Effect.scoped(Effect.gen(function* () {
      const files = Object.fromEntries(Array.from({ length: 100 }, (_, i) => [`f${i}`, "x"]))
      const events = yield* Stream.runCollect(
        uploadPackage(yield* folderOf(files), "App", { validate: false, concurrency: MOST }),
      )
      const arrived = yield* arrivals
      const trouble = arrived[BAD]! + LATENCY
      assert.strictEqual(atOnce(arrived, 0, trouble), MOST)
      assert.isAtMost(atOnce(arrived, trouble + LATENCY, trouble + 2 * LATENCY), MOST / 2 + 1)
      assert.strictEqual(atOnce(arrived, trouble + 2 * LATENCY, Infinity), MOST)
      assert.deepStrictEqual(told([...events]), [8, 4, 5, 6, 7, 8])
    }))).pipe(Effect.provide(cluster({ [BAD]: Fault.reply(503, "E_ABORT") }))))
})
