/**
 * One operation under way: its attempts, and what comes between them.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Clock from "effect/Clock"
import * as Context from "effect/Context"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Exit from "effect/Exit"
import * as Option from "effect/Option"
import * as Random from "effect/Random"
import type { BearerToken } from "../credentials/BearerToken.ts"
import { AAD_METADATA, type Entra, readEntra } from "../credentials/entra.ts"
import type { RetryPolicy } from "../FabricConfig.ts"
import { askedDelay, FabricError, type FabricErrorReason, meansNotFound, meansRetry } from "../FabricError.ts"
import {
  type Answer,
  bodySize,
  canceled,
  type End,
  type Exchange,
  type Expired,
} from "../transport/Exchange.ts"
import type { NoAnswer } from "../transport/NoAnswer.ts"
import { type Credentials, entraHint, reasonOfAnswer, reasonOfNoAnswer } from "./answers.ts"
import { AttemptWatch } from "./AttemptWatch.ts"
import type { Deadlines } from "./Deadlines.ts"
import type { Endpoint, Endpoints } from "./Endpoints.ts"
import { Observer, withSpan } from "./observability.ts"
import type { Operation, Request, RunOperation } from "./Operation.ts"
import { probeRequest, SESSIONS_PROBE } from "./sessionsProbe.ts"

/** What all calls have in common. */
export interface Cluster {
  readonly retry: RetryPolicy
  readonly send: Exchange
  /** Seconds, where a call names none. */
  readonly timeout: number
  /** Milliseconds. */
  readonly grace: number
  /** Milliseconds; Infinity where a call has no bound. */
  readonly total: number
  /** Whether interruption waits for what must not be cut off. */
  readonly finishes: boolean
  /** What each request shows, where the cluster knows its users by that. */
  readonly token: BearerToken | undefined
  readonly credentials: Credentials
  readonly deadlines: Deadlines
  readonly endpoints: Endpoints
}

export const runnerOf = (cluster: Cluster): RunOperation => (operation, request, timeout) =>
  Effect.withFiberRuntime((fiber) =>
    withSpan(fiber, operation, request, (span) => {
      const clock = Context.get(fiber.currentDefaultServices, Clock.Clock)
      const observer = new Observer(fiber, operation.name, clock.unsafeCurrentTimeMillis(), span)
      return new Call(cluster, operation, request, timeout ?? cluster.timeout, clock, observer).attempt()
    })
  )

/** One operation under way: what its attempts have in common. */
class Call<A> {
  readonly #cluster: Cluster
  readonly #operation: Operation<A>
  readonly #request: Request
  /** Whole seconds that the cluster may work on an attempt. */
  readonly #timeout: number
  readonly #clock: Clock.Clock
  readonly #observer: Observer
  /** When the whole call has to be over, in milliseconds of the clock. */
  readonly #end: number
  #attempts = 0
  /** An earlier attempt was written to a connection, so it may have worked, whatever came back. */
  #mayHaveWorked = false
  /** The token that was shown last, as it stands in the header. */
  #authorization: string | undefined
  /** The cluster has refused a token before, and was shown another, or there was none. */
  #renewed = false

  constructor(
    cluster: Cluster,
    operation: Operation<A>,
    request: Request,
    timeout: number,
    clock: Clock.Clock,
    observer: Observer,
  ) {
    this.#cluster = cluster
    this.#operation = operation
    this.#request = request
    this.#timeout = timeout
    this.#clock = clock
    this.#observer = observer
    this.#end = clock.unsafeCurrentTimeMillis() + cluster.total
  }

  attempt(): Effect.Effect<A, FabricError> {
    const { token } = this.#cluster
    if (token === undefined) return this.#send()
    const ready = token.ready(this.#clock.unsafeCurrentTimeMillis())
    if (ready !== undefined) return this.#send(ready)
    return Effect.matchEffect(this.#soon(token.get), {
      onSuccess: (authorization) => this.#send(authorization),
      onFailure: (reason) => this.#fail(this.#cluster.endpoints.current, reason),
    })
  }

  /** Waits for a token no longer than the call may take. */
  #soon(token: Effect.Effect<string, NoAnswer>): Effect.Effect<string, FabricErrorReason> {
    const reasoned = Effect.mapError(token, reasonOfNoAnswer)
    const left = this.#end - this.#clock.unsafeCurrentTimeMillis()
    return left === Infinity ? reasoned : Effect.timeoutFail(reasoned, {
      duration: Math.max(left, 0),
      onTimeout: (): FabricErrorReason => ({ _tag: "TimedOut", seconds: this.#cluster.total / 1000 }),
    })
  }

  #send(authorization?: string): Effect.Effect<A, FabricError> {
    const { deadlines, endpoints, finishes, grace, send } = this.#cluster
    const { method, uninterruptible } = this.#operation
    const { body, follower } = this.#request
    const endpoint = endpoints.current
    const left = this.#end - this.#clock.unsafeCurrentTimeMillis()
    const timeout = Math.max(1, Math.min(this.#timeout, Math.ceil(left / 1000)))
    const patience = timeout * 1000 + grace
    this.#authorization = authorization
    this.#attempts++
    this.#observer.attempt(endpoint, this.#attempts, () => this.#clock.unsafeCurrentTimeNanos())
    const watch = new AttemptWatch(
      deadlines,
      this.#clock,
      patience,
      this.#end,
      bodySize(body),
      follower && { out: follower.out, over: (end) => follower.over(this.#outcome(end, patience)) },
    )
    const sending = send({
      method,
      origin: endpoint.origin,
      target: target(this.#operation, this.#request, timeout),
      headers: this.#headers(),
      body,
    }, watch)
    return Effect.matchEffect(
      finishes && uninterruptible === true ? Effect.uninterruptible(sending) : sending,
      {
        onSuccess: (answer) => this.#answered(endpoint, answer),
        onFailure: (failure) => this.#failed(endpoint, this.#reason(failure, patience)),
      },
    )
  }

  /** Why an attempt failed, or `undefined`. One that was cut short is not timed out: the cluster may still work on it. */
  #outcome(end: End, patience: number): FabricErrorReason | undefined {
    if (Exit.isSuccess(end)) return isSuccess(end.value) ? undefined : this.#reasonOf(end.value)
    const failure = Option.getOrElse(Cause.failureOption(end.cause), () => canceled)
    if (failure._tag === "NoAnswer") return reasonOfNoAnswer(failure)
    return this.#clock.unsafeCurrentTimeMillis() < this.#end
      ? this.#reason(failure, patience)
      : reasonOfNoAnswer(canceled)
  }

  #headers(): Record<string, string> {
    const headers = {
      "X-ServiceFabricRequestId": crypto.randomUUID(),
      "X-ServiceFabricClientType": "EffectClientlib",
    }
    // Most calls have no more: spreading nothing still costs.
    const all: Record<string, string> =
      this.#request.headers === undefined && this.#observer.headers === undefined
        ? headers
        : { ...this.#request.headers, ...headers, ...this.#observer.headers }
    if (this.#authorization !== undefined) all["Authorization"] = this.#authorization
    return all
  }

  #answered(endpoint: Endpoint, answer: Answer): Effect.Effect<A, FabricError> {
    if (!isSuccess(answer)) {
      const missing = this.#operation.bareNotFound === true && answer.status === 404 && answer.text === ""
      const reason = missing ? NOT_FOUND : this.#reasonOf(answer)
      return meansStranger(reason) ? this.#refused(endpoint, reason) : this.#failed(endpoint, reason)
    }
    if (this.#operation.usesSessions) endpoint.sessions = true
    const value = this.#operation.read(answer)
    if (Either.isRight(value)) return this.#succeed(value.right, answer.status)
    return this.#fail(endpoint, { _tag: "Malformed", status: answer.status, detail: value.left })
  }

  /** The cluster does not know the caller, and has done nothing: with a newer token it may, once. */
  #refused(endpoint: Endpoint, reason: FabricErrorReason): Effect.Effect<A, FabricError> {
    const { token } = this.#cluster
    const refused = this.#authorization
    if (token === undefined || refused === undefined || this.#renewed) return this.#unknown(endpoint, reason)
    this.#renewed = true
    return Effect.matchEffect(this.#soon(token.renew(refused)), {
      onSuccess: (renewed) => renewed === refused ? this.#unknown(endpoint, reason) : this.#send(renewed),
      onFailure: (failure) => {
        if (failure._tag !== "Unreachable") return this.#fail(endpoint, failure)
        if (reason._tag !== "Unauthenticated") return this.#unknown(endpoint, reason)
        const hint = `${reason.hint}; no other is to be had: ${failure.detail}`
        return this.#unknown(endpoint, { ...reason, hint })
      },
    })
  }

  /** Over TLS, where credentials can be given, the cluster is asked which they are. */
  #unknown(endpoint: Endpoint, reason: FabricErrorReason): Effect.Effect<A, FabricError> {
    if (
      reason._tag !== "Unauthenticated" || reason.status !== 403 || !endpoint.origin.startsWith("https:")
    ) return this.#failed(endpoint, reason)
    return Effect.flatMap(this.#entra(endpoint), (entra) =>
      this.#fail(
        endpoint,
        Option.isNone(entra)
          ? reason
          : { ...reason, hint: entraHint(reason.hint, this.#cluster.credentials, entra.value) },
      ))
  }

  /** What an endpoint tells of Entra ID is remembered. */
  #entra(endpoint: Endpoint): Effect.Effect<Option.Option<Entra>> {
    if (endpoint.entra !== undefined) return Effect.succeed(endpoint.entra)
    const { deadlines, send } = this.#cluster
    return Effect.match(
      send({
        method: "GET",
        origin: endpoint.origin,
        target: AAD_METADATA,
        // Whoever asks for credentials here is not shown any.
        headers: {},
        body: undefined,
      }, new AttemptWatch(deadlines, this.#clock, ENTRA_PATIENCE, this.#end, 0)),
      {
        onFailure: () => Option.none(),
        onSuccess: (answer) => answer.status === 200 ? endpoint.entra = readEntra(answer) : Option.none(),
      },
    )
  }

  /** What a failed attempt leads to: an error, another attempt, or a success after all. */
  #failed(endpoint: Endpoint, reason: FabricErrorReason): Effect.Effect<A, FabricError> {
    const operation = this.#operation
    const { endpoints, retry } = this.#cluster
    if (operation.goneMeansDone && this.#mayHaveWorked && meansNotFound(reason)) {
      return this.#succeed(undefined as A, 404)
    }
    if (leavesEndpoint(reason) && this.#clock.unsafeCurrentTimeMillis() < this.#end) endpoints.leave(endpoint)
    if (operation.usesSessions && endpoint.sessions !== true && meansNoSessions(reason)) {
      // The probe itself needs no other.
      if (operation as object === SESSIONS_PROBE) endpoint.sessions = false
      return Effect.flatMap(
        this.#hasSessions(endpoint),
        (has) => this.#fail(endpoint, has ? reason : { _tag: "SessionsUnsupported" }),
      )
    }
    const thisOne = mayHaveWorked(reason)
    this.#mayHaveWorked ||= thisOne
    if (!meansRetry(reason) || this.#attempts > retry.times) return this.#fail(endpoint, reason)
    return Effect.flatMap(this.#delay(reason), (delay) => {
      // A repeat that would begin after the end of the call is not waited for.
      if (this.#clock.unsafeCurrentTimeMillis() + delay >= this.#end) return this.#fail(endpoint, reason)
      const again = Effect.suspend(() =>
        this.#clock.unsafeCurrentTimeMillis() >= this.#end ? this.#fail(endpoint, reason) : this.attempt()
      )
      return Effect.zipRight(
        Effect.sleep(Duration.millis(delay)),
        thisOne && this.#request.lookAgain !== undefined ? this.#lookAgain(endpoint, reason, again) : again,
      )
    })
  }

  #lookAgain(
    endpoint: Endpoint,
    reason: FabricErrorReason,
    again: Effect.Effect<A, FabricError>,
  ): Effect.Effect<A, FabricError> {
    const look = Effect.suspend(() => {
      const total = this.#end - this.#clock.unsafeCurrentTimeMillis()
      return this.#request.lookAgain!(runnerOf({ ...this.#cluster, total }), this.#timeout)
    })
    return Effect.matchEffect(look, {
      onFailure: () => this.#fail(endpoint, reason),
      onSuccess: (seen) =>
        seen === "repeat"
          ? again
          : seen === "done"
          ? this.#succeed(undefined as A, 200)
          : this.#fail(endpoint, reason),
    })
  }

  /** Milliseconds until the next attempt: they double up to a limit, and a part of them is drawn at random. */
  #delay(reason: FabricErrorReason): Effect.Effect<number> {
    const { firstDelay, jitter, maxDelay } = this.#cluster.retry
    const full = Math.min(
      Duration.toMillis(firstDelay) * 2 ** (this.#attempts - 1),
      Duration.toMillis(maxDelay),
    )
    return Effect.map(Random.next, (random) => Math.max(full * (1 - jitter * random), askedDelay(reason)))
  }

  /** Whether an endpoint that refused params has sessions at all. What the probe shows is remembered. */
  #hasSessions(endpoint: Endpoint): Effect.Effect<boolean> {
    if (endpoint.sessions !== undefined) return Effect.succeed(endpoint.sessions)
    const { deadlines, grace, send } = this.#cluster
    const patience = this.#timeout * 1000 + grace
    return Effect.match(
      send({
        method: SESSIONS_PROBE.method,
        origin: endpoint.origin,
        target: target(SESSIONS_PROBE, probeRequest(), this.#timeout),
        headers: this.#headers(),
        body: undefined,
      }, new AttemptWatch(deadlines, this.#clock, patience, this.#end, 0)),
      {
        onFailure: () => true,
        onSuccess: (answer) => {
          if (answer.status === 200 || answer.status === 204) endpoint.sessions = true
          else if (meansNoSessions(this.#reasonOf(answer))) endpoint.sessions = false
          return endpoint.sessions ?? true
        },
      },
    )
  }

  #reason(failure: NoAnswer | Expired, patience: number): FabricErrorReason {
    const whole = this.#clock.unsafeCurrentTimeMillis() >= this.#end
    if (failure._tag === "NoAnswer" && !whole) return reasonOfNoAnswer(failure)
    return { _tag: "TimedOut", seconds: (whole ? this.#cluster.total : patience) / 1000 }
  }

  #reasonOf(answer: Answer): FabricErrorReason {
    return reasonOfAnswer(answer, this.#clock.unsafeCurrentTimeMillis(), this.#cluster.credentials)
  }

  #succeed(value: A, status: number): Effect.Effect<A> {
    this.#observer.end(this.#clock.unsafeCurrentTimeMillis(), status, undefined)
    return Effect.succeed(value)
  }

  #fail(endpoint: Endpoint, reason: FabricErrorReason): Effect.Effect<never, FabricError> {
    const status = "status" in reason ? reason.status : undefined
    this.#observer.end(this.#clock.unsafeCurrentTimeMillis(), status, reason)
    const { name } = this.#operation
    const { subject } = this.#request
    const action = subject === undefined ? this.#operation.action : `${this.#operation.action} ${subject}`
    return new FabricError({
      operation: name,
      action,
      endpoint: endpoint.host,
      attempts: this.#attempts,
      reason,
    })
  }
}

/** An error is not held back longer for the sake of its hint, in milliseconds. */
const ENTRA_PATIENCE = 10_000

const NOT_FOUND: FabricErrorReason = { _tag: "Rejected", status: 404, code: "NotFound", detail: "" }

/** The order is that of the REST reference: `api-version`, the operation's own, `timeout`. */
const target = (
  { apiVersion }: Pick<Operation<never>, "apiVersion">,
  { path, query }: Request,
  timeout: number,
): string => {
  let text = `${path}?api-version=${apiVersion}`
  for (const name in query) text += `&${name}=${query[name]}`
  return `${text}&timeout=${timeout}`
}

/** Nothing can have succeeded without its body. */
const isSuccess = ({ status, unsent }: Answer): boolean => !unsent && (status === 200 || status === 204)

/** A gateway that lives says in time that it has no answer. */
const leavesEndpoint = (reason: FabricErrorReason): boolean =>
  reason._tag === "Unreachable" || reason._tag === "TimedOut" ||
  (reason._tag === "Rejected" && (reason.status === 502 || reason.status === 503))

/** A proxy in front of the gateway may say it with a body. */
const meansStranger = (reason: FabricErrorReason): boolean =>
  reason._tag === "Unauthenticated" || (reason._tag === "Rejected" && reason.status === 401)

const meansNoSessions = (reason: FabricErrorReason): boolean =>
  reason._tag === "Rejected" && reason.status === 400 && reason.code === "E_INVALIDARG"

const mayHaveWorked = (reason: FabricErrorReason): boolean =>
  reason._tag === "Unreachable" || reason._tag === "Rejected"
    ? reason.sent !== "no"
    : reason._tag !== "Untrusted"
