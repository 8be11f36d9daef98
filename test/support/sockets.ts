/** Servers on loopback that do what a test needs, closed with the scope. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"
import * as Tls from "node:tls"

export interface Served {
  readonly port: number
  /** Connections accepted so far. */
  readonly connections: () => number
}

export const serveServer = (server: Net.Server): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.gen(function* () {
    let connections = 0
    const open = new Set<Net.Socket>()
    server.on("connection", (socket: Net.Socket) => {
      connections++
      open.add(socket)
      socket.on("close", () => open.delete(socket))
      socket.on("error", () => {})
    })
    yield* Effect.acquireRelease(
      Effect.async<void>((resume) => void server.listen(0, "127.0.0.1", () => resume(Effect.void))),
      () =>
        Effect.async<void>((resume) => {
          server.close(() => resume(Effect.void))
          for (const socket of open) socket.destroy()
        }),
    )
    return { port: (server.address() as Net.AddressInfo).port, connections: () => connections }
  })

export const serveHttp = (handler: Http.RequestListener): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.suspend(() => serveServer(Http.createServer(handler)))

export const serveHttps = (
  options: Https.ServerOptions,
  handler: Http.RequestListener,
): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.suspend(() => serveServer(Https.createServer(options, handler)))

export const serveTcp = (handler: (socket: Net.Socket) => void): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.suspend(() => serveServer(Net.createServer(handler)))

export const serveTls = (
  options: Tls.TlsOptions,
  handler: (socket: Tls.TLSSocket) => void,
): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.suspend(() => serveServer(Tls.createServer(options, handler)))

/** One port whose connections go to these servers, one after the other. */
export const serveInTurn = (servers: ReadonlyArray<Served>): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.suspend(() => {
    let turn = 0
    return serveTcp((socket) => {
      const { port } = servers[turn++ % servers.length]!
      const inner = Net.connect({ host: "127.0.0.1", port })
      socket.pipe(inner).pipe(socket)
      socket.on("close", () => inner.destroy())
      inner.on("close", () => socket.destroy())
      inner.on("error", () => {})
    })
  })

/** A request as its bytes come in. */
export interface Incoming {
  readonly socket: Net.Socket
  readonly head: string
  /** Bytes of the body that have come so far. */
  readonly received: () => number
}

/** As much HTTP as it takes to answer before a body comes: tells of each head, and of each body that is whole. */
export const talk = (
  head: (request: Incoming) => void,
  whole: (request: Incoming) => void = ({ socket }) => reply(socket, "200 OK"),
): (socket: Net.Socket) => void =>
(socket) => {
  let text = ""
  let request: Incoming & { readonly size: number; count: number } | undefined
  socket.on("data", (bytes: Uint8Array) => {
    if (request !== undefined) {
      request.count += bytes.length
    } else {
      text += Buffer.from(bytes).toString("latin1")
      const end = text.indexOf("\r\n\r\n") + 4
      if (end < 4) return
      const size = Number(/content-length: (\d+)/i.exec(text.slice(0, end))?.[1] ?? 0)
      const own = {
        socket,
        head: text.slice(0, end),
        size,
        count: text.length - end,
        received: () => own.count,
      }
      request = own
      text = ""
      head(own)
    }
    const current = request
    if (current.count < current.size) return
    request = undefined
    whole(current)
  })
}

/** An answer without a body. */
export const reply = (socket: Net.Socket, status: string): void =>
  void socket.write(`HTTP/1.1 ${status}\r\n${/^1/.test(status) ? "" : "Content-Length: 0\r\n"}\r\n`)
