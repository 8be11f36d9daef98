/**
 * The cluster that `sfctl cluster select` chose (peers.md 5).
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { Host } from "./Host.ts"
import { isYes, readSection } from "./ini.ts"
import type { Setting } from "./Setting.ts"

/**
 * sfctl's cluster, by the names of our own variables; empty when it has none. Each of its settings is
 * `SFCTL_SERVICEFABRIC_…`, or else stands in its file. Paths of an earlier choice stay in there, so what
 * `security` and `use_ca` do not ask for is not used.
 */
export const sfctl: Effect.Effect<ReadonlyMap<string, Setting>, never, Host> = Effect.gen(function* () {
  const host = yield* Host
  const home = (yield* host.variable("HOME")) ?? (yield* host.variable("USERPROFILE"))
  const folder = (yield* host.variable("SFCTL_CONFIG_DIR")) ??
    (home === undefined ? undefined : `${home}/.sfctl`)
  const file = `${folder}/config`
  const text = folder === undefined ? undefined : yield* host.text(file)
  const section = readSection(text ?? "", "servicefabric")

  const setting = (key: string) => {
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
  } else if (security === "aad") {
    yield* Effect.logWarning("sfctl signs in to this cluster with Entra ID, which image-store cannot do yet")
  }
  if (isYes((yield* setting("use_ca"))?.value)) yield* use("FABRIC_CA", "ca_path")
  return found
})
