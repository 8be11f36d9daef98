/**
 * What uploads of packages that broke off have left in the store.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type { FabricClient } from "./FabricClient.ts"
import type { FabricError } from "./FabricError.ts"
import type { JournalError } from "./journal/Journal.ts"
import type { PackageRecord } from "./journal/PackageRecord.ts"
import { leftPackages } from "./package/packageRecords.ts"
import { listFolder, markerIn } from "./package/storedTree.ts"
import { UploadJournal } from "./UploadJournal.ts"

/** Milliseconds after which nothing of a run that wrote to its record last can be under way. */
const LATE = 60 * 60_000

/** A package of which only a part is in the store, so that it cannot be provisioned. */
export interface HalfPackage {
  /** Where it is in the store. */
  readonly path: string
  /** The folder or archive that it came from. */
  readonly source: string
  /** When the upload was at work last. */
  readonly touched: Date
}

/**
 * The packages that earlier runs of this machine have left in part on this cluster. The next upload to the same path goes
 * on with one; to be rid of it, delete its path with `deleteContent`. What is gone or complete is forgotten an hour after
 * its upload: until then something of it may arrive.
 */
export const halfPackages: Effect.Effect<
  ReadonlyArray<HalfPackage>,
  FabricError | JournalError,
  FabricClient | UploadJournal
> = Effect.suspend(() =>
  Effect.map(
    Effect.flatMap(leftPackages, Effect.filter((record) => isThere(record))),
    (records) => records.map(({ path, source, touched }) => ({ path, source, touched: new Date(touched) })),
  )
)

/** Whether a part of a package is there. */
const isThere = (
  record: PackageRecord,
): Effect.Effect<boolean, FabricError | JournalError, FabricClient | UploadJournal> =>
  Effect.gen(function* () {
    const entries = yield* listFolder(record.path)
    if (entries.length > 0 && markerIn(entries) === undefined) return true
    // What may still arrive has to be known to the next upload.
    const quietAt = Math.max(record.quietAt, record.touched + LATE)
    if (quietAt <= (yield* Clock.currentTimeMillis)) yield* forget(record)
    return false
  })

const forget = (record: PackageRecord): Effect.Effect<void, JournalError, UploadJournal> =>
  Effect.flatMap(UploadJournal, ({ packages }) =>
    Effect.acquireUseRelease(
      packages.take(record),
      Option.match({
        onNone: () => Effect.void,
        onSome: ({ uploadId }) => packages.remove(uploadId),
      }),
      () => packages.leave(record.uploadId),
    ))
