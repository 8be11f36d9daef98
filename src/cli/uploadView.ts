/**
 * How people see the progress of an upload while it runs.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { Display, Drawing, during } from "./Display.ts"
import { Host } from "./Host.ts"
import { Output } from "./Output.ts"
import type { Progress } from "./Progress.ts"

/** Milliseconds between two pictures on a terminal, and between two lines elsewhere. */
const REDRAW = 200
const REPORT = 5000

/** Shows the progress. */
export interface View {
  /** Shows it for as long as an upload runs. */
  readonly around: <A, E, R>(upload: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Takes everything off the terminal, at once. */
  readonly clear: () => void
}

/** Drawn on a terminal, elsewhere told every few seconds. Programs read the events. */
export const viewOf = (progress: Progress): Effect.Effect<View, never, Host | Output> =>
  Effect.gen(function* () {
    const { json, note } = yield* Output
    const { variable } = yield* Host
    if (json) return { around: (upload) => upload, clear: () => {} }
    const screen = (yield* variable("TERM")) === "dumb" ? undefined : yield* Display
    if (screen === undefined) {
      return {
        around: (upload) => during(upload, REPORT, (now) => note(progress.line(now), {})),
        clear: () => {},
      }
    }
    const drawing = new Drawing(screen)
    const color = (yield* variable("NO_COLOR")) === undefined
    return {
      around: (upload) =>
        during(
          upload,
          REDRAW,
          (now) => Effect.sync(() => drawing.draw(() => progress.lines(now, screen.columns() - 1, color))),
        ).pipe(
          Effect.ensuring(Effect.sync(() => drawing.erase())),
          (shown) => Effect.consoleWith((console) => Effect.withConsole(shown, drawing.console(console))),
        ),
      clear: () => drawing.erase(),
    }
  })
