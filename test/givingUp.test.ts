import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Stream from "effect/Stream"
import { uploadFile, withUploadSession } from "../mod.ts"
import { Emulator, type EmulatorOptions, Fault, FaultPlan } from "../src/emulator/mod.ts"
import { type Answer, type Exchange, exchange, exchangeOf } from "../src/transport/Exchange.ts"
import { clientOver } from "./support/mortal.ts"
import { nothingLeft, run } from "./support/uploads.ts"

/** A transport whose chunks leave the machine within 5 seconds, and are refused then for the moment. */
const refusing = clientOver((client) => {
  const send: Exchange = (outgoing, watch) =>
    !outgoing.target.includes("/UploadChunk") ? exchange(client)(outgoing, watch) : Effect.gen(function* () {
      for (let piece = 0; piece < 5; piece++) {
        yield* Effect.sleep("1 second")
        watch.progress(2)
      }
      const answer: Answer = { status: 429, headers: {}, text: "" }
      watch.end(Exit.succeed(answer))
      return answer
    })
  return Object.assign(HttpClient.make(client.execute), { [exchangeOf]: send })
})

const seconds = <A, E, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    yield* effect
    return ((yield* Clock.currentTimeMillis) - begun) / 1000
  })

const FILE = { path: "App/a.bin", size: 10 } as const
const half = (first: 0 | 5) => [{ first, last: first + 4 }, new Uint8Array(5)] as const

/** Fails each chunk from the second on as often as it says. */
const failing = (...faults: ReadonlyArray<Fault | undefined>): EmulatorOptions => ({
  faults: FaultPlan.make(() => {
    let count = 0
    return ({ operation }) => operation === "UploadFileChunk" ? faults[count++] : undefined
  }),
})

describe("an upload is given up", () => {
  it.effect("though its bytes leave the machine, where they only do so again and again", () =>
    run(Effect.gen(function* () {
      const upload = uploadFile(new Uint8Array(30), "App/a.bin", { chunkSize: 10, patience: 60 })
      const took = yield* seconds(Effect.flip(Stream.runDrain(upload))).pipe(Effect.provide(refusing))
      assert.isAtLeast(took, 60)
      assert.isAtMost(took, 100)
      yield* nothingLeft
    })))

  it.effect("on Linux though its pieces are read again and again", () =>
    run(
      Effect.gen(function* () {
        yield* (yield* Emulator).inject(Fault.reply(503, "E_ABORT"), { on: "UploadFile", times: 1e6 })
        const stream = Stream.make(new Uint8Array(10), new Uint8Array(10), new Uint8Array(10))
        const upload = uploadFile({ stream, size: 30 }, "App/a.bin", { chunkSize: 10, patience: 60 })
        const took = yield* seconds(Effect.flip(Stream.runDrain(upload)))
        assert.isAtLeast(took, 60)
        assert.isAtMost(took, 100)
      }),
      { os: "linux" },
    ))
})

describe("an upload is not given up", () => {
  it.effect("for a failure after a pause of its own", () =>
    run(
      withUploadSession(FILE, ({ put }) =>
        Effect.zipRight(
          put(...half(0)),
          Effect.zipRight(Effect.sleep("6 minutes"), put(...half(5))),
        )),
      failing(undefined, Fault.reply(503, "E_ABORT")),
    ))

  it.effect("for failures of a source that needs long to be read again", () =>
    run(
      Effect.gen(function* () {
        const stream = Stream.mapEffect(Stream.make(0, 1, 2, 3), (piece) =>
          Effect.as(piece === 2 ? Effect.sleep("6 minutes") : Effect.void, new Uint8Array(10)))
        yield* Stream.runDrain(
          uploadFile({ stream, size: 40 }, "App/a.bin", { chunkSize: 10, concurrency: 2 }),
        )
      }),
      { latency: "1 second", ...failing(undefined, Fault.reply(504, "FABRIC_E_TIMEOUT"), Fault.reply(503)) },
    ))
})
