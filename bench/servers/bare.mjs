/**
 * The least that a `node:http` server can do: it reads the body, throws it away and answers 200. Writes its URL
 * as first line; to every line of input it answers with the CPU microseconds it has used. Ends with its input.
 *
 * Its argument: after so many milliseconds an idle connection is closed; without it, never, and answers have no
 * `Keep-Alive` header, as the gateway's have none.
 *
 * @module
 */
import * as Http from "node:http"
import process from "node:process"
import * as Readline from "node:readline"

const server = Http.createServer({
  keepAliveTimeout: Number(process.argv[2] ?? 0),
  requestTimeout: 0,
}, (request, response) => {
  request.resume()
  request.on("end", () => {
    response.writeHead(200, { "Content-Length": "0" })
    response.end()
  })
})

server.listen(0, "127.0.0.1", async () => {
  console.log(`http://127.0.0.1:${server.address().port}`)
  for await (const _ of Readline.createInterface({ input: process.stdin })) {
    const { user, system } = process.cpuUsage()
    console.log(JSON.stringify(user + system))
  }
  process.exit(0)
})
