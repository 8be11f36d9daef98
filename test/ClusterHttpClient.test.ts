import * as HttpBody from "@effect/platform/HttpBody"
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import { assert, describe, it } from "@effect/vitest"
import * as Deferred from "effect/Deferred"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { readFileSync } from "node:fs"
import type * as Http from "node:http"
import type * as Net from "node:net"

import process from "node:process"
import { ClusterHttpClient, deleteUploadSession, FabricClient, FabricConfig, putFile } from "../mod.ts"
import { Emulator } from "../src/emulator/mod.ts"
import { operatorPfx } from "./fixtures/operatorPfx.ts"
import { certificate } from "./support/certificates.ts"
import { failure, S } from "./support/cluster.ts"
import { reply, serveHttp, serveHttps, serveInTurn, serveTcp, serveTls, talk } from "./support/sockets.ts"

const at = (endpoint: string, options: Partial<FabricConfig.Options> = {}) =>
  Layer.orDie(FabricClient.layerCluster({ endpoints: [endpoint], retry: { times: 0 }, ...options }))

const ok: Http.RequestListener = (request, response) => {
  request.resume()
  request.on("end", () => response.writeHead(200, { "content-length": 0 }).end())
}

const remove = deleteUploadSession({ sessionId: S })

describe("on sockets", () => {
  it.scoped("keeps the spelling of the headers that the gateway reads by case", () =>
    Effect.gen(function* () {
      const seen = yield* Deferred.make<ReadonlyArray<string>>()
      const { port } = yield* serveHttp((request, response) => {
        Deferred.unsafeDone(seen, Effect.succeed([`${request.method} ${request.url}`, ...request.rawHeaders]))
        response.writeHead(200).end()
      })
      yield* Effect.provide(remove, at(`http://127.0.0.1:${port}`))
      const [line, ...headers] = yield* Deferred.await(seen)
      assert.strictEqual(
        line,
        `DELETE /ImageStore/$/DeleteUploadSession?api-version=6.0&session-id=${S}&timeout=60`,
      )
      assert.include(headers, "X-ServiceFabricRequestId")
      assert.include(headers, "X-ServiceFabricClientType")
      assert.include(headers, `127.0.0.1:${port}`)
      assert.isUndefined(headers.find((name) => /^(transfer-encoding|content-length)$/i.test(name)))
    }))

  it.scoped("opens no more connections than calls run at once", () =>
    Effect.gen(function* () {
      const served = yield* serveHttp(ok)
      yield* Effect.forEach(Array.from({ length: 10_000 }), () => remove, { concurrency: 16, discard: true })
        .pipe(
          Effect.provide(at(`http://127.0.0.1:${served.port}`)),
        )
      assert.isAtMost(served.connections(), 20)
    }), 120_000)

  it.scoped("closes its connections with the scope", () =>
    Effect.gen(function* () {
      const closed = yield* Deferred.make<void>()
      const { port } = yield* serveHttp((request, response) => {
        request.socket.on("close", () => Deferred.unsafeDone(closed, Effect.void))
        ok(request, response)
      })
      yield* Effect.provide(remove, at(`http://127.0.0.1:${port}`))
      yield* Deferred.await(closed)
    }))

  // Only Linux tells which timers run on a connection.
  it.scoped.skipIf(process.platform !== "linux")(
    "lets TCP probe the connections that it keeps",
    () =>
      Effect.gen(function* () {
        const { port } = yield* serveHttp(ok)
        yield* Effect.provide(remove, yield* Layer.build(at(`http://127.0.0.1:${port}`)))
        const remote = `:${port.toString(16).toUpperCase().padStart(4, "0")}`
        const [kept] = readFileSync("/proc/net/tcp", "utf8").split("\n")
          .map((line) => line.trim().split(/\s+/))
          .filter(([, , to, state]) => to?.endsWith(remote) && state === "01")
        assert.match(kept![5]!, /^02:/)
      }),
  )

  it.scoped("says that nothing was sent when nobody listens", () =>
    Effect.gen(function* () {
      const { port } = yield* Effect.scoped(serveTcp(() => {}))
      const { reason } = yield* Effect.provide(failure(remove), at(`http://127.0.0.1:${port}`))
      assert.strictEqual(reason._tag, "Unreachable")
      if (reason._tag === "Unreachable") {
        assert.deepStrictEqual([reason.code, reason.sent], ["ECONNREFUSED", "no"])
      }
    }))

  it.scoped("says that something may have been sent after a reset", () =>
    Effect.gen(function* () {
      const { port } = yield* serveTcp((socket) => socket.once("data", () => socket.destroy()))
      const { reason } = yield* Effect.provide(failure(remove), at(`http://127.0.0.1:${port}`))
      assert.strictEqual(reason._tag, "Unreachable")
      if (reason._tag === "Unreachable") {
        assert.deepStrictEqual([reason.code, reason.sent], ["ECONNRESET", "maybe"])
      }
    }))

  it.scoped("sends a request once, also when a connection that was used before is lost", () =>
    Effect.gen(function* () {
      let requests = 0
      const { port } = yield* serveTcp((socket) =>
        socket.on(
          "data",
          () =>
            ++requests === 2
              ? socket.destroy()
              : socket.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"),
        )
      )
      const error = yield* Effect.zipRight(remove, failure(remove)).pipe(
        Effect.provide(at(`http://127.0.0.1:${port}`)),
      )
      assert.strictEqual(error.reason._tag, "Unreachable")
      assert.strictEqual(requests, 2)
    }))

  it.scoped("interruption hangs up", () =>
    Effect.gen(function* () {
      const arrived = yield* Deferred.make<void>()
      const left = yield* Deferred.make<void>()
      const { port } = yield* serveHttp((request) => {
        request.socket.on("close", () => Deferred.unsafeDone(left, Effect.void))
        Deferred.unsafeDone(arrived, Effect.void)
      })
      const fiber = yield* Effect.fork(Effect.provide(remove, at(`http://127.0.0.1:${port}`)))
      yield* Deferred.await(arrived)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(left)
    }))

  it.scoped("reads 64 KiB of an error and lets the rest go", () =>
    Effect.gen(function* () {
      const cut = yield* Deferred.make<boolean>()
      const piece = "y ".repeat(32 * 1024)
      let written = 0
      const { port } = yield* serveHttp((_, response) => {
        const write = () => {
          do written += piece.length
          while (response.write(piece))
        }
        response.writeHead(500, { "content-length": 2 ** 40 })
        response.on("drain", write)
        response.once("close", () => Deferred.unsafeDone(cut, Exit.succeed(!response.writableEnded)))
        write()
      })
      // Its connections stay until the end of the test.
      const cluster = yield* Layer.build(at(`http://127.0.0.1:${port}`))
      const { reason } = yield* Effect.provide(failure(remove), cluster)
      assert.isTrue(reason._tag === "Rejected" && reason.detail.startsWith("y y"))
      assert.isTrue(yield* Deferred.await(cut))
      // What the system takes on its way is not read.
      assert.isBelow(written, 48 * 1024 * 1024)
    }))

  for (
    const [name, connections, last] of [
      ["a reset", 4, (response: Http.ServerResponse) => void response.destroy()],
      ["a 502", 3, (response: Http.ServerResponse) => void response.writeHead(502).end()],
    ] as const
  ) {
    it.scoped(`uses no other idle connection after ${name}`, () =>
      Effect.gen(function* () {
        const waiting: Array<Http.ServerResponse> = []
        let answers = 0
        const served = yield* serveHttp((_, response) => {
          // The third comes alone, the others by two.
          if (++answers === 3) return last(response)
          waiting.push(response)
          if (waiting.length < 2) return
          for (const each of waiting.splice(0)) each.writeHead(200, { "content-length": 0 }).end()
        })
        const cluster = yield* Layer.build(at(`http://127.0.0.1:${served.port}`))
        const two = Effect.all([remove, remove], { concurrency: 2 })
        yield* Effect.provide(Effect.zipRight(two, failure(remove)), cluster)
        assert.strictEqual(served.connections(), 2)
        yield* Effect.provide(two, cluster)
        assert.strictEqual(served.connections(), connections)
      }))
  }

  it.scoped("understands a proxy's page that ends with the connection", () =>
    Effect.gen(function* () {
      const { port } = yield* serveTcp((socket) =>
        socket.once("data", () => socket.end("HTTP/1.1 502 Bad Gateway\r\n\r\n<h1>Bad Gateway</h1>"))
      )
      const { reason } = yield* Effect.provide(failure(remove), at(`http://127.0.0.1:${port}`))
      assert.deepStrictEqual(reason, {
        _tag: "Rejected",
        status: 502,
        code: undefined,
        detail: "Bad Gateway",
      })
    }))

  it.scoped("sends bytes and streams whole, with their length", () =>
    Effect.gen(function* () {
      const { emulator, url } = yield* Emulator.serve({ port: 0 })
      const bytes = new Uint8Array(1_500_000).map((_, i) => i)
      yield* putFile({ path: "a/bytes", bytes }).pipe(
        Effect.zipRight(putFile({ path: "a/empty", bytes: new Uint8Array(0) })),
        Effect.zipRight(
          putFile({
            path: "a/stream",
            bytes: Stream.fromIterable([0, 500_000, 1_000_000]).pipe(
              Stream.map((from) => bytes.subarray(from, from + 500_000)),
            ),
            size: 1_500_000,
          }),
        ),
        Effect.provide(at(url)),
      )
      const files = yield* emulator.files
      assert.deepStrictEqual(files.map(({ path, size }) => [path, size]), [
        ["a/bytes", 1_500_000],
        ["a/empty", 0],
        ["a/stream", 1_500_000],
      ])
      assert.strictEqual(yield* files[0]!.sha256, yield* files[2]!.sha256)
    }))

  for (const [name, size] of [["longer", 5], ["shorter", 50]] as const) {
    it.scoped(`never sends a stream that is ${name} than announced as if it were whole`, () =>
      Effect.gen(function* () {
        const { emulator, url } = yield* Emulator.serve({ port: 0 })
        const stream = Stream.make(new TextEncoder().encode("helloDELETE /ImageStore/App HTTP/1.1\r\n\r\n"))
        const error = yield* failure(putFile({ path: "a", bytes: stream, size })).pipe(
          Effect.provide(at(url, { retry: { times: 3 } })),
        )
        assert.include(error.message, "bytes than the")
        assert.strictEqual(error.attempts, 1)
        assert.deepStrictEqual(yield* emulator.files, [])
        assert.isAtMost((yield* emulator.requests).length, 1)
      }))
  }

  it.scoped("hears an answer that comes before the body is out, and the connection's end", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttp((_, response) => {
        response.writeHead(403, { "content-length": 0, connection: "close" }).end()
      })
      const bytes = new Uint8Array(8 * 1024 * 1024)
      const { reason } = yield* Effect.provide(
        failure(putFile({ path: "a", bytes })),
        at(`http://127.0.0.1:${port}`),
      )
      assert.include(["Unauthenticated", "Unreachable"], reason._tag)
    }))

  it.scoped("is an HttpClient like any other", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttp((request, response) => {
        request.pipe(response.writeHead(201, { "x-method": request.method! }))
      })
      const request = HttpClientRequest.post(`http://127.0.0.1:${port}/x?y=1`).pipe(
        HttpClientRequest.setBody(HttpBody.text("hello")),
      )
      const response = yield* HttpClient.execute(request)
      assert.strictEqual(response.status, 201)
      assert.strictEqual(response.headers["x-method"], "POST")
      assert.strictEqual(yield* response.text, "hello")
    }).pipe(Effect.provide(
      Layer.provide(ClusterHttpClient.layer, FabricConfig.layer({ endpoints: ["http://unused:1"] })),
    )))
})

describe("over TLS", () => {
  it.scoped("talks to a gateway whose certificate is given, and shows its own", () =>
    Effect.gen(function* () {
      const server = yield* Effect.promise(() => certificate("localhost"))
      const client = yield* Effect.promise(() => certificate("operator"))
      const peer = yield* Deferred.make<string>()
      const { port } = yield* serveHttps(
        { ...server, ca: client.cert, requestCert: true, rejectUnauthorized: true },
        (request, response) => {
          const { subject } = (request.socket as import("node:tls").TLSSocket).getPeerCertificate()
          Deferred.unsafeDone(peer, Effect.succeed(String(subject?.CN)))
          ok(request, response)
        },
      )
      yield* Effect.provide(
        remove,
        at(`https://localhost:${port}`, { ca: server.cert, clientCertificate: client }),
      )
      assert.strictEqual(yield* Deferred.await(peer), "operator")
    }))

  it.scoped("shows the certificate of a PFX, and asks before a large body as with any", () =>
    Effect.gen(function* () {
      const server = yield* Effect.promise(() => certificate("localhost"))
      const seen = yield* Deferred.make<string>()
      const { port } = yield* serveTls(
        { ...server, ca: operatorPfx.cert, requestCert: true, rejectUnauthorized: true },
        talk(({ head, socket }) => {
          const { subject } = (socket as import("node:tls").TLSSocket).getPeerCertificate()
          Deferred.unsafeDone(seen, Effect.succeed(`${subject?.CN} ${/^expect: .*/im.exec(head)?.[0]}`))
          reply(socket, "100 Continue")
        }),
      )
      yield* Effect.provide(
        putFile({ path: "a", bytes: new Uint8Array(100_000) }),
        at(`https://localhost:${port}`, {
          ca: server.cert,
          clientCertificate: { pfx: operatorPfx.pfx, passphrase: "hunter2" },
        }),
      )
      assert.strictEqual(yield* Deferred.await(seen), "operator Expect: 100-continue")
    }))

  it.scoped("speaks TLS 1.2 at most where a client certificate may be asked for late, and 1.3 elsewhere", () =>
    Effect.gen(function* () {
      const server = yield* Effect.promise(() => certificate("localhost"))
      const client = yield* Effect.promise(() => certificate("operator"))
      const spoken: Array<string | null> = []
      const { port } = yield* serveHttps(server, (request, response) => {
        spoken.push((request.socket as import("node:tls").TLSSocket).getProtocol())
        ok(request, response)
      })
      const secured = (options: Partial<FabricConfig.Options>) =>
        Effect.provide(remove, at(`https://localhost:${port}`, { ca: server.cert, ...options }))
      yield* secured({ clientCertificate: client })
      yield* secured({})
      assert.deepStrictEqual(spoken, ["TLSv1.2", "TLSv1.3"])
    }))

  for (
    const [name, pfx, passphrase] of [
      ["whose passphrase is another", operatorPfx.pfx, "hunter3"],
      ["that is none", new TextEncoder().encode("hunter3"), undefined],
    ] as const
  ) {
    it.effect(`refuses a PFX ${name} before anything is sent`, () =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(Effect.provide(
          remove,
          FabricClient.layerCluster({
            endpoints: ["https://localhost:1"],
            clientCertificate: { pfx, passphrase },
          }),
        ))
        assert.include(String(error), "clientCertificate.pfx")
        assert.notInclude(String(error), "hunter3")
      }))
  }

  it.scoped("does not trust a certificate that nobody vouches for", () =>
    Effect.gen(function* () {
      const server = yield* Effect.promise(() => certificate("localhost"))
      const { port } = yield* serveHttps(server, ok)
      const error = yield* Effect.provide(failure(remove), at(`https://localhost:${port}`))
      assert.strictEqual(error.reason._tag, "Untrusted")
      assert.include(error.message, "not trusted")
      assert.include(error.message, "signed it: `ca`, FABRIC_CA, --ca;")
      assert.isFalse(error.isRetryable)
    }))

  it.scoped("does not trust a certificate for another name, and says for which it is", () =>
    Effect.gen(function* () {
      const server = yield* Effect.promise(() =>
        certificate("elsewhere.example", { alternative: "*.cluster.example" })
      )
      const { port } = yield* serveHttps(server, ok)
      const error = yield* Effect.provide(
        failure(remove),
        at(`https://localhost:${port}`, { ca: server.cert }),
      )
      assert.strictEqual(error.reason._tag, "Untrusted")
      assert.include(error.message, "another name")
      assert.include(error.message, "the gateway's certificate is for elsewhere.example, *.cluster.example)")
    }))

  it.scoped("says so when the port speaks plain HTTP", () =>
    Effect.gen(function* () {
      const { port } = yield* serveHttp(ok)
      const error = yield* Effect.provide(failure(remove), at(`https://127.0.0.1:${port}`))
      assert.strictEqual(error.reason._tag, "Untrusted")
      assert.include(error.message, "http://")
    }))

  it.scoped("says so when the port speaks TLS and the endpoint does not", () =>
    Effect.gen(function* () {
      const server = yield* Effect.promise(() => certificate("localhost"))
      const { port } = yield* serveHttps(server, ok)
      const cluster = yield* Layer.build(at(`http://localhost:${port}`))
      for (const time of ["first", "second"]) {
        const error = yield* Effect.provide(failure(remove), cluster)
        assert.strictEqual(error.reason._tag, "Untrusted", time)
        assert.include(error.message, "write https://", time)
      }
    }))

  for (const scheme of ["http", "https"]) {
    it.scoped(`takes for ${scheme} nothing that speaks something else`, () =>
      Effect.gen(function* () {
        const server = yield* Effect.promise(() => certificate("localhost"))
        const greet = (socket: Net.Socket) => void socket.write("SSH-2.0-OpenSSH_9.6\r\n")
        const { port } = yield* (scheme === "http" ? serveTcp(greet) : serveTls(server, greet))
        const cluster = yield* Layer.build(at(`${scheme}://localhost:${port}`, { ca: server.cert }))
        for (const time of ["first", "second"]) {
          const error = yield* Effect.provide(failure(remove), cluster)
          assert.isFalse(error.isRetryable, time)
          assert.include(error.message, "what answered speaks no HTTP", time)
          assert.notInclude(error.message, "https://", time)
        }
      }))
  }

  it.scoped("has sent nothing when the connection is lost in the handshake", () =>
    Effect.gen(function* () {
      const { port } = yield* serveTcp((socket) => socket.once("data", () => socket.destroy()))
      const { reason } = yield* Effect.provide(failure(remove), at(`https://localhost:${port}`))
      assert.isTrue(reason._tag === "Unreachable" && reason.sent === "no")
    }))

  it.scoped("tells of the client certificate, where one is given, when the connection is lost in the handshake", () =>
    Effect.gen(function* () {
      const client = yield* Effect.promise(() => certificate("operator"))
      const { port } = yield* serveTcp((socket) => socket.once("data", () => socket.destroy()))
      const hint = ", or the gateway did not take the client certificate)"
      for (const [options, told] of [[{}, false], [{ clientCertificate: client }, true]] as const) {
        const error = yield* Effect.provide(failure(remove), at(`https://localhost:${port}`, options))
        assert.strictEqual(error.message.includes(hint), told, error.message)
      }
    }))

  it.scoped("hangs up in the handshake when it is interrupted", () =>
    Effect.gen(function* () {
      const arrived = yield* Deferred.make<void>()
      const left = yield* Deferred.make<void>()
      const { port } = yield* serveTcp((socket) => {
        socket.on("data", () => Deferred.unsafeDone(arrived, Effect.void))
        socket.on("close", () => Deferred.unsafeDone(left, Effect.void))
      })
      const fiber = yield* Effect.fork(Effect.provide(remove, at(`https://localhost:${port}`)))
      yield* Deferred.await(arrived)
      yield* Fiber.interrupt(fiber)
      yield* Deferred.await(left)
    }))

  it.scoped("does not trust another certificate that comes later either", () =>
    Effect.gen(function* () {
      const [first, second] = yield* Effect.promise(() =>
        Promise.all([certificate("localhost"), certificate("localhost")])
      )
      const { port } = yield* serveInTurn([
        yield* serveHttps(first, (_, response) => {
          response.writeHead(200, { "content-length": 0, connection: "close" }).end()
        }),
        yield* serveHttps(second, ok),
      ])
      const { reason } = yield* Effect.zipRight(remove, failure(remove)).pipe(
        Effect.provide(at(`https://localhost:${port}`, { ca: first.cert })),
      )
      assert.strictEqual(reason._tag, "Untrusted")
    }))

  it.scoped("says on Deno, which cannot renegotiate, what a gateway may have wanted that hangs up", () =>
    Effect.gen(function* () {
      const server = yield* Effect.promise(() => certificate("localhost"))
      const client = yield* Effect.promise(() => certificate("operator"))
      let answers = 0
      const { port } = yield* serveTls(
        server,
        talk(() => {}, ({ socket }) => answers-- > 0 ? reply(socket, "200 OK") : void socket.destroy()),
      )
      const cluster = yield* Layer.build(
        at(`https://localhost:${port}`, { ca: server.cert, clientCertificate: client }),
      )
      const stranger = yield* Layer.build(at(`https://localhost:${port}`, { ca: server.cert }))
      const hint = "Deno cannot give it"
      assert.notInclude((yield* Effect.provide(failure(remove), stranger)).message, hint)
      const { message } = yield* Effect.provide(failure(remove), cluster)
      assert.strictEqual(message.includes(hint), "Deno" in globalThis)
      answers = 1
      yield* Effect.provide(remove, cluster)
      assert.notInclude((yield* Effect.provide(failure(remove), cluster)).message, hint)
    }))

  it.effect("refuses a key that cannot be used before anything is sent", () =>
    Effect.gen(function* () {
      const { cert } = yield* Effect.promise(() => certificate("operator"))
      const error = yield* Effect.flip(Effect.provide(
        remove,
        FabricClient.layerCluster({
          endpoints: ["https://localhost:1"],
          clientCertificate: { cert, key: "-----BEGIN PRIVATE KEY-----\nhunter2\n-----END PRIVATE KEY-----" },
        }),
      ))
      assert.include(String(error), "clientCertificate")
      assert.notInclude(String(error), "hunter2")
    }))
})
