/**
 * The face without a socket: an `HttpClient` that is the gateway. It answers on every host.
 *
 * @module
 */
import * as Cookies from "@effect/platform/Cookies"
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as HttpIncomingMessage from "@effect/platform/HttpIncomingMessage"
import * as UrlParams from "@effect/platform/UrlParams"
import type * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Inspectable from "effect/Inspectable"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { End, Exchange } from "./Exchange.ts"
import type { Gateway, RequestHead } from "./Gateway.ts"
import type { Reply } from "./Reply.ts"

type Request = HttpClientRequest.HttpClientRequest
type Failure = HttpClientError.RequestError

/** A client whose requests go straight to a gateway. All waiting is on Effect's clock. */
export const clientOf = (gateway: Gateway): HttpClient.HttpClient =>
  HttpClient.makeWith<never, never, HttpClientError.HttpClientError, never>(
    (effect) =>
      Effect.flatMap(effect, (request) => Effect.clockWith((clock) => send(gateway, request, clock))),
    Effect.succeed,
  )

const send = (
  gateway: Gateway,
  request: Request,
  clock: Clock.Clock,
): Effect.Effect<HttpClientResponse.HttpClientResponse, Failure> => {
  const head = headOf(request)
  if (head === undefined) return new HttpClientError.RequestError({ request, reason: "InvalidUrl" })
  const exchange = gateway.open(head, clock.unsafeCurrentTimeMillis())
  if (exchange.early !== undefined) return finish(exchange, exchange.early, request, clock)
  const body = exchange.decided ? undefined : upload(gateway, exchange, request, clock)
  const complete = Effect.suspend(() =>
    finish(exchange, exchange.complete(clock.unsafeCurrentTimeMillis()), request, clock)
  )
  return body === undefined ? complete : Effect.zipRight(body, complete)
}

/** Says what an end means to a client, waiting where time has to pass. */
const finish = (
  exchange: Exchange,
  end: End,
  request: Request,
  clock: Clock.Clock,
): Effect.Effect<HttpClientResponse.HttpClientResponse, Failure> => {
  switch (end._tag) {
    case "Answer":
      return Effect.succeed(new GatewayResponse(request, end.reply, clock.unsafeCurrentTimeMillis()))
    case "Drop":
      return dropped(request, end.code)
    case "Never":
      return Effect.never
    case "Later":
      return Effect.flatMap(
        Effect.sleep(end.at - clock.unsafeCurrentTimeMillis()),
        () => finish(exchange, exchange.look(clock.unsafeCurrentTimeMillis()), request, clock),
      )
  }
}

const dropped = (request: Request, code: string): Effect.Effect<never, Failure> => {
  const text = code === "ECONNREFUSED" ? `connect ECONNREFUSED` : `socket hang up`
  return new HttpClientError.RequestError({
    request,
    reason: "Transport",
    description: text,
    cause: Object.assign(new Error(text), { code }),
  })
}

/** Splits the address without cleaning it up, so that `..` and the like reach the gateway. */
const headOf = (request: Request): RequestHead | undefined => {
  const parts = /^(https?:\/\/([^/?#]+))([^#]*)/i.exec(request.url)
  if (parts === null) return
  const target = parts[3] === "" || !parts[3]!.startsWith("/") ? `/${parts[3]}` : parts[3]!
  const query = request.urlParams.length === 0 ? "" : UrlParams.toString(request.urlParams)
  return {
    method: request.method,
    target: query === "" ? target : `${target}${target.includes("?") ? "&" : "?"}${query}`,
    origin: parts[1]!,
    host: parts[2]!.slice(parts[2]!.lastIndexOf("@") + 1),
    rawHeaders: Object.entries(request.headers).flat(),
  }
}

/** Passes the body on, in the time that it takes. `undefined`: there is nothing to do. */
const upload = (
  gateway: Gateway,
  exchange: Exchange,
  request: Request,
  clock: Clock.Clock,
): Effect.Effect<void, Failure> | undefined => {
  const { body } = request
  switch (body._tag) {
    case "Empty":
      return
    case "Uint8Array":
      return pass(gateway, exchange, body.body, clock)
    case "Stream":
      return Stream.runForEach(body.stream, (bytes) => pass(gateway, exchange, bytes, clock) ?? Effect.void)
        .pipe(
          Effect.onError(() => Effect.sync(() => exchange.cut())),
          Effect.mapError((cause) => new HttpClientError.RequestError({ request, reason: "Encode", cause })),
        )
    default:
      return Effect.tryPromise({
        try: () =>
          new Response((body._tag === "FormData" ? body.formData : body.body) as BodyInit).arrayBuffer(),
        catch: (cause) => new HttpClientError.RequestError({ request, reason: "Encode", cause }),
      }).pipe(Effect.flatMap((bytes) => pass(gateway, exchange, new Uint8Array(bytes), clock) ?? Effect.void))
  }
}

/** A sender may use its buffer again as soon as this is done, so the gateway gets a copy: not by `slice`, a `Buffer`'s shares. */
const pass = (
  gateway: Gateway,
  exchange: Exchange,
  bytes: Uint8Array,
  clock: Clock.Clock,
): Effect.Effect<void> | undefined => {
  const began = clock.unsafeCurrentTimeMillis()
  const wait = gateway.line.take(bytes.byteLength, began)
  if (wait <= 0) {
    exchange.receive(new Uint8Array(bytes))
    return
  }
  return Effect.sleep(wait).pipe(
    Effect.andThen(() => exchange.receive(new Uint8Array(bytes))),
    Effect.onInterrupt(() =>
      Effect.sync(() => {
        const through = (clock.unsafeCurrentTimeMillis() - began) / wait
        exchange.receive(new Uint8Array(bytes.subarray(0, Math.trunc(bytes.byteLength * through))))
        exchange.cut()
      })
    ),
  )
}

/** An answer whose body is there already: reading it crosses no promise, so the test clock is enough. */
class GatewayResponse extends Inspectable.Class implements HttpClientResponse.HttpClientResponse {
  readonly [HttpIncomingMessage.TypeId]: HttpIncomingMessage.TypeId = HttpIncomingMessage.TypeId
  readonly [HttpClientResponse.TypeId]: HttpClientResponse.TypeId = HttpClientResponse.TypeId
  readonly request: Request
  readonly #reply: Reply
  readonly #at: number

  /** `at` is when it was sent, in milliseconds since 1970. */
  constructor(request: Request, reply: Reply, at: number) {
    super()
    this.request = request
    this.#reply = reply
    this.#at = at
  }

  get status(): number {
    return this.#reply.status
  }

  get headers(): Headers.Headers {
    return Headers.fromInput({ Date: new Date(this.#at).toUTCString(), ...this.#reply.headers })
  }

  get cookies(): Cookies.Cookies {
    return Cookies.empty
  }

  get remoteAddress(): Option.Option<string> {
    return Option.none()
  }

  get text(): Effect.Effect<string, HttpClientError.ResponseError> {
    return Effect.succeed(this.#reply.body)
  }

  get json(): Effect.Effect<unknown, HttpClientError.ResponseError> {
    return Effect.try({
      try: () => this.#reply.body === "" ? null : JSON.parse(this.#reply.body) as unknown,
      catch: (cause) => this.#undecodable(cause),
    })
  }

  get urlParamsBody(): Effect.Effect<UrlParams.UrlParams, HttpClientError.ResponseError> {
    return Effect.sync(() => UrlParams.fromInput(new URLSearchParams(this.#reply.body)))
  }

  get formData(): Effect.Effect<FormData, HttpClientError.ResponseError> {
    return Effect.fail(this.#undecodable("a gateway sends no forms"))
  }

  get arrayBuffer(): Effect.Effect<ArrayBuffer, HttpClientError.ResponseError> {
    return Effect.sync(() => this.#bytes.buffer)
  }

  get stream(): Stream.Stream<Uint8Array, HttpClientError.ResponseError> {
    return this.#reply.body === "" ? Stream.empty : Stream.suspend(() => Stream.make(this.#bytes))
  }

  toJSON(): unknown {
    return HttpIncomingMessage.inspect(this, {
      _id: "@effect/platform/HttpClientResponse",
      request: this.request.toJSON(),
      status: this.status,
    })
  }

  get #bytes(): Uint8Array<ArrayBuffer> {
    return new TextEncoder().encode(this.#reply.body)
  }

  #undecodable(cause: unknown): HttpClientError.ResponseError {
    return new HttpClientError.ResponseError({
      request: this.request,
      response: this,
      reason: "Decode",
      cause,
    })
  }
}
