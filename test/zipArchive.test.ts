import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { Emulator, Fault } from "../src/emulator/mod.ts"
import type { PackageOptions } from "../src/PackageEvent.ts"
import { uploadPackage } from "../src/uploadPackage.ts"
import { failure } from "./support/cluster.ts"
import { fileOf, shop, shopMarkers, stored } from "./support/packages.ts"
import { run } from "./support/uploads.ts"
import { unzip, zip, type ZipEntry } from "./support/zips.ts"

const entriesOf = (files: Readonly<Record<string, unknown>>): ReadonlyArray<ZipEntry> =>
  Object.entries(files).map(([name, text]) => ({ name, text: text as string }))

const upload = (entries: ReadonlyArray<ZipEntry>, options: PackageOptions = {}, name = "Shop.sfpkg") =>
  Effect.flatMap(
    fileOf(name, zip(entries)),
    (source) => Stream.runCollect(uploadPackage(source, undefined, options)),
  )

/** The message of the refusal of an archive without manifests, for which nothing may have been written. */
const refusal = (entries: ReadonlyArray<ZipEntry>, options: PackageOptions = {}) =>
  Effect.gen(function* () {
    const { message } = yield* failure(upload(entries, { validate: false, ...options }))
    const requests = yield* (yield* Emulator).requests
    assert.deepStrictEqual(requests.filter(({ method }) => method !== "GET"), [])
    return message
  })

const expected = {
  ...Object.fromEntries(Object.entries(shop).map(([name, text]) => [`Shop/${name}`, text])),
  ...Object.fromEntries(shopMarkers.map((name) => [`Shop/${name}`, ""])),
}

describe("an archive", () => {
  for (const name of ["Shop.sfpkg", "Shop.zip", "Shop.ZIP"]) {
    it.effect(`called ${name} is brought like its folder`, () =>
      run(Effect.gen(function* () {
        yield* upload(entriesOf(shop), {}, name)
        assert.deepStrictEqual(yield* stored, expected)
      })))
  }

  it.effect("may hold folders, stored entries and names with \\", () =>
    run(Effect.gen(function* () {
      yield* upload([
        ...entriesOf(shop).map(({ name, text }) => ({
          name: name.replaceAll("/", "\\"),
          text: text!,
          stored: true,
        })),
        { name: "Web/" },
        { name: "Web/Empty/" },
      ])
      assert.deepStrictEqual(yield* stored, { ...expected, "Shop/Web/Empty/_.dir": "" })
    })))

  it.effect("may hold large entries, which go by sessions", () =>
    run(Effect.gen(function* () {
      const files = {
        ...shop,
        "Web/Code/big.dll": "0123456789".repeat(5000),
        "Web/Code/other.dll": "x".repeat(7777),
      }
      yield* upload(entriesOf(files), { chunkSize: 1024, concurrency: 3 })
      assert.strictEqual((yield* stored)["Shop/Web/Code/big.dll"], files["Web/Code/big.dll"])
      assert.strictEqual((yield* stored)["Shop/Web/Code/other.dll"], files["Web/Code/other.dll"])
      assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
    })))

  it.effect("is read again where a request has to be repeated", () =>
    run(Effect.gen(function* () {
      yield* (yield* Emulator).inject(Fault.reply(503, "E_ABORT"), { on: "UploadFile", times: 3 })
      yield* upload(entriesOf(shop))
      assert.deepStrictEqual(yield* stored, expected)
    })))

  it.effect("can be compressed inside", () =>
    run(Effect.gen(function* () {
      yield* upload(entriesOf(shop), { compress: true })
      const code = (yield* (yield* Emulator).files).find(({ path }) => path === "Shop/Web/Code.zip")!
      assert.deepStrictEqual(Object.keys(unzip(yield* code.bytes)), ["web.exe", "wwwroot/index.html"])
    })))
})

describe("an archive is refused", () => {
  it.effect("with names that leave it, all told at once", () =>
    run(Effect.gen(function* () {
      const message = yield* refusal([
        { name: "../evil.txt", text: "1" },
        { name: "a/../../evil.txt", text: "2" },
        { name: "/etc/passwd", text: "3" },
        { name: "C:\\Windows\\evil.dll", text: "4" },
        { name: "..\\evil.txt2", text: "5" },
        { name: "fine.txt", text: "6" },
        { name: "./_.dir" },
      ])
      for (
        const name of ["../evil.txt", "a/../../evil.txt", "/etc/passwd", "C:/Windows/evil.dll", "./_.dir"]
      ) assert.include(message, `- "${name}" cannot be stored: `)
      assert.include(message, "5 things are wrong")
    })))

  it.effect("with a folder whose name cannot be, told once", () =>
    run(Effect.gen(function* () {
      const message = yield* refusal([
        { name: "a?/one.txt", text: "1" },
        { name: "a?/b/two.txt", text: "2" },
        { name: "a?/b/thr#ee.txt", text: "3" },
        { name: "a?/", text: "" },
        { name: "fine.txt", text: "4" },
      ])
      assert.include(message, ': "a?" cannot be stored: ')
    })))

  it.effect("with duplicate names, encrypted entries, links and rare methods", () =>
    run(Effect.gen(function* () {
      const message = yield* refusal([
        { name: "twice.txt", text: "1" },
        { name: "twice.txt", text: "2" },
        { name: "secret.txt", text: "3", encrypted: true },
        { name: "link", text: "/etc/passwd", link: true },
        { name: "lzma.bin", text: "4", method: 14 },
        { name: "both", text: "5" },
        { name: "both/a.txt", text: "6" },
      ])
      for (
        const problem of [
          "5 things",
          "twice.txt is in the archive twice",
          "secret.txt is encrypted",
          "link is a link",
          "lzma.bin is compressed by method 14",
          "both is a file and a folder",
        ]
      ) assert.include(message, problem)
    })))

  it.effect("that would unpack to more than the limit", () =>
    run(Effect.gen(function* () {
      const entries = [{ name: "a.txt", text: "a".repeat(100_000) }]
      assert.include(yield* refusal(entries, { unpackedLimit: 99_999 }), "unpack to 100000")
      yield* upload(entries, { validate: false, unpackedLimit: 100_000 })
    })))

  it.effect("that claims to unpack to gigabytes out of nothing", () =>
    run(Effect.gen(function* () {
      const message = yield* refusal([{ name: "bomb", text: "boom", declared: 2 ** 31 }])
      assert.include(message, "unpack to 2147483648, more than the limit of 1073741824")
    })))

  it.effect("that is no archive", () =>
    run(Effect.gen(function* () {
      const source = yield* fileOf(
        "Shop.sfpkg",
        new TextEncoder().encode("not a zip file, but long enough for one"),
      )
      const { message } = yield* failure(Stream.runCollect(uploadPackage(source)))
      assert.include(message, "not a zip file that can be read")
    })))

  it.effect("without a manifest, unless it is not to be validated", () =>
    run(Effect.gen(function* () {
      const { message } = yield* failure(upload([{ name: "pkg/ApplicationManifest.xml", text: "x" }]))
      assert.include(message, "there is pkg/ApplicationManifest.xml: upload the folder that it is in")
    })))
})

describe("an entry that is not what the archive says leaves nothing behind", () => {
  const attempt = (archive: Uint8Array, chunkSize: number) =>
    Effect.gen(function* () {
      const source = yield* fileOf("Shop.zip", archive)
      const error = yield* failure(
        Stream.runCollect(uploadPackage(source, undefined, { validate: false, chunkSize })),
      )
      assert.strictEqual(error._tag, "SourceError")
      assert.include(error.message, "data.bin of ")
      assert.deepStrictEqual(yield* stored, {})
      assert.deepStrictEqual(yield* (yield* Emulator).sessions, [])
      assert.strictEqual(yield* (yield* Emulator).staged, 0)
    })
  const text = "0123456789".repeat(50)

  for (const chunkSize of [100, 1000]) {
    const way = chunkSize === 100 ? "in chunks" : "at once"
    it.effect(`when it is longer, ${way}`, () =>
      run(attempt(zip([{ name: "data.bin", text, declared: 300 }]), chunkSize)))
    it.effect(`when it is shorter, ${way}`, () =>
      run(attempt(zip([{ name: "data.bin", text, declared: 700 }]), chunkSize)))
    it.effect(`when it has other bytes, ${way}`, () => {
      const archive = zip([{ name: "data.bin", text, stored: true }])
      archive[40] = archive[40]! ^ 1
      return run(attempt(archive, chunkSize))
    })
    it.effect(`when it shares its bytes with another, ${way}`, () =>
      run(attempt(
        zip([
          { name: "data.bin", text, stored: true },
          { name: "sub/data.bin", text, stored: true, sharesBytesOf: 0 },
        ]),
        chunkSize,
      )))
  }
})
