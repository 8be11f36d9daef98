/**
 * How far an upload is, from its events, and how that reads.
 *
 * @module
 */
import type { PackageEvent } from "../PackageEvent.ts"
import { time } from "./quantities.ts"
import { count, percent, size } from "./sizes.ts"

/** The rate is measured over so many milliseconds, and over so many chunks at least. */
const WINDOW = 15_000
const LEAST_SAMPLES = 8
/** Milliseconds without a byte after which that is said. */
const SILENCE = 20_000
/** Milliseconds for which the reason of a retry stays on display. */
const RECENT = 15_000
const WIDEST_BAR = 30

interface Sample {
  readonly at: number
  readonly bytes: number
}

/** What is known of an upload. Times are milliseconds since 1970. */
export class Progress {
  /** What is under way besides sending. */
  stage: string | undefined
  readonly #quietAt: () => number
  #files = 0
  #filesDone = 0
  #bytes = 0
  #bytesDone = 0
  #retries = 0
  #concurrency: number | undefined
  #planned = false
  #waitsUntil = 0
  #trouble: { readonly at: number; readonly reason: string } | undefined
  #samples: Array<Sample> = []
  /** Bytes of files under way that are in the cluster, or on their way there. */
  readonly #there = new Map<string, number>()
  readonly #committing = new Set<string>()

  /** `quietAt`: the time until which deleted sessions are watched. */
  constructor(quietAt: () => number) {
    this.#quietAt = quietAt
  }

  /** Takes note of an event. */
  add(event: PackageEvent, now: number): void {
    if (event._tag === "PackagePlanned") {
      this.#planned = true
      this.#files = event.files
      this.#bytes = event.bytes
      this.stage = undefined
    } else if (event._tag === "Compressing") this.stage = `compressing ${event.folder}`
    else if (event._tag === "FileStarted") {
      if (!this.#planned) {
        this.#files = 1
        this.#bytes = event.size
      }
      this.#there.set(event.path, event.resumed)
      // What was there already says nothing of how fast the line is.
      this.#samples = this.#samples.map(({ at, bytes }) => ({ at, bytes: bytes + event.resumed }))
      if (this.#samples.length === 0) this.#sample(now)
    } else if (event._tag === "BytesSent") {
      this.#there.set(event.path, event.sent + event.underWay)
      this.#concurrency = event.concurrency
      this.#sample(now)
    } else if (event._tag === "Waiting") this.#waitsUntil = event.until.getTime()
    else if (event._tag === "Committing") this.#committing.add(event.path)
    else if (event._tag === "FileUploaded") {
      this.#there.delete(event.path)
      this.#committing.delete(event.path)
      this.#bytesDone += event.size
      this.#filesDone++
    } else if (event._tag === "Retried") {
      this.#retries++
      this.#trouble = { at: now, reason: event.reason }
    }
  }

  #sample(now: number): void {
    this.#samples.push({ at: now, bytes: this.#arrived })
    while (this.#samples.length > LEAST_SAMPLES && this.#samples[1]!.at < now - WINDOW) this.#samples.shift()
  }

  get #arrived(): number {
    let sum = this.#bytesDone
    for (const bytes of this.#there.values()) sum += bytes
    return Math.min(sum, this.#bytes)
  }

  /** Bytes a second, when that can be told. */
  #rate(now: number): number | undefined {
    const first = this.#samples[0]
    const last = this.#samples.at(-1)
    if (first === undefined || last === undefined || now - last.at > SILENCE || now - first.at < 500) return
    const rate = (this.#arrived - first.bytes) / (now - first.at) * 1000
    return rate > 0 ? rate : undefined
  }

  /** The whole story in one line. */
  line(now: number): string {
    return [...this.#amounts(now), ...this.#details(now)].join(", ") || "preparing"
  }

  /** A bar with the amounts, and below it the rest. No line is longer than `columns`. */
  lines(now: number, columns: number, color: boolean): ReadonlyArray<string> {
    const below = cut(
      [...this.#details(now), this.#reason(now)].filter((text) => text !== "").join(", "),
      columns,
    )
    if (this.#bytes === 0) return [below === "" ? "preparing" : below]
    const amounts = this.#amounts(now).join(", ")
    const width = Math.min(WIDEST_BAR, columns - amounts.length - 2)
    if (width < 5) return [cut(amounts, columns), below]
    const full = Math.floor(this.#arrived / this.#bytes * width)
    const bar = "█".repeat(full)
    return [`${color ? `\x1b[32m${bar}\x1b[39m` : bar}${"░".repeat(width - full)}  ${amounts}`, below]
  }

  #amounts(now: number): ReadonlyArray<string> {
    if (this.#bytes === 0 && this.#files === 0) return []
    const arrived = this.#arrived
    const rate = this.#rate(now)
    const last = this.#samples.at(-1)
    const all = arrived >= this.#bytes
    return [
      percent(arrived, this.#bytes),
      `${size(arrived)} of ${size(this.#bytes)}`,
      ...(all
        ? []
        : rate !== undefined
        ? [`${size(Math.round(rate))}/s`, `${time(Math.ceil((this.#bytes - arrived) / rate))} left`]
        : last !== undefined && now - last.at > SILENCE
        ? [`nothing came through for ${time((now - last.at) / 1000)}`]
        : []),
    ]
  }

  #details(now: number): ReadonlyArray<string> {
    const quiet = Math.ceil((this.#quietAt() - now) / 1000)
    const wait = Math.ceil((this.#waitsUntil - now) / 1000)
    const finishing = [...this.#committing]
    return [
      ...(this.#files > 1 ? [`${this.#filesDone} of ${this.#files} files`] : []),
      ...(this.#concurrency === undefined ? [] : [`${this.#concurrency} at once`]),
      ...(this.#retries > 0 ? [this.#retries === 1 ? "1 retry" : `${this.#retries} retries`] : []),
      ...(this.stage === undefined ? [] : [this.stage]),
      ...(quiet > 0
        ? [`waiting up to ${time(quiet)} for a lost chunk, to delete it too`]
        : wait > 0
        ? [`waiting ${time(wait)} for a lost chunk before it goes again`]
        : this.stage !== undefined
        ? []
        : finishing.length > 0
        ? [`committing ${finishing.length === 1 ? finishing[0] : count(finishing.length, "file")}`]
        : this.#bytes > 0 && this.#filesDone === this.#files
        ? ["checking what the cluster lists"]
        : []),
    ]
  }

  /** Why something was tried again, while that is news. */
  #reason(now: number): string {
    const trouble = this.#trouble
    return trouble === undefined || now - trouble.at > RECENT ? "" : trouble.reason
  }
}

const cut = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, Math.max(columns - 1, 0))}…`
