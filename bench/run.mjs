/**
 * Measures everything and writes `RESULTS.md`. `--quick`: a short form that only shows that all of it works; its
 * numbers mean little, and nothing is written. `--concurrency=16`: the clients at that concurrency alone.
 *
 * @module
 */
import { execFileSync } from "node:child_process"
import { rmSync, writeFileSync } from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import process from "node:process"
import { clients } from "./clients.mjs"
import { dataFolder } from "./dataFolder.mjs"
import { emulator } from "./emulator.mjs"
import { deno, here, out } from "./harness.mjs"
import { parts } from "./parts.mjs"
import { startUp } from "./startUp.mjs"
import { MiB } from "./uploadSources.mjs"

const quick = process.argv.includes("--quick")
const alone = process.argv.find((argument) => argument.startsWith("--concurrency="))
const both = { runtimes: ["node", "deno"] }

// Times are milliseconds. Each round has processes of its own.
const plan = quick
  ? {
    clients: {
      ...both,
      concurrencies: [16],
      rounds: 1,
      slices: 1,
      millis: 60,
      warmUp: 200,
    },
    parts: {
      ...both,
      rounds: 1,
      slices: 1,
      millis: 60,
      warmUp: 200,
      calls: 1_000,
    },
    startUp: { starts: 1 },
    emulator: {
      ...both,
      rounds: 1,
      slices: 1,
      millis: 60,
      warmUp: 60,
      inProcessCalls: 1_000,
    },
    dataFolder: { ...both, size: 64 * MiB },
  }
  : {
    clients: {
      ...both,
      concurrencies: alone === undefined ? [1, 16, 64] : [Number(alone.split("=")[1])],
      rounds: 5,
      slices: 2,
      millis: 400,
      warmUp: 3_000,
    },
    parts: {
      ...both,
      rounds: 3,
      slices: 2,
      millis: 400,
      warmUp: 3_000,
      calls: 100_000,
    },
    startUp: { starts: 20 },
    emulator: {
      ...both,
      rounds: 5,
      slices: 2,
      millis: 400,
      warmUp: 3_000,
      inProcessCalls: 10_000,
    },
    dataFolder: { ...both, size: 4096 * MiB },
  }

const note = (text) => process.stderr.write(`${text}\n`)

const machine = () => {
  const version = execFileSync(deno, ["--version"], { encoding: "utf8" }).split(/[ \n]/)[1]
  const cpus = Os.cpus()
  return `${cpus[0]?.model.trim()}, ${cpus.length} cores, ${Math.round(Os.totalmem() / 2 ** 30)} GiB, ` +
    `${Os.type()}; Node ${process.versions.node}, Deno ${version}; ${new Date().toISOString().slice(0, 10)}`
}

const page = `# Results

Measured by \`node bench/run.mjs\` on: ${machine()}.

A ratio is the median over all rounds, with its least and greatest value: each slice of a contender is divided
by the slice of its reference right before it. CPU is that of the whole process, user and system.

## Small DELETEs

Each contender runs in a process of its own, against a bare \`node:http\` server in another. \`azure-servicefabric\`,
which awaits promises, has as many loops as calls at a time. The Effect contenders have one runtime and as many
fibers, each started by itself with \`runPromise\`, with an \`Effect.whileLoop\` in it.

${await clients(plan.clients, note)}

## Where the CPU goes

16 at a time, CPU microseconds a call, median.

${await parts(plan.parts, note)}

## Start-up

Median of ${plan.startUp.starts}, from start to end of the process.

${await startUp(plan.startUp, note)}

## The emulator

On one core, beside a bare \`node:http\` server that reads a body and answers 200.

${await emulator(plan.emulator, note)}

## A data folder

${await dataFolder(plan.dataFolder, note)}
`

rmSync(out, { recursive: true, force: true })
console.log(page)
if (!quick) writeFileSync(Path.join(here, "RESULTS.md"), page)
