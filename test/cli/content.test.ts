import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Emulator, Fault } from "../../src/emulator/mod.ts"
import { imageStore } from "./terminal.ts"

const AT = "--endpoint http://one:19080"
const files = { "App/_.dir": "", "App/Code/a.dll": "x".repeat(2048), "App/b.xml": "<b/>", "c.txt": "c" }
const store = Emulator.layer({ files })

describe("ls", () => {
  it.effect("lists the root, a folder and a file", () =>
    Effect.gen(function* () {
      expect((yield* imageStore(`ls ${AT}`)).out).toBe(
        "SIZE  MODIFIED              PATH\n 1 B  1970-01-01 00:00:00Z  c.txt\n      3 files               App/",
      )
      const folder = (yield* imageStore(`ls App ${AT}`)).out
      expect(folder).toContain("App/b.xml")
      expect(folder).toContain("1 file                App/Code/")
      expect((yield* imageStore(`ls App/Code/a.dll ${AT}`)).out).toContain("2.0 KiB")
    }).pipe(Effect.provide(store)))

  it.effect("prints entries as JSON", () =>
    Effect.gen(function* () {
      expect(JSON.parse((yield* imageStore(`ls ${AT} --json`)).out)).toEqual([
        {
          _tag: "File",
          path: "c.txt",
          size: 1,
          version: expect.any(String),
          modified: "1970-01-01T00:00:00.000Z",
        },
        { _tag: "Folder", path: "App", fileCount: 3 },
      ])
    }).pipe(Effect.provide(store)))

  it.effect("tells an empty store from a path that is not there", () =>
    Effect.gen(function* () {
      expect(yield* imageStore(`ls ${AT}`)).toMatchObject({
        code: 0,
        out: "",
        err: "The image store is empty.",
      })
      expect((yield* imageStore(`ls ${AT} --json`)).out).toBe("[]")
      expect((yield* imageStore(`ls nowhere ${AT}`)).code).toBe(1)
    }).pipe(Effect.provide(Emulator.layer())))
})

describe("rm", () => {
  it.effect("deletes a file without a question", () =>
    Effect.gen(function* () {
      expect(yield* imageStore(`rm c.txt ${AT}`)).toMatchObject({
        code: 0,
        out: "Deleted c.txt.",
        err: "Cluster: http://one:19080 (from --endpoint)",
        questions: [],
      })
    }).pipe(Effect.provide(store)))

  it.effect("asks before a folder goes, and does as it is told", () =>
    Effect.gen(function* () {
      const emulator = yield* Emulator
      const no = yield* imageStore(`rm App ${AT}`, { answer: false })
      expect(no).toMatchObject({ code: 1, out: "", questions: ["Delete folder App with 3 files?"] })
      expect(no.err).toContain("Nothing was deleted")
      expect(yield* emulator.files).toHaveLength(4)
      expect((yield* imageStore(`rm App ${AT}`, { answer: true })).code).toBe(0)
      expect((yield* emulator.files).map(({ path }) => path)).toEqual(["c.txt"])
    }).pipe(Effect.provide(store)))

  it.effect("wants --yes where it cannot ask", () =>
    Effect.gen(function* () {
      const ran = yield* imageStore(`rm App ${AT}`)
      expect(ran.code).toBe(2)
      expect(ran.err).toContain("Add --yes to delete folder App with 3 files")
      expect(yield* (yield* Emulator).files).toHaveLength(4)
      expect((yield* imageStore(`rm App --yes ${AT}`)).out).toBe("Deleted App.")
      expect(yield* (yield* Emulator).files).toHaveLength(1)
    }).pipe(Effect.provide(store)))

  it.effect("does not take a folder for nothing that cannot be listed, and deletes it with --yes", () =>
    Effect.gen(function* () {
      const { files, inject } = yield* Emulator
      yield* inject(Fault.reply(404, "FABRIC_E_FILE_NOT_FOUND"), { on: "GetImageStoreContent", times: 2 })
      const ran = yield* imageStore(`rm App ${AT}`, { answer: true })
      expect(ran.code).toBe(1)
      expect(ran.err).toContain("FABRIC_E_FILE_NOT_FOUND")
      expect(yield* files).toHaveLength(4)
      expect((yield* imageStore(`rm App --yes ${AT}`)).out).toBe("Deleted App.")
      expect(yield* files).toHaveLength(1)
    }).pipe(Effect.provide(store)))

  it.effect("succeeds where nothing is, and says so", () =>
    Effect.gen(function* () {
      expect(yield* imageStore(`rm nowhere ${AT}`)).toMatchObject({
        code: 0,
        out: "There was nothing at nowhere.",
      })
      expect(JSON.parse((yield* imageStore(`rm nowhere --yes --json ${AT}`)).out)).toEqual({
        path: "nowhere",
        deleted: false,
      })
    }).pipe(Effect.provide(store)))

  it.effect("speaks of what was asked where the path cannot be one", () =>
    Effect.gen(function* () {
      const ran = yield* imageStore(`rm / ${AT}`)
      expect(ran).toMatchObject({ code: 2, err: expect.stringContaining("\nCannot delete: path: a name") })
      expect((yield* imageStore(`rm App// --yes ${AT}`)).err).toContain("\nCannot delete: path: a name")
      expect(yield* (yield* Emulator).files).toHaveLength(4)
    }).pipe(Effect.provide(store)))

  it.effect("sends nothing for a path that cannot be sent", () =>
    Effect.gen(function* () {
      for (const path of ["a//b", "../a", "a%2fb", "$", "/"]) {
        expect((yield* imageStore(["rm", path, "--yes", ...AT.split(" ")])).code).toBe(2)
      }
      expect((yield* imageStore(["rm", "", "--yes", ...AT.split(" ")])).code).toBe(2)
      expect((yield* imageStore(["ls", "", ...AT.split(" ")])).code).toBe(2)
      expect(yield* (yield* Emulator).requests).toEqual([])
    }).pipe(Effect.provide(store)))
})

describe("a folder as ls prints it, with / at the end,", () => {
  it.effect("is taken back by ls, du, cp and rm", () =>
    Effect.gen(function* () {
      expect((yield* imageStore(`ls App/ ${AT}`)).out).toContain("App/b.xml")
      expect((yield* imageStore(`du App/ ${AT}`)).out).toBe("2.0 KiB  App")
      expect((yield* imageStore(`cp App/ Copy/ ${AT}`)).out).toBe("Copied App to Copy.")
      expect((yield* imageStore(`rm App/ --yes ${AT}`)).out).toBe("Deleted App.")
      expect((yield* (yield* Emulator).files).map(({ path }) => path)).not.toContain("App/b.xml")
    }).pipe(Effect.provide(store)))
})

describe("cp, du, info", () => {
  it.effect("copies a folder", () =>
    Effect.gen(function* () {
      expect(yield* imageStore(`cp App Copy ${AT}`)).toMatchObject({ code: 0, out: "Copied App to Copy." })
      expect(yield* (yield* Emulator).files).toHaveLength(7)
      const none = yield* imageStore(`cp nowhere Copy ${AT}`)
      expect(none.code).toBe(1)
      expect(none.err).toContain("without the file _.dir")
      expect((yield* imageStore(`cp App/b app ${AT}`)).code).toBe(2)
    }).pipe(Effect.provide(store)))

  it.effect("measures", () =>
    Effect.gen(function* () {
      expect((yield* imageStore(`du App ${AT}`)).out).toBe("2.0 KiB  App")
      expect((yield* imageStore(`du ${AT}`)).out).toBe("2.0 KiB  the whole store")
      expect(JSON.parse((yield* imageStore(`du ${AT} --json`)).out)).toEqual({ path: null, size: 2053 })
    }).pipe(Effect.provide(store)))

  it.effect("shows what takes the disk", () =>
    Effect.gen(function* () {
      const { out } = yield* imageStore(`info ${AT}`)
      expect(out).toContain("Staging")
      expect(JSON.parse((yield* imageStore(`info --json ${AT}`)).out)).toHaveProperty("staging.size", 0)
    }).pipe(Effect.provide(store)))
})
