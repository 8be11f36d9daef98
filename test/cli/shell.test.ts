import { describe, expect, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import process from "node:process"
import { at, word } from "../../src/cli/shell.ts"

describe("a word of a command line", () => {
  it("stays as it is where a shell reads no more into it", () => {
    for (const text of ["MyApp/1.2-3", "a_b@c+d=e:f", "./MyApp.sfpkg"]) expect(word(text)).toBe(text)
  })

  it("is quoted where a shell would split, expand or unescape it", () => {
    expect(word("My App")).toBe("'My App'")
    expect(word("C:\\apps\\Shop")).toBe("'C:\\apps\\Shop'")
    expect(word("it's")).toBe("'it'\\''s'")
    expect(word("")).toBe("''")
  })

  it.skipIf(process.platform === "win32")("comes through a shell as it was", () => {
    for (const text of ["My App", "C:\\apps\\Shop", "it's", "$HOME", "a;b", "`c`", "*", "~", ""]) {
      expect(execFileSync("sh", ["-c", `printf %s ${word(text)}`], { encoding: "utf8" })).toBe(text)
    }
  })
})

describe("the options that name a cluster", () => {
  it("are one for each gateway, quoted where an address has brackets", () => {
    expect(at(["http://one:19080", "http://[::1]:19080"])).toBe(
      "--endpoint http://one:19080 --endpoint 'http://[::1]:19080'",
    )
  })
})
