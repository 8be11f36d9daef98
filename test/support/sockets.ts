/** Servers on loopback that do what a test needs, closed with the scope. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Http from "node:http"
import * as Https from "node:https"
import * as Net from "node:net"

export interface Served {
  readonly port: number
  /** Connections accepted so far. */
  readonly connections: () => number
}

const serve = (server: Net.Server): Effect.Effect<Served, never, Scope.Scope> =>
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
  Effect.suspend(() => serve(Http.createServer(handler)))

export const serveHttps = (
  options: Https.ServerOptions,
  handler: Http.RequestListener,
): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.suspend(() => serve(Https.createServer(options, handler)))

export const serveTcp = (handler: (socket: Net.Socket) => void): Effect.Effect<Served, never, Scope.Scope> =>
  Effect.suspend(() => serve(Net.createServer(handler)))
