/**
 * Writes the body of a request in pieces, so that its progress can be watched.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type * as Http from "node:http"
import { messageOf } from "../system/messageOf.ts"
import type { Body, Watch } from "./Exchange.ts"
import { BODY_UNREADABLE } from "./NoAnswer.ts"

/**
 * Writes `body`, `piece` bytes at a time where they are at hand, and ends the request. Returns how to stop before that.
 */
export const sendBody = (
  request: Http.ClientRequest,
  body: Body,
  piece: number,
  watch: Watch,
  done: () => void,
  failed: (cause: unknown) => void,
): () => void => {
  const finish = () => {
    watch.sent()
    done()
  }
  if (body instanceof Uint8Array) {
    sendBytes(request, body, piece, watch, finish)
    return () => {}
  }
  const fiber = Effect.runFork(
    Stream.runForEach(announced(body), (bytes) =>
      Effect.async<void>((resume) => {
        request.write(bytes, () => {
          watch.progress(bytes.length)
          resume(Effect.void)
        })
      })),
  )
  fiber.addObserver((exit) => {
    if (exit._tag === "Success") request.end(finish)
    else if (!Cause.isInterrupted(exit.cause)) failed(Cause.squash(exit.cause))
  })
  return () => fiber.unsafeInterruptAsFork(fiber.id())
}

/**
 * The stream of a body. It fails unless it gives what was announced: a byte too many would be read as the next request on
 * the connection.
 */
export const announced = (
  { size, stream }: Exclude<Body, Uint8Array>,
): Stream.Stream<Uint8Array, Error> =>
  Stream.suspend(() => {
    let given = 0
    return Stream.mapError(stream, bodyFailed).pipe(
      Stream.tap((bytes) =>
        (given += bytes.length) > size ? Effect.fail(wrongSize("more", size)) : Effect.void
      ),
      Stream.concat(
        Stream.suspend(() => given < size ? Stream.fail(wrongSize("fewer", size)) : Stream.empty),
      ),
    )
  })

const bodyError = (message: string): Error => Object.assign(new Error(message), { code: BODY_UNREADABLE })

const wrongSize = (than: string, size: number): Error =>
  bodyError(`it gave ${than} bytes than the ${size} announced`)

const bodyFailed = (cause: unknown): Error => bodyError(`it failed: ${messageOf(cause)}`)

const sendBytes = (
  request: Http.ClientRequest,
  bytes: Uint8Array,
  piece: number,
  watch: Watch,
  finish: () => void,
): void => {
  if (bytes.length <= piece) {
    request.end(bytes, finish)
    return
  }
  const from = (start: number): void => {
    const part = bytes.subarray(start, start + piece)
    const next = start + part.length
    if (next === bytes.length) {
      request.end(part, finish)
      return
    }
    request.write(part, (error) => {
      if (error) return // The request's own error event tells.
      watch.progress(part.length)
      from(next)
    })
  }
  from(0)
}
