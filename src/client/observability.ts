/**
 * What a call leaves behind for those who watch: one span, two counters, one histogram.
 *
 * @module
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpTraceContext from "@effect/platform/HttpTraceContext"
import * as Context from "effect/Context"
import * as DefaultServices from "effect/DefaultServices"
import * as Effect from "effect/Effect"
import type * as Fiber from "effect/Fiber"
import * as FiberRef from "effect/FiberRef"
import * as Metric from "effect/Metric"
import * as MetricBoundaries from "effect/MetricBoundaries"
import * as MetricKey from "effect/MetricKey"
import * as Option from "effect/Option"
import * as Tracer from "effect/Tracer"
import type { FabricErrorReason } from "../FabricError.ts"
import type { Endpoint } from "./Endpoints.ts"
import type { Operation, Request } from "./Operation.ts"

const counter = (name: string, tags: Readonly<Record<string, string>>) => {
  let key = MetricKey.counter(name)
  for (const [tag, value] of Object.entries(tags)) key = MetricKey.tagged(key, tag, value)
  return Metric.fromMetricKey(key)
}

const SECONDS = MetricBoundaries.fromIterable([
  0.005,
  0.01,
  0.025,
  0.05,
  0.1,
  0.25,
  0.5,
  1,
  2.5,
  5,
  10,
  30,
  60,
  120,
])

/**
 * `fabric_client_calls` by operation and outcome (`success`, or the tag of the reason), `fabric_client_attempts`
 * and `fabric_client_duration_seconds` by operation. Made once a name: to look up a metric by its tags costs more than
 * to count.
 */
class Meters {
  readonly #calls = new Map<string, Metric.Metric.Counter<number>>()
  readonly #operation: string
  readonly attempts: Metric.Metric.Counter<number>
  readonly seconds: Metric.Metric.Histogram<number>

  constructor(operation: string) {
    this.#operation = operation
    this.attempts = counter("fabric_client_attempts", { operation })
    this.seconds = Metric.fromMetricKey(
      MetricKey.tagged(
        MetricKey.histogram("fabric_client_duration_seconds", SECONDS),
        "operation",
        operation,
      ),
    )
  }

  calls(outcome: string): Metric.Metric.Counter<number> {
    let own = this.#calls.get(outcome)
    if (own === undefined) {
      own = counter("fabric_client_calls", { operation: this.#operation, outcome })
      this.#calls.set(outcome, own)
    }
    return own
  }
}

const meters = new Map<string, Meters>()

const metersOf = (operation: string): Meters => {
  let own = meters.get(operation)
  if (own === undefined) meters.set(operation, own = new Meters(operation))
  return own
}

const defaultTracer = Context.get(DefaultServices.liveServices, Tracer.Tracer)

/** Observes one call from its start to its end. */
export class Observer {
  readonly #meters: Meters
  readonly #labels: ReadonlyArray<never>
  readonly #begun: number
  readonly span: Tracer.Span | undefined
  /** Headers by which the cluster's side can join the trace. */
  readonly headers: Readonly<Record<string, string>> | undefined

  constructor(
    fiber: Fiber.RuntimeFiber<unknown, unknown>,
    operation: string,
    begun: number,
    span: Tracer.Span | undefined,
  ) {
    this.#meters = metersOf(operation)
    this.#labels = fiber.getFiberRef(FiberRef.currentMetricLabels) as ReadonlyArray<never>
    this.#begun = begun
    this.span = span
    this.headers = span !== undefined && fiber.currentTracer !== defaultTracer &&
        fiber.getFiberRef(HttpClient.currentTracerPropagation)
      ? HttpTraceContext.toHeaders(span)
      : undefined
  }

  /** An attempt begins: the first, or a repeat. */
  attempt(endpoint: Endpoint, number: number, nanos: () => bigint): void {
    this.#meters.attempts.unsafeUpdate(1, this.#labels)
    if (this.span === undefined) return
    this.span.attribute("server.address", endpoint.hostname)
    this.span.attribute("server.port", endpoint.port)
    if (number > 1) this.span.attribute("http.request.resend_count", number - 1)
    this.span.event("attempt", nanos(), { "server.address": endpoint.hostname, "server.port": endpoint.port })
  }

  /** The call ends at `now`, in milliseconds. */
  end(now: number, status: number | undefined, reason: FabricErrorReason | undefined): void {
    this.#meters.calls(reason === undefined ? "success" : reason._tag).unsafeUpdate(1, this.#labels)
    this.#meters.seconds.unsafeUpdate((now - this.#begun) / 1000, this.#labels)
    if (this.span === undefined) return
    if (status !== undefined) this.span.attribute("http.response.status_code", status)
    if (reason !== undefined) {
      this.span.attribute(
        "error.type",
        reason._tag === "Rejected" ? reason.code ?? String(reason.status) : reason._tag,
      )
    }
  }
}

/**
 * Gives `use` a span of kind client, or none where nobody would see it: a span costs more than all else here,
 * even if the tracer is Effect's default and no parent takes it up.
 */
export const withSpan = <A, E, R>(
  fiber: Fiber.RuntimeFiber<unknown, unknown>,
  { method, name }: Pick<Operation<never>, "method" | "name">,
  { path, sessionId }: Request,
  use: (span: Tracer.Span | undefined) => Effect.Effect<A, E, R>,
): Effect.Effect<A, E, R> => {
  const seen = fiber.currentTracer !== defaultTracer ||
    Option.isSome(
      Context.getOption(fiber.currentContext as Context.Context<Tracer.ParentSpan>, Tracer.ParentSpan),
    )
  if (!seen || !fiber.getFiberRef(FiberRef.currentTracerEnabled)) return use(undefined)
  return Effect.useSpan(name, {
    kind: "client",
    captureStackTrace: false,
    attributes: {
      "http.request.method": method,
      "url.path": path,
      ...(sessionId === undefined ? {} : { "fabric.session.id": sessionId }),
    },
  }, use)
}
