/**
 * The same requests by `node:http` with keep-alive, no promise and no library: chunks of a large file, whole small
 * ones, each written at once. With `--hash` each chunk is also hashed before it is sent; with `--hash-beside` on
 * another thread, by as little as that takes: no more can be had of the machine.
 *
 * @module
 */
import { createHash, randomUUID } from "node:crypto"
import * as Fs from "node:fs"
import * as Http from "node:http"
import * as process from "node:process"
import { Worker } from "node:worker_threads"
import { filesOf } from "./packageFiles.ts"
import { type Job, uploads, url } from "./uploads.ts"

const { hostname: host, port } = new URL(url)
const hashes = process.argv.includes("--hash")
const beside = process.argv.includes("--hash-beside") ? startThread() : undefined
const agent = new Http.Agent({ keepAlive: true })

/** One request. Its connection is free when `done` is called. */
const put = (
  path: string,
  headers: Http.OutgoingHttpHeaders,
  body: Uint8Array,
  done: () => void,
): void => {
  const request = Http.request({
    agent,
    host,
    port,
    method: "PUT",
    path,
    headers: {
      "X-ServiceFabricRequestId": randomUUID(),
      "X-ServiceFabricClientType": "EffectClientlib",
      "Content-Type": "application/octet-stream",
      "Content-Length": body.length,
      ...headers,
    },
  })
  request.on("response", (response) => {
    if (response.statusCode !== 200) throw new Error(`${response.statusCode}`)
    response.resume()
    response.on("end", () => process.nextTick(done))
  })
  request.on("error", (error) => {
    throw error
  })
  request.end(body)
}

function startThread() {
  const thread = new Worker(
    `const { createHash } = require("node:crypto")
    const { parentPort } = require("node:worker_threads")
    parentPort.on("message", ({ id, memory, length }) => {
      createHash("sha256").update(new Uint8Array(memory, 0, length)).digest()
      parentPort.postMessage(id)
    })`,
    { eval: true },
  )
  let count = 0
  const orders = new Map<number, () => void>()
  thread.on("message", (id) => {
    orders.get(id)!()
    orders.delete(id)
  })
  return (bytes: Uint8Array, done: () => void): void => {
    orders.set(++count, done)
    thread.postMessage({
      id: count,
      memory: bytes.buffer,
      length: bytes.length,
    })
  }
}

/** Takes pieces one after the other, `concurrency` at a time. */
const each = <A>(
  items: Iterable<A>,
  concurrency: number,
  work: (item: A, buffers: Buffers, done: () => void) => void,
): Promise<void> =>
  new Promise((resolve) => {
    const iterator = items[Symbol.iterator]()
    let working = concurrency
    for (let i = 0; i < concurrency; i++) {
      const buffers = new Buffers()
      const next = () => {
        const { done, value } = iterator.next()
        if (done !== true) work(value, buffers, next)
        else if (--working === 0) resolve()
      }
      next()
    }
  })

/** The memory of one worker. */
class Buffers {
  #buffer: Uint8Array = new Uint8Array(0)

  take(size: number): Uint8Array {
    if (this.#buffer.length < size) {
      this.#buffer = new Uint8Array(
        beside === undefined ? new ArrayBuffer(size) : new SharedArrayBuffer(size),
      )
    }
    return this.#buffer.subarray(0, size)
  }
}

interface Piece {
  readonly file: string
  readonly path: string
  readonly size: number
  readonly first: number
  readonly length: number
  readonly session: string | undefined
}

function* piecesOf(
  file: string,
  path: string,
  size: number,
  chunkSize: number,
): Iterable<Piece> {
  if (size <= chunkSize) {
    return yield {
      file,
      path,
      size,
      first: 0,
      length: size,
      session: undefined,
    }
  }
  const session = randomUUID()
  for (let first = 0; first < size; first += chunkSize) {
    yield {
      file,
      path,
      size,
      first,
      length: Math.min(chunkSize, size - first),
      session,
    }
  }
}

function* piecesOfJob({ chunkSize, kind, path, source }: Job): Iterable<Piece> {
  if (kind === "file") {
    return yield* piecesOf(source, path, Fs.statSync(source).size, chunkSize)
  }
  for (const { name, size, file } of filesOf(source)) {
    yield* piecesOf(file, `${path}/${name}`, size, chunkSize)
  }
}

const send = (
  { first, length, path, session, size }: Piece,
  bytes: Uint8Array,
  done: () => void,
) =>
  session === undefined ? put(`/ImageStore/${path}?api-version=6.0&timeout=60`, {}, bytes, done) : put(
    `/ImageStore/${path}/$/UploadChunk?api-version=6.0&session-id=${session}&timeout=30`,
    { "Content-Range": `bytes ${first}-${first + length - 1}/${size}` },
    bytes,
    done,
  )

uploads(async (job) => {
  const open = new Map<string, Promise<number>>()
  const descriptor = (file: string) => {
    let opened = open.get(file)
    if (opened === undefined) {
      opened = new Promise((resolve, reject) =>
        Fs.open(
          file,
          (error, fd) => error === null ? resolve(fd) : reject(error),
        )
      )
      open.set(file, opened)
    }
    return opened
  }
  await each(piecesOfJob(job), job.concurrency, (piece, buffers, done) => {
    const buffer = buffers.take(piece.length)
    if (piece.session === undefined) {
      Fs.readFile(piece.file, (error, bytes) => {
        if (error !== null) throw error
        send(piece, bytes, done)
      })
    } else {
      void descriptor(piece.file).then((fd) =>
        Fs.read(fd, buffer, 0, piece.length, piece.first, (error, read) => {
          if (error !== null || read !== piece.length) {
            throw error ?? new Error("a short read")
          }
          if (hashes) createHash("sha256").update(buffer).digest()
          if (beside === undefined) send(piece, buffer, done)
          else beside(buffer, () => send(piece, buffer, done))
        })
      )
    }
  })
  for (const fd of open.values()) Fs.closeSync(await fd)
})
