/**
 * Uploads to a server in another process that throws everything away: a large file, many small ones, a mixed package.
 * Each run has a process of its own, and is compared with the run of its reference in the same round.
 *
 * @module
 */
import { execFile, spawnSync } from "node:child_process"
import { writeFileSync } from "node:fs"
import * as Path from "node:path"
import process from "node:process"
import { promisify } from "node:util"
import { bundle, bundled, Child, here, median, runtimes, spread, table } from "./harness.mjs"
import { filesIn, MiB } from "./uploadSources.mjs"

export const GiB = 1024 * MiB

/** Asks, for as long as it takes. */
export const askLong = async (child, question) => {
  let answer = await child.ask(question)
  while (answer.busy) answer = await child.ask("wait")
  return answer
}

const FILES = ["uploadOurs.ts", "uploadRaw.ts", "uploadSfctl.ts"].map((name) => `contenders/${name}`)

const contender = (runtime, name, url, ...args) =>
  new Child(runtimes[runtime](bundled(`contenders/${name}.ts`), url, ...args))

/** One run in a fresh process, with what the server has seen of it. */
const run = async (server, url, runtime, [name, ...args], job) => {
  const child = contender(runtime, name, url, ...args)
  try {
    await server.ask("reset")
    const told = await askLong(child, job)
    return { ...told, server: await server.ask("reset") }
  } finally {
    child.close()
  }
}

const OURS = ["uploadOurs"]
const RAW = ["uploadRaw"]

const start = async (latency = 0) => {
  await bundle(...FILES)
  const server = new Child([
    process.execPath,
    Path.join(here, "servers/store.mjs"),
    String(latency),
  ])
  return { server, url: await server.line() }
}

const mean = (runs, field) => median(runs.map((result) => result[field]))
const ratios = (own, reference) => own.map(({ seconds }, at) => reference[at].seconds / seconds)
const perGiB = (runs, size) => (mean(runs, "cpu") * GiB / size).toFixed(2)
const mebi = (bytes) => Math.round(bytes / MiB).toLocaleString("en")

/** What a hash costs by itself, on each runtime. */
const HASH = `
  import { createHash } from "node:crypto"
  import process from "node:process"
  const chunk = new Uint8Array(8 * 1024 * 1024).fill(1)
  const times = Math.max(1, Math.round(+process.argv.at(-1) / chunk.length))
  const hash = () => createHash("sha256").update(chunk).digest()
  hash()
  const cpu = process.cpuUsage()
  const start = performance.now()
  for (let i = 0; i < times; i++) hash()
  const { user, system } = process.cpuUsage(cpu)
  const share = times * chunk.length / 2 ** 30
  console.log(JSON.stringify({ cpu: (user + system) / 1e6 / share, seconds: (performance.now() - start) / 1000 / share }))
  process.exit(0)
`

const hashing = (runtime, folder, size) => {
  const file = Path.join(folder, "hash.mjs")
  writeFileSync(file, HASH)
  const [program, ...args] = runtimes[runtime](file, String(size))
  return JSON.parse(
    spawnSync(program, args, { encoding: "utf8", timeout: 60_000 }).stdout,
  )
}

export const largeFile = async (
  { concurrencies, folder, giant, rounds, runtimes: names, size, source },
  note,
) => {
  const { server, url } = await start()
  const rows = []
  const lines = []
  for (const runtime of names) {
    const results = new Map()
    const contenders = concurrencies.flatMap((concurrency) => [
      [`raw ${concurrency}`, RAW, concurrency],
      [`ours ${concurrency}`, OURS, concurrency],
      [`hashed ${concurrency}`, [...RAW, "--hash"], concurrency],
      [`beside ${concurrency}`, [...RAW, "--hash-beside"], concurrency],
    ])
    for (let round = 0; round < rounds; round++) {
      note(`large file on ${runtime}, round ${round + 1} of ${rounds}`)
      for (const [key, args, concurrency] of contenders) {
        const job = {
          kind: "file",
          source,
          path: "App/large.bin",
          concurrency,
          chunkSize: 8 * MiB,
        }
        const result = await run(server, url, runtime, args, job)
        results.set(key, [...results.get(key) ?? [], result])
      }
    }
    for (const concurrency of concurrencies) {
      const raw = results.get(`raw ${concurrency}`)
      const row = (label, own) => [
        runtime,
        concurrency,
        label,
        own === raw ? "1" : spread(ratios(own, raw)),
        mebi(size / mean(own, "seconds")),
        perGiB(own, size),
        mebi(mean(own, "above")),
        mebi(mean(own, "above") - concurrency * 8 * MiB),
        median(own.map((result) => result.server.requests)),
      ]
      rows.push(
        row("raw `node:http`", raw),
        row(
          "raw, and each chunk hashed before",
          results.get(`hashed ${concurrency}`),
        ),
        row(
          "raw, and each chunk hashed on another thread",
          results.get(`beside ${concurrency}`),
        ),
        row("`uploadFile`", results.get(`ours ${concurrency}`)),
      )
    }
    const { cpu, seconds } = hashing(runtime, folder, size)
    lines.push(
      `SHA-256 by itself on ${runtime}: ${cpu.toFixed(2)} s of CPU a GiB, ${seconds.toFixed(2)} s of time.`,
    )
    if (giant !== undefined) {
      note(`${giant.size / GiB} GiB on ${runtime}`)
      const job = {
        kind: "file",
        source: giant.source,
        path: "App/giant.bin",
        concurrency: 4,
        chunkSize: 8 * MiB,
      }
      const { above, seconds } = await run(server, url, runtime, OURS, job)
      lines.push(
        `${giant.size / GiB} GiB on ${runtime}, 4 at a time: ${mebi(above)} MiB above idle at most, ` +
          `${mebi(above - 32 * MiB)} without the bytes in flight, in ${seconds.toFixed(1)} s.`,
      )
    }
  }
  server.close()
  const head = [
    "runtime",
    "at a time",
    "contender",
    "of raw's speed",
    "MiB a second",
    "CPU s a GiB",
    "MiB above idle",
    "less those in flight",
    "requests",
  ]
  return `${table(head, rows)}\n\n${lines.join("\n\n")}`
}

/** `curl --parallel`, when there is one that can. */
const curl = async (server, url, folder, files, concurrency) => {
  const config = Path.join(folder, "curl.txt")
  writeFileSync(
    config,
    files.map(({ file, name }) =>
      `url = "${url}/ImageStore/App/${name}?api-version=6.0&timeout=60"\nupload-file = "${file}"\noutput = "/dev/null"\n`
    ).join(""),
  )
  await server.ask("reset")
  const begun = performance.now()
  const command = `curl -sS --parallel --parallel-max ${concurrency} -H Expect: -K '${config}'; times`
  const { stdout } = await promisify(execFile)("sh", ["-c", command], {
    timeout: 60_000,
  })
  const seconds = (performance.now() - begun) / 1000
  const cpu = [...stdout.trim().split("\n").at(-1).matchAll(/(\d+)m([\d.]+)s/g)]
    .reduce((sum, [, minutes, rest]) => sum + minutes * 60 + Number(rest), 0)
  return { seconds, cpu, above: NaN, server: await server.ask("reset") }
}

const hasCurl = () =>
  spawnSync("curl", ["--parallel", "--version"], { stdio: "ignore" }).status ===
    0

/** A package by all who can send one. */
export const packages = async (
  {
    concurrencies,
    folder,
    label,
    latency,
    rounds,
    runtimes: names,
    sfctl,
    source,
  },
  note,
) => {
  const { server, url } = await start(latency)
  const files = filesIn(source)
  const size = files.reduce((sum, file) => sum + file.size, 0)
  const rows = []
  for (const runtime of names) {
    const results = new Map()
    const add = (key, result) => results.set(key, [...results.get(key) ?? [], result])
    for (let round = 0; round < rounds; round++) {
      note(`${label} on ${runtime}, round ${round + 1} of ${rounds}`)
      const job = { kind: "package", source, path: "App", chunkSize: 8 * MiB }
      if (sfctl) {
        add("sfctl", await run(server, url, runtime, ["uploadSfctl"], job))
      }
      for (const concurrency of concurrencies) {
        add(
          `raw ${concurrency}`,
          await run(server, url, runtime, RAW, { ...job, concurrency }),
        )
        add(
          `ours ${concurrency}`,
          await run(server, url, runtime, OURS, { ...job, concurrency }),
        )
        if (runtime === "node" && sfctl && hasCurl()) {
          add(
            `curl ${concurrency}`,
            await curl(server, url, folder, files, concurrency),
          )
        }
      }
    }
    const model = results.get("sfctl")
    for (const concurrency of concurrencies) {
      const raw = results.get(`raw ${concurrency}`)
      const row = (label, own, at = concurrency) => [
        runtime,
        at,
        label,
        own === raw ? "1" : spread(ratios(own, raw)),
        ...(sfctl ? [own === model ? "1" : spread(ratios(own, model))] : []),
        mean(own, "seconds").toFixed(2),
        mean(own, "cpu").toFixed(2),
        Number.isNaN(own[0].above) ? "" : mebi(mean(own, "above")),
        median(own.map((result) => result.server.requests)).toLocaleString(
          "en",
        ),
        median(own.map((result) => result.server.connections)).toLocaleString(
          "en",
        ),
      ]
      rows.push(
        row("raw `node:http`", raw),
        row("`uploadPackage`", results.get(`ours ${concurrency}`)),
      )
      if (results.has(`curl ${concurrency}`)) {
        rows.push(row("`curl --parallel`", results.get(`curl ${concurrency}`)))
      }
      if (sfctl && concurrency === concurrencies.at(-1)) {
        rows.push(row("model of `sfctl`", model, 1))
      }
    }
  }
  server.close()
  const head = [
    "runtime",
    "at a time",
    "contender",
    "of raw's speed",
    ...(sfctl ? ["of the model's"] : []),
    "seconds",
    "CPU s",
    "MiB above idle",
    "requests",
    "connections",
  ]
  return `${files.length.toLocaleString("en")} files, ${mebi(size)} MiB.\n\n${table(head, rows)}`
}
