/**
 * `image-store upload`
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { stat } from "node:fs/promises"
import { basename, resolve } from "node:path"
import { FabricClient } from "../FabricClient.ts"
import { FabricError, type FabricErrorReason } from "../FabricError.ts"
import { hasUploadSessions } from "../ImageStore.ts"
import type { PackageEvent, PackageUploadError } from "../PackageEvent.ts"
import { codeOf } from "../system/codeOf.ts"
import { LARGEST_CHUNK, MOST_CONCURRENCY, SMALLEST_CHUNK, validateUpload } from "../upload/uploadOptions.ts"
import { UploadDeadline } from "../UploadDeadline.ts"
import { SourceError } from "../UploadEvent.ts"
import { uploadFile } from "../uploadFile.ts"
import type { UploadJournal } from "../UploadJournal.ts"
import { uploadPackage } from "../uploadPackage.ts"
import { aftermath, type Facts, half, type Job, leftOf, remains, reminder } from "./aftermath.ts"
import { CliError } from "./CliError.ts"
import { folderPath } from "./folderPath.ts"
import { size, time } from "./format.ts"
import type { Host } from "./Host.ts"
import { journal } from "./journal.ts"
import { withLastWords } from "./lastWords.ts"
import { jsonLine, Output } from "./Output.ts"
import { Progress } from "./Progress.ts"
import { readSize, readTime } from "./quantities.ts"
import { Sessions } from "./Sessions.ts"
import { viewOf } from "./uploadView.ts"
import { describe, nextOf, type Summary, tell } from "./uploadWords.ts"

interface Params {
  readonly source: string
  readonly destination: string | undefined
  readonly concurrency: number | undefined
  readonly "chunk-size": string | undefined
  readonly compress: boolean
  readonly "on-failure": string | undefined
  readonly "no-resume": boolean
  readonly "clean-stale": boolean
  readonly deadline: string | undefined
  readonly "no-validate": boolean
}

interface Plan extends Job {
  /** The last name of the source. */
  readonly source: string
  readonly events: Stream.Stream<PackageEvent, PackageUploadError, FabricClient | UploadJournal>
  /** Seconds for all of it. */
  readonly deadline: number | undefined
}

/** `upload` */
export const upload = (
  params: Params,
): Effect.Effect<void, CliError | PackageUploadError, FabricClient | Host | Output> =>
  Effect.gen(function* () {
    const plan = yield* planOf(params)
    const sessions = new Sessions()
    yield* Effect.provide(run(plan, sessions), sessions.watch(journal))
  })

const planOf = (params: Params): Effect.Effect<Plan, CliError | SourceError> =>
  Effect.gen(function* () {
    const { compress, concurrency, source: given } = params
    if (given === "") return yield* CliError.usage("<source> is empty; name a file, a folder or an archive")
    const source = basename(resolve(given))
    if (concurrency !== undefined && (concurrency < 1 || concurrency > MOST_CONCURRENCY)) {
      return yield* CliError.usage(`--concurrency goes from 1 to ${MOST_CONCURRENCY}, not ${concurrency}`)
    }
    const chunk = params["chunk-size"]
    const chunkSize = chunk === undefined ? undefined : yield* readSize("chunk-size", chunk)
    if (chunkSize !== undefined && (chunkSize < SMALLEST_CHUNK || chunkSize > LARGEST_CHUNK)) {
      return yield* CliError.usage(`--chunk-size goes from 64KiB to 1GiB, not ${chunk}`)
    }
    const deadline = params.deadline === undefined ? undefined : yield* readTime("deadline", params.deadline)
    const onFailure = params["on-failure"] === "keep" ? "keep" : "remove"
    const options = {
      concurrency,
      chunkSize,
      compress,
      onFailure,
      resume: !params["no-resume"],
      cleanStale: params["clean-stale"],
      validate: !params["no-validate"],
    } as const
    if (yield* isPackage(given)) {
      const destination = folderPath(params.destination)
      const events = uploadPackage(given, destination, options)
      return { kind: "package", source, destination, onFailure, deadline, events }
    }
    if (compress) {
      return yield* CliError.usage(`--compress is for packages, and ${given} is a single file`)
    }
    const destination = params.destination ?? source
    return {
      kind: "file",
      source,
      destination,
      onFailure,
      deadline,
      events: uploadFile(given, destination, options),
    }
  })

const isPackage = (source: string): Effect.Effect<boolean, SourceError> =>
  Effect.map(
    Effect.tryPromise({
      try: () => stat(source),
      catch: (cause) => new SourceError({ source, issue: issueOf(codeOf(cause)) }),
    }),
    (found) => found.isDirectory() || /\.(sfpkg|zip)$/i.test(source),
  )

const issueOf = (code: string): string =>
  code === "ENOENT" ? "there is no such file or folder" : `it cannot be read (${code})`

/** Uploads are patient, but not with an address where nobody ever answers, nor with a cluster that they are not for. */
const answers: Effect.Effect<void, FabricError, FabricClient> = Effect.catchAll(
  Effect.asVoid(hasUploadSessions),
  (error) =>
    isFinal(error.reason) ? new FabricError({ ...error, action: "upload to the cluster" }) : Effect.void,
)

/** Other errors that a cluster answers are told by what meets them again. */
const isFinal = (reason: FabricErrorReason): boolean =>
  reason._tag === "Unreachable"
    ? reason.sent === "no"
    : reason._tag === "Rejected"
    ? reason.status === 401 || reason.status === 403
    : reason._tag !== "TimedOut"

/** Runs a plan to its end, which comes only after the clean-up. */
const run = (
  plan: Plan,
  sessions: Sessions,
): Effect.Effect<void, CliError | PackageUploadError, FabricClient | UploadJournal | Host | Output> =>
  Effect.gen(function* () {
    const { json, note, result } = yield* Output
    const { origins } = yield* FabricClient
    if (plan.destination !== undefined) yield* validateUpload(plan.destination, {})
    const progress = new Progress(() => sessions.quietAt)
    const view = yield* viewOf(progress)
    const facts: Facts = { sessions, origins, planned: undefined, begun: false }
    let summary: Summary | undefined

    const consume = (event: PackageEvent): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        progress.add(event, now)
        if (event._tag === "PackagePlanned") facts.planned = event
        if (event._tag === "FileStarted") facts.begun = true
        if (event._tag === (plan.kind === "file" ? "FileUploaded" : "PackageUploaded")) {
          summary = event as Summary
        }
        if (json) return Console.log(JSON.stringify({ ...event, ...nextOf(event) }))
        return event._tag === "FileStarted" && plan.kind === "file"
          ? Effect.zipRight(
            note(`Uploading ${plan.source} to ${event.path}: ${size(event.size)}`, {}),
            tell(event, note),
          )
          : tell(event, note)
      })
    const work = Effect.zipRight(answers, Stream.runForEach(plan.events, consume))

    const words = () => {
      view.clear()
      const message = `Stopped at once. ${
        sessions.recorded.size === 0 ? "No upload session is recorded." : remains(facts)
      }${half(plan, facts)}`
      return json ? jsonLine(new Date(), "warning", message, leftOf(sessions)) : message
    }
    const told = Effect.gen(function* () {
      yield* withLastWords(words, view.around(untilOver(work, plan, facts, progress)))
      if (summary !== undefined && !json) yield* result(describe(summary), summary)
      if (sessions.recorded.size > 0) yield* note(remains(facts), leftOf(sessions), "warning")
    })
    yield* Effect.ensuring(told, reminder(facts))
  })

/**
 * Runs the work of a plan until it is over, interrupted, or at its deadline, and says what is left of one that did not
 * end well. It has a fiber of its own: its progress is to be seen while it cleans up, too.
 */
const untilOver = <E, R>(
  work: Effect.Effect<void, E, R>,
  plan: Plan,
  facts: Facts,
  progress: Progress,
): Effect.Effect<void, CliError | E, R | FabricClient | Output> =>
  Effect.uninterruptibleMask((restore) =>
    Effect.gen(function* () {
      const { note } = yield* Output
      const { deadline } = plan
      const end = deadline === undefined ? Infinity : (yield* Clock.currentTimeMillis) + deadline * 1000
      const fiber = yield* Effect.forkDaemon(
        Effect.provideService(Effect.interruptible(work), UploadDeadline, end),
      )
      const stop = (why: string, advice: string) =>
        Effect.suspend(() => {
          progress.stop()
          return Effect.zipRight(
            note(`${why}: cleaning up${advice}`, { stopping: why }),
            Fiber.interrupt(fiber),
          )
        })
      const waited = deadline === undefined
        ? Effect.asSome(Fiber.await(fiber))
        : Effect.timeoutOption(Fiber.await(fiber), deadline * 1000)
      const exit = yield* restore(waited).pipe(
        Effect.onInterrupt(() =>
          Effect.flatMap(
            stop("Interrupted", "; Ctrl-C again stops at once, and leaves what is there"),
            (exit) => aftermath(plan, facts, exit),
          )
        ),
      )
      if (Option.isSome(exit)) {
        if (Exit.isFailure(exit.value)) yield* aftermath(plan, facts, exit.value)
        return yield* exit.value
      }
      const why = `The upload has reached its deadline of ${time(deadline!)}`
      const late = yield* stop(why, "")
      if (Exit.isSuccess(late)) return
      yield* aftermath(plan, facts, late)
      return yield* CliError.failed(
        `${why}; ${
          progress.trouble === undefined
            ? "a longer --deadline gives it more time"
            : `the last trouble: ${progress.trouble}`
        }`,
      )
    })
  )
