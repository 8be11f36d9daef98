/**
 * A few lines on the terminal that are drawn again and again.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import type * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Schedule from "effect/Schedule"
import process from "node:process"

/** A terminal on stderr. */
interface Screen {
  readonly columns: () => number
  readonly write: (text: string) => void
}

const Base: Context.ReferenceClass<
  Display,
  "@effect-fabric/image-store/cli/Display",
  Screen | undefined
> = Context.Reference<Display>()("@effect-fabric/image-store/cli/Display", {
  defaultValue: (): Screen | undefined =>
    process.stderr.isTTY === true
      ? { columns: () => process.stderr.columns ?? 80, write: (text) => void process.stderr.write(text) }
      : undefined,
})

/** The terminal that people watch, if there is one. */
export class Display extends Base {}

/** Lines that stay below whatever else is written. */
export class Drawing {
  readonly #screen: Screen
  #lines: ReadonlyArray<string> = []

  constructor(screen: Screen) {
    this.#screen = screen
  }

  /** Replaces what was drawn. */
  draw(lines: ReadonlyArray<string>): void {
    this.#screen.write(this.#gone + lines.join("\n"))
    this.#lines = lines
  }

  /** Takes everything away. */
  erase(): void {
    this.#screen.write(this.#gone)
    this.#lines = []
  }

  get #gone(): string {
    if (this.#lines.length === 0) return ""
    return `\r${"\x1b[1A".repeat(this.#lines.length - 1)}\x1b[J`
  }

  /** A console that writes above the lines. */
  console(base: Console.Console): Console.Console {
    const above = (write: () => void) => {
      const lines = this.#lines
      this.erase()
      write()
      if (lines.length > 0) this.draw(lines)
    }
    const log = (...args: ReadonlyArray<unknown>) => above(() => base.unsafe.log(...args))
    const error = (...args: ReadonlyArray<unknown>) => above(() => base.unsafe.error(...args))
    return {
      ...base,
      log: (...args) => Effect.sync(() => log(...args)),
      error: (...args) => Effect.sync(() => error(...args)),
      unsafe: { ...base.unsafe, log, error },
    }
  }
}

/** Does something every so many milliseconds, for as long as `effect` runs. */
export const during = <A, E, R>(
  effect: Effect.Effect<A, E, R>,
  every: number,
  tick: (now: number) => Effect.Effect<void>,
): Effect.Effect<A, E, R> =>
  Effect.scoped(Effect.zipRight(
    Effect.forkScoped(
      Effect.schedule(Effect.flatMap(Clock.currentTimeMillis, tick), Schedule.spaced(every)),
    ),
    effect,
  ))
