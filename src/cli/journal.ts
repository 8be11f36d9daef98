/**
 * The journal of a command, and what is known of its sessions without a look at the disk.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import { join } from "node:path"
import process from "node:process"
import type { Journal } from "../Journal.ts"
import type { JournalEntry } from "../JournalEntry.ts"
import { UploadJournal } from "../UploadJournal.ts"
import type { SessionId } from "../UploadSession.ts"
import { CliError } from "./CliError.ts"
import { Host } from "./Host.ts"
import { isReadable } from "./permission.ts"

const STATE = process.platform === "win32" ? "LOCALAPPDATA" : "XDG_STATE_HOME"
const HOME = process.platform === "win32" ? "USERPROFILE" : "HOME"
const BELOW_HOME = process.platform === "win32" ? ["AppData", "Local"] : [".local", "state"]

/** The journal in the user's folder for state. */
export const journal: Layer.Layer<UploadJournal, CliError, Host> = Layer.unwrapEffect(
  Effect.gen(function* () {
    const { variable } = yield* Host
    const state = yield* variable(STATE)
    const home = yield* variable(HOME)
    const base = state ?? (home === undefined ? undefined : join(home, ...BELOW_HOME))
    if (base !== undefined) {
      return UploadJournal.layer({ folder: join(base, "effect-fabric", "image-store") })
    }
    // Elsewhere than under Deno the system knows a home without a variable.
    return isReadable({ name: "env", variable: HOME })
      ? UploadJournal.layer()
      : yield* cannotKeep("where to keep it is not known")
  }),
).pipe(Layer.catchAllCause((cause) => {
  const error = Cause.squash(cause)
  return Layer.fail(
    error instanceof CliError ? error : cannotKeep(error instanceof Error ? error.message : String(error)),
  )
}))

/** All that Deno has to be told. Without `--allow-run` it cannot tell whether a process is over. */
const cannotKeep = (why: string): CliError =>
  CliError.failed(
    `Cannot keep the upload journal: ${why}. Under Deno, allow --allow-env=${STATE},${HOME} ` +
      "--allow-sys=hostname, --allow-read and --allow-write of the folder that it is in, and --allow-run to " +
      "go on with the uploads of processes that are over",
  )

type Known = Pick<JournalEntry, "path" | "state" | "before" | "quietAt">

/** Sessions of this process: those that are recorded, and how many have come to their end. */
export class Sessions {
  readonly recorded: Map<SessionId, Known> = new Map()
  /** Files whose commit was asked for, with the version before it. */
  readonly committing: Map<string, string | undefined> = new Map()
  /** Sessions that are dead. */
  ended = 0

  /** The same journal, watched. */
  watch(journal: Journal): Journal {
    const { recorded } = this
    return {
      ...journal,
      take: (entry) =>
        Effect.tap(
          journal.take(entry),
          (own) => Effect.sync(() => Option.map(own, (entry) => recorded.set(entry.sessionId, entry))),
        ),
      create: (entry) =>
        Effect.suspend(() => {
          recorded.set(entry.sessionId, entry)
          return Effect.tapError(
            journal.create(entry),
            () => Effect.sync(() => recorded.delete(entry.sessionId)),
          )
        }),
      update: (sessionId, patch) =>
        Effect.suspend(() => {
          const known = recorded.get(sessionId)
          if (known !== undefined) recorded.set(sessionId, { ...known, ...patch })
          if (known !== undefined && patch.state === "committing") {
            this.committing.set(known.path, patch.before)
          }
          return journal.update(sessionId, patch)
        }),
      remove: (sessionId) =>
        Effect.tap(journal.remove(sessionId), () =>
          Effect.sync(() => {
            if (recorded.delete(sessionId)) this.ended++
          })),
    }
  }

  /** When the last lost chunk can no longer bring a deleted session back; 0 when none is waited for. */
  get quietAt(): number {
    return Math.max(
      0,
      ...[...this.recorded.values()].map(({ quietAt, state }) => state === "deleting" ? quietAt : 0),
    )
  }

  /** What is recorded, a line each. */
  get lines(): string {
    return [...this.recorded].map(([id, { path }]) => `  ${id}  ${path}`).join("\n")
  }
}
