/**
 * `image-store demo`
 *
 * @module
 */
import type * as ConfigError from "effect/ConfigError"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { deleteUploadSession } from "../deleteUploadSession.ts"
import { Emulator, type EmulatorShape } from "../emulator/mod.ts"
import { FabricClient } from "../FabricClient.ts"
import { FabricConfig } from "../FabricConfig.ts"
import type { FabricError } from "../FabricError.ts"
import { getUploadSession, putChunk } from "../uploadSessions.ts"
import { CliError } from "./CliError.ts"
import { size } from "./format.ts"
import { Host } from "./Host.ts"
import { Output } from "./Output.ts"
import { describe } from "./session.ts"

const PATH = "MyApp/Code.zip"
const SIZE = 20 * 1024 * 1024
const CHUNK = 8 * 1024 * 1024

/** `demo` */
export const demo = (): Effect.Effect<
  void,
  FabricError | ConfigError.ConfigError | CliError,
  Host | Output
> =>
  Effect.gen(function* () {
    const { tell } = yield* Output
    const { transport } = yield* Host
    const { emulator, url } = yield* Effect.orDie(Emulator.serve({ port: 0 }))
    yield* tell(`An emulated image store is running at ${url}, in this process.`)
    const cluster = FabricClient.layer.pipe(
      Layer.provide(transport),
      Layer.provide(FabricConfig.layer({ endpoints: [url] })),
    )
    yield* Effect.provide(story(url, emulator), cluster)
  }).pipe(Effect.scoped)

const story = (
  url: string,
  emulator: EmulatorShape,
): Effect.Effect<void, FabricError | CliError, FabricClient | Output> =>
  Effect.gen(function* () {
    const { result, tell } = yield* Output
    const sessionId = crypto.randomUUID()

    yield* tell(
      `\n1. Send the first ${size(CHUNK)} of a file of ${size(SIZE)}: that opens an upload session.`,
    )
    yield* putChunk({
      path: PATH,
      sessionId,
      range: { first: 0, last: CHUNK - 1 },
      size: SIZE,
      bytes: new Uint8Array(CHUNK),
    })

    yield* tell(`\n2. Show it: image-store session show ${sessionId}\n`)
    const session = yield* Effect.flatMap(
      getUploadSession({ sessionId }),
      Option.match({
        onNone: () => CliError.failed("The session is not there, although its chunk was accepted"),
        onSome: Effect.succeed,
      }),
    )
    const staged = yield* emulator.staged
    yield* tell(indent(describe(session)))
    yield* tell(indent(`Its chunk takes ${size(staged)} of the cluster's disk.`))

    yield* tell(`\n3. Delete it: image-store session delete ${sessionId}`)
    yield* deleteUploadSession({ sessionId })

    yield* tell("\n4. Look again:")
    const left = yield* emulator.staged
    if (Option.isSome(yield* getUploadSession({ sessionId })) || left > 0) {
      return yield* CliError.failed("The session is still there, although it was deleted")
    }
    yield* result(
      `   It is gone, and its chunk with it: ${size(left)} of the disk are taken.\n\n` +
        "To play with one of your own: image-store emulator",
      { url, sessionId, path: PATH, staged, left, deleted: true },
    )
  })

const indent = (text: string): string => text.replace(/^/gm, "   ")
