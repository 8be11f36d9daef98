import { assert, describe, it } from "@effect/vitest"
import * as Schema from "effect/Schema"
import { readFileSync } from "node:fs"
import { SessionId, UploadSession } from "../mod.ts"
import { Count } from "../src/client/wire.ts"
import { UploadSessions } from "../src/UploadSession.ts"

const sample = (name: string) =>
  JSON.parse(readFileSync(new URL(`./fixtures/${name}.json`, import.meta.url), "utf8"))

describe("UploadSession", () => {
  it("reads the published example of a session by id, misprinted date included", () => {
    const { sessions: [session] } = Schema.decodeUnknownSync(UploadSessions)(sample("GetUploadSessionById"))
    assert.deepStrictEqual(session, {
      sessionId: "4a2340e8-d8d8-497c-95fe-cdaa1052f33b" as SessionId,
      path: "SwaggerTest/Common.dll" as UploadSession["path"],
      size: 2097152,
      modified: new Date("2017-09-28T17:06:47.260Z"),
      expected: [{ first: 0, last: 402128 }, { first: 730105, last: 2097151 }],
    })
  })

  it("reads the published example of sessions by path", () => {
    const { sessions } = Schema.decodeUnknownSync(UploadSessions)(sample("GetUploadSessionByPath"))
    assert.deepStrictEqual(sessions.map(({ sessionId }) => sessionId as string), [
      "2032ac6c-a348-4594-86da-dab0f2bb1ae1",
      "fb2da2b2-7cb4-45d2-a2e6-c4888d205bc5",
    ])
  })

  it.prop("is written as it is read", [UploadSession], ([session]) => {
    const wire = Schema.encodeSync(UploadSession)(session)
    assert.deepStrictEqual(Schema.decodeSync(UploadSession)(wire), session)
  })
})

describe("SessionId", () => {
  it.prop("reads either case and keeps the lower", [SessionId], ([id]) => {
    assert.strictEqual(Schema.decodeSync(SessionId)(id.toUpperCase()), id)
  })
})

describe("Count", () => {
  const read = Schema.decodeUnknownEither(Count)

  it("is exact, or refused", () => {
    assert.deepStrictEqual(read("9007199254740991"), read(9007199254740991))
    for (
      const text of [
        "9007199254740992",
        "18446744073709551615",
        "-1",
        "1.5",
        "",
        "x",
        "0x10",
        1e300,
        NaN,
        null,
      ]
    ) {
      assert.strictEqual(read(text)._tag, "Left", String(text))
    }
  })
})
