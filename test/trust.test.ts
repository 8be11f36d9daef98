import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import { createPrivateKey, generateKeyPairSync, X509Certificate } from "node:crypto"
import type * as Net from "node:net"
import * as Tls from "node:tls"
import { ClusterHttpClient, deleteUploadSession, FabricClient, FabricConfig, putFile } from "../mod.ts"
import { trustOf } from "../src/transport/trust.ts"
import { type Certificate, certificate } from "./support/certificates.ts"
import { failure, S } from "./support/cluster.ts"
import { reply, type Served, serveInTurn, serveServer, talk } from "./support/sockets.ts"

const self = certificate("localhost")
const other = certificate("localhost")
const operator = certificate("operator")
const authority = certificate("authority.example")
const signed = async (commonName: string, alternative?: string): Promise<Certificate> =>
  certificate(commonName, { alternative, signedBy: await authority })

const sha1 = ({ cert }: Certificate): string => new X509Certificate(cert).fingerprint.replaceAll(":", "")
const sha256 = ({ cert }: Certificate): string => new X509Certificate(cert).fingerprint256.replaceAll(":", "")

interface Gateway extends Served {
  readonly shown: Certificate
  /** Bytes that came after the handshakes, when all connections have closed. */
  readonly received: Effect.Effect<number>
}

/** A gateway that shows a certificate, and counts what it is told. */
const gateway = (
  certificate: Promise<Certificate>,
  handler: (socket: Net.Socket) => void = talk(() => {}),
  options: Tls.TlsOptions = {},
): Effect.Effect<Gateway, never, Scope.Scope> =>
  Effect.gen(function* () {
    const shown = yield* Effect.promise(() => certificate)
    const closed: Array<Promise<void>> = []
    let received = 0
    const server = Tls.createServer({ ...shown, ...options }, (socket) => {
      socket.on("error", () => {})
      socket.on("data", (bytes: Uint8Array) => received += bytes.length)
      handler(socket)
    })
    server.on("connection", (socket: Net.Socket) => {
      closed.push(new Promise((resolve) => socket.on("close", () => resolve())))
    })
    const served = yield* serveServer(server)
    return { ...served, shown, received: Effect.promise(() => Promise.all(closed).then(() => received)) }
  })

const clusterAt = ({ port }: Served, options: Partial<FabricConfig.Options>) =>
  Layer.orDie(FabricClient.layerCluster({ endpoints: [`https://localhost:${port}`], ...options }))

const pinned = (...thumbprints: ReadonlyArray<string>) => ({ serverCertificate: { thumbprints } })
const named = (...commonNames: ReadonlyArray<string>) => ({ serverCertificate: { commonNames } })

const put = putFile({ path: "a", bytes: new Uint8Array(100_000) })
const remove = deleteUploadSession({ sessionId: S })
/** Answers, and closes the connection. */
const once = talk(
  () => {},
  ({ socket }) => void socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"),
)

describe("a pinned certificate", () => {
  for (
    const [name, made, thumbprint] of [
      ["by SHA-1", self, sha1],
      ["by SHA-256", self, sha256],
      ["for another name", certificate("elsewhere.example"), sha1],
      ["that has expired", certificate("localhost", { expired: true }), sha256],
      ["of an authority that is not known here", signed("localhost"), sha256],
    ] as const
  ) {
    it.scoped(`is trusted ${name}`, () =>
      Effect.gen(function* () {
        const served = yield* gateway(made)
        yield* Effect.provide(put, clusterAt(served, pinned(thumbprint(served.shown))))
        assert.isAbove(yield* served.received, 100_000)
      }))
  }

  it.scoped("may be one of several", () =>
    Effect.gen(function* () {
      const served = yield* gateway(self)
      const thumbprints = [sha256(yield* Effect.promise(() => other)), sha1(served.shown)]
      yield* Effect.provide(remove, clusterAt(served, pinned(...thumbprints)))
    }))

  it.scoped("is compared before a byte of a request is sent, and the error says which one was shown", () =>
    Effect.gen(function* () {
      const served = yield* gateway(self)
      const thumbprint = sha256(yield* Effect.promise(() => other))
      for (const request of [put, remove]) {
        const error = yield* Effect.provide(failure(request), clusterAt(served, pinned(thumbprint)))
        assert.strictEqual(error.reason._tag, "Untrusted")
        assert.strictEqual(error.attempts, 1)
        for (const part of [sha1(served.shown), sha256(served.shown), "--server-thumbprint"]) {
          assert.include(error.message, part)
        }
      }
      assert.strictEqual(served.connections(), 2)
      assert.strictEqual(yield* served.received, 0)
    }))

  it.scoped("is compared for any user of the HttpClient", () =>
    Effect.gen(function* () {
      const served = yield* gateway(self)
      const { reason } = yield* Effect.flip(HttpClient.get(`https://localhost:${served.port}/`)).pipe(
        Effect.provide(Layer.provide(
          ClusterHttpClient.layer,
          FabricConfig.layer({
            endpoints: ["https://unused:1"],
            ...pinned(sha1(yield* Effect.promise(() => other))),
          }),
        )),
      )
      assert.strictEqual(reason, "Transport")
      assert.strictEqual(yield* served.received, 0)
    }))

  it.scoped("is compared on each connection, and a connection serves many requests", () =>
    Effect.gen(function* () {
      const good = yield* gateway(self)
      const wrong = yield* gateway(other)
      const served = yield* serveInTurn([good, wrong])
      const cluster = yield* Layer.build(clusterAt(served, pinned(sha1(good.shown))))
      yield* Effect.provide(Effect.all([remove, put, remove]), cluster)
      assert.strictEqual(served.connections(), 1)
      const { reason } = yield* Effect.provide(
        failure(Effect.all([put, put], { concurrency: 2, mode: "default" })),
        cluster,
      )
      assert.strictEqual(reason._tag, "Untrusted")
      assert.strictEqual(served.connections(), 2)
      assert.strictEqual(yield* wrong.received, 0)
    }))

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    it.scoped(`is found on each of several connections over ${maxVersion}`, () =>
      Effect.gen(function* () {
        const served = yield* gateway(self, once, { maxVersion })
        yield* Effect.provide(
          Effect.all([put, remove, put]),
          clusterAt(served, pinned(sha256(served.shown))),
        )
        assert.strictEqual(served.connections(), 3)
      }))
  }

  it.scoped("leaves the client certificate and the question before a large body as they are", () =>
    Effect.gen(function* () {
      const heads: Array<string> = []
      const clientCertificate = yield* Effect.promise(() => operator)
      const served = yield* gateway(
        self,
        talk(({ head, socket }) => {
          const { subject } = (socket as Tls.TLSSocket).getPeerCertificate()
          heads.push(`${subject?.CN} ${/^expect: .*/im.exec(head)?.[0]}`)
          reply(socket, "100 Continue")
        }),
        { ca: clientCertificate.cert, requestCert: true, rejectUnauthorized: true },
      )
      yield* Effect.provide(
        Effect.all([put, put]),
        clusterAt(served, { clientCertificate, ...pinned(sha1(served.shown)) }),
      )
      assert.deepStrictEqual(heads, ["operator Expect: 100-continue", "operator undefined"])
    }))

  // Only Node makes such a key. Clients on Deno and Bun refuse it just as well.
  it.scoped.skipIf("Deno" in globalThis || "Bun" in globalThis)(
    "is no use to one who has not got its key",
    () =>
      Effect.gen(function* () {
        const { cert, key } = yield* Effect.promise(() => self)
        const real = createPrivateKey(key).export({ format: "jwk" })
        const stolen = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({
          format: "jwk",
        })
        const fake = createPrivateKey({ key: { ...stolen, n: real.n!, e: real.e! }, format: "jwk" })
        const served = yield* gateway(
          Promise.resolve({ cert, key: String(fake.export({ format: "pem", type: "pkcs1" })) }),
        )
        yield* Effect.provide(failure(put), clusterAt(served, pinned(sha256(served.shown))))
        assert.strictEqual(yield* served.received, 0)
      }),
  )
})

describe("thumbprint and authority", () => {
  it.scoped("are each enough, where both are given", () =>
    Effect.gen(function* () {
      const ca = (yield* Effect.promise(() => authority)).cert
      const byPin = yield* gateway(self)
      const options = { ca, ...pinned(sha1(byPin.shown)) }
      yield* Effect.provide(remove, clusterAt(byPin, options))
      yield* Effect.provide(remove, clusterAt(yield* gateway(signed("localhost")), options))
    }))

  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    it.scoped(`are no help to a signed certificate for another name over ${maxVersion}, at the second time neither`, () =>
      Effect.gen(function* () {
        const ca = (yield* Effect.promise(() => authority)).cert
        const served = yield* gateway(signed("elsewhere.example"), once, { maxVersion })
        const thumbprint = sha256(yield* Effect.promise(() => other))
        const cluster = yield* Layer.build(clusterAt(served, { ca, ...pinned(thumbprint) }))
        for (const request of [put, put]) {
          const { reason } = yield* Effect.provide(failure(request), cluster)
          assert.strictEqual(reason._tag, "Untrusted")
        }
        assert.strictEqual(yield* served.received, 0)
      }))
  }

  it.effect("do not go together by themselves: with a thumbprint alone no authority is trusted", () =>
    Effect.gen(function* () {
      const shown = new X509Certificate((yield* Effect.promise(() => self)).cert)
      // One that the system vouches for, which no test can have on a socket.
      const socket = { authorized: true, getPeerCertificate: () => shown } as unknown as Tls.TLSSocket
      const thumbprints = [sha1(yield* Effect.promise(() => other))]
      const refusal = (ca: Option.Option<string>, commonNames: ReadonlyArray<string>) =>
        trustOf({ ca, serverCertificate: { thumbprints, commonNames } }).refusal(socket)
      assert.isDefined(refusal(Option.none(), []))
      assert.isUndefined(refusal(Option.some("some"), []))
      assert.isUndefined(refusal(Option.none(), ["localhost"]))
    }))
})

describe("a common name", () => {
  for (
    const [name, made, commonName] of [
      ["of the subject", signed("cluster.example", "elsewhere.example"), "cluster.example"],
      ["in other letters", signed("cluster.example", "elsewhere.example"), "Cluster.Example"],
      ["among the alternative names", signed("elsewhere.example", "cluster.example"), "cluster.example"],
      ["that a wildcard covers", signed("elsewhere.example", "*.cluster.example"), "one.cluster.example"],
    ] as const
  ) {
    it.scoped(`${name} stands for the endpoint's`, () =>
      Effect.gen(function* () {
        const ca = (yield* Effect.promise(() => authority)).cert
        const served = yield* gateway(made)
        yield* Effect.provide(put, clusterAt(served, { ca, ...named("another.example", commonName) }))
      }))
  }

  for (
    const [name, made, ca] of [
      ["with no authority behind it proves nothing", certificate("cluster.example"), undefined],
      [
        "with an authority that is not trusted here proves nothing",
        certificate("cluster.example"),
        authority,
      ],
      ["has to be there, even if the endpoint's is", signed("localhost"), authority],
    ] as const
  ) {
    it.scoped(name, () =>
      Effect.gen(function* () {
        const served = yield* gateway(made)
        const options = {
          ca: (yield* Effect.promise(() => Promise.resolve(ca)))?.cert,
          ...named("cluster.example"),
        }
        const { reason } = yield* Effect.provide(failure(put), clusterAt(served, options))
        assert.strictEqual(reason._tag, "Untrusted")
        assert.strictEqual(yield* served.received, 0)
      }))
  }

  it.scoped("or a thumbprint is enough, where both are given", () =>
    Effect.gen(function* () {
      const ca = (yield* Effect.promise(() => authority)).cert
      const byPin = yield* gateway(self)
      const serverCertificate = { thumbprints: [sha1(byPin.shown)], commonNames: ["cluster.example"] }
      yield* Effect.provide(remove, clusterAt(byPin, { ca, serverCertificate }))
      const byName = yield* gateway(signed("cluster.example"))
      yield* Effect.provide(remove, clusterAt(byName, { ca, serverCertificate }))
      const byNone = yield* gateway(signed("localhost"))
      yield* Effect.provide(failure(put), clusterAt(byNone, { ca, serverCertificate }))
      assert.strictEqual(yield* byNone.received, 0)
    }))
})

describe("without any of them", () => {
  it.scoped("a certificate that signs itself is refused, and the error says by which thumbprint it can be trusted", () =>
    Effect.gen(function* () {
      const served = yield* gateway(self)
      const { message } = yield* Effect.provide(failure(put), clusterAt(served, {}))
      for (const part of [sha1(served.shown), sha256(served.shown), "--server-thumbprint"]) {
        assert.include(message, part)
      }
      assert.strictEqual(yield* served.received, 0)
    }))
})
