/** Requests to an emulated gateway, in one line each, for tests that are not about the wire. */
import * as HttpClient from "@effect/platform/HttpClient"
import type * as HttpClientError from "@effect/platform/HttpClientError"
import * as HttpClientRequest from "@effect/platform/HttpClientRequest"
import * as Effect from "effect/Effect"

export const S = "4a2340e8-d8d8-497c-95fe-cdaa1052f33b"
export const T = "2032ac6c-a348-4594-86da-dab0f2bb1ae1"

type Call = Effect.Effect<Answer, HttpClientError.HttpClientError, HttpClient.HttpClient>

interface Answer {
  readonly status: number
  /** The error's code, when there is one. */
  readonly code: string | undefined
  readonly body: string
}

interface Where {
  readonly id?: string
  readonly host?: string
  /** Seconds. */
  readonly timeout?: number
}

interface Page extends Where {
  /** What the page before ended with. */
  readonly token?: string
}

const send = (request: HttpClientRequest.HttpClientRequest): Call =>
  Effect.gen(function* () {
    const response = yield* (yield* HttpClient.HttpClient).execute(request)
    const body = yield* response.text
    const code = /"Code":"(\w+)"/.exec(body)?.[1]
    return { status: response.status, code, body } as Answer
  })

const url = (path: string, { host = "localhost:19080", timeout = 60 }: Where, query = ""): string =>
  `http://${host}/ImageStore${path}?api-version=6.0&timeout=${timeout}${query}`

const session = (id: string = S): string => `&session-id=${id}`

export const putFile = (path: string, bytes: string | Uint8Array, where: Where = {}): Call =>
  send(
    HttpClientRequest.put(url(`/${path}`, where)).pipe(
      HttpClientRequest.bodyUint8Array(typeof bytes === "string" ? new TextEncoder().encode(bytes) : bytes),
    ),
  )

/** Sends the positions `first` to `last` of a file of that size; the bytes are zeros unless given. */
export const putChunk = (
  path: string,
  [first, last]: readonly [number, number],
  size: number,
  where: Where & { readonly bytes?: Uint8Array } = {},
): Call =>
  send(
    HttpClientRequest.put(url(`/${path}/$/UploadChunk`, where, session(where.id))).pipe(
      HttpClientRequest.setHeader("Content-Range", `bytes ${first}-${last}/${size}`),
      HttpClientRequest.bodyUint8Array(where.bytes ?? new Uint8Array(last - first + 1)),
    ),
  )

export const getSession = (where: Where = {}): Call =>
  send(HttpClientRequest.get(url("/$/GetUploadSession", where, session(where.id))))

export const commit = (where: Where = {}): Call =>
  send(HttpClientRequest.post(url("/$/CommitUploadSession", where, session(where.id))))

export const discard = (where: Where = {}): Call =>
  send(HttpClientRequest.del(url("/$/DeleteUploadSession", where, session(where.id))))

export const list = (path: string, { token = "", ...where }: Page = {}): Call =>
  send(
    HttpClientRequest.get(
      url(path === "" ? "" : `/${path}`, where, token === "" ? "" : `&ContinuationToken=${token}`),
    ),
  )

export const removeContent = (path: string, where: Where = {}): Call =>
  send(HttpClientRequest.del(url(`/${path}`, where)))

export const copy = (source: string, destination: string, where: Where = {}): Call =>
  send(
    HttpClientRequest.post(url("/$/Copy", where)).pipe(
      HttpClientRequest.bodyUnsafeJson({ RemoteSource: source, RemoteDestination: destination }),
    ),
  )

/** Uploads a whole file by a session of one chunk, commits it, and leaves the session. */
export const upload = (path: string, text: string, where: Where = {}): Call =>
  Effect.zipRight(
    putChunk(path, [0, text.length - 1], text.length, { ...where, bytes: new TextEncoder().encode(text) }),
    commit(where),
  )
