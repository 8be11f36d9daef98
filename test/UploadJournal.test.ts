import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { appendFile, mkdir, readdir, readFile, symlink, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import process from "node:process"
import { vi } from "vitest"
import { Emulator } from "../src/emulator/mod.ts"
import type { JournalEntry } from "../src/journal/JournalEntry.ts"
import { noJournal } from "../src/journal/journalFolder.ts"
import type { Owner } from "../src/journal/Owned.ts"
import { uploadFile } from "../src/uploadFile.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import type { SessionId } from "../src/UploadSession.ts"
import { cluster, S, T } from "./support/cluster.ts"
import { temporaryFolder } from "./support/packages.ts"

const OTHER = "7d0f3f0a-5d1c-4bb4-9d2e-3c0f6a0f1a11"

const entryFor = (journal: UploadJournal["Type"], sessionId = S): JournalEntry => ({
  sessionId: sessionId as SessionId,
  endpoints: ["http://one:19080"],
  path: "App/a.bin",
  size: 100,
  chunkSize: 10,
  source: "/tmp/a.bin",
  owner: journal.owner,
  state: "open",
  hashes: {},
  quietAt: 0,
  touched: 1,
})

const inFolder = <A, E>(program: (journal: UploadJournal["Type"], path: string) => Effect.Effect<A, E>) =>
  Effect.scoped(
    Effect.flatMap(temporaryFolder, (path) =>
      Effect.provide(
        Effect.flatMap(UploadJournal, (journal) => program(journal, path)),
        UploadJournal.layer({ folder: path }),
      )),
  )

describe("the journal on disk", () => {
  it.effect("gives back what was recorded, with all that changed", () =>
    inFolder((journal) =>
      Effect.gen(function* () {
        yield* journal.create(entryFor(journal))
        yield* journal.update(S as SessionId, { hashes: { 0: "aa" } })
        yield* journal.update(S as SessionId, { hashes: { 10: "bb" } })
        yield* journal.update(S as SessionId, { state: "committing", before: "1.2.3" })
        const [entry] = yield* journal.entries
        assert.deepStrictEqual(entry?.hashes, { 0: "aa", 10: "bb" })
        assert.strictEqual(entry?.state, "committing")
        assert.strictEqual(entry?.before, "1.2.3")
        yield* journal.remove(S as SessionId)
        yield* journal.remove(S as SessionId)
        assert.deepStrictEqual(yield* journal.entries, [])
      })
    ))

  it.effect("reads what was recorded of a file of 20,000 chunks at once", () =>
    inFolder((journal, path) =>
      Effect.gen(function* () {
        const chunks = Array.from({ length: 20_000 }, (_, index) => index * 8 * 1024 * 1024)
        yield* journal.create(entryFor(journal))
        const [name] = yield* Effect.promise(() => readdir(path))
        const lines = chunks.map((first) =>
          JSON.stringify({ at: first + 1, patch: { hashes: { [first]: "a".repeat(64) } } }) + "\n"
        )
        yield* Effect.promise(() => appendFile(join(path, name!), lines.join("")))
        const [entry] = yield* journal.entries
        assert.strictEqual(Object.keys(entry!.hashes).length, chunks.length)
        assert.strictEqual(entry!.touched, chunks.at(-1)! + 1)
      })
    ))

  it.effect("is empty where there is no folder yet", () =>
    Effect.scoped(Effect.flatMap(temporaryFolder, (path) =>
      Effect.provide(
        Effect.map(Effect.flatMap(UploadJournal, ({ entries }) => entries), (entries) =>
          assert.deepStrictEqual(entries, [])),
        UploadJournal.layer({ folder: join(path, "deeper", "still") }),
      ))))

  it.effect("leaves out a last line that a crash cut off", () =>
    inFolder((journal, path) =>
      Effect.gen(function* () {
        yield* journal.create(entryFor(journal))
        yield* journal.update(S as SessionId, { hashes: { 0: "aa" } })
        const [name] = yield* Effect.promise(() => readdir(path))
        yield* Effect.promise(() => appendFile(join(path, name!), '{"at":12,"patch":{"state":"comm'))
        const [entry] = yield* journal.entries
        assert.strictEqual(entry?.state, "open")
        assert.deepStrictEqual(entry?.hashes, { 0: "aa" })
      })
    ))

  it.effect("keeps what is written after a line that was cut off", () =>
    inFolder((journal, path) =>
      Effect.gen(function* () {
        yield* journal.create(entryFor(journal))
        const [name] = yield* Effect.promise(() => readdir(path))
        const tear = Effect.promise(() => appendFile(join(path, name!), '{"at":12,"patch":{"hashes":{"0":"a'))
        yield* tear
        yield* journal.update(S as SessionId, { hashes: { 10: "bb" } })
        yield* tear
        yield* journal.update(S as SessionId, { state: "committing", before: "1.2.3" })
        yield* journal.update(S as SessionId, { state: "deleting" })
        const [entry] = yield* journal.entries
        assert.deepStrictEqual(entry?.hashes, { 10: "bb" })
        assert.strictEqual(entry?.before, "1.2.3")
        assert.strictEqual(entry?.state, "deleting")
      })
    ))

  it.effect("puts aside what is no record, and never trusts it", () =>
    inFolder((journal, path) =>
      Effect.gen(function* () {
        yield* journal.create(entryFor(journal, T))
        const [own = ""] = yield* Effect.promise(() => readdir(path))
        const good = yield* Effect.promise(() => readFile(join(path, own), "utf8"))
        for (
          const [name, text] of [
            ["torn.session", good.slice(0, 40)],
            ["empty.session", ""],
            [own.replace(T, S), good],
            [`${T}.session`, good],
            ["other.session", '{"format":2}'],
            [own.replace(T, OTHER), good.replace(T, OTHER).replace('"chunkSize":10', '"chunkSize":0.001')],
          ] as const
        ) {
          yield* Effect.promise(() => writeFile(join(path, name), text))
        }
        yield* Effect.promise(() => writeFile(join(path, "notes.txt"), "mine"))
        assert.deepStrictEqual((yield* journal.entries).map(({ sessionId }) => sessionId as string), [T])
        const names = yield* Effect.promise(() => readdir(path))
        assert.deepStrictEqual(names.filter((name) => name.endsWith(".bad")).length, 6)
        assert.include(names, "notes.txt")
        assert.deepStrictEqual((yield* journal.entries).length, 1)
      })
    ))

  it.effect("leaves out what cannot be read, and names it once", () =>
    inFolder((journal, path) =>
      Effect.gen(function* () {
        const warnings: Array<string> = []
        const heard = Logger.replace(
          Logger.defaultLogger,
          Logger.make(({ message }) => void warnings.push(String(message))),
        )
        yield* journal.create(entryFor(journal))
        const own = `${2 ** 22 + 1}-1@${encodeURIComponent(journal.owner.host)}.session`
        const unreadable = [`${T}.${own}`, `${OTHER}.${own}.new`]
        for (const name of unreadable) yield* Effect.promise(() => mkdir(join(path, name)))
        yield* Effect.provide(journal.entries, heard)
        const entries = yield* Effect.provide(journal.entries, heard)
        assert.deepStrictEqual(entries.map(({ sessionId }) => sessionId as string), [S])
        for (const name of unreadable) {
          assert.strictEqual(warnings.filter((warning) => warning.includes(join(path, name))).length, 1)
        }
      })
    ))

  it.effect("removes what a process that is over had not finished, and nothing of one at work", () =>
    inFolder((journal, path) =>
      Effect.gen(function* () {
        const nameOf = (id: string, process: number, start: number) =>
          `${id}.${process}-${start}@${encodeURIComponent(journal.owner.host)}.session.new`
        const kept = nameOf(S, process.ppid, Date.now())
        const written = [
          nameOf(S, 2 ** 22 + 1, 1),
          nameOf(S, process.ppid, 1),
          nameOf(S, process.pid, 1),
          kept,
        ]
        for (const name of written) {
          yield* Effect.promise(() => writeFile(join(path, name), ""))
          yield* Effect.promise(() => utimes(join(path, name), 1, 1))
        }
        const fresh = nameOf(T, process.ppid, 1)
        yield* Effect.promise(() => writeFile(join(path, fresh), ""))
        assert.deepStrictEqual(yield* journal.entries, [])
        assert.sameMembers(yield* Effect.promise(() => readdir(path)), [kept, fresh])
      })
    ))

  it.effect("fails with the folder and what to do when it cannot be written", () =>
    inFolder((_, path) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => writeFile(join(path, "file"), ""))
        const error = yield* Effect.flip(Effect.provide(
          Effect.flatMap(UploadJournal, (journal) => journal.create(entryFor(journal))),
          UploadJournal.layer({ folder: join(path, "file", "below") }),
        ))
        assert.strictEqual(error._tag, "JournalError")
        assert.include(error.message, "XDG_STATE_HOME")
      })
    ))

  it.effect("fails, and does not hang, below a link to nowhere", () =>
    inFolder((_, path) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => symlink(join(path, "nowhere"), join(path, "link")))
        const error = yield* Effect.flip(Effect.provide(
          Effect.flatMap(UploadJournal, (journal) => journal.create(entryFor(journal))),
          UploadJournal.layer({ folder: join(path, "link", "below") }),
        ))
        assert.strictEqual(error._tag, "JournalError")
      })
    ))

  it.effect("knows which processes are at work", () =>
    inFolder((journal) =>
      Effect.gen(function* () {
        const entry = entryFor(journal)
        const of = (owner: Partial<Owner>) => ({ ...entry, owner: { ...entry.owner, ...owner } })
        yield* journal.create(entry)
        assert.isTrue(yield* journal.isAtWork(entry))
        assert.isFalse(yield* journal.isAtWork(of({ start: 5 })), "a process with our number before us")
        assert.isFalse(yield* journal.isAtWork(of({ process: 2 ** 22 + 1 })), "no such process")
        assert.isTrue(yield* journal.isAtWork(of({ host: "elsewhere" })), "of others nothing is known")
        yield* journal.leave(entry.sessionId)
        assert.isFalse(yield* journal.isAtWork(entry), "a process that goes on, but not with this session")
      })
    ))

  it.effect("does not take a process for another that had its number before", () =>
    inFolder((journal) =>
      Effect.gen(function* () {
        const now = Date.now()
        const of = (start: number, touched: number) => ({
          ...entryFor(journal),
          owner: { ...journal.owner, process: process.ppid, start },
          touched,
        })
        assert.isFalse(yield* journal.isAtWork(of(1e12, 1e12 + 1)), "it began before the machine did")
        assert.isTrue(yield* journal.isAtWork(of(now, 1)), "it began by now, and took what another had left")
        assert.isTrue(
          yield* journal.isAtWork(of(1e12, now)),
          "it wrote by now, whatever its clock said before",
        )
      })
    ))

  it.effect("knows other threads of its own process, and what a process with its number left", () =>
    inFolder((journal) =>
      Effect.gen(function* () {
        const { start } = journal.owner
        const of = (start: number, touched: number) => ({
          ...entryFor(journal),
          owner: { ...journal.owner, start },
          touched,
        })
        assert.isTrue(yield* journal.isAtWork(of(start + 1000, 1)), "a thread")
        assert.isFalse(yield* journal.isAtWork(of(start - 1000, start - 1)), "a container before its restart")
      })
    ))

  it.effect("is one for all copies of the library in a process", () =>
    inFolder((journal, path) =>
      Effect.gen(function* () {
        vi.resetModules()
        const { openFolder } = yield* Effect.promise(() => import("../src/journal/journalFolder.ts"))
        const copy = openFolder(path)
        assert.deepStrictEqual(copy.owner, journal.owner)
        yield* journal.create(entryFor(journal))
        const [entry] = yield* copy.entries
        assert.isTrue(yield* copy.isAtWork(entry!))
        assert.deepStrictEqual(yield* copy.take(entry!), Option.none())
        yield* copy.leave(entry!.sessionId)
        assert.isFalse(yield* journal.isAtWork(entry!))
      })
    ))

  it.effect("gives a session that was left to one taker only", () =>
    inFolder((journal, path) =>
      Effect.gen(function* () {
        const left = { ...entryFor(journal), owner: { ...journal.owner, process: 2 ** 22 + 1 } }
        yield* journal.create(left)
        yield* journal.leave(left.sessionId)
        // Another process has another copy of this module: here only the name of the file says no.
        const other = { ...left, owner: { ...left.owner, start: 5 } }
        assert.deepStrictEqual(yield* journal.take(other), Option.none())
        const both = yield* Effect.all([journal.take(left), journal.take(left)], { concurrency: 2 })
        assert.deepStrictEqual(both.filter(Option.isSome).length, 1)
        const [taken] = yield* journal.entries
        assert.deepStrictEqual(taken, { ...left, owner: journal.owner })
        assert.deepStrictEqual(yield* journal.take(left), Option.none())
        yield* journal.update(left.sessionId, { state: "deleting" })
        assert.strictEqual((yield* journal.entries)[0]?.state, "deleting")
        yield* journal.remove(left.sessionId)
        assert.deepStrictEqual(yield* Effect.promise(() => readdir(path)), [])
      })
    ))

  it.effect("gives back what the last owner wrote, not what the taker had read before", () =>
    inFolder((journal) =>
      Effect.gen(function* () {
        const entry = entryFor(journal)
        yield* journal.create(entry)
        yield* journal.update(entry.sessionId, { state: "committing" })
        yield* journal.leave(entry.sessionId)
        const taken = yield* journal.take(entry)
        assert.strictEqual(Option.getOrThrow(taken).state, "committing")
      })
    ))
})

describe("the journal of a program that may not ask where it belongs", () => {
  const none = Layer.sync(UploadJournal, noJournal)

  it.effect("refuses a session before anything is sent, and says what to allow", () =>
    Effect.gen(function* () {
      const upload = Stream.runDrain(uploadFile(new Uint8Array(20), "App/a.bin", { chunkSize: 10 }))
      const error = yield* Effect.flip(Effect.provide(upload, none))
      assert.strictEqual(
        error.message,
        "Cannot keep the upload journal in the folder for the user's state: the program may not ask where that is " +
          "(deno run --allow-env --allow-sys); name another folder with XDG_STATE_HOME",
      )
      const { requests, sessions } = yield* Emulator
      assert.isTrue((yield* requests).every(({ method }) => method === "GET"))
      assert.deepStrictEqual(yield* sessions, [])
    }).pipe(Effect.provide(cluster)))
})
