import { describe, expect, it } from "vitest"
import { commands } from "../../src/cli/commands.ts"
import { front } from "../../src/cli/front.ts"
import { version } from "../../src/cli/version.ts"
import deno from "../../deno.json" with { type: "json" }
import npm from "../../package.json" with { type: "json" }

describe("help", () => {
  it("is printed without a word, and lists every command", async () => {
    const help = front([])!
    await expect(help).toMatchFileSnapshot("./help/image-store.txt")
    for (const { words } of commands) expect(help).toContain(`  ${words.join(" ")}`)
  })

  it("is the same however it is asked for", () => {
    expect(front(["--help"])).toBe(front([]))
    expect(front(["-h"])).toBe(front([]))
    expect(front(["nonsense", "--help"])).toBe(front([]))
  })

  it.each(commands.map((command) => [command.words.join(" "), command] as const))(
    "of %s shows arguments, options and examples",
    async (name, { words, args, options, examples }) => {
      const help = front([...words, "--help"])!
      await expect(help).toMatchFileSnapshot(`./help/${name.replaceAll(" ", "-")}.txt`)
      for (const arg of Object.keys(args)) expect(help).toMatch(new RegExp(`[<[]${arg}[>\\]]`))
      for (const option of Object.keys(options)) expect(help).toContain(`--${option}`)
      expect(examples.length).toBeGreaterThan(0)
      expect(help).toContain("Examples:\n")
    },
  )

  it("of a group lists its commands", async () => {
    await expect(front(["session", "--help"])!).toMatchFileSnapshot("./help/session.txt")
  })

  it("is also what the word help asks for", () => {
    expect(front(["help"])).toBe(front([]))
    expect(front(["help", "session"])).toBe(front(["session", "--help"]))
    for (const { words } of commands) expect(front(["help", ...words])).toBe(front([...words, "--help"]))
    expect(front(["help", "rm", "--help"])).toBe(front(["rm", "--help"]))
    expect(front(["help", "nonsense"])).toBeUndefined()
    expect(front(["help", "session", "nonsense"])).toBeUndefined()
    expect(front(["ls", "help"])).toBeUndefined()
  })

  it("comes before everything else on the line, but not after --", () => {
    expect(front(["rm", "a", "--yes", "-h"])).toBe(front(["rm", "--help"]))
    expect(front(["rm", "--", "--help"])).toBeUndefined()
  })

  /** The longest line, apart from command lines, which nobody could copy in two parts. */
  const widest = (help: string) =>
    Math.max(...help.split("\nExamples:\n")[0]!.split("\n").map(({ length }) => length))

  it("fits the terminal, and one of 80 columns where there is none, but grows no wider than is easy to read", () => {
    const lines = [[], ["session"], ...commands.map(({ words }) => words)].map((
      words,
    ) => [...words, "--help"])
    for (const line of lines) {
      for (const columns of [80, 90, 100]) {
        expect(widest(front(line, columns)!)).toBeLessThanOrEqual(columns)
      }
      expect(front(line)).toBe(front(line, 80))
      expect(front(line, 200)).toBe(front(line, 100))
    }
    expect(widest(front([], 100)!)).toBeGreaterThan(80)
  })

  it("names only examples that are commands", () => {
    for (const { examples, words } of commands) {
      for (const [, line] of examples) expect(line).toContain(`image-store ${words.join(" ")}`)
    }
  })
})

describe("version", () => {
  it("is that of both manifests", () => {
    expect(front(["--version"])).toBe(`${version}\n`)
    expect(deno.version).toBe(version)
    expect(npm.version).toBe(version)
  })
})
