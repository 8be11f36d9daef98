/**
 * The command line. Importing this module runs it.
 *
 * @module
 */
import process from "node:process"
import { front } from "./front.ts"

// A reader that has seen enough, such as `head`, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code !== "EPIPE") throw error
  // What has sessions open is told to stop as by Ctrl-C; the rest may end at once.
  if (process.listenerCount("SIGINT") > 0) process.emit("SIGINT")
  else process.exit(0)
})

// What nobody reads is no reason to stop, least of all before the clean-up.
process.stderr.on("error", () => {})

const argv = process.argv.slice(2)
const text = front(argv)
if (text !== undefined) process.stdout.write(text)
else await import("./runMain.ts").then(({ runMain }) => runMain(argv))
