/**
 * The default transport: a lean `HttpClient` on `node:http(s)`, which Deno and Bun run as well.
 *
 * @module
 */
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import type * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as UrlParams from "@effect/platform/UrlParams"
import * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createPrivateKey } from "node:crypto"
import type * as Http from "node:http"
import { Readable } from "node:stream"
import * as Tls from "node:tls"
import { trustOf } from "./credentials/trust.ts"
import { type ClientCertificate, FabricConfig } from "./FabricConfig.ts"
import { type Pool, Pools } from "./transport/connections.ts"
import * as Exchange from "./transport/Exchange.ts"
import { NoAnswer, noAnswer } from "./transport/NoAnswer.ts"
import { Sending } from "./transport/Sending.ts"

const unwatched: Exchange.Watch = {
  begin: () => {},
  progress: () => {},
  sent: () => {},
  after: (milliseconds, then) => {
    const timer = setTimeout(then, milliseconds)
    return () => clearTimeout(timer)
  },
  unseen: () => {},
  interrupted: () => false,
  end: () => {},
}

type Resume = (end: Exchange.End) => void

/** A request on its way, until its whole answer is in. */
class RoundTrip {
  readonly #pool: Pool
  readonly #watch: Exchange.Watch
  #resume: Resume
  /** Forgotten when it is over: what a finished call holds on to, the collector has to carry along. */
  #sending: Sending | undefined
  #stop: (() => void) | undefined
  #sent = false
  #size = 0
  #begun = 0
  #lost = false
  #answer: Exchange.Answer | undefined

  constructor(pool: Pool, watch: Exchange.Watch, resume: Resume) {
    this.#pool = pool
    this.#watch = watch
    this.#resume = resume
  }

  start(outgoing: Exchange.Outgoing): void {
    this.#size = Exchange.bodySize(outgoing.body)
    this.#begun = performance.now()
    const sending = this.#sending = new Sending(this.#pool, outgoing, this.#watch, {
      response: (response) => this.#read(response),
      sent: () => {
        this.#sent = true
        this.#settle()
      },
      failed: (cause) => this.#failed(cause),
      closed: () => this.#closed(),
    })
    this.#watch.begin(() =>
      this.#cut(this.#answer === undefined ? this.#unmet(sending) : Exit.succeed(this.#answer))
    )
    try {
      sending.start()
    } catch (cause) {
      this.#over(Exit.fail(noAnswer(cause)))
    }
  }

  /** What it was that did not happen in time. */
  #unmet({ asking, connecting }: Sending): Exchange.End {
    return connecting
      ? Exit.fail(new NoAnswer("ETIMEDOUT", "the connection was not made", "no"))
      : this.#sent
      ? Exchange.expired
      : Exit.fail(new NoAnswer("ESTALLED", "no byte of the body went out for 30 s", asking ? "no" : "maybe"))
  }

  /** Nobody waits for the answer any more: it goes on to its end where it may, and is cut off otherwise. */
  readonly interrupted: Effect.Effect<void> = Effect.suspend(() => {
    if (this.#sending === undefined) return Effect.void
    if (!this.#sending.asking && this.#watch.interrupted()) {
      return Effect.async<void>((resume) => {
        this.#resume = () => resume(Effect.void)
      })
    }
    this.#cut(this.#sending.asking ? Exchange.calledOff : Exchange.cutOff)
    return Effect.void
  })

  /** Cuts the connection. What arrives from now on is ignored. */
  #cut(end: Exchange.End): void {
    const sending = this.#sending
    this.#over(end)
    sending?.destroy()
  }

  #over(end: Exchange.End): void {
    this.#sending?.stop()
    this.#sending = undefined
    this.#stop?.()
    this.#stop = undefined
    this.#watch.end(end)
    this.#resume(end)
  }

  #closed(): void {
    // Most are over by then, and an error with its stack is expensive.
    if (this.#sending === undefined) return
    this.#failed(Object.assign(new Error("the connection was closed"), { code: "ECONNRESET" }))
  }

  #failed(cause: unknown): void {
    if (this.#sending === undefined) return
    // A gateway that refuses a body answers first and hangs up then: the answer is what counts.
    this.#sent = true
    if (this.#answer !== undefined) return this.#settle()
    if (this.#lost) return // Already looked into.
    this.#lost = true
    this.#sending.destroy()
    this.#sending.stop() // The body's own fiber: it must not go on reading its source.
    this.#stop = this.#pool.diagnose(noAnswer(cause), this.#sending.connected, (error) => {
      if (this.#sending === undefined) return
      this.#over(Exit.fail(this.#sending.asking ? new NoAnswer(error.code, error.detail, "no") : error))
    })
  }

  #read(response: Http.IncomingMessage): void {
    this.#pool.answered()
    const status = response.statusCode ?? 0
    const finish = (text: string) => {
      const answer = { status, headers: response.headers, text }
      this.#answer ??= this.#sending?.asking === true ? { ...answer, unsent: true } : answer
      this.#settle()
    }
    if (status === 204 || response.headers["content-length"] === "0") {
      response.resume()
      response.on("end", () => finish(""))
    } else {
      collect(response, Exchange.bodyLimit(status), finish)
    }
    response.on("error", (cause) => this.#failed(cause))
  }

  /** Over when the answer is in and the body is out: its buffer may be used again from then on. */
  #settle(): void {
    const answer = this.#answer
    if (answer === undefined || this.#sending === undefined || !(this.#sent || answer.unsent)) return
    if (answer.status === 502) this.#pool.drop()
    // The gateway may still count on the body: nothing else can go out there.
    if (answer.unsent) return this.#cut(Exit.succeed(answer))
    if (answer.status === 200) this.#pool.arrived(this.#size, performance.now() - this.#begun)
    this.#over(Exit.succeed(answer))
  }
}

/** Reads a body as text, up to `limit` bytes; the rest is not waited for. */
const collect = (response: Http.IncomingMessage, limit: number, finish: (text: string) => void): void => {
  const chunks: Array<Uint8Array> = []
  let room = limit
  response.on("data", (chunk: Uint8Array) => {
    chunks.push(chunk.subarray(0, room))
    room -= chunk.length
    if (room > 0) return
    finish(Buffer.concat(chunks).toString())
    response.destroy()
  })
  response.on("end", () => finish(Buffer.concat(chunks).toString()))
}

const exchangeOver = (pools: Pools): Exchange.Exchange => (outgoing, watch) =>
  Effect.async((resume) => {
    const roundTrip = new RoundTrip(pools.of(outgoing.origin), watch, resume)
    roundTrip.start(outgoing)
    return roundTrip.interrupted
  })

/** The face that every `HttpClient` has: an answer as soon as its headers are in, its body as a stream. */
const executeOver = (pools: Pools) => (request: HttpClientRequest.HttpClientRequest) =>
  Effect.flatMap(
    Either.mapLeft(toOutgoing(request), (cause) => requestError(request, "Encode", cause)),
    (outgoing) =>
      Effect.async<HttpClientResponse.HttpClientResponse, HttpClientError.RequestError>((resume) => {
        const fail = (cause: unknown) => resume(Effect.fail(requestError(request, "Transport", cause)))
        try {
          const sending = new Sending(pools.of(outgoing.origin), outgoing, unwatched, {
            response: (response) => {
              if (sending.asking) response.on("close", () => sending.destroy())
              resume(Effect.sync(() => toResponse(request, response)))
            },
            sent: () => {},
            failed: fail,
            closed: () => {},
          })
          sending.start()
          return Effect.sync(() => sending.destroy())
        } catch (cause) {
          fail(cause)
        }
      }),
  )

const requestError = (
  request: HttpClientRequest.HttpClientRequest,
  reason: HttpClientError.RequestError["reason"],
  cause: unknown,
) => new HttpClientError.RequestError({ request, reason, cause })

const toOutgoing = (request: HttpClientRequest.HttpClientRequest): Either.Either<Exchange.Outgoing, Error> =>
  Either.flatMap(
    UrlParams.makeUrl(request.url, request.urlParams, request.hash),
    (url) =>
      Either.map(toBody(request.body), (body) => ({
        method: request.method,
        origin: url.origin,
        target: url.pathname + url.search,
        // The connection's own to say.
        headers: Headers.remove(request.headers, ["content-length", "host"]),
        body,
      })),
  )

/** The gateway takes the size of a body from `Content-Length` (protocol.md 3.2), so it has to be known. */
const toBody = (
  body: HttpClientRequest.HttpClientRequest["body"],
): Either.Either<Exchange.Body | undefined, Error> => {
  switch (body._tag) {
    case "Empty":
      return Either.right(undefined)
    case "Uint8Array":
      return Either.right(body.body)
    case "Stream":
      return body.contentLength === undefined
        ? Either.left(new Error("a stream needs a contentLength"))
        : Either.right({ stream: body.stream, size: body.contentLength })
    default:
      return Either.left(new Error(`a body of kind ${body._tag} cannot be sent; give bytes or a stream`))
  }
}

const toResponse = (request: HttpClientRequest.HttpClientRequest, response: Http.IncomingMessage) => {
  const status = response.statusCode ?? 0
  const headers = new globalThis.Headers()
  for (let i = 0; i < response.rawHeaders.length; i += 2) {
    headers.append(response.rawHeaders[i]!, response.rawHeaders[i + 1]!)
  }
  const empty = status === 204 || status === 304 || request.method === "HEAD"
  if (empty) response.resume()
  return HttpClientResponse.fromWeb(
    request,
    new Response(empty ? null : Readable.toWeb(response) as ReadableStream<Uint8Array>, { status, headers }),
  )
}

const makeClient = (pools: Pools): HttpClient.HttpClient => {
  const client: HttpClient.HttpClient = HttpClient.makeWith(
    Effect.flatMap(executeOver(pools)),
    Effect.succeed<HttpClientRequest.HttpClientRequest>,
  )
  return Object.assign(client, { [Exchange.exchangeOf]: exchangeOver(pools) })
}

const secrets = (certificate: ClientCertificate): Tls.SecureContextOptions => ({
  ...("pfx" in certificate
    ? { pfx: Buffer.from(Redacted.value(certificate.pfx)) }
    : { cert: certificate.cert, key: Redacted.value(certificate.key) }),
  ...Option.match(certificate.passphrase, {
    onNone: () => ({}),
    onSome: (text) => ({ passphrase: Redacted.value(text) }),
  }),
})

/** Certificates as `node:tls` takes them, or the name of the option that it does not take. */
const secureContext = (
  config: FabricConfig["Type"],
): Either.Either<Tls.SecureContextOptions, ConfigError.ConfigError> => {
  const options: Tls.SecureContextOptions = {
    ...Option.match(config.ca, { onNone: () => ({}), onSome: (ca) => ({ ca }) }),
    ...Option.match(config.clientCertificate, {
      onNone: () => ({}),
      onSome: (certificate) => ({
        ...secrets(certificate),
        // Gateways ask for the certificate only after the request line, which TLS 1.3 does not let Node answer.
        maxVersion: "TLSv1.2" as const,
      }),
    }),
  }
  return Either.try({
    try: () => {
      // Deno puts off what is wrong with a key until a handshake.
      if (options.key !== undefined) {
        createPrivateKey({ key: options.key as string, passphrase: options.passphrase })
      }
      Tls.createSecureContext(options)
      return options
    },
    catch: (cause) =>
      options.pfx === undefined
        ? ConfigError.InvalidData(
          [Option.isSome(config.clientCertificate) ? "clientCertificate" : "ca"],
          `certificate, key or passphrase cannot be used (${noAnswer(cause).code})`,
        )
        : ConfigError.InvalidData(
          ["clientCertificate.pfx"],
          "is no PFX, or the passphrase is not its own, or it is encrypted as in old times: export it with AES256",
        ),
  })
}

/** The default transport. */
export const ClusterHttpClient: {
  /**
   * An `HttpClient` with keep-alive connections and the certificates of {@link FabricConfig}. Its connections
   * close with the scope. Fails when a certificate, key or passphrase cannot be used.
   */
  readonly layer: Layer.Layer<HttpClient.HttpClient, ConfigError.ConfigError, FabricConfig>
} = {
  layer: Layer.scoped(
    HttpClient.HttpClient,
    Effect.gen(function* () {
      const config = yield* FabricConfig
      const tls = yield* secureContext(config)
      return makeClient(
        yield* Effect.acquireRelease(
          Effect.sync(() => new Pools(tls, trustOf(config))),
          (pools) => Effect.sync(() => pools.close()),
        ),
      )
    }),
  ),
}
