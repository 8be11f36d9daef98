/**
 * The upload journal on disk: which folder, whose, and what its lines hold.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { globalValue } from "effect/GlobalValue"
import * as Schema from "effect/Schema"
import * as Os from "node:os"
import * as Path from "node:path"
import process from "node:process"
import { threadId } from "node:worker_threads"
import { whereAllowed } from "../system/whereAllowed.ts"
import { SessionId } from "../UploadSession.ts"
import { type Journal, JournalError } from "./Journal.ts"
import { type JournalEntry, type JournalPatch, patched } from "./JournalEntry.ts"
import type { Owner } from "./Owned.ts"
import { type PackagePatch, type PackageRecord, patchedPackage } from "./PackageRecord.ts"
import { type Kind, RecordFolder } from "./RecordFolder.ts"

const State = Schema.Literal("open", "committing", "deleting")
/** Parts of a byte would make more chunks than memory holds. */
const Bytes = Schema.Int.pipe(Schema.positive())

const Hashes = Schema.Record({ key: Schema.String, value: Schema.String })

const SESSIONS: Kind<SessionId, JournalEntry, JournalPatch> = {
  extension: ".session",
  of: "an upload session",
  idOf: ({ sessionId }) => sessionId,
  entry: Schema.Struct({
    sessionId: SessionId,
    endpoints: Schema.Array(Schema.String),
    path: Schema.String,
    size: Schema.NonNegativeInt,
    chunkSize: Bytes,
    source: Schema.String,
    state: State,
    hashes: Hashes,
    before: Schema.optional(Schema.String),
    quietAt: Schema.Number,
    touched: Schema.Number,
  }),
  patch: Schema.Struct({
    state: Schema.optionalWith(State, { exact: true }),
    hashes: Schema.optionalWith(Hashes, { exact: true }),
    before: Schema.optional(Schema.String),
    quietAt: Schema.optionalWith(Schema.Number, { exact: true }),
  }),
  written: (whatever) => whatever,
  patched,
  isLasting: ({ state }) => state !== undefined,
}

const Files = Schema.ReadonlyMap({
  key: Schema.String,
  value: Schema.Struct({
    size: Schema.NonNegativeInt,
    chunkSize: Bytes,
    hash: Schema.String,
    version: Schema.optionalWith(Schema.String, { exact: true }),
  }),
})

const PACKAGES: Kind<string, PackageRecord, PackagePatch> = {
  extension: ".package",
  of: "a package",
  idOf: ({ uploadId }) => uploadId,
  entry: Schema.Struct({
    uploadId: Schema.String,
    endpoints: Schema.Array(Schema.String),
    path: Schema.String,
    source: Schema.String,
    first: Schema.Boolean,
    quietAt: Schema.Number,
    files: Files,
    touched: Schema.Number,
  }),
  patch: Schema.Struct({
    files: Schema.optionalWith(Files, { exact: true }),
    quietAt: Schema.optionalWith(Schema.Number, { exact: true }),
  }),
  written: ({ files, ...rest }) => files === undefined ? rest : { ...rest, files: [...files] },
  patched: patchedPackage,
  isLasting: () => false,
}

/** Where a system keeps the state of its users: in the folder that a variable names, or else below their home. */
const STATE = process.platform === "win32"
  ? { variable: "LOCALAPPDATA", belowHome: ["AppData", "Local"] }
  : { variable: "XDG_STATE_HOME", belowHome: [".local", "state"] }

/** The variable that names the folder for state. */
export const stateVariable: string = STATE.variable

/**
 * The journal's folder in that for state. Nothing where that is not a whole path: it would be another one wherever a
 * program runs, and XDG wants it ignored.
 */
export const folderIn = (state: string | undefined): string | undefined =>
  state !== undefined && Path.isAbsolute(state) ? Path.join(state, "effect-fabric", "image-store") : undefined

/** The journal's folder below a home. */
export const folderBelow = (home: string | undefined): string | undefined =>
  folderIn(home && Path.join(home, ...STATE.belowHome))

/**
 * The folder that is used where none is named; nothing where the program may not ask. Deno may have to allow each variable:
 * so only the one that is needed.
 */
export const defaultFolder = (): string | undefined =>
  folderIn(whereAllowed(() => process.env[stateVariable])) ??
    folderBelow(whereAllowed(Os.homedir)) ??
    // Node takes an empty variable for the home.
    folderBelow(whereAllowed(() => Os.userInfo().homedir))

/** Deno asks for `--allow-sys`; without it all processes here are of one host. */
const hostname = (): string => whereAllowed(Os.hostname) ?? "localhost"

/**
 * Computed anew it differs by a millisecond, and by more when the clock is set. Threads, which share nothing, are owners
 * of their own: their starts are told apart by a second for each number.
 */
const STARTED = globalValue(
  Symbol.for("@effect-fabric/image-store/started"),
  () => Math.round(Date.now() - process.uptime() * 1000) + threadId * 1000,
)

/** The journal of a program that may not ask where it belongs: it keeps nothing, and says so. */
export const noJournal = (): Journal => {
  const fail = Effect.fail(
    new JournalError({
      place: "the folder for the user's state",
      issue: "the program may not ask where that is (deno run --allow-env --allow-sys)",
    }),
  )
  const none = {
    entries: fail,
    create: () => fail,
    update: () => fail,
    remove: () => fail,
    isAtWork: () => Effect.succeed(false),
    take: () => fail,
    leave: () => Effect.void,
  }
  return { owner: self(), ...none, packages: none }
}

/** This process. */
const self = (): Owner => ({ host: hostname(), process: process.pid, start: STARTED })

/** The journal in a folder. */
export const openFolder = (folder: string): Journal => {
  const owner = self()
  return {
    owner,
    ...new RecordFolder(folder, owner, SESSIONS),
    packages: new RecordFolder(folder, owner, PACKAGES),
  }
}
