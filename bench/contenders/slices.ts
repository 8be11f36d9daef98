/**
 * The measured side of a contender. It waits for lines such as `{"concurrency":16,"millis":300}`, keeps so many
 * calls under way for so long, and writes a line with what that took. It ends with its input.
 *
 * @module
 */
import * as process from "node:process"
import * as Readline from "node:readline"

/** Runs `concurrency` calls at a time while `goesOn`, and returns how many ended. */
export type Load = (
  concurrency: number,
  goesOn: () => boolean,
) => Promise<number>

/** Where to send to. */
export const url: string = process.argv[2]!

export const SESSION = "4a2340e8-d8d8-497c-95fe-cdaa1052f33b"
export const TARGET: string =
  `/ImageStore/$/DeleteUploadSession?api-version=6.0&session-id=${SESSION}&timeout=60`

export const slices = async (load: Load): Promise<void> => {
  for await (const line of Readline.createInterface({ input: process.stdin })) {
    const { concurrency, millis } = JSON.parse(line) as {
      concurrency: number
      millis: number
    }
    const cpu = process.cpuUsage()
    const start = performance.now()
    const end = start + millis
    const calls = await load(concurrency, () => performance.now() < end)
    const took = performance.now() - start
    const { user, system } = process.cpuUsage(cpu)
    console.log(
      JSON.stringify({
        calls,
        perSecond: calls / took * 1000,
        micros: (user + system) / calls,
      }),
    )
  }
  process.exit(0)
}

/** A load of promises: one loop a worker. */
export const workers = (call: () => Promise<unknown>): Load => async (concurrency, goesOn) => {
  let calls = 0
  await Promise.all(Array.from({ length: concurrency }, async () => {
    while (goesOn()) {
      await call()
      calls++
    }
  }))
  return calls
}
