/**
 * A request on its way to an endpoint, which asks before it sends a large body.
 *
 * HTTP.sys asks for the client certificate only once it has the request line, by renegotiation (protocol.md 6).
 * What is under way by then is in the way of the handshake: beyond about 16 KiB of a body the request fails with
 * 403, or hangs (peers.md 0.14). So the headers go first, with `Expect: 100-continue`; HTTP.sys answers
 * `100 Continue` when the gateway reads the body, and by then it knows the client.
 *
 * @module
 */
import type * as Http from "node:http"
import type { Pool } from "./connections.ts"
import type { Body, Outgoing, Watch } from "./Exchange.ts"
import { sendBody } from "./sendBody.ts"

/**
 * Milliseconds after which the body goes out unasked, so that a server or proxy that does not know the question
 * delays it and no more. A renegotiation takes three times the way there and back, and the check of the certificate.
 * Too early is a refusal, too late a delay that each connection has once: hence more than the usual second.
 */
const UNASKED_AFTER = 2000

/** One who hears what becomes of a request. */
interface Listener {
  /** The head of the answer is in. */
  readonly response: (response: Http.IncomingMessage) => void
  /** The request is out to its last byte. */
  readonly sent: () => void
  /** It was lost, or its body could not be read. */
  readonly failed: (cause: unknown) => void
  /** It is over. No callback of the body comes any more. */
  readonly closed: () => void
}

/** A request on its way. */
export class Sending {
  readonly #pool: Pool
  readonly #outgoing: Outgoing
  readonly #watch: Watch
  readonly #listener: Listener
  #request: Http.ClientRequest | undefined
  #stop: (() => void) | undefined
  #asking = false
  #connected = false

  constructor(pool: Pool, outgoing: Outgoing, watch: Watch, listener: Listener) {
    this.#pool = pool
    this.#outgoing = outgoing
    this.#watch = watch
    this.#listener = listener
  }

  /** The body waits for `100 Continue`, or was refused: no byte of it is out. */
  get asking(): boolean {
    return this.#asking
  }

  /** Whether there is no connection yet. */
  get connecting(): boolean {
    return this.#request?.socket?.connecting ?? true
  }

  /** Whether the request was given a connection, which over TLS is a secure one. Before, no byte of it is out. */
  get connected(): boolean {
    return this.#connected
  }

  /** Throws when the request cannot be written. */
  start(): void {
    const { body } = this.#outgoing
    this.#asking = this.#pool.asksFirst(body)
    const request = this.#pool.request(this.#outgoing, this.#asking)
    this.#request = request
    this.#connected = false
    const { closed, failed } = this.#listener
    // One that was given up for another has nothing to tell any more.
    request.on("error", (cause) => this.#request === request && failed(cause))
    request.on("close", () => this.#request === request && closed())
    request.once("socket", () => this.#connected = true)
    request.on("response", (response) => this.#answered(response))
    if (body === undefined) {
      request.end()
      this.#watch.sent()
      this.#listener.sent()
    } else if (this.#asking) this.#stop = this.#awaitContinue(request, () => this.#send(request, body))
    else this.#send(request, body)
  }

  /** Sends nothing more. */
  stop(): void {
    this.#stop?.()
    this.#stop = undefined
  }

  /** Cuts the connection. */
  destroy(): void {
    if (this.#request !== undefined) this.#pool.cut(this.#request)
  }

  #send(request: Http.ClientRequest, body: Body): void {
    const { failed, sent } = this.#listener
    this.#stop = sendBody(request, body, this.#pool.piece, this.#watch, sent, failed)
  }

  /** Calls `go` when the body may come. Returns how to call that off. */
  #awaitContinue(request: Http.ClientRequest, go: () => void): () => void {
    let waiting = true
    let stopClock = () => {}
    const end = () => {
      waiting = false
      stopClock()
    }
    const proceed = () => {
      if (!waiting) return
      end()
      this.#asking = false
      go()
    }
    request.once("continue", proceed)
    // The headers leave when the connection is there.
    request.once("socket", () => {
      if (waiting) stopClock = this.#watch.after(UNASKED_AFTER, proceed)
    })
    return end
  }

  #answered(response: Http.IncomingMessage): void {
    if (!this.#asking) return this.#listener.response(response)
    this.stop()
    if (response.statusCode !== 417) return this.#listener.response(response)
    this.#pool.asksNoMore()
    this.destroy()
    this.start()
  }
}
