/** One suite over every face of the gateway: what protocol.md says, literally. */
import { assert, describe, it } from "@effect/vitest"
import * as Chunk from "effect/Chunk"
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import * as TestClock from "effect/TestClock"
import { env } from "node:process"
import { expect } from "vitest"
import { Emulator, type Os } from "../../src/emulator/mod.ts"
import {
  type Expected,
  FOLDERS,
  type GatewayCase,
  gatewayCases,
  S,
  type Step,
  T,
} from "../fixtures/gatewayCases.ts"
import { turn } from "../support/turn.ts"
import { type Face, inProcess, type RawReply, type RawRequest, served } from "./support/faces.ts"
import { realCluster, systemOf } from "./support/realCluster.ts"

/** What differs from run to run is `…`. */
const comparable = (body: string): string =>
  body
    .replace(/"ModifiedDate":"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"/g, `"ModifiedDate":"…"`)
    .replace(/"ModifiedDate":"\d{18}"/g, `"ModifiedDate":"ticks"`)
    .replace(
      /"FileVersion":\{"EpochDataLossNumber":"\d+","VersionNumber":"\d+","EpochConfigurationNumber":"\d+"\}/g,
      `"FileVersion":…`,
    )

const typeOf = (reply: RawReply): string =>
  reply.headers["content-type"] === undefined
    ? "none"
    : reply.headers["content-type"] === "application/json; charset=utf-8" &&
        reply.headers["x-content-type-options"] === "nosniff"
    ? "json"
    : "another"

/** Puts in what depends on the store: in bodies U+0001 stands for the platform's separator as JSON writes it. */
interface Spelling {
  readonly name: (text: string) => string
  readonly body: (text: string) => string
}

const toSend = ({ body, target, ...rest }: RawRequest, spelling: Spelling): RawRequest => ({
  ...rest,
  target: spelling.name(target),
  ...(body === undefined ? {} : { body: typeof body === "string" ? spelling.body(body) : body }),
})

const check = (reply: RawReply, { body, headers = {}, ...expected }: Expected, spelling: Spelling): void => {
  const seen = {
    status: reply.status,
    reason: reply.reason,
    body: comparable(reply.body),
    type: typeOf(reply),
  }
  expect(seen).toMatchObject(
    body === undefined
      ? expected
      : { ...expected, body: typeof body === "string" ? spelling.body(body) : expect.stringMatching(body) },
  )
  for (const [header, value] of Object.entries(headers)) expect(reply.headers[header], header).toBe(value)
}

/** Carries a case out, as far as `steps` of its steps. */
const run = (
  face: Face,
  os: Os,
  each: GatewayCase,
  steps: number = each.steps.length,
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.gen(function* () {
    const { emulator, named: name = (text) => text, send } = yield* face.start({ ...each.options, os })
    const separator = os === "windows" ? "\\\\" : "/"
    const spelling = { name, body: (text: string) => name(text.replaceAll("\u0001", separator)) }
    for (const step of each.steps.slice(0, steps)) {
      if ("inject" in step) yield* emulator!.inject(step.inject, step.on === undefined ? {} : { on: step.on })
      else if ("advance" in step) yield* TestClock.adjust(step.advance)
      else {
        const [request, expected, wait] = step
        const answer = send(toSend(request, spelling))
        check(yield* wait === undefined ? answer : afterTime(answer, wait), expected, spelling)
      }
    }
  })

/** What comes when that time has passed on the test clock, and not a millisecond before. */
const afterTime = <A>(answer: Effect.Effect<A>, wait: Duration.DurationInput): Effect.Effect<A> =>
  Effect.gen(function* () {
    const fiber = yield* Effect.fork(answer)
    yield* untilAsleep
    yield* TestClock.adjust(Duration.subtract(wait, 1))
    assert.isTrue(Option.isNone(yield* Fiber.poll(fiber)), "the answer came too early")
    yield* untilAsleep
    yield* TestClock.adjust(1)
    return yield* Fiber.join(fiber)
  })

/** A request over a socket takes its time to arrive. */
const untilAsleep = Effect.repeat(turn, {
  until: () => Effect.map(TestClock.sleeps(), (sleeps) => Chunk.isNonEmpty(sleeps)),
})

const casesOf = (os: Os): ReadonlyArray<GatewayCase> => gatewayCases.filter((each) => each.os.includes(os))
const realCasesOf = (os: Os): ReadonlyArray<GatewayCase> => casesOf(os).filter((each) => each.cleansUp)

const suite = (face: Face, os: Os, cases: ReadonlyArray<GatewayCase>, timeout?: number): void => {
  describe(`${face.name}, ${os}`, () => {
    for (const each of cases) it.scoped(each.name, () => run(face, os, each), timeout)
  })
}

for (const face of [inProcess, served]) {
  for (const os of ["windows", "linux"] as const) suite(face, os, casesOf(os))
}

// An unsecured cluster: the suite has no credentials.
const endpoint = env["FABRIC_CONFORMANCE_ENDPOINT"]
if (endpoint !== undefined) {
  const os = await Effect.runPromise(systemOf(endpoint))
  suite(realCluster(endpoint, os), os, realCasesOf(os), 60_000)
}

describe("a cluster that others use too", () => {
  for (const os of ["windows", "linux"] as const) {
    it.scoped(
      `is left as it was by each case that may run there, wherever the case stops (${os})`,
      () =>
        Effect.gen(function* () {
          const { emulator, url } = yield* Emulator.serve({
            port: 0,
            os,
            files: { "App/a": "not the suite's", "SwaggerTest/Common.dll": "", "Store/App/a": "" },
          }).pipe(Logger.withMinimumLogLevel(LogLevel.None))
          assert.strictEqual(yield* systemOf(url), os)
          const files = Effect.map(emulator.files, (all) => all.map(({ path, version }) => [path, version]))
          const before = yield* files
          for (const each of realCasesOf(os)) {
            assert.isTrue(each.steps.every((step) => "length" in step && step.length === 2), each.name)
            for (let steps = 1; steps <= each.steps.length; steps++) {
              yield* Effect.scoped(run(realCluster(url, os), os, each, steps))
              assert.deepStrictEqual(yield* files, before, each.name)
              assert.lengthOf(yield* emulator.sessions, 0, each.name)
              assert.strictEqual(yield* emulator.staged, 0, each.name)
              assert.strictEqual(yield* emulator.leaked, 0, each.name)
            }
          }
          for (const { url } of yield* emulator.requests) {
            assert.notMatch(url, new RegExp(`/(${FOLDERS.join("|")})\\b(?!-)|${S}|${T}`, "i"))
          }
        }),
      60_000,
    )
  }

  it.scoped("is left as it was by a case that fails", () =>
    Effect.gen(function* () {
      const { emulator, url } = yield* Emulator.serve({ port: 0 }).pipe(
        Logger.withMinimumLogLevel(LogLevel.None),
      )
      const opens = realCasesOf("windows").find(({ name }) => name.startsWith("opens a session"))!
      const failing: Step = [{ method: "GET", target: "/ImageStore" }, { status: 500 }]
      const wrong: GatewayCase = { ...opens, steps: [...opens.steps.slice(0, 1), failing] }
      const exit = yield* Effect.exit(Effect.scoped(run(realCluster(url, "windows"), "windows", wrong)))
      assert.isTrue(Exit.isFailure(exit))
      assert.strictEqual((yield* emulator.requests)[0]!.status, 200, "the session was opened")
      assert.lengthOf(yield* emulator.sessions, 0)
    }))
})
