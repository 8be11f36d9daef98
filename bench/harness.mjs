/**
 * Bundles, child processes that talk in lines, medians, tables.
 *
 * @module
 */
import { build } from "esbuild"
import { spawn } from "node:child_process"
import * as Path from "node:path"
import process from "node:process"
import * as Readline from "node:readline"
import { fileURLToPath } from "node:url"

export const here = Path.dirname(fileURLToPath(import.meta.url))
export const root = Path.dirname(here)
/** Where bundles go. */
export const out = Path.join(here, "dist")

const deno = Path.join(root, "node_modules", ".bin", "deno")

/** How each runtime starts a file. The same bundle runs on both. */
export const runtimes = {
  node: (file, ...args) => [process.execPath, file, ...args],
  deno: (
    file,
    ...args
  ) => [
    deno,
    "run",
    "-A",
    "--no-config",
    "--node-modules-dir=manual",
    file,
    ...args,
  ],
}
export { deno }

/** A bundle as the published command is one. */
export const esbuild = (options) =>
  build({
    absWorkingDir: here,
    bundle: true,
    platform: "node",
    format: "esm",
    logLevel: "silent",
    ...options,
  })

/** Bundles files of this folder. Peers stay outside and come from its own `node_modules`. */
export const bundle = (...files) =>
  esbuild({
    entryPoints: files,
    outdir: out,
    outbase: here,
    outExtension: { ".js": ".mjs" },
    external: ["azure-servicefabric"],
  })

export const bundled = (file) => Path.join(out, file.replace(/\.ts$/, ".mjs"))

/** Nothing here may run for longer than that, in milliseconds. */
const PATIENCE = 120_000

const living = new Set()
process.on("exit", () => living.forEach((child) => child.kill("SIGKILL")))

/** A process that answers a line with a line. It is ended by `close`, or with this one. */
export class Child {
  #child
  #lines

  constructor([command, ...args]) {
    this.#child = spawn(command, args, {
      cwd: here,
      stdio: ["pipe", "pipe", "inherit"],
    })
    living.add(this.#child)
    this.#child.once("exit", () => living.delete(this.#child))
    this.#lines = Readline.createInterface({ input: this.#child.stdout })
      [Symbol.asyncIterator]()
  }

  async line() {
    let timer
    const late = new Promise((_, reject) => {
      timer = setTimeout(
        () => reject(new Error(`no answer: ${this.#child.spawnargs.join(" ")}`)),
        PATIENCE,
      )
    })
    const { done, value } = await Promise.race([this.#lines.next(), late])
      .finally(() => clearTimeout(timer))
    if (done) {
      throw new Error(`ended early: ${this.#child.spawnargs.join(" ")}`)
    }
    return value
  }

  async ask(question) {
    this.#child.stdin.write(`${JSON.stringify(question)}\n`)
    return JSON.parse(await this.line())
  }

  close() {
    this.#child.stdin.end()
  }
}

export const median = (values) => {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  return sorted.length % 2 === 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
}

/** Median, and from where to where. */
export const spread = (values, digits = 2) =>
  `${median(values).toFixed(digits)} (${Math.min(...values).toFixed(digits)}–${
    Math.max(...values).toFixed(digits)
  })`

export const table = (head, rows) =>
  [head, head.map((_, i) => i === 0 ? "---" : "---:"), ...rows].map((row) => `| ${row.join(" | ")} |`).join(
    "\n",
  )
