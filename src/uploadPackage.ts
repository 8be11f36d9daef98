/**
 * A whole package: a folder, or an archive of one.
 *
 * @module
 */
import * as Clock from "effect/Clock"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import type * as Stream from "effect/Stream"
import { statSync } from "node:fs"
import { basename, extname, resolve } from "node:path"
import type { FabricClient } from "./FabricClient.ts"
import { hasUploadSessions } from "./ImageStore.ts"
import { type ApplicationPackage, readApplication } from "./package/applicationManifest.ts"
import { beginPackage } from "./package/beginPackage.ts"
import { removeLeftCompressions } from "./package/compressionFolder.ts"
import { compressionsOf, compressPackage } from "./package/compressPackage.ts"
import type { PackageContent } from "./package/PackageContent.ts"
import { readFolder } from "./package/packageFolder.ts"
import { validatePackage } from "./package/packageOptions.ts"
import { type PackagePlan, planPackage } from "./package/packagePlan.ts"
import { PackageUpload } from "./package/PackageUpload.ts"
import { withRollBack } from "./package/rollBackPackage.ts"
import { openArchive } from "./package/zipArchive.ts"
import { PackageError, type Problem } from "./PackageError.ts"
import type { PackageEvent, PackageOptions, PackageUploadError } from "./PackageEvent.ts"
import { codeOf } from "./system/codeOf.ts"
import { type Emit, eventStream } from "./upload/eventStream.ts"
import { withHeartbeat } from "./upload/heartbeat.ts"
import { Slots } from "./upload/Slots.ts"
import { uploadDefaults, validateUpload } from "./upload/uploadOptions.ts"
import { SourceError } from "./UploadEvent.ts"
import type { UploadJournal } from "./UploadJournal.ts"

type Env = FabricClient | UploadJournal

/**
 * Uploads a folder, or a `.sfpkg` or `.zip` file of one, and tells how it goes. The stream ends with
 * `PackageUploaded`. `path` defaults to the source's name, without its extension.
 *
 * Everything is checked before the first byte goes, and all that is wrong is told at once. Folders get their `_.dir`
 * markers children first, and the package's own comes last, after the cluster's listing was compared with the plan; one
 * that is there is removed first: at no time can a mix of two packages be provisioned (protocol.md 5.1).
 *
 * Fails with `PackageError` when the package is not right, or not right in the store afterwards; otherwise as
 * `uploadFile` does. Interruption and failure remove the package again where nothing was before.
 */
export const uploadPackage = (
  source: string,
  path?: string,
  options: PackageOptions = {},
): Stream.Stream<PackageEvent, PackageUploadError, Env> =>
  eventStream((emit) => Effect.scoped(run(resolve(source), path, options, emit)))

const run = (
  source: string,
  path: string | undefined,
  options: PackageOptions,
  emit: Emit<PackageEvent>,
): Effect.Effect<void, PackageUploadError, Env | Scope.Scope> =>
  Effect.gen(function* () {
    const begun = yield* Clock.currentTimeMillis
    yield* validatePackage(source, options)
    yield* removeLeftCompressions
    const found = yield* openPackage(source, options)
    const destination = path ?? (found.packed ? basename(source, extname(source)) : basename(source))
    yield* validateUpload(destination, options)
    const { application, plan } = yield* prepare(found.content, destination, options, emit)

    const { chunkSize = uploadDefaults.chunkSize, concurrency = uploadDefaults.concurrency } = options
    const slots = yield* Slots.make(concurrency)
    const upload = new PackageUpload(plan, slots, options, emit)
    const { before, journal } = yield* beginPackage(
      {
        plan,
        keyOf: upload.keyOf,
        resume: options.resume ?? uploadDefaults.resume,
        keep: options.onFailure === "keep",
        lookAfter: chunkSize * concurrency / 2,
      },
      options.patience ?? uploadDefaults.patience,
      emit,
      upload.look,
    )
    // Later it would fail half way, when the package that is there is no more.
    if (journal.failure !== undefined && upload.needsSessions) return yield* journal.failure
    emit({
      _tag: "PackagePlanned",
      path: destination,
      files: plan.files.length,
      bytes: plan.bytes,
      applicationType: application.type,
      applicationVersion: application.version,
      stored: journal.stored,
      overwrites: before.size > 0 && !journal.first,
    })
    const bring = withHeartbeat(journal.touch, upload.bring(before, journal))
    const brought = yield* (journal.first
      ? withRollBack(bring, { path: destination, slots, upload, journal, emit })
      : bring)
    yield* journal.forget(slots.quietAt)
    emit({
      _tag: "PackageUploaded",
      path: destination,
      applicationType: application.type,
      applicationVersion: application.version,
      files: plan.files.length,
      bytes: plan.bytes,
      ...brought,
      seconds: ((yield* Clock.currentTimeMillis) - begun) / 1000,
    })
  })

const openPackage = (
  source: string,
  { unpackedLimit }: PackageOptions,
): Effect.Effect<
  { readonly content: PackageContent; readonly packed: boolean },
  SourceError | PackageError,
  Scope.Scope
> => {
  const attempt = <A>(run: () => A) =>
    Effect.try({
      try: run,
      catch: (cause) => new SourceError({ source, issue: `it cannot be read (${codeOf(cause)})` }),
    })
  return Effect.gen(function* () {
    const found = yield* attempt(() => statSync(source))
    if (found.isDirectory()) return { content: yield* attempt(() => readFolder(source)), packed: false }
    if (/\.(sfpkg|zip)$/i.test(source)) {
      return { content: yield* openArchive(source, unpackedLimit), packed: true }
    }
    return yield* new PackageError({
      source,
      problems: ["it is neither a folder nor a .sfpkg or .zip file; uploadFile uploads a single file"],
    })
  })
}

/** Checks everything, and compresses what is to be compressed. */
const prepare = (
  content: PackageContent,
  destination: string,
  options: PackageOptions,
  emit: Emit<PackageEvent>,
): Effect.Effect<
  { readonly application: ApplicationPackage; readonly plan: PackagePlan },
  PackageUploadError,
  FabricClient | Scope.Scope
> =>
  Effect.gen(function* () {
    const application = yield* readApplication(content)
    const { plan, problems } = planPackage(content, destination)
    const compress = options.compress === true
    const compressions = compress ? compressionsOf(content, application.packages) : []
    yield* refuse(content.source, [
      ...content.problems,
      ...problems,
      // Which folders can be compressed is in the manifests.
      ...(options.validate !== false || compress ? application.problems : []),
      ...(plan.files.length === 0 ? [{ text: "there is no file in it" }] : []),
    ])
    if (compressions.length === 0) return { application, plan }
    const all = compressions.reduce((sum, { bytes }) => sum + bytes, 0)
    const compressed = yield* compressPackage(content, compressions, {
      begins: ({ bytes, files, folder }) => emit({ _tag: "Compressing", folder, files: files.length, bytes }),
      read: (read) => emit({ _tag: "BytesCompressed", read, bytes: all }),
    })
    return { application, plan: planPackage(compressed, destination).plan }
  })

/** Fails with all problems. Those of one system count on that system; which it is, is asked when it matters. */
const refuse = (
  source: string,
  problems: ReadonlyArray<Problem>,
): Effect.Effect<void, PackageUploadError, FabricClient> =>
  Effect.gen(function* () {
    if (problems.length === 0) return
    const asks = problems.every(({ on }) => on !== undefined)
    const system = asks ? ((yield* hasUploadSessions) ? "windows" : "linux") : undefined
    const valid = problems.filter(({ on }) => on === undefined || system === undefined || on === system)
    if (valid.length > 0) return yield* new PackageError({ source, problems: valid.map(({ text }) => text) })
  })
