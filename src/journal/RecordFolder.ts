/**
 * Records on disk: a file each, whose first line is the record and whose further lines change it.
 *
 * The first line is written to a temporary name, flushed and renamed, so that a file is whole or not there. A line
 * that a crash cut off is left out. The owner is part of the name, so that taking a record over is one rename,
 * which works for one process only.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import { globalValue } from "effect/GlobalValue"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { closeSync, openSync, writeFileSync } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { threadId } from "node:worker_threads"
import { codeOf } from "../system/codeOf.ts"
import { isStillRunning } from "../system/isRunning.ts"
import { makeFolder } from "../system/makeFolder.ts"
import { JournalError, type Records } from "./Journal.ts"
import { type Change, isSameOwner, type Owned, type Owner } from "./Owned.ts"

const UNFINISHED = ".new"

/** What records of one kind are like. */
export interface Kind<Id extends string, Entry extends Owned, Patch> {
  /** The names of their files end with it. */
  readonly extension: string
  /** What one is a record of. */
  readonly of: string
  readonly idOf: (entry: Omit<Entry, "owner">) => Id
  // deno-lint-ignore no-explicit-any -- whatever JSON takes
  readonly entry: Schema.Schema<Omit<Entry, "owner">, any>
  // deno-lint-ignore no-explicit-any -- whatever JSON takes
  readonly patch: Schema.Schema<Patch, any>
  /** What of it is as JSON has it already; a schema takes as long for it as the disk. */
  readonly written: (whatever: Entry | Patch) => object
  readonly patched: (entry: Entry, changes: Iterable<Change<Patch>>) => Entry
  /** Whether a change has to be on the disk before anything else happens. */
  readonly isLasting: (patch: Patch) => boolean
}

/** What this owner is at work on, whichever of its layers recorded it: all copies of this module are one owner. */
const atWork = globalValue(Symbol.for("@effect-fabric/image-store/atWork"), () => new Set<string>())

const readFormat = Schema.decodeUnknownEither(Schema.parseJson(Schema.Struct({ format: Schema.Literal(1) })))

/**
 * The records of one kind in a folder, which is made when the first begins. Its functions can be taken out: they are parts
 * of a journal.
 */
export class RecordFolder<Id extends string, Entry extends Owned, Patch>
  implements Records<Id, Entry, Patch> {
  readonly #folder: string
  readonly #owner: Owner
  readonly #kind: Kind<Id, Entry, Patch>
  readonly #readEntry: (text: string) => Either.Either<Omit<Entry, "owner">, unknown>
  readonly #readChange: (text: string) => Option.Option<Change<Patch>>
  /** Records of this owner that are open, for the lines that need not reach the disk. */
  readonly #open = new Map<Id, number>()
  /** Files that could not be read, or removed; each is told of once. */
  readonly #leftOut = new Set<string>()

  constructor(folder: string, owner: Owner, kind: Kind<Id, Entry, Patch>) {
    this.#folder = folder
    this.#owner = owner
    this.#kind = kind
    this.#readEntry = Schema.decodeUnknownEither(Schema.parseJson(kind.entry))
    this.#readChange = Schema.decodeUnknownOption(
      Schema.parseJson(Schema.Struct({ at: Schema.Number, patch: kind.patch })),
    )
  }

  readonly entries: Effect.Effect<ReadonlyArray<Entry>, JournalError> = Effect.gen(
    this,
    function* () {
      const { extension } = this.#kind
      const names = yield* this.#attempt(() =>
        Fs.readdir(this.#folder).catch(whenAbsent([] as Array<string>))
      )
      yield* Effect.forEach(
        names.filter((name) => name.endsWith(extension + UNFINISHED)),
        (name) => this.#leaveOut(name, this.#removeUnfinished(name)),
        { discard: true },
      )
      const found = yield* Effect.forEach(
        names.filter((name) => name.endsWith(extension)).sort(),
        (name) => this.#leaveOut(name, this.#read(name)),
      )
      return found.flatMap((entry) => Option.toArray(Option.flatten(entry)))
    },
  )

  readonly create = (entry: Entry): Effect.Effect<void, JournalError> => {
    const id = this.#kind.idOf(entry)
    return this.#attempt(async () => {
      const file = this.#fileOf(id, entry.owner)
      atWork.add(id)
      makeFolder(this.#folder, 0o700)
      await writeFlushed(
        file + UNFINISHED,
        "w",
        JSON.stringify({ format: 1, ...this.#kind.written(entry), owner: undefined }) + "\n",
      )
      await Fs.rename(file + UNFINISHED, file)
    })
  }

  readonly update = (id: Id, patch: Patch): Effect.Effect<void, JournalError> =>
    Effect.clockWith((clock) => {
      const at = clock.unsafeCurrentTimeMillis()
      // A line of its own, also after one that a crash or a full disk cut off.
      const line = `\n${JSON.stringify({ at, patch: this.#kind.written(patch) })}\n`
      return this.#kind.isLasting(patch)
        ? this.#attempt(() => writeFlushed(this.#fileOf(id), APPEND, line).catch(whenAbsent(undefined)))
        : this.#append(id, line)
    })

  readonly remove = (id: Id): Effect.Effect<void, JournalError> =>
    this.#attempt(async () => {
      this.#close(id)
      await Fs.rm(this.#fileOf(id), { force: true })
      atWork.delete(id)
    })

  readonly isAtWork = (entry: Entry): Effect.Effect<boolean> =>
    Effect.sync(() =>
      isSameOwner(entry.owner, this.#owner)
        ? atWork.has(this.#kind.idOf(entry))
        : isAlive(entry.owner, entry.touched, this.#owner)
    )

  readonly take = (entry: Entry): Effect.Effect<Option.Option<Entry>, JournalError> =>
    Effect.suspend(() => {
      const id = this.#kind.idOf(entry)
      if (atWork.has(id)) return Effect.succeedNone
      atWork.add(id)
      const renamed = this.#attempt(() =>
        Fs.rename(this.#fileOf(id, entry.owner), this.#fileOf(id)).catch(whenAbsent(undefined))
      )
      return Effect.zipRight(renamed, this.#read(this.#nameOf(id, this.#owner))).pipe(
        Effect.tap((entry) => Effect.sync(() => Option.isNone(entry) && atWork.delete(id))),
        Effect.tapError(() => Effect.sync(() => atWork.delete(id))),
      )
    })

  readonly leave = (id: Id): Effect.Effect<void> =>
    Effect.sync(() => {
      this.#close(id)
      atWork.delete(id)
    })

  #nameOf(id: Id, { host, process, start }: Owner): string {
    return `${id}.${process}-${start}@${encodeURIComponent(host)}${this.#kind.extension}`
  }

  #fileOf(id: Id, owner = this.#owner): string {
    return Path.join(this.#folder, this.#nameOf(id, owner))
  }

  #attempt<A>(run: () => Promise<A>): Effect.Effect<A, JournalError> {
    return Effect.tryPromise({ try: run, catch: (cause) => this.#failed(cause) })
  }

  #failed(cause: unknown): JournalError {
    return new JournalError({ place: this.#folder, issue: codeOf(cause) })
  }

  /** Outlives the process, which is enough, but not the machine. Calls to another thread cost more than to wait. */
  #append(id: Id, line: string): Effect.Effect<void, JournalError> {
    try {
      const file = this.#open.get(id) ?? openSync(this.#fileOf(id), APPEND)
      this.#open.set(id, file)
      writeFileSync(file, line)
      return Effect.void
    } catch (cause) {
      // A record that is forgotten by now does not come back.
      return codeOf(cause) === "ENOENT" ? Effect.void : this.#failed(cause)
    }
  }

  #close(id: Id): void {
    const file = this.#open.get(id)
    this.#open.delete(id)
    if (file !== undefined) closeSync(file)
  }

  /** One file that cannot be read, or removed, does not keep the others from being known. */
  #leaveOut<A>(name: string, work: Effect.Effect<A, JournalError>): Effect.Effect<Option.Option<A>> {
    return Effect.catchAll(
      Effect.asSome(work),
      ({ issue }) => {
        const told = this.#leftOut.has(name)
        this.#leftOut.add(name)
        const tell = Effect.logWarning(`${Path.join(this.#folder, name)} is left out: ${issue}`)
        return Effect.as(told ? Effect.void : tell, Option.none())
      },
    )
  }

  #read(name: string): Effect.Effect<Option.Option<Entry>, JournalError> {
    const { extension, idOf, patched } = this.#kind
    return Effect.flatMap(this.#attempt(() => readIfThere(Path.join(this.#folder, name))), (text) => {
      if (text === undefined) return Effect.succeedNone
      const [first = "", ...changes] = text.split("\n").filter((line) => line !== "")
      const entry = Either.flatMap(readFormat(first), () => this.#readEntry(first))
      const owner = ownerIn(name.slice(0, -extension.length))
      if (Either.isLeft(entry) || owner === undefined || name !== this.#nameOf(idOf(entry.right), owner)) {
        return this.#putAside(name)
      }
      // An entry is what its schema reads, and its owner.
      const whole = { ...entry.right, owner } as unknown as Entry
      return Effect.succeedSome(
        patched(whole, changes.flatMap((line) => Option.toArray(this.#readChange(line)))),
      )
    })
  }

  #putAside(name: string): Effect.Effect<Option.Option<never>, JournalError> {
    const file = Path.join(this.#folder, name)
    return Effect.logWarning(`${file} is no record of ${this.#kind.of}; it is put aside as ${name}.bad`).pipe(
      Effect.zipRight(this.#attempt(() => Fs.rename(file, `${file}.bad`))),
      Effect.as(Option.none()),
    )
  }

  /** A process that was killed while it began a record had not sent anything of it. */
  #removeUnfinished(name: string): Effect.Effect<void, JournalError> {
    const writer = ownerIn(name.slice(0, -(this.#kind.extension + UNFINISHED).length))
    const file = Path.join(this.#folder, name)
    return this.#attempt(async () => {
      const found = await Fs.stat(file).catch(whenAbsent(undefined))
      if (writer === undefined || found === undefined || isAlive(writer, found.mtimeMs, this.#owner)) return
      await Fs.rm(file, { force: true })
    })
  }
}

/** The owner that a name tells, its ending apart. */
const ownerIn = (name: string): Owner | undefined => {
  const [, process, start, host] = /\.(\d+)-(\d+)@([^@]+)$/.exec(name) ?? []
  return host === undefined
    ? undefined
    : { host: decodeHost(host), process: Number(process), start: Number(start) }
}

const decodeHost = (text: string): string => {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

/**
 * Whether an owner other than `own` is at work that wrote last at `touched`. Of those elsewhere, and where it may not
 * ask, nothing is known. Other threads of this process count as at work until it ends; a thread does not know when that
 * began (Deno tells when the thread did), so for it so does all that has its process's number.
 */
const isAlive = (other: Owner, touched: number, own: Owner): boolean => {
  if (other.host !== own.host) return true
  // What was taken over was written to before its owner began.
  const seen = Math.max(other.start, touched)
  return other.process === own.process
    ? threadId !== 0 || own.start <= seen
    : isStillRunning(other.process, seen) !== false
}

const APPEND = Fs.constants.O_WRONLY | Fs.constants.O_APPEND

const writeFlushed = async (
  file: string,
  flag: "w" | number,
  text: string,
): Promise<void> => {
  const handle = await Fs.open(file, flag, 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const readIfThere = (file: string): Promise<string | undefined> =>
  Fs.readFile(file, "utf8").catch(whenAbsent(undefined))

const whenAbsent = <A>(value: A) => (cause: unknown): A => {
  if (codeOf(cause) === "ENOENT") return value
  throw cause
}
