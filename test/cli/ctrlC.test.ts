/** Ctrl-C in an upload, as users press it: on the command in a process of its own. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { existsSync } from "node:fs"
import { readdir } from "node:fs/promises"
import { join } from "node:path"
import process from "node:process"
import { afterAll, beforeAll } from "vitest"
import { Emulator, type EmulatorShape, Fault } from "../../src/emulator/mod.ts"
import { fileOf, folderOf, shop, temporaryFolder } from "../support/packages.ts"
import { bundle, launch, start } from "../support/program.ts"

const LONG = 60_000
const CHUNK = 64 * 1024
const BIG = new Uint8Array(40 * CHUNK).fill(7)

let program: Awaited<ReturnType<typeof bundle>>
beforeAll(async () => program = await bundle(), LONG)
afterAll(() => program.remove())

/** Waits in real time, as the process does. */
const until = (look: Effect.Effect<boolean>): Effect.Effect<void> =>
  Effect.flatMap(
    look,
    (there) => there ? Effect.void : Effect.zipRight(Effect.sleep("20 millis"), until(look)),
  )

const journalOf = (state: string) =>
  Effect.promise(() => readdir(join(state, "effect-fabric", "image-store")).catch(() => []))

/** Starts an upload to a slow cluster, and hands it on when some of it has arrived. */
const begun = (args: ReadonlyArray<string>) =>
  Effect.gen(function* () {
    const { emulator, url } = yield* Emulator.serve({ port: 0, latency: "150 millis" })
    const state = yield* temporaryFolder
    const running = yield* start(program.file, [
      "upload",
      ...args,
      "--endpoint",
      url,
      "--chunk-size",
      String(CHUNK),
      "--concurrency",
      "2",
    ], state)
    yield* until(Effect.map(emulator.sessions, (all) => all.some(({ stagedBytes }) => stagedBytes > 0)))
    return { emulator, running, state, url }
  })

const scoped = <A, E>(name: string, test: Effect.Effect<A, E, Scope.Scope>) =>
  it.scopedLive(name, () => Logger.withMinimumLogLevel(test, LogLevel.None), LONG)

const nothingLeft = (emulator: EmulatorShape, state: string) =>
  Effect.gen(function* () {
    assert.deepStrictEqual(yield* emulator.sessions, [])
    assert.strictEqual(yield* emulator.staged, 0)
    assert.deepStrictEqual((yield* emulator.files).map(({ path }) => path), [])
    assert.deepStrictEqual(yield* journalOf(state), [])
  })

describe("Ctrl-C", () => {
  scoped(
    "once removes what had come of a package, says so, and exits with 130",
    Effect.gen(function* () {
      const folder = yield* folderOf({ ...shop, "Web/Code/big.dll": BIG })
      const { emulator, running, state } = yield* begun([folder])
      running.signal("SIGINT")
      const { code, err, out } = yield* running.ended
      assert.deepStrictEqual({ code, out }, { code: 130, out: "" })
      assert.include(err, "Interrupted: cleaning up; Ctrl-C again stops at once, and leaves what is there\n")
      assert.match(
        err,
        /\nNothing is left: what had come of the package was removed from Shop, and 1 upload session was deleted\.\n$/,
      )
      yield* nothingLeft(emulator, state)
    }),
  )

  scoped(
    "once leaves a file as it was before, says so, and exits with 130",
    Effect.gen(function* () {
      const { emulator, running, state } = yield* begun([yield* fileOf("a.bin", BIG), "--json"])
      running.signal("SIGINT")
      const { code, err, out } = yield* running.ended
      assert.strictEqual(code, 130)
      assert.notInclude(out, "FileUploaded")
      const notes = err.trim().split("\n").map((line) => JSON.parse(line))
      assert.deepInclude(notes.map(({ time: _, ...note }) => note), {
        level: "info",
        message: "Nothing is left: a.bin is as it was before, and 1 upload session was deleted.",
        left: { content: false, sessions: [] },
      })
      yield* nothingLeft(emulator, state)
    }),
  )

  for (const json of [false, true]) {
    scoped(
      `twice stops at once, and names the session that is left and what ends it${json ? ", as JSON" : ""}`,
      Effect.gen(function* () {
        const source = yield* fileOf("a.bin", BIG)
        const { emulator, running, state, url } = yield* begun([source, ...(json ? ["--json"] : [])])
        yield* emulator.inject(Fault.hang, { on: "DeleteImageStoreUploadSession" })
        running.signal("SIGINT")
        // Now the clean-up is under way.
        yield* until(Effect.map(
          emulator.requests,
          (all) => all.some(({ operation }) => operation === "DeleteImageStoreUploadSession"),
        ))
        running.signal("SIGINT")
        const { code, err } = yield* running.ended
        const [{ sessionId } = { sessionId: "" }, ...others] = yield* emulator.sessions
        assert.strictEqual(code, 130)
        assert.deepStrictEqual(others, [])
        const words = `Stopped at once. 1 upload session is left, and recorded:\n  ${sessionId}  a.bin\n` +
          `To end it: image-store session clean --endpoint ${url}`
        if (json) {
          const { time: _, ...last } = JSON.parse(err.trim().split("\n").at(-1)!)
          assert.deepStrictEqual(last, { level: "warning", message: words, left: { sessions: [sessionId] } })
        } else assert.isTrue(err.endsWith(`\n${words}\n`), err)

        const [, ...command] = words.split("To end it: ")[1]!.split(" ")
        const clean = yield* Effect.flatMap(
          start(program.file, [...command, "--dry-run"], state),
          ({ ended }) => ended,
        )
        assert.strictEqual(clean.code, 0)
        assert.include(clean.out, sessionId)
      }),
    )
  }
})

/** Uploads a package with its events to where a shell's words send them. */
const upload = (where: string) =>
  Effect.gen(function* () {
    const { emulator, url } = yield* Emulator.serve({ port: 0 })
    const state = yield* temporaryFolder
    const folder = yield* folderOf({ ...shop, "Web/Code/big.dll": BIG })
    const words = [program.file, "upload", folder, "--endpoint", url, "--json"]
    const { HOME, PATH } = process.env
    const { err } = yield* Effect.promise(() =>
      launch("sh", ["-c", `{ node "$@"; echo "$?" >&2; } ${where}`, "sh", ...words], {
        env: { HOME, PATH, XDG_STATE_HOME: state },
      }).ended
    )
    const lines = err.trim().split("\n")
    const notes = lines.slice(1, -1).map((line) => JSON.parse(line))
    yield* nothingLeft(emulator, state)
    return { code: Number(lines.at(-1)), notes, messages: notes.map(({ message }) => message) }
  })

const STOPPED = "Interrupted: cleaning up; Ctrl-C again stops at once, and leaves what is there"

describe("an output that cannot be written", () => {
  scoped(
    "because nobody reads it any more cleans up as Ctrl-C does",
    Effect.gen(function* () {
      const { code, messages } = yield* upload("| head -n 1")
      assert.strictEqual(code, 130)
      assert.deepStrictEqual(messages.slice(0, 2), ["The output cannot be written (EPIPE)", STOPPED])
      assert.match(messages.at(-1), /^Nothing is left: /)
    }),
  )

  if (!existsSync("/dev/full")) return
  scoped(
    "because the disk is full cleans up too, and is a failure that is told last",
    Effect.gen(function* () {
      const { code, messages, notes } = yield* upload("> /dev/full")
      assert.strictEqual(code, 1)
      assert.deepStrictEqual(messages.slice(0, 2), ["The output cannot be written (ENOSPC)", STOPPED])
      assert.match(messages.at(-2), /^Nothing is left: /)
      assert.strictEqual(
        messages.at(-1),
        "Cannot write the output: ENOSPC: no space left on device, write",
      )
      assert.deepStrictEqual(notes.at(-1).error, { exitCode: 1 })
    }),
  )
})
