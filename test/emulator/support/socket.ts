/** Bytes to a server and back, with nothing in between. */
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import * as net from "node:net"

interface Conversation {
  /** Everything that came back, as Latin-1. */
  readonly text: string
  /** How the connection ended: the error's code, or `closed`. */
  readonly end: string
}

/**
 * Sends bytes on a connection of its own and reads until it is closed. With `hangUp` this side ends right
 * after its last byte; otherwise the request should ask the server to close.
 */
export const talk = (
  url: string,
  bytes: string | Uint8Array,
  options: { readonly hangUp?: boolean } = {},
): Effect.Effect<Conversation> =>
  Effect.async((resume) => {
    const { hostname, port } = new URL(url)
    const pieces: Array<Buffer> = []
    let end = "closed"
    const socket = net.connect(Number(port), hostname)
    socket.on("data", (piece) => pieces.push(piece as Buffer))
    socket.on("error", (error: NodeJS.ErrnoException) => end = error.code ?? "error")
    socket.on("close", () => resume(Effect.succeed({ text: Buffer.concat(pieces).toString("latin1"), end })))
    const sent = typeof bytes === "string" ? Buffer.from(bytes, "latin1") : bytes
    if (options.hangUp) socket.end(sent)
    else socket.write(sent)
    return Effect.sync(() => socket.destroy())
  })
