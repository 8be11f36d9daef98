/** The command as users start it: bundled under Node, and from its sources under Deno. */
import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { type ChildProcess, execFile } from "node:child_process"
import { existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"
import { afterAll, beforeAll } from "vitest"
import { commands } from "../../src/cli/commands.ts"
import { Emulator, Fault, FaultPlan } from "../../src/emulator/mod.ts"
import { S } from "../support/cluster.ts"
import { launch } from "../support/program.ts"

const root = fileURLToPath(new URL("../..", import.meta.url))
const tool = (name: string) => join(root, "node_modules", ".bin", name)
const LONG = 60_000

let folder: string
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), "image-store-"))
  writeFileSync(join(folder, "package.json"), `{"type":"module"}`)
  const built = await start(tool("esbuild"), [
    join(root, "src/cli/bin.ts"),
    "--bundle",
    "--platform=node",
    "--format=esm",
    "--minify",
    "--target=node20",
    "--log-level=warning",
    `--outfile=${join(folder, "bin.js")}`,
  ]).ended
  expect(built).toMatchObject({ code: 0, err: "" })
}, LONG)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** Starts a program in the folder of the bundle, with nothing in its environment but what finds programs. */
const start = (program: string, args: ReadonlyArray<string>, env: Readonly<Record<string, string>> = {}) => {
  const { DENO_DIR, HOME = "/", PATH = "" } = process.env
  // Deno keeps what it has downloaded under the home folder, and must not find another one.
  return launch(program, args, {
    cwd: folder,
    env: { PATH, HOME, ...(DENO_DIR === undefined ? {} : { DENO_DIR }), ...env },
  })
}

const node = (args: ReadonlyArray<string>, env?: Readonly<Record<string, string>>) =>
  start("node", [join(folder, "bin.js"), ...args], env)

const deno = (permissions: ReadonlyArray<string>, args: ReadonlyArray<string>) =>
  start(tool("deno"), [
    "run",
    "--no-prompt",
    "--quiet",
    ...permissions,
    join(root, "mod.ts"),
    ...args,
  ])

/** Not `child.kill`: after that Deno takes any end of the child for one by the signal. */
const signalTo = (child: ChildProcess, signal: "SIGINT" | "SIGTERM" | "SIGHUP") =>
  process.kill(child.pid!, signal)

const scoped = (program: Effect.Effect<void, unknown, Scope.Scope>) =>
  Effect.runPromise(Logger.withMinimumLogLevel(Effect.scoped(program), LogLevel.None))

/** A cluster that never answers, and tells when it was asked. */
const silent = Effect.gen(function* () {
  let arrive = () => {}
  const arrived = new Promise<void>((resolve) => arrive = resolve)
  const faults = FaultPlan.make(() => () => {
    arrive()
    return Fault.hang
  })
  const { url } = yield* Emulator.serve({ port: 0, faults })
  return { arrived, url }
})

const chunk = (url: string) =>
  Effect.promise(() =>
    fetch(`${url}/ImageStore/App/a.bin/$/UploadChunk?api-version=6.0&session-id=${S}`, {
      method: "PUT",
      headers: { "Content-Range": "bytes 0-9/20" },
      body: new Uint8Array(10),
    }).then((response) => response.arrayBuffer())
  )

describe("under Node, bundled, without node_modules", () => {
  it("shows help and version, and loads nothing for it", async () => {
    expect(await node([]).ended).toMatchObject({
      code: 0,
      err: "",
      out: expect.stringMatching(/^image-store 0/),
    })
    expect(await node(["--version"]).ended).toMatchObject({ code: 0, out: "0.1.0\n" })
  }, LONG)

  it("runs the demo", async () => {
    expect(await node(["demo"]).ended).toMatchObject({
      code: 0,
      err: "",
      out: expect.stringContaining("It is gone"),
    })
  }, LONG)

  it("deletes a session, and takes the cluster from the environment", () =>
    scoped(Effect.gen(function* () {
      const { emulator, url } = yield* Emulator.serve({ port: 0 })
      yield* chunk(url)
      const ran = yield* Effect.promise(() => node(["session", "delete", S], { FABRIC_ENDPOINT: url }).ended)
      expect(ran).toMatchObject({
        code: 0,
        out: `Deleted upload session ${S}.\n`,
        err: `Cluster: ${url} (from FABRIC_ENDPOINT)\n`,
      })
      expect(yield* emulator.sessions).toEqual([])
    })), LONG)

  it("takes the cluster that sfctl chose from its file", () =>
    scoped(Effect.gen(function* () {
      const { url } = yield* Emulator.serve({ port: 0 })
      const file = join(folder, "config")
      writeFileSync(file, `[servicefabric]\nendpoint = ${url}\nsecurity = none\n`)
      const ran = yield* Effect.promise(() => node(["info", "--json"], { SFCTL_CONFIG_DIR: folder }).ended)
      expect(ran.code).toBe(0)
      expect(JSON.parse(ran.out)).toHaveProperty("staging")
    })), LONG)

  it("exits with 1 where nobody answers, without a stack", async () => {
    const ran = await node(["session", "delete", S, "--endpoint", "http://127.0.0.1:1"]).ended
    expect(ran).toMatchObject({ code: 1, out: "" })
    expect(ran.err).toContain("nobody answered")
    expect(ran.err.trim().split("\n")).toHaveLength(2)
  }, LONG)

  it.each(["SIGINT", "SIGTERM", "SIGHUP"] as const)(
    "exits with 130 on %s, and lets the request go",
    (signal) =>
      scoped(Effect.gen(function* () {
        const { arrived, url } = yield* silent
        const { child, ended } = node(["session", "show", S, "--endpoint", url])
        yield* Effect.promise(() => arrived)
        signalTo(child, signal)
        expect(yield* Effect.promise(() => ended)).toEqual({ code: 130, out: "", err: "" })
      })),
    LONG,
  )

  it(
    "lets a commit under way finish after one signal, and ends at once after two",
    () =>
      scoped(Effect.gen(function* () {
        const { arrived, url } = yield* silent
        const { child, ended } = node(["session", "commit", S, "--endpoint", url])
        const explained = new Promise<void>((resolve) =>
          child.stderr!.on("data", (text) => String(text).includes("must not be cut off") && resolve())
        )
        yield* Effect.promise(() => arrived)
        signalTo(child, "SIGINT")
        yield* Effect.promise(() => explained)
        signalTo(child, "SIGINT")
        expect((yield* Effect.promise(() => ended)).code).toBe(130)
      })),
    LONG,
  )

  it("is not brought down by a token command for which there is no file handle left", async () => {
    // Two are spared, for the program itself.
    writeFileSync(
      join(folder, "greedy.js"),
      `import { closeSync, openSync } from "node:fs"
       const files = []
       try { for (;;) files.push(openSync(process.execPath)) } catch {}
       files.slice(-2).forEach((file) => closeSync(file))`,
    )
    const line = `ulimit -n 100 && exec node --import ./greedy.js bin.js info --endpoint https://localhost ` +
      "--token-command true"
    const { code, err } = await start("sh", ["-c", line]).ended
    expect(err).toMatch(/^Cannot [^\n]*: its command cannot be started \(EMFILE\); nothing was sent\n$/)
    expect(code).toBe(1)
  }, LONG)

  it("runs the emulator until it is told to stop", async () => {
    const { child, ended } = node(["emulator", "--port", "0"])
    const url = await new Promise<string>((resolve) =>
      child.stdout!.once("data", (text) => resolve(String(text).trim()))
    )
    expect((await fetch(`${url}/ImageStore?api-version=6.0`)).status).toBe(404)
    signalTo(child, "SIGTERM")
    const { code, out, err } = await ended
    expect([code, out]).toEqual([130, `${url}\n`])
    expect(err).toContain("GET /ImageStore?api-version=6.0 404")
  }, LONG)

  it("goes on when nobody reads its notes any more", async () => {
    const { child, ended } = node(["emulator", "--port", "0"])
    const url = await new Promise<string>((resolve) =>
      child.stdout!.once("data", (text) => resolve(String(text).trim()))
    )
    child.stderr!.destroy()
    // Each is a line on stderr.
    for (let i = 0; i < 5; i++) {
      expect((await fetch(`${url}/ImageStore?api-version=6.0`)).status).toBe(404)
    }
    signalTo(child, "SIGINT")
    expect((await ended).code).toBe(130)
  }, LONG)

  it("does not fail when its reader has seen enough", async () => {
    const ran = await new Promise<string>((resolve) => {
      const line = `node ${join(folder, "bin.js")} --completions bash | head -1; echo "\${PIPESTATUS[0]}"`
      execFile("bash", ["-c", line], (_, out, err) => resolve(out + err))
    })
    expect(ran).toMatch(/^function .*\n0\n$/)
  }, LONG)

  it.skipIf(!existsSync("/dev/full"))(
    "fails without a stack when the disk under its output is full",
    async () => {
      const line = `node ${join(folder, "bin.js")} --help > /dev/full; echo "$?"`
      const ran = await new Promise<string>((resolve) =>
        execFile("sh", ["-c", line], (_, out, err) => resolve(out + err))
      )
      expect(ran).toBe("1\nCannot write the output: ENOSPC: no space left on device, write\n")
    },
    LONG,
  )
})

describe("under Deno, from its sources", () => {
  it("shows help and version without any permission", async () => {
    const help = await deno([], []).ended
    expect(help).toMatchObject({ code: 0, err: "" })
    for (const { words } of commands) expect(help.out).toContain(words.join(" "))
    expect(await deno([], ["session", "delete", "--help"]).ended).toMatchObject({ code: 0, err: "" })
    expect(await deno([], ["--version"]).ended).toMatchObject({ code: 0, err: "", out: "0.1.0\n" })
    expect(await deno([], ["--completions", "zsh"]).ended).toMatchObject({ code: 0, err: "" })
  }, LONG)

  it("runs the demo with the network of this machine alone", async () => {
    expect(await deno(["--allow-net=127.0.0.1"], ["demo"]).ended).toMatchObject({
      code: 0,
      err: "",
      out: expect.stringContaining("It is gone"),
    })
  }, LONG)

  it("deletes a session with the network alone", () =>
    scoped(Effect.gen(function* () {
      const { emulator, url } = yield* Emulator.serve({ port: 0 })
      yield* chunk(url)
      const { host } = new URL(url)
      const ran = yield* Effect.promise(() =>
        deno([`--allow-net=${host}`], ["session", "delete", S, "--endpoint", url]).ended
      )
      expect(ran).toMatchObject({
        code: 0,
        out: `Deleted upload session ${S}.\n`,
        err: `Cluster: ${url} (from --endpoint)\n`,
      })
      expect(yield* emulator.sessions).toEqual([])
    })), LONG)

  it("takes what it must not read for absent, and says so when asked", async () => {
    const ran = await deno([], ["session", "show", "x", "--log-level", "debug"]).ended
    expect(ran.code).toBe(2)
    expect(ran.err).toContain("debug: FABRIC_ENDPOINT must not be read and counts as absent")
  }, LONG)

  it("says which permission is missing, without a stack", async () => {
    const demo = await deno([], ["demo"]).ended
    expect(demo).toMatchObject({ code: 1, out: "" })
    expect(demo.err).toMatch(/^Requires net access to .*--allow-net flag\n$/)
    const data = await deno(["--allow-net"], ["emulator", "--port", "0", "--data", "x"]).ended
    expect(data.code).toBe(1)
    expect(data.err).toContain("--allow-write")
  }, LONG)

  it("says which permission is missing for a host, by its name too, at the first attempt", async () => {
    for (const host of ["localhost", "127.0.0.1"]) {
      const { code, err } = await deno([], ["session", "delete", S, "--endpoint", `http://${host}:1`]).ended
      expect(code).toBe(1)
      expect(err).toContain(`at ${host}:1: nobody answered`)
      expect(err).toContain("deno run --allow-net")
    }
  }, LONG)

  it("says which permission is missing for a certificate's file", async () => {
    const args = ["session", "delete", S, "--endpoint", "https://localhost:1"]
    for (const option of ["--ca", "--pfx"]) {
      const { code, err } = await deno(["--allow-net"], [...args, option, join(root, "LICENSE")]).ended
      expect(code).toBe(2)
      expect(err).toMatch(new RegExp(`^Cannot use ${option}: .*deno run --allow-read`, "m"))
      expect(err).not.toContain("LICENSE")
    }
  }, LONG)

  it("exits with 2 on wrong use", async () => {
    expect((await deno([], ["session", "delete", "x", "--endpoint", "http://127.0.0.1:1"]).ended).code).toBe(
      2,
    )
    expect((await deno([], ["session", "delete", S, "--endpoint", "host:19000"]).ended).code).toBe(2)
  }, LONG)
})
