/**
 * Connections to one place that are used again. `node:http`'s own agent costs as much CPU as all of Effect here:
 * it copies the options of each request, puts names together and moves each socket between two records, because
 * it serves any number of places. This one keeps a stack.
 *
 * @module
 */
import type * as Http from "node:http"
import * as Net from "node:net"
import * as Timers from "node:timers"
import * as Tls from "node:tls"
import type { Trust } from "./trust.ts"

/**
 * Milliseconds after which an idle connection is closed, at the latest: load balancers forget it in silence after 4
 * minutes.
 */
const IDLE_LIMIT = 60_000
/** A connection that is quiet for so many milliseconds is probed by TCP. */
const PROBE_DELAY = 30_000
/** Idle connections kept: more than the requests a gateway takes in parallel (protocol.md 7). */
const MOST_IDLE = 512

/** How agents tell a request that it gets no connection, which the types of `node:http` do not know. */
interface Unmet {
  onSocket(socket: null, error: Error): void
}

/** What `node:http` asks of an agent. */
export class KeepAlive {
  readonly protocol: string
  readonly defaultPort: number
  // Without these two it would ask the server to close the connection.
  readonly keepAlive = true
  readonly maxSockets: number = Infinity
  readonly options: object = {}
  readonly #secure: boolean
  readonly #connect: () => Net.Socket
  readonly #trust: Trust
  readonly #all = new Set<Net.Socket>()
  /** Requests that have no connection yet, and the one that is being made for each. */
  readonly #waiting = new Map<Http.ClientRequest, Net.Socket>()
  /** The last used one comes first, so that those too many get old. */
  readonly #idle: Array<Net.Socket> = []
  /** So many at the bottom were not used since the last look. */
  #unused = 0
  #retiring: NodeJS.Timeout | undefined

  /** `tls`: also what Tls.connect takes besides the address; `undefined`: plain. */
  constructor(host: string, port: number, tls: Tls.SecureContextOptions | undefined, trust: Trust) {
    this.#trust = trust
    this.#secure = tls !== undefined
    this.protocol = this.#secure ? "https:" : "http:"
    this.defaultPort = this.#secure ? 443 : 80
    const address = { host, port, keepAlive: true, keepAliveInitialDelay: PROBE_DELAY, noDelay: true }
    // A session that is resumed shows no certificate on Node, and passes for trusted on Deno.
    const resumes = trust.options.rejectUnauthorized ?? true
    let session: Buffer | undefined
    this.#connect = tls === undefined ? () => Net.connect(address) : () =>
      Tls.connect({
        ...tls,
        ...trust.options,
        ...address,
        servername: Net.isIP(host) === 0 ? host : "",
        ALPNProtocols: ["http/1.1"],
        ...(session === undefined ? {} : { session }),
      }).on("session", (ticket) => session = resumes ? ticket : undefined)
  }

  /** Whether the next request goes out on a connection that has answered one before. */
  get warm(): boolean {
    let socket = this.#idle.at(-1)
    while (socket !== undefined && (socket.destroyed || !socket.writable)) {
      this.#idle.pop()
      socket = this.#idle.at(-1)
    }
    return socket !== undefined
  }

  /**
   * Called by `node:http` for each request. One over TLS gets a new connection only when that is secure and the
   * other side trusted: no byte of it can leave before, and one that fails until then was not sent.
   */
  addRequest(request: Http.ClientRequest): void {
    const idle = this.warm ? this.#idle.pop() : undefined
    if (this.#unused > this.#idle.length) this.#unused = this.#idle.length
    // Not marked as reused: Deno sends a request again by itself, body and all, when it loses a marked connection.
    // What has been sent would no longer be known, and a chunk sent twice is refused and leaks.
    if (idle !== undefined) request.onSocket(idle.ref())
    else if (this.#secure) this.#handOver(request, this.#open() as Tls.TLSSocket)
    else request.onSocket(this.#open())
  }

  /** Ends the connection that is being made for a request, if it has none yet. */
  giveUp(request: Http.ClientRequest): void {
    this.#waiting.get(request)?.destroy()
  }

  /** Closes what is idle. */
  drop(): void {
    for (const socket of this.#idle.splice(0)) socket.destroy()
    this.#unused = 0
  }

  close(): void {
    Timers.clearInterval(this.#retiring)
    for (const socket of this.#all) socket.destroy()
  }

  #handOver(request: Http.ClientRequest, socket: Tls.TLSSocket): void {
    this.#waiting.set(request, socket)
    const settle = (error?: Error) => {
      if (!this.#waiting.delete(request)) return
      if (error === undefined) return request.onSocket(socket)
      socket.destroy()
      ;(request as unknown as Unmet).onSocket(null, error)
    }
    socket.once("secureConnect", () => settle(this.#trust.refusal(socket)))
    socket.once("error", settle)
    socket.once(
      "close",
      () => settle(Object.assign(new Error("the connection was closed"), { code: "ECONNRESET" })),
    )
  }

  #open(): Net.Socket {
    this.#retiring ??= Timers.setInterval(() => this.#retire(), IDLE_LIMIT / 2).unref()
    const socket = this.#connect()
    this.#all.add(socket)
    // `node:http` says so when the answer is in and the connection may stay.
    socket.on("free", () => {
      if (socket.destroyed || !socket.writable) return // Or the collector would carry a finished request along until the next one.
      ;(socket as Net.Socket & { _httpMessage?: unknown })._httpMessage = null
      if (this.#idle.length >= MOST_IDLE) return void socket.destroy()
      socket.unref()
      this.#idle.push(socket)
    })
    // A request listens for itself; an idle connection may end as it likes.
    socket.on("error", () => {})
    socket.on("close", () => {
      this.#all.delete(socket)
      const at = this.#idle.indexOf(socket)
      if (at < 0) return
      this.#idle.splice(at, 1)
      this.#unused = Math.min(this.#unused, this.#idle.length)
    })
    return socket
  }

  #retire(): void {
    for (const socket of this.#idle.splice(0, this.#unused)) socket.destroy()
    this.#unused = this.#idle.length
  }
}
