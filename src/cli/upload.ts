/**
 * `image-store upload`
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Console from "effect/Console"
import * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Fiber from "effect/Fiber"
import * as Layer from "effect/Layer"
import * as Option from "effect/Option"
import * as Stream from "effect/Stream"
import { stat } from "node:fs/promises"
import { basename, resolve } from "node:path"
import { FabricClient } from "../FabricClient.ts"
import { FabricError } from "../FabricError.ts"
import { hasUploadSessions } from "../ImageStore.ts"
import type { PackageEvent, PackageSummary, PackageUploadError } from "../PackageEvent.ts"
import { UploadDeadline } from "../UploadDeadline.ts"
import { type FileSummary, SourceError } from "../UploadEvent.ts"
import { uploadFile, validated } from "../uploadFile.ts"
import { UploadJournal } from "../UploadJournal.ts"
import { uploadPackage } from "../uploadPackage.ts"
import { aftermath, type Facts, half, type Job, leftOf, remains, reminder } from "./aftermath.ts"
import { CliError } from "./CliError.ts"
import { Display, Drawing, during } from "./Display.ts"
import { count, moment, plural, size, time } from "./format.ts"
import { Host } from "./Host.ts"
import { journal, Sessions } from "./journal.ts"
import { withLastWords } from "./lastWords.ts"
import { jsonLine, Output } from "./Output.ts"
import { Progress } from "./progress.ts"
import { readSize, readTime } from "./quantities.ts"
import { word } from "./shell.ts"
import { fields } from "./table.ts"

/** Milliseconds between two pictures on a terminal, and between two lines elsewhere. */
const REDRAW = 200
const REPORT = 5000
/** Smaller ones make a request of next to nothing. */
const SMALLEST_CHUNK = 64 * 1024
const LARGEST_CHUNK = 2 ** 30
const MOST_REQUESTS = 256

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
    const watched = Layer.map(journal, (context) => {
      const own = sessions.watch(Context.get(context, UploadJournal))
      return Context.make(UploadJournal, own)
    })
    yield* Effect.provide(run(plan, sessions), watched)
  })

const planOf = (params: Params): Effect.Effect<Plan, CliError | SourceError> =>
  Effect.gen(function* () {
    const { compress, concurrency, source: given } = params
    const source = basename(resolve(given))
    if (concurrency !== undefined && (concurrency < 1 || concurrency > MOST_REQUESTS)) {
      return yield* CliError.usage(`--concurrency goes from 1 to ${MOST_REQUESTS}, not ${concurrency}`)
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
      const events = uploadPackage(given, params.destination, options)
      return { kind: "package", source, destination: params.destination, onFailure, deadline, events }
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
      catch: (cause) => new SourceError({ source, issue: issueOf(cause) }),
    }),
    (found) => found.isDirectory() || /\.(sfpkg|zip)$/i.test(source),
  )

const issueOf = (cause: unknown): string => {
  const { code, message } = cause as { readonly code?: unknown; readonly message?: unknown }
  return code === "ENOENT"
    ? "there is no such file or folder"
    : `it cannot be read (${String(code ?? message)})`
}

/** Uploads are patient, but not with an address where nobody ever answers. */
const answers: Effect.Effect<void, FabricError, FabricClient> = Effect.catchAll(
  Effect.asVoid(hasUploadSessions),
  ({ attempts, endpoint, operation, reason }) =>
    reason._tag === "Unreachable" && reason.sent === "no"
      ? new FabricError({ operation, action: "reach the cluster", endpoint, attempts, reason })
      : Effect.void,
)

type Summary = FileSummary | PackageSummary
type Note = Context.Tag.Service<Output>["note"]

/** Runs a plan to its end, which comes only after the clean-up. */
const run = (
  { deadline, events, source, ...job }: Plan,
  sessions: Sessions,
): Effect.Effect<void, CliError | PackageUploadError, FabricClient | UploadJournal | Host | Output> =>
  Effect.gen(function* () {
    const { json, note, result } = yield* Output
    const { origins } = yield* FabricClient
    if (job.destination !== undefined) yield* validated(job.destination, {})
    const progress = new Progress(() => sessions.quietAt)
    const view = yield* viewOf(progress)
    const facts: Facts = { sessions, origins, planned: undefined }
    let summary: Summary | undefined

    const consume = (event: PackageEvent): Effect.Effect<void> =>
      Effect.flatMap(Clock.currentTimeMillis, (now) => {
        progress.add(event, now)
        if (event._tag === "PackagePlanned") facts.planned = event
        if (event._tag === (job.kind === "file" ? "FileUploaded" : "PackageUploaded")) {
          summary = event as Summary
        }
        if (json) return Console.log(JSON.stringify({ ...event, ...nextOf(event) }))
        return event._tag === "FileStarted" && job.kind === "file"
          ? Effect.zipRight(
            note(`Uploading ${source} to ${event.path}: ${size(event.size)}`, {}),
            tell(event, note),
          )
          : tell(event, note)
      })

    const story = Effect.uninterruptibleMask((restore) =>
      Effect.gen(function* () {
        const end = deadline === undefined ? Infinity : (yield* Clock.currentTimeMillis) + deadline * 1000
        const work = yield* Effect.forkDaemon(
          Effect.interruptible(Effect.zipRight(answers, Stream.runForEach(events, consume))).pipe(
            Effect.provideService(UploadDeadline, end),
          ),
        )
        // The story goes on while it is cleaned up.
        const stop = (why: string, advice: string) =>
          Effect.suspend(() => {
            progress.stop()
            return Effect.zipRight(
              note(`${why}: cleaning up${advice}`, { stopping: why }),
              Fiber.interrupt(work),
            )
          })
        const waited = deadline === undefined
          ? Effect.asSome(Fiber.await(work))
          : Effect.timeoutOption(Fiber.await(work), deadline * 1000)
        const exit = yield* restore(waited).pipe(
          Effect.onInterrupt(() =>
            Effect.flatMap(
              stop("Interrupted", "; Ctrl-C again stops at once, and leaves what is there"),
              (exit) => aftermath(job, facts, exit),
            )
          ),
        )
        if (Option.isSome(exit)) {
          if (Exit.isFailure(exit.value)) yield* aftermath(job, facts, exit.value)
          return yield* exit.value
        }
        const why = `The upload has reached its deadline of ${time(deadline!)}`
        const late = yield* stop(why, "")
        if (Exit.isSuccess(late)) return
        yield* aftermath(job, facts, late)
        return yield* CliError.failed(why)
      })
    )

    const words = () => {
      view.clear()
      const message = `Stopped at once. ${
        sessions.recorded.size === 0 ? "No upload session is recorded." : remains(facts)
      }${half(job, facts)}`
      return json ? jsonLine(new Date(), "warning", message, leftOf(sessions)) : message
    }
    const told = Effect.gen(function* () {
      yield* withLastWords(words, view.around(story))
      if (summary !== undefined && !json) yield* result(describe(summary), summary)
      if (sessions.recorded.size > 0) yield* note(remains(facts), leftOf(sessions), "warning")
    })
    yield* Effect.ensuring(told, reminder(facts))
  })

interface View {
  readonly around: <A, E, R>(story: Effect.Effect<A, E, R>) => Effect.Effect<A, E, R>
  /** Takes everything off the terminal, at once. */
  readonly clear: () => void
}

/** How people see the progress: drawn on a terminal, elsewhere told every few seconds. Programs read the events. */
const viewOf = (progress: Progress): Effect.Effect<View, never, Host | Output> =>
  Effect.gen(function* () {
    const { json, note } = yield* Output
    const { variable } = yield* Host
    if (json) return { around: (story) => story, clear: () => {} }
    const screen = (yield* variable("TERM")) === "dumb" ? undefined : yield* Display
    if (screen === undefined) {
      return {
        around: (story) => during(story, REPORT, (now) => note(progress.line(now), {})),
        clear: () => {},
      }
    }
    const drawing = new Drawing(screen)
    const color = (yield* variable("NO_COLOR")) === undefined
    return {
      around: (story) =>
        during(
          story,
          REDRAW,
          (now) => Effect.sync(() => drawing.draw(progress.lines(now, screen.columns() - 1, color))),
        ).pipe(
          Effect.ensuring(Effect.sync(() => drawing.erase())),
          (shown) => Effect.consoleWith((console) => Effect.withConsole(shown, drawing.console(console))),
        ),
      clear: () => drawing.erase(),
    }
  })

/** What people are told of an event besides the progress. */
const tell = (event: PackageEvent, note: Note): Effect.Effect<void> => {
  switch (event._tag) {
    case "PackagePlanned":
      return note(
        `Uploading ${application(event) ?? "a folder"} to ${event.path}: ${count(event.files, "file")}, ` +
          `${size(event.bytes)}${
            event.stored === 0 ? "" : `, ${size(event.stored)} of it from an earlier run`
          }${event.overwrites ? ", in place of what is there" : ""}`,
        {},
      )
    case "Compressing":
      return note(`Compressing ${event.folder}: ${count(event.files, "file")}, ${size(event.bytes)}`, {})
    case "FileStarted":
      // Whole files of an earlier run were told together.
      return event.resumed === 0 || event.sessionId === undefined
        ? Effect.logDebug(`Sending ${event.path} (${size(event.size)})`)
        : note(
          `Going on with an earlier upload of ${event.path}: ` +
            `${size(event.resumed)} of ${size(event.size)} are there already`,
          {},
        )
    case "StaleSession":
      return note(
        `Somebody else's upload session ${event.sessionId} for ${event.path}, without a chunk since ` +
          `${moment(event.modified)}, ${
            event.deleted ? "was deleted" : "is left alone; --clean-stale deletes it"
          }`,
        {},
      )
    case "Retried":
      return Effect.logDebug(event.reason)
    case "FileUploaded":
      return Effect.logDebug(`Uploaded ${event.path} (${size(event.size)})`)
    default:
      return Effect.void
  }
}

const application = (
  { applicationType, applicationVersion }: {
    readonly applicationType: string | undefined
    readonly applicationVersion: string | undefined
  },
): string | undefined =>
  applicationType === undefined ? undefined : [applicationType, applicationVersion].filter(Boolean).join(" ")

/** The command that makes use of a package. */
const nextOf = (event: PackageEvent): { readonly next?: string } =>
  event._tag === "PackageUploaded" && event.applicationType !== undefined
    ? { next: provision(event.path) }
    : {}

const provision = (path: string): string =>
  `sfctl application provision --application-type-build-path ${word(path)}`

const describe = (summary: Summary): string => {
  const { path, resumed, retries, seconds } = summary
  const bytes = "bytes" in summary ? summary.bytes : summary.size
  const rate = seconds > 0 ? `, ${size(Math.round((bytes - resumed) / seconds))}/s` : ""
  const amounts: ReadonlyArray<readonly [string, string]> = [
    ["Size", bytes < 1024 ? size(bytes) : `${size(bytes)} (${bytes} bytes)`],
    ["Time", `${time(seconds)}${rate}`],
    ...(resumed > 0 ? [["Resumed", `${size(resumed)} were there from an earlier run`] as const] : []),
    ...(retries > 0 ? [["Retries", String(retries)] as const] : []),
  ]
  if (!("bytes" in summary)) return `Uploaded a file.\n\n${fields([["Store path", path], ...amounts])}`
  const { applicationType, applicationVersion, files, removed } = summary
  const table = fields([
    ...(applicationType === undefined ? [] : [["Application", applicationType] as const]),
    ...(applicationVersion === undefined ? [] : [["Version", applicationVersion] as const]),
    ["Store path", path],
    ["Files", String(files)],
    ...amounts,
    ...(removed.length > 0
      ? [
        [
          "Removed",
          `${count(removed.length, "file")} that ${plural(removed.length, "is", "are")} not of the package`,
        ] as const,
      ]
      : []),
  ])
  const next = applicationType === undefined ? "" : `\n\nNext: ${provision(path)}`
  return `Uploaded ${
    applicationType === undefined ? "a folder" : "an application package"
  }.\n\n${table}${next}`
}
