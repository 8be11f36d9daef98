import { assert, describe, it } from "@effect/vitest"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientError from "@effect/platform/HttpClientError"
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Redacted from "effect/Redacted"
import * as Tracer from "effect/Tracer"
import { readFileSync } from "node:fs"
import { inspect } from "node:util"
import {
  deleteUploadSession,
  FabricClient,
  FabricConfig,
  FabricError,
  type FabricErrorReason,
} from "../mod.ts"
import { Emulator, type EmulatorOptions, Fault } from "../src/emulator/mod.ts"
import { clusterWith, failure, S } from "./support/cluster.ts"
import { inTurn } from "./support/tokens.ts"

const errorOf = (reason: FabricErrorReason, attempts = 1) =>
  new FabricError({
    operation: "DeleteImageStoreUploadSession",
    action: `delete upload session ${S}`,
    endpoint: "fabric.example:19080",
    attempts,
    reason,
  })

const rejected = (status: number, code?: string, detail = "") =>
  errorOf({ _tag: "Rejected", status, code, detail })

describe("FabricError", () => {
  it("has one tag, and a guard", () => {
    const error = rejected(404, "NotFound")
    assert.strictEqual(error._tag, "FabricError")
    assert.isTrue(FabricError.is(error))
    assert.isTrue(error instanceof Error)
    assert.isFalse(FabricError.is({ _tag: "FabricError" }))
    assert.isFalse(FabricError.is(undefined))
  })

  it("does not say that nothing was sent where a token was missing only for a repeat", () => {
    const reason = { _tag: "Unreachable", code: "NO_TOKEN", detail: "no account", sent: "no" } as const
    assert.match(errorOf(reason, 0).message, /: there is no token to show: no account; nothing was sent$/)
    assert.match(
      errorOf(reason, 1).message,
      /: there is no token to show: no account; an earlier attempt may have reached the cluster$/,
    )
  })

  it("is not tried again where Deno does not let the program use the network", () => {
    const reason = {
      _tag: "Unreachable",
      code: "NotCapable",
      detail: "Requires net access",
      sent: "no",
    } as const
    assert.isFalse(errorOf(reason).isRetryable)
    assert.include(errorOf(reason).message, "deno run --allow-net")
    assert.isTrue(errorOf({ ...reason, code: "ECONNREFUSED" }).isRetryable)
  })

  it("says what could not be done, where, why, and what to try", () => {
    const lines = [
      errorOf({ _tag: "InvalidParams", field: "timeout", issue: "expected whole seconds" }, 0),
      errorOf({
        _tag: "Unreachable",
        code: "ECONNREFUSED",
        detail: "connect ECONNREFUSED 10.0.0.1:19080",
        sent: "no",
      }, 4),
      errorOf({
        _tag: "Untrusted",
        code: "CERT_HAS_EXPIRED",
        detail: "certificate has expired",
        hint: "check the clocks",
      }),
      errorOf({ _tag: "TimedOut", seconds: 65 }),
      errorOf({ _tag: "Unauthenticated", status: 403, hint: "give a client certificate" }),
      rejected(404, "FABRIC_E_SERVICE_DOES_NOT_EXIST"),
      rejected(502, undefined, "Bad Gateway"),
      errorOf({ _tag: "Malformed", status: 302, detail: "a redirect" }),
      errorOf({ _tag: "SessionsUnsupported" }),
    ].map(({ message }) => message)
    assert.deepStrictEqual(lines, [
      `Cannot delete upload session ${S}: timeout: expected whole seconds`,
      `Cannot delete upload session ${S} at fabric.example:19080 (after 4 attempts): nobody answered (ECONNREFUSED: ` +
      "connect ECONNREFUSED 10.0.0.1:19080); check the address, the port (the gateway's is 19080) and the network",
      `Cannot delete upload session ${S} at fabric.example:19080: no secure connection (CERT_HAS_EXPIRED: ` +
      "certificate has expired); check the clocks",
      `Cannot delete upload session ${S} at fabric.example:19080: no answer within 65 s; ` +
      "the request may have reached the cluster",
      `Cannot delete upload session ${S} at fabric.example:19080: the cluster answered 403 to these credentials; ` +
      "give a client certificate",
      `Cannot delete upload session ${S} at fabric.example:19080: the cluster answered 404 ` +
      "FABRIC_E_SERVICE_DOES_NOT_EXIST; this cluster has no image store service: its image store is a file share, " +
      "which this API cannot reach",
      `Cannot delete upload session ${S} at fabric.example:19080: the cluster answered 502: Bad Gateway; ` +
      "no Service Fabric error; a proxy may have answered",
      `Cannot delete upload session ${S} at fabric.example:19080: an answer that a gateway does not give: 302, ` +
      "a redirect; is this a Service Fabric gateway?",
      `Cannot delete upload session ${S} at fabric.example:19080: this is a Linux cluster, whose gateway has no ` +
      "upload sessions; upload files by single requests",
    ])
  })

  it("says in plain words what OpenSSL says in its own, on each runtime", () => {
    const details = [
      "write EPROTO 80CC53D0A47F0000:error:0A00010B:SSL routines:ssl3_get_record:wrong version number:" +
      "../deps/openssl/openssl/ssl/record/ssl3_record.c:350:\n",
      "error:0A00010B:SSL routines::wrong version number",
      "received corrupt message of type InvalidContentType (SSL routines:ssl3_get_record:wrong version number)",
      "error:100000f7:SSL routines:OPENSSL_internal:WRONG_VERSION_NUMBER",
    ]
    for (const detail of details) {
      const error = errorOf({ _tag: "Untrusted", code: "EPROTO", detail, hint: "write http://" })
      assert.strictEqual(
        error.message,
        `Cannot delete upload session ${S} at fabric.example:19080: no secure connection ` +
          "(EPROTO: wrong version number); write http://",
      )
    }
  })

  it("looks at the code for not found, never at the status alone", () => {
    for (
      const code of [
        "NotFound",
        "FABRIC_E_FILE_NOT_FOUND",
        "FABRIC_E_DIRECTORY_NOT_FOUND",
        "FABRIC_E_NAME_DOES_NOT_EXIST",
      ]
    ) assert.isTrue(FabricError.isNotFound(rejected(404, code)), code)
    assert.isFalse(FabricError.isNotFound(rejected(404)))
    assert.isFalse(FabricError.isNotFound(rejected(404, "FABRIC_E_SERVICE_DOES_NOT_EXIST")))
    assert.isFalse(FabricError.isNotFound(new Error("404")))
  })

  it("does not take a folder for missing that lists a file which is not on the disk (protocol.md 3.1)", () => {
    for (const operation of ["GetImageStoreContent", "GetImageStoreRootContent"]) {
      const listing = new FabricError({ ...rejected(404, "FABRIC_E_FILE_NOT_FOUND"), operation })
      assert.isFalse(listing.isNotFound)
      assert.isTrue(listing.isRetryable)
      assert.include(listing.message, "a file that it lists is being written")
    }
  })

  it("sorts the codes of protocol.md 2.1 by whether to try again", () => {
    // The table's rows, read from the page as it is kept in the fixtures, are the witness.
    const rows = JSON.parse(
      readFileSync(new URL("./fixtures/retryable.json", import.meta.url), "utf8"),
    ) as ReadonlyArray<
      readonly [status: number, code: string, retry: boolean]
    >
    for (const [status, code, retry] of rows) {
      assert.strictEqual(rejected(status, code).isRetryable, retry, `${status} ${code}`)
      assert.strictEqual(FabricError.isRetryable(rejected(status, code)), retry)
    }
  })
})

describe("secrets", () => {
  const SECRET = "c2VjcmV0LXRva2Vu"

  /** A transport as a user may write it: it adds a token, and its errors hold the request. */
  const withToken = Layer.effect(
    HttpClient.HttpClient,
    Effect.map(
      HttpClient.HttpClient,
      HttpClient.mapRequest((request) => ({
        ...request,
        headers: { ...request.headers, authorization: `Bearer ${SECRET}` },
      } as typeof request)),
    ),
  )

  const client = FabricClient.layer.pipe(
    Layer.provide(withToken),
    Layer.provide(Layer.orDie(FabricConfig.layer({
      endpoints: ["http://one:19080"],
      retry: { times: 0 },
      clientCertificate: {
        cert: "-----BEGIN CERTIFICATE-----\npublic\n-----END CERTIFICATE-----",
        key: Redacted.make(`-----BEGIN PRIVATE KEY-----\n${SECRET}\n-----END PRIVATE KEY-----`),
        passphrase: SECRET,
      },
    }))),
    Layer.provideMerge(Emulator.layer()),
  )

  const printed = (error: unknown) =>
    [
      JSON.stringify(error),
      inspect(error, { depth: 20, showHidden: true }),
      String(error),
      Cause.pretty(Cause.fail(error)),
      inspect(Cause.fail(error), { depth: 20 }),
    ].join("\n")

  for (
    const [name, fault] of [
      ["a reset", Fault.reset],
      ["a refused connection", Fault.refuse],
      ["a rejection", Fault.reply(403, "E_ACCESSDENIED")],
      [
        "an answer without sense",
        Fault.answer({ status: 302, headers: { location: "https://elsewhere.example/" } }),
      ],
      ["credentials that are not known", Fault.reply(401)],
    ] as const
  ) {
    it.effect(`cannot be found in the error after ${name}`, () =>
      Effect.gen(function* () {
        const emulator = yield* Emulator
        yield* emulator.inject(fault)
        const error = yield* failure(deleteUploadSession({ sessionId: S }))
        assert.include(
          JSON.stringify((yield* emulator.requests)[0]?.headers),
          SECRET,
          "the request carried the token",
        )
        assert.notInclude(printed(error), SECRET)
        assert.notInclude(printed(error), "Bearer")
      }).pipe(Effect.provide(client)))
  }

  /** The same with our own option, which the cluster takes only until it is renewed. */
  const own = (emulator: EmulatorOptions) => {
    const issuer = inTurn(SECRET, `${SECRET}-2`)
    return clusterWith({
      endpoints: ["https://one:19080"],
      retry: { times: 0 },
      token: Effect.suspend(() =>
        issuer.asked < 2 ? issuer.token : Effect.fail(new Error(`not ${SECRET}-2`))
      ),
    }, emulator)
  }
  const renewals = Effect.gen(function* () {
    const errors = [yield* failure(deleteUploadSession({ sessionId: S }))]
    errors.push(yield* failure(deleteUploadSession({ sessionId: S })))
    const shown = (yield* (yield* Emulator).requests).map(({ headers }) => headers["authorization"])
    assert.include(shown, `Bearer ${SECRET}`)
    assert.include(shown, `Bearer ${SECRET}-2`)
    return errors
  })

  for (
    const [name, emulator] of [
      ["was refused", { token: "another" }],
      ["was renewed", { token: `${SECRET}-2` }],
      ["was refused by a cluster with Entra ID", {
        token: "another",
        aad: { login: "", authority: "", tenant: "t", cluster: "c", client: "", redirect: "" },
      }],
    ] as const
  ) {
    it.effect(`cannot be found in errors, logs and spans after a token ${name}`, () =>
      Effect.gen(function* () {
        const seen: Array<unknown> = []
        const logger = Logger.make((options) => void seen.push(options))
        const native = yield* Effect.tracer
        const tracer = Tracer.make({
          span: (...args) => {
            const span = native.span(...args)
            seen.push(span)
            return span
          },
          context: (execution) => execution(),
        })
        const errors = yield* renewals.pipe(
          Effect.withTracer(tracer),
          Effect.provide(Logger.replace(Logger.defaultLogger, logger)),
          Logger.withMinimumLogLevel(LogLevel.All),
        )
        assert.isAbove(seen.length, 1)
        const text = [...errors.map(printed), inspect(seen, { depth: 10 })].join("\n")
        assert.notInclude(text, SECRET)
        assert.notInclude(text, "Bearer")
      }).pipe(Effect.provide(own(emulator))))
  }

  it("would be found if an error held the request", () => {
    const request = { method: "GET", url: "/", headers: { authorization: `Bearer ${SECRET}` } }
    const error = new HttpClientError.RequestError({ request: request as never, reason: "Transport" })
    assert.include(
      inspect(error, { depth: 20, showHidden: true }) + inspect({ ...error }, { depth: 20 }),
      SECRET,
    )
  })

  it.effect("cannot be found in the configuration when it is printed", () =>
    Effect.gen(function* () {
      const config = yield* FabricConfig
      assert.notInclude(inspect(config, { depth: 20 }) + JSON.stringify(config), "hunter2")
    }).pipe(Effect.provide(FabricConfig.layer({
      endpoints: ["https://one:19080"],
      token: "hunter2",
      clientCertificate: { cert: "-----BEGIN C", key: "-----BEGIN K hunter2", passphrase: "hunter2" },
    }))))
})

describe("error bodies", () => {
  const readWith = (status: number, body: string) =>
    Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.answer({ status, body }))
      return (yield* failure(deleteUploadSession({ sessionId: S }))).reason
    })

  it.effect("are read in the gateway's own form", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(
        yield* readWith(
          413,
          '{"Error":{"Code":"FABRIC_E_MESSAGE_TOO_LARGE","Message":"Fabric Message is too large"}}',
        ),
        {
          _tag: "Rejected",
          status: 413,
          code: "FABRIC_E_MESSAGE_TOO_LARGE",
          detail: "Fabric Message is too large",
        },
      )
      assert.deepStrictEqual(yield* readWith(404, '{"Error":{"Code":"NotFound","Message":"Null"}}'), {
        _tag: "Rejected",
        status: 404,
        code: "NotFound",
        detail: "",
      })
    }).pipe(Effect.provide(clusterWith({ retry: { times: 0 } }))))

  it.effect("of proxies are read as the words that a person would see", () =>
    Effect.gen(function* () {
      const page =
        "<html><head><title>502</title><style>b{}</style></head><body><h1>502 Bad Gateway</h1>nginx</body></html>"
      assert.deepStrictEqual(yield* readWith(502, page), {
        _tag: "Rejected",
        status: 502,
        code: undefined,
        detail: "502 Bad Gateway nginx",
      })
    }).pipe(Effect.provide(clusterWith({ retry: { times: 0 } }))))

  it.effect("that are empty, not JSON, or of another shape are no reason to fail otherwise", () =>
    Effect.gen(function* () {
      for (
        const body of ["", "{", "null", "[]", '{"error":"no"}', '{"Error":{"Message":"no code"}}', '"text"']
      ) {
        const reason = yield* readWith(500, body)
        assert.strictEqual(reason._tag, "Rejected")
        assert.isUndefined(reason._tag === "Rejected" ? reason.code : "another reason")
      }
    }).pipe(Effect.provide(clusterWith({ retry: { times: 0 } }))))

  it.effect("of 10 MB are cut", () =>
    Effect.gen(function* () {
      const reason = yield* readWith(500, "x ".repeat(5_000_000))
      assert.isTrue(reason._tag === "Rejected" && reason.detail.length <= 201)
    }).pipe(Effect.provide(clusterWith({ retry: { times: 0 } }))))
})
