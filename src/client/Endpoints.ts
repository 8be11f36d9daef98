/**
 * The gateways of one cluster: which one is asked, and what is known of each.
 *
 * @module
 */
import type * as Option from "effect/Option"
import type { Entra } from "../credentials/entra.ts"

/** One gateway. */
export interface Endpoint {
  /** Scheme, host and port. */
  readonly origin: string
  /** Host and port, as errors name it. */
  readonly host: string
  readonly hostname: string
  readonly port: number
  /** Whether its session routes exist; `undefined` until that is known. */
  sessions: boolean | undefined
  /** The application in Entra ID by which it knows users, if any; `undefined` until it was asked. */
  entra: Option.Option<Entra> | undefined
}

/** The gateways in turn. A good one is kept; one that fails makes room for the next. */
export class Endpoints {
  readonly #all: ReadonlyArray<Endpoint>
  #at = 0

  constructor(urls: ReadonlyArray<URL>) {
    this.#all = urls.map((url) => {
      const port = Number(url.port || (url.protocol === "https:" ? 443 : 80))
      return {
        origin: url.origin,
        host: `${url.hostname}:${port}`,
        hostname: url.hostname,
        port,
        sessions: undefined,
        entra: undefined,
      }
    })
  }

  get current(): Endpoint {
    return this.#all[this.#at]!
  }

  /** Leaves an endpoint, unless another call has done so before. */
  leave(endpoint: Endpoint): void {
    if (this.current === endpoint) this.#at = (this.#at + 1) % this.#all.length
  }
}
