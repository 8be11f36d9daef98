/**
 * One request and its whole answer, watched by the one who waits for it. Any `HttpClient` can do it; a
 * transport that watches by itself saves a fiber a request.
 *
 * @module
 */
import * as HttpBody from "@effect/platform/HttpBody"
import type * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import type * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import type * as HttpMethod from "@effect/platform/HttpMethod"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Stream from "effect/Stream"
import { NoAnswer, noAnswer } from "./NoAnswer.ts"
import { announced } from "./sendBody.ts"

/** A request as it goes out: absolute, with the headers that the gateway reads in their own spelling. */
export interface Outgoing {
  readonly method: HttpMethod.HttpMethod
  /** Scheme, host and port. */
  readonly origin: string
  /** Path and query, escaped. */
  readonly target: string
  readonly headers: Readonly<Record<string, string>>
  readonly body: Body | undefined
}

/** Bytes to send: all at hand, or a stream of a known number of them that can be run again. */
export type Body = Uint8Array | { readonly stream: Stream.Stream<Uint8Array, unknown>; readonly size: number }

/** Bytes that a body holds. */
export const bodySize = (body: Body | undefined): number =>
  body === undefined ? 0 : body instanceof Uint8Array ? body.length : body.size

/** An answer, read as far as it is wanted. */
export interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | ReadonlyArray<string> | undefined>>
  /** The body as text, cut at {@link bodyLimit}. */
  readonly text: string
  /** The answer came in place of the leave to send the body: no byte of that went out. */
  readonly unsent?: true
}

/** Bytes read of an error's body. */
const ERROR_LIMIT = 64 * 1024
/** Bytes read of a success: well above the 4 MiB that a gateway puts into one message. */
const SUCCESS_LIMIT = 64 * 1024 * 1024

/** How many bytes of an answer's body are kept. */
export const bodyLimit = (status: number): number => status < 300 ? SUCCESS_LIMIT : ERROR_LIMIT

/** The watch ended the exchange. */
export class Expired {
  readonly _tag = "Expired"
}

/** How an exchange ended. */
export type End = Exit.Exit<Answer, NoAnswer | Expired>

/** The one instance that is needed. */
export const expired: End = Exit.fail(new Expired())

/** Nobody waits for an answer any more. */
export const canceled: NoAnswer = new NoAnswer("ECANCELED", "the request was cut off", "maybe")

/** How an exchange ends that is cut off. */
export const cutOff: End = Exit.fail(canceled)

/** How an exchange ends that is cut off before the body was asked for. */
export const calledOff: End = Exit.fail(new NoAnswer(canceled.code, canceled.detail, "no"))

/** Who waits for an answer, and for how long. */
export interface Watch {
  /** The exchange begins. `expire` ends it at once, with {@link Expired}. */
  readonly begin: (expire: () => void) => void
  /** So many more bytes of the body went out. */
  readonly progress: (bytes: number) => void
  /** The request is out to its last byte. */
  readonly sent: () => void
  /** Calls back so many milliseconds from now, on the clock of the one who waits. Returns how to call that off. */
  readonly after: (milliseconds: number, then: () => void) => () => void
  /** How much of a body is out cannot be seen from here. */
  readonly unseen: () => void
  /** Nobody waits for the answer any more. True: the exchange may go on to its end or its deadline; else it is cut off. */
  readonly interrupted: () => boolean
  /** The exchange is over. */
  readonly end: (end: End) => void
}

/** One request, one whole answer. */
export type Exchange = (outgoing: Outgoing, watch: Watch) => Effect.Effect<Answer, NoAnswer | Expired>

/** Where a transport that watches by itself keeps its way to do so. */
export const exchangeOf: unique symbol = Symbol.for("@effect-fabric/image-store/exchange")

/** The best way to exchange over a client: its own, or the general one. */
export const exchange = (client: HttpClient.HttpClient): Exchange =>
  (client as Partial<Record<typeof exchangeOf, Exchange>>)[exchangeOf] ?? overAnyClient(client)

/** Runs the request in a fiber of its own, so that the watch can end it. */
const overAnyClient = (client: HttpClient.HttpClient): Exchange => (outgoing, watch) => {
  // What a transport makes of it does not always tell.
  let unreadable: Error | undefined
  const request = Effect.flatMap(
    client.execute(toRequest(outgoing, (error) => unreadable = error)),
    readAnswer,
  ).pipe(
    Effect.mapError((error) => noAnswer(unreadable ?? error)),
  )
  return Effect.uninterruptibleMask((restore) =>
    Effect.flatMap(Effect.forkDaemon(Effect.interruptible(request)), (fiber) => {
      let begun = false
      let ended = false
      let tell: (end: End) => void = () => {}
      const over = (end: End) => {
        if (ended) return
        ended = true
        watch.end(end)
        tell(end)
      }
      const done = Effect.async<Answer, NoAnswer | Expired>((resume) => {
        begun = true
        tell = resume
        watch.begin(() => {
          fiber.unsafeInterruptAsFork(fiber.id())
          over(expired)
        })
        if (outgoing.body === undefined) watch.sent()
        else watch.unseen()
        fiber.addObserver(over)
      })
      return Effect.onInterrupt(restore(done), () => {
        if (begun && !ended && watch.interrupted()) {
          return Effect.async<void>((resume) => {
            tell = () => resume(Effect.void)
          })
        }
        over(cutOff)
        return Fiber.interrupt(fiber)
      })
    })
  )
}

const toRequest = (
  { method, origin, target, headers, body }: Outgoing,
  unreadable: (error: Error) => void,
): HttpClientRequest.HttpClientRequest =>
  HttpClientRequest.make(method)(origin + target, {
    headers,
  }).pipe(HttpClientRequest.setBody(
    body === undefined
      ? HttpBody.empty
      : body instanceof Uint8Array
      ? HttpBody.uint8Array(unshared(body), headers["Content-Type"])
      : HttpBody.stream(
        announced(body).pipe(
          Stream.tapError((error) => Effect.sync(() => unreadable(error))),
          Stream.map(unshared),
        ),
        headers["Content-Type"],
        body.size,
      ),
  ))

/** `fetch` takes no bytes that another thread can see. */
const unshared = (bytes: Uint8Array): Uint8Array =>
  bytes.buffer instanceof SharedArrayBuffer ? bytes.slice() : bytes

const readAnswer = (response: HttpClientResponse.HttpClientResponse) => {
  const answer = (text: string): Answer => ({ status: response.status, headers: response.headers, text })
  if (response.status === 204 || response.headers["content-length"] === "0") return Effect.succeed(answer(""))
  const decoder = new TextDecoder()
  let room = bodyLimit(response.status)
  return response.stream.pipe(
    Stream.takeUntil((bytes) => (room -= bytes.length) <= 0),
    Stream.runFold(
      "",
      (text, bytes) =>
        text + decoder.decode(bytes.subarray(0, bytes.length + Math.min(room, 0)), { stream: true }),
    ),
    Effect.map((text) => answer(text + decoder.decode())),
    Effect.catchIf((error) => error.reason === "EmptyBody", () => Effect.succeed(answer(""))),
  )
}
