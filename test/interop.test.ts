import * as OldSchema from "@effect/schema/Schema"
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { deleteUploadSession, getUploadSession } from "../mod.ts"
import { Emulator } from "../src/emulator/mod.ts"
import { cluster, failure, S } from "./support/cluster.ts"

/** A model of an app that has not moved to `effect/Schema` yet. */
class Deployment extends OldSchema.Class<Deployment>("Deployment")({
  name: OldSchema.NonEmptyString,
  sessionId: OldSchema.UUID,
  timeout: OldSchema.optional(OldSchema.Positive),
}) {}

describe("an app with @effect/schema", () => {
  it.effect("calls us with its own models", () =>
    Effect.gen(function* () {
      const deployment = yield* OldSchema.decodeUnknown(Deployment)({
        name: "calc",
        sessionId: S,
        timeout: 30,
      })
      const error = yield* failure(deleteUploadSession(deployment))
      assert.isTrue(error.isNotFound)
      assert.match((yield* (yield* Emulator).requests)[0]!.url, /&timeout=30$/)
    }).pipe(Effect.provide(cluster)))

  it.effect("runs both schemas in one program", () =>
    Effect.gen(function* () {
      const ids = yield* OldSchema.decodeUnknown(OldSchema.Array(OldSchema.UUID))([S])
      const found = yield* Effect.forEach(ids, (sessionId) => getUploadSession({ sessionId }))
      assert.strictEqual(found[0]?._tag, "None")
    }).pipe(Effect.provide(cluster)))
})
