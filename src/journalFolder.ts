/**
 * The upload journal on disk: a file a session, whose first line is the record and whose further lines change it.
 *
 * The first line is written to a temporary name, flushed and renamed, so that a file is whole or not there. A line
 * that a crash cut off is left out. The owner is part of the name, so that taking a session over is one rename,
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
import * as Os from "node:os"
import * as Path from "node:path"
import process from "node:process"
import { threadId } from "node:worker_threads"
import { codeOf } from "./codeOf.ts"
import {
  isSameOwner,
  type Journal,
  type JournalEntry,
  JournalError,
  type JournalPatch,
  type Owner,
  patched,
} from "./JournalEntry.ts"
import { isStillRunning } from "./isRunning.ts"
import { makeFolder } from "./makeFolder.ts"
import { SessionId } from "./UploadSession.ts"

const EXTENSION = ".session"
const UNFINISHED = ".new"

const State = Schema.Literal("open", "committing", "deleting")
const Hashes = Schema.Record({ key: Schema.String, value: Schema.String })

const Entry = Schema.Struct({
  format: Schema.Literal(1),
  sessionId: SessionId,
  endpoints: Schema.Array(Schema.String),
  path: Schema.String,
  size: Schema.NonNegativeInt,
  chunkSize: Schema.Positive,
  source: Schema.String,
  state: State,
  hashes: Hashes,
  before: Schema.optionalWith(Schema.String, { exact: true }),
  quietAt: Schema.Number,
  touched: Schema.Number,
})

const Change = Schema.Struct({
  at: Schema.Number,
  patch: Schema.Struct({
    state: Schema.optionalWith(State, { exact: true }),
    hashes: Schema.optionalWith(Hashes, { exact: true }),
    before: Schema.optionalWith(Schema.String, { exact: true }),
    quietAt: Schema.optionalWith(Schema.Number, { exact: true }),
  }),
})

const readEntry = Schema.decodeUnknownEither(Schema.parseJson(Entry))
const readChange = Schema.decodeUnknownOption(Schema.parseJson(Change))

/** The folder that is used where none is named. */
export const defaultFolder = (): string => {
  // Only the variable that is needed: Deno may have to allow each.
  const state = process.platform === "win32"
    ? process.env["LOCALAPPDATA"] ?? Path.join(Os.homedir(), "AppData", "Local")
    : process.env["XDG_STATE_HOME"] || Path.join(Os.homedir(), ".local", "state")
  return Path.join(state, "effect-fabric", "image-store")
}

/** Deno asks for `--allow-sys`; without it all processes here are of one host. */
const hostname = (): string => {
  try {
    return Os.hostname()
  } catch {
    return "localhost"
  }
}

/** One value for all copies of this module in a process: they are one owner, and see each other's sessions. */
const shared = <A>(name: string, make: () => A): A => {
  const all = globalThis as unknown as Record<symbol, A | undefined>
  return all[Symbol.for(`@effect-fabric/image-store/${name}`)] ??= make()
}

/**
 * Computed anew it differs by a millisecond, and by more when the clock is set. Threads, which share nothing, are owners
 * of their own: their starts are told apart by a second for each number.
 */
const STARTED = shared(
  "started",
  () => Math.round(Date.now() - process.uptime() * 1000) + threadId * 1000,
)

/** Sessions that this owner is at work on, whichever of its layers recorded them. */
const atWork = shared("atWork", () => new Set<SessionId>())

/** The file that records a session of an owner. */
const nameOf = (sessionId: SessionId, { host, process, start }: Owner): string =>
  `${sessionId}.${process}-${start}@${encodeURIComponent(host)}${EXTENSION}`

/** The owner that a file's name tells. */
const ownerIn = (name: string): Owner | undefined => {
  const [, process, start, host] = /\.(\d+)-(\d+)@([^@]+)\.session(?:\.new)?$/.exec(name) ?? []
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

/** The journal in a folder. The folder is made when the first session is recorded. */
export const openFolder = (folder: string): Journal => {
  const owner: Owner = {
    host: hostname(),
    process: process.pid,
    start: STARTED,
  }
  const fileOf = (sessionId: SessionId, of = owner) => Path.join(folder, nameOf(sessionId, of))
  const attempt = <A>(run: () => Promise<A>): Effect.Effect<A, JournalError> =>
    Effect.tryPromise({
      try: run,
      catch: (cause) => new JournalError({ place: folder, issue: codeOf(cause) }),
    })

  const readFile = (name: string): Effect.Effect<Option.Option<JournalEntry>, JournalError> =>
    Effect.flatMap(attempt(() => readIfThere(Path.join(folder, name))), (text) => {
      if (text === undefined) return Effect.succeedNone
      const [first = "", ...changes] = text.split("\n").filter((line) => line !== "")
      const entry = readEntry(first)
      const owner = ownerIn(name)
      if (Either.isLeft(entry) || owner === undefined || name !== nameOf(entry.right.sessionId, owner)) {
        return putAside(name)
      }
      const { format: _, ...record } = entry.right
      return Effect.succeedSome(
        patched({ ...record, owner }, changes.flatMap((line) => Option.toArray(readChange(line)))),
      )
    })

  const putAside = (name: string) =>
    Effect.zipRight(
      Effect.logWarning(
        `${Path.join(folder, name)} is no record of an upload session; it is put aside as ${name}.bad`,
      ),
      Effect.as(
        attempt(() => Fs.rename(Path.join(folder, name), Path.join(folder, `${name}.bad`))),
        Option.none(),
      ),
    )

  return {
    owner,
    entries: Effect.gen(function* () {
      const names = yield* attempt(() => Fs.readdir(folder).catch(whenAbsent([] as Array<string>)))
      // A process that was killed while it recorded a session had not sent anything of it.
      for (const name of names.filter((name) => name.endsWith(EXTENSION + UNFINISHED))) {
        const writer = ownerIn(name)
        const file = Path.join(folder, name)
        const found = yield* attempt(() => Fs.stat(file).catch(whenAbsent(undefined)))
        if (writer !== undefined && found !== undefined && !isAlive(writer, found.mtimeMs, owner)) {
          yield* attempt(() => Fs.rm(file, { force: true }))
        }
      }
      const found = yield* Effect.forEach(names.filter((name) => name.endsWith(EXTENSION)).sort(), readFile)
      return found.flatMap((entry) => Option.toArray(entry))
    }),
    create: ({ owner, ...record }) =>
      attempt(async () => {
        const file = fileOf(record.sessionId, owner)
        atWork.add(record.sessionId)
        makeFolder(folder, 0o700)
        await writeFlushed(file + UNFINISHED, "w", JSON.stringify({ format: 1, ...record }) + "\n")
        await Fs.rename(file + UNFINISHED, file)
      }),
    update: (sessionId, patch) =>
      Effect.clockWith((clock) =>
        attempt(() => append(fileOf(sessionId), patch, clock.unsafeCurrentTimeMillis()))
      ),
    remove: (sessionId) =>
      attempt(async () => {
        await Fs.rm(fileOf(sessionId), { force: true })
        atWork.delete(sessionId)
      }),
    isAtWork: (entry) =>
      Effect.sync(() =>
        isSameOwner(entry.owner, owner)
          ? atWork.has(entry.sessionId)
          : isAlive(entry.owner, entry.touched, owner)
      ),
    take: ({ owner: before, sessionId }) =>
      Effect.suspend(() => {
        if (atWork.has(sessionId)) return Effect.succeedNone
        atWork.add(sessionId)
        return attempt(() =>
          Fs.rename(fileOf(sessionId, before), fileOf(sessionId)).catch(whenAbsent(undefined))
        ).pipe(
          Effect.zipRight(readFile(nameOf(sessionId, owner))),
          Effect.tap((entry) => Effect.sync(() => Option.isNone(entry) && atWork.delete(sessionId))),
          Effect.tapError(() => Effect.sync(() => atWork.delete(sessionId))),
        )
      }),
    leave: (sessionId) => Effect.sync(() => void atWork.delete(sessionId)),
  }
}

/**
 * Whether an owner other than `own` is at work that wrote last at `touched`. Of those elsewhere, and where it may not
 * ask, nothing is known. Other threads of this process count as at work until it ends; a thread does not know when that
 * began (Deno tells when the thread did), so for it so does all that has its process's number.
 */
const isAlive = (other: Owner, touched: number, own: Owner): boolean => {
  if (other.host !== own.host) return true
  // A session that was taken over was written to before its owner began.
  const seen = Math.max(other.start, touched)
  return other.process === own.process
    ? threadId !== 0 || own.start <= seen
    : isStillRunning(other.process, seen) !== false
}

/** Changes a record. One that is forgotten by now does not come back. */
const append = async (file: string, patch: JournalPatch, at: number): Promise<void> => {
  // A line of its own, also after one that a crash or a full disk cut off.
  const line = "\n" + JSON.stringify({ at, patch }) + "\n"
  try {
    if (patch.state !== undefined) await writeFlushed(file, APPEND, line)
    // A hash only helps a resume, so it need not reach the disk. Three calls to another thread cost more than to wait.
    else appendAtOnce(file, line)
  } catch (cause) {
    whenAbsent(undefined)(cause)
  }
}

const APPEND = Fs.constants.O_WRONLY | Fs.constants.O_APPEND

const appendAtOnce = (file: string, line: string): void => {
  const handle = openSync(file, APPEND)
  try {
    writeFileSync(handle, line)
  } finally {
    closeSync(handle)
  }
}

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
