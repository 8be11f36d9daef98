/**
 * One request from its head to its answer, for any face: synchronous, told the time by the face.
 *
 * A face opens it, passes on the bytes of the body, says when that is complete or cut, and then looks for
 * the end, again and again where time has to pass. What a request set going goes on when nobody looks.
 *
 * @module
 */
import type { Call, Outcome } from "./Call.ts"
import * as Content from "./Content.ts"
import type { ContentRange } from "./ContentRange.ts"
import * as ErrorCode from "./ErrorCode.ts"
import type { Fault } from "./Fault.ts"
import type { Gateway, RequestHead } from "./Gateway.ts"
import { handlers } from "./handlers.ts"
import * as Reply from "./Reply.ts"
import type { RequestRecord } from "./RequestLog.ts"
import type { Route } from "./Route.ts"

/** What a face does next. */
export type End =
  | { readonly _tag: "Answer"; readonly reply: Reply.Reply }
  /** Cut the connection. */
  | { readonly _tag: "Drop"; readonly code: "ECONNREFUSED" | "ECONNRESET" }
  /** Leave the client waiting. */
  | { readonly _tag: "Never" }
  /** Look again at that time, in milliseconds. */
  | { readonly _tag: "Later"; readonly at: number }

const RESET: End = { _tag: "Drop", code: "ECONNRESET" }
const REFUSED: End = { _tag: "Drop", code: "ECONNREFUSED" }
const NEVER: End = { _tag: "Never" }

/** Bodies of POST and DELETE (protocol.md 7). Uploads have no limit. */
const LARGEST_BODY = 4 * 1024 * 1024

const timedOut = Reply.error(ErrorCode.timedOut)

/** One request on its way. */
export class Exchange {
  readonly record: RequestRecord
  readonly #gateway: Gateway
  readonly #route: Route | undefined
  readonly #contentRange: ContentRange
  readonly #refusal: Reply.Reply | undefined
  readonly #fault: Fault | undefined
  /** Takes in an upload. */
  #sink: Content.Sink | undefined
  /** Takes in the body of a copy. */
  #text: Array<Uint8Array> | undefined
  #reply: Reply.Reply | undefined
  /** When the face should look: for the answer when there is one, for news otherwise. */
  #due = 0
  /** When the gateway had the body: its timeout runs from then on. */
  #arrived = 0
  #leaked = false
  /** The data folder could not take the body. */
  #diskFailed = false
  /** When the gateway would give up waiting for a reply that got lost. */
  #lossAt: number | undefined

  constructor(
    gateway: Gateway,
    head: RequestHead,
    route: Route | undefined,
    contentRange: ContentRange,
    refusal: Reply.Reply | undefined,
    fault: Fault | undefined,
    now: number,
  ) {
    this.#gateway = gateway
    this.#route = route
    this.#contentRange = contentRange
    this.#refusal = refusal
    this.#fault = fault
    this.record = {
      operation: route?.operation,
      method: head.method,
      target: head.target,
      origin: head.origin,
      host: head.host,
      rawHeaders: head.rawHeaders,
      at: now,
      status: undefined,
      reason: undefined,
      bodyBytes: 0,
    }
    gateway.log.add(this.record)
    if (refusal !== undefined || this.early !== undefined) return
    if (this.#isUpload) this.#sink = gateway.storage.open()
    else if (route?.operation === "CopyImageStoreContent") this.#text = []
  }

  /** An end that does not wait for the body. */
  get early(): End | undefined {
    const kind = this.#fault?._tag
    return kind === "Refuse" ? REFUSED : kind === "Reset" ? RESET : undefined
  }

  /** Nothing that is still to come of the body changes the answer: the gateway does not wait for it (protocol.md 1.1). */
  get decided(): boolean {
    return this.#refusal !== undefined || this.#tooLarge
  }

  get #tooLarge(): boolean {
    return !this.#isUpload && this.record.method !== "GET" && this.record.bodyBytes > LARGEST_BODY
  }

  /** Some bytes of the body, whose memory becomes the storage's: no copy is made. */
  receive(bytes: Uint8Array): void {
    this.record.bodyBytes += bytes.byteLength
    if (this.#sink !== undefined) this.#keep(this.#sink, bytes)
    else if (this.#text !== undefined && this.record.bodyBytes <= LARGEST_BODY) this.#text.push(bytes)
  }

  /** The client is gone, and its body did not arrive whole: uploads leave theirs behind (protocol.md 4.3). */
  cut(): void {
    if (this.#isUpload && this.#refusal === undefined) this.#leak()
  }

  /** The body is complete: the work begins. */
  complete(now: number): End {
    const fault = this.#fault
    if (fault?._tag === "Hang") {
      this.cut()
      return NEVER
    }
    const delay = fault?._tag === "Delay" ? fault.millis : 0
    this.#arrived = now + this.#gateway.settings.latency / 2 + delay
    const begin = this.#arrived + (fault?._tag === "Late" ? fault.millis : 0)
    if (begin > now) this.#plan(begin, (then) => this.#work(then))
    else this.#work(now)
    return fault?._tag === "Late" ? RESET : this.look(now)
  }

  /** What there is to do at that time. */
  look(now: number): End {
    this.#gateway.state.advance(now)
    if (this.#reply === undefined || now < this.#due) return { _tag: "Later", at: this.#due }
    if (this.#fault?._tag === "DropAnswer") return RESET
    this.record.status = this.#reply.status
    this.record.reason = this.#reply.reason
    return { _tag: "Answer", reply: this.#reply }
  }

  #keep(sink: Content.Sink, bytes: Uint8Array): void {
    try {
      sink.write(bytes)
    } catch (error) {
      if (!Content.isDiskError(error)) throw error
      sink.discard()
      this.#sink = undefined
      this.#diskFailed = true
    }
  }

  get #isUpload(): boolean {
    const operation = this.#route?.operation
    return operation === "UploadFile" || operation === "UploadFileChunk"
  }

  #plan(at: number, run: (now: number) => void): void {
    this.#due = at
    this.#gateway.state.agenda.plan(at, run)
  }

  #work(now: number): void {
    const fault = this.#fault
    const route = this.#route
    if (fault?._tag === "Answer") return this.#settle(fault.reply, now)
    if (this.#refusal !== undefined || route === undefined) return this.#settle(this.#refusal!, now)
    if (this.#tooLarge) return this.#settle(Reply.error(ErrorCode.messageTooLarge), now)
    if (this.#diskFailed) return this.#settle(Reply.error(ErrorCode.ioError), now)
    const deadline = this.#arrived + route.timeout
    if (fault?._tag === "Late" && now > deadline) return this.#settle(timedOut, now)
    if (fault?._tag === "FailOver") this.#gateway.state.failOver(now, fault.millis)
    if (fault?._tag === "LoseMessage") return this.#settle({ at: deadline, next: () => timedOut }, now)
    this.#lossAt = deadline
    this.#settle(handlers[route.operation](this.#call(route, deadline), now), now)
  }

  #call(route: Route, deadline: number): Call {
    const fault = this.#fault
    return {
      state: this.#gateway.state,
      cluster: this.#gateway.settings.cluster,
      route,
      contentRange: this.#contentRange,
      text: this.#text === undefined ? "" : Buffer.concat(this.#text).toString("utf8"),
      deadline,
      slowDisk: fault?._tag === "SlowDisk" ? fault.millis : 0,
      rollBack: fault?._tag === "RollBack",
      forgetChunk: fault?._tag === "ForgetChunk" || (fault?._tag === "LoseReply" && fault.forgetChunk),
      takeBody: () => {
        const segment = this.#sink?.end()
        this.#sink = undefined
        return segment === undefined ? Content.emptyContent : Content.contentOf(segment)
      },
    }
  }

  #settle(outcome: Outcome, now: number): void {
    if ("next" in outcome) return this.#plan(outcome.at, (then) => this.#settle(outcome.next(then), then))
    if (this.#fault?._tag === "LoseReply" && this.#lossAt !== undefined && this.#fault.when(outcome.status)) {
      const at = Math.max(now, this.#lossAt)
      this.#lossAt = undefined
      return this.#plan(at, (then) => this.#settle(timedOut, then))
    }
    this.#reply = outcome
    this.#due = now + this.#gateway.settings.latency / 2
    this.#text = undefined
    // The gateway removes an upload's temporary file only on success.
    if (outcome.status !== 200) this.cut()
    // A fault can say yes without any work.
    this.#forgetBody()
  }

  #leak(): void {
    if (this.#leaked) return
    this.#leaked = true
    this.#gateway.leaked += this.record.bodyBytes
    this.#forgetBody()
  }

  #forgetBody(): void {
    this.#sink?.discard()
    this.#sink = undefined
  }
}
