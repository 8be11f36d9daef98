/**
 * An image store with upload sessions, as a layer for tests and as a server.
 *
 * @module
 */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpServerError from "@effect/platform/HttpServerError"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import type * as Scope from "effect/Scope"
import * as Stream from "effect/Stream"
import { Buffer } from "node:buffer"
import { createHash } from "node:crypto"
import { FabricClient } from "../FabricClient.ts"
import { FabricConfig } from "../FabricConfig.ts"
import type { ByteRange } from "../UploadSession.ts"
import * as Content from "./Content.ts"
import type { Fault } from "./Fault.ts"
import type { FaultTarget, Gateway } from "./Gateway.ts"
import { clientOf } from "./inProcess.ts"
import { makeGateway } from "./makeGateway.ts"
import type { EmulatorOptions } from "./Options.ts"
import { entry, type RequestEntry } from "./RequestLog.ts"
import { listen, type ServeOptions } from "./serve.ts"

/** An upload session as the emulator holds it. */
export interface EmulatedSession {
  /** In lower case. */
  readonly sessionId: string
  /** As the first chunk spelled it, percent-decoded. */
  readonly path: string
  /** Bytes of the whole file. */
  readonly size: number
  /** When the last chunk was accepted. */
  readonly modified: Date
  /** What is missing, ascending. */
  readonly expected: ReadonlyArray<ByteRange>
  /** Bytes that its chunks take in the staging area. */
  readonly stagedBytes: number
  /** Whether a commit of it has written the file. The session stays nevertheless. */
  readonly committed: boolean
}

/** A stored file. */
export interface EmulatedFile {
  /** With `/` between names, on either system. */
  readonly path: string
  /** Bytes. */
  readonly size: number
  /** The `VersionNumber` of its `FileVersion`: another one after every write. */
  readonly version: number
  /** When its last byte was written, by the emulator's clock. */
  readonly modified: Date
  /** The upload session that it came by, or that a failed commit left its mark with (protocol.md 4.5). */
  readonly sessionId: string | undefined
  /**
   * Reads it in pieces, so that a large file never is in memory as a whole. Each piece is the reader's own; on Deno the
   * collector leaves some 150 MiB of them for a while.
   */
  readonly stream: Stream.Stream<Uint8Array>
  /** Reads all of it into memory. */
  readonly bytes: Effect.Effect<Uint8Array>
  /** Reads all of it as UTF-8. */
  readonly text: Effect.Effect<string>
  /** Its SHA-256 in hexadecimal, in lower case; read piece by piece. */
  readonly sha256: Effect.Effect<string>
}

/** What a test sees and does behind the gateway's back. */
export interface EmulatorShape {
  /** The sessions, by id. Those that expired by now are gone. */
  readonly sessions: Effect.Effect<ReadonlyArray<EmulatedSession>>
  /** The stored files, by path. */
  readonly files: Effect.Effect<ReadonlyArray<EmulatedFile>>
  /** What was asked so far, oldest first; also what a fault kept from arriving. */
  readonly requests: Effect.Effect<ReadonlyArray<RequestEntry>>
  /** Bytes of refused and cut bodies, which a real gateway would leave on its disk (protocol.md 4.3). */
  readonly leaked: Effect.Effect<number>
  /** Bytes in the staging area: `UsedByStaging`. */
  readonly staged: Effect.Effect<number>
  /** Makes the next matching requests go wrong. */
  readonly inject: (fault: Fault, target?: FaultTarget) => Effect.Effect<void>
  /** The primary moves: sessions and staged chunks are lost, the successor answers at once. */
  readonly failOver: Effect.Effect<void>
}

const Base: Context.TagClass<Emulator, "@effect-fabric/image-store/Emulator", EmulatorShape> = Context.Tag(
  "@effect-fabric/image-store/Emulator",
)<Emulator, EmulatorShape>()

/**
 * An emulated cluster: one image store behind one gateway.
 *
 * ```ts
 * const program = Effect.gen(function* () {
 *   const emulator = yield* Emulator
 *   yield* emulator.inject(Fault.reply(503, "E_ABORT"), { on: "DeleteImageStoreUploadSession" })
 * })
 * ```
 */
export class Emulator extends Base {
  /**
   * Without a socket: an `HttpClient` that is the gateway, on every host. Time is Effect's clock, so under the
   * test clock a session of 30 minutes expires in no time.
   */
  static readonly layer = (options: EmulatorOptions = {}): Layer.Layer<Emulator | HttpClient.HttpClient> =>
    Layer.scopedContext(
      Effect.map(
        makeGateway(options),
        (gateway) =>
          Context.make(Emulator, shapeOf(gateway)).pipe(
            Context.add(HttpClient.HttpClient, clientOf(gateway)),
          ),
      ),
    )

  /**
   * Ready for your own tests: the operations run against an emulator of their own.
   *
   * ```ts
   * it.layer(Emulator.layerClient())("my uploader", (it) => …)
   * ```
   */
  static readonly layerClient = (
    options: EmulatorClientOptions = {},
  ): Layer.Layer<Emulator | FabricClient> => {
    const emulator = Emulator.layer(options)
    return FabricClient.layer.pipe(
      Layer.provide(Layer.orDie(FabricConfig.layer({ endpoints: [ANY_HOST], ...options.client }))),
      Layer.provideMerge(emulator),
    )
  }

  /** On a socket, until the scope closes. */
  static readonly serve = (
    options: EmulatorOptions & ServeOptions,
  ): Effect.Effect<ServedEmulator, HttpServerError.ServeError, Scope.Scope> =>
    Effect.gen(function* () {
      const gateway = yield* makeGateway(options)
      const url = yield* listen(gateway, options)
      return { url, emulator: shapeOf(gateway) }
    })
}

/** The emulator answers on every host; this one appears in errors and in the log. */
const ANY_HOST = "http://localhost:19080"

/** Options of the emulator, and of the client in front of it. */
export interface EmulatorClientOptions extends EmulatorOptions {
  /** Endpoints, timeouts and retries. Default: one endpoint, everything else as the client has it. */
  readonly client?: Partial<FabricConfig.Options>
}

/** An emulator on a socket. */
export interface ServedEmulator {
  /** Such as `http://127.0.0.1:19080`. */
  readonly url: string
  /** What tests ask and tell the emulated cluster. */
  readonly emulator: EmulatorShape
}

const shapeOf = (gateway: Gateway): EmulatorShape => {
  const { state } = gateway
  /** Looks at the store as it is by now. */
  const look = <A>(f: (now: number) => A): Effect.Effect<A> =>
    Effect.clockWith((clock) =>
      Effect.sync(() => {
        const now = clock.unsafeCurrentTimeMillis()
        state.advance(now)
        return f(now)
      })
    )
  return {
    sessions: look(() =>
      state.sessions.all().map((session) => ({
        sessionId: session.sessionId,
        path: session.path,
        size: session.size,
        modified: new Date(session.modified),
        expected: session.received.expected(session.size),
        stagedBytes: session.chunks.reduce((sum, chunk) => sum + chunk.content.size, 0),
        committed: session.committed,
      }))
    ),
    files: look(() => Array.from(state.files.all(), showFile)),
    requests: look(() => gateway.log.newest().map(entry)),
    leaked: look(() => gateway.leaked),
    staged: look(() => state.staging.bytes),
    inject: (fault, target = {}) => Effect.sync(() => gateway.inject(fault, target)),
    failOver: look((now) => state.failOver(now, 0)),
  }
}

/** One piece at a time: a stream of an iterable would read thousands of them ahead. */
const pieces = (content: Content.Content): Stream.Stream<Uint8Array> =>
  Stream.acquireRelease(
    Effect.sync(() => Content.read(content)),
    (reading) => Effect.sync(() => reading.return(undefined)),
  ).pipe(Stream.flatMap((reading) => Stream.fromIteratorSucceed(reading, 1)))

const showFile = ({ content, modified, path, sessionId, version }: Content.StoredFile): EmulatedFile => {
  const bytes = Effect.sync(() => new Uint8Array(Buffer.concat([...Content.read(content)])))
  return {
    path: path.replaceAll("\\", "/"),
    size: content.size,
    version,
    modified: new Date(modified),
    sessionId,
    stream: pieces(content),
    bytes,
    text: Effect.map(bytes, (all) => new TextDecoder().decode(all)),
    sha256: Effect.sync(() => {
      const hash = createHash("sha256")
      for (const piece of Content.read(content, true)) hash.update(piece)
      return hash.digest("hex")
    }),
  }
}
