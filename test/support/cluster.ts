/** A cluster for tests: our client over the emulator, in process, on the test clock. */
import type * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as TestClock from "effect/TestClock"
import { FabricClient, FabricConfig } from "../../mod.ts"
import {
  Emulator,
  type EmulatorOptions,
  type Fault,
  type Operation,
  type RequestEntry,
} from "../../src/emulator/mod.ts"

export const S = "4a2340e8-d8d8-497c-95fe-cdaa1052f33b"
export const T = "2032ac6c-a348-4594-86da-dab0f2bb1ae1"

export const clusterWith = (
  config: Partial<FabricConfig.Options> = {},
  emulator: EmulatorOptions = {},
): Layer.Layer<FabricClient | Emulator | HttpClient.HttpClient> =>
  FabricClient.layer.pipe(
    Layer.provide(Layer.orDie(FabricConfig.layer({ endpoints: ["http://one:19080"], ...config }))),
    Layer.provideMerge(Emulator.layer(emulator)),
  )

export const cluster: ReturnType<typeof clusterWith> = clusterWith()

/** What the cluster was asked so far, oldest first. */
export const requests: Effect.Effect<ReadonlyArray<RequestEntry>, never, Emulator> = Effect.flatMap(
  Emulator,
  ({ requests }) => requests,
)

/** The same of one operation. */
export const requestsOf = (
  operation: Operation,
): Effect.Effect<ReadonlyArray<RequestEntry>, never, Emulator> =>
  Effect.map(requests, (all) => all.filter((request) => request.operation === operation))

/** Makes the next requests of an operation go wrong. */
export const inject = (fault: Fault, on: Operation, times = 1): Effect.Effect<void, never, Emulator> =>
  Effect.flatMap(Emulator, (emulator) => emulator.inject(fault, { on, times }))

/** The failure of a program that has to fail. A value that comes instead may be large, and is not printed. */
export const failure = <A, E, R>(program: Effect.Effect<A, E, R>): Effect.Effect<E, void, R> =>
  Effect.flip(Effect.asVoid(program))

/** Runs a program while the test clock goes on, a second at a time, until it is over. */
export const inTime = <A, E, R>(program: Effect.Effect<A, E, R>, seconds = 600): Effect.Effect<A, E, R> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(program)
    for (let second = 0; second < seconds && fiber.unsafePoll() === null; second++) {
      yield* TestClock.adjust("1 second")
    }
    if (fiber.unsafePoll() === null) yield* Fiber.interruptFork(fiber)
    return yield* Fiber.join(fiber)
  })
