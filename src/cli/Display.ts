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

/** Looked at again whenever it is drawn. */
type Picture = () => ReadonlyArray<string>

/** Lines that stay below whatever else is written. */
export class Drawing {
  readonly #screen: Screen
  #picture: Picture | undefined
  /** How many lines there are now. */
  #height = 0

  constructor(screen: Screen) {
    this.#screen = screen
  }

  /** Replaces what was drawn. The cursor goes back in its line, which the echo of Ctrl-C would make go on in the next. */
  draw(picture: Picture): void {
    const lines = picture()
    this.#screen.write(`${this.#gone}${lines.join("\n")}\r`)
    this.#picture = picture
    this.#height = lines.length
  }

  /** Takes everything away. */
  erase(): void {
    this.#screen.write(this.#gone)
    this.#picture = undefined
    this.#height = 0
  }

  get #gone(): string {
    return this.#height === 0 ? "" : `\r${"\x1b[1A".repeat(this.#height - 1)}\x1b[J`
  }

  /** A console that writes above the lines. */
  console(base: Console.Console): Console.Console {
    const above = (write: () => void) => {
      const picture = this.#picture
      this.erase()
      write()
      if (picture !== undefined) this.draw(picture)
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
