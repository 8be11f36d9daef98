/**
 * The CPU of a call, part by part: rungs from raw `node:http` to the whole, and parts that need no connection.
 *
 * @module
 */
import { execFileSync } from "node:child_process"
import { measure } from "./clients.mjs"
import { bundle, bundled, here, median, runtimes, table } from "./harness.mjs"

const RUNGS = {
  raw: "raw `node:http`",
  async: "raw in one `Effect.async`",
  transport: "our transport alone",
  ours: "`deleteUploadSession`",
}

const alone = (runtime, calls) => {
  const [program, ...args] = runtimes[runtime](
    bundled("parts.ts"),
    String(calls),
  )
  return JSON.parse(
    execFileSync(program, args, {
      cwd: here,
      encoding: "utf8",
      timeout: 120_000,
    }),
  )
}

export const parts = async ({ runtimes: names, calls, ...plan }, note) => {
  await bundle("parts.ts")
  const columns = []
  for (const runtime of names) {
    const pairs = await measure(runtime, Object.keys(RUNGS), {
      ...plan,
      concurrencies: [16],
    }, note)
    const micros = (name) =>
      median(
        pairs.filter((pair) => pair.name === name).map(({ own }) => own.micros),
      )
    note(`parts on ${runtime}`)
    columns.push({
      ...Object.fromEntries(
        Object.entries(RUNGS).map(([name, label]) => [label, micros(name)]),
      ),
      ...Object.fromEntries(
        Object.entries(alone(runtime, calls)).map((
          [name, cost],
        ) => [`by itself: ${name}`, cost]),
      ),
    })
  }
  return table(
    ["part", ...names],
    Object.keys(columns[0]).map((
      name,
    ) => [name, ...columns.map((column) => column[name].toFixed(1))]),
  )
}
