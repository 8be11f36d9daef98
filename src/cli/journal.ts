/**
 * Where a command keeps its journal.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import process from "node:process"
import { folderBelow, folderIn, stateVariable } from "../journal/journalFolder.ts"
import { isReadable } from "../system/isReadable.ts"
import { messageOf } from "../system/messageOf.ts"
import { UploadJournal } from "../UploadJournal.ts"
import { CliError } from "./CliError.ts"
import { Host } from "./Host.ts"

const HOME = process.platform === "win32" ? "USERPROFILE" : "HOME"

/** The journal in the user's folder for state. */
export const journal: Layer.Layer<UploadJournal, CliError, Host> = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { variable } = yield* Host
    const folder = folderIn(yield* variable(stateVariable)) ?? folderBelow(yield* variable(HOME))
    if (folder !== undefined) return UploadJournal.layer({ folder })
    // Elsewhere than under Deno the system knows a home without a variable.
    return isReadable({ name: "env", variable: HOME })
      ? UploadJournal.layer()
      : yield* cannotKeep("where to keep it is not known")
  }),
).pipe(Layer.catchAllCause((cause) => {
  const error = Cause.squash(cause)
  return Layer.fail(
    error instanceof CliError ? error : cannotKeep(messageOf(error)),
  )
}))

/** All that Deno has to be told. Without `--allow-run` it cannot tell whether a process is over. */
const cannotKeep = (why: string): CliError =>
  CliError.failed(
    `Cannot keep the upload journal: ${why}. Under Deno, allow --allow-env=${stateVariable},${HOME} ` +
      "--allow-sys=hostname, --allow-read and --allow-write of the folder that it is in, and --allow-run to " +
      "resume the uploads of processes that are over",
  )
