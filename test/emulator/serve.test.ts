import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as TestClock from "effect/TestClock"
import { Buffer } from "node:buffer"
import * as net from "node:net"
import { Emulator, Fault } from "../../src/emulator/mod.ts"
import { turn } from "../support/turn.ts"
import { S } from "./support/calls.ts"
import { talk } from "./support/socket.ts"

const serve = Emulator.serve({ port: 0 }).pipe(Logger.withMinimumLogLevel(LogLevel.None))

const close = "Host: h\r\nConnection: close\r\n"
const statusLines = (text: string) => text.match(/HTTP\/1\.1 .*?(?=\r\n)/g) ?? []

describe("the served emulator", () => {
  it.scoped("writes status lines and headers as the gateway spells them", () =>
    Effect.gen(function* () {
      const { url } = yield* serve
      yield* TestClock.adjust("1 hour")
      const { text } = yield* talk(
        url,
        `DELETE /ImageStore/$/DeleteUploadSession?session-id=${S}&api-version=6.0 HTTP/1.1\r\n${close}\r\n`,
      )
      assert.strictEqual(
        text,
        "HTTP/1.1 404 NotFound\r\n" +
          "Date: Thu, 01 Jan 1970 01:00:00 GMT\r\n" +
          "Content-Type: application/json; charset=utf-8\r\n" +
          "X-Content-Type-Options: nosniff\r\n" +
          "Content-Length: 46\r\n" +
          "Connection: close\r\n\r\n" +
          `{"Error":{"Code":"NotFound","Message":"Null"}}`,
      )
    }))

  for (
    const [name, head, status] of [
      ["an unknown route", "PUT /ImageStore/$/Nothing?api-version=6.0", 400],
      ["a missing api-version", "PUT /ImageStore/a", 400],
      [
        "a range that cannot be",
        `PUT /ImageStore/a/$/UploadChunk?session-id=${S}&api-version=6.0 HTTP/1.1\r\nContent-Range: bytes 10-5/20`,
        400,
      ],
      ["another cluster's id", "PUT /ImageStore/a?api-version=6.0 HTTP/1.1\r\nClusterId: other", 403],
    ] as const
  ) {
    it.scoped(`does not wait for the body to refuse ${name}`, () =>
      Effect.gen(function* () {
        const { emulator, url } = yield* Emulator.serve({ port: 0, clusterId: "own" }).pipe(
          Logger.withMinimumLogLevel(LogLevel.None),
        )
        const [line, ...headers] = head.split(/ HTTP\/1.1\r\n/)
        // The body never comes.
        const { text } = yield* talk(
          url,
          `${line} HTTP/1.1\r\n${
            [...headers, close].join("\r\n")
          }Content-Length: 1000\r\nExpect: 100-continue\r\n\r\n`,
        )
        assert.deepStrictEqual(statusLines(text).map((line) => line.split(" ")[1]), [String(status)])
        assert.strictEqual(yield* emulator.leaked, 0)
      }))
  }

  it.scoped("asks for the body where it wants it, and for no more of one that is too large", () =>
    Effect.gen(function* () {
      const { url } = yield* serve
      const put = yield* talk(
        url,
        `PUT /ImageStore/a?api-version=6.0 HTTP/1.1\r\n${close}Content-Length: 3\r\nExpect: 100-continue\r\n\r\nabc`,
      )
      assert.deepStrictEqual(statusLines(put.text), ["HTTP/1.1 100 Continue", "HTTP/1.1 200 OK"])
      const copy = yield* talk(
        url,
        Buffer.concat([
          Buffer.from(
            `POST /ImageStore/$/Copy?api-version=6.0 HTTP/1.1\r\n${close}Content-Length: 9000000\r\n\r\n`,
          ),
          Buffer.alloc(4 * 1024 * 1024 + 1, " "),
        ]),
      )
      assert.include(statusLines(copy.text)[0], "413 FABRIC_E_MESSAGE_TOO_LARGE")
    }))

  it.scoped("answers pipelined requests in their order", () =>
    Effect.gen(function* () {
      const { emulator, url } = yield* serve
      const { text } = yield* talk(
        url,
        "PUT /ImageStore/a?api-version=6.0 HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabc" +
          "GET /ImageStore/none?api-version=6.2 HTTP/1.1\r\nHost: h\r\n\r\n" +
          "PUT /ImageStore/b?api-version=6.0 HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n" +
          "2\r\nde\r\n0\r\n\r\n" +
          `GET http://elsewhere/$/GetClusterVersion?api-version=6.4 HTTP/1.1\r\n${close}\r\n`,
      )
      assert.deepStrictEqual(statusLines(text), [
        "HTTP/1.1 200 OK",
        "HTTP/1.1 404 Not Found",
        "HTTP/1.1 200 OK",
        "HTTP/1.1 200 OK",
      ])
      assert.include(text, `{"Version":"`)
      assert.deepStrictEqual((yield* emulator.files).map(({ path, size }) => [path, size]), [["a", 3], [
        "b",
        2,
      ]])
    }))

  it.scoped("stores nothing of a body that is cut short, and counts what leaks", () =>
    Effect.gen(function* () {
      const { emulator, url } = yield* serve
      yield* talk(
        url,
        `PUT /ImageStore/a/$/UploadChunk?session-id=${S}&api-version=6.0 HTTP/1.1\r\nHost: h\r\n` +
          "Content-Range: bytes 0-9/10\r\nContent-Length: 10\r\n\r\n12345",
        { hangUp: true },
      )
      yield* Effect.repeat(turn, {
        until: () => Effect.map(emulator.leaked, (leaked) => leaked > 0),
      })
      assert.strictEqual(yield* emulator.leaked, 5)
      assert.lengthOf(yield* emulator.sessions, 0)
      assert.strictEqual((yield* emulator.requests)[0]!.status, undefined)
    }))

  it.scoped("answers what is no HTTP at all as the listener does", () =>
    Effect.gen(function* () {
      const { url } = yield* serve
      for (
        const garbage of [
          "GARBAGE\r\n\r\n",
          "GET /ImageStore HTTP/9.9\r\n\r\n",
          "\u0000\u0001\u0002\r\n\r\n",
          "GET / HTTP/1.1\r\nno colon\r\n\r\n",
          `GET / HTTP/1.1\r\nContent-Length: x\r\n\r\n`,
        ]
      ) {
        const { text } = yield* talk(url, garbage)
        assert.deepStrictEqual(statusLines(text), ["HTTP/1.1 400 Bad Request"], garbage)
        assert.include(text, "Content-Type: text/html; charset=us-ascii")
      }
      const { text } = yield* talk(url, `GET /ImageStore?api-version=6.0 HTTP/1.1\r\n${close}\r\n`)
      assert.deepStrictEqual(statusLines(text), ["HTTP/1.1 404 FABRIC_E_NAME_DOES_NOT_EXIST"])
    }))

  it.scoped("resets the connection where a fault says so", () =>
    Effect.gen(function* () {
      const { emulator, url } = yield* serve
      const put = `PUT /ImageStore/a?api-version=6.0 HTTP/1.1\r\n${close}Content-Length: 3\r\n\r\nabc`
      for (const fault of [Fault.reset, Fault.refuse]) {
        yield* emulator.inject(fault)
        assert.deepStrictEqual(yield* talk(url, put), { text: "", end: "ECONNRESET" })
        assert.lengthOf(yield* emulator.files, 0)
      }
      yield* emulator.inject(Fault.dropAnswer)
      assert.deepStrictEqual(yield* talk(url, put), { text: "", end: "ECONNRESET" })
      assert.lengthOf(yield* emulator.files, 1)
    }))

  it.scoped("waits on Effect's clock", () =>
    Effect.gen(function* () {
      const { emulator, url } = yield* serve
      yield* emulator.inject(Fault.delay("1 hour"))
      const call = yield* Effect.fork(talk(url, `GET /ImageStore/a?api-version=6.2 HTTP/1.1\r\n${close}\r\n`))
      yield* Effect.repeat(turn, {
        until: () => Effect.map(TestClock.sleeps(), (sleeps) => [...sleeps].length > 0),
      })
      yield* TestClock.adjust("1 hour")
      assert.deepStrictEqual(statusLines((yield* call).text), ["HTTP/1.1 404 Not Found"])
    }))

  it.scoped("survives answers that HTTP cannot carry", () =>
    Effect.gen(function* () {
      const { emulator, url } = yield* serve
      const get = `GET /ImageStore?api-version=6.2 HTTP/1.1\r\n${close}\r\n`
      yield* emulator.inject(Fault.answer({ status: 200, headers: { "bad name": "\n" } }))
      assert.strictEqual((yield* talk(url, get)).end, "ECONNRESET")
      yield* emulator.inject(Fault.reply(502))
      assert.deepStrictEqual(statusLines((yield* talk(url, get)).text), ["HTTP/1.1 502 "])
    }))

  it.scoped("logs a line a request: for those who debug, or at the level that is asked for", () =>
    Effect.gen(function* () {
      const put = `PUT /ImageStore/a?api-version=6.0 HTTP/1.1\r\n${close}Content-Length: 3\r\n\r\nabc`
      const linesAt = (minimum: LogLevel.LogLevel, options: { readonly logLevel?: LogLevel.LogLevel } = {}) =>
        Effect.gen(function* () {
          const lines: Array<string> = []
          const logger = Logger.make(({ logLevel, message }) => lines.push(`${logLevel.label} ${message}`))
          const { emulator, url } = yield* Emulator.serve({ port: 0, ...options }).pipe(
            Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
            Logger.withMinimumLogLevel(minimum),
          )
          yield* talk(url, put)
          assert.lengthOf(yield* emulator.requests, 1)
          return lines
        })
      const line = "PUT /ImageStore/a?api-version=6.0 200 OK UploadFile 3 bytes 0 ms"
      assert.deepStrictEqual(yield* linesAt(LogLevel.Info), [])
      assert.deepStrictEqual(yield* linesAt(LogLevel.Debug), [`DEBUG ${line}`])
      assert.deepStrictEqual(yield* linesAt(LogLevel.Info, { logLevel: LogLevel.Info }), [`INFO ${line}`])
      assert.deepStrictEqual(yield* linesAt(LogLevel.None, { logLevel: LogLevel.Info }), [])
    }))

  it.scoped("says when its port is taken", () =>
    Effect.gen(function* () {
      const { url } = yield* serve
      const error = yield* Effect.flip(Emulator.serve({ port: Number(new URL(url).port) }))
      assert.strictEqual(error._tag, "ServeError")
      assert.strictEqual((error.cause as NodeJS.ErrnoException).code, "EADDRINUSE")
    }))

  it.effect("is gone with its scope, whatever is still open", () =>
    Effect.gen(function* () {
      const url = yield* Effect.scoped(Effect.gen(function* () {
        const { emulator, url } = yield* serve
        yield* emulator.inject(Fault.hang)
        yield* Effect.forkDaemon(talk(url, "GET /ImageStore?api-version=6.2 HTTP/1.1\r\nHost: h\r\n\r\n"))
        yield* Effect.repeat(turn, {
          until: () => Effect.map(emulator.requests, ({ length }) => length > 0),
        })
        return url
      }))
      const end = yield* Effect.async<string>((resume) => {
        const socket = net.connect(Number(new URL(url).port), "127.0.0.1")
        socket.on("error", (error: NodeJS.ErrnoException) => resume(Effect.succeed(error.code!)))
        socket.on("connect", () => resume(Effect.succeed("connected")))
      })
      assert.strictEqual(end, "ECONNREFUSED")
    }))
})
