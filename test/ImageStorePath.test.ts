import { assert, describe, it } from "@effect/vitest"
import * as Either from "effect/Either"
import * as FastCheck from "effect/FastCheck"
import * as Schema from "effect/Schema"
import { ImageStorePath } from "../mod.ts"
import { escapePath, ImageStorePathFromWire } from "../src/ImageStorePath.ts"

const decode = Schema.decodeUnknownEither(ImageStorePath)

describe("ImageStorePath", () => {
  it.prop("survives the way through a URL", [ImageStorePath], ([path]) => {
    const { pathname } = new URL(`http://host/ImageStore/${escapePath(path)}/x`)
    assert.deepStrictEqual(pathname.split("/").slice(2, -1).map(decodeURIComponent), path.split("/"))
  })

  for (
    const path of [
      "a",
      "App/Code/app.dll",
      "App Type/é/文件.txt",
      "a/_.dir",
      "x".repeat(200),
      "文".repeat(28),
      "a+b&c=d;e,f@g'h(i)!~",
      "a..b",
    ]
  ) {
    it(`takes "${path.slice(0, 40)}"`, () => assert.isTrue(Either.isRight(decode(path))))
  }

  for (
    const [path, why] of [
      ["", "at least one name"],
      ["/a", "empty"],
      ["a/", "empty"],
      ["a//b", "empty"],
      [".", "refuses"],
      ["a/../b", "refuses"],
      ["a/$/b", "action"],
      ["a\\b", "write /"],
      ["a%20b", "decode twice"],
      ["a#b", "lose"],
      ["a?b", "lose"],
      ["a\u0000", "control character"],
      ["a\nb", "control character"],
      ["a.", "trims"],
      ["a ", "trims"],
      [" a", "trims"],
      ["a/b./c", "trims"],
      ["a:b", "Windows"],
      ["x".repeat(201), "201 characters"],
      ["文".repeat(29), "261 characters when it is escaped"],
      ["😀".repeat(22), "264 characters when it is escaped"],
      ["a\u00a0", "trims"],
      ["\u3000a", "trims"],
      ["a\ufeff/b", "trims"],
      ["\ud800", "surrogate"],
    ] as const
  ) {
    it(`refuses ${JSON.stringify(path.slice(0, 20))}, and says why`, () => {
      const result = decode(path)
      assert.include(Either.isLeft(result) ? String(result.left) : "", why)
    })
  }

  it("reads both separators of the wire", () => {
    const read = Schema.decodeSync(ImageStorePathFromWire)
    assert.strictEqual(read("Store\\CalcServiceApp\\a.xml"), "Store/CalcServiceApp/a.xml")
    assert.strictEqual(read("Store/CalcServiceApp"), "Store/CalcServiceApp")
  })

  it.prop(
    "either takes a text or says why not, never anything else",
    [FastCheck.string({ unit: "binary" })],
    ([text]) => {
      const result = decode(text)
      if (Either.isRight(result)) assert.strictEqual(result.right as string, text)
      else assert.isAbove(String(result.left).length, 20)
    },
  )
})
