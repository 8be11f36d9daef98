import { assert, describe, it } from "@effect/vitest"
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as HttpClient from "@effect/platform/HttpClient"
import * as Clock from "effect/Clock"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Metric from "effect/Metric"
import * as MetricKey from "effect/MetricKey"
import * as Stream from "effect/Stream"
import * as TestClock from "effect/TestClock"
import * as Tracer from "effect/Tracer"
import {
  deleteUploadSession,
  FabricClient,
  FabricConfig,
  type FabricError,
  getUploadSession,
  putChunk,
  putFile,
} from "../mod.ts"
import { withSpan } from "../src/client/observability.ts"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import { certificate } from "./support/certificates.ts"
import { clusterWith, failure, inTime, requests, S, T } from "./support/cluster.ts"

const read = getUploadSession({ sessionId: S })
const steady = { firstDelay: "1 second", maxDelay: "4 seconds", jitter: 0 } as const

const asked = Effect.map(
  requests,
  (all) => all.map(({ at, host, status }) => ({ second: at.getTime() / 1000, host, status })),
)

const inject = (...faults: ReadonlyArray<Fault>) =>
  Effect.flatMap(Emulator, (emulator) => Effect.forEach(faults, (fault) => emulator.inject(fault)))

describe("retry", () => {
  for (
    const [name, fault] of [
      ["a refused connection", Fault.refuse],
      ["a reset", Fault.reset],
      ["a 408 of a proxy", Fault.reply(408)],
      ["a 429", Fault.reply(429)],
      ["a 500 OperationsPending", Fault.commitPending],
      ["a 502", Fault.answer({ status: 502, body: "<html><title>Bad Gateway</title></html>" })],
      ["a 503", Fault.reply(503, "E_ABORT")],
      ["a 503 without a body", Fault.reply(503)],
      ["a 504", Fault.reply(504, "FABRIC_E_TIMEOUT")],
      ["a code for a moment under a status for good", Fault.reply(409, "FABRIC_E_WRITE_CONFLICT")],
    ] as const
  ) {
    it.effect(`tries again after ${name}`, () =>
      Effect.gen(function* () {
        yield* inject(fault)
        yield* inTime(read)
        assert.strictEqual((yield* asked).length, 2)
      }).pipe(Effect.provide(clusterWith())))
  }

  for (
    const [name, fault, tag] of [
      ["a 400", Fault.reply(400, "E_INVALIDARG", "Invalid argument"), "Rejected"],
      ["a 403 with a code", Fault.reply(403, "E_ACCESSDENIED", "Access denied."), "Rejected"],
      ["a 403 without a body", Fault.reply(403), "Unauthenticated"],
      ["a 401 without a body", Fault.reply(401), "Unauthenticated"],
      ["a 404 of a proxy", Fault.reply(404), "Rejected"],
      ["a 413", Fault.tooLarge, "Rejected"],
      ["a 501", Fault.error("E_NOTIMPL"), "Rejected"],
      [
        "a redirect",
        Fault.answer({ status: 302, headers: { location: "https://login.example/" } }),
        "Malformed",
      ],
      [
        "a success that cannot be read",
        Fault.answer({ status: 200, body: "<html>hello</html>" }),
        "Malformed",
      ],
    ] as const
  ) {
    it.effect(`does not try again after ${name}`, () =>
      Effect.gen(function* () {
        yield* inject(fault)
        const error = yield* failure(read)
        assert.strictEqual(error.reason._tag, tag)
        assert.strictEqual(error.attempts, 1)
        assert.isFalse(error.isRetryable)
      }).pipe(Effect.provide(clusterWith({}, { files: {} }))))
  }

  it.effect("doubles its delays up to the limit, and gives up after the last", () =>
    Effect.gen(function* () {
      yield* inject(...Array.from({ length: 6 }, () => Fault.reply(503, "E_ABORT")))
      const error = yield* failure(inTime(read))
      assert.deepStrictEqual((yield* asked).map(({ second }) => second), [0, 1, 3, 7, 11])
      assert.strictEqual(error.attempts, 5)
      assert.deepStrictEqual(error.reason, {
        _tag: "Rejected",
        status: 503,
        code: "E_ABORT",
        detail: "Operation canceled.",
      })
      assert.isTrue(error.isRetryable)
      assert.include(error.message, "after 5 attempts")
    }).pipe(Effect.provide(clusterWith({ retry: { ...steady, times: 4 } }))))

  it.effect("draws a share of each delay at random", () =>
    Effect.gen(function* () {
      yield* inject(Fault.reply(503))
      yield* inTime(read)
      const delay = (yield* asked)[1]!.second
      assert.isTrue(delay <= 10)
    }).pipe(Effect.provide(clusterWith({ retry: { firstDelay: "10 seconds", jitter: 0.5 } }))))

  it.effect("tries once when retries are off", () =>
    Effect.gen(function* () {
      yield* inject(Fault.reply(503, "E_ABORT"))
      assert.strictEqual((yield* failure(read)).attempts, 1)
    }).pipe(Effect.provide(clusterWith({ retry: { times: 0 } }))))

  it.effect("waits as long as Retry-After says, in seconds", () =>
    Effect.gen(function* () {
      yield* inject(Fault.answer({ status: 429, headers: { "retry-after": "20" } }))
      yield* inTime(read)
      assert.strictEqual((yield* asked)[1]!.second, 20)
    }).pipe(Effect.provide(clusterWith({ retry: steady }))))

  it.effect("waits no longer than 5 minutes, whatever Retry-After says", () =>
    Effect.gen(function* () {
      yield* inject(Fault.answer({ status: 429, headers: { "retry-after": "3600" } }))
      yield* inTime(read)
      assert.strictEqual((yield* asked)[1]!.second, 300)
    }).pipe(Effect.provide(clusterWith({ retry: steady }))))

  it.effect("waits as long as Retry-After says, as a date of the server's own clock", () =>
    Effect.gen(function* () {
      yield* inject(Fault.answer({
        status: 503,
        headers: { date: "Sun, 22 Nov 2026 10:00:00 GMT", "retry-after": "Sun, 22 Nov 2026 10:00:30 GMT" },
      }))
      yield* inTime(read)
      assert.strictEqual((yield* asked)[1]!.second, 30)
    }).pipe(Effect.provide(clusterWith({ retry: steady }))))

  it.effect("lets callers add retries of their own", () =>
    Effect.gen(function* () {
      yield* inject(Fault.reply(503), Fault.reply(503))
      yield* Effect.retry(read, { times: 2 })
      assert.strictEqual((yield* asked).length, 3)
    }).pipe(Effect.provide(clusterWith({ retry: { times: 0 } }))))
})

describe("fail-over", () => {
  const endpoints = ["http://one:19080", "http://two:19080"]

  for (const status of [502, 503] as const) {
    it.effect(`moves to the next endpoint after a ${status}, and stays there`, () =>
      Effect.gen(function* () {
        yield* inject(Fault.reply(status))
        yield* inTime(read)
        yield* read
        assert.deepStrictEqual((yield* asked).map(({ host }) => host), [
          "one:19080",
          "two:19080",
          "two:19080",
        ])
      }).pipe(Effect.provide(clusterWith({ endpoints }))))
  }

  it.effect("moves to the next endpoint when one cannot be reached", () =>
    Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.refuse, { host: "one:19080", times: 10 })
      yield* inTime(read)
      assert.deepStrictEqual((yield* asked).map(({ host }) => host), ["one:19080", "two:19080"])
    }).pipe(Effect.provide(clusterWith({ endpoints }))))

  it.effect("moves to the next endpoint when one takes a request and says nothing", () =>
    Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.hang, { host: "one:19080", times: 10 })
      yield* inTime(read)
      yield* read
      assert.deepStrictEqual((yield* asked).map(({ host }) => host), ["one:19080", "two:19080", "two:19080"])
    }).pipe(Effect.provide(clusterWith({ endpoints }))))

  it.effect("stays with an endpoint where the call as a whole had too little time", () =>
    Effect.gen(function* () {
      yield* inject(Fault.hang)
      yield* failure(inTime(read))
      yield* read
      assert.deepStrictEqual((yield* asked).map(({ host }) => host), ["one:19080", "one:19080"])
    }).pipe(Effect.provide(clusterWith({ endpoints, totalTimeout: "2 seconds" }))))

  it.effect("stays with an endpoint that is only busy for a moment", () =>
    Effect.gen(function* () {
      yield* inject(Fault.reply(504, "FABRIC_E_TIMEOUT"))
      yield* inTime(read)
      assert.deepStrictEqual((yield* asked).map(({ host }) => host), ["one:19080", "one:19080"])
    }).pipe(Effect.provide(clusterWith({ endpoints }))))

  it.effect("comes back to the first when all others fail", () =>
    Effect.gen(function* () {
      yield* inject(Fault.reset, Fault.reset)
      yield* inTime(read)
      assert.deepStrictEqual((yield* asked).map(({ host }) => host), ["one:19080", "two:19080", "one:19080"])
    }).pipe(Effect.provide(clusterWith({ endpoints }))))

  it.effect("names the endpoint that was asked last", () =>
    Effect.gen(function* () {
      yield* inject(Fault.reply(503), Fault.reply(400, "E_INVALIDARG"))
      assert.strictEqual(
        (yield* failure(inTime(deleteUploadSession({ sessionId: T })))).endpoint,
        "two:19080",
      )
    }).pipe(Effect.provide(clusterWith({ endpoints }))))
})

describe("deadlines", () => {
  it.effect("gives an attempt the server's timeout and the grace", () =>
    Effect.gen(function* () {
      yield* inject(Fault.hang)
      const fiber = yield* Effect.fork(Effect.either(getUploadSession({ sessionId: S, timeout: 20 })))
      yield* TestClock.adjust("24 seconds")
      assert.isNull(fiber.unsafePoll())
      yield* TestClock.adjust("1 second")
      const result = yield* Fiber.join(fiber)
      assert.deepStrictEqual(result._tag === "Left" && result.left.reason, { _tag: "TimedOut", seconds: 25 })
    }).pipe(Effect.provide(clusterWith({ retry: { times: 0 } }))))

  it.effect("starts anew with each attempt", () =>
    Effect.gen(function* () {
      yield* inject(Fault.hang, Fault.hang)
      yield* inTime(read)
      assert.deepStrictEqual((yield* asked).map(({ second }) => second), [0, 66, 133])
    }).pipe(Effect.provide(clusterWith({ retry: steady }))))

  it.effect("bounds the whole call, and what it asks of the cluster, by totalTimeout", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* inject(Fault.hang, Fault.hang)
      const error = yield* failure(inTime(read))
      assert.deepStrictEqual(error.reason, { _tag: "TimedOut", seconds: 100 })
      assert.strictEqual(error.attempts, 2)
      assert.match((yield* emulator.requests)[1]!.url, /&timeout=34$/)
    }).pipe(Effect.provide(clusterWith({ retry: steady, totalTimeout: "100 seconds" }))))

  it.effect("bounds the look after a lost answer by totalTimeout too", () =>
    Effect.gen(function* () {
      yield* inject(Fault.dropAnswer, Fault.hang)
      const chunk = putChunk({
        path: "App/a.bin",
        sessionId: S,
        range: { first: 0, last: 9 },
        size: 20,
        bytes: new Uint8Array(10),
      })
      assert.strictEqual((yield* inTime(failure(chunk))).reason._tag, "Unreachable")
      assert.isBelow(yield* Clock.currentTimeMillis, 22_000)
      assert.strictEqual((yield* asked).length, 2)
    }).pipe(
      Effect.provide(
        clusterWith({ retry: { ...steady, firstDelay: "4 seconds" }, totalTimeout: "20 seconds" }),
      ),
    ))

  it.effect("does not wait for a repeat that would come too late", () =>
    Effect.gen(function* () {
      yield* inject(Fault.answer({ status: 503, headers: { "retry-after": "60" } }))
      const error = yield* failure(read)
      assert.strictEqual(error.reason._tag, "Rejected")
    }).pipe(Effect.provide(clusterWith({ totalTimeout: "30 seconds" }))))

  it.effect("has none above 24 days, which no timer can hold", () =>
    Effect.gen(function* () {
      yield* inject(Fault.hang)
      const fiber = yield* Effect.fork(getUploadSession({ sessionId: S, timeout: 30 * 86_400 }))
      yield* TestClock.adjust("60 days")
      assert.isNull(fiber.unsafePoll())
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(clusterWith({ retry: { times: 0 } }))))

  it.effect("sleeps for no longer than a timer can hold, however late the call has to be over", () =>
    Effect.gen(function* () {
      const spans: Array<number> = []
      const clock = yield* TestClock.testClock()
      const watched: Clock.Clock = Object.assign(Object.create(clock), {
        sleep: (duration: Duration.Duration) => {
          spans.push(Duration.toMillis(duration))
          return clock.sleep(duration)
        },
      })
      yield* inject(Fault.hang)
      const fiber = yield* Effect.fork(
        Effect.withClock(getUploadSession({ sessionId: S, timeout: 4294967295 }), watched),
      )
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual(spans, [2 ** 31 - 1])
      yield* Fiber.interrupt(fiber)
    }).pipe(Effect.provide(clusterWith({ totalTimeout: "60 days" }))))

  it.effect("leaves at most one sleep behind 10,000 finished calls", () =>
    Effect.gen(function* () {
      const clock = yield* TestClock.testClock()
      const call = Effect.ignore(deleteUploadSession({ sessionId: S }))
      yield* Effect.forEach(Array.from({ length: 10_000 }), () => call, { discard: true, concurrency: 16 })
      assert.isAtMost([...yield* clock.sleeps].length, 1)
      assert.strictEqual((yield* asked).length, 10_000)
    }).pipe(Effect.provide(clusterWith())), 60_000)

  it.effect("lets callers set a tighter one of their own", () =>
    Effect.gen(function* () {
      yield* inject(Fault.hang)
      const fiber = yield* Effect.fork(Effect.timeout(read, "3 seconds"))
      yield* TestClock.adjust("3 seconds")
      assert.isTrue(Exit.isFailure(yield* Fiber.await(fiber)))
    }).pipe(Effect.provide(clusterWith())))
})

describe("interruption", () => {
  it.effect("aborts the request in flight, and asks no more", () =>
    Effect.gen(function* () {
      yield* inject(Fault.hang)
      const fiber = yield* Effect.fork(read)
      yield* TestClock.adjust("1 second")
      const exit = yield* Fiber.interrupt(fiber)
      assert.isTrue(Exit.isInterrupted(exit))
      yield* TestClock.adjust("10 minutes")
      assert.strictEqual((yield* asked).length, 1)
    }).pipe(Effect.provide(clusterWith())))

  it.effect("ends a delay between attempts", () =>
    Effect.gen(function* () {
      yield* inject(Fault.reply(503))
      const fiber = yield* Effect.fork(read)
      yield* TestClock.adjust("1 millis")
      yield* Fiber.interrupt(fiber)
      yield* TestClock.adjust("1 minute")
      assert.strictEqual((yield* asked).length, 1)
    }).pipe(Effect.provide(clusterWith())))

  it.effect("lets a body under way arrive", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* inject(Fault.delay("10 seconds"))
      const range = { first: 0, last: 3 }
      const chunk = putChunk({ path: "a", sessionId: S, range, size: 4, bytes: new Uint8Array(4) })
      const fiber = yield* Effect.fork(chunk)
      yield* TestClock.adjust("1 second")
      yield* Fiber.interruptFork(fiber)
      yield* TestClock.adjust("10 seconds")
      yield* Fiber.await(fiber)
      assert.strictEqual((yield* emulator.sessions).length, 1)
      assert.strictEqual(yield* emulator.leaked, 0)
    }).pipe(Effect.provide(clusterWith())))
})

describe("observability", () => {
  const traced = <A, E, R>(program: Effect.Effect<A, E, R>) =>
    Effect.gen(function* () {
      const spans: Array<Tracer.Span> = []
      const native = yield* Effect.tracer
      const tracer = Tracer.make({
        span: (...args) => {
          const span = native.span(...args)
          spans.push(span)
          return span
        },
        context: native.context,
      })
      yield* Effect.withTracer(Effect.ignore(program), tracer)
      return spans
    })

  it.effect("gives an operation one client span, with its attempts as events", () =>
    Effect.gen(function* () {
      yield* inject(Fault.reply(503, "E_ABORT"), Fault.reply(403, "E_ACCESSDENIED"))
      const spans = yield* inTime(traced(deleteUploadSession({ sessionId: S })))
      const [span] = spans.filter(({ name }) => name === "DeleteImageStoreUploadSession")
      assert.strictEqual(span?.kind, "client")
      const attributes = Object.fromEntries(span!.attributes)
      assert.strictEqual(attributes["http.request.method"], "DELETE")
      assert.strictEqual(attributes["fabric.session.id"], S)
      assert.strictEqual(attributes["server.address"], "one")
      assert.strictEqual(attributes["server.port"], 19080)
      assert.strictEqual(attributes["http.request.resend_count"], 1)
      assert.strictEqual(attributes["http.response.status_code"], 403)
      assert.strictEqual(attributes["error.type"], "E_ACCESSDENIED")
    }).pipe(Effect.provide(clusterWith())))

  it.effect("makes no span where nobody would see it", () =>
    Effect.gen(function* () {
      const span = Effect.withFiberRuntime<Tracer.Span | undefined>((fiber) =>
        withSpan(fiber, { method: "GET", name: "any" }, { path: "/" }, Effect.succeed)
      )
      assert.isUndefined(yield* span)
      assert.isDefined(yield* Effect.withSpan(span, "parent"))
    }))

  it.effect("sends traceparent with a real tracer, and not when that is turned off", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* traced(read)
      yield* Effect.locally(traced(read), HttpClient.currentTracerPropagation, false)
      yield* read
      const sent = (yield* emulator.requests).map(({ headers }) => "traceparent" in headers)
      assert.deepStrictEqual(sent, [true, false, false])
    }).pipe(Effect.provide(clusterWith())))

  it.effect("counts calls and attempts by operation and outcome", () =>
    Effect.gen(function* () {
      const value = (name: string, tags: Record<string, string>) => {
        let key = MetricKey.counter(name)
        for (const [tag, text] of Object.entries(tags)) key = MetricKey.tagged(key, tag, text)
        return Effect.map(Metric.value(Metric.fromMetricKey(key)), ({ count }) => Number(count))
      }
      const operation = "GetImageStoreUploadSessionById"
      const before = yield* value("fabric_client_attempts", { operation })
      const rejected = yield* value("fabric_client_calls", { operation, outcome: "Rejected" })
      yield* inject(Fault.reply(503), Fault.reply(400, "E_FAIL"))
      yield* Effect.ignore(inTime(read))
      assert.strictEqual((yield* value("fabric_client_attempts", { operation })) - before, 2)
      assert.strictEqual(
        (yield* value("fabric_client_calls", { operation, outcome: "Rejected" })) - rejected,
        1,
      )
    }).pipe(Effect.provide(clusterWith())))
})

const overFetch = (url: string) =>
  FabricClient.layer.pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(Layer.succeed(FetchHttpClient.RequestInit, { redirect: "manual" })),
    Layer.provide(FabricConfig.layer({ endpoints: [url] })),
    Layer.orDie,
  )

describe("any HttpClient", () => {
  it.effect("may be wrapped by its user", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      const wrapped = FabricClient.layer.pipe(
        Layer.provide(
          Layer.effect(
            HttpClient.HttpClient,
            Effect.map(
              HttpClient.HttpClient,
              HttpClient.mapRequest((request) => ({
                ...request,
                headers: { ...request.headers, "x-extra": "yes" },
              } as typeof request)),
            ),
          ),
        ),
        Layer.provide(FabricConfig.layer({ endpoints: ["http://one:19080"] })),
      )
      yield* Effect.provide(
        Effect.ignore(
          deleteUploadSession({ sessionId: S }) as Effect.Effect<void, FabricError, FabricClient>,
        ),
        wrapped,
      )
      assert.strictEqual((yield* emulator.requests)[0]?.headers["x-extra"], "yes")
    }).pipe(Effect.provide(Emulator.layer())))

  for (
    const [what, body] of [
      ["fails", Stream.concat(Stream.make(new Uint8Array(3)), Stream.fail("the disk is gone"))],
      ["is shorter than announced", Stream.make(new Uint8Array(3))],
      ["is longer than announced", Stream.make(new Uint8Array(3), new Uint8Array(3))],
    ] as const
  ) {
    const unreadable = (emulator: Emulator["Type"]) =>
      Effect.gen(function* () {
        const error = yield* Effect.flip(putFile({ path: "a.bin", bytes: body, size: 5 }))
        assert.strictEqual(error.reason._tag === "Unreachable" && error.reason.code, "BODY_UNREADABLE")
        assert.strictEqual(error.attempts, 1)
        assert.deepStrictEqual(yield* emulator.files, [])
      })

    it.effect(`makes no file of a stream that ${what}`, () =>
      Effect.flatMap(Emulator, unreadable).pipe(Effect.provide(clusterWith())))

    it.scoped(`makes no file of a stream that ${what}, over fetch`, () =>
      Effect.gen(function* () {
        const { emulator, url } = yield* Emulator.serve({ port: 0 })
        yield* Effect.provide(unreadable(emulator), overFetch(url))
      }))
  }
})

describe("credentials", () => {
  const hint = (answer: { readonly status: number; readonly body?: string }) =>
    Effect.gen(function* () {
      yield* inject(Fault.answer(answer))
      const { reason } = yield* failure(read)
      return reason._tag === "Unauthenticated" ? reason.hint : reason._tag
    })
  const withCertificate = Effect.map(
    Effect.promise(() => certificate("operator")),
    (clientCertificate) => clusterWith({ clientCertificate }),
  )

  for (
    const body of [
      "",
      "<h2>Client certificate required</h2>",
      "<h2>403.7 Forbidden: SSL client certificate</h2>",
    ]
  ) {
    it.effect(`that are missing, or not accepted, are named after a 403 with "${body}"`, () =>
      Effect.gen(function* () {
        const missing = yield* Effect.provide(hint({ status: 403, body }), clusterWith())
        assert.include(missing, "give the client certificate and key of a cluster user")
        for (const option of ["clientCertificate", "FABRIC_CLIENT_CERT", "--cert"]) {
          assert.include(missing, option)
        }
        const refused = yield* Effect.provide(hint({ status: 403, body }), yield* withCertificate)
        assert.include(refused, "did not accept the client certificate, or did not ask for it")
      }))
  }

  it.effect("are not what a 401 is about: that asks for a login of another kind", () =>
    Effect.gen(function* () {
      assert.include(yield* hint({ status: 401 }), "not a client certificate")
    }).pipe(Effect.provide(clusterWith())))

  it.effect("are not what a proxy's own 403 is about", () =>
    Effect.gen(function* () {
      assert.strictEqual(yield* hint({ status: 403, body: "<h1>Blocked by policy</h1>" }), "Rejected")
    }).pipe(Effect.provide(clusterWith())))
})

describe("fetch in place of our transport", () => {
  it.scoped("follows no redirect where it is told so, as the README shows", () =>
    Effect.gen(function* () {
      const { emulator, url } = yield* Emulator.serve({ port: 0 })
      const elsewhere = yield* Emulator.serve({ port: 0 })
      yield* emulator.inject(Fault.answer({ status: 307, headers: { location: elsewhere.url } }))
      const error = yield* Effect.flip(Effect.provide(read, overFetch(url)))
      assert.strictEqual(error.reason._tag, "Malformed")
      assert.deepStrictEqual(yield* elsewhere.emulator.requests, [])
    }))
})
