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
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { closeSync, openSync, writeFileSync } from "node:fs"
import * as Fs from "node:fs/promises"
import * as Path from "node:path"
import { threadId } from "node:worker_threads"
import { codeOf } from "./codeOf.ts"
import { isStillRunning } from "./isRunning.ts"
import { JournalError, type Records } from "./Journal.ts"
import { makeFolder } from "./makeFolder.ts"
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

/** One value for all copies of this module in a process: they are one owner, and see each other's records. */
export const shared = <A>(name: string, make: () => A): A => {
  const all = globalThis as unknown as Record<symbol, A | undefined>
  return all[Symbol.for(`@effect-fabric/image-store/${name}`)] ??= make()
}

/** What this owner is at work on, whichever of its layers recorded it. */
const atWork = shared("atWork", () => new Set<string>())

const readFormat = Schema.decodeUnknownEither(Schema.parseJson(Schema.Struct({ format: Schema.Literal(1) })))

/** The records of one kind in a folder. The folder is made when the first begins. */
export const openRecords = <Id extends string, Entry extends Owned, Patch>(
  folder: string,
  owner: Owner,
  kind: Kind<Id, Entry, Patch>,
): Records<Id, Entry, Patch> => {
  const { extension, idOf, isLasting, patched } = kind
  const readEntry = Schema.decodeUnknownEither(Schema.parseJson(kind.entry))
  const readChange = Schema.decodeUnknownOption(
    Schema.parseJson(Schema.Struct({ at: Schema.Number, patch: kind.patch })),
  )
  /** Records of this owner that are open, for the lines that need not reach the disk. */
  const open = new Map<Id, number>()
  const close = (id: Id): void => {
    const file = open.get(id)
    open.delete(id)
    if (file !== undefined) closeSync(file)
  }
  const nameOf = (id: Id, { host, process, start }: Owner): string =>
    `${id}.${process}-${start}@${encodeURIComponent(host)}${extension}`
  const fileOf = (id: Id, of = owner) => Path.join(folder, nameOf(id, of))
  const failed = (cause: unknown) => new JournalError({ place: folder, issue: codeOf(cause) })
  const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, JournalError> =>
    Effect.tryPromise({ try: run, catch: failed })

  /** Outlives the process, which is enough, but not the machine. Calls to another thread cost more than to wait. */
  const append = (id: Id, line: string): Effect.Effect<void, JournalError> => {
    try {
      const file = open.get(id) ?? openSync(fileOf(id), APPEND)
      open.set(id, file)
      writeFileSync(file, line)
      return Effect.void
    } catch (cause) {
      // A record that is forgotten by now does not come back.
      return codeOf(cause) === "ENOENT" ? Effect.void : failed(cause)
    }
  }

  const readFile = (name: string): Effect.Effect<Option.Option<Entry>, JournalError> =>
    Effect.flatMap(attempt(() => readIfThere(Path.join(folder, name))), (text) => {
      if (text === undefined) return Effect.succeedNone
      const [first = "", ...changes] = text.split("\n").filter((line) => line !== "")
      const entry = Either.flatMap(readFormat(first), () => readEntry(first))
      const owner = ownerIn(name.slice(0, -extension.length))
      if (Either.isLeft(entry) || owner === undefined || name !== nameOf(idOf(entry.right), owner)) {
        return putAside(name)
      }
      // An entry is what its schema reads, and its owner.
      const whole = { ...entry.right, owner } as unknown as Entry
      return Effect.succeedSome(
        patched(whole, changes.flatMap((line) => Option.toArray(readChange(line)))),
      )
    })

  const putAside = (name: string) =>
    Effect.zipRight(
      Effect.logWarning(
        `${Path.join(folder, name)} is no record of ${kind.of}; it is put aside as ${name}.bad`,
      ),
      Effect.as(
        attempt(() => Fs.rename(Path.join(folder, name), Path.join(folder, `${name}.bad`))),
        Option.none(),
      ),
    )

  return {
    entries: Effect.gen(function* () {
      const names = yield* attempt(() => Fs.readdir(folder).catch(whenAbsent([] as Array<string>)))
      // A process that was killed while it began a record had not sent anything of it.
      for (const name of names.filter((name) => name.endsWith(extension + UNFINISHED))) {
        const writer = ownerIn(name.slice(0, -(extension + UNFINISHED).length))
        const file = Path.join(folder, name)
        const found = yield* attempt(() => Fs.stat(file).catch(whenAbsent(undefined)))
        if (writer !== undefined && found !== undefined && !isAlive(writer, found.mtimeMs, owner)) {
          yield* attempt(() => Fs.rm(file, { force: true }))
        }
      }
      const found = yield* Effect.forEach(names.filter((name) => name.endsWith(extension)).sort(), readFile)
      return found.flatMap((entry) => Option.toArray(entry))
    }),
    create: (entry) =>
      attempt(async () => {
        const file = fileOf(idOf(entry), entry.owner)
        atWork.add(idOf(entry))
        makeFolder(folder, 0o700)
        await writeFlushed(
          file + UNFINISHED,
          "w",
          JSON.stringify({ format: 1, ...kind.written(entry), owner: undefined }) + "\n",
        )
        await Fs.rename(file + UNFINISHED, file)
      }),
    update: (id, patch) =>
      Effect.clockWith((clock) => {
        const at = clock.unsafeCurrentTimeMillis()
        // A line of its own, also after one that a crash or a full disk cut off.
        const line = `\n${JSON.stringify({ at, patch: kind.written(patch) })}\n`
        return isLasting(patch)
          ? attempt(() => writeFlushed(fileOf(id), APPEND, line).catch(whenAbsent(undefined)))
          : append(id, line)
      }),
    remove: (id) =>
      attempt(async () => {
        close(id)
        await Fs.rm(fileOf(id), { force: true })
        atWork.delete(id)
      }),
    isAtWork: (entry) =>
      Effect.sync(() =>
        isSameOwner(entry.owner, owner) ? atWork.has(idOf(entry)) : isAlive(entry.owner, entry.touched, owner)
      ),
    take: (entry) =>
      Effect.suspend(() => {
        const id = idOf(entry)
        if (atWork.has(id)) return Effect.succeedNone
        atWork.add(id)
        return attempt(() => Fs.rename(fileOf(id, entry.owner), fileOf(id)).catch(whenAbsent(undefined)))
          .pipe(
            Effect.zipRight(readFile(nameOf(id, owner))),
            Effect.tap((entry) => Effect.sync(() => Option.isNone(entry) && atWork.delete(id))),
            Effect.tapError(() => Effect.sync(() => atWork.delete(id))),
          )
      }),
    leave: (id) =>
      Effect.sync(() => {
        close(id)
        atWork.delete(id)
      }),
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
