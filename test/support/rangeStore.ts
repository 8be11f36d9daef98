/**
 * A gateway that keeps ranges and no bytes, so that a file may be of any size. It computes with `BigInt`, by the text of
 * the protocol: no number of the library's is trusted.
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as HttpClientResponse from "@effect/platform/HttpClientResponse"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Stream from "effect/Stream"
import { FabricClient, FabricConfig } from "../../mod.ts"

interface Gap {
  readonly first: bigint
  readonly last: bigint
}

interface RangeStore {
  /** Our client over it. */
  readonly layer: Layer.Layer<FabricClient>
  /** The `Content-Range` of each chunk, in the order in which they came. */
  readonly chunks: Array<string>
  /** The actions that were asked for, in the order in which they came. */
  readonly asked: Array<string>
  /** Bytes of the file that was made, once there is one. */
  readonly made: () => bigint | undefined
}

/**
 * A store of one file of `size` bytes, `App/a.bin`. `see` gets each body, and where in the file that begins. `expected`:
 * what a session of an earlier run lacks.
 */
export const rangeStore = (
  size: bigint,
  see: (at: number, bytes: Uint8Array) => void,
  options: { readonly os?: "linux"; readonly expected?: ReadonlyArray<Gap> } = {},
): RangeStore => {
  const chunks: Array<string> = []
  const asked: Array<string> = []
  let expected: ReadonlyArray<Gap> | undefined = options.expected
  let made: bigint | undefined

  const session = () =>
    expected === undefined ? { status: 204 } : {
      status: 200,
      body: {
        UploadSessions: [{
          StoreRelativePath: "App/a.bin",
          SessionId: "4a2340e8-d8d8-497c-95fe-cdaa1052f33b",
          FileSize: String(size),
          ModifiedDate: "2026-11-22T00:00:00.000Z",
          ExpectedRanges: expected.map(({ first, last }) => ({
            StartPosition: String(first),
            EndPosition: String(last),
          })),
        }],
      },
    }
  const refuse = (code: string) => ({ status: 400, body: { Error: { Code: code, Message: "Null" } } })

  /** Takes a chunk that lies wholly inside one gap. */
  const chunk = (range: string, bytes: Uint8Array) => {
    chunks.push(range)
    const parts = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(range)
    if (parts === null) return refuse("FABRIC_E_UPLOAD_SESSION_RANGE_NOT_SATISFIABLE")
    const [first, last, length] = parts.slice(1).map(BigInt) as [bigint, bigint, bigint]
    if (length !== size || last - first + 1n !== BigInt(bytes.length)) return refuse("E_INVALIDARG")
    const gaps: ReadonlyArray<Gap> = expected ?? [{ first: 0n, last: size - 1n }]
    const around = gaps.find((gap) => gap.first <= first && last <= gap.last)
    if (around === undefined) return refuse("FABRIC_E_UPLOAD_SESSION_RANGE_NOT_SATISFIABLE")
    expected = gaps.flatMap((gap) =>
      gap !== around ? [gap] : [
        { first: gap.first, last: first - 1n },
        { first: last + 1n, last: gap.last },
      ].filter(({ first, last }) => first <= last)
    )
    see(Number(first), bytes)
    return { status: 200 }
  }

  const client = HttpClient.make((request, url) =>
    Effect.gen(function* () {
      const { body, headers, method } = request
      const action = /\$\/(\w+)$/.exec(url.pathname)?.[1] ?? (method === "PUT" ? "UploadFile" : "List")
      asked.push(action)
      const answer = (): { readonly status: number; readonly body?: unknown } => {
        switch (action) {
          case "UploadChunk":
            return body._tag === "Uint8Array"
              ? chunk(headers["content-range"]!, body.body)
              : refuse("E_INVALIDARG")
          case "CommitUploadSession":
            if (expected?.length !== 0) return refuse("E_INVALIDARG")
            made = size
            return { status: 200 }
          case "DeleteUploadSession":
            expected = undefined
            return { status: 200 }
          case "GetUploadSession":
            return options.os === "linux" ? refuse("E_INVALIDARG") : session()
          default:
            return { status: 404 }
        }
      }
      if (action === "UploadFile" && body._tag === "Stream") {
        let at = 0
        yield* Effect.orDie(Stream.runForEach(body.stream, (bytes) =>
          Effect.sync(() => {
            see(at, bytes)
            at += bytes.length
          })))
        if (body.contentLength === at) made = BigInt(at)
        return HttpClientResponse.fromWeb(request, new Response(null, { status: made === size ? 200 : 400 }))
      }
      const { body: json, status } = answer()
      return HttpClientResponse.fromWeb(
        request,
        new Response(json === undefined ? null : JSON.stringify(json), { status }),
      )
    })
  )
  return {
    chunks,
    asked,
    made: () => made,
    layer: FabricClient.layer.pipe(
      Layer.provide(Layer.succeed(HttpClient.HttpClient, client)),
      Layer.provide(Layer.orDie(FabricConfig.layer({ endpoints: ["http://one:19080"] }))),
    ),
  }
}
