import { assert, describe, it } from "@effect/vitest"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { putChunk, type SessionId } from "../mod.ts"
import { cleanSessions } from "../src/cleanSessions.ts"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import type { JournalEntry } from "../src/journal/JournalEntry.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { clusterWith, S } from "./support/cluster.ts"
import { inVirtualTime } from "./support/virtualTime.ts"

const left: JournalEntry = {
  sessionId: S as SessionId,
  endpoints: ["http://one:19080"],
  path: "App/a.bin",
  size: 8,
  chunkSize: 4,
  source: "/tmp/a.bin",
  owner: { host: "here", process: 1, start: 1 },
  state: "open",
  hashes: { 0: "aa" },
  quietAt: 0,
  touched: Date.UTC(2026, 10, 22),
}

const YEAR = 365 * 86_400_000

const run = <A, E>(
  entry: Partial<JournalEntry>,
  program: Effect.Effect<A, E, Layer.Layer.Success<ReturnType<typeof clusterWith>> | UploadJournal>,
) =>
  inVirtualTime(
    Effect.gen(function* () {
      yield* putChunk({
        path: "App/a.bin",
        sessionId: S,
        range: { first: 0, last: 3 },
        size: 8,
        bytes: new Uint8Array(4),
      })
      return yield* program
    }).pipe(Effect.provide(Layer.merge(
      clusterWith(),
      UploadJournal.layerMemory({
        store: new Map([[left.sessionId, { ...left, ...entry }]]),
        owner: { host: "here", process: 2, start: 2 },
        alive: ({ host, process }) => process !== 1 || host !== "here",
      }),
    ))),
  )

const clean = (options: Parameters<typeof cleanSessions>[0] = {}) =>
  Effect.map(Stream.runCollect(cleanSessions(options)), (all) => [...all].map(({ outcome }) => outcome._tag))

const remaining = Effect.gen(function* () {
  const sessions = yield* (yield* Emulator).sessions
  const entries = yield* (yield* UploadJournal).entries
  return { sessions: sessions.length, entries: entries.length }
})

describe("cleanSessions", () => {
  it.effect("deletes what a dead run left, and its record", () =>
    run(
      {},
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* clean(), ["Deleted"])
        assert.deepStrictEqual(yield* remaining, { sessions: 0, entries: 0 })
        assert.deepStrictEqual(yield* clean(), [])
      }),
    ))

  it.effect("only tells, when asked to", () =>
    run(
      {},
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* clean({ dryRun: true }), ["WouldDelete"])
        assert.deepStrictEqual(yield* remaining, { sessions: 1, entries: 1 })
      }),
    ))

  it.effect("leaves a run at work alone, unless forced", () =>
    run(
      { owner: { host: "here", process: 7, start: 1 } },
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* clean(), ["InUse"])
        assert.deepStrictEqual(yield* remaining, { sessions: 1, entries: 1 })
        assert.deepStrictEqual(yield* clean({ force: true }), ["Deleted"])
      }),
    ))

  it.effect("deletes what this very process left, and is not at work on any more", () =>
    run(
      { owner: { host: "here", process: 2, start: 2 } },
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* clean(), ["Deleted"])
      }),
    ))

  it.effect("is done by one of two that clean at once", () =>
    run(
      {},
      Effect.gen(function* () {
        const [one = [], other = []] = yield* Effect.all([clean(), clean()], { concurrency: 2 })
        assert.strictEqual([...one, ...other].filter((outcome) => outcome === "Deleted").length, 1)
        assert.deepStrictEqual(yield* remaining, { sessions: 0, entries: 0 })
        const deletions = (yield* (yield* Emulator).requests).filter(({ method }) => method === "DELETE")
        assert.isAtMost(deletions.length, 2)
      }),
    ))

  it.effect("leaves another host's session alone for 40 minutes", () =>
    run(
      { owner: { host: "there", process: 1, start: 1 } },
      Effect.gen(function* () {
        yield* Effect.sleep("39 minutes")
        assert.deepStrictEqual(yield* clean(), ["InUse"])
        yield* Effect.sleep("2 minutes")
        assert.deepStrictEqual(yield* clean(), ["Deleted"])
      }),
    ))

  it.effect("does not wait for a time that only a clock knew which has been set back since", () =>
    Effect.forEach(["open", "committing"] as const, (state) =>
      run(
        { state, touched: left.touched + YEAR, quietAt: left.touched + YEAR + 35_000 },
        Effect.gen(function* () {
          const [took, outcomes] = yield* Effect.timed(clean())
          assert.deepStrictEqual(outcomes, ["Deleted"])
          assert.isBelow(Duration.toSeconds(took), 120)
        }),
      ), { discard: true }))

  it.effect("leaves another cluster's session alone", () =>
    run(
      { endpoints: ["http://other:19080"] },
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* clean(), ["OtherCluster"])
      }),
    ))

  it.effect("deletes again when a late chunk brings the session back", () =>
    run(
      {},
      Effect.gen(function* () {
        const emulator = yield* Emulator
        yield* emulator.inject(Fault.late("20 seconds"), { on: "UploadFileChunk" })
        yield* Effect.ignore(Effect.fork(
          putChunk({
            path: "App/a.bin",
            sessionId: S,
            range: { first: 4, last: 7 },
            size: 8,
            bytes: new Uint8Array(4),
          }),
        ))
        yield* Effect.sleep("1 second")
        assert.deepStrictEqual(yield* clean(), ["Deleted"])
        assert.deepStrictEqual(yield* remaining, { sessions: 0, entries: 0 })
      }),
    ))

  it.effect("keeps the record of what the cluster would not delete", () =>
    run(
      {},
      Effect.gen(function* () {
        yield* (yield* Emulator).inject(Fault.reply(403, "E_ACCESSDENIED"), {
          on: "DeleteImageStoreUploadSession",
        })
        assert.deepStrictEqual(yield* clean(), ["Failed"])
        assert.deepStrictEqual(yield* remaining, { sessions: 1, entries: 1 })
      }),
    ))
})
