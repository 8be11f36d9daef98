/**
 * A request and its whole answer over a connection of ours.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import type * as Http from "node:http"
import type { Pool } from "./connections.ts"
import * as Exchange from "./Exchange.ts"
import { NoAnswer, noAnswer } from "./NoAnswer.ts"
import { Sending } from "./Sending.ts"

type Resume = (end: Exchange.End) => void

/** A request on its way, until its whole answer is in. */
export class RoundTrip {
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
