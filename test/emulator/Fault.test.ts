import * as HttpClient from "@effect/platform/HttpClient"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Fiber from "effect/Fiber"
import * as TestClock from "effect/TestClock"
import { Emulator, type EmulatorOptions, Fault, FaultPlan } from "../../src/emulator/mod.ts"
import { commit, copy, discard, getSession, list, putChunk, putFile, T, upload } from "./support/calls.ts"

const with_ = (options: EmulatorOptions = {}) => Effect.provide(Emulator.layer(options))

/** The code of the connection error that a call ends with. */
const dropped = <A, R>(call: Effect.Effect<A, { readonly _tag: string; readonly cause?: unknown }, R>) =>
  Effect.map(Effect.flip(call), (error) => {
    assert.strictEqual(error._tag, "RequestError")
    return (error.cause as { code?: string }).code
  })

const isWaiting = <A, E>(fiber: Fiber.RuntimeFiber<A, E>) =>
  Effect.map(Fiber.poll(fiber), (exit) => exit._tag === "None")

describe("a fault", () => {
  it.effect("strikes the next matching requests, as often as asked, in order", () =>
    Effect.gen(function* () {
      const { inject } = yield* Emulator
      yield* inject(Fault.reply(503, "E_ABORT"), { on: "DeleteImageStoreUploadSession", times: 2 })
      yield* inject(Fault.error("FABRIC_E_TIMEOUT"), { on: "DeleteImageStoreUploadSession" })
      yield* inject(Fault.reply(502), { host: "two:19080" })
      assert.strictEqual((yield* getSession()).status, 204)
      assert.strictEqual((yield* getSession({ host: "two:19080" })).status, 502)
      assert.strictEqual((yield* getSession({ host: "two:19080" })).status, 204)
      assert.deepInclude(yield* discard(), { status: 503, code: "E_ABORT" })
      assert.deepInclude(yield* discard(), { status: 503, code: "E_ABORT" })
      assert.deepInclude(yield* discard(), { status: 504, code: "FABRIC_E_TIMEOUT" })
      assert.deepInclude(yield* discard(), { status: 404, code: "NotFound" })
    }).pipe(with_()))

  it.effect("can be an answer that no gateway gives", () =>
    Effect.gen(function* () {
      const { inject } = yield* Emulator
      yield* inject(Fault.answer({ status: 302, headers: { Location: "/x" }, body: "<html>" }))
      const response = yield* HttpClient.get("http://a/ImageStore?api-version=6.0")
      assert.strictEqual(response.status, 302)
      assert.strictEqual(response.headers["location"], "/x")
      assert.strictEqual(yield* response.text, "<html>")
    }).pipe(with_()))

  it.effect("drops the answer after the work is done", () =>
    Effect.gen(function* () {
      const { inject, requests, sessions } = yield* Emulator
      yield* putChunk("a", [0, 4], 10)
      yield* inject(Fault.dropAnswer)
      assert.strictEqual(yield* dropped(discard()), "ECONNRESET")
      assert.lengthOf(yield* sessions, 0)
      assert.strictEqual((yield* requests).at(-1)!.status, undefined)
    }).pipe(with_()))

  it.effect("resets or refuses the connection before any work", () =>
    Effect.gen(function* () {
      const { inject, leaked, sessions } = yield* Emulator
      yield* inject(Fault.reset)
      yield* inject(Fault.refuse)
      assert.strictEqual(yield* dropped(putChunk("a", [0, 4], 10)), "ECONNRESET")
      assert.strictEqual(yield* dropped(putChunk("a", [0, 4], 10)), "ECONNREFUSED")
      assert.lengthOf(yield* sessions, 0)
      assert.strictEqual(yield* leaked, 0)
    }).pipe(with_()))

  it.effect("never answers, and does nothing", () =>
    Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.hang)
      const call = yield* Effect.fork(putChunk("a", [0, 4], 10))
      yield* TestClock.adjust("1 hour")
      assert.isTrue(yield* isWaiting(call))
      assert.lengthOf(yield* sessions, 0)
      yield* Fiber.interrupt(call)
    }).pipe(with_()))

  it.effect("delays the work, which is done even when the client has left", () =>
    Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.delay("10 seconds"))
      const call = yield* Effect.fork(putChunk("a", [0, 4], 10))
      yield* TestClock.adjust("9 seconds")
      assert.isTrue(yield* isWaiting(call))
      yield* Fiber.interrupt(call)
      assert.lengthOf(yield* sessions, 0)
      yield* TestClock.adjust("1 second")
      assert.lengthOf(yield* sessions, 1)
    }).pipe(with_()))

  it.effect("lets no chunk arrive later than its timeout allows, however late it is", () =>
    Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.late("31 seconds"))
      assert.strictEqual(yield* dropped(putChunk("a", [0, 4], 10, { timeout: 30 })), "ECONNRESET")
      yield* TestClock.adjust("2 minutes")
      assert.lengthOf(yield* sessions, 0)
    }).pipe(with_()))

  it.effect("lets no chunk arrive later than its timeout allows, though the primary was away", () =>
    Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.late("20 seconds"))
      assert.strictEqual(yield* dropped(putChunk("a", [0, 4], 10, { timeout: 30 })), "ECONNRESET")
      yield* inject(Fault.failOver("40 seconds"))
      yield* Effect.fork(getSession())
      yield* TestClock.adjust("2 minutes")
      assert.lengthOf(yield* sessions, 0)
    }).pipe(with_()))

  it.effect("lets a chunk arrive late, so that it brings a deleted session back", () =>
    Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* putChunk("a", [0, 4], 10)
      yield* inject(Fault.late("30 seconds"))
      assert.strictEqual(yield* dropped(putChunk("a", [5, 9], 10)), "ECONNRESET")
      assert.strictEqual((yield* discard()).status, 200)
      yield* TestClock.adjust("29 seconds")
      assert.lengthOf(yield* sessions, 0)
      yield* TestClock.adjust("1 second")
      assert.deepStrictEqual((yield* sessions)[0]!.expected, [{ first: 0, last: 4 }])
    }).pipe(with_()))

  it.effect("rolls a commit back, and then the repeated commit lies", () =>
    Effect.gen(function* () {
      const { files, inject } = yield* Emulator
      yield* putFile("a", "old")
      const version = (yield* files)[0]!.version
      yield* inject(Fault.rollBack, { on: "CommitImageStoreUploadSession" })
      assert.deepInclude(yield* upload("a", "new"), { status: 503, code: "E_ABORT" })
      assert.strictEqual((yield* commit()).status, 200)
      const file = (yield* files)[0]!
      assert.strictEqual(yield* file.text, "old")
      assert.strictEqual(file.version, version)
    }).pipe(with_()))

  it.effect("rolls a commit back to nothing where there was nothing", () =>
    Effect.gen(function* () {
      const { files, inject } = yield* Emulator
      yield* putChunk("a", [0, 4], 5)
      yield* inject(Fault.rollBack)
      assert.strictEqual((yield* commit()).code, "E_ABORT")
      assert.lengthOf(yield* files, 0)
      assert.strictEqual((yield* commit()).status, 200)
      assert.lengthOf(yield* files, 1)
    }).pipe(with_()))

  it.effect("slows the disk of one commit", () =>
    Effect.gen(function* () {
      const { inject } = yield* Emulator
      yield* putChunk("a", [0, 4], 5)
      yield* inject(Fault.slowDisk("10 seconds"))
      const call = yield* Effect.fork(commit())
      yield* TestClock.adjust("9 seconds")
      assert.strictEqual((yield* commit()).code, "OperationsPending")
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* call).status, 200)
    }).pipe(with_()))

  it.effect("names what gateways say when they are busy or get too much", () =>
    Effect.gen(function* () {
      const { inject } = yield* Emulator
      yield* inject(Fault.commitPending)
      yield* inject(Fault.tooLarge)
      assert.deepInclude(yield* commit(), { status: 500, code: "OperationsPending" })
      assert.deepInclude(yield* copy("a", "b"), { status: 413, code: "FABRIC_E_MESSAGE_TOO_LARGE" })
    }).pipe(with_()))

  it.effect("says yes to a chunk and forgets it", () =>
    Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.forgetChunk)
      assert.strictEqual((yield* putChunk("a", [0, 4], 10)).status, 200)
      assert.deepStrictEqual((yield* sessions)[0]!.expected, [{ first: 0, last: 9 }])
    }).pipe(with_()))

  it.effect("loses a message or a reply inside the cluster until the time is over", () =>
    Effect.gen(function* () {
      const { inject, sessions } = yield* Emulator
      yield* inject(Fault.loseMessage)
      yield* inject(Fault.loseReply)
      const first = yield* Effect.fork(putChunk("a", [0, 4], 10, { timeout: 5 }))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* first).code, "FABRIC_E_TIMEOUT")
      assert.lengthOf(yield* sessions, 0)
      const second = yield* Effect.fork(putChunk("a", [0, 4], 10, { timeout: 5 }))
      yield* TestClock.adjust("5 seconds")
      assert.strictEqual((yield* second).code, "FABRIC_E_TIMEOUT")
      assert.lengthOf(yield* sessions, 1)
    }).pipe(with_()))

  it.effect("leaks the body of the chunk that it refuses", () =>
    Effect.gen(function* () {
      const { inject, leaked } = yield* Emulator
      yield* inject(Fault.error("E_ABORT"))
      yield* putChunk("a", [0, 4], 10)
      assert.strictEqual(yield* leaked, 5)
    }).pipe(with_()))
})

describe("a fault plan", () => {
  const statuses = (plan: FaultPlan) =>
    Effect.forEach(
      Array.from({ length: 200 }),
      () =>
        Effect.match(getSession(), { onSuccess: ({ status }) => String(status), onFailure: () => "dropped" }),
    ).pipe(with_({ faults: plan }))

  it.effect("by seed repeats itself, also when it is shared", () =>
    Effect.gen(function* () {
      const faults = [Fault.error("E_ABORT"), Fault.reset]
      const plan = FaultPlan.random({ seed: 7, probability: 0.3, faults })
      const first = yield* statuses(plan)
      assert.deepStrictEqual(yield* statuses(plan), first)
      assert.notDeepEqual(yield* statuses(FaultPlan.random({ seed: 8, probability: 0.3, faults })), first)
      const struck = first.filter((status) => status !== "204").length
      assert.isAbove(struck, 30)
      assert.isBelow(struck, 90)
    }))

  it.effect("can leave operations alone", () =>
    Effect.gen(function* () {
      const plan = FaultPlan.random({ seed: 7, probability: 1, on: ["UploadFile"] })
      assert.isTrue((yield* statuses(plan)).every((status) => status === "204"))
    }))

  it.effect("of one's own sees what arrives", () =>
    Effect.gen(function* () {
      yield* putChunk("App/a", [5, 9], 10)
      yield* putChunk("App/a", [0, 4], 10)
      assert.strictEqual((yield* list("App")).code, "FABRIC_E_NOT_READY")
    }).pipe(with_({
      faults: FaultPlan.make(() => {
        const seen: Array<unknown> = []
        return (arrival) => {
          seen.push([arrival.path, arrival.start, arrival.opens])
          const expected = [["App/a", 5, true], ["App/a", 0, false], ["App", undefined, false]]
          return JSON.stringify(seen) === JSON.stringify(expected)
            ? Fault.error("FABRIC_E_NOT_READY")
            : undefined
        }
      }),
    })))

  it.effect("of the product drops every 11th chunk and every 23rd answer of one, and the 20th finds no session", () =>
    Effect.gen(function* () {
      const { sessions } = yield* Emulator
      const codes: Array<string | undefined> = []
      for (let n = 0; n < 26; n++) {
        const call = yield* Effect.fork(putChunk("a", [n, n], 100, { timeout: 1 }))
        yield* TestClock.adjust("1 second")
        codes.push((yield* call).code)
      }
      const struck = codes.flatMap((code, n) => code === undefined ? [] : [`${n + 1} ${code}`])
      assert.deepStrictEqual(struck, [
        "11 FABRIC_E_TIMEOUT",
        "20 NotFound",
        "22 FABRIC_E_TIMEOUT",
        "26 FABRIC_E_TIMEOUT",
      ])
      const lost = [10, 19, 21].map((at) => ({ first: at, last: at }))
      assert.deepStrictEqual((yield* sessions)[0]!.expected, [...lost, { first: 26, last: 99 }])
    }).pipe(with_({ faults: FaultPlan.product })))

  it.effect("of the product drops every 9th commit and every 11th answer of one, and the 19th finds no session", () =>
    Effect.gen(function* () {
      yield* putChunk("a", [0, 9], 10)
      const codes: Array<string | undefined> = []
      for (let n = 0; n < 19; n++) {
        const call = yield* Effect.fork(commit({ timeout: 1 }))
        yield* TestClock.adjust("1 second")
        codes.push((yield* call).code)
      }
      const struck = codes.flatMap((code, n) => code === undefined ? [] : [`${n + 1} ${code}`])
      assert.deepStrictEqual(struck, [
        "9 FABRIC_E_TIMEOUT",
        "12 FABRIC_E_TIMEOUT",
        "18 FABRIC_E_TIMEOUT",
        "19 NotFound",
      ])
    }).pipe(with_({ faults: FaultPlan.product })))

  it.effect("of the product loses chunks at known places and stalls", () =>
    Effect.gen(function* () {
      const { sessions } = yield* Emulator
      const size = 2 ** 26
      yield* putChunk("a", [31457280, 31457280], size)
      assert.deepStrictEqual((yield* sessions)[0]!.expected, [{ first: 0, last: size - 1 }])
      yield* putChunk("a", [31457280, 31457280], size)
      assert.lengthOf((yield* sessions)[0]!.expected, 2)
      const stalled = yield* Effect.fork(putChunk("a", [9437184, 9437184], size))
      yield* TestClock.adjust("14 seconds")
      assert.isTrue(yield* isWaiting(stalled))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* stalled).status, 200)
      const slow = yield* Effect.fork(putChunk("a.XML", [0, 0], 1, { id: T }))
      yield* TestClock.adjust("34 seconds")
      assert.isTrue(yield* isWaiting(slow))
      yield* TestClock.adjust("1 second")
      assert.strictEqual((yield* slow).status, 200)
    }).pipe(with_({ faults: FaultPlan.product })))
})
