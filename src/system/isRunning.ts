/**
 * Whether a process is at work.
 *
 * @module
 */
import { readFileSync } from "node:fs"
import { uptime } from "node:os"
import process from "node:process"
import { codeOf } from "./codeOf.ts"
import { whereAllowed } from "./whereAllowed.ts"

/** Asks the system without sending anything. `undefined`: who asks may not, as under Deno without `--allow-run`. */
export const isRunning = (pid: number): boolean | undefined => {
  try {
    process.kill(pid, 0)
    return true
  } catch (cause) {
    const code = codeOf(cause)
    return code === "ESRCH" ? false : code === "EPERM" ? true : undefined
  }
}

/**
 * The same of the process that was at work at `seen`, in milliseconds since 1970: numbers are given again, and whatever
 * began after that is another one. A clock that was set forward since then can make it seem to be another.
 */
export const isStillRunning = (pid: number, seen: number): boolean | undefined => {
  const running = isRunning(pid)
  return running !== false && earliestStart(pid) > seen ? false : running
}

/** Milliseconds that small corrections of the clock may make. */
const CORRECTION = 5_000
/** The same since the machine began, whose clock may have been wrong until the network was there. */
const FIRST_CORRECTION = 3 * 60_000

/** Before that the process that has a number did not begin: Linux tells it of each, all tell it of the machine. */
const earliestStart = (pid: number): number => {
  const up = whereAllowed(uptime)
  if (up === undefined) return -Infinity
  const [own, start] = [ticksOf(process.pid), ticksOf(pid)]
  if (own === undefined || start === undefined) return Date.now() - up * 1000 - FIRST_CORRECTION
  // Some containers tell their own time as the machine's, but not as that in which processes began.
  const sinceBoot = Math.max(up * 1000, own * TICK + process.uptime() * 1000)
  return Date.now() - sinceBoot + start * TICK - CORRECTION
}

/** Milliseconds, on every Linux. */
const TICK = 10

/** Ticks from when the machine began to when a process did. Deno allows to read it only where it allows all. */
const ticksOf = (pid: number): number | undefined => {
  const text = whereAllowed(() => readFileSync(`/proc/${pid}/stat`, "utf8"))
  // The second field is a name in parentheses, which may hold blanks and parentheses; the 22nd is the start.
  const start = Number(text?.slice(text.lastIndexOf(")") + 2).split(" ")[19])
  return Number.isFinite(start) ? start : undefined
}
