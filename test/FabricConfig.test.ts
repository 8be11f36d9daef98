import { assert, describe, it } from "@effect/vitest"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { writeFile } from "node:fs/promises"
import { join } from "node:path"
import { FabricConfig } from "../mod.ts"
import { operatorPfx } from "./fixtures/operatorPfx.ts"
import { failure } from "./support/cluster.ts"
import { temporaryFolder } from "./support/packages.ts"

const read = (options: FabricConfig.Options) => Effect.provide(FabricConfig, FabricConfig.layer(options))

const readFrom = (variables: Record<string, string>) =>
  Effect.provide(
    FabricConfig,
    Layer.provide(
      FabricConfig.layerConfig,
      Layer.setConfigProvider(ConfigProvider.fromMap(new Map(Object.entries(variables)))),
    ),
  )

const complaint = (options: FabricConfig.Options) => Effect.map(failure(read(options)), String)

const CERT = "-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n"
const SHA1 = "A8136758F4AB8962AF2BF3F27921BE1DF67F4326"
const KEY = "-----BEGIN PRIVATE KEY-----\nMII\n-----END PRIVATE KEY-----\n"

describe("FabricConfig.layer", () => {
  it.effect("needs endpoints, and has a default for the rest", () =>
    Effect.gen(function* () {
      const config = yield* read({ endpoints: ["http://localhost:19080"] })
      assert.deepStrictEqual(config.endpoints.map(String), ["http://localhost:19080/"])
      assert.deepStrictEqual(
        { ...config, endpoints: [] },
        { ...FabricConfig.defaults, endpoints: [] } as never,
      )
      assert.strictEqual(config.timeout, 60)
      assert.strictEqual(Duration.toSeconds(config.grace), 5)
      const { firstDelay, jitter, maxDelay, times } = config.retry
      assert.deepStrictEqual(
        [times, Duration.toMillis(firstDelay), Duration.toSeconds(maxDelay), jitter],
        [3, 500, 10, 0.2],
      )
    }))

  it.effect("keeps several endpoints in their order", () =>
    Effect.gen(function* () {
      const config = yield* read({ endpoints: ["https://b:19080", new URL("https://a:19080/")] })
      assert.deepStrictEqual(config.endpoints.map(({ host }) => host), ["b:19080", "a:19080"])
    }))

  for (
    const [endpoint, advice] of [
      ["localhost:19080", "write http://localhost:19080"],
      ["fabric.example", "write http://fabric.example:19080"],
      ["fabric.example:19000", "http://fabric.example:19080"],
      ["tcp://fabric.example:19000", "http://fabric.example:19080"],
      ["tcp://fabric.example:20000", "http://fabric.example:20000"],
      ["[::1]:19080", "write http://[::1]:19080"],
      ["http://fabric.example:19080/Explorer", "write http://fabric.example:19080"],
      ["http://fabric.example:19080/?a=b", "write http://fabric.example:19080"],
      ["http://user:hunter2@fabric.example:19080", "write http://fabric.example:19080"],
      ["ftp://fabric.example", "write http://host:19080"],
      ["http://", "write http://host:19080"],
      ["", "write http://host:19080"],
    ] as const
  ) {
    it.effect(`refuses the endpoint "${endpoint}" and says what to write`, () =>
      Effect.gen(function* () {
        const text = yield* complaint({ endpoints: [endpoint] })
        assert.include(text, "endpoints")
        assert.include(text, advice)
        assert.notInclude(text, "hunter2")
      }))
  }

  it.effect("refuses no endpoint at all", () =>
    Effect.gen(function* () {
      assert.include(yield* complaint({ endpoints: [] }), "at least one gateway")
    }))

  for (const timeout of [0, -1, 1.5, 4294967296, NaN]) {
    it.effect(`refuses a timeout of ${timeout}`, () =>
      Effect.gen(function* () {
        assert.include(
          yield* complaint({ endpoints: ["http://a:1"], timeout }),
          `from 1 to 4294967295, got ${timeout}`,
        )
      }))
  }

  it.effect("refuses a retry policy that makes no sense", () =>
    Effect.gen(function* () {
      for (const times of [-1, 1.5]) {
        assert.include(yield* complaint({ endpoints: ["http://a:1"], retry: { times } }), "retry.times")
      }
      for (const jitter of [-0.1, 1.1, NaN]) {
        assert.include(yield* complaint({ endpoints: ["http://a:1"], retry: { jitter } }), "retry.jitter")
      }
    }))

  it.effect("takes each part of a retry policy, and the defaults for the others", () =>
    Effect.gen(function* () {
      for (
        const part of [{ times: 7 }, { jitter: 1 }, {
          firstDelay: Duration.seconds(1),
        }, { maxDelay: Duration.seconds(20) }]
      ) {
        const { retry } = yield* read({ endpoints: ["http://a:1"], retry: part })
        assert.deepStrictEqual(retry, { ...FabricConfig.defaults.retry, ...part })
      }
    }))

  it.effect("refuses what is no duration", () =>
    Effect.gen(function* () {
      const endpoints = ["http://a:1"]
      assert.include(yield* complaint({ endpoints, grace: "soon" as "1 second" }), 'grace: "')
      assert.include(yield* complaint({ endpoints, grace: -5 }), "got -5")
      assert.include(yield* complaint({ endpoints, totalTimeout: "x" as "1 second" }), "totalTimeout")
      assert.include(
        yield* complaint({ endpoints, retry: { firstDelay: {} as "1 second" } }),
        "retry.firstDelay",
      )
      assert.include(yield* complaint({ endpoints, retry: { maxDelay: -1 } }), "retry.maxDelay")
    }))

  it.effect("takes certificates as text or as the path of a file", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* Effect.promise(() => writeFile(join(folder, "key.pem"), KEY))
      const config = yield* read({
        endpoints: ["https://a:1"],
        ca: CERT,
        clientCertificate: { cert: CERT, key: join(folder, "key.pem") },
      })
      assert.deepStrictEqual(config.ca, Option.some(CERT))
      const certificate = Option.getOrThrow(config.clientCertificate)
      assert.strictEqual("key" in certificate && Redacted.value(certificate.key), KEY)
    }).pipe(Effect.scoped))

  it.effect("takes a PFX as its bytes, the path of a file, or Base64", () =>
    Effect.gen(function* () {
      const bytes = Buffer.from(operatorPfx.pfx, "base64")
      const folder = yield* temporaryFolder
      yield* Effect.promise(() => writeFile(join(folder, "a.pfx"), bytes))
      for (const pfx of [new Uint8Array(bytes), join(folder, "a.pfx"), Redacted.make(operatorPfx.pfx)]) {
        const config = yield* read({ endpoints: ["https://a:1"], clientCertificate: { pfx } })
        const certificate = Option.getOrThrow(config.clientCertificate)
        assert.isTrue("pfx" in certificate && bytes.equals(Redacted.value(certificate.pfx)))
      }
    }).pipe(Effect.scoped))

  it.effect("refuses a PFX that cannot be read, or that comes with another certificate, without its text", () =>
    Effect.gen(function* () {
      const endpoints = ["https://a:1"]
      const missing = yield* complaint({ endpoints, clientCertificate: { pfx: "/none/hunter2" } })
      assert.include(missing, "clientCertificate.pfx")
      assert.include(missing, "ENOENT")
      assert.notInclude(missing, "hunter2")
      const both = yield* failure(
        readFrom({
          FABRIC_ENDPOINT: "https://a:1",
          FABRIC_CLIENT_PFX: operatorPfx.pfx,
          FABRIC_CLIENT_CERT: CERT,
        }),
      )
      assert.include(String(both), "FABRIC_CLIENT_CERT and FABRIC_CLIENT_KEY go without it")
      assert.notInclude(String(both), operatorPfx.pfx.slice(0, 50))
    }))

  it.effect("takes thumbprints and names of the gateway's certificate, and says which is none", () =>
    Effect.gen(function* () {
      const endpoints = ["https://a:1"]
      const written = "\u200ea8 13 67 58 f4 ab 89 62 af 2b f3 f2 79 21 be 1d f6 7f 43 26"
      const { serverCertificate } = yield* read({
        endpoints,
        serverCertificate: { thumbprints: [written], commonNames: [" cluster.example "] },
      })
      assert.deepStrictEqual(serverCertificate, { thumbprints: [SHA1], commonNames: ["cluster.example"] })
      const thumbprints = [SHA1, "a8 13"]
      const text = yield* complaint({ endpoints, serverCertificate: { thumbprints } })
      assert.include(text, "serverCertificate.thumbprints")
      assert.include(text, 'got "a8 13"')
      assert.include(
        yield* complaint({ endpoints, serverCertificate: { commonNames: [" "] } }),
        "serverCertificate.commonNames",
      )
    }))

  it.effect("refuses over http what is for https, before anything is sent", () =>
    Effect.gen(function* () {
      const endpoints = ["https://a:19080", "http://b:19080"]
      for (
        const [name, option] of [
          ["token", { token: "hunter2" }],
          ["token", { token: Effect.dieMessage("it is not asked for") }],
          ["serverCertificate.thumbprints", { serverCertificate: { thumbprints: [SHA1] } }],
          ["serverCertificate.commonNames", { serverCertificate: { commonNames: ["a.example"] } }],
        ] as const
      ) {
        const text = yield* complaint({ endpoints, ...option })
        assert.include(
          text,
          `${name}: "it is for https:// only; at http://b:19080 everybody could read along`,
        )
        assert.notInclude(text, "hunter2")
        yield* read({ endpoints: ["https://a:19080"], ...option })
      }
      yield* read({ endpoints, serverCertificate: { thumbprints: [], commonNames: [] } })
    }))

  it.effect("takes a token as text, redacted, or as an effect of either", () =>
    Effect.gen(function* () {
      const endpoints = ["https://a:1"]
      for (
        const token of [
          "one",
          Redacted.make("one"),
          Effect.succeed("one"),
          Effect.succeed(Redacted.make("one")),
        ]
      ) {
        const config = yield* read({ endpoints, token })
        assert.strictEqual(Redacted.value(yield* Option.getOrThrow(config.token)), "one")
      }
    }))

  it.effect("refuses a text that is no token, without the text", () =>
    Effect.gen(function* () {
      for (const token of ["", "Bearer hunter2", "hunter2\nX-Other: 1"]) {
        const text = yield* complaint({ endpoints: ["https://a:1"], token })
        assert.match(text, /token.*(is empty|no token alone)/)
        assert.notInclude(text, "hunter2")
      }
    }))

  it.effect("says which certificate cannot be read, without its text", () =>
    Effect.gen(function* () {
      const text = yield* complaint({
        endpoints: ["https://a:1"],
        clientCertificate: { cert: CERT, key: "/none/hunter2" },
      })
      assert.include(text, "clientCertificate.key")
      assert.include(text, "ENOENT")
      assert.notInclude(text, "hunter2")
    }))
})

describe("half a client certificate", () => {
  const MISSING = "is missing; both may be the same PEM file"
  for (
    const [given, half, partner] of [
      ["cert", { cert: CERT, key: "" }, "clientCertificate.key (FABRIC_CLIENT_KEY, --key)"],
      ["key", { cert: "", key: KEY }, "clientCertificate.cert (FABRIC_CLIENT_CERT, --cert)"],
    ] as const
  ) {
    it.effect(`is refused by the name of what was given: ${given}`, () =>
      Effect.gen(function* () {
        const text = `"${partner} ${MISSING}"`
        assert.include(
          yield* complaint({ endpoints: ["https://a:1"], clientCertificate: half }),
          `clientCertificate.${given}: ${text}`,
        )
        const name = `FABRIC_CLIENT_${given.toUpperCase()}`
        const error = yield* Effect.flip(
          readFrom({ FABRIC_ENDPOINT: "https://a:1", [name]: half[given] }),
        )
        assert.include(String(error), `${name}: ${text}`)
      }))
  }
})

describe("FabricConfig.layerConfig", () => {
  it.effect("reads the environment", () =>
    Effect.gen(function* () {
      const config = yield* readFrom({
        FABRIC_ENDPOINT: "https://a:19080, https://b:19080",
        FABRIC_TIMEOUT: "90",
        FABRIC_CLIENT_CERT: CERT,
        FABRIC_CLIENT_KEY: KEY,
        FABRIC_CA: CERT,
        FABRIC_SERVER_THUMBPRINT: `${SHA1},${SHA1.toLowerCase()}`,
        FABRIC_SERVER_COMMON_NAME: "one.example, two.example",
      })
      assert.deepStrictEqual(config.endpoints.map(({ host }) => host), ["a:19080", "b:19080"])
      assert.strictEqual(config.timeout, 90)
      assert.isTrue(Option.isSome(config.clientCertificate))
      assert.isTrue(Option.isSome(config.ca))
      assert.deepStrictEqual(config.serverCertificate, {
        thumbprints: [SHA1, SHA1],
        commonNames: ["one.example", "two.example"],
      })
    }))

  it.scoped("reads a token from a variable, a file, or what a command prints", () =>
    Effect.gen(function* () {
      const folder = yield* temporaryFolder
      yield* Effect.promise(() => writeFile(join(folder, "token"), "of a file"))
      for (
        const [name, value, token] of [
          ["FABRIC_TOKEN", "itself", "itself"],
          ["FABRIC_TOKEN_FILE", join(folder, "token"), "of a file"],
          ["FABRIC_TOKEN_COMMAND", `node -e "console.log('of a command')"`, "of a command\n"],
        ] as const
      ) {
        const config = yield* readFrom({ FABRIC_ENDPOINT: "https://a:1", [name]: value })
        assert.strictEqual(Redacted.value(yield* Option.getOrThrow(config.token)), token)
        const open = yield* failure(readFrom({ FABRIC_ENDPOINT: "http://a:1", [name]: value }))
        assert.include(String(open), `${name}: "it is for https:// only`)
      }
    }))

  it.effect("refuses two tokens, and names both", () =>
    Effect.gen(function* () {
      const text = String(
        yield* failure(readFrom({
          FABRIC_ENDPOINT: "https://a:1",
          FABRIC_TOKEN: "hunter2",
          FABRIC_TOKEN_COMMAND: "az",
        })),
      )
      assert.include(text, "FABRIC_TOKEN_COMMAND")
      assert.include(text, "so does FABRIC_TOKEN;")
      assert.notInclude(text, "hunter2")
    }))

  it.effect("names the variable that is wrong", () =>
    Effect.gen(function* () {
      const text = (variables: Record<string, string>) => Effect.map(failure(readFrom(variables)), String)
      assert.include(yield* text({}), "FABRIC_ENDPOINT")
      assert.include(yield* text({ FABRIC_ENDPOINT: "a:19000" }), "FABRIC_ENDPOINT")
      assert.include(yield* text({ FABRIC_ENDPOINT: "http://a:1", FABRIC_TIMEOUT: "soon" }), "FABRIC_TIMEOUT")
      assert.include(yield* text({ FABRIC_ENDPOINT: "http://a:1", FABRIC_TIMEOUT: "0" }), "FABRIC_TIMEOUT")
      assert.include(
        yield* text({ FABRIC_ENDPOINT: "https://a:1", FABRIC_CLIENT_CERT: CERT }),
        "FABRIC_CLIENT_KEY",
      )
      assert.include(
        yield* text({ FABRIC_ENDPOINT: "https://a:1", FABRIC_SERVER_THUMBPRINT: "abc" }),
        "FABRIC_SERVER_THUMBPRINT",
      )
    }))

  it.effect("takes an empty variable for absent", () =>
    Effect.gen(function* () {
      const names = [
        "TIMEOUT",
        "CLIENT_CERT",
        "CA",
        "SERVER_THUMBPRINT",
        "SERVER_COMMON_NAME",
        "TOKEN",
        "TOKEN_FILE",
      ]
      const empty = Object.fromEntries(names.map((name) => [`FABRIC_${name}`, " "]))
      const config = yield* readFrom({ ...empty, FABRIC_ENDPOINT: "http://a:1" })
      assert.deepStrictEqual(config, yield* readFrom({ FABRIC_ENDPOINT: "http://a:1" }))
    }))

  for (const endpoints of ["http://a:1", new URL("http://a:1")]) {
    it.effect(`takes one endpoint without a list, as ${typeof endpoints}`, () =>
      Effect.gen(function* () {
        const config = yield* Effect.provide(FabricConfig, FabricConfig.layer({ endpoints }))
        assert.deepStrictEqual(config.endpoints.map(({ origin }) => origin), ["http://a:1"])
      }))
  }

  it.effect("takes several endpoints in a nested provider too", () =>
    Effect.gen(function* () {
      const provider = ConfigProvider.nested(
        ConfigProvider.fromMap(new Map([["my.FABRIC_ENDPOINT", "http://a:1, http://b:2"]])),
        "my",
      )
      const { endpoints } = yield* Effect.provide(
        FabricConfig,
        Layer.provide(FabricConfig.layerConfig, Layer.setConfigProvider(provider)),
      )
      assert.deepStrictEqual(endpoints.map(({ origin }) => origin), ["http://a:1", "http://b:2"])
    }))

  it.effect("takes a variable that must not be read for absent", () =>
    Effect.gen(function* () {
      const denied = ConfigProvider.fromMap(new Map([["FABRIC_ENDPOINT", "http://a:1"]]))
      const flat = denied.flattened
      const provider = ConfigProvider.fromFlat(ConfigProvider.makeFlat({
        load: (path, config, split) =>
          path[0] === "FABRIC_ENDPOINT"
            ? flat.load(path, config, split)
            : Effect.die(new Error(`Requires env access to "${path[0]}"`)),
        enumerateChildren: flat.enumerateChildren,
        patch: flat.patch,
      }))
      const config = yield* Effect.provide(
        FabricConfig,
        Layer.provide(FabricConfig.layerConfig, Layer.setConfigProvider(provider)),
      )
      assert.strictEqual(config.timeout, 60)
    }))
})
