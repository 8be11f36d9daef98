import { describe, expect, it } from "@effect/vitest"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { mkdir, readdir, writeFile } from "node:fs/promises"
import { hostname } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { vi } from "vitest"
import { Display } from "../../src/cli/Display.ts"
import { lastWords } from "../../src/cli/lastWords.ts"
import { Emulator, type EmulatorOptions, Fault } from "../../src/emulator/mod.ts"
import { until } from "../support/mortal.ts"
import { fileOf, type Files, folderOf, shop, temporaryFolder } from "../support/packages.ts"
import { inPatientTime } from "../support/virtualTime.ts"
import { imageStore, type Ran } from "./terminal.ts"

// The disk takes its time where much else goes on.
vi.setConfig({ testTimeout: 60_000 })

const AT = ["--endpoint", "http://one:19080"]
/** The smallest that the command takes. */
const CHUNK = 64 * 1024
const CHUNKS = ["--chunk-size", "64KiB"]
const BIG = new Uint8Array(3 * CHUNK).fill(7)
const LONG = new Uint8Array(30 * CHUNK).fill(7)
const LATENCY = { latency: "2 seconds" } as const

type Env = Emulator | HttpClient.HttpClient | Scope.Scope

/** Runs a program against an emulator, in virtual time, with a state folder of its own. */
const run = <A, E>(
  program: (state: string) => Effect.Effect<A, E, Env>,
  options: EmulatorOptions = {},
): Effect.Effect<A, E> =>
  inPatientTime(
    Effect.scoped(Effect.flatMap(temporaryFolder, program)).pipe(
      Effect.provide(Emulator.layer(options)),
    ),
  )

const upload = (
  state: string,
  args: ReadonlyArray<string>,
  env: Readonly<Record<string, string>> = {},
): Effect.Effect<Ran, never, HttpClient.HttpClient> =>
  imageStore(["upload", ...args, ...AT], { env: { XDG_STATE_HOME: state, ...env } })

/** Every file but the markers, and what must not be left. */
const outcome = Effect.gen(function* () {
  const emulator = yield* Emulator
  return {
    files: (yield* emulator.files).map(({ path }) => path).filter((path) => !path.endsWith("_.dir")),
    sessions: (yield* emulator.sessions).length,
    staged: yield* emulator.staged,
  }
})
const NOTHING = { files: [], sessions: 0, staged: 0 }

const records = (state: string) =>
  Effect.promise(() => readdir(join(state, "effect-fabric", "image-store")).catch(() => []))

const jsonLines = (text: string) => text.split("\n").map((line) => JSON.parse(line))

const bigShop: Files = { ...shop, "Web/Code/web.exe": BIG }

describe("upload of a package", () => {
  it.effect("ends with what it did, and with the next command", () =>
    run((state) =>
      Effect.gen(function* () {
        const ran = yield* upload(state, [yield* folderOf(shop)])
        expect(ran).toMatchObject({ code: 0, questions: [] })
        expect(ran.out).toMatch(
          new RegExp(
            "^Uploaded an application package\\.\n\nApplication  Shop\nVersion      1\\.2\\.3\n" +
              `Store path   Shop\nFiles        5, and the _\\.dir markers\nSize         .*\nTime .*\n\n` +
              "Next: sfctl application provision --application-type-build-path Shop$",
          ),
        )
        expect(ran.err).toContain("Cluster: http://one:19080 (from --endpoint)\n")
        expect(ran.err).toContain("Uploading Shop 1.2.3 to Shop: 5 files, ")
        expect((yield* outcome).files).toHaveLength(5)
      })
    ))

  it.effect("goes where it is told, and quotes what a shell would split", () =>
    run((state) =>
      Effect.gen(function* () {
        const ran = yield* upload(state, [yield* folderOf(shop), "My Shop/v1"])
        expect(ran.code).toBe(0)
        expect(ran.out).toContain("--application-type-build-path 'My Shop/v1'")
        expect((yield* outcome).files[0]).toMatch(/^My Shop\/v1\//)
      })
    ))

  it.effect("goes to a folder as ls prints it", () =>
    run((state) =>
      Effect.gen(function* () {
        const ran = yield* upload(state, [yield* folderOf(shop), "App/v1/"])
        expect(ran.code).toBe(0)
        expect(ran.out).toContain("\nStore path   App/v1\n")
      })
    ))

  it.effect("speaks JSON: an event a line, the summary last", () =>
    run((state) =>
      Effect.gen(function* () {
        const ran = yield* upload(state, [yield* folderOf(bigShop), ...CHUNKS, "--json"])
        const events = jsonLines(ran.out)
        expect(ran.code).toBe(0)
        expect(events[0]).toEqual({
          _tag: "PackagePlanned",
          path: "Shop",
          files: 5,
          bytes: expect.any(Number),
          applicationType: "Shop",
          applicationVersion: "1.2.3",
          stored: 0,
          overwrites: false,
        })
        expect(events.map(({ _tag }) => _tag)).toContain("Committing")
        expect(events.filter(({ _tag }) => _tag === "FileUploaded")).toHaveLength(5)
        expect(events.at(-1)).toMatchObject({
          _tag: "PackageUploaded",
          path: "Shop",
          applicationType: "Shop",
          applicationVersion: "1.2.3",
          files: 5,
          removed: [],
          next: "sfctl application provision --application-type-build-path Shop",
        })
        expect(jsonLines(ran.err)).toEqual([{
          time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
          level: "info",
          message: "Cluster: http://one:19080 (from --endpoint)",
          cluster: ["http://one:19080"],
          from: "--endpoint",
        }])
      })
    ))

  it.effect("lists everything that is wrong before it sends a byte", () =>
    run((state) =>
      Effect.gen(function* () {
        const folder = yield* folderOf({ "a:b.txt": "x", "Web/x.txt": "y" })
        const ran = yield* upload(state, [folder])
        expect(ran).toMatchObject({ code: 1, out: "" })
        expect(ran.err).toContain("ApplicationManifest.xml")
        expect(ran.err).toContain("a:b.txt")
        expect(ran.err).not.toContain("    at ")
        const json = yield* upload(state, [folder, "--json"])
        expect(jsonLines(json.err).at(-1)).toMatchObject({
          level: "error",
          message: expect.stringContaining("a:b.txt"),
          error: { exitCode: 1, problems: [expect.any(String), expect.any(String)] },
        })
        expect(yield* outcome).toEqual(NOTHING)
      })
    ))

  it.effect("takes any folder with --no-validate, and then names no next command", () =>
    run((state) =>
      Effect.gen(function* () {
        const ran = yield* upload(state, [yield* folderOf({ "a/b.txt": "x" }, "Any"), "--no-validate"])
        expect(ran.code).toBe(0)
        expect(ran.out).toMatch(/^Uploaded a folder\./)
        expect(ran.out).not.toContain("sfctl")
        expect((yield* outcome).files).toEqual(["Any/a/b.txt"])
      })
    ))

  it.effect("says what it compresses, in JSON with how far it is", () =>
    run((state) =>
      Effect.gen(function* () {
        const ran = yield* upload(state, [yield* folderOf(shop), "--compress"])
        expect(ran.code).toBe(0)
        expect(ran.err).toContain("Compressing Web/Code: 2 files")
        expect((yield* outcome).files).toContain("Shop/Web/Code.zip")
        const json = yield* upload(state, [yield* folderOf(shop), "--compress", "--json"])
        const events = jsonLines(json.out)
        expect(events.filter(({ _tag }) => _tag === "Compressing").map(({ folder }) => folder)).toEqual([
          "Web/Code",
          "Web/Config",
        ])
        const last = events.findLast(({ _tag }) => _tag === "BytesCompressed")
        expect(last).toEqual({ _tag: "BytesCompressed", read: last.bytes, bytes: expect.any(Number) })
      })
    ))

  it.effect("says what an overwriting one replaces and removes", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* upload(state, [yield* folderOf({ ...shop, "Web/Code/old.dll": "old" })])
        const ran = yield* upload(state, [yield* folderOf(shop)])
        expect(ran.err).toContain("in place of what is there")
        expect(ran.out).toContain("Removed      1 file that")
        expect((yield* outcome).files).not.toContain("Shop/Web/Code/old.dll")
      })
    ))

  it.effect("that fails is removed, and says so", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* (yield* Emulator).inject(Fault.error("E_ACCESSDENIED"), { on: "UploadFileChunk" })
        const ran = yield* upload(state, [yield* folderOf(bigShop), ...CHUNKS])
        expect(ran).toMatchObject({ code: 1, out: "" })
        expect(ran.err).toMatch(/Nothing is left: what had come of the package was removed from Shop.*\./)
        expect(ran.err).toContain("E_ACCESSDENIED")
        expect(yield* outcome).toEqual(NOTHING)
        expect(yield* records(state)).toEqual([])
      })
    ))

  it.effect("that fails with --on-failure keep leaves what nobody can provision", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* (yield* Emulator).inject(Fault.error("E_ACCESSDENIED"), { on: "UploadFileChunk" })
        const ran = yield* upload(state, [
          yield* folderOf(bigShop),
          ...CHUNKS,
          "--concurrency",
          "1",
          "--on-failure",
          "keep",
        ])
        expect(ran.code).toBe(1)
        expect(ran.err).toMatch(/^What has come so far stays at Shop, without its _\.dir marker/m)
        expect(yield* outcome).toMatchObject({ sessions: 0, staged: 0 })
      })
    ))

  it.effect("that fails over another one leaves a mix, and says so", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* upload(state, [yield* folderOf(shop)])
        yield* (yield* Emulator).inject(Fault.error("E_ACCESSDENIED"), { on: "UploadFileChunk" })
        const ran = yield* upload(state, [yield* folderOf(bigShop), ...CHUNKS])
        expect(ran.code).toBe(1)
        expect(ran.err).toMatch(
          /^What has come so far stays at Shop, in a mix with what was there before, without its _\.dir marker: /m,
        )
      })
    ))
})

describe("upload of a file", () => {
  it.effect("goes by its name, or to the path that is given", () =>
    run((state) =>
      Effect.gen(function* () {
        const file = yield* fileOf("a.bin", BIG)
        const ran = yield* upload(state, [file, ...CHUNKS])
        expect(ran.code).toBe(0)
        expect(ran.err).toContain("\nUploading a.bin to a.bin: 192 KiB")
        expect(ran.out).toMatch(
          /^Uploaded a file\.\n\nStore path {2}a\.bin\nSize {8}192 KiB \(196608 bytes\)\nTime /,
        )
        expect((yield* upload(state, [file, "App/b.bin"])).code).toBe(0)
        expect(yield* outcome).toEqual({ files: ["a.bin", "App/b.bin"], sessions: 0, staged: 0 })
        expect(yield* records(state)).toEqual([])
      })
    ))

  it.effect("has no rate where nothing was sent", () =>
    run((state) =>
      Effect.gen(function* () {
        const ran = yield* upload(state, [yield* fileOf("a.bin", new Uint8Array(0))])
        expect(ran.out).toMatch(/\nSize {8}0 B\nTime {8}[\d.]+ s$/)
      }), LATENCY))

  it.effect("speaks JSON, the summary last", () =>
    run((state) =>
      Effect.gen(function* () {
        const ran = yield* upload(state, [yield* fileOf("a.bin", BIG), ...CHUNKS, "--json"])
        expect(jsonLines(ran.out).map(({ _tag }) => _tag)).toEqual([
          "FileStarted",
          "BytesSent",
          "BytesSent",
          "BytesSent",
          "Committing",
          "FileUploaded",
        ])
        expect(jsonLines(ran.out).at(-1)).toMatchObject({
          path: "a.bin",
          size: BIG.length,
          sent: BIG.length,
          retries: 0,
        })
      })
    ))

  it.effect("says everything on stderr in one shape for programs, warnings and what is logged too", () =>
    run((state) =>
      Effect.gen(function* () {
        const records = join(state, "effect-fabric", "image-store")
        yield* Effect.promise(() => mkdir(records, { recursive: true }))
        yield* Effect.promise(() => writeFile(join(records, "x.1-1@h.session"), "no record"))
        yield* (yield* Emulator).inject(Fault.error("E_ACCESSDENIED"), { on: "UploadFileChunk" })
        const file = yield* fileOf("a.bin", BIG)
        const ran = yield* upload(state, [file, ...CHUNKS, "--json", "--log-level", "debug"])
        const lines = jsonLines(ran.err)
        for (const line of lines) {
          expect(line).toMatchObject({ time: expect.any(String), message: expect.stringMatching(/./) })
        }
        expect(lines.map(({ level }) => level)).toEqual(expect.arrayContaining(["info", "warning", "error"]))
        expect(lines.find(({ level }) => level === "warning").message).toContain("put aside")
        expect(lines.find((line) => "left" in line)).toMatchObject({
          level: "info",
          message: "Nothing is left: a.bin is as it was before, and 1 upload session was deleted.",
          left: { content: false, sessions: [] },
        })
        expect(lines.at(-1).error.debug).toContain("    at ")
        expect(lines.at(-1).message).not.toContain("    at ")
      })
    ))

  it.effect("counts retries, and tells their reason at the level debug", () =>
    run((state) =>
      Effect.gen(function* () {
        const emulator = yield* Emulator
        const file = yield* fileOf("a.bin", BIG)
        yield* emulator.inject(Fault.reply(503, "E_ABORT"), { on: "UploadFileChunk" })
        const ran = yield* upload(state, [file, ...CHUNKS, "--log-level", "debug"])
        expect(ran.code).toBe(0)
        expect(ran.out).toContain("Retries     1")
        expect(ran.err).toMatch(/debug: .*503 E_ABORT/)
      })
    ))

  it.effect("tells of a session of somebody else", () =>
    run((state) =>
      Effect.gen(function* () {
        const { chunk } = yield* Effect.promise(() => import("./terminal.ts"))
        yield* chunk("a.bin", "4a2340e8-d8d8-497c-95fe-cdaa1052f33b", `0-9/${BIG.length}`, 10)
        yield* Effect.sleep("11 minutes")
        const file = yield* fileOf("a.bin", BIG)
        const args = [file, ...CHUNKS]
        expect((yield* upload(state, args)).err).toContain("is left alone; --clean-stale deletes it")
        expect((yield* upload(state, [...args, "--clean-stale"])).err).toContain("was deleted")
        expect((yield* outcome).sessions).toBe(0)
      })
    ))
})

describe("upload refuses", () => {
  const refused = (name: string, args: ReadonlyArray<string>, says: RegExp, code = 2) =>
    it.effect(name, () =>
      run((state) =>
        Effect.gen(function* () {
          const file = yield* fileOf("a.bin", BIG)
          const ran = yield* upload(state, args.map((arg) => arg === "FILE" ? file : arg))
          expect(ran).toMatchObject({ code, out: "" })
          expect(ran.err).toMatch(says)
          expect(ran.err).not.toContain("    at ")
          expect(yield* (yield* Emulator).requests).toEqual([])
        })
      ))

  refused("what is not there", ["/no/such/file"], /Cannot upload \/no\/such\/file: there is no such file/, 1)
  refused("no source", [], /Missing argument <source>/)
  refused("no request at once", ["FILE", "--concurrency", "0"], /--concurrency goes from 1 to 256, not 0/)
  for (const size of ["0", "-1", "8 parsecs", "MiB", "1.5B", "0x10"]) {
    refused(`the chunk size ${size}`, ["FILE", `--chunk-size=${size}`], /--chunk-size ".*" is no size: write/)
  }
  for (const size of ["1", "65535", "63KiB", "2GiB"]) {
    refused(
      `chunks of ${size}`,
      ["FILE", "--chunk-size", size],
      new RegExp(`^--chunk-size goes from 64KiB to 1GiB, not ${size}$`, "m"),
    )
  }
  for (const time of ["0s", "30", "soon", "1m1h", "-5s", "1 hour and a half", "m", "30mm", "1h 30"]) {
    refused(
      `the deadline ${time}`,
      ["FILE", `--deadline=${time}`],
      /--deadline ".*" is no time: write such as/,
    )
  }
  refused(
    "a deadline that no timer reaches",
    ["FILE", "--deadline", "600h"],
    /--deadline goes up to 576h, not 600h/,
  )
  refused("to compress a file", ["FILE", "--compress"], /--compress is for packages/)
  refused("to do half a thing on failure", ["FILE", "--on-failure", "cry"], /one of remove, keep/)
  refused("a folder as the path of a file", ["FILE", "App/"], /a name between separators is empty/)
  refused("a path that leaves the store", ["FILE", "../a"], /\.\./)
})

it.effect("upload fails soon where nobody answers at all", () =>
  run((state) =>
    Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.refuse, { times: 1000 })
      const ran = yield* upload(state, [yield* folderOf(shop)])
      expect(ran).toMatchObject({ code: 1, out: "" })
      expect(ran.err).toContain(
        "Cannot upload to the cluster at one:19080 (after 4 attempts): nobody answered",
      )
    })
  ))

for (
  const [fault, says] of [
    [Fault.reply(401), "answered 401 to these credentials"],
    [Fault.reply(403), "answered 403 to these credentials"],
    [Fault.error("E_ACCESSDENIED"), "answered 403 E_ACCESSDENIED"],
    [Fault.answer({ status: 302, headers: { location: "https://login.example/" } }), "302, a redirect"],
  ] as const
) {
  it.effect(`upload ends before it begins where the first answer is: ${says}`, () =>
    run((state) =>
      Effect.gen(function* () {
        const emulator = yield* Emulator
        yield* emulator.inject(fault)
        const ran = yield* upload(state, [yield* fileOf("a.bin", BIG), ...CHUNKS])
        expect(ran).toMatchObject({ code: 1, out: "" })
        expect(ran.err).toContain("Cannot upload to the cluster at one:19080: ")
        expect(ran.err).toContain(says)
        expect(yield* emulator.requests).toHaveLength(1)
      })
    ))
}

it.effect("upload goes on where the cluster is too busy to answer at first", () =>
  run((state) =>
    Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.error("FABRIC_E_SERVICE_TOO_BUSY"), { times: 5 })
      const ran = yield* upload(state, [yield* fileOf("a.bin", BIG), ...CHUNKS])
      expect(ran.code).toBe(0)
    })
  ))

describe("the journal of uploads", () => {
  it.effect("that cannot be kept fails the upload before a chunk is sent", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => writeFile(join(state, "effect-fabric"), "in the way"))
        const ran = yield* upload(state, [yield* fileOf("a.bin", BIG), ...CHUNKS])
        expect(ran).toMatchObject({ code: 1, out: "" })
        expect(ran.err).toContain("Cannot keep the upload journal in")
        expect(yield* outcome).toEqual(NOTHING)
      })
    ))

  it.effect("is under the home folder where no other is named", () =>
    run((home) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => mkdir(join(home, ".local", "state"), { recursive: true }))
        const ran = yield* imageStore(
          ["upload", yield* fileOf("a.bin", BIG), ...CHUNKS, ...AT],
          { env: { HOME: home, USERPROFILE: home } },
        )
        expect(ran.code).toBe(0)
        expect(yield* Effect.promise(() => readdir(join(home, ".local", "state")))).toEqual(["effect-fabric"])
      })
    ))
})

describe("sessions that earlier runs left", () => {
  /** Records a session as a process did that is over by now. */
  const leave = (state: string, sessionId: string, endpoint: string, owner: string) =>
    Effect.promise(async () => {
      const folder = join(state, "effect-fabric", "image-store")
      await mkdir(folder, { recursive: true })
      const record = {
        format: 1,
        sessionId,
        endpoints: [endpoint],
        path: "Other/b.bin",
        size: 10,
        chunkSize: 5,
        source: "b.bin",
        state: "open",
        hashes: {},
        quietAt: 0,
        touched: 0,
      }
      await writeFile(
        join(folder, `${sessionId}.${owner}@${hostname()}.session`),
        JSON.stringify(record) + "\n",
      )
    })
  const ids = [1, 2, 3, 4].map((n) => `4a2340e8-d8d8-497c-95fe-cdaa1052f33${n}`)
  const DEAD = "999999999-0"

  it.effect("are counted at the end, whether it is a good one or not, without a request", () =>
    run((state) =>
      Effect.gen(function* () {
        const file = yield* fileOf("a.bin", BIG)
        yield* leave(state, ids[0]!, "http://one:19080", DEAD)
        const one = yield* upload(state, [file])
        expect(one.code).toBe(0)
        expect(one.err.split("\n").at(-1)).toBe(
          "1 upload session of earlier runs is still recorded; " +
            "to end it: image-store session clean --endpoint http://one:19080",
        )
        yield* leave(state, ids[1]!, "http://one:19080", DEAD)
        yield* (yield* Emulator).inject(Fault.error("E_ACCESSDENIED"), { on: "UploadFile" })
        const two = yield* upload(state, [file])
        expect(two.code).toBe(1)
        expect(two.err.split("\n").at(-2)).toMatch(
          /^2 upload sessions of .* are still recorded; to end them: /,
        )
        const asked = (yield* (yield* Emulator).requests).map(({ url }) => url)
        expect(asked.filter((url) => ids.some((id) => url.includes(id)))).toEqual([])
      })
    ))

  it.effect("are not counted where they are of another cluster, or somebody is at work on them", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* leave(state, ids[2]!, "http://two:19080", DEAD)
        yield* leave(state, ids[3]!, "http://one:19080", `${process.ppid}-${Date.now()}`)
        const ran = yield* upload(state, [yield* fileOf("a.bin", BIG)])
        expect(ran).toMatchObject({ code: 0, err: expect.not.stringContaining("recorded") })
      })
    ))
})

describe("the progress of an upload", () => {
  it.effect("is a plain line every few seconds where there is no terminal", () =>
    run((state) =>
      Effect.gen(function* () {
        const file = yield* fileOf("a.bin", new Uint8Array(40 * CHUNK))
        const ran = yield* upload(state, [file, ...CHUNKS, "--concurrency", "2"])
        const lines = ran.err.split("\n").filter((line) => / of 2\.5 MiB/.test(line))
        expect(lines.length).toBeGreaterThanOrEqual(4)
        expect(
          lines.some((line) =>
            /^\d+ %, [\d.]+ [KM]iB of 2\.5 MiB, [\d.]+ KiB\/s, .* left, 2 at once$/.test(line)
          ),
        ).toBe(true)
        // deno-lint-ignore no-control-regex
        expect(ran.err).not.toMatch(/\x1b/)
      }), LATENCY))

  it.effect("goes on while the cluster does not answer", () =>
    run((state) =>
      Effect.gen(function* () {
        const emulator = yield* Emulator
        const file = yield* fileOf("a.bin", BIG)
        yield* emulator.inject(Fault.hang, { on: "UploadFileChunk" })
        const ran = yield* upload(state, [file, ...CHUNKS, "--concurrency", "1"])
        expect(ran.code).toBe(0)
        expect(ran.err).toMatch(/0 %, 0 B of 192 KiB, nothing came through for 2\d s/)
      })
    ))

  it.effect("is drawn on a terminal, and gone in the end", () =>
    run((state) =>
      Effect.gen(function* () {
        const written: Array<string> = []
        const screen = { columns: () => 80, write: (text: string) => void written.push(text) }
        const draw = (env: Readonly<Record<string, string>>) =>
          Effect.flatMap(folderOf({ ...shop, "Web/Code/web.exe": LONG.subarray(0, 5 * CHUNK) }), (folder) =>
            upload(state, [folder, ...CHUNKS], env).pipe(
              Effect.provideService(Display, screen),
            ))
        const ran = yield* draw({})
        expect(ran.code).toBe(0)
        const shown = written.join("")
        // deno-lint-ignore no-control-regex
        const plain = shown.replace(/\x1b\[\d*[A-Za-z]/g, "")
        expect(
          /█+░+ {2}\d+ %, [\d.]+ KiB of 321 KiB, [\d.]+ (Ki)?B\/s, \d s left\n\d of 5 files, 4 at once/.test(
            plain,
          ),
        ).toBe(
          true,
        )
        expect(shown.includes("\x1b[32m")).toBe(true)
        expect(written.at(-1)).toBe("\r\x1b[1A\x1b[J")
        for (const text of written) {
          // deno-lint-ignore no-control-regex
          for (const line of text.replace(/\x1b\[\d*[A-Za-z]|\r/g, "").split("\n")) {
            expect(line.length).toBeLessThan(80)
          }
        }
        expect(ran.err).not.toMatch(/\d %/)
        written.length = 0
        yield* draw({ NO_COLOR: "1" })
        expect(written.join("").includes("\x1b[32m")).toBe(false)
        written.length = 0
        yield* draw({ TERM: "dumb" })
        expect(written).toEqual([])
      }), { latency: "400 millis" }))
})

describe("an upload that is stopped", () => {
  /** Starts an upload, and hands it on when its first chunk has arrived. */
  const begun = (state: string, args: ReadonlyArray<string>) =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      const fiber = yield* Effect.fork(upload(state, [...args, ...CHUNKS, "--concurrency", "1"]))
      while ((yield* emulator.sessions).length === 0) yield* Effect.sleep("100 millis")
      return fiber
    })

  it.effect("has last words that name half a package, and the command that removes it", () =>
    run((state) =>
      Effect.gen(function* () {
        const fiber = yield* begun(state, [
          yield* folderOf({ ...shop, "Web/Code/big.dll": LONG }),
          "My Shop",
        ])
        expect(lastWords()).toContain(
          "Half a package may be at My Shop; to remove it: image-store rm 'My Shop' --endpoint http://one:19080",
        )
        yield* Fiber.interrupt(fiber)
      }), LATENCY))

  for (
    const [what, fault, command] of [
      ["removes what is left of a package", Fault.error("E_INVALIDARG"), "rm 'My Shop'"],
      ["looks at a package that could not be seen", Fault.hang, "ls 'My Shop'"],
    ] as const
  ) {
    it.effect(`names the command that ${what}`, () =>
      run((state) =>
        Effect.gen(function* () {
          const { inject } = yield* Emulator
          yield* inject(Fault.error("E_ACCESSDENIED"), { on: "UploadFile" })
          yield* inject(fault, { on: "DeleteImageStoreContent", times: 100 })
          // From its removal on nobody can see the package either.
          yield* Effect.fork(Effect.zipRight(
            until("DeleteImageStoreContent", 1),
            fault === Fault.hang ? inject(fault, { on: "GetImageStoreContent", times: 100 }) : Effect.void,
          ))
          const { err } = yield* upload(state, [yield* folderOf(shop), "My Shop", "--concurrency", "1"])
          expect(err).toContain(`: image-store ${command} --endpoint http://one:19080`)
        })
      ))
  }

  it.effect("has last words that name its sessions and the command that ends them", () =>
    run((state) =>
      Effect.gen(function* () {
        const fiber = yield* begun(state, [yield* fileOf("a.bin", LONG)])
        const [session] = yield* (yield* Emulator).sessions
        expect(lastWords()).toBe(
          `Stopped at once. 1 upload session is left, and recorded:\n  ${session!.sessionId}  a.bin\n` +
            "To end it: image-store session clean --endpoint http://one:19080",
        )
        yield* Fiber.interrupt(fiber)
        expect(lastWords()).toBeUndefined()
        expect(yield* outcome).toEqual(NOTHING)
        expect(yield* records(state)).toEqual([])
      }), LATENCY))

  it.effect("by its deadline cleans up and exits with 1", () =>
    run((state) =>
      Effect.gen(function* () {
        const args = ["--deadline", "1m", ...CHUNKS, "--concurrency", "1"]
        const file = yield* upload(state, [yield* fileOf("a.bin", LONG), ...args])
        expect(file).toMatchObject({ code: 1, out: "" })
        expect(file.err).toContain("The upload has reached its deadline of 1 min 0 s: cleaning up")
        expect(file.err).toContain(
          "Nothing is left: a.bin is as it was before, and 1 upload session was deleted.",
        )
        expect(file.err.split("\n").at(-1)).toBe(
          "The upload has reached its deadline of 1 min 0 s; a longer --deadline gives it more time",
        )
        expect(yield* outcome).toEqual(NOTHING)
        const folder = yield* upload(state, [yield* folderOf({ ...shop, "Web/Code/web.exe": LONG }), ...args])
        expect(folder.code).toBe(1)
        expect(folder.err).toContain("Nothing is left: what had come of the package was removed from Shop")
        expect(yield* outcome).toEqual(NOTHING)
        expect(yield* records(state)).toEqual([])
      }), LATENCY))

  it.effect("by its deadline with trouble says which, and nothing of a longer one", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* (yield* Emulator).inject(Fault.reply(500, "E_FAIL"), { on: "UploadFileChunk", times: 100 })
        const ran = yield* upload(state, [yield* fileOf("a.bin", BIG), ...CHUNKS, "--deadline", "1m"])
        expect(ran.code).toBe(1)
        expect(ran.err).toMatch(/^\d+ %, .* retr(y|ies), the cluster answered 500 E_FAIL/m)
        expect(ran.err.split("\n").at(-1)).toMatch(
          /^The upload has reached its deadline of 1 min 0 s; the last trouble: the cluster answered 500 E_FAIL/,
        )
        expect(ran.err).not.toContain("longer --deadline")
      })
    ))

  it.effect("by its deadline before the cluster has answered says that nothing was sent", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* (yield* Emulator).inject(Fault.hang, { times: 100 })
        const begun = yield* Clock.currentTimeMillis
        const ran = yield* upload(state, [yield* folderOf(shop), "--deadline", "20s"])
        expect(ran.code).toBe(1)
        expect(ran.err).toContain("deadline of 20 s")
        expect(ran.err).toContain("Nothing is left: no file was sent.")
        expect((yield* Clock.currentTimeMillis) - begun).toBeLessThan(60_000)
        const file = yield* upload(state, [yield* fileOf("a.bin", BIG), "--deadline", "20s"])
        expect(file.code).toBe(1)
        expect(file.err).toContain("Nothing is left: no byte was sent.")
      })
    ))
})
