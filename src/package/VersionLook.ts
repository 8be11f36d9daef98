/**
 * Under which versions the cluster lists what has arrived: asked for every few seconds, so for many files at once.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { FabricClient } from "../FabricClient.ts"
import type { File } from "../ImageStoreContent.ts"
import type { FileRecord } from "../journal/PackageRecord.ts"
import { parentOf } from "./PackageContent.ts"
import { pathIn } from "./packagePlan.ts"
import { type KeyOf, listFolder } from "./storedTree.ts"

/** Milliseconds between two looks. */
const LOOK_EVERY = 2_000
/** Milliseconds that the last one may take, while somebody waits for the end. */
const LAST_LOOK = 3_000
/** Folders that are listed at once: the upload goes first. */
const CONCURRENCY = 2
/** Milliseconds without a look for each file that the last one showed, where those were many: that has its price. */
const REST = 0.2
const MANY = 1000

/** A version as the cluster lists it. Stores that were made anew count theirs from the start: the time tells them apart. */
export const versionOf = ({ modified, version }: File): string => `${version} ${modified.toISOString()}`

interface LookOptions {
  /** The destination of the package. */
  readonly path: string
  readonly keyOf: KeyOf
  /** Bytes that have arrived after which the versions are asked for at once. */
  readonly lookAfter: number
  /** Hears of files whose versions are known. */
  readonly found: (files: ReadonlyMap<string, FileRecord>) => Effect.Effect<void>
}

/** Looks beside the upload, which need not wait for it. */
export class VersionLook {
  readonly #options: LookOptions
  readonly #client: FabricClient["Type"]
  readonly #scope: Scope.Scope
  /** What has arrived, and is not known under a version yet. */
  #arrived = new Map<string, FileRecord>()
  /** What of it the look that is under way is about. */
  #asked = new Map<string, FileRecord>()
  #bytes = 0
  #looking = false
  #looked: number
  #rest = 0

  /** Looks end with the scope. `now` is in milliseconds since 1970. */
  constructor(options: LookOptions, client: FabricClient["Type"], scope: Scope.Scope, now: number) {
    this.#options = options
    this.#client = client
    this.#scope = scope
    this.#looked = now
  }

  /** A file goes out again: what was there before is of no interest any more. */
  begun(name: string): void {
    this.#arrived.delete(name)
    this.#asked.delete(name)
  }

  /** A file has arrived. Looks when it is time to. */
  arrived(name: string, file: FileRecord): Effect.Effect<void> {
    return Effect.suspend(() => {
      this.#arrived.set(name, file)
      this.#bytes += file.size
      return this.#lookInTime
    })
  }

  /** What stays of an upload that failed need not go again either. */
  get last(): Effect.Effect<void> {
    return Effect.suspend(() =>
      this.#arrived.size === 0
        ? Effect.void
        : Effect.ignore(Effect.timeout(Effect.interruptible(this.#look), LAST_LOOK))
    )
  }

  get #lookInTime(): Effect.Effect<void> {
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const due = this.#bytes >= this.#options.lookAfter || now - this.#looked >= LOOK_EVERY
      if (!due || now < this.#looked + this.#rest || this.#looking) return Effect.void
      this.#looking = true
      return Effect.forkIn(this.#look, this.#scope)
    })
  }

  /** Tells under which versions the cluster lists what has arrived before it is asked. */
  get #look(): Effect.Effect<void> {
    const { found, keyOf, path } = this.#options
    const asked = this.#asked = this.#arrived
    this.#arrived = new Map()
    this.#bytes = 0
    const folders = [...new Set(Array.from(asked.keys(), parentOf))]
    return Effect.forEach(folders, (folder) => listFolder(pathIn(path, folder)), {
      concurrency: CONCURRENCY,
    }).pipe(
      // What cannot be seen now is seen the next time.
      Effect.provideService(FabricClient, this.#client.once),
      Effect.orElseSucceed(() => []),
      Effect.flatMap((listings) => {
        const listed = new Map(
          listings.flat().flatMap((entry) =>
            entry._tag === "File" ? [[keyOf(entry.path.slice(path.length + 1)), entry] as const] : []
          ),
        )
        this.#rest = listed.size < MANY ? 0 : REST * listed.size
        const known = Array.from(asked).flatMap(([name, file]): ReadonlyArray<[string, FileRecord]> => {
          const entry = listed.get(keyOf(name))
          if (entry?.size === file.size) return [[name, { ...file, version: versionOf(entry) }]]
          this.#arrived.set(name, file)
          return []
        })
        return known.length === 0 ? Effect.void : found(new Map(known))
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
}
