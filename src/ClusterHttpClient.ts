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
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import type * as Http from "node:http"
import { Readable } from "node:stream"
import { FabricConfig } from "./FabricConfig.ts"
import { Pools } from "./transport/connections.ts"
import * as Exchange from "./transport/Exchange.ts"
import { RoundTrip } from "./transport/RoundTrip.ts"
import { secureContext } from "./transport/secureContext.ts"
import { Sending } from "./transport/Sending.ts"
import { trustOf } from "./transport/trust.ts"

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
