/**
 * What earlier runs have brought of a package, and what this one has: files that are there need not go again.
 *
 * That a file is there is believed when the cluster lists it under the version that it had after its answer, and the
 * source has the bytes of then. The versions are asked for every few seconds, so for many files at once.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { quietAfter } from "./adopt.ts"
import { FabricClient } from "./FabricClient.ts"
import type { JournalError } from "./Journal.ts"
import { CHUNK_TIMEOUT } from "./OpenSession.ts"
import { lastName } from "./PackageContent.ts"
import { MARKER, type PackagePlan, pathIn } from "./packagePlan.ts"
import type { FileRecord, PackageRecord } from "./PackageRecord.ts"
import { rivalsOf, takeLeft } from "./packageRecords.ts"
import { commitTimeout } from "./settleCommit.ts"
import { type KeyOf, listFolder, type StoredTree } from "./storedTree.ts"
import type { FileJournal } from "./uploadFile.ts"
import { UploadJournal } from "./UploadJournal.ts"

/** Milliseconds between two looks at the versions of what has arrived. */
const LOOK_EVERY = 2_000
/** Milliseconds that the last one may take, while somebody waits for the end. */
const LAST_LOOK = 3_000
/** Milliseconds between two looks whether another upload to the same path is over. */
const LOOK_FOR_OTHERS = 1_000
/** Folders that are listed at once for it: the upload goes first. */
const LOOK_CONCURRENCY = 2

interface Options {
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
}

/** What dead runs left. */
interface Left {
  readonly first: boolean
  readonly files: ReadonlyMap<string, FileRecord>
  readonly touched: number
}

/** The journal of one package on its way. */
export class PackageJournal {
  /** What is at the destination came from this upload, or from earlier runs of it, and may be removed. */
  readonly first: boolean
  /** Bytes of the files that are there, if the source has not changed since. */
  readonly stored: number
  /** A dead run may still bring files that the package does not have, until then, in milliseconds since 1970. */
  readonly quietAt: number
  readonly #options: Options
  readonly #journal: UploadJournal["Type"]
  readonly #client: FabricClient["Type"]
  readonly #scope: Scope.Scope
  readonly #stored: ReadonlyMap<string, FileRecord>
  readonly #late: ReadonlyMap<string, FileJournal["late"]>
  readonly #record: PackageRecord
  /** Nothing could be recorded, and nothing will be. */
  #broken = false
  /** Nothing needs to be recorded any more. */
  #over = false
  /** What has arrived, and is not known under a version yet. */
  #arrived = new Map<string, FileRecord>()
  #bytes = 0
  #looking = false
  #looked: number

  private constructor(
    options: Options,
    left: Left,
    now: number,
    journal: UploadJournal["Type"],
    client: FabricClient["Type"],
    scope: Scope.Scope,
  ) {
    const { before, keep, keyOf, plan, resume } = options
    this.#options = options
    this.#journal = journal
    this.#client = client
    this.#scope = scope
    this.#looked = now
    this.first = !keep && (before.size === 0 || (left.first && holdsOnly(before, left, keyOf)))
    const listed = new Map(Array.from(before, ([name, file]) => [keyOf(name), file]))
    const planned = new Map(plan.files.map((file) => [file.name, file]))
    const stored = new Map<string, FileRecord>()
    const late = new Map<string, FileJournal["late"]>()
    let quietAt = 0
    for (const [name, file] of left.files) {
      if (file.version === undefined) {
        const timeout = file.size <= file.chunkSize ? CHUNK_TIMEOUT : commitTimeout(file.size)
        const until = quietAfter(left, timeout, now)
        if (planned.has(name)) late.set(name, { file, until })
        else quietAt = Math.max(quietAt, until)
      } else if (
        resume && planned.get(name)?.size === file.size && listed.get(keyOf(name))?.version === file.version
      ) stored.set(name, file)
    }
    this.quietAt = quietAt
    this.stored = Array.from(stored.values()).reduce((sum, { size }) => sum + size, 0)
    this.#stored = stored
    this.#late = late
    this.#record = {
      uploadId: crypto.randomUUID(),
      endpoints: client.origins,
      path: plan.path,
      source: plan.source,
      first: this.first,
      owner: journal.owner,
      files: left.files,
      touched: now,
    }
  }

  /** Takes up what dead runs left of a package, and begins the record of this one. It is left when the scope closes. */
  static open(
    options: Options,
  ): Effect.Effect<PackageJournal, never, FabricClient | UploadJournal | Scope.Scope> {
    return Effect.gen(function* () {
      const journal = yield* UploadJournal
      const client = yield* FabricClient
      const now = yield* Clock.currentTimeMillis
      const left = yield* Effect.catchAll(
        takeLeft(options.plan.path),
        (error) => Effect.as(warn(error), []),
      )
      const ofAll: Left = {
        first: left.some(({ first }) => first),
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
      () => Effect.zipRight(this.#lookAtLast, this.leave),
    )
  }

  get uploadId(): string {
    return this.#record.uploadId
  }

  /** The upload is over, and the next may go on with what is at the destination. */
  get leave(): Effect.Effect<void> {
    return this.#journal.packages.leave(this.#record.uploadId)
  }

  /** What stays of an upload that failed need not go again either. */
  get #lookAtLast(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.#over || this.#broken || this.#arrived.size === 0
        ? Effect.void
        : Effect.ignore(Effect.timeout(Effect.interruptible(this.#look), LAST_LOOK))
    )
  }

  /** What is kept of a file. */
  fileOf(name: string): FileJournal {
    return {
      stored: this.#stored.get(name),
      late: this.#late.get(name),
      begun: (file) => this.#note([[name, file]]),
      arrived: (file) =>
        Effect.suspend(() => {
          this.#arrived.set(name, file)
          this.#bytes += file.size
          return this.#lookInTime
        }),
    }
  }

  /** Whether something else than what is wanted may still come to a file. */
  isLate(name: string): boolean {
    return this.#late.has(name)
  }

  /** The upload is over, and what is at the destination is whole, or gone. */
  get forget(): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#over = true
      return this.#write(this.#journal.packages.remove(this.#record.uploadId))
    })
  }

  /** Looks beside the upload, which need not wait for it. */
  get #lookInTime(): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const due = this.#bytes >= this.#options.lookAfter || now - this.#looked >= LOOK_EVERY
      if (!due || this.#looking || this.#broken) return Effect.void
      this.#looking = true
      return Effect.forkIn(this.#look, this.#scope)
    })
  }

  /** Records under which versions the cluster lists what has arrived before it is asked. */
  get #look(): Effect.Effect<void> {
    const { keyOf, plan } = this.#options
    const asked = this.#arrived
    this.#arrived = new Map()
    this.#bytes = 0
    const folders = [
      ...new Set(Array.from(asked.keys(), (name) => name.slice(0, -lastName(name).length - 1))),
    ]
    return Effect.forEach(folders, (folder) => listFolder(pathIn(plan.path, folder)), {
      concurrency: LOOK_CONCURRENCY,
    }).pipe(
      // What cannot be seen now is seen the next time.
      Effect.provideService(FabricClient, this.#client.once),
      Effect.orElseSucceed(() => []),
      Effect.flatMap((listings) => {
        const listed = new Map(
          listings.flat().flatMap((entry) =>
            entry._tag === "File" ? [[keyOf(entry.path.slice(plan.path.length + 1)), entry] as const] : []
          ),
        )
        const known = Array.from(asked).flatMap(([name, file]): ReadonlyArray<[string, FileRecord]> => {
          const found = listed.get(keyOf(name))
          if (found?.size === file.size) return [[name, { ...file, version: found.version }]]
          this.#arrived.set(name, file)
          return []
        })
        return known.length === 0 ? Effect.void : this.#note(known)
      }),
      Effect.onInterrupt(() =>
        Effect.sync(() => asked.forEach((file, name) => this.#arrived.set(name, file)))
      ),
      Effect.zipRight(Clock.currentTimeMillis),
      Effect.flatMap((now) => {
        this.#looked = now
        this.#looking = false
        return this.#lookInTime
      }),
    )
  }

  #note(files: Iterable<readonly [string, FileRecord]>): Effect.Effect<void> {
    return this.#write(this.#journal.packages.update(this.#record.uploadId, { files: new Map(files) }))
  }

  /** An upload is no worse without this record than others are with theirs. */
  #write(change: Effect.Effect<unknown, JournalError>): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.#broken ? Effect.void : Effect.catchAll(change, (error) => {
        this.#broken = true
        return warn(error)
      })
    )
  }
}

const warn = (error: JournalError): Effect.Effect<void> =>
  Effect.logWarning(
    `If this upload breaks off, the next one has to send all small files again. ${error.message}`,
  )

/** Whether all files at the destination are of the upload that left it, and nobody has completed it. */
const holdsOnly = (before: StoredTree, { files }: Left, keyOf: KeyOf): boolean => {
  const known = new Set(Array.from(files.keys(), keyOf))
  return Array.from(before.keys(), keyOf).every((name) =>
    known.has(name) || (name !== MARKER && lastName(name) === MARKER)
  )
}

/**
 * Waits while another process of this machine uploads to the same path, or another fiber of this one: two at once would
 * mix their packages. At most until a time in milliseconds since 1970: whether a process is at work cannot always be told.
 */
const untilAlone = (
  path: string,
  until: number,
  ownId?: string,
): Effect.Effect<void, never, FabricClient | UploadJournal> =>
  Effect.catchAll(
    Effect.gen(function* () {
      for (let told = false;; told = true) {
        const [rival] = yield* rivalsOf(path, ownId)
        if (rival === undefined) return
        if ((yield* Clock.currentTimeMillis) >= until) {
          return yield* Effect.logWarning(
            `Process ${rival.owner.process} may still be uploading to ${path}; going on beside it`,
          )
        }
        if (!told) {
          yield* Effect.logInfo(
            `Process ${rival.owner.process} uploads a package to ${path} at this moment; waiting until it is over`,
          )
        }
        yield* Effect.sleep(LOOK_FOR_OTHERS)
      }
    }),
    warn,
  )

/**
 * Begins the journal of a package once no other upload of this machine goes to the same path. `look` tells what is at the
 * destination, by then.
 */
export const beginPackage = <E, R>(
  options: Omit<Options, "before">,
  patience: number,
  look: Effect.Effect<StoredTree, E, R>,
): Effect.Effect<
  { readonly before: StoredTree; readonly journal: PackageJournal },
  E,
  R | FabricClient | UploadJournal | Scope.Scope
> =>
  Effect.gen(function* () {
    const { path } = options.plan
    const until = (yield* Clock.currentTimeMillis) + patience * 1000
    for (;;) {
      yield* untilAlone(path, until)
      const before = yield* look
      const journal = yield* PackageJournal.open({ ...options, before })
      const others = yield* Effect.orElseSucceed(rivalsOf(path, journal.uploadId), () => [])
      if (others.length === 0 || (yield* Clock.currentTimeMillis) >= until) return { before, journal }
      // Of those that came at the same moment one stays recorded, and the others, who see it, give way.
      if (others.every(({ uploadId }) => journal.uploadId < uploadId)) {
        yield* untilAlone(path, until, journal.uploadId)
      }
      yield* journal.leave
    }
  })
