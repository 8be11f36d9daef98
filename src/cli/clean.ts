/**
 * `image-store session clean`
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import { type CleanedSession, cleanSessions } from "../cleanSessions.ts"
import { FabricClient } from "../FabricClient.ts"
import { halfPackages } from "../halfPackages.ts"
import type { JournalError } from "../journal/Journal.ts"
import { isOf } from "../journal/Owned.ts"
import { UploadJournal } from "../UploadJournal.ts"
import { CliError } from "./CliError.ts"
import { count, moment, plural, size } from "./format.ts"
import type { Host } from "./Host.ts"
import { journal } from "./journal.ts"
import { Output } from "./Output.ts"
import { Progress } from "./Progress.ts"
import { Sessions } from "./Sessions.ts"
import { at, word } from "./shell.ts"
import { viewOf } from "./uploadView.ts"

/** `session clean` */
export const clean = (
  params: { readonly "dry-run": boolean; readonly force: boolean },
): Effect.Effect<void, CliError | JournalError, FabricClient | Host | Output> =>
  Effect.suspend(() => {
    const watch = new Sessions()
    return Effect.provide(run(params, watch), watch.watch(journal))
  })

const run = (
  params: { readonly "dry-run": boolean; readonly force: boolean },
  watch: Sessions,
): Effect.Effect<void, CliError | JournalError, FabricClient | UploadJournal | Host | Output> =>
  Effect.gen(function* () {
    const { note, result, tell } = yield* Output
    const dryRun = params["dry-run"]
    const entries = yield* Effect.flatMap(UploadJournal, (journal) => journal.entries)
    const busy = entries.length > 0 && !dryRun
    if (busy) {
      yield* note(
        `${count(entries.length, "upload session")} ${plural(entries.length, "is", "are")} recorded. ` +
          "Where a lost chunk may still arrive, or a commit may still run, that is waited for.",
        { recorded: entries.length },
      )
    }
    const sessions: Array<CleanedSession> = []
    const work = Stream.runForEach(cleanSessions({ dryRun, force: params.force }), (session) => {
      sessions.push(session)
      return tell(line(session))
    })
    yield* busy ? Effect.onInterrupt(shown(work, watch), () => stillRecorded) : work
    const number = (tag: CleanedSession["outcome"]["_tag"]) =>
      sessions.filter(({ outcome }) => outcome._tag === tag).length
    const counts = {
      deleted: number("Deleted"),
      wouldDelete: number("WouldDelete"),
      left: number("InUse") + number("Taken") + number("OtherCluster"),
      failed: number("Failed"),
    }
    const half = yield* halfPackagesOf
    yield* result(summary(counts, dryRun), {
      ...counts,
      half,
      sessions: sessions.map(({ outcome, ...session }) => ({ ...session, outcome: plain(outcome) })),
    })
    if (counts.failed > 0) {
      return yield* CliError.failed(
        `${count(counts.failed, "upload session")} could not be deleted and ` +
          `${plural(counts.failed, "stays", "stay")} recorded; try again later`,
      )
    }
  })

/** The same work, during which it can be seen how long a lost chunk is waited for. */
const shown = <A, E, R>(
  work: Effect.Effect<A, E, R>,
  watch: Sessions,
): Effect.Effect<A, E, R | Host | Output> => {
  const progress = new Progress(() => watch.quietAt)
  progress.stop()
  return Effect.flatMap(viewOf(progress), ({ around }) => around(work))
}

/** What is left to be said after an interruption. */
const stillRecorded = Effect.gen(function* () {
  const { note } = yield* Output
  const { origins } = yield* FabricClient
  const entries = yield* Effect.flatMap(UploadJournal, (journal) => journal.entries)
  const { length } = entries.filter((entry) => isOf(entry, origins))
  if (length === 0) return
  yield* note(
    `Interrupted: ${count(length, "upload session")} ${plural(length, "is", "are")} still recorded; ` +
      `to end ${plural(length, "it", "them")}: image-store session clean ${at(origins)}`,
    { recorded: length },
  )
}).pipe(Effect.ignore)

/** Packages that broke off. Sessions are what the command is for: that they are ended counts, also where this fails. */
const halfPackagesOf = Effect.gen(function* () {
  const { note } = yield* Output
  const { origins } = yield* FabricClient
  const half = yield* Effect.catchAll(
    halfPackages,
    (error) =>
      Effect.as(
        note(`Whether half a package is left cannot be seen: ${error.message}`, { unseen: true }),
        [],
      ),
  )
  for (const { path, source, touched } of half) {
    yield* note(
      `Half a package is at ${path}, since ${moment(touched)}.\n` +
        `  To resume it: image-store upload ${word(source)} ${word(path)} ${at(origins)}\n` +
        `  To remove it: image-store rm ${word(path)} ${at(origins)}`,
      { half: path },
    )
  }
  return half
})

const summary = (
  { deleted, failed, left, wouldDelete }: Record<"deleted" | "wouldDelete" | "left" | "failed", number>,
  dryRun: boolean,
): string =>
  deleted + failed + left + wouldDelete === 0 ? "No upload session is recorded on this machine." : [
    dryRun ? `${wouldDelete} would be deleted` : `${deleted} deleted`,
    `${left} left alone`,
    ...(failed > 0 ? [`${failed} failed`] : []),
  ].join(", ") + "."

const line = ({ outcome, path, sessionId, size: bytes }: CleanedSession): string =>
  `${sessionId}  ${path} (${size(bytes)}): ${became(outcome)}`

const became = (outcome: CleanedSession["outcome"]): string => {
  switch (outcome._tag) {
    case "Deleted":
      return "deleted"
    case "WouldDelete":
      return "would be deleted"
    case "InUse":
      return `left alone, process ${outcome.process} on ${outcome.host} may be at work on it; ` +
        "--force deletes it all the same"
    case "Taken":
      return "left alone, another run has just taken it over"
    case "OtherCluster":
      return `left alone, it is of another cluster: ${at(outcome.endpoints)}`
    case "Failed":
      return `failed: ${outcome.error.message}`
  }
}

/** An outcome as a program reads it. */
const plain = (outcome: CleanedSession["outcome"]): object =>
  outcome._tag === "Failed" ? { _tag: outcome._tag, message: outcome.error.message } : outcome
