import { describe, expect, it } from "vitest"
import { isYes, readSection } from "../../src/cli/ini.ts"

const read = (text: string) => Object.fromEntries(readSection(text, "servicefabric"))

describe("readSection", () => {
  it("reads keys with = and :, in lower case, with blanks around", () => {
    expect(read("[servicefabric]\nEndpoint = http://h:19080\nsecurity: none\nempty =\n")).toEqual({
      endpoint: "http://h:19080",
      security: "none",
      empty: "",
    })
  })

  it("reads no other section, and adds DEFAULT", () => {
    expect(read("[core]\na = 1\n[DEFAULT]\nb = 2\nc = 3\n[servicefabric]\nc = 4\n[other]\nd = 5")).toEqual({
      b: "2",
      c: "4",
    })
  })

  it("skips comments and blank lines, but knows none at the end of a line", () => {
    expect(read("; one\n[servicefabric]\n# two\n\na = 1 # three ; four\n")).toEqual({ a: "1 # three ; four" })
  })

  it("turns %% into a percent sign, and %(key)s into the value of the key", () => {
    expect(read("[servicefabric]\nhome = /h\npem_path = %(home)s/50%%/c.pem\nodd = 5% %(nowhere)s")).toEqual({
      home: "/h",
      pem_path: "/h/50%/c.pem",
      odd: "5% %(nowhere)s",
    })
  })

  it("ends where values refer to each other", () => {
    expect(read("[servicefabric]\na = %(b)s\nb = %(a)s").a).toMatch(/^%\([ab]\)s$/)
  })

  it("continues a value on deeper lines", () => {
    expect(read("[servicefabric]\na = 1\n  2\n\t3\nb = 4")).toEqual({ a: "1\n2\n3", b: "4" })
  })

  it("reads Windows line ends and paths", () => {
    expect(read("[servicefabric]\r\nca_path = C:\\x\\ca.pem\r\nuse_ca = True\r\n")).toEqual({
      ca_path: "C:\\x\\ca.pem",
      use_ca: "True",
    })
  })

  it("leaves out what it cannot read", () => {
    expect(read("\u0000\u0001\n[servicefabric]\nnonsense\na = 1")).toEqual({ a: "1" })
    expect(read("")).toEqual({})
  })
})

describe("isYes", () => {
  it("knows the words that configparser knows", () => {
    expect(["1", "yes", "TRUE", "On"].every(isYes)).toBe(true)
    expect(["0", "no", "False", "off", "y", "", undefined].some(isYes)).toBe(false)
  })
})
