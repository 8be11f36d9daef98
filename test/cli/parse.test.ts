import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { arrange } from "../../src/cli/arrange.ts"
import { parse } from "../../src/cli/parse.ts"

const params = (line: string) =>
  Effect.map(Effect.flatMap(arrange(line.split(" ")), parse), ({ params }) => params)

describe("parse", () => {
  it.effect("takes the last of an option that is given again", () =>
    Effect.gen(function* () {
      expect(yield* params("ls --timeout 1 --timeout 2 App")).toMatchObject({ timeout: 2, path: "App" })
      expect(yield* params("rm --yes App --yes")).toMatchObject({ yes: true, path: "App" })
      expect(yield* params("upload a --chunk-size 1MiB --chunk-size 2MiB")).toMatchObject({
        source: "a",
        "chunk-size": "2MiB",
      })
      expect(yield* params("emulator --os windows --os linux")).toMatchObject({ os: "linux" })
    }))

  it.effect("keeps all of those that are lists", () =>
    Effect.gen(function* () {
      expect(yield* params("ls --endpoint http://a:1 --endpoint http://b:1")).toMatchObject({
        endpoint: ["http://a:1", "http://b:1"],
      })
    }))

  it.effect("gives what was not typed, too", () =>
    Effect.gen(function* () {
      const typed = yield* params("ls")
      expect(typed).toMatchObject({ path: undefined, timeout: undefined, endpoint: [], json: false })
      expect(yield* params("upload a")).toMatchObject({ destination: undefined, compress: false })
    }))

  it.effect("names the argument that is missing, or too many", () =>
    Effect.gen(function* () {
      const wrong = (line: string) => Effect.map(Effect.flip(params(line)), ({ message }) => message)
      expect(yield* wrong("cp a")).toBe("Missing argument <destination>; see image-store cp --help")
      expect(yield* wrong("cp a b c d")).toBe(`"c" is one argument too many; see image-store cp --help`)
    }))
})
