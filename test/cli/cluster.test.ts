import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Emulator } from "../../src/emulator/mod.ts"
import { operatorPfx } from "../fixtures/operatorPfx.ts"
import { certificate } from "../support/certificates.ts"
import { S } from "../support/cluster.ts"
import { temporaryFolder } from "../support/packages.ts"
import { jwt } from "../support/tokens.ts"
import { imageStore, type Machine } from "./terminal.ts"

const FILE = "/home/me/.sfctl/config"

/** Which cluster a command would talk to, and why. */
const cluster = (machine: Machine, options = "") =>
  Effect.map(
    imageStore(["session", "delete", S, "--if-exists", ...options.split(" ").filter(Boolean)], machine),
    ({ err }) => err,
  )

const config = (...lines: ReadonlyArray<string>) => ({
  env: { HOME: "/home/me" },
  files: { [FILE]: ["[servicefabric]", ...lines].join("\n") },
})

describe("the cluster", () => {
  it.effect("is that of the options, then of the environment, then of sfctl, then the local one", () =>
    Effect.gen(function* () {
      const { files } = config("endpoint = http://file:19080")
      const env = { HOME: "/home/me" }
      const chosen = { ...env, SFCTL_SERVICEFABRIC_ENDPOINT: "http://chosen:19080" }
      const ours = { ...chosen, FABRIC_ENDPOINT: "http://env:19080" }
      expect(yield* cluster({ files, env: ours }, "--endpoint http://typed:19080")).toBe(
        "Cluster: http://typed:19080 (from --endpoint)",
      )
      expect(yield* cluster({ files, env: ours })).toBe("Cluster: http://env:19080 (from FABRIC_ENDPOINT)")
      expect(yield* cluster({ files, env: chosen })).toBe(
        "Cluster: http://chosen:19080 (from SFCTL_SERVICEFABRIC_ENDPOINT)",
      )
      expect(yield* cluster({ files, env })).toBe(`Cluster: http://file:19080 (from endpoint in ${FILE})`)
      expect(yield* cluster({ env })).toBe("Cluster: http://localhost:19080 (the default)")
      expect(yield* cluster({})).toBe("Cluster: http://localhost:19080 (the default)")
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("may have several gateways", () =>
    Effect.gen(function* () {
      const expected = "Cluster: http://a:19080, https://b:19080"
      expect(yield* cluster({}, "--endpoint http://a:19080 --endpoint=https://b:19080")).toBe(
        `${expected} (from --endpoint)`,
      )
      expect(yield* cluster({ env: { FABRIC_ENDPOINT: "http://a:19080,https://b:19080" } })).toBe(
        `${expected} (from FABRIC_ENDPOINT)`,
      )
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("is read from where SFCTL_CONFIG_DIR says", () =>
    Effect.gen(function* () {
      expect(
        yield* cluster({
          env: { HOME: "/home/me", SFCTL_CONFIG_DIR: "/etc/sf" },
          files: { "/etc/sf/config": "[servicefabric]\nendpoint = http://etc:19080" },
        }),
      ).toBe("Cluster: http://etc:19080 (from endpoint in /etc/sf/config)")
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("is the default where sfctl has chosen none", () =>
    Effect.gen(function* () {
      expect(yield* cluster(config("security = none"))).toBe(
        "Cluster: http://localhost:19080 (the default)",
      )
    }).pipe(Effect.provide(Emulator.layer())))
})

describe("settings", () => {
  it.effect("each come from the option, or else the variable", () =>
    Effect.gen(function* () {
      const env = { FABRIC_ENDPOINT: "http://one:19080", FABRIC_TIMEOUT: "9" }
      yield* cluster({ env })
      yield* cluster({ env }, "--timeout 3")
      yield* cluster({ env: { ...env, FABRIC_TIMEOUT: "nonsense" } }, "--timeout 4")
      const requests = yield* (yield* Emulator).requests
      expect(requests.map(({ url }) => new URL(url).searchParams.get("timeout"))).toEqual(["9", "3", "4"])
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("are blamed by the name under which they were given", () =>
    Effect.gen(function* () {
      const secured = ["endpoint = https://file:19080", "security = cert", "cert_path = /50%%/c.pem"]
      expect(yield* cluster(config(...secured, "key_path = /k.pem"))).toMatch(
        /^Cannot use cert_path in \/home\/me\/.sfctl\/config: .*ENOENT/,
      )
      expect(yield* cluster({ env: { FABRIC_TIMEOUT: "0" } })).toBe(
        "Cannot use FABRIC_TIMEOUT: expected whole seconds from 1 to 4294967295, got 0",
      )
      expect(yield* cluster({ env: { FABRIC_TIMEOUT: "soon" } })).toMatch(/^Cannot use FABRIC_TIMEOUT: /)
      expect(yield* cluster({ env: { FABRIC_ENDPOINT: "host:19000" } })).toMatch(
        /^Cannot use FABRIC_ENDPOINT: "host:19000" is the address for PowerShell.*http:\/\/host:19080/,
      )
      expect(yield* cluster({}, "--endpoint https://h:1 --ca /nowhere.pem")).toMatch(/^Cannot use --ca: /)
      expect(yield* cluster({}, "--endpoint https://h:1 --key /nowhere.pem")).toMatch(
        /^Cannot use .*(--cert|CERT)/,
      )
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("of sfctl are used as security and use_ca say, and never for another cluster", () =>
    Effect.gen(function* () {
      const stale = ["pem_path = /nowhere.pem", "ca_path = /nowhere.pem", "cert_path = /nowhere.pem"]
      const endpoint = "endpoint = http://file:19080"
      const fine = `Cluster: http://file:19080 (from endpoint in ${FILE})`
      expect(yield* cluster(config(endpoint, "security = none", ...stale))).toBe(fine)
      expect(yield* cluster(config(endpoint, "use_ca = False", ...stale))).toBe(fine)
      expect(yield* cluster(config(endpoint, "security = pem", ...stale))).toMatch(/^Cannot use pem_path in /)
      expect(yield* cluster(config(endpoint, "use_ca = Yes", ...stale))).toMatch(/^Cannot use ca_path in /)
      expect(yield* cluster(config(endpoint, "security = pem", ...stale), "--endpoint http://typed:19080"))
        .toBe(
          "Cluster: http://typed:19080 (from --endpoint)",
        )
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("of sfctl can be one PEM text for certificate and key", () =>
    Effect.gen(function* () {
      const { cert, key } = yield* Effect.promise(() => certificate("localhost"))
      const env = {
        SFCTL_SERVICEFABRIC_ENDPOINT: "https://chosen:19080",
        SFCTL_SERVICEFABRIC_SECURITY: "PEM",
        SFCTL_SERVICEFABRIC_PEM_PATH: `${cert}\n${key}`,
      }
      expect(yield* cluster({ env })).toBe(
        "Cluster: https://chosen:19080 (from SFCTL_SERVICEFABRIC_ENDPOINT)",
      )
    }).pipe(Effect.provide(Emulator.layer())))

  it.scoped("with a typed PFX use no other client certificate, and the other way round", () =>
    Effect.gen(function* () {
      const { cert, key } = yield* Effect.promise(() => certificate("localhost"))
      const pem = { FABRIC_CLIENT_CERT: cert, FABRIC_CLIENT_KEY: key }
      const pfx = { FABRIC_CLIENT_PFX: operatorPfx.pfx, FABRIC_CLIENT_PASSPHRASE: "hunter2" }
      const chosen = config("endpoint = https://file:19080", "security = pem", `pem_path = /nowhere.pem`)
      const folder = yield* temporaryFolder
      yield* Effect.promise(() => writeFile(join(folder, "a"), Buffer.from(operatorPfx.pfx, "base64")))
      yield* Effect.promise(() => writeFile(join(folder, "a.pem"), `${cert}\n${key}`))
      const typed = `--pfx ${join(folder, "a")}`
      const fine = "Cluster: https://h:1 (from --endpoint)"
      const opened = { FABRIC_CLIENT_PASSPHRASE: "hunter2" }
      expect(yield* cluster({ env: { ...pem, ...opened } }, `--endpoint https://h:1 ${typed}`)).toBe(fine)
      expect(yield* cluster({ ...chosen, env: { ...chosen.env, ...opened } }, typed)).toMatch(
        /^Cluster: https:\/\/file:19080 /,
      )
      const both = ["--cert", "--key"].map((option) => `${option} ${join(folder, "a.pem")}`).join(" ")
      expect(
        yield* cluster({ env: { FABRIC_CLIENT_PFX: operatorPfx.pfx } }, `--endpoint https://h:1 ${both}`),
      )
        .toBe(fine)
      expect(yield* cluster({ env: { ...pem, ...pfx, FABRIC_ENDPOINT: "https://h:1" } })).toMatch(
        /^Cannot use FABRIC_CLIENT_PFX: holds certificate and key/,
      )
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("may be thumbprints and names of the cluster's certificate, also where sfctl chose the cluster", () =>
    Effect.gen(function* () {
      const right = "a8136758f4ab8962af2bf3f27921be1df67f4326"
      const chosen = config("endpoint = https://file:19080", "security = none", "no_verify = true")
      const fine = `Cluster: https://file:19080 (from endpoint in ${FILE})`
      const typed =
        `--server-thumbprint ${right} --server-thumbprint=${right} --server-common-name cluster.example`
      const withVariable = (value: string) => ({
        ...chosen,
        env: { ...chosen.env, FABRIC_SERVER_THUMBPRINT: value },
      })
      expect(yield* cluster(chosen, typed)).toBe(fine)
      expect(yield* cluster(withVariable(`${right},${right}`))).toBe(fine)
      expect(yield* cluster(withVariable(`${right},12`))).toMatch(
        /^Cannot use FABRIC_SERVER_THUMBPRINT: .* got "12"$/,
      )
      expect(yield* cluster(withVariable("12"), typed)).toBe(fine)
      expect(yield* cluster(chosen, `${typed} --server-thumbprint 12`)).toMatch(
        /^Cannot use --server-thumbprint: .* got "12"$/,
      )
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("are refused for a cluster on http that mean something only on https", () =>
    Effect.gen(function* () {
      const right = "a8136758f4ab8962af2bf3f27921be1df67f4326"
      const env = { FABRIC_TOKEN: "hunter2", FABRIC_ENDPOINT: "http://h:1" }
      const why = "it is for https:// only; at http://h:1 everybody could read along, or answer"
      expect(yield* cluster({ env })).toBe(`Cannot use FABRIC_TOKEN: ${why}`)
      expect(yield* cluster({}, "--endpoint http://h:1 --token-file /t")).toBe(
        `Cannot use --token-file: ${why}`,
      )
      expect(yield* cluster({}, "--endpoint http://h:1 --token-command az")).toBe(
        `Cannot use --token-command: ${why}`,
      )
      expect(yield* cluster({}, `--endpoint http://h:1 --server-thumbprint ${right}`)).toBe(
        `Cannot use --server-thumbprint: ${why}`,
      )
      expect(yield* cluster({}, "--endpoint http://h:1 --server-common-name h")).toBe(
        `Cannot use --server-common-name: ${why}`,
      )
      expect(yield* (yield* Emulator).requests).toEqual([])
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("of sfctl include the token that it got, while that holds", () =>
    Effect.gen(function* () {
      const token = jwt("hunter2", 3600)
      const kept = JSON.stringify({ tokenType: "Bearer", accessToken: token, refreshToken: "hunter3" })
      const chosen = config("endpoint = https://file:19080", "security = aad", `aad_token = ${kept}`)
      const fine = `Cluster: https://file:19080 (from endpoint in ${FILE})`
      const { requests } = yield* Emulator
      const shown = Effect.map(requests, (all) => all.at(-1)?.headers["authorization"])
      expect(yield* cluster(chosen)).toBe(fine)
      expect(yield* shown).toBe(`Bearer ${token}`)
      expect(yield* cluster({ ...chosen, env: { ...chosen.env, FABRIC_TOKEN: "own" } })).toBe(fine)
      expect(yield* shown).toBe("Bearer own")
      expect(yield* cluster(chosen, "--endpoint https://typed:19080")).toMatch(/typed/)
      expect(yield* shown).toBeUndefined()
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("of sfctl that hold no token any more are pointed out, with the ways to give one", () =>
    Effect.gen(function* () {
      const secured = ["endpoint = https://file:19080", "security = aad"]
      const ways = "FABRIC_TOKEN, --token-file or --token-command"
      expect(yield* cluster(config(...secured))).toContain(
        `warning: sfctl has no token for this cluster; give one: ${ways}\n`,
      )
      const expired = `aad_token = {"accessToken": "${jwt("hunter2", 0)}"}`
      const application = ["authority_uri = https://login.microsoftonline.com/tenant", "aad_resource = app"]
      const said = yield* cluster(config(...secured, ...application, expired))
      expect(said).toContain(
        "warning: sfctl has no token that still holds for this cluster; give one, as `az account get-access-token " +
          `--resource app --tenant tenant --query accessToken --output tsv\` prints it: ${ways}\n`,
      )
      expect(said).not.toContain(jwt("hunter2", 0))
      for (const given of [secured, [...secured, expired]]) {
        const chosen = config(...given)
        expect(yield* cluster({ ...chosen, env: { ...chosen.env, FABRIC_TOKEN: "own" } })).not.toContain(
          "warning",
        )
      }
    }).pipe(Effect.provide(Emulator.layer())))
})

describe("a token", () => {
  const shown = Effect.map(
    Effect.flatMap(Emulator, ({ requests }) => requests),
    (all) => all.at(-1)?.headers["authorization"],
  )
  const line = (...options: ReadonlyArray<string>) => ["ls", "--endpoint", "https://h:1", ...options]

  it.scoped("comes from a variable, a file or a command, and a typed one takes the place of others", () =>
    Effect.gen(function* () {
      const file = join(yield* temporaryFolder, "token")
      yield* Effect.promise(() => writeFile(file, "of-a-file\n"))
      const command = `node -e "console.log('of-a-command')"`
      const env = { FABRIC_TOKEN: "itself" }
      for (
        const [machine, options, token] of [
          [{ env }, [], "itself"],
          [{ env: { FABRIC_TOKEN_FILE: file } }, [], "of-a-file"],
          [{ env: { FABRIC_TOKEN_COMMAND: command } }, [], "of-a-command"],
          [{ env }, ["--token-file", file], "of-a-file"],
          [{ env: { FABRIC_TOKEN_FILE: file } }, ["--token-command", command], "of-a-command"],
        ] as const
      ) {
        expect((yield* imageStore(line(...options), machine)).code).toBe(0)
        expect(yield* shown).toBe(`Bearer ${token}`)
      }
      const both = yield* imageStore(line("--token-file", file, "--token-command", command))
      expect([both.code, both.err]).toEqual([
        2,
        "Cannot use --token-command: gives a token, and so does FABRIC_TOKEN_FILE; one of them is enough",
      ])
    }).pipe(Effect.provide(Emulator.layer())))

  it.effect("that is refused does not show, and what does is how to get another", () =>
    Effect.gen(function* () {
      const token = jwt("hunter2", 3600)
      const env = { FABRIC_TOKEN: token }
      for (const options of [[], ["--json"], ["--log-level", "all"]]) {
        const { code, err, out } = yield* imageStore(line(...options), { env })
        expect(code).toBe(1)
        expect(err).toContain("az account get-access-token --resource c --tenant t")
        expect(out + err).not.toContain(token.slice(-20))
      }
    }).pipe(Effect.provide(Emulator.layer({
      token: "good",
      aad: { login: "", authority: "", tenant: "t", cluster: "c", client: "", redirect: "" },
    }))))

  it.effect("that cannot be got ends the command with what the other said, before anything is sent", () =>
    Effect.gen(function* () {
      const command = `node -e "console.error('Please run az login'); process.exitCode = 1"`
      const { code, err } = yield* imageStore(line("--token-command", command))
      expect([code, err]).toEqual([
        1,
        "Cannot list the image store at h:1: there is no token to show: its command ended with code 1: " +
        "Please run az login; nothing was sent",
      ])
      expect(yield* (yield* Emulator).requests).toEqual([])
    }).pipe(Effect.provide(Emulator.layer())))
})
