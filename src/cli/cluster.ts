/**
 * Which cluster a command talks to.
 *
 * @module
 */
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"
import * as Layer from "effect/Layer"
import * as PathPatch from "effect/ConfigProviderPathPatch"
import { FabricClient } from "../FabricClient.ts"
import { FabricConfig } from "../FabricConfig.ts"
import { CliError } from "./CliError.ts"
import type { ClusterParams } from "./globals.ts"
import { Host } from "./Host.ts"
import { Output } from "./Output.ts"
import type { Setting } from "./Setting.ts"
import { sfctl } from "./sfctl.ts"

/** The gateway of a development cluster. */
const LOCAL: Setting = { value: "http://localhost:19080", source: "the default" }

/** Where a token may come from: one of them is enough. */
const TOKENS = ["FABRIC_TOKEN", "FABRIC_TOKEN_FILE", "FABRIC_TOKEN_COMMAND"]

type Lookup = (name: string) => Effect.Effect<Setting | undefined>

/**
 * Each setting from its option, or else its variable. Only when neither names an endpoint, sfctl is asked for
 * one; what it knows of a cluster is never used for another.
 */
const settings = (params: ClusterParams): Effect.Effect<Lookup, never, Host> =>
  Effect.gen(function* () {
    const host = yield* Host
    const typed = typedSettings(params)
    const own: Lookup = (name) =>
      typed.has(name) ? Effect.succeed(typed.get(name)) : Effect.map(
        host.variable(name),
        (value) => value === undefined ? undefined : { value, source: name },
      )
    if ((yield* own("FABRIC_ENDPOINT")) !== undefined) return own
    const tokens = yield* Effect.forEach(TOKENS, own)
    const chosen = yield* sfctl(tokens.every((token) => token === undefined))
    const others = chosen.size > 0 ? chosen : new Map([["FABRIC_ENDPOINT", LOCAL]])
    return (name) => typed.has(name) ? own(name) : Effect.map(own(name), (found) => found ?? others.get(name))
  })

/** What the options say: a setting, or that it is not to be looked for elsewhere. */
const typedSettings = (
  { ca, cert, endpoint, key, pfx, timeout, ...more }: ClusterParams,
): ReadonlyMap<string, Setting | undefined> => {
  const values: ReadonlyArray<readonly [name: string, source: string, value: string | undefined]> = [
    ["FABRIC_ENDPOINT", "--endpoint", joined(endpoint)],
    ["FABRIC_TIMEOUT", "--timeout", timeout?.toString()],
    ["FABRIC_CLIENT_CERT", "--cert", cert],
    ["FABRIC_CLIENT_KEY", "--key", key],
    ["FABRIC_CLIENT_PFX", "--pfx", pfx],
    ["FABRIC_CA", "--ca", ca],
    ["FABRIC_SERVER_THUMBPRINT", "--server-thumbprint", joined(more["server-thumbprint"])],
    ["FABRIC_SERVER_COMMON_NAME", "--server-common-name", joined(more["server-common-name"])],
    ["FABRIC_TOKEN_FILE", "--token-file", more["token-file"]],
    ["FABRIC_TOKEN_COMMAND", "--token-command", more["token-command"]],
  ]
  // A client certificate or a token that is typed in one form takes the place of any in another.
  const hidden = [
    ...(more["token-file"] === undefined && more["token-command"] === undefined ? [] : TOKENS),
    ...(pfx === undefined ? [] : ["FABRIC_CLIENT_CERT", "FABRIC_CLIENT_KEY"]),
    ...(cert === undefined && key === undefined ? [] : ["FABRIC_CLIENT_PFX"]),
  ]
  const typed = new Map<string, Setting | undefined>(hidden.map((name) => [name, undefined]))
  for (const [name, source, value] of values) {
    if (value !== undefined) typed.set(name, { source, value })
  }
  return typed
}

const joined = (values: ReadonlyArray<string>): string | undefined =>
  values.length === 0 ? undefined : values.join(",")

const provider = (lookup: Lookup): ConfigProvider.ConfigProvider =>
  ConfigProvider.fromFlat(ConfigProvider.makeFlat({
    load: (path, primitive, split) =>
      Effect.flatMap(
        lookup(path.join("_")),
        (setting) =>
          setting === undefined
            ? Effect.fail(ConfigError.MissingData([...path], "is not set"))
            : Effect.mapError(
              Effect.forEach(
                split ? setting.value.split(",") : [setting.value],
                (text) => primitive.parse(text),
              ),
              ConfigError.prefixed([...path]),
            ),
      ),
    enumerateChildren: () => Effect.succeed(HashSet.empty()),
    patch: PathPatch.empty,
  }))

/** Runs a command against its cluster. One that changes something there says first which cluster that is. */
export const withCluster = <A, E>(
  params: ClusterParams,
  access: "reads" | "writes",
  run: Effect.Effect<A, E, FabricClient | Host | Output>,
): Effect.Effect<A, E | CliError, Host | Output> =>
  Effect.gen(function* () {
    const { transport } = yield* Host
    const lookup = yield* settings(params)
    const cluster = FabricClient.layer.pipe(
      Layer.provide(transport),
      Layer.provideMerge(FabricConfig.layerConfig),
    )
    const context = yield* Layer.build(cluster).pipe(
      Effect.withConfigProvider(provider(lookup)),
      Effect.catchAll((error) => explain(error, lookup)),
    )
    if (access === "writes") yield* Effect.provide(announce(lookup), context)
    return yield* Effect.provide(run, context)
  }).pipe(Effect.scoped)

const announce = (lookup: Lookup): Effect.Effect<void, never, FabricConfig | Output> =>
  Effect.gen(function* () {
    const { note } = yield* Output
    const urls = (yield* FabricConfig).endpoints.map(({ origin }) => origin)
    const from = (yield* lookup("FABRIC_ENDPOINT"))?.source ?? LOCAL.source
    const origin = from === LOCAL.source ? from : `from ${from}`
    yield* note(`Cluster: ${urls.join(", ")} (${origin})`, { cluster: urls, from })
  })

/** What is wrong, by the name under which the user gave it. */
const explain = (error: ConfigError.ConfigError, lookup: Lookup): Effect.Effect<never, CliError> =>
  Effect.gen(function* () {
    const [path, message] = firstProblem(error)
    const name = VARIABLES[path] ?? path
    const source = (yield* lookup(name))?.source ?? name
    return yield* CliError.usage(`Cannot use ${source}: ${message}`)
  })

/** The names by which the transport speaks of what it cannot use. */
const VARIABLES: Readonly<Record<string, string>> = {
  clientCertificate: "FABRIC_CLIENT_CERT",
  "clientCertificate.pfx": "FABRIC_CLIENT_PFX",
  ca: "FABRIC_CA",
}

const firstProblem = (error: ConfigError.ConfigError): readonly [path: string, message: string] =>
  error._op === "And" || error._op === "Or" ? firstProblem(error.left) : [error.path.join("_"), error.message]
