import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import { parseThumbprint } from "../src/credentials/ServerCertificate.ts"

const SHA1 = "A8136758F4AB8962AF2BF3F27921BE1DF67F4326"
const SHA256 = "EF86996BE4729036B69999 42A4F86865B5B3CA0DB0817125CDC373E8AFAE10BD".replaceAll(" ", "")

describe("a thumbprint", () => {
  for (
    const [name, text, thumbprint] of [
      ["may be SHA-1", SHA1, SHA1],
      ["may be SHA-256", SHA256, SHA256],
      ["may be in small letters", SHA1.toLowerCase(), SHA1],
      ["may have colons, as OpenSSL writes it", SHA256.replace(/..(?=.)/g, "$&:"), SHA256],
      [
        "may come from the dialog of Windows, with blanks and a mark that nobody sees",
        `\u200e${SHA1.toLowerCase().replace(/../g, "$& ")}`,
        SHA1,
      ],
    ] as const
  ) {
    it(name, () => assert.deepStrictEqual(parseThumbprint(text), Either.right(thumbprint)))
  }

  for (
    const [name, text] of [
      ["is not empty", ""],
      ["is not cut short", SHA1.slice(1)],
      ["is nothing in between", `${SHA1}00`],
      ["has hex digits only", `G${SHA1.slice(1)}`],
      ["is one", `${SHA1};${SHA1}`],
    ] as const
  ) {
    it(`${name}, or is refused by its text`, () => {
      const issue = Either.getOrThrow(Either.flip(parseThumbprint(text)))
      assert.include(issue, "the 40 hex digits of a SHA-1 thumbprint")
      assert.include(issue, `got "${text}"`)
    })
  }

  it("that is something else altogether is not repeated as a whole", () => {
    const issue = Either.getOrThrow(
      Either.flip(parseThumbprint(`-----BEGIN PRIVATE KEY-----${"hunter2".repeat(20)}`)),
    )
    assert.notInclude(issue, "hunter2")
  })
})
