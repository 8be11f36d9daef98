import { afterEach, assert, describe, it } from "@effect/vitest"
import { userInfo } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { vi } from "vitest"
import { defaultFolder, stateVariable } from "../src/journal/journalFolder.ts"

afterEach(() => void vi.unstubAllEnvs())

const HOME = process.platform === "win32" ? "USERPROFILE" : "HOME"
const BELOW_HOME = process.platform === "win32" ? ["AppData", "Local"] : [".local", "state"]
const OWN = ["effect-fabric", "image-store"]

describe("the folder of the journal", () => {
  const home = process.cwd()
  for (
    const [name, variables, folder] of [
      ["is in the one for state", [join(home, "state"), home], join(home, "state", ...OWN)],
      ["is below the home where no other is named", ["", home], join(home, ...BELOW_HOME, ...OWN)],
      [
        "does not hang on where the program runs: relative names are ignored",
        [join("relative", "x"), home],
        join(home, ...BELOW_HOME, ...OWN),
      ],
      [
        "is below the home that the system knows where the variable's is empty",
        ["", ""],
        join(userInfo().homedir, ...BELOW_HOME, ...OWN),
      ],
    ] as const
  ) {
    it(name, () => {
      vi.stubEnv(stateVariable, variables[0])
      vi.stubEnv(HOME, variables[1])
      assert.strictEqual(defaultFolder(), folder)
    })
  }
})
