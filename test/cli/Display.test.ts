import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Drawing } from "../../src/cli/Display.ts"
import { recording } from "./terminal.ts"

const COLUMNS = 10

/** What a terminal shows that was sent this: full lines go on in the next one. */
const shown = (text: string): ReadonlyArray<string> => {
  const lines: Array<Array<string>> = [[]]
  let [row, column] = [0, 0]
  // deno-lint-ignore no-control-regex
  for (const [sign] of text.matchAll(/\x1b\[\d*[A-Z]|[^]/g)) {
    if (sign === "\r") column = 0
    else if (sign === "\x1b[1A") row = Math.max(0, row - 1)
    else if (sign === "\x1b[J") {
      lines.splice(row + 1)
      lines[row]!.splice(column)
    } else {
      if (sign === "\n" || column === COLUMNS) [row, column] = [row + 1, 0]
      lines[row] ??= []
      if (sign !== "\n") lines[row]![column++] = sign
    }
  }
  return lines.map((line) => line.join(""))
}

describe("what is drawn on a terminal", () => {
  const screen = () => {
    const written: Array<string> = []
    const write = (text: string) => void written.push(text)
    return {
      write,
      drawing: new Drawing({ columns: () => COLUMNS, write }),
      shown: () => shown(written.join("")),
    }
  }

  it("is taken away as a whole, also where Ctrl-C was typed behind a line that fills the width", () => {
    const { drawing, shown, write } = screen()
    drawing.draw(() => ["one", "x".repeat(COLUMNS - 1)])
    write("^C")
    drawing.draw(() => ["two", "y"])
    expect(shown()).toEqual(["two", "y"])
    write("^C")
    drawing.erase()
    expect(shown()).toEqual([""])
  })

  it.effect("stays below what is said, and is up to date there", () =>
    Effect.gen(function* () {
      const { drawing, shown, write } = screen()
      const console = recording(yield* Effect.console, write, (text) => write(`${text}\n`))
      let state = "3 s left"
      drawing.draw(() => [state])
      state = "over"
      yield* drawing.console(console).error("stopped")
      expect(shown()).toEqual(["stopped", "over"])
    }))
})
