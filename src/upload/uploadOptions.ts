/**
 * The options of an upload: defaults, limits, checks.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Schema from "effect/Schema"
import { decodeParams, refuseParams } from "../client/makeOperation.ts"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import { ImageStorePath } from "../ImageStorePath.ts"
import type { UploadOptions } from "../UploadEvent.ts"

/** What is used where nothing else is said. */
export const uploadDefaults: {
  readonly concurrency: number
  readonly chunkSize: number
  readonly resume: boolean
  readonly cleanStale: boolean
  readonly patience: number
} = { concurrency: 4, chunkSize: 8 * 1024 * 1024, resume: true, cleanStale: false, patience: 300 }

/** The most that an upload takes. */
export const MOST_CONCURRENCY = 256
export const LARGEST_CHUNK: number = 2 ** 30
/** No chunk is made smaller than so many bytes, however often the cluster finds it too large. */
export const SMALLEST_CHUNK: number = 64 * 1024

const Destination = Schema.Struct({ path: ImageStorePath })

/** The decoded path. Fails for a path or an option that cannot work, before anything is sent. */
export const validateUpload = (
  path: string,
  { chunkSize = uploadDefaults.chunkSize, concurrency = uploadDefaults.concurrency, patience = 1 }:
    UploadOptions,
): Effect.Effect<ImageStorePath, FabricError, FabricClient> => {
  const upload = { name: "UploadFile", action: `upload to ${path}` }
  const refuse = (field: string, issue: string) => refuseParams(upload, field, issue)
  return Effect.flatMap(decodeParams({ ...upload, params: Destination })({ path }), ({ path }) => {
    if (!Number.isInteger(concurrency) || concurrency < 1 || concurrency > MOST_CONCURRENCY) {
      return refuse(
        "concurrency",
        `expected a whole number from 1 to ${MOST_CONCURRENCY}, got ${concurrency}`,
      )
    }
    if (!Number.isInteger(chunkSize) || chunkSize < 1 || chunkSize > LARGEST_CHUNK) {
      return refuse("chunkSize", `expected whole bytes from 1 to ${LARGEST_CHUNK}, got ${chunkSize}`)
    }
    if (!(patience > 0)) return refuse("patience", `expected more than 0 seconds, got ${patience}`)
    return Effect.succeed(path)
  })
}
