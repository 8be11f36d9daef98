import { describe, expect, it } from "@effect/vitest"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import type * as Scope from "effect/Scope"
import { mkdir, readdir, writeFile } from "node:fs/promises"
import { hostname } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { vi } from "vitest"
import { Display } from "../../src/cli/Display.ts"
import { Emulator, Fault } from "../../src/emulator/mod.ts"
import { S, T } from "../support/cluster.ts"
import { temporaryFolder } from "../support/packages.ts"
import { inPatientTime } from "../support/virtualTime.ts"
import { chunk, imageStore } from "./terminal.ts"

// The disk takes its time where much else goes on.
vi.setConfig({ testTimeout: 60_000 })

const AT = "--endpoint http://one:19080"
/** No process has it: Linux stops at 4194304, Windows counts in fours. */
const NOBODY = 2_000_000_011

/** Runs a program against an emulator, in virtual time, with a state folder of its own. */
const run = <A, E>(
  program: (state: string) => Effect.Effect<A, E, Emulator | HttpClient.HttpClient | Scope.Scope>,
): Effect.Effect<A, E> =>
  inPatientTime(
    Effect.scoped(Effect.flatMap(temporaryFolder, program)).pipe(
      Effect.provide(Emulator.layer()),
    ),
  )

const folder = (state: string) => join(state, "effect-fabric", "image-store")
const records = (state: string) => Effect.promise(() => readdir(folder(state)))

const fileOf = (sessionId: string, process = NOBODY, start = 1) =>
  `${sessionId}.${process}-${start}@${hostname()}.session`

/** A session in the cluster, and its record. */
const left = (
  state: string,
  sessionId: string,
  entry: { readonly process?: number; readonly start?: number; readonly endpoint?: string } = {},
) =>
  Effect.gen(function* () {
    yield* chunk("App/a.bin", sessionId, "0-9/20", 10)
    const record = {
      format: 1,
      sessionId,
      endpoints: [entry.endpoint ?? "http://one:19080"],
      path: "App/a.bin",
      size: 20,
      chunkSize: 10,
      source: "/tmp/a.bin",
      state: "open",
      hashes: { 0: "aa" },
      quietAt: 0,
      touched: Date.UTC(2026, 10, 22),
    }
    yield* Effect.promise(async () => {
      await mkdir(folder(state), { recursive: true })
      const file = join(folder(state), fileOf(sessionId, entry.process, entry.start))
      await writeFile(file, JSON.stringify(record) + "\n")
    })
  })

/** A file straight to the emulator. */
const put = (path: string) =>
  Effect.flatMap(HttpClient.HttpClient, (client) =>
    Effect.orDie(
      client.execute(
        HttpClientRequest.put(`http://one:19080/ImageStore/${path}?api-version=6.0`).pipe(
          HttpClientRequest.bodyText("x"),
        ),
      ),
    ))

const clean = (state: string, args = "", hear?: (text: string) => void) =>
  imageStore(`session clean ${AT}${args === "" ? "" : ` ${args}`}`, {
    env: { XDG_STATE_HOME: state },
    ...(hear === undefined ? {} : { hear }),
  })

const sessions = Effect.map(Effect.flatMap(Emulator, ({ sessions }) => sessions), (all) => all.length)

describe("session clean", () => {
  it.effect("deletes what a dead run left, and its record", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* left(state, S)
        const ran = yield* clean(state)
        expect(ran).toMatchObject({
          code: 0,
          out: `${S}  App/a.bin (20 B): deleted\n1 deleted, 0 left alone.`,
        })
        expect(ran.err).toContain("1 upload session is recorded.")
        expect(yield* sessions).toBe(0)
        expect(yield* records(state)).toEqual([])
      })
    ))

  it.effect("says how long it waits for a lost chunk, and goes on saying it", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* left(state, S)
        const { err } = yield* clean(state)
        expect(err).toMatch(/Session .* may still get a chunk or its commit; waiting up to [123]\d s$/m)
        const waits = err.match(/^cleaning up, waiting up to \d+ s for a lost chunk, to delete it too$/gm)
        expect(waits?.length).toBeGreaterThanOrEqual(3)
      })
    ))

  it.effect("counts down on a terminal, and takes that away", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* left(state, S)
        const written: Array<string> = []
        const screen = { columns: () => 80, write: (text: string) => void written.push(text) }
        const { err } = yield* Effect.provideService(clean(state), Display, screen)
        expect(err).not.toContain("cleaning up")
        const counted = written.join("").matchAll(/cleaning up, waiting up to (\d+) s for a lost chunk/g)
        const seconds = [...new Set(Array.from(counted, ([, second]) => Number(second)))]
        expect(seconds.length).toBeGreaterThan(10)
        expect(seconds).toEqual(seconds.toSorted((a, b) => b - a))
        expect(written.at(-1)).toBe("\r\x1b[J")
      })
    ))

  it.effect("that is interrupted says what is still recorded", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* left(state, S)
        yield* left(state, T, { endpoint: "http://elsewhere:19080" })
        const heard: Array<string> = []
        const fiber = yield* Effect.fork(clean(state, "", (text) => heard.push(text)))
        while (!heard.some((text) => text.startsWith("cleaning up, waiting"))) yield* Effect.sleep("1 second")
        yield* Fiber.interrupt(fiber)
        expect(heard.at(-1)).toBe(
          `Interrupted: 1 upload session is still recorded; to end it: image-store session clean ${AT}`,
        )
        expect(yield* records(state)).toHaveLength(2)
      })
    ))

  it.effect("only tells with --dry-run", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* left(state, S)
        expect(yield* clean(state, "--dry-run")).toMatchObject({
          code: 0,
          out: `${S}  App/a.bin (20 B): would be deleted\n1 would be deleted, 0 left alone.`,
        })
        expect(yield* sessions).toBe(1)
        expect(yield* records(state)).toHaveLength(1)
      })
    ))

  it.effect("says why others are left alone, and takes them with --force", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* left(state, S, { process: process.ppid, start: Date.now() })
        yield* left(state, T, { endpoint: "http://elsewhere:19080" })
        const ran = yield* clean(state)
        expect(ran.code).toBe(0)
        expect(ran.out).toContain(`left alone, process ${process.ppid} on ${hostname()} may be at work on it`)
        expect(ran.out).toContain("left alone, it is of another cluster: --endpoint http://elsewhere:19080")
        expect(ran.out).toContain("0 deleted, 2 left alone.")
        const forced = yield* clean(state, "--force")
        expect(forced.out).toContain("1 deleted, 1 left alone.")
        expect(yield* records(state)).toEqual([fileOf(T)])
      })
    ))

  const half = (state: string, path: string) =>
    Effect.promise(async () => {
      await mkdir(folder(state), { recursive: true })
      const record = {
        format: 1,
        uploadId: path,
        endpoints: ["http://one:19080"],
        path,
        source: "/tmp/my shop",
        first: true,
        quietAt: 0,
        files: [["a.txt", { size: 1, chunkSize: 10, hash: "aa" }]],
        touched: Date.UTC(2026, 10, 21),
      }
      const file = join(folder(state), `${path}.${NOBODY}-1@${hostname()}.package`)
      await writeFile(file, JSON.stringify(record) + "\n")
    })

  it.effect("names half a package, and what to do about it, until it is complete or gone", () =>
    run((state) =>
      Effect.gen(function* () {
        for (const path of ["Half", "Whole", "Gone"]) yield* half(state, path)
        for (const path of ["Half/a.txt", "Whole/_.dir"]) yield* put(path)
        const ran = yield* clean(state)
        expect(ran).toMatchObject({ code: 0, out: "No upload session is recorded on this machine." })
        expect(ran.err).toContain(
          "Half a package is at Half, since 2026-11-21 00:00:00Z.\n" +
            `  To resume it: image-store upload '/tmp/my shop' Half ${AT}\n` +
            `  To remove it: image-store rm Half ${AT}`,
        )
        expect(ran.err).not.toMatch(/Whole|Gone/)
        expect(yield* records(state)).toEqual([`Half.${NOBODY}-1@${hostname()}.package`])
        expect(JSON.parse((yield* clean(state, "--json")).out)).toMatchObject({
          half: [{ path: "Half", source: "/tmp/my shop", touched: "2026-11-21T00:00:00.000Z" }],
        })
      })
    ))

  it.effect("speaks JSON", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* left(state, S)
        const { out } = yield* clean(state, "--json")
        expect(JSON.parse(out)).toEqual({
          deleted: 1,
          wouldDelete: 0,
          left: 0,
          failed: 0,
          half: [],
          sessions: [{ sessionId: S, path: "App/a.bin", size: 20, outcome: { _tag: "Deleted" } }],
        })
      })
    ))

  it.effect("exits with 1 where the cluster will not delete, and keeps the record", () =>
    run((state) =>
      Effect.gen(function* () {
        yield* left(state, S)
        yield* (yield* Emulator).inject(Fault.error("E_ACCESSDENIED"))
        const ran = yield* clean(state)
        expect(ran.code).toBe(1)
        expect(ran.out).toContain(`${S}  App/a.bin (20 B): failed: Cannot delete upload session`)
        expect(ran.err).toContain("1 upload session could not be deleted and stays recorded")
        expect(yield* records(state)).toHaveLength(1)
      })
    ))

  it.effect("finds nothing without failing", () =>
    run((state) =>
      Effect.gen(function* () {
        expect(yield* clean(state)).toMatchObject({
          code: 0,
          out: "No upload session is recorded on this machine.",
          err: "Cluster: http://one:19080 (from --endpoint)",
        })
        expect(JSON.parse((yield* clean(state, "--json")).out)).toMatchObject({ sessions: [] })
      })
    ))
})
