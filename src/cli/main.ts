/**
 * The command line. Importing this module runs it.
 *
 * @module
 */
import process from "node:process"
import { front } from "./front.ts"

// What nobody reads is no reason to stop, least of all before the clean-up.
process.stderr.on("error", () => {})

const argv = process.argv.slice(2)
const text = front(argv, process.stdout.columns)
if (text !== undefined) {
  // A reader that has seen enough, such as `head`, is no failure.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") return
    process.stderr.write(`Cannot write the output: ${error.message}\n`)
    process.exitCode = 1
  })
  process.stdout.write(text)
} else await import("./runMain.ts").then(({ runMain }) => runMain(argv))
