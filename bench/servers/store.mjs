/**
 * A gateway that throws bodies away: it knows the sizes of files, the ranges of sessions, and nothing else. Writes
 * its URL as first line; to every line of input it answers with what it has seen since the last one, and forgets
 * everything when the line says `"reset"`. Ends with its input.
 *
 * Its argument: milliseconds there and back, which each request takes, and a new connection once more.
 *
 * @module
 */
import * as Http from "node:http"
import process from "node:process"
import * as Readline from "node:readline"

const latency = Number(process.argv[2] ?? 0)

const DATE = "2020-01-01T00:00:00.000Z"

/** Bytes and version of each file, by path. */
const files = new Map()
let writes = 0
const write = (path, size) => files.set(path, { size, version: ++writes })
/** Sessions by id: path, size, and the last byte of each range by its first. */
const sessions = new Map()
let seen = { requests: 0, connections: 0, bytes: 0, refused: 0 }
let cpu = process.cpuUsage()

const expectedOf = ({ ranges, size }) => {
  const expected = []
  let next = 0
  for (const [first, last] of [...ranges].sort(([a], [b]) => a - b)) {
    if (first > next) {
      expected.push({
        StartPosition: String(next),
        EndPosition: String(first - 1),
      })
    }
    next = last + 1
  }
  if (next < size) {
    expected.push({
      StartPosition: String(next),
      EndPosition: String(size - 1),
    })
  }
  return expected
}

const failure = (status, Code) => [status, { Error: { Code, Message: Code } }]

const chunk = (path, id, header) => {
  const [, first, last, size] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(header).map(
    Number,
  )
  let session = sessions.get(id)
  if (session === undefined) {
    sessions.set(id, session = { path, size, ranges: new Map() })
  }
  if (session.ranges.has(first)) {
    seen.refused++
    return failure(400, "FABRIC_E_UPLOAD_SESSION_RANGE_NOT_SATISFIABLE")
  }
  session.ranges.set(first, last)
  return [200]
}

const show = (id) => {
  const session = sessions.get(id)
  return session === undefined ? [204] : [200, {
    UploadSessions: [{
      SessionId: id,
      StoreRelativePath: session.path,
      FileSize: String(session.size),
      ModifiedDate: DATE,
      ExpectedRanges: expectedOf(session),
    }],
  }]
}

const commit = (id) => {
  const session = sessions.get(id)
  if (session === undefined || expectedOf(session).length > 0) {
    return failure(400, "E_INVALIDARG")
  }
  write(session.path, session.size)
  return [200]
}

const list = (path) => {
  const prefix = path === "" ? "" : `${path}/`
  const folders = new Map()
  const found = []
  for (const [name, file] of files) {
    if (name !== path && !name.startsWith(prefix)) continue
    const slash = name.indexOf("/", prefix.length)
    if (slash < 0) found.push([name, file])
    else {folders.set(
        name.slice(0, slash),
        (folders.get(name.slice(0, slash)) ?? 0) + 1,
      )}
  }
  if (found.length + folders.size === 0) {
    return path === "" ? failure(404, "FABRIC_E_NAME_DOES_NOT_EXIST") : [404]
  }
  return [200, {
    StoreFiles: found.map(([StoreRelativePath, { size, version }]) => ({
      StoreRelativePath,
      FileVersion: {
        EpochDataLossNumber: "1",
        VersionNumber: String(version),
        EpochConfigurationNumber: "0",
      },
      FileSize: String(size),
      ModifiedDate: DATE,
    })),
    StoreFolders: Array.from(folders, ([StoreRelativePath, count]) => ({
      StoreRelativePath,
      FileCount: String(count),
    })),
    ContinuationToken: "",
  }]
}

const remove = (path) => {
  for (const name of files.keys()) {
    if (name === path || name.startsWith(`${path}/`)) files.delete(name)
  }
  return [200]
}

const answer = ({ headers, method, url }, size) => {
  const [target, query = ""] = url.split("?")
  const [route, action] = target.split("/$/")
  const path = decodeURIComponent(route.slice("/ImageStore/".length))
  const id = /(?:^|&)session-id=([^&]*)/.exec(query)?.[1]
  switch (`${method} ${action ?? ""}`) {
    case "PUT UploadChunk":
      return chunk(path, id, headers["content-range"])
    case "PUT ":
      write(path, size)
      return [200]
    case "GET GetUploadSession":
      return path === "" ? show(id) : [204]
    case "POST CommitUploadSession":
      return commit(id)
    case "DELETE DeleteUploadSession":
      sessions.delete(id)
      return [200]
    case "GET ":
      return list(path)
    case "DELETE ":
      return remove(path)
  }
  return failure(400, "E_INVALIDARG")
}

const reply = (request, response, size) => {
  const [status, body] = answer(request, size)
  const text = body === undefined ? "" : JSON.stringify(body)
  response.writeHead(status, {
    ...(text === "" ? {} : { "Content-Type": "application/json; charset=utf-8" }),
    ...(status === 204 ? {} : { "Content-Length": String(Buffer.byteLength(text)) }),
  })
  response.end(text)
}

/** Connections that no request has come on. */
const unused = new WeakSet()

const server = Http.createServer({
  keepAliveTimeout: 120_000,
  requestTimeout: 0,
}, (request, response) => {
  seen.requests++
  let size = 0
  request.on("data", (bytes) => size += bytes.length)
  request.on("end", () => {
    seen.bytes += size
    if (latency === 0) reply(request, response, size)
    else setTimeout(reply, latency * (unused.delete(request.socket) ? 2 : 1), request, response, size)
  })
  // What had come of a cut body is still bytes on the line.
  request.on("close", () => {
    if (!request.complete) seen.bytes += size
  })
})
server.on("connection", (socket) => {
  seen.connections++
  unused.add(socket)
  socket.setNoDelay(true)
})

server.listen(0, "127.0.0.1", async () => {
  console.log(`http://127.0.0.1:${server.address().port}`)
  for await (const line of Readline.createInterface({ input: process.stdin })) {
    const { system, user } = process.cpuUsage(cpu)
    console.log(JSON.stringify({
      ...seen,
      cpu: (user + system) / 1e6,
      sessions: sessions.size,
      files: files.size,
      stored: [...files.values()].reduce((sum, { size }) => sum + size, 0),
    }))
    seen = { requests: 0, connections: 0, bytes: 0, refused: 0 }
    cpu = process.cpuUsage()
    if (JSON.parse(line) !== "reset") continue
    files.clear()
    sessions.clear()
  }
  process.exit(0)
})
