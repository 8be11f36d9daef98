/**
 * What an upload that did not end well leaves: as a rule nothing, and then that is said too.
 *
 * @module
 */
import * as Cause from "effect/Cause"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import { listContent } from "../ImageStore.ts"
import { MARKER, pathIn } from "../package/packagePlan.ts"
import type { PackageEvent } from "../PackageEvent.ts"
import { leftSessions } from "../upload/deadRuns.ts"
import { findFile } from "../upload/settleCommit.ts"
import type { UploadJournal } from "../UploadJournal.ts"
import { count, plural } from "./format.ts"
import { Output } from "./Output.ts"
import type { Sessions } from "./Sessions.ts"
import { at, word } from "./shell.ts"

/** What was to be done. */
export interface Job {
  readonly kind: "file" | "package"
  readonly destination: string | undefined
  readonly onFailure: "remove" | "keep"
}

/** What has been done. */
export interface Facts {
  readonly sessions: Sessions
  readonly origins: ReadonlyArray<string>
  planned: Extract<PackageEvent, { readonly _tag: "PackagePlanned" }> | undefined
  /** A file has begun: before that no byte of any is sent. */
  begun: boolean
}

/** Which sessions are left, and how to end them. */
export const remains = ({ origins, sessions }: Facts): string => {
  const { size } = sessions.recorded
  return `${count(size, "upload session")} ${plural(size, "is", "are")} left, and recorded:\n` +
    `${sessions.lines}\nTo end ${plural(size, "it", "them")}: image-store session clean ${at(origins)}`
}

/** The same for programs. `content`: whether something of the upload is in the store, as far as that is known. */
export const leftOf = ({ recorded }: Sessions, content?: boolean): object => ({
  left: { content, sessions: [...recorded.keys()] },
})

/** Where half a package may be when nobody has looked any more. */
export const half = ({ kind, onFailure }: Job, { origins, planned }: Facts): string =>
  kind === "file" || planned === undefined || planned.overwrites || onFailure === "keep"
    ? ""
    : `\nHalf a package may be at ${planned.path}; to remove it: ${removing(planned.path, origins)}`

const removing = (path: string, origins: ReadonlyArray<string>): string =>
  `image-store rm ${word(path)} ${at(origins)}`

/** Says what is left after a failure or an interruption. */
export const aftermath = (
  job: Job,
  facts: Facts,
  exit: Exit.Exit<unknown, unknown>,
): Effect.Effect<void, never, FabricClient | Output> =>
  Effect.gen(function* () {
    const { note } = yield* Output
    const { ended, recorded } = facts.sessions
    if (Exit.isSuccess(exit)) return yield* note("The upload was complete already.", { complete: true })
    const content = yield* contentOf(job, facts, Cause.isInterruptedOnly(exit.cause))
    const nothing = content.left === false && recorded.size === 0
    const deleted = ended === 0
      ? ""
      : `, and ${count(ended, "upload session")} ${plural(ended, "was", "were")} deleted`
    const text = [
      content.text === undefined
        ? undefined
        : `${
          nothing
            ? `Nothing is left: ${content.text}`
            : sentence(content.text, job.destination ?? facts.planned?.path)
        }${deleted}.`,
      recorded.size === 0 ? undefined : remains(facts),
    ].filter((line) => line !== undefined).join("\n")
    if (text === "") return
    yield* note(
      text,
      leftOf(facts.sessions, content.left),
      nothing ? undefined : "warning",
    )
  })

/** Begins with a capital letter, unless it begins with a name. */
const sentence = (text: string, name = ""): string =>
  name !== "" && text.startsWith(name) ? text : text[0]!.toUpperCase() + text.slice(1)

/** Reminds of sessions of this cluster that earlier runs left. The records tell: nothing is asked of the cluster. */
export const reminder = (
  { origins, sessions }: Facts,
): Effect.Effect<void, never, FabricClient | UploadJournal | Output> =>
  Effect.gen(function* () {
    const { note } = yield* Output
    const { length } = yield* leftSessions(({ sessionId }) => !sessions.recorded.has(sessionId))
    if (length === 0) return
    yield* note(
      `${count(length, "upload session")} of earlier runs ${plural(length, "is", "are")} still recorded; ` +
        `to end ${plural(length, "it", "them")}: image-store session clean ${at(origins)}`,
      { recorded: length },
    )
  }).pipe(Effect.ignore)

interface Content {
  readonly text: string | undefined
  /** Whether something of the upload is in the store; `undefined` when that cannot be told. */
  readonly left: boolean | undefined
}

const contentOf = (
  job: Job,
  { begun, origins, planned, sessions }: Facts,
  interrupted: boolean,
): Effect.Effect<Content, never, FabricClient> => {
  const { destination = planned?.path ?? "" } = job
  if (job.kind === "file") {
    if (!begun) return Effect.succeed({ text: interrupted ? "no byte was sent" : undefined, left: false })
    if (!sessions.committing.has(destination)) {
      return Effect.succeed(
        sessions.ended > 0 ? { text: `${destination} is as it was before`, left: false } : {
          text: interrupted ? `${destination} is complete or as it was before` : undefined,
          left: undefined,
        },
      )
    }
    const before = sessions.committing.get(destination)
    return looking(
      Effect.map(findFile(destination), Option.exists(({ version }) => version !== before)),
      (there): Content =>
        there
          ? { text: `${destination} was complete already, and is in the store`, left: true }
          : { text: `${destination} is as it was before`, left: false },
      { text: `whether ${destination} was made cannot be seen`, left: undefined },
    )
  }
  if (planned === undefined) {
    return Effect.succeed({ text: interrupted ? "no file was sent" : undefined, left: false })
  }
  const stays = `what has come so far stays at ${destination}${
    planned.overwrites ? ", in a mix with what was there before" : ""
  }`
  const marker = looking(
    hasMarker(destination),
    (marked): Content =>
      marked ? { text: `${destination} is complete, or as it was before`, left: undefined } : {
        text: `${stays}, without its ${MARKER} marker: nobody can provision it before it is uploaded again`,
        left: true,
      },
    { text: stays, left: undefined },
  )
  if (planned.overwrites || job.onFailure === "keep") return marker
  return looking(
    exists(destination),
    (there): Content =>
      there
        ? {
          text: `part of the package is left at ${destination}; to remove it: ${
            removing(destination, origins)
          }`,
          left: true,
        }
        : { text: `what had come of the package was removed from ${destination}`, left: false },
    {
      text: `whether part of the package is left at ${destination} cannot be seen; ` +
        `look again: image-store ls ${word(destination)} ${at(origins)}`,
      left: undefined,
    },
  )
}

const exists = (path: string): Effect.Effect<boolean, FabricError, FabricClient> =>
  Stream.runHead(listContent({ path })).pipe(
    Effect.as(true),
    Effect.catchIf((error) => error.isNotFound, () => Effect.succeed(false)),
  )

const hasMarker = (path: string): Effect.Effect<boolean, FabricError, FabricClient> =>
  Effect.map(findFile(pathIn(path, MARKER)), Option.isSome)

/** Looks at the store for a few seconds at most, also in a fiber that is interrupted already. */
const looking = (
  look: Effect.Effect<boolean, FabricError, FabricClient>,
  seen: (there: boolean) => Content,
  unseen: Content,
): Effect.Effect<Content, never, FabricClient> =>
  Effect.flatMap(
    Effect.forkDaemon(Effect.interruptible(Effect.timeoutTo(look, {
      duration: "10 seconds",
      onSuccess: seen,
      onTimeout: () => unseen,
    }))),
    Fiber.join,
  ).pipe(Effect.catchAll(() => Effect.succeed(unseen)))
