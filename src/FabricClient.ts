/**
 * Runs one operation against the cluster: address, deadline, retry, fail-over, errors.
 *
 * @module
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { type Cluster, runnerOf } from "./client/Call.ts"
import { Deadlines } from "./client/Deadlines.ts"
import { Endpoints } from "./client/Endpoints.ts"
import type { RunOperation } from "./client/Operation.ts"
import { ClusterHttpClient } from "./ClusterHttpClient.ts"
import { BearerToken } from "./credentials/BearerToken.ts"
import { FabricConfig } from "./FabricConfig.ts"
import { type Exchange, exchange } from "./transport/Exchange.ts"

interface Shape {
  /** Runs an operation to its end: attempts, delays, fail-over. */
  readonly run: RunOperation
  /**
   * The same client for callers that look at what has happened before they repeat, and that decide what an
   * interruption cuts off: it repeats nothing, and finishes nothing that is interrupted.
   */
  readonly once: Shape
  /** Scheme, host and port of every endpoint. */
  readonly origins: ReadonlyArray<string>
  /** Host and port of the endpoint that would be asked now. */
  readonly endpoint: () => string
  /** Whether that endpoint has upload sessions; `undefined` until an operation has shown it. */
  readonly hasSessions: () => boolean | undefined
}

const Base: Context.TagClass<FabricClient, "@effect-fabric/image-store/FabricClient", Shape> = Context.Tag(
  "@effect-fabric/image-store/FabricClient",
)<FabricClient, Shape>()

/**
 * The cluster as the operations see it. What can fail for a moment is tried again; retrying is failing over:
 * `Unreachable`, 502, 503 and a gateway that says nothing in time move to the next endpoint, and a good one is kept.
 */
export class FabricClient extends Base {
  /** Over any `HttpClient`. */
  static readonly layer: Layer.Layer<FabricClient, never, HttpClient.HttpClient | FabricConfig> = Layer
    .scoped(
      FabricClient,
      Effect.gen(function* () {
        const config = yield* FabricConfig
        const deadlines = yield* Effect.acquireRelease(Effect.sync(() => new Deadlines()), (all) => all.close)
        const token = Option.isNone(config.token) ? undefined : yield* BearerToken.make(config.token.value)
        return makeClient(config, exchange(yield* HttpClient.HttpClient), deadlines, token)
      }),
    )

  /** Over the default transport, from options: all that a program needs to talk to one cluster. */
  static readonly layerCluster = (
    options: FabricConfig.Options,
  ): Layer.Layer<FabricClient, ConfigError.ConfigError> =>
    FabricClient.layer.pipe(
      Layer.provide(ClusterHttpClient.layer),
      Layer.provide(FabricConfig.layer(options)),
    )
}

const makeClient = (
  config: FabricConfig["Type"],
  send: Exchange,
  deadlines: Deadlines,
  token: BearerToken | undefined,
): Shape => {
  const endpoints = new Endpoints(config.endpoints)
  const known = {
    origins: config.endpoints.map(({ origin }) => origin),
    endpoint: () => endpoints.current.host,
    hasSessions: () => endpoints.current.sessions,
  }
  const cluster: Cluster = {
    retry: config.retry,
    send,
    timeout: config.timeout,
    grace: Duration.toMillis(config.grace),
    total: Option.match(config.totalTimeout, { onNone: () => Infinity, onSome: Duration.toMillis }),
    finishes: true,
    token,
    credentials: token !== undefined
      ? "token"
      : Option.isSome(config.clientCertificate)
      ? "certificate"
      : "none",
    deadlines,
    endpoints,
  }
  const once: Shape = {
    ...known,
    run: runnerOf({ ...cluster, retry: { ...config.retry, times: 0 }, finishes: false }),
    get once() {
      return once
    },
  }
  return { ...known, run: runnerOf(cluster), once }
}
