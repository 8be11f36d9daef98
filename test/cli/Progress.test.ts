import { describe, expect, it } from "vitest"
import { Progress } from "../../src/cli/Progress.ts"
import type { PackageEvent } from "../../src/PackageEvent.ts"

const MIB = 2 ** 20

/** An upload of a file of 100 MiB to which things happen, each at its second. */
const after = (
  events: ReadonlyArray<readonly [second: number, event: PackageEvent]>,
  quietAt = 0,
): Progress => {
  const progress = new Progress(() => quietAt * 1000)
  for (const [second, event] of events) progress.add(event, second * 1000)
  return progress
}

const started = (resumed = 0): PackageEvent => ({
  _tag: "FileStarted",
  path: "a.bin",
  size: 100 * MIB,
  sessionId: undefined,
  resumed: resumed * MIB,
})

/** MiB that are there, and MiB that are on their way. */
const sent = (there: number, underWay: number): PackageEvent => ({
  _tag: "BytesSent",
  path: "a.bin",
  sent: there * MIB,
  underWay: underWay * MIB,
  size: 100 * MIB,
  concurrency: 4,
})

const waiting = (until: number): PackageEvent => ({
  _tag: "Waiting",
  path: "a.bin",
  until: new Date(until * 1000),
})

describe("the progress of an upload", () => {
  it("counts as there what the cluster has, and measures the rate by what has left", () => {
    const progress = after([[0, started()], [5, sent(8, 12)], [10, sent(16, 24)]])
    expect(progress.line(10_000)).toBe(
      "16 %, 16.0 MiB of 100 MiB, 4.0 MiB/s, 15 s left, 24.0 MiB under way, 4 at once",
    )
  })

  it("is not complete before the last answer, and tells how long that takes", () => {
    const progress = after([[0, started()], [10, sent(68, 32)]])
    expect(progress.line(12_000)).toBe("68 %, 68.0 MiB of 100 MiB, 32.0 MiB under way, 4 at once")
    expect(progress.line(40_000)).toContain("nothing came through for 30 s, 32.0 MiB under way")
  })

  it("takes back what has left and broke off", () => {
    const progress = after([[0, started()], [5, sent(0, 20)], [6, sent(0, 0)]])
    expect(progress.line(6000)).toBe("0 %, 0 B of 100 MiB, 4 at once")
  })

  it("tells that half a package is removed, and how long a lost file may still come", () => {
    const removing: PackageEvent = { _tag: "PackageRemoving", path: "App", quietAt: new Date(40_000) }
    const progress = after([[0, started()], [5, sent(8, 12)], [6, waiting(60)], [10, removing]])
    expect(progress.line(10_000)).toBe("cleaning up, waiting up to 30 s for a lost file, to delete it too")
    expect(progress.line(41_000)).toBe("cleaning up")
  })

  it("draws what is there, what is under way, and the rest", () => {
    const progress = after([[0, started()], [10, sent(40, 20)]])
    expect(progress.lines(10_000, 79, false)[0]).toBe(
      `${"█".repeat(12)}${"▒".repeat(6)}${"░".repeat(12)}  40 %, 40.0 MiB of 100 MiB, 6.0 MiB/s, 7 s left`,
    )
  })

  it("does not measure what an earlier run had brought", () => {
    const progress = after([[0, started(50)], [10, sent(60, 0)]])
    expect(progress.line(10_000)).toContain("60 %, 60.0 MiB of 100 MiB, 1.0 MiB/s, 40 s left")
  })

  it("has neither rate nor time left while a lost chunk is waited for", () => {
    const events = [[0, started()], [9, sent(40, 0)], [10, waiting(70)]] as const
    expect(after(events).line(10_000)).toBe(
      "40 %, 40.0 MiB of 100 MiB, waiting 1 min 0 s before what was sent goes again, 4 at once",
    )
    const deleting = after([[0, started()], [10, sent(40, 0)]], 45)
    expect(deleting.line(10_000)).toMatch(/100 MiB, waiting up to 35 s .*, to delete it too, 4 at once$/)
  })

  it("measures anew after a wait", () => {
    const events = [[0, started()], [9, sent(40, 0)], [10, waiting(70)], [11, sent(40, 0)], [
      70,
      sent(40, 0),
    ]] as const
    expect(after([...events, [75, sent(50, 0)]]).line(75_000)).toContain(", 2.0 MiB/s, 25 s left, ")
  })

  it("gives one reason for silence, where a narrow terminal shows it", () => {
    const progress = after([[0, started()], [9, sent(40, 0)], [10, waiting(70)]])
    expect(progress.lines(40_000, 39, false)[1]).toBe("waiting 30 s before what was sent goes…")
    expect(progress.line(40_000)).not.toContain("nothing came through")
    expect(progress.line(71_000)).toMatch(/MiB, nothing came through for 1 min 2 s, 4 at once$/)
  })

  it("has neither amounts nor time left while it is cleaned up", () => {
    const progress = after([[0, started()], [10, sent(40, 8)]], 45)
    progress.stop()
    expect(progress.line(10_000)).toBe("cleaning up, waiting up to 35 s for a lost chunk, to delete it too")
    expect(progress.lines(10_000, 79, false)).toEqual([progress.line(10_000)])
    expect(progress.line(50_000)).toBe("cleaning up")
  })

  it("does not tell of a commit any more once the file begins again", () => {
    const committing: PackageEvent = { _tag: "Committing", path: "a.bin" }
    const events = [[0, started()], [10, sent(100, 0)], [11, committing]] as const
    expect(after(events).line(11_000)).toBe("100 %, 100 MiB of 100 MiB, 4 at once, committing a.bin")
    expect(after([...events, [12, sent(0, 8)]]).line(12_000)).not.toContain("committing")
  })

  it("tells retries, and why for a while", () => {
    const retried: PackageEvent = { _tag: "Retried", path: "a.bin", reason: "the cluster is busy" }
    const progress = after([[0, started()], [10, sent(40, 0)], [11, retried]])
    expect(progress.line(11_000)).toMatch(/, 4 at once, 1 retry, the cluster is busy$/)
    expect(progress.line(30_000)).toMatch(/, 4 at once, 1 retry$/)
  })

  it("gives the reason of a retry lines of its own on a terminal, without what is known anyway", () => {
    const reason =
      "Cannot upload App/Web/Code/a.bin at one:19080 (after 2 attempts): the cluster answered 503; busy"
    const retried: PackageEvent = { _tag: "Retried", path: "a.bin", reason }
    const progress = after([[0, started()], [10, sent(40, 0)], [11, retried]])
    expect(progress.lines(11_000, 79, false).slice(1)).toEqual([
      "4 at once, 1 retry",
      "the cluster answered 503; busy",
    ])
    expect(progress.lines(11_000, 20, false).slice(-2)).toEqual(["the cluster answered", "503; busy"])
    expect(progress.lines(30_000, 79, false)).toHaveLength(2)
  })

  it("knows the last trouble to its end", () => {
    const retried = (reason: string): PackageEvent => ({ _tag: "Retried", path: "a.bin", reason })
    const events = [[0, started()], [10, sent(40, 0)]] as const
    expect(after(events).trouble).toBeUndefined()
    const progress = after([...events, [11, retried("busy")], [12, retried("Cannot x at y:1: gone")]])
    progress.stop()
    expect(progress.trouble).toBe("gone")
  })

  it("tells whom it waits for before it begins", () => {
    const queued: PackageEvent = { _tag: "Queued", path: "App", process: 4711 }
    const planned = { _tag: "PackagePlanned", files: 2, bytes: 10 * MIB } as PackageEvent
    expect(after([[0, queued]]).line(0)).toBe("waiting for process 4711, which uploads to the same place")
    expect(after([[0, queued], [9, planned]]).line(9000)).toBe("0 %, 0 B of 10.0 MiB, 0 of 2 files")
  })

  it("tells how far a compression is, and forgets it with the last byte", () => {
    const compressing: PackageEvent = { _tag: "Compressing", folder: "Web/Code", files: 2, bytes: 60 * MIB }
    const read = (bytes: number): PackageEvent => ({
      _tag: "BytesCompressed",
      read: bytes * MIB,
      bytes: 80 * MIB,
    })
    const events = [[0, compressing], [0, read(0)]] as const
    expect(after([[0, compressing]]).line(0)).toBe("compressing Web/Code")
    expect(after([...events, [10, read(40)]]).line(10_000)).toBe(
      "50 %, 40.0 MiB of 80.0 MiB, 4.0 MiB/s, 10 s left, compressing Web/Code",
    )
    expect(after([...events, [20, read(80)]]).line(20_000)).toBe("preparing")
  })

  it("of empty files begins at nothing", () => {
    const progress = after([[0, { ...started(), size: 0 } as PackageEvent]])
    expect(progress.lines(1000, 79, false)[0]).toBe(`${"░".repeat(30)}  0 %, 0 B of 0 B`)
  })

  it("fits a narrow terminal", () => {
    const reason = "the cluster answered 503 FABRIC_E_SERVICE_TOO_BUSY; try again"
    const retried: PackageEvent = { _tag: "Retried", path: "a.bin", reason }
    const progress = after([[0, started()], [5, sent(8, 12)], [9, retried], [10, sent(16, 24)]])
    for (let columns = 1; columns < 90; columns++) {
      for (const line of progress.lines(10_000, columns, false)) {
        expect(line.length).toBeLessThanOrEqual(columns)
      }
    }
  })
})
