/**
 * Measures uploads and writes `UPLOADS.md`. `--quick`: a short form that only shows that all of it works; its numbers
 * mean little, and nothing is written. `--large`: also a file of 8 GiB, for its memory. `--only=large,small,far,mixed,
 * line,faults,resume`: some parts, and nothing is written.
 *
 * @module
 */
import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import * as Os from "node:os"
import * as Path from "node:path"
import process from "node:process"
import { deno, here } from "./harness.mjs"
import { makeFile, makeHollow, makePackage, MiB } from "./uploadSources.mjs"
import { GiB, largeFile, packages } from "./uploadSpeed.mjs"
import { faults, resume, tuning } from "./uploadTrouble.mjs"

const quick = process.argv.includes("--quick")
const large = process.argv.includes("--large")
const only = process.argv.find((argument) => argument.startsWith("--only="))
  ?.slice(7).split(",")
const note = (text) => process.stderr.write(`${text}\n`)

const folder = mkdtempSync(Path.join(Os.tmpdir(), "upload-bench-"))
process.on("exit", () => rmSync(folder, { recursive: true, force: true }))
for (const signal of ["SIGINT", "SIGTERM"]) {
  process.on(signal, () => process.exit(130))
}
// The contenders' own leftovers go here too.
process.env.TMPDIR = folder

const both = { runtimes: ["node", "deno"], folder }
const rounds = quick ? 1 : 3

const size = quick ? 64 * MiB : GiB
const plan = {
  large: () => ({
    ...both,
    rounds: quick ? 1 : 5,
    concurrencies: quick ? [4] : [4, 8],
    size,
    source: makeFile(Path.join(folder, "large.bin"), size),
    giant: large
      ? {
        source: makeHollow(Path.join(folder, "giant.bin"), 8 * GiB),
        size: 8 * GiB,
      }
      : undefined,
  }),
  small: () => ({
    ...both,
    rounds: quick ? 1 : 5,
    label: "small files",
    sfctl: true,
    concurrencies: quick ? [16] : [4, 16],
    source: makePackage(Path.join(folder, "small"), [[
      quick ? 200 : 2000,
      20 * 1024,
    ]]),
  }),
  far: () => ({
    runtimes: ["node"],
    folder,
    rounds: quick ? 1 : 3,
    label: "small files far away",
    latency: 50,
    sfctl: true,
    concurrencies: quick ? [16] : [4, 16],
    source: makePackage(Path.join(folder, "far"), [[
      quick ? 40 : 1000,
      20 * 1024,
    ]]),
  }),
  mixed: () => ({
    ...both,
    rounds,
    label: "mixed package",
    sfctl: false,
    concurrencies: quick ? [4] : [4, 8],
    source: makePackage(
      Path.join(folder, "mixed"),
      quick
        ? [[1, 16 * MiB], [4, MiB], [20, 16 * 1024]]
        : [[1, 300 * MiB], [8, 20 * MiB], [60, MiB], [400, 16 * 1024]],
    ),
  }),
  line: () => ({
    folder,
    latency: 50,
    concurrencies: quick ? [4] : [1, 4, 8],
    chunkSizes: quick ? [1, 8] : [1, 4, 8, 16],
    lines: quick
      ? [{ megabits: 1000, size: 16 * MiB, lanes: 1 }]
      // Lines that leave the machine idle are measured side by side.
      : [
        { megabits: 20, size: 64 * MiB, lanes: 12 },
        { megabits: 100, size: 128 * MiB, lanes: 3 },
        { megabits: 1000, size: GiB, lanes: 1 },
      ],
  }),
  faults: () => ({
    ...both,
    rounds: quick ? 1 : 3,
    chunks: quick ? 60 : 160,
    chunkSize: MiB,
    probabilities: quick ? [0.05] : [0.01, 0.05],
    lost: !quick,
    lanes: 12,
  }),
  resume: () => ({
    ...both,
    rounds: quick ? 1 : 3,
    jobs: [{
      kind: "file",
      label: "a file of 256 MiB",
      size: 256 * MiB,
      source: makeFile(Path.join(folder, "resume.bin"), 256 * MiB),
    }, {
      kind: "package",
      label: "5000 files of 20 KiB",
      size: 5000 * 20 * 1024,
      source: makePackage(Path.join(folder, "resume"), [[5000, 20 * 1024]]),
    }],
    chunkSize: 8 * MiB,
    concurrency: 4,
  }),
}

const machine = () => {
  const version = execFileSync(deno, ["--version"], { encoding: "utf8" }).split(/[ \n]/)[1]
  const cpus = Os.cpus()
  return `${cpus[0]?.model.trim()}, ${cpus.length} cores, ${Math.round(Os.totalmem() / 2 ** 30)} GiB, ` +
    `${Os.type()}; Node ${process.versions.node}, Deno ${version}; ${new Date().toISOString().slice(0, 10)}`
}

const PARTS = [
  {
    name: "large",
    run: largeFile,
    text: `## One large file

${
      size / MiB
    } MiB in chunks of 8 MiB. Raw reads the same chunks from the same file and sends them, each by one write, and
does nothing else. Ours also hashes each chunk, records it in the journal on disk, asks for the session and the folder,
commits and deletes. Memory is the greatest that the system counts, less what the same process has before.`,
  },
  {
    name: "small",
    run: packages,
    text: `## Small files

Ours also reads the folder, marks each with \`_.dir\`, and compares the listing with the plan. The model sends the
markers too; raw and \`curl\` send the files alone, and raw knows them from one look without checking anything.`,
  },
  {
    name: "far",
    run: packages,
    text: `## Small files far away

The same with 50 ms there and back: each request takes that long, and a new connection once more.`,
  },
  { name: "mixed", run: packages, text: "## A mixed package" },
  {
    name: "line",
    run: tuning,
    text: `## On a line

\`uploadFile\` on Node to an emulator with a latency of 50 ms: how long it took, its share of what the line can carry, and
its speed as a part of raw's on the same line. Raw sends the same chunks, and neither hashes nor asks, commits or deletes.`,
  },
  { name: "faults", run: faults, text: "## Through faults" },
  {
    name: "resume",
    run: resume,
    text: `## Killed at 70 %, and resumed

By SIGKILL. What the dead process had begun to send of a file is waited for until it can no longer arrive, which is 35
seconds. Files of a package are known to be there once the cluster was asked; that is, every 2 seconds, and after half of
a chunk for each worker.`,
  },
].filter(({ name }) => only === undefined || only.includes(name))

const measure = ({ name, run }) => run(plan[name](), note)
// A resume waits more than it works: in the short form it does so beside the others.
const early = quick ? PARTS.filter(({ name }) => name === "resume") : []
const begun = new Map(early.map((part) => [part, measure(part)]))
for (const result of begun.values()) result.catch(() => {})
const sections = []
for (const part of PARTS) {
  sections.push(`${part.text}\n\n${await (begun.get(part) ?? measure(part))}`)
}

const page = `# Uploads

Measured by \`node bench/upload.mjs${large ? " --large" : ""}\` on: ${machine()}.

A ratio is the median over all rounds, with its least and greatest value: each run is divided by that of its reference
in the same round. CPU is that of the whole process, user and system. Every run has a process of its own, which begins
cold. The server is a \`node:http\` one in another process, on the same machine.

${sections.join("\n\n")}
`
console.log(page)
if (!quick && only === undefined) {
  writeFileSync(Path.join(here, "UPLOADS.md"), page)
}
process.exit(0)
