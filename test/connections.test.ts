import { assert, describe, it } from "@effect/vitest"
import { Pool } from "../src/transport/connections.ts"

const KiB = 1024
const MiB = 1024 * KiB

describe("the pieces in which a body is written", () => {
  /** Bodies that went out, as bytes and milliseconds, and the piece after that. */
  const SLOW = [8 * MiB, 2000] as const
  const FAST = [8 * MiB, 1] as const
  for (
    const [name, bodies, piece] of [
      ["are small until the line has shown what it carries", [], 256 * KiB],
      ["are what a line takes in a quarter of a second", [SLOW], MiB],
      ["do not change with what is too small to tell", [SLOW, [10, 60_000]], MiB],
      ["are never larger than 4 MiB", [FAST], 4 * MiB],
      ["nor when no time has passed at all", [[8 * MiB, 0]], 4 * MiB],
      ["are small again when the line gets slow", [FAST, [8 * MiB, 60_000]], 256 * KiB],
    ] as const
  ) {
    it(name, () => {
      const pool = new Pool("http://one:19080", {})
      for (const [bytes, milliseconds] of bodies) pool.arrived(bytes, milliseconds)
      assert.strictEqual(pool.piece, piece)
    })
  }
})
