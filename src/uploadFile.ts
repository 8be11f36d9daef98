/**
 * One file: bytes, ranges, chunks.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import type * as Stream from "effect/Stream"
import type { FabricClient } from "./FabricClient.ts"
import { caseless } from "./ImageStorePath.ts"
import { eventStream } from "./upload/eventStream.ts"
import { uploadInSlots } from "./upload/FileUpload.ts"
import { Slots } from "./upload/Slots.ts"
import { endLeft } from "./upload/takeOver.ts"
import { uploadDefaults, validateUpload } from "./upload/uploadOptions.ts"
import { waitingEvent } from "./upload/waiting.ts"
import type { Source, UploadError, UploadEvent, UploadOptions } from "./UploadEvent.ts"
import type { UploadJournal } from "./UploadJournal.ts"

/**
 * Uploads one file, and tells how it goes. The stream ends with `FileUploaded`.
 *
 * `source` is a path, bytes, or a stream of known size that can be run again. Files of up to a chunk, and all files on
 * Linux clusters, go by one request; larger ones, and those that a gateway finds too large for one request (413), by an
 * upload session, which is committed and deleted, or only deleted, whatever happens. Memory: `concurrency` times
 * `chunkSize`. An earlier run that was killed is taken up: what it brought is compared with its record and not sent
 * again. A small file whose answer was lost goes again at once, as the same bytes do no harm; the first try may arrive for
 * 35 seconds after the end, so another version to the same path has to wait for that.
 *
 * Fails with `FabricError`; with `SourceError` when the source cannot be read or is not the same the second time; with
 * `JournalError` when sessions cannot be recorded. In each case the session is gone, or recorded for the next run.
 */
export const uploadFile = (
  source: Source,
  path: string,
  options: UploadOptions = {},
): Stream.Stream<UploadEvent, UploadError, FabricClient | UploadJournal> =>
  eventStream((emit) =>
    Effect.flatMap(
      validateUpload(path, options),
      (path) =>
        Effect.scoped(Effect.flatMap(
          Slots.make(options.concurrency ?? uploadDefaults.concurrency),
          (slots) =>
            uploadInSlots({
              slots,
              source,
              path,
              options,
              emit,
              endLeft: endLeft(
                (entry) => caseless(entry.path) === caseless(path),
                waitingEvent(path, emit),
                options.patience,
              ),
            }),
        )),
    )
  )
