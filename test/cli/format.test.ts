import { describe, expect, it } from "vitest"
import { count, moment, percent, plural, size, time } from "../../src/cli/format.ts"

describe("size", () => {
  it.each([
    [0, "0 B"],
    [1023, "1023 B"],
    [1024, "1.0 KiB"],
    [1536, "1.5 KiB"],
    [102_347, "99.9 KiB"],
    [102_400, "100 KiB"],
    [1_048_063, "1023 KiB"],
    [1_048_575, "1.0 MiB"],
    [1_048_576, "1.0 MiB"],
    [8 * 1024 ** 2, "8.0 MiB"],
    [640 * 1024 ** 3, "640 GiB"],
    [Number.MAX_SAFE_INTEGER, "8.0 PiB"],
  ])("of %d bytes is %s", (bytes, text) => {
    expect(size(bytes)).toBe(text)
  })
})

describe("percent", () => {
  it("is never all before it is all", () => {
    expect(percent(999_999, 1_000_000)).toBe("99 %")
    expect(percent(1, 1)).toBe("100 %")
    expect(percent(0, 0)).toBe("100 %")
  })
})

describe("a moment", () => {
  it("is told to the second, in UTC", () => {
    expect(moment(new Date("2026-11-22T17:05:09.123Z"))).toBe("2026-11-22 17:05:09Z")
  })
})

describe("a time", () => {
  it.each([
    [0, "0 s"],
    [0.04, "0.0 s"],
    [9.94, "9.9 s"],
    [9.96, "10 s"],
    [59.6, "1 min 0 s"],
    [125, "2 min 5 s"],
    [5400, "1 h 30 min"],
  ])("of %d seconds is %s", (seconds, text) => {
    expect(time(seconds)).toBe(text)
  })
})

describe("a number of things", () => {
  it("has the noun and the verb that go with it", () => {
    expect([count(0, "file"), count(1, "file"), count(2, "file")]).toEqual(["0 files", "1 file", "2 files"])
    expect([plural(0, "is", "are"), plural(1, "is", "are"), plural(2, "is", "are")]).toEqual([
      "are",
      "is",
      "are",
    ])
  })
})
