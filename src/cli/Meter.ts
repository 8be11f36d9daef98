/**
 * How far something of known size is, how fast it goes, and how long it takes.
 *
 * @module
 */
import { percent, size, time } from "./format.ts"

/** The rate is measured over so many milliseconds, and over so many events at least. */
const WINDOW = 15_000
const LEAST_SAMPLES = 8
/** Milliseconds without a byte after which that is said. */
const SILENCE = 20_000

interface Sample {
  readonly at: number
  readonly bytes: number
}

/** Bytes on their way from none to all. Times are milliseconds since 1970. */
export class Meter {
  /** Bytes in all. */
  readonly all: number
  #done = 0
  #moved = 0
  #samples: Array<Sample> = []
  /** When something has happened last. */
  #heard: number | undefined

  constructor(all: number) {
    this.all = all
  }

  /** Of nothing, too, no part is there before it is done. */
  get #whole(): number {
    return Math.max(this.all, 1)
  }

  /** Takes note of how many are done by now, and how many more are under way. */
  note(done: number, underWay: number, now: number): void {
    this.#done = Math.min(done, this.all)
    this.#moved = Math.min(done + underWay, this.all)
    this.#heard = now
    this.#samples.push({ at: now, bytes: this.#moved })
    while (this.#samples.length > LEAST_SAMPLES && this.#samples[1]!.at < now - WINDOW) this.#samples.shift()
  }

  /** Takes note of bytes that were done before: they say nothing of how fast it goes. */
  skip(bytes: number, now: number): void {
    this.#samples = this.#samples.map((sample) => ({ at: sample.at, bytes: sample.bytes + bytes }))
    this.#done = Math.min(this.#done + bytes, this.all)
    this.#moved = Math.min(this.#moved + bytes, this.all)
    if (this.#samples.length === 0) this.note(this.#done, 0, now)
  }

  /** It is waited for something else: the rate is measured anew after that. */
  pause(): void {
    this.#samples = []
  }

  /** Bytes a second, when that can be told. What is under way counts: else each answer is a leap. */
  #rate(now: number): number | undefined {
    const first = this.#samples[0]
    if (first === undefined || this.#isSilent(now) || now - first.at < 500) return
    const rate = (this.#moved - first.bytes) / (now - first.at) * 1000
    return rate > 0 ? rate : undefined
  }

  #isSilent(now: number): boolean {
    return this.#heard !== undefined && now - this.#heard > SILENCE
  }

  /** The amounts in words. `waiting`: for something else than bytes, so how fast it goes and when it ends cannot be told. */
  amounts(now: number, waiting: boolean): ReadonlyArray<string> {
    const rate = waiting ? undefined : this.#rate(now)
    const left = this.all - this.#moved
    return [
      percent(this.#done, this.#whole),
      `${size(this.#done)} of ${size(this.all)}`,
      ...(rate !== undefined && left > 0
        ? [`${size(Math.round(rate))}/s`, `${time(Math.ceil(left / rate))} left`]
        : []),
    ]
  }

  /** What is not done and not to be done any more either, in words. */
  pending(): ReadonlyArray<string> {
    const underWay = this.#moved - this.#done
    return underWay > 0 ? [`${size(underWay)} under way`] : []
  }

  /** How long nothing has happened, in words, if for long. */
  silence(now: number): ReadonlyArray<string> {
    return this.#heard !== undefined && this.#isSilent(now) && this.#done < this.all
      ? [`nothing came through for ${time((now - this.#heard) / 1000)}`]
      : []
  }

  /** A bar of so many characters: what is done, what is under way, and the rest. */
  bar(width: number, color: boolean): string {
    const done = Math.floor(this.#done / this.#whole * width)
    const moved = Math.floor(this.#moved / this.#whole * width)
    const bar = "█".repeat(done) + "▒".repeat(moved - done)
    return `${color ? `\x1b[32m${bar}\x1b[39m` : bar}${"░".repeat(width - moved)}`
  }
}
