/**
 * How long programs take from start to end.
 *
 * @module
 */
import { spawnSync } from "node:child_process"
import { existsSync } from "node:fs"
import * as Path from "node:path"
import process from "node:process"
import { deno, esbuild, here, median, out, root, spread, table } from "./harness.mjs"

/** The published command: as built, or bundled here in the same way. */
const command = async () => {
  const built = Path.join(root, "dist", "bin.js")
  if (existsSync(built)) return built
  const outfile = Path.join(out, "bin.mjs")
  return await esbuild({
    entryPoints: [Path.join(root, "src/cli/bin.ts")],
    outfile,
    minify: true,
  })
    .then(() => outfile, () => undefined)
}

/** Milliseconds; `undefined` when it fails. */
const run = ([program, ...args]) => {
  const start = performance.now()
  const { status } = spawnSync(program, args, {
    cwd: root,
    stdio: "ignore",
    timeout: 60_000,
  })
  return status === 0 ? performance.now() - start : undefined
}

export const startUp = async ({ starts }, note) => {
  note("start-up")
  const npm = await command()
  const programs = [
    { name: "`node -e 0`", line: [process.execPath, "-e", "0"] },
    {
      name: "the npm command, `--help`",
      line: npm && [process.execPath, npm, "--help"],
      beside: 0,
    },
    { name: "`deno eval ''`", line: [deno, "eval", ""] },
    {
      name: "`deno run` of `effect/Effect` and `effect/Schema`",
      line: [deno, "run", "-A", Path.join(here, "effectAndSchema.ts")],
    },
    {
      name: "`deno run mod.ts --help`",
      line: [deno, "run", "mod.ts", "--help"],
      beside: 3,
    },
  ]
  // The first run fills caches, and tells which programs are there.
  const there = programs.map(({ line }) => line !== undefined && run(line) !== undefined)
  const times = programs.map(() => [])
  for (let i = 0; i < starts; i++) {
    programs.forEach(({ line }, at) => {
      const took = there[at] ? run(line) : undefined
      if (took !== undefined) times[at].push(took)
    })
  }
  return table(
    ["program", "milliseconds", "ratio"],
    programs.map(({ name, beside }, at) => {
      if (times[at].length === 0) return [name, "not there", ""]
      if (beside === undefined) return [name, spread(times[at], 0), ""]
      const ratio = median(times[at]) / median(times[beside])
      return [
        name,
        spread(times[at], 0),
        `${ratio.toFixed(2)} of ${programs[beside].name}`,
      ]
    }),
  )
}
