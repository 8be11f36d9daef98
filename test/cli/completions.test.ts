import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { execFileSync, spawnSync } from "node:child_process"
import { commands, optionsOf } from "../../src/cli/commands.ts"
import { Emulator } from "../../src/emulator/mod.ts"
import { imageStore } from "./terminal.ts"

describe("completions", () => {
  for (const shell of ["bash", "zsh", "fish"]) {
    it.effect(`for ${shell} know all commands and options`, () =>
      Effect.gen(function* () {
        const { code, out } = yield* imageStore(`--completions ${shell}`)
        expect(code).toBe(0)
        expect(out).not.toContain("wizard")
        for (const command of commands) {
          expect(out).toContain(command.words.at(-1))
          for (const option of Object.keys(optionsOf(command))) expect(out).toContain(option)
        }
      }).pipe(Effect.provide(Emulator.layer())))
  }

  // As bash does on Tab: the words so far, and which of them is at the cursor.
  const offered = (script: string, words: ReadonlyArray<string>) =>
    execFileSync("bash", [
      "-c",
      `${script}\nCOMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _image-store_bash_completions image-store; echo "\${COMPREPLY[@]}"`,
      "bash",
      ...words,
    ], { encoding: "utf8" }).trim().split(" ")

  it.effect.skipIf(spawnSync("bash", ["--version"]).status !== 0)(
    "offer in bash what comes next, at any depth",
    () =>
      Effect.gen(function* () {
        const { out } = yield* imageStore("--completions bash")
        expect(offered(out, ["image-store", "up"])).toEqual(["upload"])
        expect(offered(out, ["image-store", "session", ""])).toEqual(
          expect.arrayContaining(["clean", "commit", "delete", "list", "show"]),
        )
        expect(offered(out, ["image-store", "upload", "--chunk"])).toEqual(["--chunk-size"])
        expect(offered(out, ["image-store", "session", "delete", "--if"])).toEqual(["--if-exists"])
        expect(offered(out, ["image-store", "upload", "x", "--on-failure", ""])).toEqual(["remove", "keep"])
        expect(offered(out, ["image-store", "upload", "x", "--compress", "d"])).toEqual([""])
        expect(offered(out, ["image-store", "upload", "x", "--compress", ""])).toContain("--deadline")
      }).pipe(Effect.provide(Emulator.layer())),
  )

  it.effect("are not known for other shells", () =>
    Effect.gen(function* () {
      expect(yield* imageStore("--completions ksh")).toMatchObject({
        code: 2,
        err: `--completions is one of bash, zsh, fish, not "ksh"`,
      })
    }).pipe(Effect.provide(Emulator.layer())))
})
