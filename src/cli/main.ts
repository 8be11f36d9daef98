/**
 * The command line. Importing this module runs it.
 *
 * @module
 */
import process from "node:process"
import { front } from "./front.ts"

// A reader that has seen enough, such as `head`, is no failure.
process.stdout.on("error", (error: NodeJS.ErrnoException) => {
  if (error.code === "EPIPE") process.exit(0)
  throw error
})

const argv = process.argv.slice(2)
const text = front(argv)
if (text !== undefined) process.stdout.write(text)
else await import("./runMain.ts").then(({ runMain }) => runMain(argv))
