import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { appendFile, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import type { JournalEntry } from "../src/JournalEntry.ts"
import type { SessionId } from "../src/UploadSession.ts"
import { UploadJournal } from "../src/UploadJournal.ts"
import { S, T } from "./support/cluster.ts"

const folder = Effect.acquireRelease(
  Effect.promise(() => mkdtemp(join(tmpdir(), "journal-"))),
  (path) => Effect.promise(() => rm(path, { recursive: true, force: true })),
)

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
    Effect.flatMap(folder, (path) =>
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

  it.effect("is empty where there is no folder yet", () =>
    Effect.scoped(Effect.flatMap(folder, (path) =>
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
        yield* Effect.promise(() => appendFile(join(path, `${S}.session`), '{"at":12,"patch":{"state":"comm'))
        const [entry] = yield* journal.entries
        assert.strictEqual(entry?.state, "open")
        assert.deepStrictEqual(entry?.hashes, { 0: "aa" })
      })
    ))

  it.effect("puts aside what is no record, and never trusts it", () =>
    inFolder((journal, path) =>
      Effect.gen(function* () {
        yield* journal.create(entryFor(journal, T))
        const good = yield* Effect.promise(() => readFile(join(path, `${T}.session`), "utf8"))
        for (
          const [name, text] of [
            ["torn.session", good.slice(0, 40)],
            ["empty.session", ""],
            [`${S}.session`, good],
            ["other.session", '{"format":2}'],
          ] as const
        ) {
          yield* Effect.promise(() => writeFile(join(path, name), text))
        }
        yield* Effect.promise(() => writeFile(join(path, "notes.txt"), "mine"))
        assert.deepStrictEqual((yield* journal.entries).map(({ sessionId }) => sessionId as string), [T])
        const names = yield* Effect.promise(() => readdir(path))
        assert.deepStrictEqual(names.filter((name) => name.endsWith(".bad")).length, 4)
        assert.include(names, "notes.txt")
        assert.deepStrictEqual((yield* journal.entries).length, 1)
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

  it.effect("knows which processes are at work", () =>
    inFolder((journal) =>
      Effect.gen(function* () {
        const { owner } = journal
        assert.isTrue(yield* journal.isAlive(owner))
        assert.isFalse(yield* journal.isAlive({ ...owner, start: 5 }), "a process with our number before us")
        assert.isFalse(yield* journal.isAlive({ ...owner, process: 2 ** 22 + 1 }), "no such process")
        assert.isTrue(yield* journal.isAlive({ ...owner, host: "elsewhere" }), "of others nothing is known")
      })
    ))
})
