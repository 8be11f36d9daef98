/** Uploads that are killed: from one moment on nothing of them reaches the cluster or the journal any more. */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { FabricClient, FabricConfig, type SessionId } from "../../mod.ts"
import type { Emulator, Operation } from "../../src/emulator/mod.ts"
import type { JournalEntry } from "../../src/journal/JournalEntry.ts"
import type { Owner } from "../../src/journal/Owned.ts"
import type { PackageRecord } from "../../src/journal/PackageRecord.ts"
import type { Source, UploadOptions } from "../../src/UploadEvent.ts"
import { uploadFile } from "../../src/uploadFile.ts"
import { UploadJournal } from "../../src/UploadJournal.ts"
import { requestsOf } from "./cluster.ts"

const FIRST: Owner = { host: "a", process: 1, start: 1 }
/** The process that comes next. */
export const SECOND: Owner = { host: "a", process: 2, start: 2 }

/** Our client over a transport that is changed. */
export const clientOver = (
  change: (client: HttpClient.HttpClient) => HttpClient.HttpClient,
): Layer.Layer<FabricClient, never, HttpClient.HttpClient> =>
  FabricClient.layer.pipe(
    Layer.provide(Layer.effect(HttpClient.HttpClient, Effect.map(HttpClient.HttpClient, change))),
    Layer.provide(Layer.orDie(FabricConfig.layer({ endpoints: ["http://one:19080"] }))),
  )

export interface Mortal {
  /** What the journal has kept, from the kill on. */
  readonly store: Map<SessionId, JournalEntry>
  readonly packages: Map<string, PackageRecord>
  readonly kill: Effect.Effect<void>
}

/** Begins an upload to `App/a.bin` that can be killed. */
export const mortal = (
  source: Source,
  options: UploadOptions = {},
): Effect.Effect<Mortal, never, HttpClient.HttpClient> =>
  mortalRun(uploadFile(source, "App/a.bin", { chunkSize: 10, concurrency: 2, ...options }))

/** Begins any upload that can be killed, where another was killed `before`, or none. */
export const mortalRun = (
  upload: Stream.Stream<unknown, unknown, FabricClient | UploadJournal>,
  before?: Mortal,
): Effect.Effect<Mortal, never, HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const own = new Map<SessionId, JournalEntry>(before?.store)
    const ownPackages = new Map<string, PackageRecord>(before?.packages)
    const store = new Map<SessionId, JournalEntry>()
    const packages = new Map<string, PackageRecord>()
    let dead = false
    const client = clientOver(
      HttpClient.transform((sent) => Effect.suspend(() => dead ? Effect.never : sent)),
    )
    const fiber = yield* Effect.forkDaemon(Effect.provide(
      Stream.runDrain(upload),
      Layer.merge(client, UploadJournal.layerMemory({ store: own, packages: ownPackages, owner: FIRST })),
    ))
    return {
      store,
      packages,
      kill: Effect.suspend(() => {
        dead = true
        for (const [id, entry] of own) store.set(id, entry)
        for (const [id, record] of ownPackages) packages.set(id, record)
        own.clear()
        ownPackages.clear()
        return Fiber.interruptFork(fiber)
      }),
    }
  })

/** The journal as the next process finds it. */
export const afterwards = (
  store: Map<SessionId, JournalEntry>,
  packages?: Map<string, PackageRecord>,
): Layer.Layer<UploadJournal> =>
  UploadJournal.layerMemory({ store, packages, owner: SECOND, alive: ({ process }) => process === 2 })

/** Waits until an operation was asked for so often. */
export const until = (operation: Operation, times: number): Effect.Effect<void, never, Emulator> =>
  Effect.gen(function* () {
    while ((yield* requestsOf(operation)).length < times) yield* Effect.sleep("100 millis")
  })
