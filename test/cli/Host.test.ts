import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import { PassThrough } from "node:stream"
import { askOn } from "../../src/cli/Host.ts"

/** Asks on a terminal that is made up. */
const asked = Effect.gen(function* () {
  const input = new PassThrough()
  const output = new PassThrough({ encoding: "utf8" })
  const fiber = yield* Effect.fork(askOn(input, output)("Delete it?"))
  yield* Effect.yieldNow()
  return { fiber, input, shown: () => output.read() as string }
})

describe("a question on a terminal", () => {
  for (
    const [line, answer] of [["y", true], [" YES ", true], ["", false], ["n", false], [
      "yesterday",
      false,
    ]] as const
  ) {
    it.effect(`takes "${line}" for ${answer ? "yes" : "no"}`, () =>
      Effect.gen(function* () {
        const { fiber, input, shown } = yield* asked
        input.write(`${line}\n`)
        expect(yield* Fiber.join(fiber)).toBe(answer)
        expect(shown()).toBe("Delete it? [y/N] ")
      }))
  }

  it.effect("ends its line where the input ends, which is a no", () =>
    Effect.gen(function* () {
      const { fiber, input, shown } = yield* asked
      input.end()
      expect(yield* Fiber.join(fiber)).toBe(false)
      expect(shown()).toBe("Delete it? [y/N] \n")
    }))

  it.effect("ends its line when it is interrupted", () =>
    Effect.gen(function* () {
      const { fiber, shown } = yield* asked
      yield* Fiber.interrupt(fiber)
      expect(shown()).toBe("Delete it? [y/N] \n")
    }))
})
