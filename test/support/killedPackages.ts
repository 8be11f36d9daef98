/** Packages of small files whose uploads are killed, and what the next run finds. */
import { assert } from "@effect/vitest"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import type { FabricClient } from "../../mod.ts"
import type { Emulator, EmulatorOptions, Operation } from "../../src/emulator/mod.ts"
import type { PackageEvent, PackageOptions, PackageUploadError } from "../../src/PackageEvent.ts"
import type { UploadJournal } from "../../src/UploadJournal.ts"
import { uploadPackage } from "../../src/uploadPackage.ts"
import { clusterWith } from "./cluster.ts"
import { afterwards, type Mortal, mortalRun, until } from "./mortal.ts"
import { type Files, stored } from "./packages.ts"
import { inVirtualTime } from "./virtualTime.ts"

export type Env = Emulator | FabricClient | HttpClient.HttpClient | Scope.Scope

/** Each test in virtual time, on a cluster of its own where each request takes a second. */
export const run = <A, E>(
  program: Effect.Effect<A, E, Env>,
  emulator: EmulatorOptions = {},
): Effect.Effect<A, E> =>
  inVirtualTime(Effect.scoped(
    Effect.provide(program, clusterWith({}, { latency: "1 second", ...emulator })),
  ))

/** Bytes of each file. */
export const BYTES = 50
/** A mebibyte would do no more: two requests at once, a chunk each. */
export const OPTIONS = { validate: false, chunkSize: 100, concurrency: 2 } as const

export const names: ReadonlyArray<string> = Array.from(
  { length: 20 },
  (_, index) => `f${String(index).padStart(2, "0")}.txt`,
)
export const contentOf = (name: string, version = "1"): string =>
  `${name} of version ${version} `.padEnd(BYTES, name)
/** A package, and its next version, whose files have the same sizes. */
export const small: Files = Object.fromEntries(names.map((name) => [name, contentOf(name)]))
export const newer: Files = Object.fromEntries(names.map((name) => [name, contentOf(name, "2")]))

export const upload = (
  source: string,
  options: PackageOptions = {},
): Effect.Effect<ReadonlyArray<PackageEvent>, PackageUploadError, FabricClient | UploadJournal> =>
  Stream.runCollect(uploadPackage(source, "App", { ...OPTIONS, ...options })).pipe(
    Effect.map((events) => [...events]),
  )

/**
 * A run that is killed once it has asked so often. What comes after it has to be on the disk before: while a folder is
 * made, virtual time goes on.
 */
export const killed = (
  source: string,
  times: number,
  options: PackageOptions = {},
  operation: Operation = "UploadFile",
  before?: Mortal,
): Effect.Effect<Mortal, never, Emulator | HttpClient.HttpClient> =>
  Effect.gen(function* () {
    const run = yield* mortalRun(uploadPackage(source, "App", { ...OPTIONS, ...options }), before)
    yield* until(operation, times)
    yield* run.kill
    return run
  })

/** The next run. */
export const resumed = (
  source: string,
  { packages, store }: Mortal,
  options: PackageOptions = {},
): Effect.Effect<ReadonlyArray<PackageEvent>, PackageUploadError, FabricClient> =>
  Effect.provide(upload(source, options), afterwards(store, packages))

/** The store has that package, complete, and nothing else. */
export const holds = (files: Files): Effect.Effect<void, never, Emulator> =>
  Effect.map(stored, (found) => {
    const wanted = Object.entries({ ...files, "_.dir": "" }).map((
      [name, content],
    ) => [`App/${name}`, content])
    assert.deepStrictEqual(found, Object.fromEntries(wanted))
  })
