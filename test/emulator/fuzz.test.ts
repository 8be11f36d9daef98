/** Whatever is sent, the answer is one that protocol.md allows, and the emulator lives on. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Buffer } from "node:buffer"
import { env } from "node:process"
import { Emulator } from "../../src/emulator/mod.ts"
import { inProcess, type RawReply, type RawRequest } from "./support/faces.ts"
import { talk } from "./support/socket.ts"

const seed = Number(env["FUZZ_SEED"] ?? Date.now() % 2 ** 31)
console.info(`fuzz seed: FUZZ_SEED=${seed}`)

/** Every pair of status and code that protocol.md lets come out of a gateway without faults. */
const ALLOWED: Readonly<Record<number, ReadonlyArray<string>>> = {
  400: [
    "E_INVALIDARG",
    "FABRIC_E_IMAGEBUILDER_RESERVED_DIRECTORY_ERROR",
    "FABRIC_E_INVALID_UPLOAD_SESSION_ID",
    "FABRIC_E_PATH_TOO_LONG",
    "FABRIC_E_UPLOAD_SESSION_RANGE_NOT_SATISFIABLE",
  ],
  404: ["NotFound", "FABRIC_E_FILE_NOT_FOUND", "FABRIC_E_NAME_DOES_NOT_EXIST"],
  409: ["FABRIC_E_UPLOAD_SESSION_ID_CONFLICT"],
  413: ["FABRIC_E_MESSAGE_TOO_LARGE", "FABRIC_E_VALUE_TOO_LARGE"],
  500: ["FABRIC_E_IMAGESTORE_IOERROR"],
}

const isAllowed = ({ body, headers, status }: Pick<RawReply, "status" | "body" | "headers">): boolean => {
  if (status === 200) return body === "" || JSON.parse(body) !== undefined
  if (status === 204) return body === ""
  if (status === 404 && body === "") return true
  if (status === 400 && headers["content-type"]?.startsWith("text/html")) return true
  const { Error: error } = JSON.parse(body) as { Error: { Code: string; Message: string } }
  return ALLOWED[status]?.includes(error.Code) === true && typeof error.Message === "string"
}

const { constantFrom, oneof, record, string, tuple } = FastCheck

const ids = oneof(
  constantFrom("4a2340e8-d8d8-497c-95fe-cdaa1052f33b", "2032AC6C-a348-4594-86da-dab0f2bb1ae1"),
  constantFrom("00000000-0000-0000-0000-000000000000", "", "xyz", "{4a2340e8-d8d8-497c-95fe-cdaa1052f33b}"),
  string(),
)
const name = oneof(
  { weight: 5, arbitrary: constantFrom("App", "app", "a.bin", "_.dir", "Store", "b") },
  constantFrom(
    "$",
    "..",
    ".",
    "",
    "%2E%2E",
    "..%5C..%5C..",
    "%5C%5Cserver",
    "C%3A",
    "NUL",
    "%00",
    "%2f",
    "%zz",
    "%ff",
  ),
  string(),
  string({ unit: "binary" }).map((text) => Buffer.from(text).toString("latin1")),
  constantFrom("x".repeat(250), "x".repeat(300)),
)
const action = constantFrom(
  "UploadChunk",
  "GetUploadSession",
  "CommitUploadSession",
  "DeleteUploadSession",
  "Copy",
  "FolderSize",
  "Info",
  "Nothing",
)
const path = oneof(
  {
    weight: 3,
    arbitrary: FastCheck.array(name, { maxLength: 4 }).map((names) => ["/ImageStore", ...names].join("/")),
  },
  {
    weight: 5,
    arbitrary: tuple(FastCheck.array(name, { maxLength: 2 }), action)
      .map(([names, action]) => ["/ImageStore", ...names, "$", action].join("/")),
  },
  constantFrom(
    "/$/GetClusterVersion",
    "/$/GetAadMetadata",
    "/$/GetClusterManifest",
    "/$/",
    "/",
    "//",
    "*",
    "/IMAGESTORE",
  ),
  string(),
)
const version = constantFrom("6.0", "6.0", "6.2", "3.0", "1.5", "99", "", "x", "6.0-preview")
const pair = oneof(
  ids.map((id) => `session-id=${id}`),
  oneof(constantFrom("0", "1", "-1", "4294967296"), string()).map((seconds) => `timeout=${seconds}`),
  oneof(constantFrom("App%5C", "%zz", "zzzz"), string()).map((token) => `ContinuationToken=${token}`),
  string(),
)
const query = tuple(version, FastCheck.array(pair, { maxLength: 3 }))
  .map(([version, pairs]) => [...pairs, `api-version=${version}`].join("&"))
const position = constantFrom(
  "0",
  "1",
  "4",
  "9",
  "10",
  "20",
  "-1",
  "*",
  "",
  "9007199254740993",
  "99999999999999999999",
)
const contentRange = oneof(
  tuple(position, position, position).map(([first, last, size]) => `bytes ${first}-${last}/${size}`),
  constantFrom("bytes 0-4/10", "bytes 5-9/10", "bytes */10", "bytes=0-4/10", "7/10"),
  string(),
)
const copyBody = FastCheck.json().map((text) => text)
const requests: FastCheck.Arbitrary<RawRequest> = record({
  method: constantFrom("GET", "PUT", "POST", "DELETE", "GET", "PUT", "HEAD", "PATCH", "OPTIONS"),
  target: tuple(path, oneof({ weight: 9, arbitrary: query }, string()))
    .map(([path, query]) => `${path}?${query}`),
  headers: oneof(
    contentRange.map((text) => ({ "Content-Range": text })),
    constantFrom<Record<string, string>>({}, { ClusterId: "x" }, { "content-range": "bytes 0-0/1" }),
  ),
  body: oneof(
    constantFrom("", "12345", "x".repeat(100)),
    copyBody,
    tuple(name, name).map(([source, destination]) =>
      JSON.stringify({ RemoteSource: source, RemoteDestination: destination })
    ),
    string(),
  ),
})

describe("anything", () => {
  for (const os of ["windows", "linux"] as const) {
    it.scoped(
      `sent 6,000 times to the layer gets an answer of a gateway (${os})`,
      () =>
        Effect.gen(function* () {
          const { send } = yield* inProcess.start({ os, history: 1, pageBytes: 2000 })
          for (const request of FastCheck.sample(requests, { numRuns: 6000, seed })) {
            // Beginnings that an URL cannot have are the transport's business, not the gateway's.
            const target = request.target.startsWith("/") ? request.target : `/${request.target}`
            const reply = yield* send({ ...request, target })
            assert.isTrue(isAllowed(reply), JSON.stringify({ seed, request, reply }))
          }
        }),
      60_000,
    )
  }

  it.scoped(
    "sent over sockets, whole, cut or one after the other, never brings the server down",
    () =>
      Effect.gen(function* () {
        const { emulator, url } = yield* Emulator.serve({ port: 0 }).pipe(
          Logger.withMinimumLogLevel(LogLevel.None),
        )
        const bytes = requests.map(({ body = "", headers = {}, method, target }) =>
          Buffer.from(
            `${method} ${target} HTTP/1.1\r\nHost: h\r\n` +
              Object.entries(headers).map(([key, value]) => `${key}: ${value}\r\n`).join("") +
              `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
          )
        )
        const conversations = oneof(
          bytes,
          tuple(bytes, FastCheck.nat(400)).map(([all, length]) => all.subarray(0, length)),
          FastCheck.array(bytes, { maxLength: 5 }).map((all) => Buffer.concat(all)),
          FastCheck.uint8Array({ maxLength: 300 }).map((all) => Buffer.from(all)),
        )
        yield* Effect.forEach(
          FastCheck.sample(conversations, { numRuns: 1500, seed }),
          (bytes) =>
            Effect.map(talk(url, bytes, { hangUp: true }), ({ text }) => {
              for (const line of text.match(/HTTP\/1\.1 \d+/g) ?? []) {
                const status = Number(line.slice(-3))
                assert.include(
                  [200, 204, 400, 403, 404, 409, 413, 417, 431, 500],
                  status,
                  JSON.stringify({ seed, text }),
                )
              }
            }),
          { concurrency: 16 },
        )
        const { text } = yield* talk(
          url,
          "GET /$/GetClusterVersion?api-version=6.4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
        )
        assert.include(text, "HTTP/1.1 200 OK")
        assert.isAbove((yield* emulator.requests).length, 100)
      }),
    60_000,
  )
})
