import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { deleteUploadSession, DeleteUploadSessionParams, FabricError, putChunk } from "../mod.ts"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import {
  cluster,
  clusterWith,
  failure,
  inject,
  inTime,
  requests,
  requestsOf,
  S,
  T,
} from "./support/cluster.ts"

const openSession = putChunk({
  path: "App/a.bin",
  sessionId: S,
  range: { first: 0, last: 3 },
  size: 8,
  bytes: new Uint8Array(4),
})

const deletions = requestsOf("DeleteImageStoreUploadSession")

describe("deleteUploadSession", () => {
  it.effect("deletes the session and its chunks", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* openSession
      assert.strictEqual(yield* emulator.staged, 4)
      assert.isUndefined(yield* deleteUploadSession({ sessionId: S }))
      assert.deepStrictEqual(yield* emulator.sessions, [])
      assert.strictEqual(yield* emulator.staged, 0)
    }).pipe(Effect.provide(cluster)))

  it.effect("sends exactly the request of the REST reference", () =>
    Effect.gen(function* () {
      yield* openSession
      yield* deleteUploadSession({ sessionId: S.toUpperCase(), timeout: 17 })
      const [request] = yield* deletions
      assert.strictEqual(request?.method, "DELETE")
      assert.strictEqual(
        request?.url,
        "http://one:19080/ImageStore/$/DeleteUploadSession?api-version=6.0" +
          "&session-id=4a2340e8-d8d8-497c-95fe-cdaa1052f33b&timeout=17",
      )
      assert.strictEqual(request?.bodyBytes, 0)
      const headers = Object.fromEntries(
        Object.entries(request!.headers).map(([k, v]) => [k.toLowerCase(), v]),
      )
      assert.match(headers["x-servicefabricrequestid"] ?? "", /^[0-9a-f-]{36}$/)
      assert.isString(headers["x-servicefabricclienttype"])
    }).pipe(Effect.provide(cluster)))

  it.effect("sends a timeout of 60 seconds unless told otherwise", () =>
    Effect.gen(function* () {
      yield* openSession
      yield* deleteUploadSession({ sessionId: S })
      assert.match((yield* deletions)[0]!.url, /&timeout=60$/)
    }).pipe(Effect.provide(cluster)))

  it.effect("sends the timeout of the configuration where the call names none", () =>
    Effect.gen(function* () {
      yield* openSession
      yield* deleteUploadSession({ sessionId: S })
      assert.match((yield* deletions)[0]!.url, /&timeout=25$/)
    }).pipe(Effect.provide(clusterWith({ timeout: 25 }))))

  it.effect("takes a 200 for success, whatever its body", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      for (
        const body of [
          "",
          "<html>fine</html>",
          '{"Error":{"Code":"E_FAIL","Message":"no"}}',
          "x".repeat(200_000),
        ]
      ) {
        yield* emulator.inject(Fault.answer({ status: 200, body }), { on: "DeleteImageStoreUploadSession" })
        yield* deleteUploadSession({ sessionId: S })
      }
    }).pipe(Effect.provide(cluster)))

  it.effect("fails as not found for a session that the cluster does not know", () =>
    Effect.gen(function* () {
      const error = yield* failure(deleteUploadSession({ sessionId: T }))
      assert.isTrue(FabricError.isNotFound(error))
      assert.isTrue(error.isNotFound)
      assert.deepStrictEqual(error.reason, { _tag: "Rejected", status: 404, code: "NotFound", detail: "" })
      assert.strictEqual(error.attempts, 1)
      assert.strictEqual(error.operation, "DeleteImageStoreUploadSession")
      assert.strictEqual(error.endpoint, "one:19080")
    }).pipe(Effect.provide(cluster)))

  it.effect("fails as not found the second time", () =>
    Effect.gen(function* () {
      yield* openSession
      yield* deleteUploadSession({ sessionId: S })
      assert.isTrue((yield* failure(deleteUploadSession({ sessionId: S }))).isNotFound)
    }).pipe(Effect.provide(cluster)))

  for (
    const [name, fault] of [
      ["a lost answer", Fault.dropAnswer],
      ["a 504 after the work", Fault.loseReply],
    ] as const
  ) {
    it.effect(`takes not found for success after ${name}`, () =>
      Effect.gen(function* () {
        const emulator = yield* Emulator
        yield* openSession
        yield* emulator.inject(fault, { on: "DeleteImageStoreUploadSession" })
        yield* inTime(deleteUploadSession({ sessionId: S }))
        assert.deepStrictEqual((yield* deletions).map(({ status }) => status).at(-1), 404)
      }).pipe(Effect.provide(cluster)))
  }

  for (const [status, code] of [[503, "E_ABORT"], [504, "FABRIC_E_TIMEOUT"]] as const) {
    it.effect(`takes not found for success after a ${status}, which may come after the work`, () =>
      Effect.gen(function* () {
        const emulator = yield* Emulator
        yield* emulator.inject(Fault.reply(status, code), { on: "DeleteImageStoreUploadSession" })
        yield* inTime(deleteUploadSession({ sessionId: T }))
      }).pipe(Effect.provide(cluster)))
  }

  it.effect("still fails as not found after a refused connection, which cannot have worked", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* emulator.inject(Fault.refuse)
      const error = yield* failure(inTime(deleteUploadSession({ sessionId: T })))
      assert.isTrue(error.isNotFound)
      assert.strictEqual(error.attempts, 2)
    }).pipe(Effect.provide(cluster)))

  it.effect("does not take a proxy's 404 after a lost answer for success", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* openSession
      yield* emulator.inject(Fault.reset)
      yield* emulator.inject(Fault.answer({ status: 404, body: "<h1>Not Found</h1>" }))
      const error = yield* failure(inTime(deleteUploadSession({ sessionId: S })))
      assert.isFalse(error.isNotFound)
      assert.deepStrictEqual(error.reason, {
        _tag: "Rejected",
        status: 404,
        code: undefined,
        detail: "Not Found",
      })
    }).pipe(Effect.provide(cluster)))

  it.effect("does not take a 404 with another code for not found", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* emulator.inject(Fault.reply(404, "FABRIC_E_SERVICE_DOES_NOT_EXIST"))
      const error = yield* failure(deleteUploadSession({ sessionId: S }))
      assert.isFalse(error.isNotFound)
      assert.include(error.message, "file share")
    }).pipe(Effect.provide(cluster)))

  it.effect("tells a Linux cluster by one question, asked once", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      for (let i = 0; i < 3; i++) {
        const error = yield* failure(deleteUploadSession({ sessionId: S }))
        assert.deepStrictEqual(error.reason, { _tag: "SessionsUnsupported" })
      }
      const asked = (yield* emulator.requests).filter(({ method }) => method === "GET")
      assert.strictEqual(asked.length, 1)
    }).pipe(Effect.provide(clusterWith({}, { os: "linux" }))))

  it.effect("does not take a single bad argument for a Linux cluster", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      yield* emulator.inject(Fault.reply(400, "E_INVALIDARG"), { on: "DeleteImageStoreUploadSession" })
      const error = yield* failure(deleteUploadSession({ sessionId: S }))
      assert.strictEqual(error.reason._tag, "Rejected")
    }).pipe(Effect.provide(cluster)))

  it.effect("does not take a gateway that says nothing to that question for a Linux cluster", () =>
    Effect.gen(function* () {
      yield* inject(Fault.reply(400, "E_INVALIDARG"), "DeleteImageStoreUploadSession")
      yield* inject(Fault.reset, "GetImageStoreUploadSessionById")
      const error = yield* failure(deleteUploadSession({ sessionId: S }))
      assert.strictEqual(error.reason._tag, "Rejected")
    }).pipe(Effect.provide(cluster)))

  it.effect("does not ask a cluster that has shown it has sessions", () =>
    Effect.gen(function* () {
      yield* openSession
      yield* inject(Fault.reply(400, "E_INVALIDARG"), "DeleteImageStoreUploadSession")
      assert.strictEqual((yield* failure(deleteUploadSession({ sessionId: S }))).reason._tag, "Rejected")
      assert.deepStrictEqual(yield* requestsOf("GetImageStoreUploadSessionById"), [])
    }).pipe(Effect.provide(cluster)))

  const refused = (params: unknown, field: string) =>
    Effect.gen(function* () {
      const error = yield* failure(deleteUploadSession(params as { sessionId: string }))
      assert.strictEqual(error.reason._tag, "InvalidParams")
      assert.strictEqual(error.reason._tag === "InvalidParams" && error.reason.field, field)
      assert.strictEqual(error.attempts, 0)
      assert.deepStrictEqual(yield* requests, [])
      return error
    })

  it.effect.prop(
    "sends nothing for anything that is not a session id",
    [FastCheck.oneof(
      FastCheck.string(),
      FastCheck.anything(),
      FastCheck.uuid().map((id) => `{${id}}`),
      FastCheck.uuid().map((id) => id.replaceAll("-", "")),
      FastCheck.uuid().map((id) => ` ${id}`),
      FastCheck.constant("00000000-0000-0000-0000-000000000000"),
    )],
    ([sessionId]) => Effect.asVoid(refused({ sessionId }, "sessionId")).pipe(Effect.provide(cluster)),
  )

  it.effect.prop(
    "sends nothing for anything that is not a timeout",
    [FastCheck.oneof(
      FastCheck.constantFrom(0, -1, 0.5, 4294967296, NaN, Infinity, "60", null),
      FastCheck.integer({ max: 0 }),
      FastCheck.double().filter((n) => !Number.isInteger(n)),
      FastCheck.string(),
    )],
    ([timeout]) => Effect.asVoid(refused({ sessionId: S, timeout }, "timeout")).pipe(Effect.provide(cluster)),
  )

  it.effect("names what is missing, and what would be right", () =>
    Effect.gen(function* () {
      assert.include((yield* refused({}, "sessionId")).message, "is missing")
      assert.include((yield* refused({ sessionId: "xyz" }, "sessionId")).message, "such as 4a2340e8-")
      assert.include(
        (yield* refused({ sessionId: S, timeout: 0 }, "timeout")).message,
        "from 1 to 4294967295, got 0",
      )
      yield* refused(undefined, "params")
    }).pipe(Effect.provide(cluster)))

  it("does not repeat a text that may be a secret pasted in the wrong place", () => {
    for (const sessionId of ["hunter2-token", { token: "hunter2-token" }, ["hunter2-token"]]) {
      const result = Schema.decodeUnknownEither(DeleteUploadSessionParams)({ sessionId })
      assert.strictEqual(result._tag, "Left")
    }
    return Effect.runPromise(
      Effect.forEach(
        ["hunter2-token", { token: "hunter2-token" }, ["hunter2-token"]],
        (sessionId) =>
          Effect.map(
            refused({ sessionId }, "sessionId"),
            (error) => assert.notInclude(error.message, "hunter2"),
          ),
      )
        .pipe(Effect.provide(cluster)),
    )
  })
})
