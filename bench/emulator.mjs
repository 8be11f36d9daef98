/**
 * The emulator beside a bare server, under the same load: each slice of one beside a slice of the other.
 *
 * @module
 */
import { execFileSync } from "node:child_process"
import * as Path from "node:path"
import process from "node:process"
import { bundle, bundled, Child, here, median, runtimes, spread, table } from "./harness.mjs"

/** Milliseconds that the emulator keeps idle connections; the bare server has the same timers. */
const KEEP_ALIVE = "120000"

const KINDS = {
  show: "GET of a session, 16 connections",
  delete: "DELETE of a session, 16 connections",
  chunk: "8 MiB chunk and DELETE, 4 connections",
}

const measure = async (load, server, url, kind, millis) => {
  const before = await server.ask("cpu")
  const { answers, perSecond } = await load.ask({ url, kind, millis })
  return { perSecond, micros: (await server.ask("cpu") - before) / answers }
}

export const emulator = async (
  { runtimes: names, rounds, slices, millis, warmUp, inProcessCalls },
  note,
) => {
  await bundle("servers/emulator.ts", "inProcess.ts")
  const rows = []
  const seconds = []
  for (const runtime of names) {
    const pairs = []
    for (let round = 0; round < rounds; round++) {
      note(`emulator on ${runtime}, round ${round + 1} of ${rounds}`)
      const load = new Child([process.execPath, Path.join(here, "load.mjs")])
      const bare = new Child(
        runtimes[runtime](Path.join(here, "servers/bare.mjs"), KEEP_ALIVE),
      )
      const own = new Child(runtimes[runtime](bundled("servers/emulator.ts")))
      const bareUrl = await bare.line()
      const ownUrl = await own.line()
      for (const kind of Object.keys(KINDS)) {
        await measure(load, bare, bareUrl, kind, warmUp)
        await measure(load, own, ownUrl, kind, warmUp)
        for (let slice = 0; slice < slices; slice++) {
          pairs.push({
            kind,
            bare: await measure(load, bare, bareUrl, kind, millis),
            own: await measure(load, own, ownUrl, kind, millis),
          })
        }
      }
      for (const child of [load, bare, own]) child.close()
    }
    for (const [kind, label] of Object.entries(KINDS)) {
      const at = pairs.filter((pair) => pair.kind === kind)
      const of = (side, field) =>
        Math.round(median(at.map((pair) => pair[side][field]))).toLocaleString(
          "en",
        )
      rows.push([
        runtime,
        label,
        spread(at.map((pair) => pair.own.perSecond / pair.bare.perSecond)),
        of("own", "perSecond"),
        of("bare", "perSecond"),
        of("own", "micros"),
        of("bare", "micros"),
      ])
    }
    note(`the layer on ${runtime}`)
    const [program, ...args] = runtimes[runtime](
      bundled("inProcess.ts"),
      String(inProcessCalls),
    )
    const took = JSON.parse(
      execFileSync(program, args, {
        cwd: here,
        encoding: "utf8",
        timeout: 120_000,
      }),
    )
    seconds.push(`${took.toFixed(2)} s on ${runtime}`)
  }
  const head = [
    "runtime",
    "requests",
    "of the bare server's speed",
    "a second",
    "bare",
    "CPU µs a request",
    "bare",
  ]
  return `${table(head, rows)}\n\n` +
    `The layer without a socket, under the test clock: ${
      inProcessCalls.toLocaleString("en")
    } delete calls in ` +
    `${seconds.join(", in ")}.`
}
