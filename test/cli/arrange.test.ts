import * as Either from "effect/Either"
import { describe, expect, it } from "vitest"
import { arrange } from "../../src/cli/arrange.ts"

const arranged = (...argv: ReadonlyArray<string>) => Either.getOrThrow(arrange(argv))
const wrong = (...argv: ReadonlyArray<string>) =>
  Either.match(arrange(argv), { onLeft: ({ message }) => message, onRight: () => "fine" })

describe("arrange", () => {
  it("finds options before, between and after the words", () => {
    const expected = {
      words: ["session", "delete", "id"],
      options: [["json", undefined], ["endpoint", "http://h:1"]],
    }
    expect(arranged("--json", "--endpoint", "http://h:1", "session", "delete", "id")).toEqual(expected)
    expect(arranged("session", "--json", "delete", "--endpoint=http://h:1", "id")).toEqual(expected)
    expect(arranged("session", "delete", "id", "--json", "--endpoint", "http://h:1")).toEqual(expected)
  })

  it("keeps options that are given again, in their order", () => {
    expect(arranged("ls", "--endpoint", "http://a:1", "--endpoint=http://b:1").options).toEqual([
      ["endpoint", "http://a:1"],
      ["endpoint", "http://b:1"],
    ])
  })

  it("takes the word after an option as its value, whatever it looks like", () => {
    expect(arranged("--endpoint", "ls", "info").options).toEqual([["endpoint", "ls"]])
    expect(arranged("ls", "--cert", "-----BEGIN CERTIFICATE-----\nx=1").options).toEqual([
      ["cert", "-----BEGIN CERTIFICATE-----\nx=1"],
    ])
  })

  it("never takes a word as the value of a flag", () => {
    expect(arranged("rm", "--yes", "no").words).toEqual(["rm", "no"])
  })

  it("takes everything after -- as words", () => {
    expect(arranged("rm", "--", "--yes", "-x").words).toEqual(["rm", "--yes", "-x"])
  })

  it("refuses what it does not know, with a guess", () => {
    expect(wrong("ls", "--endpiont", "x")).toBe("There is no option --endpiont; did you mean --endpoint?")
    expect(wrong("ls", "--secret=abc")).toBe("There is no option --secret; see the command's --help")
    expect(wrong("ls", "-x")).toBe("There is no option -x; see the command's --help")
    expect(wrong("ls", "--constructor")).toBe("There is no option --constructor; see the command's --help")
  })

  it("refuses an option without its value, because another cluster would be asked instead", () => {
    expect(wrong("ls", "--endpoint")).toBe("--endpoint needs a value: --endpoint URL")
    expect(wrong("ls", "--endpoint", "")).toBe("--endpoint needs a value: --endpoint URL")
    expect(wrong("ls", "--endpoint=")).toBe("--endpoint needs a value: --endpoint URL")
  })

  it("refuses values that cannot be", () => {
    expect(wrong("ls", "--json=yes")).toBe("--json takes no value")
    expect(wrong("ls", "--timeout", "1.5")).toBe(`--timeout takes a whole number, not "1.5"`)
    expect(wrong("emulator", "--os", "mac")).toBe(`--os is one of windows, linux, not "mac"`)
  })
})
