/**
 * The HTTP gateway in front of the store: what it is asked, what goes wrong, what it remembers. A face gives
 * it each request's head and gets an {@link Exchange} to carry the request through.
 *
 * @module
 */
import type { Cluster } from "./Call.ts"
import type { Storage } from "./Content.ts"
import * as ContentRange from "./ContentRange.ts"
import * as ErrorCode from "./ErrorCode.ts"
import { Exchange } from "./Exchange.ts"
import type { Fault } from "./Fault.ts"
import type { Arrival } from "./FaultPlan.ts"
import { ImageStoreState } from "./ImageStoreState.ts"
import { Line } from "./Line.ts"
import { headerOf, headerSpelled } from "./rawHeaders.ts"
import * as Reply from "./Reply.ts"
import { RequestLog } from "./RequestLog.ts"
import * as Route from "./Route.ts"
import { sessionIdOf } from "./sessionHandlers.ts"
import type { Os } from "./StorePath.ts"

/** A request before its body. */
export interface RequestHead {
  readonly method: string
  /** The request line's target, as sent. */
  readonly target: string
  /** Scheme and host that the client addressed, such as `http://localhost:19080`. */
  readonly origin: string
  /** Host and port that the client addressed. */
  readonly host: string
  /** Names and values in turn, in the sender's spelling. */
  readonly rawHeaders: ReadonlyArray<string>
}

/** Everything that options decide, with defaults filled in. */
export interface Settings {
  readonly os: Os
  readonly cluster: Cluster
  /** The newest `api-version`. */
  readonly newest: number
  readonly clusterId: string | undefined
  /** Whether a bearer token is taken; `undefined`: nobody is asked for one. */
  readonly takes: ((token: string) => boolean) | undefined
  readonly capacity: number
  /** Milliseconds. */
  readonly latency: number
  /** Bytes a second. */
  readonly bandwidth: number
  readonly plan: ((arrival: Arrival) => Fault | undefined) | undefined
  readonly history: number
}

/** Where an injected fault strikes. */
export interface FaultTarget {
  /** The operation's REST name. Default: any request. */
  readonly on?: Route.Operation
  /** Host and port of the endpoint that the client addresses. Default: any. */
  readonly host?: string
  /** How many times. Default once. */
  readonly times?: number
}

interface Injected {
  readonly fault: Fault
  readonly on: Route.Operation | undefined
  readonly host: string | undefined
  times: number
}

/** One gateway with its store. */
export class Gateway {
  readonly state: ImageStoreState
  readonly settings: Settings
  readonly log: RequestLog
  readonly storage: Storage
  readonly line: Line
  /** Bytes of refused and cut bodies, which a real gateway leaves on its disk (protocol.md 4.3). */
  leaked = 0

  readonly #injected: Array<Injected> = []
  readonly #routeOptions: Route.RouteOptions

  constructor(settings: Settings, storage: Storage) {
    this.settings = settings
    this.storage = storage
    this.state = new ImageStoreState({ os: settings.os, capacity: settings.capacity, storage })
    this.log = new RequestLog(settings.history)
    this.line = new Line(settings.bandwidth)
    this.#routeOptions = { os: settings.os, newest: settings.newest }
  }

  /** Makes the next matching requests go wrong. Faults strike in the order in which they were injected. */
  inject(fault: Fault, target: FaultTarget): void {
    this.#injected.push({ fault, on: target.on, host: target.host, times: target.times ?? 1 })
  }

  /** Begins a request. */
  open(head: RequestHead, now: number): Exchange {
    this.state.advance(now)
    const found = Route.match(head.method, head.target, this.#routeOptions)
    const route = Route.isRoute(found) ? found : undefined
    const contentRange = this.#contentRange(route, head)
    const refusal = route === undefined ? found as Reply.Reply : this.#refusal(head, route, contentRange)
    const fault = this.#injectedFor(head.host, route) ?? this.#planned(head.host, route, contentRange)
    return new Exchange(this, head, route, contentRange ?? ContentRange.absent, refusal, fault, now)
  }

  /** What the gateway refuses before it reads a body, in its order. */
  #refusal(
    head: RequestHead,
    route: Route.Route,
    contentRange: ContentRange.ContentRange | undefined,
  ): Reply.Reply | undefined {
    const { clusterId, os, takes } = this.settings
    if (clusterId !== undefined) {
      // Windows knows this name in one spelling only.
      const named = os === "linux"
        ? headerOf(head.rawHeaders, "clusterid")
        : headerSpelled(head.rawHeaders, "ClusterId")
      if (named !== undefined && named.toLowerCase() !== clusterId.toLowerCase()) {
        return Reply.error(ErrorCode.accessDenied)
      }
    }
    if (takes !== undefined && route.operation !== "GetAadMetadata" && !takes(tokenOf(head))) {
      return Reply.certificateRequired
    }
    if (contentRange === undefined) return Reply.error(ErrorCode.rangeNotSatisfiable)
  }

  /** `undefined`: there is one and it cannot be read. Linux gateways never look (protocol.md 3.2). */
  #contentRange(
    route: Route.Route | undefined,
    head: RequestHead,
  ): ContentRange.ContentRange | undefined {
    const reads = route?.operation === "UploadFileChunk" || route?.operation === "UploadFile"
    const text = reads && this.settings.os === "windows"
      ? headerOf(head.rawHeaders, "content-range")
      : undefined
    return text === undefined ? ContentRange.absent : ContentRange.parse(text)
  }

  #injectedFor(host: string, route: Route.Route | undefined): Fault | undefined {
    const at = this.#injected.findIndex((injected) =>
      (injected.on === undefined || injected.on === route?.operation) &&
      (injected.host === undefined || injected.host === host)
    )
    if (at < 0) return
    const injected = this.#injected[at]!
    if (--injected.times <= 0) this.#injected.splice(at, 1)
    return injected.fault
  }

  #planned(
    host: string,
    route: Route.Route | undefined,
    contentRange: ContentRange.ContentRange | undefined,
  ): Fault | undefined {
    if (route === undefined || this.settings.plan === undefined) return
    const chunk = route.operation === "UploadFileChunk"
    return this.settings.plan({
      operation: route.operation,
      host,
      path: route.path,
      start: chunk ? contentRange?.range.first : undefined,
      opens: chunk && this.state.sessions.get(sessionIdOf(route.query) ?? "") === undefined,
    })
  }
}

/** The gateway takes what comes after `Bearer` and one character, whatever that is (protocol.md 6). */
const tokenOf = ({ rawHeaders }: RequestHead): string => {
  const credentials = headerOf(rawHeaders, "authorization") ?? ""
  return credentials.startsWith("Bearer") ? credentials.slice("Bearer ".length) : ""
}
