/**
 * The face with a socket: `node:http`, which Deno and Bun have as well.
 *
 * @module
 */
import * as HttpServerError from "@effect/platform/HttpServerError"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as FiberRef from "effect/FiberRef"
import * as FiberSet from "effect/FiberSet"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import { Buffer } from "node:buffer"
import * as http from "node:http"
import type { AddressInfo, Socket } from "node:net"
import type { End, Exchange } from "./Exchange.ts"
import type { Gateway } from "./Gateway.ts"
import { headerOf } from "./rawHeaders.ts"
import * as Reply from "./Reply.ts"
import { requestLine } from "./requestLine.ts"

/** Where to listen. */
export interface ServeOptions {
  /** 0 takes a free one. The gateway's own is 19080. */
  readonly port: number
  /** Default `127.0.0.1`: the emulator asks for no credentials, so it is for this machine only. */
  readonly host?: string
  /** At which level each request is logged, in one line. Default `Debug`: tests want no such lines. */
  readonly logLevel?: LogLevel.LogLevel
}

/** Connections without a request are closed after that, as HTTP.sys does. */
const KEEP_ALIVE = 120_000

/** Serves a gateway until the scope closes. Returns its URL, without a `/` at the end. */
export const listen = (
  gateway: Gateway,
  { port, host = "127.0.0.1", logLevel = LogLevel.Debug }: ServeOptions,
): Effect.Effect<string, HttpServerError.ServeError, Scope.Scope> =>
  Effect.gen(function* () {
    const clock = yield* Effect.clock
    const logs = LogLevel.lessThanEqual(yield* FiberRef.get(FiberRef.currentMinimumLogLevel), logLevel)
    // What waits for its time ends with the scope.
    const run = yield* FiberSet.makeRuntime<never>()
    const log = logs ? (line: string) => run(Effect.logWithLevel(logLevel, line)) : undefined
    const answer = handler(gateway, clock, run, log)
    const server = http.createServer({ requestTimeout: 0, keepAliveTimeout: KEEP_ALIVE })
    server.on("request", (request, response) => answer(request, response))
    server.on("checkExpectation", (request, response) => answer(request, response))
    server.on("checkContinue", (request, response) => answer(request, response, true))
    server.on("clientError", (_, socket) => refuse(socket as Socket))
    server.on("connection", (socket) => socket.setNoDelay(true))
    yield* Effect.acquireRelease(
      Effect.async<void, HttpServerError.ServeError>((resume) => {
        server.once("error", (cause) => resume(new HttpServerError.ServeError({ cause })))
        try {
          server.listen(port, host, () => resume(Effect.void))
        } catch (cause) {
          resume(new HttpServerError.ServeError({ cause })) // There is no such port.
        }
      }),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          server.closeAllConnections()
        }),
    )
    const address = server.address() as AddressInfo
    return `http://${address.family === "IPv6" ? `[${address.address}]` : address.address}:${address.port}`
  })

/** What cannot be read as HTTP gets the listener's own answer. */
const refuse = (socket: Socket): void => {
  if (!socket.writable) return void socket.destroy()
  const { status, reason, headers, body } = Reply.listenerBadRequest
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nContent-Type: ${headers["Content-Type"]}\r\nConnection: close\r\n` +
      `Content-Length: ${body.length}\r\n\r\n${body}`,
  )
}

/**
 * Plain functions from the request to its answer: fibers start only where time has to pass, and where a log
 * line is wanted. `asks`: the body comes only when it is called for (`Expect: 100-continue`).
 */
const handler = (
  gateway: Gateway,
  clock: Clock.Clock,
  run: (effect: Effect.Effect<void>) => void,
  log: ((line: string) => void) | undefined,
): (request: http.IncomingMessage, response: http.ServerResponse, asks?: boolean) => void => {
  const now = () => clock.unsafeCurrentTimeMillis()
  const date = httpDate(now)

  const after = (millis: number, then: () => void) => {
    run(Effect.andThen(Effect.sleep(millis), Effect.sync(then)))
  }

  const finish = (exchange: Exchange, end: End, response: http.ServerResponse): void => {
    if (end._tag === "Later") {
      return after(end.at - now(), () => finish(exchange, exchange.look(now()), response))
    }
    if (end._tag === "Answer") write(response, end.reply, date())
    else if (end._tag === "Drop") drop(response.socket)
    log?.(requestLine(exchange.record, end, now()))
  }

  return (request, response, asks = false) => {
    const { rawHeaders } = request
    // Not `request.headers`, which would be put together for this alone.
    const host = headerOf(rawHeaders, "host") ?? ""
    const exchange = gateway.open({
      method: request.method ?? "",
      target: request.url ?? "",
      origin: `http://${host}`,
      host,
      rawHeaders,
    }, now())
    response.on("error", ignore)
    if (exchange.early !== undefined) return finish(exchange, exchange.early, response)
    let begun = false
    let whole = false
    /** When the bytes that have come would be through the line. */
    let through = 0
    const begin = () => {
      if (begun) return
      begun = true
      finish(exchange, exchange.complete(now()), response)
    }
    // Also where there is no body: an answer that overtakes the end of its request costs more, above all on Deno.
    request.on("end", () => {
      whole = true
      // The end follows the last bytes at once, pause or no pause.
      const wait = through === 0 ? 0 : through - now()
      if (wait > 0) after(wait, begin)
      else begin()
    })
    if (hasNoBody(rawHeaders)) return void request.resume()
    if (exchange.decided) {
      // One who asks whether to send a body may not send it now, so what comes next could not be read.
      if (asks) response.shouldKeepAlive = false
      begin()
    } else if (asks) response.writeContinue()
    request.on("error", ignore)
    request.on("data", (bytes: Buffer) => {
      exchange.receive(bytes)
      if (exchange.decided) begin()
      const wait = gateway.line.take(bytes.byteLength, now())
      if (wait < 1) return
      through = now() + wait
      request.pause()
      after(wait, () => request.resume())
    })
    request.on("close", () => {
      if (!begun && !whole) exchange.cut()
    })
  }
}

const ignore = (): void => {}

const hasNoBody = (rawHeaders: ReadonlyArray<string>): boolean =>
  (headerOf(rawHeaders, "content-length") ?? "0") === "0" &&
  headerOf(rawHeaders, "transfer-encoding") === undefined

/** By `setHeader` and `end` alone: then Deno sends head and body in one piece. */
const write = (
  response: http.ServerResponse,
  { body, headers, reason, status }: Reply.Reply,
  date: string,
): void => {
  if (response.destroyed) return
  try {
    response.statusCode = status
    response.statusMessage = reason
    response.sendDate = false
    response.setHeader("Date", date)
    for (const name in headers) response.setHeader(name, headers[name]!)
    if (status >= 200 && status !== 204 && status !== 304) {
      response.setHeader("Content-Length", Buffer.byteLength(body))
    }
    // HTTP.sys says nothing of the connection while it stays open.
    if (response.shouldKeepAlive) response.removeHeader("connection")
    // An empty phrase would be replaced by the usual one.
    if (reason === "") response.writeHead(status, "")
    response.end(body)
  } catch {
    // A fault may ask for an answer that HTTP cannot carry.
    drop(response.socket)
  }
}

const drop = (socket: Socket | null): void => {
  if (socket === null) return
  // A reset, not an orderly end: that is how a gateway that dies looks.
  socket.resetAndDestroy()
}

/** The `Date` header of a moment, made once a second. */
const httpDate = (now: () => number): () => string => {
  let second = NaN
  let text = ""
  return () => {
    const current = Math.trunc(now() / 1000)
    if (current !== second) {
      second = current
      text = new Date(current * 1000).toUTCString()
    }
    return text
  }
}
