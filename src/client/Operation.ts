/**
 * What has to be known of an operation to run it.
 *
 * @module
 */
import type * as HttpMethod from "@effect/platform/HttpMethod"
import type * as Effect from "effect/Effect"
import type * as Either from "effect/Either"
import type { FabricError, FabricErrorReason } from "../FabricError.ts"
import type { Answer, Body } from "../transport/Exchange.ts"
import type { SessionId } from "../UploadSession.ts"

/** One operation, whatever its params: its REST name, its verb, and what a repeat means. */
export interface Operation<A> {
  /** Its REST name, such as `DeleteImageStoreUploadSession`. */
  readonly name: string
  /** What it does, as the end of "Cannot …". */
  readonly action: string
  /** Of HTTP. */
  readonly method: HttpMethod.HttpMethod
  /** The first that has all that is sent and read. */
  readonly apiVersion: string
  /** Reads an answer with status 200 or 204, or says why it cannot be understood. */
  readonly read: (answer: Answer) => Either.Either<A, string>
  /** The route is one that Linux gateways lack (protocol.md 4). */
  readonly usesSessions?: boolean
  /** Once begun, an attempt is not cut off by interruption: it would leak, or leave open what has happened. */
  readonly uninterruptible?: boolean
  /** After an attempt that may have worked, `NotFound` means that it did. */
  readonly goneMeansDone?: A extends void ? boolean : never
  /** A 404 without a body is how the gateway says that the path is not there (protocol.md 3.1). */
  readonly bareNotFound?: boolean
}

/** One who follows the attempts of a call, also when nobody waits for them any more. */
export interface Follower {
  /** So many more bytes of a body are out, where the transport can see that. Out is not arrived; a repeat begins anew. */
  readonly out: (bytes: number) => void
  /** An attempt is over: why it failed, or `undefined`. */
  readonly over: (reason: FabricErrorReason | undefined) => void
}

/** One call of an operation, made of its params. */
export interface Request {
  /** What it is about, as it follows `action` in an error. */
  readonly subject?: string
  /** The session it is about. */
  readonly sessionId?: SessionId
  /** From the root, escaped. */
  readonly path: string
  /** Query besides `api-version` and `timeout`. Values go out as they are: the gateway decodes none (protocol.md 1.1). */
  readonly query?: Readonly<Record<string, string>>
  /** Besides those that every request has. */
  readonly headers?: Readonly<Record<string, string>>
  /** Bytes at hand, or a stream of known size. */
  readonly body?: Body
  /** With a follower, interruption leaves an attempt 10 seconds to finish. */
  readonly follower?: Follower
  /**
   * A repeat is not harmless: after an attempt that may have worked this is run first. "unsettled": what has
   * happened cannot be told, so the attempt's own error is the result. `timeout` is that of the attempt.
   */
  readonly lookAgain?: (
    run: RunOperation,
    timeout: number,
  ) => Effect.Effect<"done" | "repeat" | "unsettled", FabricError>
}

/** Runs an operation to its end. `timeout` is in whole seconds; default: the configuration's. */
export type RunOperation = <A>(
  operation: Operation<A>,
  request: Request,
  timeout: number | undefined,
) => Effect.Effect<A, FabricError>
