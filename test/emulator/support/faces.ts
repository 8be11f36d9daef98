/** The ways to talk to a gateway: without a socket, and over one. A real cluster has a file of its own. */
import * as Headers from "@effect/platform/Headers"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import type * as Scope from "effect/Scope"
import * as http from "node:http"
import * as https from "node:https"
import { Emulator, type EmulatorOptions, type EmulatorShape } from "../../../src/emulator/mod.ts"

/** A request as it goes out, in its own spelling. */
export interface RawRequest {
  readonly method: string
  readonly target: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array
}

/** An answer with its status line. Header names are in lower case. */
export interface RawReply {
  readonly status: number
  readonly reason: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export type Send = (request: RawRequest) => Effect.Effect<RawReply>

/** Something that answers like a gateway. */
export interface Face {
  readonly name: string
  /** Begins a new store. */
  readonly start: (options: EmulatorOptions) => Effect.Effect<Store, never, Scope.Scope>
}

/** A store, for one case. */
export interface Store {
  readonly send: Send
  /** What the case's folders and ids are called this time. Default: as they are. */
  readonly named?: (text: string) => string
  /** There is none behind a real cluster. */
  readonly emulator?: EmulatorShape
}

const bytesOf = (body: string | Uint8Array): Uint8Array =>
  typeof body === "string" ? new TextEncoder().encode(body) : body

/** `HttpClientRequest` puts names of headers in lower case; this puts back how they were spelled. */
const spelled = (
  request: HttpClientRequest.HttpClientRequest,
  headers: Readonly<Record<string, string>>,
): HttpClientRequest.HttpClientRequest =>
  Object.assign(Object.create(Object.getPrototypeOf(request)), request, {
    headers: Headers.unsafeFromRecord(headers),
  })

export const inProcess: Face = {
  name: "the layer",
  start: (options) =>
    Effect.map(Layer.build(Emulator.layer(options)), (context) => {
      const run = <A, E>(effect: Effect.Effect<A, E, Emulator | HttpClient.HttpClient>) =>
        Effect.orDie(Effect.provide(effect, context))
      return {
        emulator: Effect.runSync(run(Emulator)),
        send: ({ body, headers = {}, method, target }: RawRequest) =>
          run(Effect.gen(function* () {
            const client = yield* HttpClient.HttpClient
            const emulator = yield* Emulator
            const request = HttpClientRequest.make(method as "GET")(`http://localhost:19080${target}`).pipe(
              body === undefined ? (same) => same : HttpClientRequest.bodyUint8Array(bytesOf(body)),
            )
            const response = yield* client.execute(spelled(request, headers))
            const requests = yield* emulator.requests
            return {
              status: response.status,
              reason: requests.at(-1)!.reason!,
              headers: { ...response.headers },
              body: yield* response.text,
            }
          })),
      }
    }),
}

/** Sends on a connection of its own. */
export const sendTo = (endpoint: string): Send => ({ body, headers = {}, method, target }) =>
  Effect.async((resume) => {
    const { hostname, port, protocol } = new URL(endpoint)
    const { request } = protocol === "https:" ? https : http
    const bytes = body === undefined ? undefined : bytesOf(body)
    const sent = request({
      hostname,
      port,
      method,
      path: target,
      agent: false,
      headers: bytes === undefined ? headers : { ...headers, "Content-Length": String(bytes.byteLength) },
    }, (response) => {
      let text = ""
      response.setEncoding("utf8")
      response.on("data", (piece: string) => text += piece)
      response.on("end", () =>
        resume(Effect.succeed({
          status: response.statusCode!,
          reason: response.statusMessage!,
          headers: response.headers as Record<string, string>,
          body: text,
        })))
    })
    sent.on("error", (error) => resume(Effect.die(error)))
    sent.end(bytes)
    return Effect.sync(() => sent.destroy())
  })

export const served: Face = {
  name: "the server",
  start: (options) =>
    Effect.map(
      Effect.orDie(Emulator.serve({ ...options, port: 0 })).pipe(Logger.withMinimumLogLevel(LogLevel.None)),
      ({ emulator, url }) => ({ emulator, send: sendTo(url) }),
    ),
}
