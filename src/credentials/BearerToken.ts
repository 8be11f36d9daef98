/**
 * The token that is shown to a cluster that knows its users by Entra ID (protocol.md 6), renewed in time.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Fiber from "effect/Fiber"
import * as Redacted from "effect/Redacted"
import type * as Scope from "effect/Scope"
import { messageOf } from "../system/messageOf.ts"
import { NO_TOKEN, NoAnswer } from "../transport/NoAnswer.ts"
import { expiryOf, withoutTokens } from "./jwt.ts"

/** Milliseconds before its expiry at which a token is renewed. Until it expires it is used meanwhile. */
const MARGIN = 5 * 60_000
/** Milliseconds between renewals that are of no use: where tokens are short-lived, are the same again, or cannot be got. */
const PAUSE = 30_000
/** Whoever gives the token may take so many milliseconds. */
const PATIENCE = 60_000
/** Characters of what is told of a token that could not be got. */
const LONGEST_DETAIL = 500

/** A token as it goes out. Times are milliseconds. */
interface Held {
  /** The value of the header. */
  readonly header: string
  readonly expires: number
  renewAt: number
  /** No other is asked for before, though it is refused: the last time there was none. */
  readonly aloneUntil: number
}

/** One token for all requests. */
export class BearerToken {
  readonly #source: Effect.Effect<Redacted.Redacted, unknown>
  readonly #scope: Scope.Scope
  #held: Held | undefined
  #fetching: Fiber.Fiber<string, NoAnswer> | undefined

  private constructor(source: Effect.Effect<Redacted.Redacted, unknown>, scope: Scope.Scope) {
    this.#source = source
    this.#scope = scope
  }

  /** A token that `source` gives as often as it is run. What is under way then ends with the scope. */
  static readonly make = (
    source: Effect.Effect<Redacted.Redacted, unknown>,
  ): Effect.Effect<BearerToken, never, Scope.Scope> =>
    Effect.map(Effect.scope, (scope) => new BearerToken(source, scope))

  /** The value of the header, if it is at hand and does not have to be renewed. */
  ready(now: number): string | undefined {
    return this.#held !== undefined && now < this.#held.renewAt ? this.#held.header : undefined
  }

  /** The value of the header. One that is about to expire is renewed, and does until that is done. */
  readonly get: Effect.Effect<string, NoAnswer> = Effect.flatMap(Clock.currentTimeMillis, (now) => {
    const held = this.#held
    return held !== undefined && now < held.expires
      ? Effect.as(this.#fetch, held.header)
      : Effect.flatMap(this.#fetch, outcome)
  })

  /** The value to show in place of one that was refused. It is the same when there is no other. */
  readonly renew = (refused: string): Effect.Effect<string, NoAnswer> =>
    Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const held = this.#held
      return held !== undefined && (held.header !== refused || now < held.aloneUntil)
        ? Effect.succeed(held.header)
        : Effect.flatMap(this.#fetch, outcome)
    })

  /** Asks for a token, once for all who want it meanwhile. Who does not want it any more leaves it to the others. */
  readonly #fetch: Effect.Effect<Fiber.Fiber<string, NoAnswer>> = Effect.suspend(() => {
    if (this.#fetching !== undefined) return Effect.succeed(this.#fetching)
    const fetch = this.#source.pipe(
      Effect.timeoutFail({
        duration: PATIENCE,
        onTimeout: () => new Error(`it did not come within ${PATIENCE / 1000} s`),
      }),
      Effect.flatMap((token) => Either.mapLeft(readToken(token), (problem) => new Error(problem))),
      Effect.flatMap((token) => Effect.map(Clock.currentTimeMillis, (now) => this.#hold(token, now))),
      Effect.catchAllCause((cause) =>
        Cause.isInterruptedOnly(cause) ? Effect.interrupt : this.#failed(Cause.squash(cause))
      ),
      Effect.ensuring(Effect.sync(() => this.#fetching = undefined)),
    )
    return Effect.uninterruptible(
      Effect.map(
        Effect.forkIn(Effect.interruptible(fetch), this.#scope),
        (fiber) => this.#fetching = fiber,
      ),
    )
  })

  #hold(token: string, now: number): string {
    const expires = expiryOf(token)
    const header = `Bearer ${token}`
    this.#held = {
      header,
      expires,
      renewAt: Math.max(expires - MARGIN, now + PAUSE),
      aloneUntil: header === this.#held?.header ? now + PAUSE : now,
    }
    return header
  }

  #failed(cause: unknown): Effect.Effect<never, NoAnswer> {
    const detail = this.#plain(messageOf(cause))
    return Effect.flatMap(Clock.currentTimeMillis, (now) => {
      const held = this.#held
      const none = Effect.fail(new NoAnswer(NO_TOKEN, detail, "no"))
      if (held === undefined || now >= held.expires) return none
      held.renewAt = now + PAUSE
      return Effect.zipRight(Effect.logWarning(`The token could not be renewed: ${detail}`), none)
    })
  }

  /** Whoever tells why there is no token may tell the token too. */
  #plain(text: string): string {
    const held = this.#held?.header.slice("Bearer ".length)
    return withoutTokens(held === undefined ? text : text.replaceAll(held, "<token>")).slice(
      0,
      LONGEST_DETAIL,
    )
  }
}

const outcome = <A, E>(fiber: Fiber.Fiber<A, E>): Effect.Effect<A, E> => Effect.flatten(Fiber.await(fiber))

/** A token without what is around it in files and outputs, or why it is none. */
export const readToken = (token: Redacted.Redacted): Either.Either<string, string> => {
  const text = Redacted.value(token).trim()
  return /^[\x21-\x7e]+$/.test(text) ? Either.right(text) : Either.left(text === "" ? EMPTY : NO_SUCH)
}

const EMPTY = "the token is empty"
const NO_SUCH = "what was given is no token alone, without anything before or after it, as " +
  "`az account get-access-token` prints it with `--query accessToken --output tsv`"
