/** Uploads in virtual time, each to a cluster and with a journal of its own. */
import type * as HttpClient from "@effect/platform/HttpClient"
import { assert } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import { type FabricClient, type JournalError, type PackageEvent, UploadJournal } from "../../mod.ts"
import { Emulator, type EmulatorOptions } from "../../src/emulator/mod.ts"
import { clusterWith } from "./cluster.ts"
import { inVirtualTime } from "./virtualTime.ts"

export type Env = Emulator | FabricClient | HttpClient.HttpClient | UploadJournal | Scope.Scope

export const run = <A, E>(
  program: Effect.Effect<A, E, Env>,
  emulator: EmulatorOptions = {},
): Effect.Effect<A, E> =>
  inVirtualTime(Effect.scoped(
    Effect.provide(program, Layer.merge(clusterWith({}, emulator), UploadJournal.layerMemory())),
  ))

/** No session is left, no chunk of one, and no record. */
export const nothingLeft: Effect.Effect<void, JournalError, Emulator | UploadJournal> = Effect.gen(
  function* () {
    const emulator = yield* Emulator
    assert.deepStrictEqual(yield* emulator.sessions, [])
    assert.strictEqual(yield* emulator.staged, 0)
    assert.deepStrictEqual(yield* (yield* UploadJournal).entries, [])
  },
)

/** What a package's upload ends with. */
export const summaryOf = (
  events: ReadonlyArray<PackageEvent>,
): Extract<PackageEvent, { readonly _tag: "PackageUploaded" }> => {
  const last = events.at(-1)
  if (last?._tag === "PackageUploaded") return last
  return assert.fail(`the upload ended with ${last?._tag}`)
}
