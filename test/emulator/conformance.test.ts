/** One suite over every face of the gateway: what protocol.md says, literally. */
import { describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { env } from "node:process"
import { expect } from "vitest"
import { type Expected, gatewayCases } from "../fixtures/gatewayCases.ts"
import { type Face, inProcess, type RawReply, real, served } from "./support/faces.ts"

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

/** In expected bodies U+0001 stands for the platform's separator as JSON writes it. */
const check = (reply: RawReply, expected: Expected, os: "windows" | "linux"): void => {
  const seen = {
    status: reply.status,
    reason: reply.reason,
    body: comparable(reply.body),
    type: typeOf(reply),
  }
  const body = expected.body?.replaceAll("\u0001", os === "windows" ? "\\\\" : "/")
  expect(seen).toMatchObject(body === undefined ? expected : { ...expected, body })
}

const suite = (face: Face, only: (cleansUp: boolean) => boolean) => {
  for (const os of ["windows", "linux"] as const) {
    const cases = gatewayCases.filter((each) => each.os.includes(os) && only(each.cleansUp ?? false))
    describe(`${face.name}, ${os}`, () => {
      for (const each of cases) {
        it.scoped(each.name, () =>
          Effect.gen(function* () {
            const { send } = yield* face.start({ ...each.options, os })
            for (const [request, expected] of each.steps) check(yield* send(request), expected, os)
          }))
      }
    })
  }
}

const everything = () => true
suite(inProcess, everything)
suite(served, everything)

const endpoint = env["FABRIC_CONFORMANCE_ENDPOINT"]
if (endpoint !== undefined) suite(real(endpoint), (cleansUp) => cleansUp)
