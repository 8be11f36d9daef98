/**
 * The cluster that `sfctl cluster select` chose (peers.md 5).
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { azCommand } from "../credentials/entra.ts"
import { expiryOf } from "../credentials/jwt.ts"
import { Host } from "./Host.ts"
import { isYes, readSection } from "./ini.ts"
import type { Setting } from "./Setting.ts"
import { word } from "./shell.ts"

/** Looks a key of sfctl's up. */
type Lookup = (key: string) => Effect.Effect<Setting | undefined>

/**
 * sfctl's cluster, by the names of our own variables; empty when it has none. Each of its settings is
 * `SFCTL_SERVICEFABRIC_…`, or else stands in its file. Paths of an earlier choice stay in there, so what
 * `security` and `use_ca` do not ask for is not used. `wantsToken`: there is none from elsewhere.
 */
export const sfctl = (
  wantsToken: boolean,
): Effect.Effect<ReadonlyMap<string, Setting>, never, Host> =>
  Effect.gen(function* () {
    const host = yield* Host
    const home = (yield* host.variable("HOME")) ?? (yield* host.variable("USERPROFILE"))
    const folder = (yield* host.variable("SFCTL_CONFIG_DIR")) ??
      (home === undefined ? undefined : `${home}/.sfctl`)
    const file = `${folder}/config`
    const text = folder === undefined ? undefined : yield* host.text(file)
    const section = readSection(text ?? "", "servicefabric")

    const setting: Lookup = (key) => {
      const name = `SFCTL_SERVICEFABRIC_${key.toUpperCase()}`
      const written = section.get(key)
      return Effect.map(
        host.variable(name),
        (value): Setting | undefined =>
          value !== undefined
            ? { value, source: name }
            : written === undefined || written === ""
            ? undefined
            : { value: written, source: `${key} in ${file}` },
      )
    }

    const found = new Map<string, Setting>()
    const use = (name: string, key: string) =>
      Effect.map(setting(key), (value) => value === undefined ? undefined : found.set(name, value))

    yield* use("FABRIC_ENDPOINT", "endpoint")
    if (found.size === 0) return found
    const security = (yield* setting("security"))?.value.toLowerCase()
    if (security === "pem") {
      yield* use("FABRIC_CLIENT_CERT", "pem_path")
      yield* use("FABRIC_CLIENT_KEY", "pem_path")
    } else if (security === "cert") {
      yield* use("FABRIC_CLIENT_CERT", "cert_path")
      yield* use("FABRIC_CLIENT_KEY", "key_path")
    } else if (security === "aad" && wantsToken) {
      const token = yield* keptToken(setting)
      if (token !== undefined) found.set("FABRIC_TOKEN", token)
    }
    if (isYes((yield* setting("use_ca"))?.value)) yield* use("FABRIC_CA", "ca_path")
    return found
  })

/** What else `aad_token` holds is for sfctl to renew it. */
const AadToken = Schema.parseJson(Schema.Struct({ accessToken: Schema.String }))

/** The token that sfctl got when it chose the cluster, which lasts for about an hour. */
const keptToken = (setting: Lookup): Effect.Effect<Setting | undefined> =>
  Effect.gen(function* () {
    const kept = yield* setting("aad_token")
    const token = Option.getOrUndefined(Schema.decodeUnknownOption(AadToken)(kept?.value))?.accessToken
    if (token !== undefined && expiryOf(token) > (yield* Clock.currentTimeMillis)) {
      return { value: token, source: kept!.source }
    }
    const cluster = (yield* setting("aad_resource"))?.value
    const tenant = (yield* setting("authority_uri"))?.value.split("/").at(-1)
    const how = cluster === undefined || tenant === undefined
      ? ""
      : `, as \`${azCommand({ cluster: word(cluster), tenant: word(tenant) })}\` prints it`
    yield* Effect.logWarning(
      `sfctl has ${token === undefined ? "no token" : "no token that still holds"} for this cluster; ` +
        `give one${how}: FABRIC_TOKEN, --token-file or --token-command`,
    )
  })
