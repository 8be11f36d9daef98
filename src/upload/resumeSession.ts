/**
 * Which of the sessions that dead runs left an upload can resume.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Option from "effect/Option"
import type * as Scope from "effect/Scope"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import { caseless } from "../ImageStorePath.ts"
import type { JournalError } from "../journal/Journal.ts"
import type { UploadJournal } from "../UploadJournal.ts"
import type { ByteRange } from "../UploadSession.ts"
import { getUploadSession } from "../uploadSessions.ts"
import { leftSessions } from "./deadRuns.ts"
import type { Patience } from "./Patience.ts"
import { chunksOf, missingChunks } from "./ranges.ts"
import { endTaken, quietAfterDeath, type Taken, takeOver } from "./takeOver.ts"
import type { Waiting } from "./waiting.ts"

/** What an earlier run left for an upload. */
export type Resumable =
  | { readonly _tag: "None" }
  /** A session to resume, this process's own by now, and what of the file has arrived. */
  | {
    readonly _tag: "Session"
    readonly own: Taken
    /** No chunk of the dead run can arrive after this time, in milliseconds since 1970. */
    readonly quietAt: number
    readonly received: ReadonlyArray<ByteRange>
  }

/** The upload that wants to resume. */
export interface ResumeOptions<E, R> {
  readonly path: string
  readonly size: number
  /** Bytes of a chunk at the most: larger ones of an earlier run would take more memory than there is to be. */
  readonly chunkSize: number
  /** Whether to resume at all. */
  readonly resume: boolean
  readonly patience: Patience
  readonly waiting: Waiting
  /** Compares a received chunk with its recorded hash: a session whose chunks are of another source is of no use. */
  readonly verify: (range: ByteRange, hash: string) => Effect.Effect<boolean, E, R>
}

/**
 * Looks for a session of a dead run for a path that can be resumed, and takes it for the scope. Those that cannot
 * are deleted, and so is the taken one when the scope closes before somebody sees to its end.
 */
export const findResumable = <E, R>(
  options: ResumeOptions<E, R>,
): Effect.Effect<
  Resumable,
  E | FabricError | JournalError,
  R | FabricClient | UploadJournal | Scope.Scope
> =>
  Effect.gen(function* () {
    const wanted = caseless(options.path)
    let best: Resumable = { _tag: "None" }
    for (const recorded of yield* leftSessions(({ path }) => caseless(path) === wanted)) {
      const own = yield* takeOver(recorded)
      if (Option.isNone(own)) continue
      const { chunkSize, path, size, state } = own.value.entry
      // Whatever it does with files, the cluster tells the case of a session's path.
      const fits = options.resume && state !== "deleting" && path === options.path &&
        size === options.size && chunkSize <= options.chunkSize
      const found: Resumable = best._tag === "None" && fits
        ? yield* examine(own.value, options)
        : { _tag: "None" }
      if (found._tag === "None") yield* endTaken(own.value, options.waiting, options.patience.limit)
      else best = found
    }
    return best
  })

const examine = <E, R>(
  own: Taken,
  { patience, verify }: ResumeOptions<E, R>,
): Effect.Effect<Resumable, E | FabricError, R | FabricClient> =>
  Effect.gen(function* () {
    const { entry } = own
    const chunks = chunksOf(entry.size, entry.chunkSize)
    const session = yield* patience.persist(getUploadSession({ sessionId: entry.sessionId }))
    const quietAt = yield* quietAfterDeath(entry)
    const same = (ranges: ReadonlyArray<ByteRange>) =>
      Effect.every(ranges, (range) => {
        const hash = entry.hashes[range.first]
        return hash === undefined ? Effect.succeed(false) : verify(range, hash)
      })
    // Once a commit was asked for, an id that the cluster has forgotten is not used again (protocol.md 4.5). A file that
    // is there by now may be somebody else's: one that the cluster still knows as this session's is settled by its commit.
    if (entry.state === "committing" && Option.isNone(session)) return { _tag: "None" }
    // What was begun may still arrive, so it too has to be of this source.
    const begun = chunks.filter(({ first }) => entry.hashes[first] !== undefined)
    if (Option.isNone(session)) {
      return (yield* same(begun)) ? { _tag: "Session", own, quietAt, received: [] } : { _tag: "None" }
    }
    const missing = missingChunks(chunks, session.value.expected)
    if (session.value.path !== entry.path || session.value.size !== entry.size || missing === undefined) {
      return { _tag: "None" }
    }
    const absent = new Set(missing)
    const received = chunks.filter((chunk) => !absent.has(chunk))
    return (yield* same([...new Set([...received, ...begun])]))
      ? { _tag: "Session", own, quietAt, received }
      : { _tag: "None" }
  })
