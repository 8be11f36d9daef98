/**
 * Uploads to the emulator: over slow lines, through faults, and killed half way.
 *
 * @module
 */
import { createHash } from "node:crypto"
import { readFileSync } from "node:fs"
import * as Path from "node:path"
import process from "node:process"
import { bundle, bundled, Child, here, median, runtimes, spread, table } from "./harness.mjs"
import { askLong } from "./uploadSpeed.mjs"
import { makeFile, MiB } from "./uploadSources.mjs"

const OURS = "contenders/uploadOurs.ts"
const RAW = "contenders/uploadRaw.ts"
const EMULATORS = "servers/emulators.ts"

const emulators = () => new Child(runtimes.node(bundled(EMULATORS)))
const ours = (runtime, url = "") => new Child(runtimes[runtime](bundled(OURS), url))

/** One upload to an emulator of its own, in processes of their own. */
const alone = async (runtime, wish, job, contender = OURS) => {
  const host = emulators()
  const url = await host.ask({ open: wish })
  const child = new Child(runtimes[runtime](bundled(contender), url))
  try {
    const told = await askLong(child, {
      kind: "file",
      path: "App/file.bin",
      ...job,
      url,
    })
    return { ...told, seen: await host.ask({ look: url }) }
  } finally {
    host.close()
    child.close()
  }
}

/** Runs so many at once at most. */
const inLanes = async (items, lanes, work) => {
  const iterator = items[Symbol.iterator]()
  const lane = async () => {
    for (const item of iterator) await work(item)
  }
  // An iterator that several loops share must not be closed by the first that ends.
  iterator.return = undefined
  await Promise.all(Array.from({ length: lanes }, lane))
}

/** Which chunk size and concurrency use a line best. */
export const tuning = async (
  { chunkSizes, concurrencies, folder, latency, lines },
  note,
) => {
  await bundle(OURS, RAW, EMULATORS)
  const parts = []
  for (const { lanes, megabits, size } of lines) {
    note(`a line of ${megabits} Mbit/s`)
    const source = makeFile(Path.join(folder, `line${size}.bin`), size)
    const times = new Map()
    const combinations = concurrencies.flatMap((concurrency) =>
      chunkSizes.map((chunkSize) => ({ concurrency, chunkSize }))
    )
    await inLanes(combinations, lanes, async ({ chunkSize, concurrency }) => {
      const wish = { latency, bandwidth: megabits * 125_000 }
      const job = { source, concurrency, chunkSize: chunkSize * MiB }
      const raw = await alone("node", wish, job, RAW)
      const own = await alone("node", wish, job)
      times.set(`${concurrency} ${chunkSize}`, { own: own.seconds, raw: raw.seconds })
    })
    const least = size / (megabits * 125_000)
    parts.push([
      `${megabits} Mbit/s, ${size / MiB} MiB, which take ${least.toFixed(1)} s at least:\n`,
      table(
        [
          "chunk",
          ...concurrencies.map((concurrency) => `${concurrency} at a time`),
        ],
        chunkSizes.map((chunkSize) => [
          `${chunkSize} MiB`,
          ...concurrencies.map((concurrency) => {
            const { own, raw } = times.get(`${concurrency} ${chunkSize}`)
            return `${own.toFixed(1)} s, ${Math.round(100 * least / own)} %, ${(raw / own).toFixed(2)}`
          }),
        ]),
      ),
    ].join("\n"))
  }
  return parts.join("\n\n")
}

const sha256 = (file) => createHash("sha256").update(readFileSync(file)).digest("hex")

/** What faults cost. */
export const faults = async (
  {
    chunks,
    chunkSize,
    folder,
    lanes,
    lost,
    probabilities,
    rounds,
    runtimes: names,
  },
  note,
) => {
  await bundle(OURS, EMULATORS)
  const size = chunks * chunkSize
  const source = makeFile(Path.join(folder, "faults.bin"), size)
  const hash = sha256(source)
  const runs = names.flatMap((runtime) =>
    probabilities.flatMap((probability) =>
      Array.from(
        { length: rounds },
        (_, round) => ({
          runtime,
          probability,
          seed: round + 1,
          result: undefined,
        }),
      )
    )
  )
  note(`faults: ${runs.length} uploads`)
  await inLanes(runs, lanes, async (run) => {
    const wish = { faults: run.probability, seed: run.seed, lost }
    run.result = await alone(run.runtime, wish, {
      source,
      concurrency: 4,
      chunkSize,
    })
  })
  const rows = names.flatMap((runtime) =>
    probabilities.map((probability) => {
      const results = runs.filter((run) => run.runtime === runtime && run.probability === probability)
        .map(({ result }) => result)
      const sum = (of) => results.reduce((total, result) => total + of(result), 0)
      return [
        runtime,
        `${probability * 100} %`,
        sum(({ retries }) => retries),
        spread(results.map(({ sent }) => 100 * (sent - size) / size), 1),
        sum(({ seen }) => seen.refused),
        results.every(({ seen }) => seen.hashes.length === 1 && seen.hashes[0] === hash)
          ? "equal"
          : "NOT EQUAL",
        sum(({ seen }) => seen.sessions),
        sum(({ seen }) => seen.staged),
        spread(results.map(({ seconds }) => seconds), 1),
      ]
    })
  )
  const head = [
    "runtime",
    "faults",
    "repeats",
    "% of the bytes sent again",
    "refused as duplicates",
    "content",
    "sessions left",
    "bytes staged",
    "seconds",
  ]
  return `${rounds} uploads each of ${chunks} chunks of ${chunkSize / MiB} MiB, 4 at a time. Chunks meet 503${
    lost ? ", connections reset before they are read, and answers lost after the work" : ""
  }.\n\n${table(head, rows)}`
}

/** Killed at 70 %, then run again. */
export const resume = async (
  { chunkSize, concurrency, folder, jobs, rounds, runtimes: names },
  note,
) => {
  await bundle(OURS)
  const one = async ({ kind, size, source }, runtime, round) => {
    const server = new Child([
      process.execPath,
      Path.join(here, "servers/store.mjs"),
    ])
    const url = await server.line()
    const journal = Path.join(folder, `journal-${kind}-${runtime}-${round}`)
    const job = {
      kind,
      source,
      path: kind === "file" ? "App/file.bin" : "App",
      concurrency,
      chunkSize,
      journal,
    }
    await ours(runtime, url).ask({ ...job, killAt: 0.7 }).then(
      () => {
        throw new Error("it was not killed")
      },
      () => {},
    )
    const killed = await server.ask("look")
    const child = ours(runtime, url)
    const told = await askLong(child, job)
    const resumed = await server.ask("look")
    child.close()
    server.close()
    return {
      ...told,
      killed,
      again: killed.bytes + resumed.bytes - size,
      after: resumed,
    }
  }
  note("kill and resume")
  const cases = jobs.flatMap((job) => names.map((runtime) => ({ job, runtime })))
  const rows = await Promise.all(cases.map(async ({ job, runtime }) => {
    const { size } = job
    const results = await Promise.all(
      Array.from({ length: rounds }, (_, round) => one(job, runtime, round)),
    )
    const sum = (of) => results.reduce((total, result) => total + of(result), 0)
    return [
      job.label,
      runtime,
      spread(results.map(({ resumed }) => 100 * resumed / size), 0),
      spread(results.map(({ again }) => again / chunkSize), 2),
      sum(({ after, killed }) => after.refused + killed.refused),
      sum(({ after }) => after.sessions),
      sum(({ after }) => after.stored === size ? 0 : 1),
      median(results.map(({ seconds }) => seconds)).toFixed(1),
    ]
  }))
  const head = [
    "what",
    "runtime",
    "% taken up",
    "chunks sent again",
    "refused as duplicates",
    "sessions left",
    "not all there",
    "seconds to resume",
  ]
  return `In chunks of ${chunkSize / MiB} MiB, ${concurrency} at a time, ${rounds} times.\n\n${
    table(head, rows)
  }`
}
