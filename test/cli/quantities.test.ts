import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { time } from "../../src/cli/format.ts"
import { readSize, readTime } from "../../src/cli/quantities.ts"

describe("a time", () => {
  for (
    const [text, seconds] of [
      ["90s", 90],
      ["90 seconds", 90],
      ["1 second", 1],
      ["30m", 1800],
      ["30min", 1800],
      ["30 minutes", 1800],
      ["2h", 7200],
      ["2 hours", 7200],
      ["1.5h", 5400],
      ["1h30m", 5400],
      ["1h 30m", 5400],
      ["1 Hour 30 Minutes 5 Seconds", 5405],
      [" 2 hrs 10 mins 1 sec ", 7801],
      ["576h", 2_073_600],
    ] as const
  ) {
    it.effect(`is read from "${text}"`, () =>
      Effect.map(readTime("deadline", text), (read) => expect(read).toBe(seconds)))
  }

  it.effect("is no longer than a timer runs", () =>
    Effect.map(
      Effect.flip(readTime("deadline", "576h 1s")),
      ({ message }) => expect(message).toBe("--deadline goes up to 576h, not 576h 1s"),
    ))

  it.effect("is read as it is written", () =>
    Effect.gen(function* () {
      for (const seconds of [0.4, 9, 59, 60, 61, 3599, 3600, 5400, 86_340]) {
        expect(yield* readTime("deadline", time(seconds))).toBe(seconds)
      }
    }))
})

describe("a size", () => {
  it.effect("is read in bytes, in powers of two and in powers of ten", () =>
    Effect.gen(function* () {
      for (
        const [text, bytes] of [["512", 512], ["8MiB", 2 ** 23], ["64 kb", 64_000], [
          "1.5 KiB",
          1536,
        ]] as const
      ) {
        expect(yield* readSize("chunk-size", text)).toBe(bytes)
      }
    }))
})
