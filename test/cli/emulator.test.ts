import { assert, describe, expect, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { symlinkSync } from "node:fs"
import { get } from "node:http"
import { join } from "node:path"
import { Host } from "../../src/cli/Host.ts"
import { run } from "../../src/cli/run.ts"
import { ClusterHttpClient } from "../../src/ClusterHttpClient.ts"
import { Emulator } from "../../src/emulator/mod.ts"
import { temporaryFolder } from "../support/packages.ts"
import { turn } from "../support/turn.ts"
import { recording } from "./terminal.ts"

const host = Layer.succeed(Host, {
  variable: () => Effect.succeed(undefined),
  text: () => Effect.succeed(undefined),
  ask: undefined,
  transport: ClusterHttpClient.layer,
})

/** Starts the emulator. */
const start = (line: string) =>
  Effect.gen(function* () {
    const out: Array<string> = []
    const err: Array<string> = []
    const listening = yield* Deferred.make<string>()
    const console = recording(yield* Effect.console, (text) => {
      out.push(text)
      Deferred.unsafeDone(listening, Effect.succeed(text))
    }, (text) => err.push(text))
    const fiber = yield* run(line.split(" ")).pipe(
      Effect.provide(host),
      Effect.withConsole(console),
      Effect.fork,
    )
    return { url: yield* Deferred.await(listening), out, err, fiber }
  })

/** Runs the emulator until `use` is done with its address. Returns what it wrote. */
const emulate = <A>(line: string, use: (url: string) => Promise<A>) =>
  Effect.gen(function* () {
    const { err, fiber, out, url } = yield* start(line)
    const value = yield* Effect.promise(() => use(url))
    const exit = yield* Fiber.interrupt(fiber)
    return { value, out, err: err.join("\n"), exit }
  })

/** The exit code of a command line that ends by itself, and what it wrote to stderr. */
const ended = (line: string) =>
  Effect.gen(function* () {
    const err: Array<string> = []
    const console = recording(yield* Effect.console, () => {}, (text) => err.push(text))
    const code = yield* run(line.split(" ")).pipe(Effect.provide(host), Effect.withConsole(console))
    return { code, err: err.join("\n") }
  })

/** The answer to a request, while the test clock moves on from one who waits to the next. */
const answerOf = (url: string, init: RequestInit = {}) =>
  Effect.gen(function* () {
    const answer = yield* Effect.fork(Effect.promise(() => fetch(url, init)))
    while ((yield* Fiber.poll(answer))._tag === "None") {
      yield* turn
      const [next] = [...yield* TestClock.sleeps()].sort((a, b) => a - b)
      if (next !== undefined) yield* TestClock.setTime(next)
    }
    return yield* answer
  })

/** How long a PUT takes on the test clock, in milliseconds. */
const timed = (line: string, size: number) =>
  Effect.gen(function* () {
    const { fiber, url } = yield* start(line)
    const body = new Uint8Array(size)
    const began = yield* TestClock.currentTimeMillis
    const put = yield* answerOf(`${url}/ImageStore/a?api-version=6.0`, { method: "PUT", body })
    assert.strictEqual(put.status, 200)
    const took = (yield* TestClock.currentTimeMillis) - began
    const listing = yield* answerOf(`${url}/ImageStore?api-version=6.0`)
    const { StoreFiles } = yield* Effect.promise(() => listing.json())
    assert.deepStrictEqual(StoreFiles.map(({ FileSize }: { FileSize: string }) => FileSize), [String(size)])
    yield* Fiber.interrupt(fiber)
    return took
  })

/** By a connection of its own: a client that keeps them repeats by itself what was dropped on one. */
const statusOf = (url: string) =>
  new Promise<number | "dropped" | undefined>((resolve) => {
    get(url, { agent: false }, (response) => {
      response.resume()
      resolve(response.statusCode)
    }).on("error", () => resolve("dropped"))
  })

describe("emulator", () => {
  it.live("prints its address first, and a line for each request on stderr", () =>
    Effect.gen(function* () {
      const ran = yield* emulate("emulator --port 0", async (url) => {
        const put = await fetch(`${url}/ImageStore/a?api-version=6.0`, { method: "PUT", body: "abc" })
        return [put.status, await put.text()]
      })
      expect(ran.value).toEqual([200, ""])
      expect(ran.out).toEqual([expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/)])
      expect(ran.err).toMatch(
        /^\d\d:\d\d:\d\d PUT \/ImageStore\/a\?api-version=6\.0 200 OK UploadFile 3 bytes/m,
      )
    }))

  it.live("stops listening when it is interrupted", () =>
    Effect.gen(function* () {
      const { exit, out } = yield* emulate("emulator --port 0", () => Promise.resolve())
      expect(exit._tag).toBe("Failure")
      const again = yield* Effect.promise(() => fetch(out[0]!).then(() => "answered", () => "refused"))
      expect(again).toBe("refused")
    }))

  it.live("is quiet when asked to be", () =>
    Effect.gen(function* () {
      const { err } = yield* emulate("emulator --port 0 --log-level none", (url) =>
        fetch(url).then((r) => r.text()))
      expect(err).not.toMatch(/GET/)
    }))

  it.live("can be a Linux cluster", () =>
    Effect.gen(function* () {
      const { value } = yield* emulate("emulator --port 0 --os linux", (url) =>
        fetch(`${url}/ImageStore/$/GetUploadSession?api-version=6.0`).then((r) => r.text()))
      expect(value).toContain("E_INVALIDARG")
    }))

  it.live("prints JSON for programs", () =>
    Effect.gen(function* () {
      const { err, out } = yield* emulate("emulator --port 0 --json", () => Promise.resolve())
      expect(JSON.parse(out[0]!)).toEqual({ url: expect.stringMatching(/^http:/) })
      for (const line of err.split("\n")) JSON.parse(line)
    }))

  it.effect("answers as late as the latency says", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* timed("emulator --port 0 --latency 250", 10), 250)
    }))

  it.effect("takes uploads as fast as the bandwidth says", () =>
    Effect.gen(function* () {
      assert.approximately(yield* timed("emulator --port 0 --bandwidth 2", 500_000), 2000, 1)
    }))

  it.effect("refuses latencies and bandwidths that make no sense, and exits with 2", () =>
    Effect.gen(function* () {
      for (
        const [option, message] of [
          ["--latency -1", "--latency goes from 0 to 60000, not -1"],
          ["--latency 60001", "--latency goes from 0 to 60000, not 60001"],
          ["--latency 1.5", "latency"],
          ["--bandwidth 0", "--bandwidth goes from 1 to 1000000, not 0"],
          ["--bandwidth fast", "bandwidth"],
          ["--port 65536", "--port goes from 0 to 65535, not 65536"],
        ]
      ) {
        const { code, err } = yield* ended(`emulator ${option}`)
        expect(code, option).toBe(2)
        expect(err).toContain(message)
      }
    }))

  it.scopedLive("exits with 1 where it cannot keep its content", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      // Node's own way to make folders never ends below a link to nowhere.
      const data = join(folder, "nowhere")
      symlinkSync(join(folder, "missing", "folder"), data)
      const { code, err } = yield* ended(`emulator --port 0 --data ${data}`)
      expect(code).toBe(1)
      expect(err).toContain(`Cannot keep content in ${data} (ENOENT`)
    }))

  it.live("repeats its faults by seed", () =>
    Effect.gen(function* () {
      const statuses = (line: string) =>
        Effect.map(
          emulate(line, async (url) => {
            const seen = []
            for (let at = 0; at < 6; at++) {
              seen.push(await statusOf(`${url}/ImageStore/$/Info?api-version=6.5`))
            }
            return seen
          }),
          ({ value }) => value,
        )
      const first = yield* statuses("emulator --port 0 --chaos random:2:1")
      expect(first).toEqual([504, "dropped", "dropped", 502, 503, 504])
      expect(yield* statuses("emulator --port 0 --chaos random:2:1")).toEqual(first)
      expect(new Set(yield* statuses("emulator --port 0 --chaos random:2:0"))).toEqual(new Set([200]))
      expect(new Set(yield* statuses("emulator --port 0 --chaos product"))).toEqual(new Set([200]))
    }))

  it.live("tells which seed it drew", () =>
    Effect.gen(function* () {
      const { err } = yield* emulate("emulator --port 0 --chaos random", () => Promise.resolve())
      expect(err).toMatch(/--chaos random:\d+:0\.1/)
    }))

  it.scopedLive("exits with 1 where the port is taken", () =>
    Effect.gen(function* () {
      const { url } = yield* Emulator.serve({ port: 0 })
      const { code, err } = yield* ended(`emulator --port ${new URL(url).port}`)
      expect(code).toBe(1)
      expect(err).toMatch(/the port is taken.*--port/)
    }))
})

describe("demo", () => {
  it.live("tells its story over real HTTP, and leaves nothing", () =>
    Effect.gen(function* () {
      const out: Array<string> = []
      const err: Array<string> = []
      const console = recording(yield* Effect.console, (text) => out.push(text), (text) => err.push(text))
      const code = yield* run(["demo"]).pipe(Effect.provide(host), Effect.withConsole(console))
      const story = out.join("\n").replace(/:\d{4,5}/, ":PORT").replace(/[0-9a-f-]{36}/g, "SESSION")
        .replace(/\d{4}-\d\d-\d\d .*Z/, "TIME")
      expect(code).toBe(0)
      expect(err).toEqual([])
      yield* Effect.promise(() => expect(`${story}\n`).toMatchFileSnapshot("./help/demo-story.txt"))
    }))

  it.live("prints one document for programs", () =>
    Effect.gen(function* () {
      const out: Array<string> = []
      const console = recording(yield* Effect.console, (text) => out.push(text), () => {})
      yield* run(["demo", "--json"]).pipe(Effect.provide(host), Effect.withConsole(console))
      expect(out).toHaveLength(1)
      expect(JSON.parse(out[0]!)).toMatchObject({ deleted: true, left: 0 })
    }))
})
