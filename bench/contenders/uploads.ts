/**
 * The measured side of an upload. It waits for lines such as `{"kind":"file","source":"/tmp/a","concurrency":4}`
 * and answers each with what it took. A run of more than a minute answers `{"busy":true}` in between, and goes on
 * being waited for at the next line. Ends with its input.
 *
 * @module
 */
import { readFileSync, writeFileSync } from "node:fs"
import * as process from "node:process"
import * as Readline from "node:readline"

/** What is to be uploaded, and how. */
export interface Job {
  readonly kind: "file" | "package"
  readonly source: string
  /** Where it goes in the store. */
  readonly path: string
  readonly concurrency: number
  readonly chunkSize: number
  /** Default: the URL that the process was started with. */
  readonly url?: string
  /** Where sessions are recorded. */
  readonly journal?: string
  /** Kills the process when so much of the file, from 0 to 1, has arrived. */
  readonly killAt?: number
}

/** What a run tells about itself. */
export interface Told {
  /** Bytes that went over the wire, as far as the contender counts them. */
  readonly sent?: number
  readonly resumed?: number
  readonly retries?: number
}

/** Where to send to. */
export const url: string = process.argv[2]!

/** Bytes by the system's own books, which begin a new peak with each run; elsewhere what is held now. */
const memory = (field: "VmRSS" | "VmHWM"): number => {
  try {
    const line = new RegExp(`${field}:\\s+(\\d+)`).exec(
      readFileSync("/proc/self/status", "utf8"),
    )
    return Number(line![1]) * 1024
  } catch {
    return process.memoryUsage().rss
  }
}

const resetPeak = (): void => {
  try {
    writeFileSync("/proc/self/clear_refs", "5")
  } catch {
    // Then the peak is that of the whole process.
  }
}

const measured = async (run: () => Promise<Told>, idle: number) => {
  resetPeak()
  const cpu = process.cpuUsage()
  const start = performance.now()
  const told = await run()
  const seconds = (performance.now() - start) / 1000
  const { system, user } = process.cpuUsage(cpu)
  return {
    ...told,
    seconds,
    cpu: (user + system) / 1e6,
    above: memory("VmHWM") - idle,
  }
}

const BUSY = 60_000

/** Answers the questions of the one who measures. */
export const uploads = async (
  run: (job: Job) => Promise<Told | void>,
): Promise<void> => {
  const idle = memory("VmRSS")
  let running: Promise<unknown> | undefined
  for await (const line of Readline.createInterface({ input: process.stdin })) {
    running ??= measured(
      async () => await run(JSON.parse(line) as Job) ?? {},
      idle,
    )
    let timer: NodeJS.Timeout | undefined
    const busy = new Promise((resolve) => timer = setTimeout(resolve, BUSY, { busy: true }))
    const done = running.then((result) => {
      running = undefined
      return result
    })
    console.log(JSON.stringify(await Promise.race([done, busy])))
    clearTimeout(timer)
  }
  process.exit(0)
}
