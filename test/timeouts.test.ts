/** The `timeout` of each request of an upload: how long the cluster may work on it. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { type FabricConfig, UploadDeadline, uploadFile, UploadJournal, type UploadOptions } from "../mod.ts"
import { Emulator, type EmulatorOptions, Fault, FaultPlan } from "../src/emulator/mod.ts"
import { clusterWith } from "./support/cluster.ts"
import { inVirtualTime, VIRTUAL_START } from "./support/virtualTime.ts"

const MiB = 1024 * 1024

/** Uploads `size` bytes, and tells the timeouts of each operation, each of them once. */
const timeoutsOf = (
  size: number,
  options: UploadOptions = {},
  emulator: EmulatorOptions = {},
  config: Partial<FabricConfig.Options> = {},
) =>
  inVirtualTime(Effect.gen(function* () {
    yield* Effect.exit(Stream.runDrain(uploadFile(new Uint8Array(size), "App/a.bin", options)))
    const timeouts: Record<string, Array<number>> = {}
    for (const { operation, url } of yield* (yield* Emulator).requests) {
      const timeout = Number(new URL(url).searchParams.get("timeout") ?? NaN)
      const known = timeouts[operation!] ??= []
      if (!known.includes(timeout)) known.push(timeout)
    }
    return timeouts
  })).pipe(Effect.provide(Layer.merge(clusterWith(config, emulator), UploadJournal.layerMemory())))

describe("the cluster gets", () => {
  it.effect("30 seconds for a chunk, 20 for a deletion, and more for a commit the larger the file", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* timeoutsOf(17 * MiB), {
        GetImageStoreUploadSessionById: [60],
        GetImageStoreUploadSessionByPath: [60],
        UploadFileChunk: [30],
        GetImageStoreContent: [60],
        CommitImageStoreUploadSession: [63],
        DeleteImageStoreUploadSession: [20],
      })
      const small = yield* timeoutsOf(100, { chunkSize: 10 })
      assert.deepStrictEqual(small["CommitImageStoreUploadSession"], [61])
    }))

  it.effect("no more for bytes than what is left until the upload has to be over", () =>
    Effect.gen(function* () {
      const bounded = (size: number, seconds: number, os: "windows" | "linux" = "windows") =>
        Effect.provideService(
          timeoutsOf(size, { chunkSize: 10, concurrency: 1 }, { latency: "4 seconds", os }),
          UploadDeadline,
          VIRTUAL_START + seconds * 1000,
        )
      // Each of them takes 4 seconds: two looks come before the first, on Linux one.
      assert.deepStrictEqual((yield* bounded(50, 40))["UploadFileChunk"], [30, 28, 24, 20, 16])
      assert.deepStrictEqual((yield* bounded(50, 20))["UploadFileChunk"], [12, 8, 4, 1])
      assert.deepStrictEqual((yield* bounded(10, 20))["UploadFile"], [20])
      assert.deepStrictEqual((yield* bounded(50, 20, "linux"))["UploadFile"], [16])
    }))

  it.effect("30 seconds for a small file", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* timeoutsOf(100), { UploadFile: [30] })
    }))

  it.effect("as long for a large file in one request as for its commit", () =>
    Effect.gen(function* () {
      const { UploadFile } = yield* timeoutsOf(17 * MiB, {}, { os: "linux" })
      assert.deepStrictEqual(UploadFile, [63])
    }))

  for (const timeout of [5, 3600]) {
    it.effect(`no other time for bytes when the configuration says ${timeout} seconds`, () =>
      Effect.gen(function* () {
        assert.deepStrictEqual(yield* timeoutsOf(100, { chunkSize: 10 }, {}, { timeout }), {
          GetImageStoreUploadSessionById: [timeout],
          GetImageStoreUploadSessionByPath: [timeout],
          UploadFileChunk: [30],
          GetImageStoreContent: [timeout],
          CommitImageStoreUploadSession: [61],
          DeleteImageStoreUploadSession: [20],
        })
      }))
  }

  it.effect("never more than 30 seconds for a chunk, whatever went wrong before", () =>
    Effect.gen(function* () {
      const seen = { UploadFileChunk: new Set<number>(), DeleteImageStoreUploadSession: new Set<number>() }
      for (let seed = 1; seed <= 20; seed++) {
        const faults = FaultPlan.random({
          seed,
          probability: 0.3,
          faults: [Fault.reset, Fault.hang, Fault.reply(503, "E_ABORT"), Fault.failOver("3 seconds")],
        })
        const timeouts = yield* timeoutsOf(100, { chunkSize: 10, patience: 60 }, { faults })
        for (const operation of ["UploadFileChunk", "DeleteImageStoreUploadSession"] as const) {
          timeouts[operation]?.forEach((timeout) => seen[operation].add(timeout))
        }
      }
      assert.deepStrictEqual([...seen.UploadFileChunk], [30])
      assert.deepStrictEqual([...seen.DeleteImageStoreUploadSession], [20])
    }))

  it.effect("no more time than one call has in all", () =>
    Effect.gen(function* () {
      const timeouts = yield* timeoutsOf(100, { chunkSize: 10 }, {}, { totalTimeout: "7 seconds" })
      for (const [operation, all] of Object.entries(timeouts)) assert.deepStrictEqual(all, [7], operation)
      assert.property(timeouts, "CommitImageStoreUploadSession")
    }))
})
