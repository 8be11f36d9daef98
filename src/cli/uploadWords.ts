/**
 * What is said of an upload: of its events while it runs, and of its summary.
 *
 * @module
 */
import type * as Context from "effect/Context"
import * as Effect from "effect/Effect"
import { MARKER } from "../package/packagePlan.ts"
import type { PackageEvent, PackageSummary } from "../PackageEvent.ts"
import type { FileSummary } from "../UploadEvent.ts"
import { count, moment, plural, size, time } from "./format.ts"
import type { Output } from "./Output.ts"
import { word } from "./shell.ts"
import { fields } from "./table.ts"

/** How an upload ended. */
export type Summary = FileSummary | PackageSummary

type Note = Context.Tag.Service<Output>["note"]

/** What people are told of an event besides the progress. */
export const tell = (event: PackageEvent, note: Note): Effect.Effect<void> => {
  switch (event._tag) {
    case "PackagePlanned":
      return note(
        `Uploading ${application(event) ?? "a folder"} to ${event.path}: ${count(event.files, "file")}, ` +
          `${size(event.bytes)}${
            event.stored === 0 ? "" : `, ${size(event.stored)} of it from an earlier run`
          }${event.overwrites ? ", in place of what is there" : ""}`,
        {},
      )
    case "Queued":
      return note(
        `Process ${event.process} uploads to ${event.path} at this moment; waiting until it is over`,
        {},
      )
    case "Compressing":
      return note(`Compressing ${event.folder}: ${count(event.files, "file")}, ${size(event.bytes)}`, {})
    case "FileStarted":
      // Whole files of an earlier run were told together.
      return event.resumed === 0 || event.sessionId === undefined
        ? Effect.logDebug(`Sending ${event.path} (${size(event.size)})`)
        : note(
          `Resuming an earlier upload of ${event.path}: ` +
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

/** For programs: the command that makes use of a package. */
export const nextOf = (event: PackageEvent): { readonly next?: string } =>
  event._tag === "PackageUploaded" && event.applicationType !== undefined
    ? { next: provision(event.path) }
    : {}

const provision = (path: string): string =>
  `sfctl application provision --application-type-build-path ${word(path)}`

/** A summary as people read it. */
export const describe = (summary: Summary): string => {
  const { path, resumed, retries, seconds } = summary
  const bytes = "bytes" in summary ? summary.bytes : summary.size
  const sent = bytes - resumed
  const rate = seconds > 0 && sent > 0 ? `, ${size(Math.round(sent / seconds))}/s` : ""
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
    ["Files", `${files}, and the ${MARKER} markers`],
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
