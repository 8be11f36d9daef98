/**
 * The load on a server: connections that write the next request when the last answer is in. Not `node:http`,
 * whose client costs more than the servers that are measured here. Waits for lines such as
 * `{"url":"http://127.0.0.1:80","kind":"delete","millis":300}`; ends with its input.
 *
 * @module
 */
import { Buffer } from "node:buffer"
import { randomUUID } from "node:crypto"
import * as Net from "node:net"
import process from "node:process"
import * as Readline from "node:readline"

const CHUNK = 8 * 1024 * 1024
const chunk = Buffer.alloc(CHUNK, 1)

const head = (host, method, target, headers = "") =>
  `${method} ${target} HTTP/1.1\r\nHost: ${host}\r\nX-ServiceFabricRequestId: ${randomUUID()}\r\n` +
  `X-ServiceFabricClientType: EffectClientlib\r\n${headers}\r\n`

const session = (host, method, route, id) =>
  head(
    host,
    method,
    `/ImageStore/$/${route}?api-version=6.0&session-id=${id}&timeout=60`,
  )

/** What a connection sends, request after request, and how many connections there are. */
const KINDS = {
  show: {
    connections: 16,
    *requests(host) {
      while (true) {
        yield [session(host, "GET", "GetUploadSession", randomUUID())]
      }
    },
  },
  delete: {
    connections: 16,
    *requests(host) {
      while (true) {
        yield [session(host, "DELETE", "DeleteUploadSession", randomUUID())]
      }
    },
  },
  /** A chunk, and the end of its session, so that nothing piles up. */
  chunk: {
    connections: 4,
    *requests(host) {
      while (true) {
        const id = randomUUID()
        const target = `/ImageStore/App/Code.zip/$/UploadChunk?api-version=6.0&session-id=${id}&timeout=60`
        const range = `Content-Range: bytes 0-${CHUNK - 1}/${CHUNK * 2}\r\nContent-Length: ${CHUNK}\r\n`
        yield [head(host, "PUT", target, range), chunk]
        yield [session(host, "DELETE", "DeleteUploadSession", id)]
      }
    },
  },
}

/** One connection: resolves with its answers when `goesOn` ends. */
const connection = (url, requests, goesOn) =>
  new Promise((resolve, reject) => {
    const { hostname: host, port } = new URL(url)
    const socket = Net.connect({ host, port, noDelay: true })
    let answers = 0
    let got = ""
    const next = () => {
      if (!goesOn()) {
        socket.destroy()
        return resolve(answers)
      }
      socket.cork()
      for (const piece of requests.next().value) socket.write(piece)
      socket.uncork()
    }
    socket.on("connect", next)
    socket.on("error", reject)
    socket.on("close", () => reject(new Error("the server hung up")))
    socket.on("data", (bytes) => {
      got += bytes.toString("latin1")
      const end = got.indexOf("\r\n\r\n")
      if (end < 0) return
      const length = Number(/content-length: *(\d+)/i.exec(got)?.[1] ?? 0)
      if (got.length < end + 4 + length) return
      got = ""
      answers++
      next()
    })
  })

for await (const line of Readline.createInterface({ input: process.stdin })) {
  const { url, kind, millis } = JSON.parse(line)
  const { connections, requests } = KINDS[kind]
  const { host } = new URL(url)
  const start = performance.now()
  const end = start + millis
  const answers = await Promise.all(
    Array.from(
      { length: connections },
      () => connection(url, requests(host), () => performance.now() < end),
    ),
  )
  const total = answers.reduce((sum, each) => sum + each)
  console.log(
    JSON.stringify({
      answers: total,
      perSecond: total / (performance.now() - start) * 1000,
    }),
  )
}
process.exit(0)
