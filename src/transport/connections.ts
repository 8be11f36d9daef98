/**
 * Keep-alive connections to the gateways of a cluster.
 *
 * @module
 */
import * as Http from "node:http"
import * as Https from "node:https"
import * as Tls from "node:tls"
import { type Body, bodySize, type Outgoing } from "./Exchange.ts"
import { KeepAlive } from "./KeepAlive.ts"
import { BAD_ANSWER, NO_HTTP, NoAnswer, TLS_WANTED, UNSIGNED, WRONG_NAME } from "./NoAnswer.ts"
import { byAuthority, namesShownBy, shownBy, type Trust } from "./trust.ts"

/** Bytes of a body written at a time: few enough that several bodies at once on a slow line still show progress. */
const LEAST_PIECE = 256 * 1024
/** On a fast line they only cost time: then so many, if they go out in so many milliseconds. */
const MOST_PIECE = 4 * 1024 * 1024
const PIECE_TIME = 250
/** A body of up to so many bytes may come along with the headers: HTTP.sys has room for it (peers.md 0.14). */
const ROOM = 16 * 1024

/** Deno's TLS library refuses a renegotiation. What gateways then do is this. */
const CANNOT_RENEGOTIATE = "Deno" in globalThis
const HUNG_UP = /^ECONNRESET$|HANDSHAKE_FAILURE/
const LATE_CERTIFICATE =
  "; a gateway that asks for the client certificate after the request does so, as Deno cannot give it then: " +
  "use Node or Bun"

/** What else a connection that is lost in the handshake may mean. */
const REFUSED_CERTIFICATE = ", or the gateway did not take the client certificate"

/** What a certificate that is refused shows that the user can give. */
const shownFor = (code: string): ((socket: Tls.TLSSocket) => string) | undefined =>
  UNSIGNED.test(code) ? shownBy : code === WRONG_NAME ? namesShownBy : undefined

/** The connections to one endpoint. */
export class Pool {
  readonly #secure: boolean
  readonly #host: string
  readonly #port: number
  readonly #authority: string
  readonly #agent: KeepAlive
  readonly #certified: boolean
  /** The gateway may ask for the client certificate late, and is asked before a large body comes. */
  #asks: boolean
  #speaksNoTls = false
  #answered = false
  #piece = LEAST_PIECE

  constructor(origin: string, tls: Tls.SecureContextOptions, trust: Trust = byAuthority) {
    const url = new URL(origin)
    this.#secure = url.protocol === "https:"
    this.#host = url.hostname.replace(/^\[|\]$/g, "")
    this.#port = Number(url.port || (this.#secure ? 443 : 80))
    this.#authority = url.host
    this.#asks = this.#certified = this.#secure && (tls.cert ?? tls.pfx) !== undefined
    this.#agent = new KeepAlive(this.#host, this.#port, this.#secure ? tls : undefined, trust)
  }

  /** Whether the next request has to ask before it sends this body. Where it was answered before, it is known. */
  asksFirst(body: Body | undefined): boolean {
    return this.#asks && bodySize(body) > ROOM && !this.#agent.warm
  }

  /** This endpoint answered 417: it takes no request that asks. */
  asksNoMore(): void {
    this.#asks = false
  }

  /** A request on an idle connection or a new one. Its body is still to be sent; when it `asks`, on `100 Continue`. */
  request(outgoing: Outgoing, asks: boolean): Http.ClientRequest {
    // The flat form of headers keeps the spelling of names, and costs node:http less than a record.
    const headers = ["Host", this.#authority]
    for (const name in outgoing.headers) headers.push(name, outgoing.headers[name]!)
    if (outgoing.body !== undefined || outgoing.method === "POST" || outgoing.method === "PUT") {
      headers.push("Content-Length", String(bodySize(outgoing.body)))
    }
    if (asks) headers.push("Expect", "100-continue")
    return (this.#secure ? Https : Http).request({
      agent: this.#agent as unknown as Http.Agent,
      host: this.#host,
      port: this.#port,
      method: outgoing.method,
      path: outgoing.target,
      headers,
    })
  }

  /** Cuts the connection of a request, or ends the attempt to make one. */
  cut(request: Http.ClientRequest): void {
    this.#agent.giveUp(request)
    request.destroy()
  }

  /** This endpoint has answered, so it speaks what we speak. */
  answered(): void {
    this.#answered = this.#speaksNoTls = true
  }

  /** Bytes of a body that are written at a time. */
  get piece(): number {
    return this.#piece
  }

  /** So many bytes arrived in so many milliseconds. What is only written says nothing: the system takes it in advance. */
  arrived(bytes: number, milliseconds: number): void {
    if (bytes < LEAST_PIECE) return
    this.#piece = Math.min(Math.max(LEAST_PIECE, bytes * PIECE_TIME / milliseconds), MOST_PIECE)
  }

  /** After a reset or a 502 the other idle connections are most likely dead too. */
  drop(): void {
    this.#agent.drop()
  }

  /**
   * Looks closer at a lost connection, or at one that was not made (not `connected`). A port that speaks TLS
   * resets a plain request, with or without a word that is no HTTP: so one that does is asked for a TLS handshake,
   * until it has not taken one. So is one whose certificate is not trusted, or for another name: its thumbprint and its
   * names are what can be given. Returns how to stop that.
   */
  diagnose(error: NoAnswer, connected: boolean, then: (error: NoAnswer) => void): () => void {
    // Nonsense where sense came from before is not a matter of TLS.
    if (connected && this.#answered && error.distrust !== undefined) {
      error = new NoAnswer(BAD_ANSWER, error.detail, "maybe")
    }
    if (this.#certified && !connected && error.code === "ECONNRESET") {
      error = new NoAnswer(error.code, error.detail + REFUSED_CERTIFICATE, error.sent)
    } else if (CANNOT_RENEGOTIATE && this.#certified && !this.#answered && HUNG_UP.test(error.code)) {
      error = new NoAnswer(error.code, error.detail + LATE_CERTIFICATE, error.sent)
    }
    if (error.sent === "maybe") this.drop()
    if (!connected) error = new NoAnswer(error.code, error.detail, "no")
    const { code, detail } = error
    const shown = shownFor(code)
    if (!connected && shown !== undefined) {
      // Node ends with a list, which may be empty.
      const what = detail.replace(/:\s*$/, "")
      return this.#look((socket) => new NoAnswer(code, `${what}; ${shown(socket)}`, "no"), error, then)
    }
    if (this.#secure || this.#speaksNoTls || !(code === "ECONNRESET" || NO_HTTP.test(code))) {
      then(error)
      return () => {}
    }
    return this.#look(
      () => new NoAnswer(TLS_WANTED, "plain HTTP on a port that speaks TLS", "no"),
      error,
      (found) => {
        this.#speaksNoTls = found === error
        then(found)
      },
    )
  }

  /** Greets whoever is there over TLS, and sends nothing. Tells what was `found`, or what there is otherwise. */
  #look(
    found: (socket: Tls.TLSSocket) => NoAnswer,
    otherwise: NoAnswer,
    then: (error: NoAnswer) => void,
  ): () => void {
    const socket = Tls.connect({ host: this.#host, port: this.#port, rejectUnauthorized: false })
    let looking = true
    const stop = () => {
      looking = false
      socket.destroy()
    }
    const end = (error: NoAnswer) => {
      if (!looking) return
      stop()
      then(error)
    }
    socket.once("secureConnect", () => end(found(socket)))
    socket.on("error", () => end(otherwise))
    socket.once("close", () => end(otherwise))
    return stop
  }

  close(): void {
    this.#agent.close()
  }
}

/** The connections to all endpoints. */
export class Pools {
  readonly #pools = new Map<string, Pool>()
  readonly #tls: Tls.SecureContextOptions
  readonly #trust: Trust

  constructor(tls: Tls.SecureContextOptions, trust: Trust) {
    this.#tls = tls
    this.#trust = trust
  }

  of(origin: string): Pool {
    let pool = this.#pools.get(origin)
    if (pool === undefined) {
      pool = new Pool(origin, this.#tls, this.#trust)
      this.#pools.set(origin, pool)
    }
    return pool
  }

  close(): void {
    for (const pool of this.#pools.values()) pool.close()
    this.#pools.clear()
  }
}
