/**
 * Small DELETEs against a bare server: contenders in processes of their own, each slice of a contender beside a
 * slice of raw `node:http`.
 *
 * @module
 */
import { bundle, bundled, Child, here, median, runtimes, spread, table } from "./harness.mjs"
import * as Path from "node:path"
import process from "node:process"

const CONTENDERS = {
  fetch: "`fetch`",
  azure: "`azure-servicefabric` 2.2.0",
  stockFetch: "ours over `FetchHttpClient`",
  ours: "`deleteUploadSession`",
}
const fileOf = (name) => `contenders/${name}.${name === "azure" ? "mjs" : "ts"}`

/** Pairs of slices: `{ raw, own }`, `rounds` of fresh processes, `slices` pairs in each. */
export const measure = async (
  runtime,
  names,
  { concurrencies, millis, rounds, slices, warmUp },
  note,
) => {
  await bundle(...["raw", ...names].map(fileOf))
  const server = new Child([
    process.execPath,
    Path.join(here, "servers/bare.mjs"),
  ])
  const url = await server.line()
  const pairs = []
  for (let round = 0; round < rounds; round++) {
    note(`${runtime}, round ${round + 1} of ${rounds}`)
    const start = (name) => new Child(runtimes[runtime](bundled(fileOf(name)), url))
    const raw = start("raw")
    const children = names.map((name) => [name, start(name)])
    for (const child of [raw, ...children.map(([, child]) => child)]) {
      await child.ask({ concurrency: 16, millis: warmUp })
    }
    for (const concurrency of concurrencies) {
      for (let slice = 0; slice < slices; slice++) {
        for (const [name, child] of children) {
          const question = { concurrency, millis }
          pairs.push({
            name,
            concurrency,
            raw: await raw.ask(question),
            own: await child.ask(question),
          })
        }
      }
    }
    for (const child of [raw, ...children.map(([, child]) => child)]) {
      child.close()
    }
  }
  server.close()
  return pairs
}

const number = (value) => Math.round(value).toLocaleString("en")

const rows = (pairs, concurrency, names) => {
  const at = pairs.filter((pair) => pair.concurrency === concurrency)
  const raws = at.map((pair) => pair.raw)
  const row = (label, ratio, results) => [
    concurrency,
    label,
    ratio,
    number(median(results.map((result) => result.perSecond))),
    median(results.map((result) => result.micros)).toFixed(0),
  ]
  return [
    row("raw `node:http`", "1", raws),
    ...names.map(([name, label]) => {
      const own = at.filter((pair) => pair.name === name)
      return row(
        label,
        spread(own.map((pair) => pair.own.perSecond / pair.raw.perSecond)),
        own.map((pair) => pair.own),
      )
    }),
  ]
}

/** What issue A asks for, at 16 calls at a time. */
const goals = (pairs) => {
  const of = (name) => pairs.filter((pair) => pair.concurrency === 16 && pair.name === name)
  const speeds = (name) => of(name).map((pair) => pair.own.perSecond / pair.raw.perSecond)
  const ours = speeds("ours")
  const beside = (name) => spread(speeds(name).map((speed, at) => ours[at] / speed))
  const above = of("ours").map(({ own, raw }) => own.micros - raw.micros)
  return `\`deleteUploadSession\`, 16 at a time: ${spread(ours)} of raw, ${beside("azure")} times ` +
    `\`azure-servicefabric\`, ${beside("stockFetch")} times the same program over \`FetchHttpClient\`, ` +
    `${spread(above, 0)} µs of CPU above raw.`
}

export const clients = async (plan, note) => {
  const names = Object.entries(CONTENDERS)
  const parts = []
  for (const runtime of plan.runtimes) {
    const pairs = await measure(runtime, Object.keys(CONTENDERS), plan, note)
    parts.push(
      `On ${runtime}:\n\n` + table(
        [
          "at a time",
          "contender",
          "of raw's speed",
          "calls a second",
          "CPU µs a call",
        ],
        plan.concurrencies.flatMap((concurrency) => rows(pairs, concurrency, names)),
      ) + `\n\n${goals(pairs)}`,
    )
  }
  return parts.join("\n\n")
}
