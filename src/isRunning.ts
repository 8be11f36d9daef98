/**
 * Whether a process is at work.
 *
 * @module
 */
import process from "node:process"
import { codeOf } from "./codeOf.ts"

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
