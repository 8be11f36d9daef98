/**
 * `uploadFile` and `uploadPackage` with everything on, the journal on disk included.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as ManagedRuntime from "effect/ManagedRuntime"
import * as Stream from "effect/Stream"
import * as Os from "node:os"
import * as Path from "node:path"
import * as process from "node:process"
import { FabricClient } from "../../src/FabricClient.ts"
import { uploadFile } from "../../src/uploadFile.ts"
import { UploadJournal } from "../../src/UploadJournal.ts"
import { uploadPackage } from "../../src/uploadPackage.ts"
import { type Job, type Told, uploads, url } from "./uploads.ts"

const runtimeOf = (job: Job) =>
  ManagedRuntime.make(Layer.mergeAll(
    FabricClient.layerCluster({ endpoints: [job.url ?? url] }),
    UploadJournal.layer({
      folder: job.journal ??
        Path.join(Os.tmpdir(), `upload-bench-${process.pid}`),
    }),
    // What faults do is counted, not told.
    Logger.remove(Logger.defaultLogger),
  ))
const runtimes = new Map<string, ReturnType<typeof runtimeOf>>()

uploads(async (job) => {
  const key = `${job.url} ${job.journal}`
  const runtime = runtimes.get(key) ?? runtimeOf(job)
  runtimes.set(key, runtime)
  const { concurrency, chunkSize, killAt = Infinity, kind, path, source } = job
  let told: Told = {}
  let planned = Infinity
  let there = 0
  const events = kind === "file"
    ? uploadFile(source, path, { concurrency, chunkSize })
    : uploadPackage(source, path, { concurrency, chunkSize, validate: false })
  await runtime.runPromise(
    Stream.runForEach(events, (event) =>
      Effect.sync(() => {
        if (event._tag === "PackagePlanned") planned = event.bytes
        if (event._tag === "FileUploaded") there += event.size
        if (
          kind === "file"
            ? event._tag === "BytesSent" && event.sent >= killAt * event.size
            : there >= killAt * planned
        ) process.kill(process.pid, "SIGKILL")
        if (
          event._tag === "PackageUploaded" ||
          (kind === "file" && event._tag === "FileUploaded")
        ) {
          told = {
            sent: event.sent,
            resumed: event.resumed,
            retries: event.retries,
          }
        }
      })),
  )
  return told
})
