/** A line on which nothing moves any more, and one that is only slow. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import type * as Net from "node:net"
import { FabricClient } from "../mod.ts"
import type { FabricErrorReason } from "../src/FabricError.ts"
import { putChunkOnce } from "../src/uploadSessions.ts"
import { S } from "./support/cluster.ts"
import { serveTcp } from "./support/sockets.ts"
import { turn } from "./support/turn.ts"

/** More than the system takes on the way. */
const SIZE = 64 * 1024 * 1024

/** Sends a chunk to a gateway that reads only what it is told to. */
const sending = Effect.gen(function* () {
  let socket: Net.Socket | undefined
  const { port } = yield* serveTcp((accepted) => {
    accepted.pause()
    socket = accepted
  })
  let out = 0
  let end: FabricErrorReason | undefined
  const chunk = putChunkOnce({
    path: "a",
    sessionId: S,
    range: { first: 0, last: SIZE - 1 },
    size: SIZE,
    bytes: new Uint8Array(SIZE),
    timeout: 30,
  }, { out: (bytes) => out += bytes, over: (reason) => end = reason })
  const fiber = yield* Effect.fork(Effect.exit(Effect.provide(
    chunk,
    FabricClient.layerCluster({ endpoints: [`http://127.0.0.1:${port}`] }),
  )))

  /** Waits until nothing moves any more. */
  const still = Effect.gen(function* () {
    for (let before = -1, quiet = 0; quiet < 500; quiet++) {
      yield* turn
      if (out === 0 || out !== before) quiet = 0
      before = out
    }
  })
  /** The gateway reads so many more bytes. */
  const read = (bytes: number) =>
    Effect.async<void>((resume) => {
      let left = bytes
      const take = (piece: Uint8Array) => {
        left -= piece.length
        if (left > 0) return
        socket!.pause().off("data", take)
        resume(Effect.void)
      }
      socket!.on("data", take).resume()
    })
  /** It takes the rest, and says yes. */
  const answer = Effect.zipRight(
    Effect.sync(() => void socket!.on("data", () => {}).resume()),
    Effect.zipRight(
      still,
      Effect.sync(() => void socket!.write("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")),
    ),
  )
  return { answer, end: () => end, fiber, out: () => out, read, still }
})

describe("a chunk", () => {
  it.scoped("of which no byte goes out for 30 seconds is given up, and may have arrived", () =>
    Effect.gen(function* () {
      const { end, fiber, out, still } = yield* sending
      yield* still
      assert.isBelow(out(), SIZE)
      yield* TestClock.adjust(29_999)
      yield* turn
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust(1)
      assert.isTrue(Exit.isFailure(yield* Fiber.join(fiber)))
      assert.include(end(), { _tag: "Unreachable", code: "ESTALLED", sent: "maybe" })
    }))

  it.scoped("that goes out slowly is not given up, however long that takes", () =>
    Effect.gen(function* () {
      const { answer, fiber, out, read, still } = yield* sending
      const part = SIZE / 8
      for (let minute = 0; minute < 7; minute++) {
        yield* still
        yield* TestClock.adjust("29 seconds")
        assert.isNull(fiber.unsafePoll())
        const before = out()
        yield* read(part)
        yield* still
        if (before < SIZE) assert.isAbove(out(), before)
      }
      yield* answer
      assert.isTrue(Exit.isSuccess(yield* Fiber.join(fiber)))
    }))
})
