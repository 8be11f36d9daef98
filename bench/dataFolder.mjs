/**
 * The memory of an emulator with a data folder while a large file goes in and comes out.
 *
 * @module
 */
import { createHash, randomUUID } from "node:crypto"
import { mkdtempSync, rmSync } from "node:fs"
import * as Http from "node:http"
import * as Os from "node:os"
import * as Path from "node:path"
import { bundle, bundled, Child, runtimes, table } from "./harness.mjs"
import { block, MiB } from "./uploadSources.mjs"

const agent = new Http.Agent({ keepAlive: true })

/** One request. `size` bytes of body: the block, over and over. */
const send = (url, method, headers, size = 0) =>
  new Promise((resolve, reject) => {
    const request = Http.request(url, {
      method,
      agent,
      headers: { ...headers, "Content-Length": size },
    }, (response) => {
      response.resume().on("end", () =>
        response.statusCode < 300 ? resolve() : reject(new Error(`${method} ${url}: ${response.statusCode}`)))
    }).on("error", reject)
    let left = size
    const write = () => {
      while (left > 0) {
        const piece = block.subarray(0, Math.min(left, MiB))
        left -= piece.length
        if (!request.write(piece)) {
          return void request.once("drain", write)
        }
      }
      request.end()
    }
    write()
  })

const inSession = async (store, path, size) => {
  const query = `session-id=${randomUUID()}&api-version=6.0`
  for (let first = 0; first < size; first += block.length) {
    const last = Math.min(first + block.length, size) - 1
    const range = { "Content-Range": `bytes ${first}-${last}/${size}` }
    await send(`${store}/${path}/$/UploadChunk?${query}`, "PUT", range, last - first + 1)
  }
  await send(`${store}/$/CommitUploadSession?${query}`, "POST")
  await send(`${store}/$/DeleteUploadSession?${query}`, "DELETE")
}

const expected = (size) => {
  const hash = createHash("sha256")
  for (let at = 0; at < size; at += MiB) hash.update(block.subarray(0, Math.min(MiB, size - at)))
  return hash.digest("hex")
}

const copy = async (store, from, to) => {
  const body = JSON.stringify({ RemoteSource: from, RemoteDestination: to })
  const headers = { "Content-Type": "application/json" }
  const response = await fetch(`${store}/$/Copy?api-version=6.0`, { method: "POST", headers, body })
  if (!response.ok) throw new Error(`copy: ${response.status} ${await response.text()}`)
}

/** After each step: the most that the process has held so far, and how long the step took. */
const measure = async (runtime, size, sha256) => {
  const folder = mkdtempSync(Path.join(Os.tmpdir(), "data-folder-bench-"))
  const child = new Child(runtimes[runtime](bundled("servers/dataFolder.ts"), folder))
  try {
    const store = `${await child.line()}/ImageStore`
    const cells = [Math.round(await child.ask("memory") / MiB)]
    const step = async (run) => {
      const begun = performance.now()
      const outcome = await run()
      const seconds = (performance.now() - begun) / 1000
      cells.push(`${Math.round(await child.ask("memory") / MiB)} (${seconds.toFixed(1)} s)`)
      return outcome
    }
    await step(() => send(`${store}/put.bin?api-version=6.0`, "PUT", {}, size))
    await step(() => inSession(store, "session.bin", size))
    await step(() => copy(store, "session.bin", "copy.bin"))
    const files = [
      await step(() => child.ask({ hash: "copy.bin" })),
      await step(() => child.ask({ read: "put.bin" })),
    ]
    const equal = files.every((file) => file.size === size && file.sha256 === sha256)
    if (!equal) throw new Error(`what came out on ${runtime} is not what went in`)
    return [runtime, ...cells]
  } finally {
    child.close()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Puts a file in by both ways, copies it and reads it back, on each runtime. Fails when the bytes differ. */
export const dataFolder = async ({ runtimes: names, size }, note) => {
  await bundle("servers/dataFolder.ts")
  const sha256 = expected(size)
  const rows = []
  for (const runtime of names) {
    note(`a data folder on ${runtime}`)
    rows.push(await measure(runtime, size, sha256))
  }
  const head = [
    "runtime",
    "idle",
    "in by one PUT",
    "in by a session",
    "copied",
    "the copy by `sha256`",
    "read as `stream`",
  ]
  return `The MiB that the emulator's process has held at most, up to the end of each step, with one file of ${
    size / MiB
  } MiB.\n\n${table(head, rows)}`
}
