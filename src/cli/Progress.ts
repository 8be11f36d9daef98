/**
 * How far an upload is, from its events, and how that reads.
 *
 * @module
 */
import type { PackageEvent } from "../PackageEvent.ts"
import { count, plural, time } from "./format.ts"
import { Meter } from "./Meter.ts"
import { wrap } from "./wrap.ts"

/** Milliseconds for which the reason of a retry stays on display. */
const RECENT = 15_000
const WIDEST_BAR = 30

interface Share {
  /** Bytes of a file that the cluster has. */
  readonly sent: number
  /** More that have left this machine. */
  readonly underWay: number
}

/** What is known of an upload. Times are milliseconds since 1970. */
export class Progress {
  readonly #quietAt: () => number
  #stopping = false
  #compressing: string | undefined
  /** The process that goes first. */
  #rival: number | undefined
  #files = 0
  #filesDone = 0
  #bytesDone = 0
  #retries = 0
  #concurrency: number | undefined
  #meter: Meter | undefined
  #trouble: { readonly at: number; readonly reason: string } | undefined
  /** Files under way. */
  readonly #shares = new Map<string, Share>()
  readonly #committing = new Set<string>()
  /** Until when what was sent of a file may still arrive. */
  readonly #waiting = new Map<string, number>()
  /** When half a package is gone for good. */
  #removedAt = 0

  /** `quietAt`: the time until which deleted sessions are watched. */
  constructor(quietAt: () => number) {
    this.#quietAt = quietAt
  }

  /** Nothing more is sent: it is cleaned up. */
  stop(): void {
    this.#stopping = true
  }

  /** Takes note of an event. */
  add(event: PackageEvent, now: number): void {
    switch (event._tag) {
      case "Compressing":
        this.#compressing = event.folder
        break
      case "BytesCompressed":
        this.#meter ??= new Meter(event.bytes)
        this.#meter.note(event.read, 0, now)
        if (event.read === event.bytes) this.#compressing = this.#meter = undefined
        break
      case "Queued":
        this.#rival = event.process
        break
      case "PackagePlanned":
        this.#compressing = undefined
        this.#files = event.files
        this.#meter = new Meter(event.bytes)
        break
      case "FileStarted":
        if (this.#meter === undefined) {
          this.#files = 1
          this.#meter = new Meter(event.size)
        }
        this.#shares.set(event.path, { sent: event.resumed, underWay: 0 })
        this.#meter.skip(event.resumed, now)
        break
      case "BytesSent":
        this.#shares.set(event.path, event)
        // A commit that failed for good has the file begin again.
        this.#committing.delete(event.path)
        this.#concurrency = event.concurrency
        this.#measure(now)
        break
      case "Waiting":
        this.#waiting.set(event.path, event.until.getTime())
        this.#meter?.pause()
        break
      case "Committing":
        this.#committing.add(event.path)
        this.#waiting.delete(event.path)
        break
      case "FileUploaded":
        this.#shares.delete(event.path)
        this.#committing.delete(event.path)
        this.#waiting.delete(event.path)
        this.#bytesDone += event.size
        this.#filesDone++
        break
      case "PackageRemoving":
        this.#stopping = true
        this.#waiting.clear()
        this.#removedAt = event.quietAt.getTime()
        break
      case "Retried":
        this.#retries++
        this.#trouble = { at: now, reason: why(event.reason) }
    }
  }

  #measure(now: number): void {
    let sent = this.#bytesDone
    let underWay = 0
    for (const share of this.#shares.values()) {
      sent += share.sent
      underWay += share.underWay
    }
    this.#meter?.note(sent, underWay, now)
    if (this.#isWaiting(now)) this.#meter?.pause()
  }

  /** The whole story in one line. */
  line(now: number): string {
    return [...this.#amounts(now), ...this.#details(now), ...this.#reason(now)].join(", ")
  }

  /** A bar with the amounts, below it the rest, and what went wrong last. No line is longer than `columns`. */
  lines(now: number, columns: number, color: boolean): ReadonlyArray<string> {
    const amounts = this.#amounts(now).join(", ")
    const reason = this.#reason(now).flatMap((text) => wrap(text, columns))
    const below = [this.#details(now).join(", "), ...reason].map((line) => cut(line, columns))
    if (amounts === "") return below
    const width = Math.min(WIDEST_BAR, columns - amounts.length - 2)
    const bar = width < 5 ? "" : `${this.#meter!.bar(width, color)}  `
    return [`${bar}${cut(amounts, columns)}`, ...below]
  }

  /** Why something was tried again the last time. */
  get trouble(): string | undefined {
    return this.#trouble?.reason
  }

  /** Nothing before it is known how much is to be sent, and when no more of it will be. */
  #amounts(now: number): ReadonlyArray<string> {
    return this.#stopping || this.#meter === undefined ? [] : this.#meter.amounts(now, this.#isWaiting(now))
  }

  /** Milliseconds for which deleted sessions are watched. */
  #quiet(now: number): number {
    return this.#quietAt() - now
  }

  /** Milliseconds for which what was sent may still arrive, and does not go again. */
  #wait(now: number): number {
    return Math.max(...this.#waiting.values()) - now
  }

  #isWaiting(now: number): boolean {
    return this.#quiet(now) > 0 || this.#wait(now) > 0
  }

  #details(now: number): ReadonlyArray<string> {
    const waiting = this.#waits(now)
    if (this.#stopping) return ["cleaning up", ...waiting]
    if (this.#compressing !== undefined) return [`compressing ${this.#compressing}`]
    if (this.#meter === undefined) {
      return this.#rival === undefined || waiting.length > 0
        ? ["preparing", ...waiting]
        : [`waiting for process ${this.#rival}, which uploads to the same place`]
    }
    const finishing = [...this.#committing]
    return [
      // First, because a narrow terminal cuts off what comes last. Who waits needs no reason for the silence.
      ...(waiting.length > 0 ? waiting : this.#meter.silence(now)),
      ...this.#meter.pending(),
      ...(this.#files > 1 ? [`${this.#filesDone} of ${this.#files} files`] : []),
      ...(this.#concurrency === undefined ? [] : [`${this.#concurrency} at once`]),
      ...(this.#retries > 0 ? [`${this.#retries} ${plural(this.#retries, "retry", "retries")}`] : []),
      ...(waiting.length > 0
        ? []
        : finishing.length > 0
        ? [`committing ${finishing.length === 1 ? finishing[0] : count(finishing.length, "file")}`]
        : this.#filesDone === this.#files
        ? ["checking what the cluster lists"]
        : []),
    ]
  }

  #waits(now: number): ReadonlyArray<string> {
    const [quiet, wait] = [this.#quiet(now), this.#wait(now)]
    return quiet > 0
      ? [`waiting up to ${seconds(quiet)} for a lost chunk, to delete it too`]
      : wait > 0
      ? [`waiting ${seconds(wait)} before what was sent goes again`]
      : this.#removedAt > now
      ? [`waiting up to ${seconds(this.#removedAt - now)} for a lost file, to delete it too`]
      : []
  }

  /** Why something was tried again, while that is news. */
  #reason(now: number): ReadonlyArray<string> {
    const trouble = this.#trouble
    return trouble === undefined || this.#stopping || now - trouble.at > RECENT ? [] : [trouble.reason]
  }
}

const seconds = (millis: number): string => time(Math.ceil(millis / 1000))

/** Of `Cannot … at …: why` the end: there is no room for more, and people know what they upload, and where. */
const why = (reason: string): string => reason.replace(/^Cannot .*? at \S+( \(after \d+ attempts\))?: /, "")

const cut = (text: string, columns: number): string =>
  text.length <= columns ? text : `${text.slice(0, Math.max(columns - 1, 0))}…`
