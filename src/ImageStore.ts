/**
 * The operations on what the image store holds.
 *
 * @module
 */
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import * as Stream from "effect/Stream"
import { decodeParams, makeOperation, readJson, readNothing } from "./client/makeOperation.ts"
import type { Follower, Operation, Request } from "./client/Operation.ts"
import { optionalTimeout, type WithTimeout } from "./client/ServerTimeout.ts"
import { probeRequest, SESSIONS_PROBE } from "./client/sessionsProbe.ts"
import { FabricClient } from "./FabricClient.ts"
import { FabricError } from "./FabricError.ts"
import {
  FolderSize,
  type ImageStoreEntry,
  ImageStoreInfo,
  ListingBody,
  listingOf,
  type ListingPage,
} from "./ImageStoreContent.ts"
import { caseless, escapePath, ImageStorePath } from "./ImageStorePath.ts"
import type { Answer, Body } from "./transport/Exchange.ts"

/** What {@link listContent} takes. Without `path`: the root. */
export const ListContentParams: Schema.Struct<{
  path: Schema.optional<Schema.Schema<ImageStorePath, string>>
  timeout: typeof optionalTimeout
}> = Schema.Struct({ path: Schema.optional(ImageStorePath), timeout: optionalTimeout })

/** A page is asked for by the token as it was received: the gateway escapes and unescapes it (protocol.md 3.1). */
const PageParams = Schema.Struct({ ...ListContentParams.fields, token: Schema.String })

const readListing = readJson(ListingBody)

const readPage = (answer: Answer): Either.Either<ListingPage, string> =>
  answer.status === 204
    ? Either.right({ entries: [], token: "" })
    : Either.map(readListing(answer), listingOf)

const pageRequest = (
  { path, token }: { readonly path?: ImageStorePath | undefined; readonly token: string },
) => ({
  path: path === undefined ? "/ImageStore" : `/ImageStore/${escapePath(path)}`,
  ...(path === undefined ? {} : { subject: path }),
  ...(token === "" ? {} : { query: { ContinuationToken: token } }),
})

const getRootPage = makeOperation({
  name: "GetImageStoreRootContent",
  action: "list the image store",
  method: "GET",
  apiVersion: "6.0",
  params: PageParams,
  request: pageRequest,
  read: readPage,
})

const getPage = makeOperation({
  name: "GetImageStoreContent",
  action: "list",
  method: "GET",
  apiVersion: "6.2",
  bareNotFound: true,
  params: PageParams,
  request: pageRequest,
  read: readPage,
})

/** The gateway has no empty root: it answers as if nothing had that name (protocol.md 3.1). */
const isEmptyRoot = (error: FabricError): boolean =>
  error.reason._tag === "Rejected" && error.reason.code === "FABRIC_E_NAME_DOES_NOT_EXIST"

/**
 * Lists one folder, or a file as itself, page after page as they are pulled. Empty: the folder exists and holds
 * nothing. A path that does not exist fails with `FabricError.isNotFound`. Files that are just being written
 * are left out.
 *
 * REST: `GetImageStoreContent`, api-version 6.2, and `GetImageStoreRootContent`, 6.0 (protocol.md 3.1).
 */
export const listContent = (
  params: { readonly path?: string | undefined } & WithTimeout = {},
): Stream.Stream<ImageStoreEntry, FabricError, FabricClient> =>
  Stream.paginateChunkEffect("", (token) => {
    const page = params.path === undefined
      ? Effect.catchIf(getRootPage({ ...params, token }), isEmptyRoot, () =>
        Effect.succeed({ entries: [], token: "" }))
      : getPage({ ...params, token })
    return Effect.flatMap(page, ({ entries, token: next }) =>
      next !== "" && next === token
        ? endless(params.path, token)
        : Effect.succeed([Chunk.fromIterable(entries), next === "" ? Option.none() : Option.some(next)]))
  })

/** A page that ends where it begins would be asked for for ever, and what comes after it never be seen. */
const endless = (
  path: string | undefined,
  token: string,
): Effect.Effect<never, FabricError, FabricClient> =>
  Effect.flatMap(FabricClient, ({ endpoint }) =>
    new FabricError({
      ...(path === undefined
        ? { operation: "GetImageStoreRootContent", action: "list the image store" }
        : { operation: "GetImageStoreContent", action: `list ${path}` }),
      endpoint: endpoint(),
      attempts: 1,
      reason: {
        _tag: "Malformed",
        status: 200,
        detail: `the page after ${JSON.stringify(token)} names itself as the next one`,
      },
    }))

/** What {@link putFile} takes: bytes, or a stream of `size` bytes that can be run again. */
export const PutFileParams: Schema.Struct<{
  path: Schema.Schema<ImageStorePath, string>
  bytes: Schema.Schema<Uint8Array | Stream.Stream<Uint8Array, unknown>>
  size: Schema.optional<typeof Schema.NonNegativeInt>
  timeout: typeof optionalTimeout
}> = Schema.Struct({
  path: ImageStorePath,
  bytes: Schema.declare((u): u is Uint8Array | Stream.Stream<Uint8Array, unknown> =>
    u instanceof Uint8Array || (typeof u === "object" && u !== null && Stream.StreamTypeId in u)
  ).annotations({
    message: () => ({ message: "expected a Uint8Array or a Stream of them", override: true }),
  }),
  size: Schema.optional(Schema.NonNegativeInt),
  timeout: optionalTimeout,
})

const SizedFile = PutFileParams.pipe(
  Schema.filter(({ bytes, size }) =>
    bytes instanceof Uint8Array
      ? size === undefined || size === bytes.length ||
        { path: ["size"], message: `${size} was given for ${bytes.length} bytes` }
      : size !== undefined || { path: ["size"], message: "is missing; a stream needs one, in bytes" }
  ),
)

const UPLOAD_FILE: Operation<void> = {
  name: "UploadFile",
  action: "upload",
  method: "PUT",
  apiVersion: "6.0",
  uninterruptible: true,
  read: readNothing,
}

const uploadRequest = (path: ImageStorePath, body: Body): Request => ({
  path: `/ImageStore/${escapePath(path)}`,
  headers: { "Content-Type": "application/octet-stream" },
  body,
  subject: path,
})

/**
 * Writes a file by one request, and replaces one that is there. An empty file is written too. A body under way is
 * not cut off by interruption; repeats write the same again.
 *
 * REST: `UploadFile`, api-version 6.0 (protocol.md 3.2).
 */
export const putFile: (
  params: {
    readonly path: string
    readonly bytes: Uint8Array | Stream.Stream<Uint8Array, unknown>
    readonly size?: number | undefined
  } & WithTimeout,
) => Effect.Effect<void, FabricError, FabricClient> = makeOperation({
  ...UPLOAD_FILE,
  params: SizedFile,
  request: ({ bytes, path, size }) =>
    uploadRequest(path, bytes instanceof Uint8Array ? bytes : { stream: bytes, size: size ?? 0 }),
})

/** One attempt of {@link putFile}, of params that were checked before. */
export const putFileOnce = (
  path: ImageStorePath,
  body: Body,
  timeout: number,
  follower: Follower,
): Effect.Effect<void, FabricError, FabricClient> =>
  Effect.flatMap(
    FabricClient,
    ({ once }) => once.run(UPLOAD_FILE, { ...uploadRequest(path, body), follower }, timeout),
  )

/** What {@link deleteContent} takes. */
export const DeleteContentParams: Schema.Struct<{
  path: Schema.Schema<ImageStorePath, string>
  timeout: typeof optionalTimeout
}> = Schema.Struct({ path: ImageStorePath, timeout: optionalTimeout })

/**
 * Deletes a file, or a folder with everything below it. What is not there is deleted already. `Store` and
 * `WindowsFabricStore` themselves are refused by the cluster.
 *
 * REST: `DeleteImageStoreContent`, api-version 6.0 (protocol.md 3.3).
 */
export const deleteContent: (
  params: { readonly path: string } & WithTimeout,
) => Effect.Effect<void, FabricError, FabricClient> = makeOperation({
  name: "DeleteImageStoreContent",
  action: "delete",
  method: "DELETE",
  apiVersion: "6.0",
  params: DeleteContentParams,
  request: ({ path }) => ({ path: `/ImageStore/${escapePath(path)}`, subject: path }),
  read: readNothing,
})

/** Whether a path is another, or lies in it, for a cluster that ignores case. */
const liesIn = (path: string, folder: string): boolean =>
  caseless(`${path}/`).startsWith(caseless(`${folder}/`))

/** What {@link copyContent} takes. `skipFiles` are names, without folders. */
export const CopyContentParams: Schema.Struct<{
  source: Schema.Schema<ImageStorePath, string>
  destination: Schema.Schema<ImageStorePath, string>
  skipFiles: Schema.optional<Schema.Array$<typeof Schema.String>>
  timeout: typeof optionalTimeout
}> = Schema.Struct({
  source: ImageStorePath,
  destination: ImageStorePath,
  skipFiles: Schema.optional(Schema.Array(Schema.String)),
  timeout: optionalTimeout,
})

const HarmlessCopy = CopyContentParams.pipe(
  Schema.filter(({ destination, source }) =>
    liesIn(source, destination)
      ? {
        path: ["destination"],
        message:
          `${source} is in ${destination}, which the cluster deletes before it copies; choose another one`,
      }
      : undefined
  ),
)

/** A copy, with what the cluster writes between names. */
type Copy = typeof CopyContentParams.Type & { readonly separator: string }

const COPY: Operation<void> = {
  name: "CopyImageStoreContent",
  action: "copy",
  method: "POST",
  apiVersion: "6.0",
  read: readNothing,
}

const copyRequest = ({ destination, separator, skipFiles, source }: Copy): Request => ({
  path: "/ImageStore/$/Copy",
  headers: { "Content-Type": "application/json; charset=utf-8" },
  body: new TextEncoder().encode(JSON.stringify({
    RemoteSource: source.replaceAll("/", separator),
    RemoteDestination: destination.replaceAll("/", separator),
    ...(skipFiles === undefined ? {} : { SkipFiles: skipFiles }),
  })),
  subject: `${source} to ${destination}`,
})

const decodeCopy = decodeParams({ ...COPY, params: HarmlessCopy })

/** What this cluster writes between names; asked for only where there are any. */
const separatorFor = (
  { destination, source, timeout }: typeof CopyContentParams.Type,
): Effect.Effect<string, FabricError, FabricClient> =>
  source.includes("/") || destination.includes("/")
    ? Effect.mapBoth(askForUploadSessions(timeout), {
      onSuccess: (windows) => windows ? "\\" : "/",
      onFailure: (error) =>
        new FabricError({
          ...error,
          operation: COPY.name,
          action: `${COPY.action} ${source} to ${destination}`,
        }),
    })
    : Effect.succeed("/")

/**
 * Copies a file, or a folder that directly holds a `_.dir` file. A folder that is there is replaced. A source that
 * does not exist, or lacks its `_.dir`, fails with `FabricError.isNotFound`. A folder cannot be copied onto itself or
 * one that it lies in: the cluster would delete it first.
 *
 * The cluster compares the paths as they are given with those that it keeps, so they are sent with its own
 * separator; which that is, is asked once an endpoint.
 *
 * REST: `CopyImageStoreContent`, api-version 6.0 (protocol.md 3.4).
 */
export const copyContent = (
  params: {
    readonly source: string
    readonly destination: string
    readonly skipFiles?: ReadonlyArray<string> | undefined
  } & WithTimeout,
): Effect.Effect<void, FabricError, FabricClient> =>
  Effect.gen(function* () {
    const decoded = yield* decodeCopy(params)
    const separator = yield* separatorFor(decoded)
    const { run } = yield* FabricClient
    return yield* run(COPY, copyRequest({ ...decoded, separator }), decoded.timeout)
  })

const askForUploadSessions = (
  timeout: number | undefined,
): Effect.Effect<boolean, FabricError, FabricClient> =>
  Effect.flatMap(FabricClient, (client) => {
    const known = client.hasSessions()
    return known !== undefined
      ? Effect.succeed(known)
      : client.run(SESSIONS_PROBE, probeRequest(), timeout).pipe(
        Effect.as(true),
        Effect.catchIf((error) => error.reason._tag === "SessionsUnsupported", () => Effect.succeed(false)),
      )
  })

/**
 * Whether the cluster has upload sessions: those on Windows do, those on Linux do not. Asked once an endpoint
 * (protocol.md 4).
 */
export const hasUploadSessions: Effect.Effect<boolean, FabricError, FabricClient> = askForUploadSessions(
  undefined,
)

/** What {@link getFolderSize} takes. Without `path`: the root. */
export const GetFolderSizeParams: Schema.Struct<{
  path: Schema.optional<Schema.Schema<ImageStorePath, string>>
  timeout: typeof optionalTimeout
}> = Schema.Struct({ path: Schema.optional(ImageStorePath), timeout: optionalTimeout })

const getRootFolderSize = makeOperation({
  name: "GetImageStoreRootFolderSize",
  action: "measure the image store",
  method: "GET",
  apiVersion: "6.5",
  params: GetFolderSizeParams,
  request: () => ({ path: "/ImageStore/$/FolderSize" }),
  read: readJson(FolderSize),
})

const getSubfolderSize = makeOperation({
  name: "GetImageStoreFolderSize",
  action: "measure",
  method: "GET",
  apiVersion: "6.5",
  params: GetFolderSizeParams,
  request: ({ path }) => ({
    path: `/ImageStore/${escapePath(path!)}/$/FolderSize`,
    subject: path!,
  }),
  read: readJson(FolderSize),
})

/**
 * Measures everything below a folder. Clusters before 6.5 reject it.
 *
 * REST: `GetImageStoreFolderSize` and `GetImageStoreRootFolderSize`, api-version 6.5 (protocol.md 3.5).
 */
export const getFolderSize = (
  params: { readonly path?: string | undefined } & WithTimeout = {},
): Effect.Effect<FolderSize, FabricError, FabricClient> =>
  params.path === undefined ? getRootFolderSize(params) : getSubfolderSize(params)

/** What {@link getInfo} takes. */
export const GetInfoParams: Schema.Struct<{ timeout: typeof optionalTimeout }> = Schema.Struct({
  timeout: optionalTimeout,
})

/**
 * Tells how full the disk of the image store's primary is, and with what. Clusters before 6.5 reject it.
 *
 * REST: `GetImageStoreInfo`, api-version 6.5 (protocol.md 3.5).
 */
export const getInfo = (params: WithTimeout = {}): Effect.Effect<ImageStoreInfo, FabricError, FabricClient> =>
  readInfo(params)

const readInfo = makeOperation({
  name: "GetImageStoreInfo",
  action: "read the state of the image store",
  method: "GET",
  apiVersion: "6.5",
  params: GetInfoParams,
  request: () => ({ path: "/ImageStore/$/Info" }),
  read: readJson(ImageStoreInfo),
})
