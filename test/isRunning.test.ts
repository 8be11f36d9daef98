import { afterEach, assert, describe, it } from "@effect/vitest"
import { type ChildProcess, spawn } from "node:child_process"
import { once } from "node:events"
import process from "node:process"
import { vi } from "vitest"
import { isRunning, isStillRunning } from "../src/system/isRunning.ts"

const children: Array<ChildProcess> = []

/** A process that ends with this one at the latest. */
const child = async (): Promise<{ readonly pid: number; readonly end: () => Promise<void> }> => {
  const started = spawn("node", ["-e", "process.stdin.resume()"], { stdio: ["pipe", "ignore", "inherit"] })
  children.push(started)
  await once(started, "spawn")
  const end = async () => {
    started.stdin!.end()
    await once(started, "exit")
  }
  return { pid: started.pid!, end }
}

afterEach(() => {
  for (const each of children.splice(0)) each.stdin!.end()
  vi.doUnmock("node:fs")
  vi.doUnmock("node:os")
  vi.resetModules()
})

const HOUR = 3_600_000

/** As where the machine has been up for so long, and the system tells that of each process, or nothing. */
const onMachine = async (up: number, stat?: string) => {
  vi.resetModules()
  vi.doMock("node:os", () => ({ uptime: () => up / 1000 }))
  vi.doMock("node:fs", () => ({
    readFileSync: () => {
      if (stat === undefined) throw new Error("NotCapable")
      return stat
    },
  }))
  return (await import("../src/system/isRunning.ts")).isStillRunning
}

describe("a process's number", () => {
  it("tells whether there is one", async () => {
    const { end, pid } = await child()
    assert.isTrue(isRunning(pid))
    assert.isTrue(isStillRunning(pid, Date.now()))
    await end()
    assert.isFalse(isRunning(pid))
    assert.isFalse(isStillRunning(pid, Date.now()))
  })

  it("may have been another's before the machine began", () => {
    assert.isFalse(isStillRunning(process.ppid, Date.UTC(2001, 8, 9)))
  })

  it.runIf(process.platform === "linux")("may have been another's a minute ago", async () => {
    const { pid } = await child()
    assert.isFalse(isStillRunning(pid, Date.now() - 60_000))
    assert.isTrue(
      isStillRunning(process.pid, Date.now() - process.uptime() * 1000),
      "one that began so long ago",
    )
  })

  it("counts as the same since the machine began, where the system does not tell more", async () => {
    const isStillRunning = await onMachine(2 * HOUR)
    const { pid } = await child()
    assert.isTrue(isStillRunning(pid, Date.now() - HOUR))
    assert.isFalse(isStillRunning(pid, Date.now() - 3 * HOUR))
  })

  it("is looked up right in a container that tells its own time as the machine's", async () => {
    // Of all processes alike: they began 100 hours after the machine.
    const stat = `1 (a) (b) S ${"1 ".repeat(18)}${100 * HOUR / 10} 0 0`
    const isStillRunning = await onMachine(60_000, stat)
    const { pid } = await child()
    assert.isTrue(isStillRunning(pid, Date.now()))
    assert.isFalse(isStillRunning(pid, Date.now() - HOUR))
  })
})
