/**
 * What the parts of a call cost by themselves, without a connection. Writes one JSON line: CPU microseconds by
 * the name of the part.
 *
 * @module
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Schema from "effect/Schema"
import * as process from "node:process"
import { AttemptWatch } from "../src/client/AttemptWatch.ts"
import { Deadlines } from "../src/client/Deadlines.ts"
import { deleteUploadSession, DeleteUploadSessionParams } from "../src/deleteUploadSession.ts"
import { type Endpoint, Endpoints } from "../src/client/Endpoints.ts"
import { cutOff, type Exchange, exchangeOf } from "../src/transport/Exchange.ts"
import { FabricClient } from "../src/FabricClient.ts"
import { FabricConfig } from "../src/FabricConfig.ts"
import { Observer } from "../src/client/observability.ts"

const params = { sessionId: "4a2340e8-d8d8-497c-95fe-cdaa1052f33b" }
const calls = Number(process.argv[2])
const costs: Record<string, number> = {}

const used = () => {
  const { user, system } = process.cpuUsage()
  return user + system
}

/** The best of three: the others had a collection of garbage or a compilation in them. */
const part = async (
  name: string,
  run: (times: number) => Promise<unknown> | void,
): Promise<void> => {
  await run(calls)
  const times: Array<number> = []
  for (let i = 0; i < 3; i++) {
    const before = used()
    await run(calls)
    times.push((used() - before) / calls)
  }
  costs[name] = Math.min(...times)
}

const loop = (f: () => unknown) => (times: number) => {
  for (let i = 0; i < times; i++) f()
}

/** Programs in one fiber. */
const programs = <E>(f: () => Effect.Effect<unknown, E>) => (times: number) => {
  let left = times
  return Effect.runPromise(
    Effect.whileLoop({ while: () => left-- > 0, body: f, step: () => {} }),
  )
}

const decode = Schema.decodeUnknownEither(DeleteUploadSessionParams)
await part("decode the params", loop(() => decode(params)))
await part("request id (`crypto.randomUUID`)", loop(() => crypto.randomUUID()))

const clock = Clock.make()
const deadlines = new Deadlines()
const many = Array.from(
  { length: 15 },
  () => new AttemptWatch(deadlines, clock, 65_000, Infinity, 0),
)
for (const watch of many) watch.begin(() => {})
await part(
  "deadline",
  loop(() => {
    const watch = new AttemptWatch(deadlines, clock, 65_000, Infinity, 0)
    watch.begin(() => {})
    watch.sent()
    watch.end(cutOff)
  }),
)
await Effect.runPromise(deadlines.close)

const fiber = Effect.runFork(Effect.never)
const endpoint: Endpoint = new Endpoints([new URL("http://localhost:19080")]).current
await part(
  "metrics",
  loop(() => {
    const observer = new Observer(
      fiber,
      "DeleteImageStoreUploadSession",
      0,
      undefined,
    )
    observer.attempt(endpoint, 1, () => 0n)
    observer.end(1, 200, undefined)
  }),
)
await Effect.runPromise(Fiber.interrupt(fiber))

await part(
  "one `Effect.async` that a microtask resumes",
  programs(() => Effect.async<void>((resume) => queueMicrotask(() => resume(Effect.void)))),
)

const answer = Exit.succeed({ status: 200, headers: {}, text: "" })
const atOnce: Exchange = (_, watch) => {
  watch.begin(() => {})
  watch.sent()
  watch.end(answer)
  return answer
}
const silent = Object.assign(HttpClient.make(() => Effect.never), {
  [exchangeOf]: atOnce,
})
const pipeline = await Effect.runPromise(Effect.scoped(Layer.build(
  FabricClient.layer.pipe(
    Layer.provide(Layer.succeed(HttpClient.HttpClient, silent)),
    Layer.provide(
      FabricConfig.layer({ endpoints: ["http://localhost:19080"] }),
    ),
  ),
)))
await part(
  "all but the transport (decode, id, deadline, metrics, the rest)",
  programs(() => Effect.provide(deleteUploadSession(params), pipeline)),
)

console.log(JSON.stringify(costs))
process.exit(0)
