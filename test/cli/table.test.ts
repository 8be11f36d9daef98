import { expect, it } from "vitest"
import { fields, table } from "../../src/cli/table.ts"

it("aligns columns and leaves no trailing blanks", () => {
  expect(table([["SIZE", "right"], ["PATH", "left"]], [["1 B", "a"], ["100 KiB", "long/path"], ["", "b/"]]))
    .toBe(
      "   SIZE  PATH\n    1 B  a\n100 KiB  long/path\n         b/",
    )
})

it("prints a title alone where there is nothing else", () => {
  expect(table([["A", "left"], ["B", "left"]], [])).toBe("A  B")
})

it("aligns values after names", () => {
  expect(fields([["a", "1"], ["long", "2"]])).toBe("a     1\nlong  2")
})
