import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Queue from "effect/Queue"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import { constants } from "node:crypto"
import * as Https from "node:https"
import type * as Net from "node:net"
import type * as Tls from "node:tls"
import { ClusterHttpClient, deleteUploadSession, FabricClient, FabricConfig, putFile } from "../mod.ts"
import type { FabricErrorReason } from "../src/FabricError.ts"
import { putChunkOnce } from "../src/uploadSessions.ts"
import { certificate } from "./support/certificates.ts"
import { failure, S } from "./support/cluster.ts"
import { type Incoming, reply, serveServer, serveTcp, serveTls, talk } from "./support/sockets.ts"

const gateway = certificate("localhost")
const operator = certificate("operator")

const bytes = new Uint8Array(100_000)
const put = putFile({ path: "a", bytes })
const remove = deleteUploadSession({ sessionId: S })

/** A gateway on TLS, and a client that shows its certificate there. */
const secured = (
  handler: (socket: Net.Socket) => void,
  options: Partial<FabricConfig.Options> & { readonly anonymous?: boolean } = {},
) =>
  Effect.gen(function* () {
    const server = yield* Effect.promise(() => gateway)
    const served = yield* serveTls(server, handler)
    return { ...served, cluster: yield* clusterAt(served.port, options) }
  })

const clusterAt = (
  port: number,
  { anonymous, ...options }: Partial<FabricConfig.Options> & { readonly anonymous?: boolean } = {},
) =>
  Effect.gen(function* () {
    const { cert } = yield* Effect.promise(() => gateway)
    const client = yield* Effect.promise(() => operator)
    return yield* Layer.build(Layer.orDie(FabricClient.layerCluster({
      endpoints: [`https://localhost:${port}`],
      retry: { times: 0 },
      ca: cert,
      ...(anonymous === true ? {} : { clientCertificate: client }),
      ...options,
    })))
  })

const asks = ({ head }: Incoming): boolean => /^expect: 100-continue/im.test(head)

describe("a large body on a new connection with a client certificate", () => {
  it.scoped("waits for 100 Continue", () =>
    Effect.gen(function* () {
      const heads = yield* Queue.unbounded<Incoming>()
      const { cluster } = yield* secured(talk((request) => Queue.unsafeOffer(heads, request)))
      const sending = yield* Effect.fork(Effect.provide(put, cluster))
      const request = yield* Queue.take(heads)
      assert.isTrue(asks(request))
      yield* Effect.provide(remove, cluster) // Time enough for bytes that do not wait.
      assert.strictEqual(request.received(), 0)
      reply(request.socket, "100 Continue")
      yield* Fiber.join(sending)
      assert.strictEqual(request.received(), bytes.length)
    }))

  it.scoped("goes out unasked where nobody answers the question", () =>
    Effect.gen(function* () {
      const heads = yield* Queue.unbounded<Incoming>()
      const { cluster } = yield* secured(talk((request) => Queue.unsafeOffer(heads, request)))
      const sending = yield* Effect.fork(Effect.provide(put, cluster))
      const request = yield* Queue.take(heads)
      yield* TestClock.adjust("1999 millis")
      yield* Effect.provide(remove, cluster)
      assert.strictEqual(request.received(), 0)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.join(sending)
    }))

  it.scoped("waits as a stream too, which is not read before", () =>
    Effect.gen(function* () {
      let read = false
      let early = false
      const { cluster } = yield* secured(talk(({ socket }) => {
        early = read
        reply(socket, "100 Continue")
      }))
      const stream = Stream.sync(() => {
        read = true
        return bytes
      })
      yield* Effect.provide(putFile({ path: "a", bytes: stream, size: bytes.length }), cluster)
      assert.deepStrictEqual([early, read], [false, true])
    }))

  for (const status of [403, 404, 413, 503]) {
    it.scoped(`stays here when ${status} comes instead, and so does the connection's next request`, () =>
      Effect.gen(function* () {
        const hungUp = yield* Deferred.make<number>()
        const served = yield* secured(talk((request) => {
          if (!asks(request)) return
          request.socket.on("close", () => Deferred.unsafeDone(hungUp, Effect.succeed(request.received())))
          request.socket.write(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\n\r\nno`)
        }))
        const { reason } = yield* Effect.provide(failure(put), served.cluster)
        assert.deepStrictEqual(reason, {
          _tag: "Rejected",
          status,
          code: undefined,
          detail: "no",
          sent: "no",
        })
        assert.strictEqual(yield* Deferred.await(hungUp), 0)
        yield* Effect.provide(remove, served.cluster)
        assert.strictEqual(served.connections(), 2)
      }))
  }

  it.scoped("is not taken for stored when a success comes instead", () =>
    Effect.gen(function* () {
      const { cluster } = yield* secured(talk(({ socket }) => reply(socket, "200 OK")))
      const { reason } = yield* Effect.provide(failure(put), cluster)
      assert.deepStrictEqual(reason, {
        _tag: "Malformed",
        status: 200,
        detail: "a success before the body was sent",
      })
    }))

  it.scoped("is sent without the question where that is refused, and none is asked there again", () =>
    Effect.gen(function* () {
      const asked: Array<boolean> = []
      const served = yield* secured(talk((request) => {
        asked.push(asks(request))
        // More is announced than comes: the answer's end is not waited for either.
        if (asks(request)) request.socket.write("HTTP/1.1 417 No\r\nContent-Length: 20\r\n\r\nno")
      }))
      yield* Effect.provide(put, served.cluster)
      assert.deepStrictEqual(asked, [true, false])
      yield* Effect.provide(Effect.all([put, put], { concurrency: 2 }), served.cluster)
      assert.deepStrictEqual(asked, [true, false, false, false])
      assert.strictEqual(served.connections(), 3)
    }))

  it.scoped("has not been sent when the connection is lost before", () =>
    Effect.gen(function* () {
      const { cluster } = yield* secured(talk(({ socket }) => socket.destroy()))
      const { reason } = yield* Effect.provide(failure(put), cluster)
      assert.isTrue(reason._tag === "Unreachable" && reason.sent === "no")
    }))

  it.scoped("is called off at once by an interruption, and cannot arrive any more", () =>
    Effect.gen(function* () {
      const heads = yield* Queue.unbounded<Incoming>()
      const left = yield* Deferred.make<void>()
      const { cluster } = yield* secured(talk((request) => {
        request.socket.on("close", () => Deferred.unsafeDone(left, Effect.void))
        Queue.unsafeOffer(heads, request)
      }))
      const ends: Array<FabricErrorReason | undefined> = []
      const chunk = putChunkOnce(
        { path: "a", sessionId: S, range: { first: 0, last: 99_999 }, size: 200_000, bytes },
        { out: () => {}, over: (reason) => ends.push(reason) },
      )
      const fiber = yield* Effect.fork(Effect.provide(chunk, cluster))
      yield* Queue.take(heads)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(left)
      assert.deepStrictEqual(ends, [
        { _tag: "Unreachable", code: "ECANCELED", detail: "the request was cut off", sent: "no" },
      ])
    }))

  it.scoped("waits in the hands of any user of the HttpClient", () =>
    Effect.gen(function* () {
      const [{ cert }, client] = yield* Effect.promise(() => Promise.all([gateway, operator]))
      const answers = ["417 No", "100 Continue", "403 No"]
      const hungUp = yield* Deferred.make<void>()
      let bodies = 0
      const { port } = yield* serveTls(
        { cert, key: (yield* Effect.promise(() => gateway)).key },
        talk((request) => {
          if (!asks(request)) return
          if (answers.length === 3) request.socket.on("close", () => Deferred.unsafeDone(hungUp, Effect.void))
          reply(request.socket, answers.pop()!)
        }, ({ received, socket }) => {
          bodies += received()
          socket.end("HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
        }),
      )
      const execute = HttpClient.execute(
        HttpClientRequest.put(`https://localhost:${port}/`, { body: HttpBody.uint8Array(bytes) }),
      ).pipe(Effect.tap(({ text }) => text), Effect.map(({ status }) => status))
      const statuses = yield* Effect.all([Effect.zipLeft(execute, Deferred.await(hungUp)), execute, execute])
        .pipe(
          Effect.provide(Layer.provide(
            ClusterHttpClient.layer,
            FabricConfig.layer({ endpoints: ["https://unused:1"], ca: cert, clientCertificate: client }),
          )),
        )
      assert.deepStrictEqual(statuses, [403, 200, 200])
      assert.strictEqual(bodies, 2 * bytes.length)
    }))

  // Only Node's servers can renegotiate; Deno's TLS library cannot on either side.
  it.scoped.skipIf("Deno" in globalThis || "Bun" in globalThis)(
    "lets a gateway ask for the certificate after the headers",
    () =>
      Effect.gen(function* () {
        const [server, { cert: ca }] = yield* Effect.promise(() => Promise.all([gateway, operator]))
        const peers: Array<string> = []
        const late = Https.createServer({
          ...server,
          ca,
          maxVersion: "TLSv1.2",
          secureOptions: constants.SSL_OP_NO_SESSION_RESUMPTION_ON_RENEGOTIATION,
        })
        late.on("checkContinue", (request, response) => {
          const socket = request.socket as Tls.TLSSocket
          socket.renegotiate({ requestCert: true, rejectUnauthorized: false }, () => {
            peers.push(String(socket.getPeerCertificate().subject?.CN))
            response.writeContinue()
            request.resume().on("end", () => response.writeHead(200, { "content-length": 0 }).end())
          })
        })
        late.on("request", (_, response) => response.writeHead(403, { "content-length": 0 }).end())
        const { port } = yield* serveServer(late)
        yield* Effect.provide(put, yield* clusterAt(port))
        assert.deepStrictEqual(peers, ["operator"])
      }),
  )
})

describe("nothing is asked before a body", () => {
  const heads = (requests: Effect.Effect<unknown, unknown, FabricClient>, anonymous = false) =>
    Effect.gen(function* () {
      const asked: Array<boolean> = []
      const { cluster } = yield* secured(
        talk((request) => {
          asked.push(asks(request))
          if (asks(request)) reply(request.socket, "100 Continue")
        }),
        { anonymous },
      )
      yield* Effect.provide(requests, cluster)
      return asked
    })

  it.scoped("on a connection that has answered before", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* heads(Effect.all([remove, put, put])), [false, false, false])
    }))

  it.scoped("that is small", () =>
    Effect.gen(function* () {
      const of = (size: number) => heads(putFile({ path: "a", bytes: new Uint8Array(size) }))
      assert.deepStrictEqual(yield* of(16 * 1024), [false])
      assert.deepStrictEqual(yield* of(16 * 1024 + 1), [true])
    }))

  it.scoped("without a client certificate", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* heads(put, true), [false])
    }))

  it.scoped("over plain HTTP", () =>
    Effect.gen(function* () {
      const asked: Array<boolean> = []
      const { port } = yield* serveTcp(talk((request) => void asked.push(asks(request))))
      yield* Effect.provide(put, yield* clusterAt(0, { endpoints: [`http://127.0.0.1:${port}`] }))
      assert.deepStrictEqual(asked, [false])
    }))
})
