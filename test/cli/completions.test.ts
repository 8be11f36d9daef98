import { describe, expect, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { commands } from "../../src/cli/commands.ts"
import { optionsOf } from "../../src/cli/descriptors.ts"
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

  it.effect("are not known for other shells", () =>
    Effect.gen(function* () {
      expect(yield* imageStore("--completions ksh")).toMatchObject({
        code: 2,
        err: `--completions is one of bash, zsh, fish, not "ksh"`,
      })
    }).pipe(Effect.provide(Emulator.layer())))
})
