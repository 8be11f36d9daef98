import { assert, describe, it } from "@effect/vitest"
import { Pool } from "../src/connections.ts"

const KiB = 1024
const MiB = 1024 * KiB

describe("the pieces in which a body is written", () => {
  const pool = new Pool("http://127.0.0.1:1", {})

  for (
    const [name, bytes, milliseconds, piece] of [
      ["are small until the line has shown what it carries", 0, 0, 256 * KiB],
      ["are what a fast line takes in a quarter of a second", 8 * MiB, 2000, MiB],
      ["do not change with what is too small to tell", 10, 60_000, MiB],
      ["are never larger than 4 MiB", 8 * MiB, 1, 4 * MiB],
      ["nor when no time has passed at all", 8 * MiB, 0, 4 * MiB],
      ["are small again when the line gets slow", 8 * MiB, 60_000, 256 * KiB],
    ] as const
  ) {
    it(name, () => {
      pool.arrived(bytes, milliseconds)
      assert.strictEqual(pool.piece, piece)
    })
  }
})
