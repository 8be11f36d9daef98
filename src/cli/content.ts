/**
 * `image-store ls`, `rm`, `cp`, `du`, `info`
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Stream from "effect/Stream"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import { copyContent, deleteContent, getFolderSize, getInfo, listContent } from "../ImageStore.ts"
import type { ImageStoreEntry } from "../ImageStoreContent.ts"
import { caseless } from "../ImageStorePath.ts"
import { problemOfPath } from "../ImageStorePath.ts"
import { CliError } from "./CliError.ts"
import { count, moment, percent, size } from "./format.ts"
import { Host } from "./Host.ts"
import { Output } from "./Output.ts"
import { fields, table } from "./table.ts"

const entriesOf = (
  path: string | undefined,
): Effect.Effect<ReadonlyArray<ImageStoreEntry>, FabricError, FabricClient> =>
  Effect.map(Stream.runCollect(listContent({ path })), (entries) => [...entries])

/** `ls` */
export const ls = (
  { path }: { readonly path: string | undefined },
): Effect.Effect<void, FabricError, FabricClient | Output> =>
  Effect.gen(function* () {
    const { json, note, result } = yield* Output
    const entries = yield* entriesOf(path)
    if (entries.length === 0 && !json) return yield* note(`${path ?? "The image store"} is empty.`, {})
    yield* result(
      table(
        [["SIZE", "right"], ["MODIFIED", "left"], ["PATH", "left"]],
        entries.map((entry) =>
          entry._tag === "File"
            ? [size(entry.size), moment(entry.modified), entry.path]
            : ["", count(entry.fileCount, "file"), `${entry.path}/`]
        ),
      ),
      entries,
    )
  })

/** `rm` */
export const rm = (
  { path, yes }: { readonly path: string; readonly yes: boolean },
): Effect.Effect<void, FabricError | CliError, FabricClient | Host | Output> =>
  Effect.gen(function* () {
    const { result } = yield* Output
    // What cannot be a path the deletion refuses in its own words.
    const found = problemOfPath(path) === undefined && (yield* confirm(path, yes))
    yield* deleteContent({ path })
    yield* result(found ? `Deleted ${path}.` : `There was nothing at ${path}.`, { path, deleted: found })
  })

/**
 * Asks before a folder is deleted, unless the answer is known: then one that cannot be listed goes too. Returns whether
 * there is anything at the path.
 */
const confirm = (
  path: string,
  yes: boolean,
): Effect.Effect<boolean, FabricError | CliError, FabricClient | Host> =>
  Effect.gen(function* () {
    const { ask } = yield* Host
    const entries = yield* Effect.catchIf(
      entriesOf(path),
      (error) => error.isNotFound || (yes && error.isRetryable),
      (error) => Effect.succeed(error.isNotFound ? undefined : []),
    )
    if (entries === undefined) return false
    const [only, ...others] = entries
    // A file is listed as itself.
    const isFile = only?._tag === "File" && others.length === 0 &&
      caseless(only.path) === caseless(path)
    if (isFile || yes) return true
    const files = entries.reduce((sum, entry) => sum + (entry._tag === "File" ? 1 : entry.fileCount), 0)
    const folder = `folder ${path} with ${count(files, "file")}`
    if (ask === undefined) return yield* CliError.usage(`Add --yes to delete ${folder} without being asked`)
    return (yield* ask(`Delete ${folder}?`)) || (yield* CliError.failed("Nothing was deleted"))
  })

/** `cp` */
export const cp = (
  params: { readonly source: string; readonly destination: string },
): Effect.Effect<void, FabricError | CliError, FabricClient | Output> =>
  Effect.gen(function* () {
    const { result } = yield* Output
    const { destination, source } = params
    if (caseless(source) === caseless(destination)) {
      return yield* CliError.usage(
        `Cannot copy ${source} to ${destination}: source and destination are the same`,
      )
    }
    yield* copyContent({ source, destination })
    yield* result(`Copied ${source} to ${destination}.`, { source, destination, copied: true })
  })

/** `du` */
export const du = (
  { path }: { readonly path: string | undefined },
): Effect.Effect<void, FabricError, FabricClient | Output> =>
  Effect.gen(function* () {
    const { result } = yield* Output
    const folder = yield* getFolderSize({ path })
    yield* result(`${size(folder.size)}  ${path ?? "the whole store"}`, {
      path: path ?? null,
      size: folder.size,
    })
  })

/** `info` */
export const info: () => Effect.Effect<void, FabricError, FabricClient | Output> = () =>
  Effect.gen(function* () {
    const { result } = yield* Output
    const all = yield* getInfo()
    const uses = [
      ["Records of the store", all.metadata],
      ["Staging", all.staging],
      ["Content", all.copy],
      ["Registering", all.register],
    ] as const
    const disk = fields([
      ["Disk", size(all.capacity)],
      ["Free", `${size(all.available)}, ${percent(all.available, all.capacity)}`],
    ])
    const used = table(
      [["USED BY", "left"], ["SIZE", "right"], ["FILES", "right"]],
      uses.map(([name, use]) => [name, size(use.size), String(use.files)]),
    )
    yield* result(`${disk}\n\n${used}`, all)
  })
