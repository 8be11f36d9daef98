/**
 * Which uploads of packages are recorded: those of dead runs, which can be resumed, and those under way.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { FabricClient } from "../FabricClient.ts"
import { caseless } from "../ImageStorePath.ts"
import type { JournalError } from "../journal/Journal.ts"
import { isOf } from "../journal/Owned.ts"
import type { PackageRecord } from "../journal/PackageRecord.ts"
import { leftIn } from "../upload/deadRuns.ts"
import { UploadJournal } from "../UploadJournal.ts"
import type { KeyOf } from "./storedTree.ts"

/** The records of packages on this cluster. */
const recorded: Effect.Effect<
  ReadonlyArray<PackageRecord>,
  JournalError,
  FabricClient | UploadJournal
> = Effect.gen(function* () {
  const { origins } = yield* FabricClient
  const { packages } = yield* UploadJournal
  return (yield* packages.entries).filter((record) => isOf(record, origins))
})

/** Those of dead runs. */
export const leftPackages: Effect.Effect<
  ReadonlyArray<PackageRecord>,
  JournalError,
  FabricClient | UploadJournal
> = Effect.flatMap(UploadJournal, ({ packages }) => leftIn(packages, () => true))

/**
 * Those of a path, for a cluster that compares paths by `keyOf`; while that is not known, of any case. Where the clock was
 * set back since they were written, their times go with it.
 */
export const leftOf = (
  path: string,
  keyOf: KeyOf = caseless,
): Effect.Effect<ReadonlyArray<PackageRecord>, JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    const { packages } = yield* UploadJournal
    const now = yield* Clock.currentTimeMillis
    const left = yield* leftIn(packages, (record) => keyOf(record.path) === keyOf(path))
    return left.map((record) => {
      const ahead = Math.max(0, record.touched - now)
      return { ...record, touched: record.touched - ahead, quietAt: record.quietAt - ahead }
    })
  })

/** The same, this process's own by now, the latest last. */
export const takeLeft = (
  path: string,
  keyOf: KeyOf,
): Effect.Effect<ReadonlyArray<PackageRecord>, JournalError, FabricClient | UploadJournal | Scope.Scope> =>
  Effect.gen(function* () {
    const { packages } = yield* UploadJournal
    const left = yield* leftOf(path, keyOf)
    const taken = yield* Effect.forEach(left, (record) =>
      Effect.acquireRelease(
        packages.take(record),
        Option.match({ onNone: () => Effect.void, onSome: ({ uploadId }) => packages.leave(uploadId) }),
      ))
    return taken.flatMap((record) => Option.toArray(record)).sort((a, b) => a.touched - b.touched)
  })

/** Uploads of this machine to a path, in any case, that are under way, but for one's own. */
export const rivalsOf = (
  path: string,
  ownId?: string,
): Effect.Effect<ReadonlyArray<PackageRecord>, JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    const { owner, packages } = yield* UploadJournal
    return yield* Effect.filter(
      yield* recorded,
      (record) =>
        caseless(record.path) !== caseless(path) || record.uploadId === ownId ||
          record.owner.host !== owner.host
          ? Effect.succeed(false)
          : packages.isAtWork(record),
    )
  })
