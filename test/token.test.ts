/** A cluster that knows its users by Entra ID, and what our requests show there. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Redacted from "effect/Redacted"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import {
  deleteUploadSession,
  FabricClient,
  type FabricConfig,
  getUploadSession,
  putChunk,
  putFile,
} from "../mod.ts"
import { Emulator, type EmulatorOptions, Fault } from "../src/emulator/mod.ts"
import { certificate } from "./support/certificates.ts"
import { clusterWith, failure, inTime, S } from "./support/cluster.ts"
import { serveHttps } from "./support/sockets.ts"
import { inTurn, jwt } from "./support/tokens.ts"

const endpoints = ["https://one:19080"]
const secured = (
  token: FabricConfig.Options["token"],
  emulator: EmulatorOptions = { token: "good" },
  more: Partial<FabricConfig.Options> = {},
) => clusterWith({ endpoints, token, ...more }, emulator)

const read = getUploadSession({ sessionId: S })
const bytes = new Uint8Array(5)
const chunk = putChunk({ path: "App/a", sessionId: S, range: { first: 0, last: 4 }, size: 5, bytes })

/** Which operations were asked for, with what was shown, and what came of it. */
const asked = Effect.map(
  Effect.flatMap(Emulator, ({ requests }) => requests),
  (all) =>
    all.map((
      { headers, operation, status },
    ) => [operation, headers["authorization"], status]),
)

describe("a token", () => {
  for (
    const [name, token] of [
      ["as text", "good"],
      ["redacted", Redacted.make("good")],
      ["as an effect", Effect.succeed(Redacted.make("good"))],
    ] as const
  ) {
    it.effect(`given ${name} is shown by each request`, () =>
      Effect.gen(function* () {
        yield* chunk
        yield* read
        const shown = (yield* asked).map(([, authorization]) => authorization)
        assert.deepStrictEqual(shown, ["Bearer good", "Bearer good"])
      }).pipe(Effect.provide(secured(token))))
  }

  it.effect("is shown by the question too whether a cluster has sessions", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failure(chunk)).reason._tag, "SessionsUnsupported")
      assert.deepStrictEqual((yield* asked).map(([, authorization]) => authorization), [
        "Bearer good",
        "Bearer good",
      ])
    }).pipe(Effect.provide(secured("good", { token: "good", os: "linux" }))))

  it.effect("is not shown where there is none", () =>
    Effect.gen(function* () {
      yield* read
      assert.deepStrictEqual((yield* asked)[0]![1], undefined)
    }).pipe(Effect.provide(clusterWith({ endpoints }))))

  it.effect("that cannot be got is an error before anything is sent, and tried again by the next call only", () =>
    Effect.gen(function* () {
      const error = yield* failure(read)
      assert.strictEqual(
        error.message,
        `Cannot read upload session ${S} at one:19080: there is no token to show: az is not there; nothing was sent`,
      )
      assert.strictEqual(error.attempts, 0)
      assert.isFalse(error.isRetryable)
      assert.deepStrictEqual(yield* asked, [])
    }).pipe(Effect.provide(secured(Effect.fail(new Error("az is not there"))))))

  it.effect("is not waited for beyond the time of the whole call", () =>
    Effect.gen(function* () {
      const waiting = yield* Effect.fork(failure(read))
      yield* TestClock.adjust("7 seconds")
      assert.deepStrictEqual((yield* waiting).reason, { _tag: "TimedOut", seconds: 7 })
    }).pipe(Effect.provide(secured(Effect.never, {}, { totalTimeout: "7 seconds" }))))
})

describe("a token that the cluster refuses", () => {
  const renewed = () => inTurn("old", "good", "other")

  it.effect("is renewed once, and the request is repeated once, bytes and all", () => {
    const issuer = renewed()
    return Effect.gen(function* () {
      yield* chunk
      assert.deepStrictEqual(yield* asked, [
        ["UploadFileChunk", "Bearer old", 403],
        ["UploadFileChunk", "Bearer good", 200],
      ])
      const [session] = yield* (yield* Emulator).sessions
      assert.deepStrictEqual(session?.expected, [])
      assert.strictEqual(issuer.asked, 2)
    }).pipe(Effect.provide(secured(issuer.token)))
  })

  it.effect("is renewed also where retries are off, for bytes that are streamed, and after a 401", () => {
    const issuer = inTurn("old", "good", "better", "best")
    return Effect.gen(function* () {
      yield* putFile({ path: "a", bytes: Stream.make(bytes), size: bytes.length })
      for (const fault of [Fault.reply(401), Fault.answer({ status: 401, body: "<h1>Token expired</h1>" })]) {
        yield* (yield* Emulator).inject(fault)
        yield* read
      }
      assert.strictEqual(issuer.asked, 4)
      assert.strictEqual((yield* (yield* Emulator).files)[0]?.size, 5)
    }).pipe(
      Effect.provide(secured(issuer.token, { token: (token) => token !== "old" }, { retry: { times: 0 } })),
    )
  })

  it.effect("is renewed once for all requests that it was shown by", () => {
    const issuer = renewed()
    return Effect.gen(function* () {
      yield* Effect.all(Array.from({ length: 8 }, () => read), { concurrency: 8 })
      assert.strictEqual(issuer.asked, 2)
      assert.strictEqual((yield* asked).filter(([, , status]) => status === 403).length, 8)
    }).pipe(Effect.provide(secured(issuer.token)))
  })

  it.effect("is not renewed in a loop", () => {
    const issuer = inTurn("a", "b", "c", "d")
    return Effect.gen(function* () {
      const error = yield* failure(read)
      assert.strictEqual(error.reason._tag, "Unauthenticated")
      assert.strictEqual(error.attempts, 2)
      assert.deepStrictEqual(
        (yield* asked).filter(([operation]) => operation !== "GetAadMetadata").map(([, shown]) => shown),
        ["Bearer a", "Bearer b"],
      )
    }).pipe(Effect.provide(secured(issuer.token)))
  })

  it.effect("is not shown again where there is no other", () =>
    Effect.gen(function* () {
      assert.strictEqual((yield* failure(read)).attempts, 1)
      assert.deepStrictEqual(yield* asked, [
        ["GetImageStoreUploadSessionById", "Bearer old", 403],
        ["GetAadMetadata", undefined, 200],
      ])
    }).pipe(Effect.provide(secured("old"))))

  it.effect("is told with why there is no other", () => {
    let asked = 0
    const token = Effect.suspend(() =>
      asked++ === 0 ? Effect.succeed("old") : Effect.fail(new Error("az is not there"))
    )
    return Effect.gen(function* () {
      assert.include((yield* failure(read)).message, "no other is to be had: az is not there")
    }).pipe(Effect.provide(secured(token)))
  })

  it.effect("is not one whose user may not do this", () => {
    const issuer = renewed()
    return Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.error("E_ACCESSDENIED"))
      assert.include((yield* failure(read)).message, "admin role")
      assert.strictEqual(issuer.asked, 1)
    }).pipe(Effect.provide(secured(issuer.token, {})))
  })

  it.effect("does not make a lost deletion out of one that was never done", () =>
    Effect.gen(function* () {
      assert.isTrue((yield* failure(deleteUploadSession({ sessionId: S }))).isNotFound)
    }).pipe(Effect.provide(secured(renewed().token))))
})

describe("a token that expires", () => {
  it.effect("is renewed before, and no request is refused", () => {
    const HOUR = 3600
    const [first, second] = [jwt("first", HOUR), jwt("second", 2 * HOUR)]
    const issuer = inTurn(first, second)
    return Effect.gen(function* () {
      for (let minute = 0; minute < 90; minute++) {
        yield* read
        yield* TestClock.adjust("1 minute")
      }
      const all = yield* asked
      assert.isTrue(all.every(([, , status]) => status === 204))
      assert.strictEqual(all.filter(([, shown]) => shown === `Bearer ${second}`).length, 34)
      assert.strictEqual(issuer.asked, 2)
    }).pipe(Effect.provide(secured(issuer.token, {
      token: (token) => token === first || token === second,
    })))
  })
})

describe("the hint after a 403", () => {
  const aad = {
    login: "https://login.microsoftonline.com",
    authority: "https://login.microsoftonline.com/72f988bf-86f1-41af-91ab-2d7cd011db47",
    tenant: "72f988bf-86f1-41af-91ab-2d7cd011db47",
    cluster: "7d5ddcc5-7d72-4b6f-a6ec-4d0b1b2e4c6c",
    client: "8f8bb0f0-0000-4b6f-a6ec-4d0b1b2e4c6c",
    redirect: "https://localhost/",
  }
  const LINE = `az account get-access-token --resource ${aad.cluster} --tenant ${aad.tenant} ` +
    "--query accessToken --output tsv"
  const hint = Effect.map(
    failure(read),
    ({ reason }) => reason._tag === "Unauthenticated" ? reason.hint : reason._tag,
  )
  const entra = { token: "good", aad }

  it.effect("says which token the cluster takes, how to get it, and where to give it", () =>
    Effect.gen(function* () {
      const text = yield* hint
      for (const part of [LINE, "FABRIC_TOKEN_COMMAND", "--token-file", "`token`", "--cert"]) {
        assert.include(text, part)
      }
    }).pipe(Effect.provide(secured(undefined, entra))))

  it.effect("says it also of a token and of a client certificate that were not taken", () =>
    Effect.gen(function* () {
      const token = yield* Effect.provide(hint, secured("old", entra))
      assert.include(token, "did not take the token")
      assert.include(token, LINE)
      const clientCertificate = yield* Effect.promise(() => certificate("operator"))
      const refused = yield* Effect.provide(hint, secured(undefined, entra, { clientCertificate }))
      assert.include(refused, "did not accept the client certificate")
      assert.include(refused, LINE)
    }))

  it.effect("asks the cluster once, as anybody may, and shows no token for that", () =>
    Effect.gen(function* () {
      yield* hint
      yield* hint
      assert.deepStrictEqual((yield* asked).filter(([operation]) => operation === "GetAadMetadata"), [
        ["GetAadMetadata", undefined, 200],
      ])
    }).pipe(Effect.provide(secured("old", entra))))

  it.effect("is about certificates where the cluster has no application in Entra ID", () =>
    Effect.gen(function* () {
      const text = yield* hint
      assert.include(text, "client certificate")
      assert.notInclude(text, "token")
    }).pipe(Effect.provide(secured(undefined, { token: "good" }))))

  it.effect("brings nothing into a shell that has a meaning there", () =>
    Effect.gen(function* () {
      assert.notInclude(yield* hint, "rm")
    }).pipe(Effect.provide(secured(undefined, { token: "good", aad: { ...aad, cluster: "x;rm -rf ~" } }))))

  it.effect("is not waited for longer than ten seconds", () =>
    Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.hang, { on: "GetAadMetadata" })
      assert.include(yield* inTime(hint, 11), "did not take the token")
    }).pipe(Effect.provide(secured("old", entra))))
})

describe("over a socket", () => {
  it.scoped("a large body is repeated as a whole with the renewed token", () =>
    Effect.gen(function* () {
      const own = yield* Effect.promise(() => certificate("localhost"))
      const seen = yield* Queue.unbounded<readonly [string | undefined, number]>()
      const { port } = yield* serveHttps(own, (request, response) => {
        let size = 0
        request.on("data", (part: Uint8Array) => size += part.length)
        request.on("end", () => {
          Queue.unsafeOffer(seen, [request.headers.authorization, size])
          response.writeHead(request.headers.authorization === "Bearer good" ? 200 : 403).end()
        })
      })
      const cluster = Layer.orDie(FabricClient.layerCluster({
        endpoints: [`https://localhost:${port}`],
        ca: own.cert,
        token: inTurn("old", "good").token,
      }))
      const size = 3_000_000
      const put = putFile({ path: "a", bytes: new Uint8Array(size) })
      yield* Fiber.join(yield* Effect.fork(Effect.provide(put, cluster)))
      assert.deepStrictEqual([...(yield* Queue.takeAll(seen))], [["Bearer old", size], ["Bearer good", size]])
    }))
})
