/**
 * Which cluster, how to be known to it, and how patient to be: a tag and its layers.
 *
 * @module
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { readFile } from "node:fs/promises"
import { parseEndpoint } from "./client/endpoint.ts"
import { tolerant } from "./client/tolerant.ts"
import { readToken } from "./credentials/BearerToken.ts"
import { parseThumbprint, type ServerCertificate } from "./credentials/ServerCertificate.ts"
import { tokenCommand, tokenFile } from "./credentials/tokenSources.ts"
import { systemSays } from "./system/systemSays.ts"

/** How failed attempts are repeated. Each repeat of an unreachable gateway goes to the next endpoint. */
export interface RetryPolicy {
  /** Repeats after the first attempt. 0 turns retries off. Default 3. */
  readonly times: number
  /** Delay before the first repeat; it doubles each time. Default 500 milliseconds. */
  readonly firstDelay: Duration.DurationInput
  /** The delay grows no further than this. Default 10 seconds. */
  readonly maxDelay: Duration.DurationInput
  /** Share of a delay, 0 to 1, that is drawn at random, so that clients do not come back in step. Default 0.2. */
  readonly jitter: number
}

/** A client certificate and its private key: as PEM text, or as the bytes of a PFX (PKCS #12) file. */
export type ClientCertificate =
  & { readonly passphrase: Option.Option<Redacted.Redacted> }
  & (
    | { readonly cert: string; readonly key: Redacted.Redacted }
    | { readonly pfx: Redacted.Redacted<Uint8Array> }
  )

interface Shape {
  /** Gateways of one cluster, in the order in which they are tried. */
  readonly endpoints: readonly [URL, ...ReadonlyArray<URL>]
  readonly timeout: number
  readonly grace: Duration.Duration
  readonly totalTimeout: Option.Option<Duration.Duration>
  readonly retry: RetryPolicy
  readonly clientCertificate: Option.Option<ClientCertificate>
  /** PEM text of the certificates that may sign the gateway's. */
  readonly ca: Option.Option<string>
  readonly serverCertificate: ServerCertificate
  /** Gives a token of Entra ID, as often as it is run. */
  readonly token: Option.Option<Effect.Effect<Redacted.Redacted, unknown>>
}

/** Types that belong to {@link FabricConfig}. */
export declare namespace FabricConfig {
  /** What {@link FabricConfig.layer} takes. Only the endpoints have no default. */
  export interface Options {
    /** One or more gateways of the same cluster: `http://host:19080` or `https://host:19080`. */
    readonly endpoints: string | URL | ReadonlyArray<string | URL>
    /** Whole seconds that the cluster may work on one request, 1 to 4294967295. Default 60. */
    readonly timeout?: number | undefined
    /** How much longer than `timeout` an attempt waits for the answer. Default 5 seconds. */
    readonly grace?: Duration.DurationInput | undefined
    /** Bound on a whole call, all attempts and delays included. Default: none. */
    readonly totalTimeout?: Duration.DurationInput | undefined
    /** How failed attempts are repeated. */
    readonly retry?: Partial<RetryPolicy> | undefined
    /** Certificate and key, each a path or the PEM text itself; or both in a PFX: a path, its bytes, or their Base64. */
    readonly clientCertificate?:
      | {
        readonly cert: string
        readonly key: string | Redacted.Redacted
        readonly passphrase?: string | Redacted.Redacted | undefined
      }
      | {
        readonly pfx: string | Uint8Array | Redacted.Redacted
        readonly passphrase?: string | Redacted.Redacted | undefined
      }
      | undefined
    /** Certificates to trust in place of the system's: a path or the PEM text itself. */
    readonly ca?: string | undefined
    /**
     * What the gateway's certificate is known by, when the system does not know who signed it, or it is for another
     * name. Given together, also with `ca`, each of them is enough.
     */
    readonly serverCertificate?: {
      /**
       * SHA-1 or SHA-256 thumbprints (40 or 64 hex digits, colons and blanks as you like). A certificate that has one is
       * accepted whatever its name, its issuer and its expiry say. With thumbprints alone no other is.
       */
      readonly thumbprints?: ReadonlyArray<string> | undefined
      /** Names that it may be for in place of the endpoint's host, if `ca` or the system vouches for it. */
      readonly commonNames?: ReadonlyArray<string> | undefined
    } | undefined
    /**
     * A token of Entra ID, for a cluster that knows its users by that; each request shows it, over `https://` only. An
     * effect is run for the first request, again some minutes before the token expires (the `exp` of a JWT), and once
     * more when the cluster refuses a token; it gets a minute, and one run is for all requests.
     */
    readonly token?:
      | string
      | Redacted.Redacted
      | Effect.Effect<string | Redacted.Redacted, unknown>
      | undefined
  }
}

const Base: Context.TagClass<FabricConfig, "@effect-fabric/image-store/FabricConfig", Shape> = Context.Tag(
  "@effect-fabric/image-store/FabricConfig",
)<FabricConfig, Shape>()

/** The cluster to talk to and the terms of talking. */
export class FabricConfig extends Base {
  /** What is used where nothing else is said. */
  static readonly defaults: Omit<Shape, "endpoints"> = {
    timeout: 60,
    grace: Duration.seconds(5),
    totalTimeout: Option.none(),
    retry: {
      times: 3,
      firstDelay: Duration.millis(500),
      maxDelay: Duration.seconds(10),
      jitter: 0.2,
    },
    clientCertificate: Option.none(),
    ca: Option.none(),
    serverCertificate: { thumbprints: [], commonNames: [] },
    token: Option.none(),
  }

  /** A configuration in code. Fails with a `ConfigError` that names the option and what would be right. */
  static readonly layer = (
    options: FabricConfig.Options,
  ): Layer.Layer<FabricConfig, ConfigError.ConfigError> =>
    Layer.effect(FabricConfig, fromOptions(options, optionNames))

  /**
   * A configuration from Effect's `ConfigProvider`, by default the environment: `FABRIC_ENDPOINT` (several
   * with commas between), `FABRIC_TIMEOUT` (seconds), `FABRIC_CLIENT_CERT`, `FABRIC_CLIENT_KEY`,
   * `FABRIC_CA` (paths or PEM texts), `FABRIC_CLIENT_PFX` (a path, or Base64), `FABRIC_CLIENT_PASSPHRASE`,
   * `FABRIC_SERVER_THUMBPRINT` and `FABRIC_SERVER_COMMON_NAME` (several with commas between), and one of `FABRIC_TOKEN`,
   * `FABRIC_TOKEN_FILE` (a path) and `FABRIC_TOKEN_COMMAND` (a command that prints the token, run without a shell:
   * blanks part its words, quotes keep them together). A variable that must not be read, as under Deno without
   * `--allow-env`, counts as absent.
   */
  static readonly layerConfig: Layer.Layer<FabricConfig, ConfigError.ConfigError> = Layer.effect(
    FabricConfig,
    Effect.flatMap(
      Effect.configProviderWith((provider) => tolerant(provider).load(variables)),
      ({ tokenName, ...options }) => fromOptions(options, { ...variableNames, token: tokenName }),
    ),
  )
}

/** What each option is called where the user wrote it. */
type Names = Readonly<
  Record<
    "endpoints" | "timeout" | "cert" | "key" | "pfx" | "ca" | "thumbprints" | "commonNames" | "token",
    string
  >
>

const optionNames: Names = {
  endpoints: "endpoints",
  timeout: "timeout",
  cert: "clientCertificate.cert",
  key: "clientCertificate.key",
  pfx: "clientCertificate.pfx",
  ca: "ca",
  thumbprints: "serverCertificate.thumbprints",
  commonNames: "serverCertificate.commonNames",
  token: "token",
}

const variableNames: Omit<Names, "token"> = {
  endpoints: "FABRIC_ENDPOINT",
  timeout: "FABRIC_TIMEOUT",
  cert: "FABRIC_CLIENT_CERT",
  key: "FABRIC_CLIENT_KEY",
  pfx: "FABRIC_CLIENT_PFX",
  ca: "FABRIC_CA",
  thumbprints: "FABRIC_SERVER_THUMBPRINT",
  commonNames: "FABRIC_SERVER_COMMON_NAME",
}

const optional = <A>(config: Config.Config<A>): Config.Config<A | undefined> =>
  Config.map(Config.option(config), Option.getOrUndefined)

const several = (name: string): Config.Config<ReadonlyArray<string>> => Config.array(Config.string(name))

const problem = (name: string, issue: string): ConfigError.ConfigError =>
  ConfigError.InvalidData([name], issue)

const invalid = (name: string, issue: string): Either.Either<never, ConfigError.ConfigError> =>
  Either.left(problem(name, issue))

/** The one of these that is set, with its name. */
const tokenVariables: Config.Config<Pick<FabricConfig.Options, "token"> & { readonly tokenName: string }> =
  Config.all({
    FABRIC_TOKEN: optional(Config.redacted("FABRIC_TOKEN")),
    FABRIC_TOKEN_FILE: optional(Config.map(Config.string("FABRIC_TOKEN_FILE"), tokenFile)),
    FABRIC_TOKEN_COMMAND: optional(Config.map(Config.string("FABRIC_TOKEN_COMMAND"), tokenCommand)),
  }).pipe(Config.mapOrFail((given) => {
    const [first, second] = Object.entries(given).filter(([, token]) => token !== undefined)
    return second === undefined
      ? Either.right({ tokenName: first?.[0] ?? "FABRIC_TOKEN", token: first?.[1] })
      : invalid(second[0], `gives a token, and so does ${first![0]}; one of them is enough`)
  }))

const variables: Config.Config<FabricConfig.Options & { readonly tokenName: string }> = Config.all({
  endpoints: several("FABRIC_ENDPOINT"),
  timeout: optional(Config.number("FABRIC_TIMEOUT")),
  cert: optional(Config.string("FABRIC_CLIENT_CERT")),
  key: optional(Config.redacted("FABRIC_CLIENT_KEY")),
  pfx: optional(Config.redacted("FABRIC_CLIENT_PFX")),
  passphrase: optional(Config.redacted("FABRIC_CLIENT_PASSPHRASE")),
  ca: optional(Config.string("FABRIC_CA")),
  serverCertificate: Config.all({
    thumbprints: optional(several("FABRIC_SERVER_THUMBPRINT")),
    commonNames: optional(several("FABRIC_SERVER_COMMON_NAME")),
  }),
  token: tokenVariables,
}).pipe(
  Config.map(({ cert, key, passphrase, pfx, token, ...rest }) => {
    // One without the other is refused below, by name.
    const pem = cert === undefined && key === undefined ? undefined : { cert: cert ?? "", key: key ?? "" }
    return {
      ...rest,
      ...token,
      clientCertificate: pfx !== undefined ? { ...pem, pfx, passphrase } : pem && { ...pem, passphrase },
    }
  }),
)

const fromOptions = (
  options: FabricConfig.Options,
  names: Names,
): Effect.Effect<Shape, ConfigError.ConfigError> =>
  Effect.gen(function* () {
    const { defaults } = FabricConfig
    const given = typeof options.endpoints === "string" || options.endpoints instanceof URL
      ? [options.endpoints]
      : options.endpoints
    const [first, ...others] = yield* Effect.forEach(given, (endpoint) =>
      Either.mapLeft(parseEndpoint(endpoint), (issue) => problem(names.endpoints, issue)))
    if (first === undefined) {
      return yield* invalid(names.endpoints, "name at least one gateway, such as http://localhost:19080")
    }
    const timeout = options.timeout ?? defaults.timeout
    if (!Number.isInteger(timeout) || timeout < 1 || timeout > 4294967295) {
      return yield* invalid(names.timeout, `expected whole seconds from 1 to 4294967295, got ${timeout}`)
    }
    const certificate = options.clientCertificate
    const serverCertificate = yield* pins(options.serverCertificate, names)
    const open = [first, ...others].find(({ protocol }) =>
      protocol === "http:"
    )
    if (open !== undefined) {
      const secured = [
        ...(options.token === undefined ? [] : [names.token]),
        ...(serverCertificate.thumbprints.length === 0 ? [] : [names.thumbprints]),
        ...(serverCertificate.commonNames.length === 0 ? [] : [names.commonNames]),
      ]
      if (secured[0] !== undefined) {
        return yield* invalid(
          secured[0],
          `it is for https:// only; at ${open.origin} everybody could read along, or answer`,
        )
      }
    }
    return {
      endpoints: [first, ...others],
      timeout,
      grace: yield* duration("grace", options.grace ?? defaults.grace),
      totalTimeout: options.totalTimeout === undefined
        ? defaults.totalTimeout
        : Option.some(yield* duration("totalTimeout", options.totalTimeout)),
      retry: yield* retryPolicy({
        times: options.retry?.times ?? defaults.retry.times,
        firstDelay: options.retry?.firstDelay ?? defaults.retry.firstDelay,
        maxDelay: options.retry?.maxDelay ?? defaults.retry.maxDelay,
        jitter: options.retry?.jitter ?? defaults.retry.jitter,
      }),
      clientCertificate: certificate === undefined ? defaults.clientCertificate : Option.some({
        ...(yield* keyPair(certificate, names)),
        passphrase: Option.map(Option.fromNullable(certificate.passphrase), (text) =>
          Redacted.make(reveal(text))),
      }),
      ca: options.ca === undefined ? defaults.ca : Option.some(yield* pem(names.ca, options.ca)),
      serverCertificate,
      token: options.token === undefined ? defaults.token : Option.some(yield* tokenOf(options.token, names)),
    }
  })

const pins = (
  given: FabricConfig.Options["serverCertificate"],
  names: Names,
): Effect.Effect<ServerCertificate, ConfigError.ConfigError> =>
  Effect.all({
    thumbprints: Effect.forEach(given?.thumbprints ?? [], (text) =>
      Either.mapLeft(parseThumbprint(text), (issue) => problem(names.thumbprints, issue))),
    commonNames: Effect.forEach(given?.commonNames ?? [], (text) =>
      text.trim() === ""
        ? invalid(names.commonNames, "expected names, but one is empty")
        : Either.right(text.trim())),
  })

const tokenOf = (
  token: NonNullable<FabricConfig.Options["token"]>,
  names: Names,
): Either.Either<Effect.Effect<Redacted.Redacted, unknown>, ConfigError.ConfigError> => {
  if (Effect.isEffect(token)) return Either.right(Effect.map(token, hide))
  const hidden = hide(token)
  return Either.mapBoth(readToken(hidden), {
    onLeft: (issue) => problem(names.token, issue),
    onRight: () => Effect.succeed(hidden),
  })
}

/** What one half of a client certificate lacks. */
const otherHalf = (half: "cert" | "key"): string =>
  `${optionNames[half]} (${variableNames[half]}, --${half}) is missing; both may be the same PEM file`

const keyPair = (certificate: NonNullable<FabricConfig.Options["clientCertificate"]>, names: Names) =>
  Effect.gen(function* () {
    if (!("pfx" in certificate)) {
      const { cert } = certificate
      const key = reveal(certificate.key)
      if (cert !== "" && key === "") return yield* invalid(names.cert, otherHalf("key"))
      if (cert === "" && key !== "") return yield* invalid(names.key, otherHalf("cert"))
      return { cert: yield* pem(names.cert, cert), key: Redacted.make(yield* pem(names.key, key)) }
    }
    if ("cert" in certificate) {
      return yield* invalid(
        names.pfx,
        `holds certificate and key; ${names.cert} and ${names.key} go without it`,
      )
    }
    const { pfx } = certificate
    return { pfx: Redacted.make(pfx instanceof Uint8Array ? pfx : yield* readPfx(names.pfx, reveal(pfx))) }
  })

const retryPolicy = (policy: RetryPolicy): Effect.Effect<RetryPolicy, ConfigError.ConfigError> =>
  Effect.gen(function* () {
    const { jitter, times } = policy
    if (!Number.isInteger(times) || times < 0) {
      return yield* invalid("retry.times", `expected a whole number, 0 or more, got ${times}`)
    }
    if (!(jitter >= 0 && jitter <= 1)) {
      return yield* invalid("retry.jitter", `expected a share from 0 to 1, got ${jitter}`)
    }
    return {
      times,
      jitter,
      firstDelay: yield* duration("retry.firstDelay", policy.firstDelay),
      maxDelay: yield* duration("retry.maxDelay", policy.maxDelay),
    }
  })

const duration = (
  name: string,
  input: Duration.DurationInput,
): Either.Either<Duration.Duration, ConfigError.ConfigError> =>
  Either.fromOption(
    Option.filter(Duration.decodeUnknown(input), () => typeof input !== "number" || input >= 0),
    () => problem(name, `expected a duration such as "5 seconds", got ${String(input)}`),
  )

const hide = (secret: string | Redacted.Redacted): Redacted.Redacted =>
  Redacted.isRedacted(secret) ? secret : Redacted.make(secret)

const reveal = (secret: string | Redacted.Redacted): string =>
  Redacted.isRedacted(secret) ? Redacted.value(secret) : secret

/** PEM text as it is, or read from the file that `source` names. */
const pem = (name: string, source: string): Effect.Effect<string, ConfigError.ConfigError> =>
  source === ""
    ? invalid(name, "is empty; give a path or the PEM text itself")
    : source.includes("-----BEGIN ")
    ? Effect.succeed(source)
    : Effect.tryPromise({
      try: () => readFile(source, "utf8"),
      // The path is left out: it may be a secret pasted in the wrong place.
      catch: (cause) =>
        problem(name, `neither PEM text nor a file that can be read (${systemSays(cause, "--allow-read")})`),
    }).pipe(Effect.filterOrFail(
      (text) => text.includes("-----BEGIN "),
      () => problem(name, "the file is not PEM text; convert it, for example with openssl"),
    ))

/** How every PFX begins that is worth the name, in Base64. */
const PFX_IN_BASE64 = /^\s*MI[A-Za-z0-9+/=\s]{200,}$/

const readPfx = (name: string, source: string): Effect.Effect<Uint8Array, ConfigError.ConfigError> =>
  PFX_IN_BASE64.test(source) ? Effect.succeed(Buffer.from(source, "base64")) : Effect.tryPromise({
    try: () => readFile(source),
    catch: (cause) =>
      problem(name, `neither a file that can be read nor Base64 (${systemSays(cause, "--allow-read")})`),
  })
