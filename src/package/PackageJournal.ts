/**
 * What earlier runs have brought of a package, and what this one has: files that are there need not go again.
 *
 * That a file is there is believed when the cluster lists it under the version that it had after its answer, and the
 * source has the bytes of then.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { FabricClient } from "../FabricClient.ts"
import type { JournalError } from "../journal/Journal.ts"
import type { FileRecord, PackagePatch, PackageRecord } from "../journal/PackageRecord.ts"
import type { FileJournal } from "../upload/FileJournal.ts"
import { quietAfter } from "../upload/heartbeat.ts"
import { latestArrival } from "../upload/lateArrival.ts"
import { CHUNK_TIMEOUT, putTimeout } from "../upload/uploadTimeouts.ts"
import { UploadJournal } from "../UploadJournal.ts"
import { lastName } from "./PackageContent.ts"
import { MARKER, type PackagePlan } from "./packagePlan.ts"
import { takeLeft } from "./packageRecords.ts"
import type { KeyOf, StoredTree } from "./storedTree.ts"
import { VersionLook, versionOf } from "./VersionLook.ts"

/** What the journal of a package has to know. */
export interface PackageJournalOptions {
  readonly plan: PackagePlan
  /** What is at the destination. */
  readonly before: StoredTree
  readonly keyOf: KeyOf
  /** Whether files that are there may stay. */
  readonly resume: boolean
  /** Whether they may go when the upload fails. */
  readonly keep: boolean
  /** Bytes that have arrived after which the versions are asked for at once. */
  readonly lookAfter: number
  /** Tells that the journal cannot be used. Uploads go on without. */
  readonly warn: (error: JournalError) => Effect.Effect<void>
}

/** A file of the package in whose place somebody else's is listed, and under which version. */
export interface Replaced {
  readonly name: string
  readonly version: string
}

/** What dead runs left. */
interface Left {
  readonly first: boolean
  readonly files: ReadonlyMap<string, FileRecord>
  readonly touched: number
}

/** What is of use of it, by the keys of names, and what is not. Times are milliseconds since 1970. */
interface Sorted {
  /** Files that are there, if the source has not changed since. */
  readonly stored: ReadonlyMap<string, FileRecord>
  /** Files that a dead run may still bring. */
  readonly late: ReadonlyMap<string, NonNullable<FileJournal["late"]>>
  /** Until when it may bring files that the package does not have. */
  readonly quietAt: number
  /** The same of any file. */
  readonly lateUntil: number
}

const sorted = (
  { before, keyOf, plan, resume }: PackageJournalOptions,
  left: Left,
  now: number,
): Sorted => {
  const listed = byKey(before, keyOf)
  const planned = byKey(new Map(plan.files.map((file) => [file.name, file])), keyOf)
  const stored = new Map<string, FileRecord>()
  const late = new Map<string, NonNullable<FileJournal["late"]>>()
  let quietAt = 0
  let lateUntil = 0
  for (const [key, file] of byKey(left.files, keyOf)) {
    const found = listed.get(key)
    if (file.version === undefined) {
      const until = quietAfter(left, putTimeout(file.size, file.chunkSize), now)
      if (planned.has(key)) late.set(key, { file, until })
      else quietAt = Math.max(quietAt, until)
      lateUntil = Math.max(lateUntil, until)
    } else if (
      resume && planned.get(key)?.size === file.size && found !== undefined &&
      versionOf(found) === file.version
    ) stored.set(key, file)
  }
  return { stored, late, quietAt, lateUntil }
}

/** The journal of one package on its way. */
export class PackageJournal {
  /** What is at the destination came from this upload, or from earlier runs of it, and may be removed. */
  readonly first: boolean
  readonly warn: PackageJournalOptions["warn"]
  readonly #options: PackageJournalOptions
  readonly #journal: UploadJournal["Type"]
  readonly #left: Sorted
  readonly #record: PackageRecord
  /** Nothing could be recorded, and nothing will be. */
  #failure: JournalError | undefined
  /** Nothing needs to be recorded any more. */
  #over = false
  readonly #look: VersionLook
  /** Under which versions the cluster has listed what was brought, by the keys of names. */
  readonly #versions: Map<string, string>

  private constructor(
    options: PackageJournalOptions,
    left: Left,
    now: number,
    journal: UploadJournal["Type"],
    client: FabricClient["Type"],
    scope: Scope.Scope,
  ) {
    const { before, keep, keyOf, plan } = options
    this.#options = options
    this.warn = options.warn
    this.#journal = journal
    this.#look = new VersionLook(
      {
        path: plan.path,
        keyOf,
        lookAfter: options.lookAfter,
        found: (files) => {
          for (const [name, { version }] of files) this.#versions.set(keyOf(name), version!)
          return this.#note({ files })
        },
      },
      client,
      scope,
      now,
    )
    this.first = !keep && (before.size === 0 || (left.first && holdsOnly(before, left, keyOf)))
    this.#left = sorted(options, left, now)
    this.#versions = new Map(Array.from(this.#left.stored, ([key, { version }]) => [key, version!]))
    this.#record = {
      uploadId: crypto.randomUUID(),
      endpoints: client.origins,
      path: plan.path,
      source: plan.source,
      first: this.first,
      quietAt: 0,
      owner: journal.owner,
      files: new Map(left.files),
      touched: now,
    }
  }

  /** Takes up what dead runs left of a package, and begins the record of this one. It is left when the scope closes. */
  static open(
    options: PackageJournalOptions,
  ): Effect.Effect<PackageJournal, never, FabricClient | UploadJournal | Scope.Scope> {
    return Effect.gen(function* () {
      const journal = yield* UploadJournal
      const client = yield* FabricClient
      const now = yield* Clock.currentTimeMillis
      const left = yield* Effect.catchAll(
        takeLeft(options.plan.path, options.keyOf),
        (error) => Effect.as(options.warn(error), []),
      )
      const ofAll: Left = {
        first: left.length > 0 && left.every(({ first }) => first),
        files: new Map(left.flatMap(({ files }) => [...files])),
        touched: Math.max(0, ...left.map(({ touched }) => touched)),
      }
      const own = new PackageJournal(options, ofAll, now, journal, client, yield* Effect.scope)
      yield* own.#begin(left)
      return own
    })
  }

  /** Writes the record, which replaces those of dead runs. */
  #begin(left: ReadonlyArray<PackageRecord>): Effect.Effect<void, never, Scope.Scope> {
    const { packages } = this.#journal
    return Effect.acquireRelease(
      this.#write(Effect.zipRight(
        packages.create(this.#record),
        Effect.forEach(left, ({ uploadId }) => packages.remove(uploadId), { discard: true }),
      )),
      () =>
        Effect.zipRight(
          Effect.suspend(() => this.#over || this.#failure !== undefined ? Effect.void : this.#look.last),
          this.leave,
        ),
    )
  }

  /** Why nothing can be recorded. */
  get failure(): JournalError | undefined {
    return this.#failure
  }

  get uploadId(): string {
    return this.#record.uploadId
  }

  /** Records that the run is at work at this moment. Unlike other changes, one that fails does not end the record. */
  get touch(): Effect.Effect<void, JournalError> {
    return this.#journal.packages.update(this.#record.uploadId, {})
  }

  /** The upload is over, and the next may resume with what is at the destination. */
  get leave(): Effect.Effect<void> {
    return this.#journal.packages.leave(this.#record.uploadId)
  }

  /** Bytes of the files that are there, if the source has not changed since. */
  get stored(): number {
    return Array.from(this.#left.stored.values()).reduce((sum, { size }) => sum + size, 0)
  }

  /** A dead run may still bring files that the package does not have, until then, in milliseconds since 1970. */
  get quietAt(): number {
    return this.#left.quietAt
  }

  /** The same of any file. */
  get lateUntil(): number {
    return this.#left.lateUntil
  }

  /** What is kept of a file. */
  fileOf(name: string): FileJournal {
    const key = this.#options.keyOf(name)
    return {
      stored: this.#left.stored.get(key),
      late: this.#left.late.get(key),
      begun: (file) => {
        this.#versions.delete(key)
        this.#look.begun(name)
        return this.#note({ files: new Map([[name, file]]) })
      },
      repeated: (until) => this.announce(until),
      arrived: (file) => this.#failure !== undefined ? Effect.void : this.#look.arrived(name, file),
    }
  }

  /** What is kept of a file that has to be brought again, whatever was known of it. */
  againOf(name: string): FileJournal {
    return { ...this.fileOf(name), stored: undefined, late: undefined }
  }

  /** Files of a tree that are not those that were brought, as far as these were seen: somebody else has put them. */
  replaced(tree: StoredTree): ReadonlyArray<Replaced> {
    const { keyOf, plan } = this.#options
    const listed = byKey(tree, keyOf)
    return plan.files.flatMap(({ name }) => {
      const [brought, found] = [this.#versions.get(keyOf(name)), listed.get(keyOf(name))]
      if (brought === undefined || found === undefined) return []
      const version = versionOf(found)
      return version === brought ? [] : [{ name, version }]
    })
  }

  /** What is kept of a marker: all of them are the same, and that one may still arrive is what matters. */
  get marker(): FileJournal {
    return {
      stored: undefined,
      late: undefined,
      begun: () =>
        Effect.flatMap(Clock.currentTimeMillis, (now) => this.announce(latestArrival(CHUNK_TIMEOUT, now))),
      repeated: (until) => this.announce(until),
      arrived: () => Effect.void,
    }
  }

  /** Whether something else than what is wanted may still come to a file. */
  isLate(name: string): boolean {
    return this.#left.late.has(this.#options.keyOf(name))
  }

  /**
   * The upload is over, and what is at the destination is whole, or gone. The record stays, without files, while a lost
   * request may still arrive, until `quietAt` in milliseconds since 1970.
   */
  forget(quietAt: number): Effect.Effect<void> {
    const { packages } = this.#journal
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      this.#over = true
      const remove = packages.remove(this.#record.uploadId)
      if (quietAt <= now || this.#failure !== undefined) return Effect.catchAll(remove, this.warn)
      const uploadId = crypto.randomUUID()
      const lost = { ...this.#record, uploadId, first: false, files: new Map(), quietAt, touched: now }
      return this.#write(
        packages.create(lost).pipe(
          Effect.zipRight(packages.leave(uploadId)),
          Effect.zipRight(remove),
        ),
      )
    })
  }

  /** Until then, in milliseconds since 1970, something may arrive that would hit what comes after this upload. */
  announce(until: number): Effect.Effect<void> {
    return this.#note({ quietAt: until })
  }

  #note(patch: PackagePatch): Effect.Effect<void> {
    return this.#write(this.#journal.packages.update(this.#record.uploadId, patch))
  }

  /** An upload is no worse without this record than others are with theirs. */
  #write(change: Effect.Effect<unknown, JournalError>): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.#failure !== undefined ? Effect.void : Effect.catchAll(change, (error) => {
        this.#failure = error
        return this.warn(error)
      })
    )
  }
}

const byKey = <A>(files: ReadonlyMap<string, A>, keyOf: KeyOf): ReadonlyMap<string, A> =>
  new Map(Array.from(files, ([name, file]) => [keyOf(name), file]))

/** Whether all files at the destination are of the upload that left it, and nobody has completed it. */
const holdsOnly = (before: StoredTree, left: Left, keyOf: KeyOf): boolean => {
  const files = byKey(left.files, keyOf)
  return Array.from(before).every(([name, found]) => {
    const key = keyOf(name)
    const known = files.get(key)
    return known === undefined
      ? key !== MARKER && lastName(key) === MARKER
      : known.version === undefined || known.version === versionOf(found)
  })
}
