import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Emulator } from "../../src/emulator/mod.ts"
import { S, T } from "../support/cluster.ts"
import { chunk, imageStore } from "./terminal.ts"

const AT = "--endpoint http://one:19080"

describe("session delete", () => {
  it.effect("deletes, and names its cluster on stderr", () =>
    Effect.gen(function* () {
      yield* chunk("App/a.bin", S, "0-4999/20000", 5000)
      const ran = yield* imageStore(`session delete ${S.toUpperCase()} ${AT}`)
      expect(ran).toMatchObject({
        code: 0,
        out: `Deleted upload session ${S.toUpperCase()}.`,
        err: "Cluster: http://one:19080 (from --endpoint)",
      })
      expect(yield* (yield* Emulator).sessions).toEqual([])
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("exits with 1 for a session that is not there, and with 0 given --if-exists", () =>
    Effect.gen(function* () {
      const ran = yield* imageStore(`session delete ${S} ${AT}`)
      expect(ran.code).toBe(1)
      expect(ran.out).toBe("")
      expect(ran.err).toContain(
        `Cannot delete upload session ${S} at one:19080: the cluster answered 404 NotFound`,
      )
      expect(ran.err).not.toContain("    at ")
      expect(yield* imageStore(`session delete ${S} --if-exists ${AT}`)).toMatchObject({
        code: 0,
        out: `There is no upload session ${S}.`,
      })
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("speaks JSON: the result on stdout, the rest line by line on stderr", () =>
    Effect.gen(function* () {
      yield* chunk("App/a.bin", S, "0-4999/20000", 5000)
      const done = yield* imageStore(`session delete ${S} --json ${AT}`)
      expect(JSON.parse(done.out)).toEqual({ sessionId: S, deleted: true })
      const time = expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/)
      expect(JSON.parse(done.err)).toEqual({
        time,
        level: "info",
        message: "Cluster: http://one:19080 (from --endpoint)",
        cluster: ["http://one:19080"],
        from: "--endpoint",
      })
      const failed = yield* imageStore(`session delete ${S} --json ${AT}`)
      expect(failed.out).toBe("")
      expect(JSON.parse(failed.err.split("\n")[1]!)).toEqual({
        time,
        level: "error",
        message: expect.stringContaining("404 NotFound"),
        error: {
          exitCode: 1,
          operation: "DeleteImageStoreUploadSession",
          endpoint: "one:19080",
          attempts: 1,
          reason: { _tag: "Rejected", status: 404, code: "NotFound", detail: "" },
        },
      })
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("sends the timeout that it was given", () =>
    Effect.gen(function* () {
      yield* imageStore(`session delete ${S} --timeout 7 ${AT}`)
      yield* imageStore(`session delete ${S} ${AT}`)
      const requests = yield* (yield* Emulator).requests
      expect(requests.map(({ url }) => new URL(url).searchParams.get("timeout"))).toEqual(["7", "60"])
    }).pipe(Effect.provide(Emulator.layer())))
})

describe("session show", () => {
  it.effect("shows what arrived and what is missing", () =>
    Effect.gen(function* () {
      yield* chunk("App/a.bin", S, "0-4999/20000", 5000)
      expect((yield* imageStore(`session show ${S} ${AT}`)).out).toBe(
        [
          `Session     ${S}`,
          "Path        App/a.bin",
          "Size        19.5 KiB (20000 bytes)",
          "Received    4.9 KiB, 25 %",
          "Last chunk  1970-01-01 00:00:00Z",
          "Missing     1 range",
          "  bytes 5000-19999 (14.6 KiB)",
        ].join("\n"),
      )
      expect(JSON.parse((yield* imageStore(`session show ${S} --json ${AT}`)).out)).toEqual({
        sessionId: S,
        path: "App/a.bin",
        size: 20000,
        modified: "1970-01-01T00:00:00.000Z",
        expected: [{ first: 5000, last: 19999 }],
      })
      yield* chunk("App/a.bin", S, "5000-19999/20000", 15000)
      expect((yield* imageStore(`session show ${S} ${AT}`)).out).toContain(
        "Missing     nothing: ready to commit, or committed already",
      )
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("exits with 1 for a session that is not there", () =>
    Effect.gen(function* () {
      const ran = yield* imageStore(`session show ${S} ${AT}`)
      expect(ran.code).toBe(1)
      expect(ran.err).toContain(`There is no upload session ${S} at one:19080`)
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("counts the ranges that are too many to print", () =>
    Effect.gen(function* () {
      for (let at = 0; at < 60; at += 2) yield* chunk("a", S, `${at}-${at}/1000`, 1)
      const { out } = yield* imageStore(`session show ${S} ${AT}`)
      expect(out).toContain("Missing     30 ranges")
      expect(out.match(/^ {2}bytes /gm)).toHaveLength(20)
      expect(out).toContain("  and 10 more")
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("says in JSON, too, that none is there", () =>
    Effect.gen(function* () {
      const ran = yield* imageStore(`session show ${S} --json ${AT}`)
      expect(ran).toMatchObject({ code: 1, out: "" })
      expect(JSON.parse(ran.err).error).toEqual({
        exitCode: 1,
        operation: "GetImageStoreUploadSessionById",
        endpoint: "one:19080",
        attempts: 1,
        reason: {
          _tag: "Rejected",
          status: 204,
          code: "NotFound",
          detail: expect.stringMatching(/^it was deleted, or it has expired/),
        },
      })
    }).pipe(Effect.provide(Emulator.layer())))
})

describe("session list", () => {
  it.effect("lists the sessions of a path", () =>
    Effect.gen(function* () {
      yield* chunk("App/a.bin", S, "0-4999/20000", 5000)
      yield* chunk("App/a.bin", T, "0-0/1", 1)
      const { out } = yield* imageStore(`session list App/a.bin ${AT}`)
      expect(out.split("\n").slice(0, 1)).toEqual([
        "SESSION                                   SIZE  RECEIVED  LAST CHUNK",
      ])
      expect(out).toContain(`${S}  19.5 KiB      25 %  1970-01-01 00:00:00Z`)
      expect(out).toContain(`${T}       1 B     100 %  1970-01-01 00:00:00Z`)
      expect(JSON.parse((yield* imageStore(`session list App/a.bin --json ${AT}`)).out)).toHaveLength(2)
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("finds none without failing", () =>
    Effect.gen(function* () {
      expect(yield* imageStore(`session list App/a.bin ${AT}`)).toMatchObject({
        code: 0,
        out: "",
        err: "There is no upload session for App/a.bin.",
      })
      expect((yield* imageStore(`session list App/a.bin --json ${AT}`)).out).toBe("[]")
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("says what a Linux cluster lacks", () =>
    Effect.gen(function* () {
      const ran = yield* imageStore(`session list App/a.bin ${AT}`)
      expect(ran.code).toBe(1)
      expect(ran.err).toContain("this is a Linux cluster")
    }).pipe(Effect.provide(Emulator.layer({ os: "linux" }))))
})

describe("session commit", () => {
  it.effect("commits, and tells how to free the space", () =>
    Effect.gen(function* () {
      yield* chunk("App/a.bin", S, "0-4999/5000", 5000)
      const ran = yield* imageStore(`session commit ${S} ${AT}`)
      expect(ran).toMatchObject({ code: 0, out: `Committed upload session ${S}.` })
      const next = `image-store session delete ${S} ${AT}`
      expect(ran.err).toContain(`To free it: ${next}`)
      const json = yield* imageStore(`session commit ${S} --json ${AT}`)
      expect(JSON.parse(json.err.split("\n").at(-1)!)).toMatchObject({ next })
      expect((yield* (yield* Emulator).files).map(({ path }) => path)).toEqual(["App/a.bin"])
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("tells a session with gaps from one that is not there", () =>
    Effect.gen(function* () {
      yield* chunk("App/a.bin", S, "0-4999/20000", 5000)
      const gaps = yield* imageStore(`session commit ${S} ${AT}`)
      expect(gaps.code).toBe(1)
      expect(gaps.err.split("\n").at(-1)).toBe(
        `Cannot commit upload session ${S} at one:19080: the cluster answered 400 E_INVALIDARG: ` +
          `the session still misses 1 range; see image-store session show ${S} ${AT}`,
      )
      const unknown = yield* imageStore(`session commit ${T} ${AT}`)
      expect(unknown.code).toBe(1)
      expect(unknown.err.split("\n").at(-1)).toBe(
        `Cannot commit upload session ${T} at one:19080: the cluster answered 400 E_INVALIDARG: ` +
          "it does not know this session: it was deleted, or it has expired 30 minutes after its last chunk, " +
          "or the cluster's primary moved, which loses all sessions",
      )
      const json = yield* imageStore(`session commit ${T} ${AT} --json`)
      expect(JSON.parse(json.err.split("\n").at(-1)!).error).toMatchObject({
        operation: "CommitImageStoreUploadSession",
        reason: { _tag: "Rejected", status: 400, code: "E_INVALIDARG" },
      })
    }).pipe(Effect.provide(Emulator.layer())))
})
