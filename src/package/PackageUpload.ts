/**
 * A planned package on its way into the store.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Random from "effect/Random"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import { deleteContent, hasUploadSessions } from "../ImageStore.ts"
import { caseless, type ImageStorePath } from "../ImageStorePath.ts"
import { PackageError } from "../PackageError.ts"
import type { PackageEvent, PackageOptions, PackageUploadError } from "../PackageEvent.ts"
import type { FileJournal } from "../upload/FileJournal.ts"
import { uploadInSlots } from "../upload/FileUpload.ts"
import { forEachAwaited } from "../upload/forEachAwaited.ts"
import { arrivesUntil, latestArrival } from "../upload/lateArrival.ts"
import { Patience } from "../upload/Patience.ts"
import type { Slots } from "../upload/Slots.ts"
import { endLeft } from "../upload/takeOver.ts"
import { uploadDefaults } from "../upload/uploadOptions.ts"
import { type Waiting, waitingEvent, waitUntil } from "../upload/waiting.ts"
import { type FileSummary, SourceError, type UploadError, type UploadEvent } from "../UploadEvent.ts"
import type { UploadJournal } from "../UploadJournal.ts"
import { lastName, type PackageFile } from "./PackageContent.ts"
import type { PackageJournal, Replaced } from "./PackageJournal.ts"
import { MARKER, type PackagePlan, pathIn } from "./packagePlan.ts"
import {
  compareTree,
  inTheWay,
  type KeyOf,
  listFolder,
  markerIn,
  readTree,
  rootsOf,
  type StoredTree,
} from "./storedTree.ts"

/** Seconds that the cluster gets for what others wait for: a lost one is repeated the sooner. */
const SHORT_TIMEOUT = 20
/** Files that wait for a slot with their source open, so that no slot waits for a file. */
const AHEAD = 2
/** Seconds before the cluster's listing is looked at again when something is missing: it omits what it still writes. */
const LOOK_AGAIN = [1, 3, 10]
/** Times that files are removed that should not be there. More come only from somebody else. */
const MOST_REMOVALS = 2
/** Times that files are sent once more because another run has put its own at the same place. */
const MOST_OTHERS = 2

/**
 * Milliseconds without a change after which nobody is at work who has replaced files, up to twice as many: of two that
 * wait for each other one goes first. And milliseconds between two looks.
 */
const CALM = 20_000
const LOOK_EVERY = 5_000

const COMPLETED = "another package was completed there meanwhile"

const EMPTY = new Uint8Array(0)

/** What it took. */
interface Brought {
  readonly sent: number
  readonly resumed: number
  readonly retries: number
  readonly removed: ReadonlyArray<string>
}

/** Brings the files of a plan, and makes the destination equal to it. */
export class PackageUpload {
  readonly #plan: PackagePlan
  readonly #slots: Slots
  readonly #options: PackageOptions
  readonly #emit: (event: PackageEvent) => void
  readonly #concurrency: number
  readonly #summaries: Array<FileSummary> = []
  readonly #removed = new Set<string>()
  /** The marker of the package as a whole was sent, or is about to be. */
  #markerSent = false
  /** What somebody else has put at the destination meanwhile, that a failure must not take. */
  #others: string | undefined
  #journal: PackageJournal | undefined
  #hasSessions = false

  constructor(
    plan: PackagePlan,
    slots: Slots,
    options: PackageOptions,
    emit: (event: PackageEvent) => void,
  ) {
    this.#plan = plan
    this.#slots = slots
    this.#options = options
    this.#emit = emit
    this.#concurrency = options.concurrency ?? uploadDefaults.concurrency
  }

  /** How the cluster compares names; known once {@link PackageUpload.look} has asked it. */
  readonly keyOf: KeyOf = (name) => this.#hasSessions ? caseless(name) : name

  /** Whether a file goes by an upload session, which has to be recorded. */
  get needsSessions(): boolean {
    return this.#hasSessions && this.#largeFiles.length > 0
  }

  /** Files that go by a session where the cluster has any. */
  get #largeFiles(): ReadonlyArray<PackageFile> {
    const { chunkSize = uploadDefaults.chunkSize } = this.#options
    return this.#plan.files.filter(({ size }) => size > chunkSize)
  }

  /** What is at the destination. Fails when a package cannot, or by the options must not, go there. */
  get look(): Effect.Effect<StoredTree, FabricError | PackageError, FabricClient> {
    return Effect.gen(this, function* () {
      this.#hasSessions = yield* this.persist(hasUploadSessions)
      const tree = yield* this.#tree
      if (tree.has("")) return yield* this.#failed([`${this.#plan.path} is a file in the store`])
      const { strays } = compareTree(this.#plan, tree, this.keyOf)
      if (strays.length > 0 && this.#options.strays === "fail") return yield* this.#foreign(strays)
      return tree
    })
  }

  /** Brings everything. `before` is what {@link PackageUpload.look} saw, `journal` what is known of it. */
  bring(
    before: StoredTree,
    journal: PackageJournal,
  ): Effect.Effect<Brought, PackageUploadError, FabricClient | UploadJournal> {
    this.#journal = journal
    return Effect.gen(this, function* () {
      const { files, folders, path } = this.#plan
      yield* this.#endSessions(journal)
      const { strays } = compareTree(this.#plan, before, this.keyOf)
      const marked = [...before.keys()].some((name) => this.keyOf(name) === MARKER)
      if (marked) yield* this.delete(MARKER)
      yield* this.#remove(inTheWay(this.#plan, strays, this.keyOf))

      yield* this.#files([
        ...files.filter(({ name }) => !journal.isLate(name)),
        ...files.filter(({ name }) => journal.isLate(name)),
      ], (name) => journal.fileOf(name))
      for (const level of levelsOf(folders.filter((name) => name !== ""))) {
        yield* forEachAwaited(level, this.#concurrency, (name) => this.#putMarker(name))
      }
      yield* journal.announce(this.#slots.quietAt)
      yield* waitUntil(journal.quietAt, this.#waiting)
      yield* this.#untilWhole(journal)
      this.#markerSent = true
      yield* this.#putMarker("")
      yield* this.#inTime(Effect.map(
        listFolder(path),
        (entries) => markerIn(entries)?.size === 0 ? [] : [`the cluster does not list ${MARKER}`],
      ))
      const total = (field: "sent" | "resumed" | "retries") =>
        this.#summaries.reduce((sum, summary) => sum + summary[field], 0)
      return {
        sent: total("sent"),
        resumed: total("resumed"),
        retries: total("retries"),
        removed: [...this.#removed].filter((name) => lastName(name) !== MARKER).sort(),
      }
    })
  }

  /** Another run that goes on meanwhile may mix its package with this one: then it goes once more. */
  #untilWhole(
    journal: PackageJournal,
  ): Effect.Effect<void, PackageUploadError, FabricClient | UploadJournal> {
    const { files, path } = this.#plan
    return Effect.gen(this, function* () {
      let others = 0
      let seen: string | undefined
      let calmAt = 0
      for (;;) {
        const { marked, replaced } = yield* this.#settle(journal)
        if (!marked && replaced.length === 0) return
        const now = yield* Clock.currentTimeMillis
        // While it replaces files it is alive, and will complete its package.
        const state = replaced.map(({ name, version }) => `${name} ${version}`).join()
        if (state !== seen) calmAt = now + CALM * (1 + (yield* Random.next))
        seen = state
        if (!marked && now < calmAt) {
          yield* Effect.sleep(LOOK_EVERY)
          continue
        }
        if (others++ === MOST_OTHERS) {
          return yield* this.#failed([`other uploads to ${path} go on at the same time`])
        }
        yield* Effect.logWarning(
          marked
            ? `Another package was completed at ${path} meanwhile; all files are sent again`
            : `Somebody else has replaced ${replaced.length} of the files at ${path}; what was replaced is sent again`,
        )
        if (marked) {
          this.#others = COMPLETED
          yield* this.delete(MARKER)
        }
        const lost = new Set(replaced.map(({ name }) => name))
        yield* this.#files(
          marked ? files : files.filter(({ name }) => lost.has(name)),
          (name) => journal.againOf(name),
        )
      }
    })
  }

  /** What at the destination is of somebody else and has to stay: files, or a package whose marker is there, or was. */
  get ofOthers(): Effect.Effect<string | undefined, FabricError, FabricClient> {
    return Effect.suspend(() =>
      this.#others !== undefined || this.#markerSent ? Effect.succeed(this.#others) : Effect.map(
        this.persist(listFolder(this.#plan.path, SHORT_TIMEOUT)),
        (entries) => markerIn(entries) === undefined ? undefined : COMPLETED,
      )
    )
  }

  /** When nothing that was sent to the destination can arrive any more, in milliseconds since 1970. */
  get quietAt(): number {
    return Math.max(this.#slots.quietAt, this.#journal?.lateUntil ?? 0)
  }

  /** Ends sessions of dead runs that no file of this package takes up: their commits would hit what comes now. */
  #endSessions(
    journal: PackageJournal,
  ): Effect.Effect<void, FabricError, FabricClient | UploadJournal> {
    const { path } = this.#plan
    // What is there already takes none up.
    const missing = this.#largeFiles.filter(({ name }) => journal.fileOf(name).stored === undefined)
    const resumed = new Set(missing.map(({ name }) => caseless(pathIn(path, name))))
    const below = caseless(`${path}/`)
    return Effect.catchTag(
      endLeft(
        ({ path }) => caseless(path).startsWith(below) && !resumed.has(caseless(path)),
        this.#waiting,
        this.#options.patience,
      ),
      "JournalError",
      journal.warn,
    )
  }

  /** Brings files. Those come last that may have to wait until nothing else can arrive in their place. */
  #files(
    files: ReadonlyArray<PackageFile>,
    journalOf: (name: string) => FileJournal,
  ): Effect.Effect<void, UploadError, FabricClient | UploadJournal> {
    return forEachAwaited(
      files,
      this.#concurrency + AHEAD,
      (file) => this.#file(file, journalOf(file.name)),
    )
  }

  #file(
    file: PackageFile,
    journal: FileJournal,
  ): Effect.Effect<void, UploadError, FabricClient | UploadJournal> {
    const source = typeof file.source === "string" ? file.source : `${file.name} of ${this.#plan.source}`
    return Effect.matchEffect(this.#upload(file.source, file.name, this.#emit, journal), {
      onFailure: (error): Effect.Effect<never, UploadError> =>
        error._tag === "SourceError" ? new SourceError({ source, issue: error.issue }) : error,
      onSuccess: (summary) => {
        this.#summaries.push(summary)
        return summary.size === file.size
          ? Effect.void
          : new SourceError({ source, issue: "it changed while the package was uploaded" })
      },
    })
  }

  /** Marks a folder as complete. Only its troubles are worth telling. */
  #putMarker(name: string): Effect.Effect<void, UploadError, FabricClient | UploadJournal> {
    const tell = (event: UploadEvent) => {
      if (event._tag === "Retried") this.#emit(event)
    }
    const marked = this.#upload(EMPTY, pathIn(name, MARKER), tell, this.#journal?.marker)
    return Effect.map(marked, (summary) => void this.#summaries.push(summary))
  }

  #upload(
    source: PackageFile["source"],
    name: string,
    emit: (event: UploadEvent) => void,
    journal?: FileJournal,
  ): Effect.Effect<FileSummary, UploadError, FabricClient | UploadJournal> {
    // The destination was checked, and each name in the plan.
    const path = pathIn(this.#plan.path, name) as ImageStorePath
    return uploadInSlots({ slots: this.#slots, source, path, options: this.#options, emit, journal })
  }

  get #waiting(): Waiting {
    return waitingEvent(this.#plan.path, this.#emit)
  }

  /**
   * Makes sure that the cluster lists exactly the plan, but for the package's own marker. Tells what somebody else has
   * put all the same: that marker, and files in place of those that were brought.
   */
  #settle(
    journal: PackageJournal,
  ): Effect.Effect<
    { readonly marked: boolean; readonly replaced: ReadonlyArray<Replaced> },
    FabricError | PackageError,
    FabricClient
  > {
    return Effect.gen(this, function* () {
      for (let removals = 0;; removals++) {
        let strays: ReadonlyArray<string> = []
        let marked = false
        let replaced: ReadonlyArray<Replaced> = []
        yield* this.#inTime(Effect.map(this.#tree, (tree) => {
          const found = compareTree(this.#plan, tree, this.keyOf)
          strays = found.strays
          marked = tree.has(MARKER)
          replaced = journal.replaced(tree)
          return found.wrong
        }))
        if (strays.length === 0) return { marked, replaced }
        if (this.#options.strays === "fail" || removals === MOST_REMOVALS) {
          this.#others ??= "files that are not of the package were put there meanwhile"
          return yield* this.#foreign(strays)
        }
        yield* this.#remove(strays)
      }
    })
  }

  /** Looks until nothing is wrong any more, a few times. */
  #inTime(
    look: Effect.Effect<ReadonlyArray<string>, FabricError, FabricClient>,
  ): Effect.Effect<void, FabricError | PackageError, FabricClient> {
    return Effect.gen(this, function* () {
      for (const seconds of [...LOOK_AGAIN, undefined]) {
        const wrong = yield* this.persist(look)
        if (wrong.length === 0) return
        if (seconds === undefined) return yield* this.#failed(wrong)
        yield* Effect.sleep(`${seconds} seconds`)
      }
    })
  }

  get #tree(): Effect.Effect<StoredTree, FabricError, FabricClient> {
    return readTree(this.#plan.path, (path) => this.persist(listFolder(path)))
  }

  #remove(names: ReadonlyArray<string>): Effect.Effect<void, FabricError, FabricClient> {
    return Effect.zipRight(
      forEachAwaited(
        rootsOf(this.#plan, names, this.keyOf),
        this.#concurrency,
        (name) => this.delete(name),
      ),
      Effect.sync(() => names.forEach((name) => this.#removed.add(name))),
    )
  }

  /**
   * Deletes what is at a path of the package, or with `""` the whole. A deletion that got no answer may still arrive, and
   * would take what is put there meanwhile: so it is over only when it no longer can.
   */
  delete(name: string): Effect.Effect<void, FabricError, FabricClient> {
    let quietAt = 0
    const request = Effect.tapError(
      deleteContent({ path: pathIn(this.#plan.path, name), timeout: SHORT_TIMEOUT }),
      ({ reason }) =>
        Effect.map(Clock.currentTimeMillis, (now) => {
          quietAt = Math.max(quietAt, arrivesUntil(reason, SHORT_TIMEOUT, now))
        }),
    )
    const announce = (until: number) => this.#journal?.announce(until) ?? Effect.void
    return this.persist(
      Effect.flatMap(
        Clock.currentTimeMillis,
        (now) => Effect.zipRight(announce(latestArrival(SHORT_TIMEOUT, now)), request),
      ),
    ).pipe(
      Effect.zipRight(Effect.suspend(() => waitUntil(quietAt, this.#waiting))),
      Effect.zipRight(Effect.suspend(() => announce(this.#slots.quietAt))),
    )
  }

  /** Repeats a request while the cluster is away, as long as the options say. */
  persist<A>(
    request: Effect.Effect<A, FabricError, FabricClient>,
  ): Effect.Effect<A, FabricError, FabricClient> {
    const patience = (this.#options.patience ?? uploadDefaults.patience) * 1000
    return new Patience(patience).persist(request)
  }

  #foreign(strays: ReadonlyArray<string>): PackageError {
    return this.#failed(strays.map((name) => `${name} is at ${this.#plan.path}, but not in the package`))
  }

  #failed(problems: ReadonlyArray<string>): PackageError {
    return new PackageError({ source: this.#plan.source, problems })
  }
}

/** Folders of the same depth, the deepest first. */
const levelsOf = (folders: ReadonlyArray<string>): ReadonlyArray<ReadonlyArray<string>> => {
  const levels = new Map<number, Array<string>>()
  for (const name of folders) {
    const depth = name.split("/").length
    const level = levels.get(depth)
    if (level === undefined) levels.set(depth, [name])
    else level.push(name)
  }
  return [...levels].sort(([a], [b]) => b - a).map(([, level]) => level)
}
