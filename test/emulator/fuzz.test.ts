/** Whatever is sent, the answer is one that protocol.md allows, and the emulator lives on. */
import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as FastCheck from "effect/FastCheck"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { Buffer } from "node:buffer"
import * as fs from "node:fs"
import * as path from "node:path"
import { cwd, env } from "node:process"
import { Emulator, type EmulatorShape, type ServedEmulator } from "../../src/emulator/mod.ts"
import { temporaryFolder } from "../support/packages.ts"
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

const isAllowed = ({ body, headers, status }: Omit<RawReply, "reason">): boolean => {
  if (status === 200) return body === "" || JSON.parse(body) !== undefined
  if (status === 204) return body === ""
  if (status === 404 && body === "") return true
  if (status === 400 && headers["content-type"]?.startsWith("text/html")) return true
  const { Error: error } = JSON.parse(body) as { Error: { Code: string; Message: string } }
  return ALLOWED[status]?.includes(error.Code) === true && typeof error.Message === "string"
}

const { constantFrom, oneof, record, string, tuple } = FastCheck

const knownIds = constantFrom("4a2340e8-d8d8-497c-95fe-cdaa1052f33b", "2032AC6C-a348-4594-86da-dab0f2bb1ae1")
const ids = oneof(
  knownIds,
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
    "..%2F..%2F..%2Fx",
    "%2Ffuzzed",
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
const address = oneof(
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
const copied = oneof(name, constantFrom("App", "App\\b", "App/b", "..\\..\\x", "../../x", "/fuzzed", "C:\\x"))
const copyBody = tuple(copied, copied).map(([source, destination]) =>
  JSON.stringify({ RemoteSource: source, RemoteDestination: destination })
)
const anything: FastCheck.Arbitrary<RawRequest> = record({
  method: constantFrom("GET", "PUT", "POST", "DELETE", "GET", "PUT", "HEAD", "PATCH", "OPTIONS"),
  target: tuple(address, oneof({ weight: 9, arbitrary: query }, string()))
    .map(([address, query]) => `${address}?${query}`),
  headers: oneof(
    contentRange.map((text) => ({ "Content-Range": text })),
    constantFrom<Record<string, string>>({}, { ClusterId: "x" }, { "content-range": "bytes 0-0/1" }),
  ),
  body: oneof(
    constantFrom("", "12345", "x".repeat(100)),
    FastCheck.json(),
    copyBody,
    string(),
  ),
})
/** Requests that name an operation, most of them: what nearly fits gets further. */
const likely: FastCheck.Arbitrary<RawRequest> = tuple(
  constantFrom(
    "PUT {path}",
    "PUT {path}",
    "GET {path}",
    "GET {path}/$/FolderSize",
    "DELETE {path}",
    "POST /$/Copy",
    "PUT {path}/$/UploadChunk",
    "PUT {path}/$/UploadChunk",
    "GET {path}/$/GetUploadSession",
    "GET /$/GetUploadSession",
    "POST /$/CommitUploadSession",
    "DELETE /$/DeleteUploadSession",
  ),
  FastCheck.array(name, { minLength: 1, maxLength: 3 }),
  oneof({ weight: 9, arbitrary: knownIds }, ids),
  oneof(
    {
      weight: 9,
      arbitrary: constantFrom("bytes 0-4/10 12345", "bytes 5-9/10 12345", "bytes 0-9/10 1234567890"),
    },
    contentRange.map((range) => `${range} 12345`),
  ),
  copyBody,
).map(([operation, names, id, chunk, copyBody]) => {
  const [method, place] = operation.split(" ") as [string, string]
  const end = chunk.lastIndexOf(" ")
  return {
    method,
    target: `/ImageStore${
      place.replace("{path}", () => `/${names.join("/")}`)
    }?session-id=${id}&api-version=6.5`,
    headers: place.endsWith("UploadChunk") ? { "Content-Range": chunk.slice(0, end) } : {},
    body: place === "/$/Copy" ? copyBody : chunk.slice(end + 1),
  }
})
const requests = oneof(anything, likely)

/** What goes through one socket. */
interface Conversation {
  readonly bytes: Buffer
  /** How many answers come, or how many at least. */
  readonly answers: { readonly exactly: number } | { readonly least: number }
  /** This side ends after its last byte, and does not wait for the server to end. */
  readonly hangUp: boolean
}

const written = ({ body = "", headers = {}, method, target }: RawRequest, more = false): Buffer =>
  Buffer.from(
    `${method} ${target} HTTP/1.1\r\nHost: h\r\n${more ? "" : "Connection: close\r\n"}` +
      Object.entries(headers).map(([key, value]) => `${key}: ${value}\r\n`).join("") +
      `Content-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
  )

const pipelined = (all: ReadonlyArray<RawRequest>): Buffer =>
  Buffer.concat(all.map((request, at) => written(request, at < all.length - 1)))

/** One that can be read as HTTP, so that what follows it can. */
const readable = requests.filter(({ target }) => /^\/[\x21-\x7e]*$/.test(target))
const several = { minLength: 2, maxLength: 5 }
const whole = oneof(
  requests.map((request) => ({ bytes: written(request), answers: { least: 1 } })),
  readable.map((request) => ({ bytes: written(request), answers: { exactly: 1 } })),
  FastCheck.array(requests, several).map((all) => ({ bytes: pipelined(all), answers: { least: 1 } })),
  FastCheck.array(readable, several)
    .map((all) => ({ bytes: pipelined(all), answers: { exactly: all.length } })),
)
const broken = oneof(
  tuple(requests, FastCheck.nat(400)).map(([request, length]) => written(request).subarray(0, length)),
  requests.map((request) => written(request, true)),
  FastCheck.uint8Array({ maxLength: 300 }).map((all) => Buffer.from(all)),
)
const conversations: FastCheck.Arbitrary<Conversation> = oneof(
  { weight: 4, arbitrary: whole.map((all) => ({ ...all, hangUp: false })) },
  { weight: 1, arbitrary: broken.map((bytes) => ({ bytes, answers: { least: 0 }, hangUp: true })) },
)

interface Answer extends Omit<RawReply, "reason"> {
  /** There is a body, but not for HEAD. */
  readonly keptBack: boolean
}

/** Splits what came back into answers, and the rest that is none. */
const answersIn = (text: string): { readonly answers: ReadonlyArray<Answer>; readonly rest: string } => {
  const answers: Array<Answer> = []
  let rest = text
  for (;;) {
    const head = /^HTTP\/1\.1 (\d{3}) .*?\r\n\r\n/s.exec(rest)
    if (head === null) return { answers, rest }
    const headers = Object.fromEntries(
      Array.from(
        head[0].matchAll(/^([\w-]+): (.*)\r$/gm),
        ([, name, value]) => [name!.toLowerCase(), value!],
      ),
    )
    rest = rest.slice(head[0].length)
    const length = Number(headers["content-length"] ?? 0)
    const keptBack = length > 0 && (rest === "" || rest.startsWith("HTTP/1.1 "))
    const body = keptBack ? "" : Buffer.from(rest.slice(0, length), "latin1").toString()
    if (!keptBack) rest = rest.slice(length)
    answers.push({ status: Number(head[1]), headers, body, keptBack })
  }
}

/** Talks a while. Returns how many answers came. */
const chat = (url: string, numRuns: number): Effect.Effect<number> =>
  Effect.map(
    Effect.forEach(
      FastCheck.sample(conversations, { numRuns, seed }),
      ({ answers: expected, bytes, hangUp }) =>
        Effect.gen(function* () {
          const said = JSON.stringify({ seed, bytes: bytes.toString("latin1") })
          const { end, text } = yield* talk(url, bytes, { hangUp }).pipe(
            Effect.timeoutFail({ duration: "10 seconds", onTimeout: () => new Error(`no end: ${said}`) }),
            Effect.orDie,
          )
          const { answers, rest } = answersIn(text)
          const seen = `${said} ${JSON.stringify({ text, end })}`
          assert.strictEqual(rest, "", seen)
          for (const answer of answers) {
            assert.isTrue(answer.keptBack ? answer.status in ALLOWED : isAllowed(answer), seen)
          }
          if ("exactly" in expected) assert.lengthOf(answers, expected.exactly, seen)
          else assert.isAtLeast(answers.length, expected.least, seen)
          return answers.length
        }),
      { concurrency: 16 },
    ),
    (counts) => counts.reduce((sum, count) => sum + count, 0),
  )

/** A data folder far below another one, so that what climbs out of it is seen. */
const dataFolder = Effect.map(temporaryFolder, (around) => ({
  around,
  data: path.join(around, "1", "2", "3", "4", "data"),
  elsewhere: elsewhere(),
}))

/** Where paths that are absolute, or relative to nothing, would lead. */
const elsewhere = (): ReadonlyArray<string> =>
  [cwd(), path.parse(cwd()).root].flatMap((folder) =>
    fs.readdirSync(folder).map((name) => path.join(folder, name))
  )

const OURS = /^(?:emulator\.json|lock|content(?:\/\d+)?|files(?:\/\d+\.json)?)$/

/** Nothing has appeared but what an emulator keeps, and that is whole. */
const checkFolder = (
  emulator: EmulatorShape,
  { around, data, elsewhere: before }: Effect.Effect.Success<typeof dataFolder>,
): Effect.Effect<void> =>
  Effect.gen(function* () {
    for (const name of fs.readdirSync(around, { recursive: true, encoding: "utf8" })) {
      const place = path.join(around, name)
      const inside = path.relative(data, place).replaceAll(path.sep, "/")
      assert.isTrue(data.startsWith(place) || OURS.test(inside), `${place} appeared, seed ${seed}`)
    }
    assert.deepStrictEqual(elsewhere(), before)
    const files = yield* emulator.files
    assert.isAbove(files.length, 0)
    for (const { bytes, path, size } of files) {
      assert.strictEqual((yield* bytes).byteLength, size, `${path}, seed ${seed}`)
    }
  })

describe("anything", () => {
  for (const os of ["windows", "linux"] as const) {
    const sendTo = (numRuns: number, data?: string) =>
      Effect.gen(function* () {
        const { emulator, send } = yield* inProcess.start({
          os,
          history: 1,
          pageBytes: 2000,
          ...(data === undefined ? {} : { data }),
        })
        for (const request of FastCheck.sample(requests, { numRuns, seed })) {
          // Beginnings that an URL cannot have are the transport's business, not the gateway's.
          const target = request.target.startsWith("/") ? request.target : `/${request.target}`
          const reply = yield* send({ ...request, target })
          assert.isTrue(isAllowed(reply), JSON.stringify({ seed, request, reply }))
        }
        return emulator!
      })

    it.scoped(`sent 5,000 times to the layer gets an answer of a gateway (${os})`, () => sendTo(5000), 60_000)

    it.scoped(
      `sent 2,000 times to the layer stays in the data folder (${os})`,
      () =>
        Effect.gen(function* () {
          const folder = yield* dataFolder
          yield* checkFolder(yield* sendTo(2000, folder.data), folder)
        }),
      60_000,
    )
  }

  const serve = (data?: string) =>
    Emulator.serve({ port: 0, ...(data === undefined ? {} : { data }) }).pipe(
      Logger.withMinimumLogLevel(LogLevel.None),
    )

  /** Talks to a server a while, which lives on. */
  const chatWith = ({ emulator, url }: ServedEmulator, numRuns: number) =>
    Effect.gen(function* () {
      const answers = yield* chat(url, numRuns)
      assert.isAbove(answers, numRuns, `seed ${seed}`)
      const { text } = yield* talk(
        url,
        "GET /$/GetClusterVersion?api-version=6.4 HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
      )
      assert.include(text, "HTTP/1.1 200 OK")
      assert.isAbove((yield* emulator.requests).length, numRuns, `seed ${seed}`)
    })

  it.scopedLive(
    "sent over sockets, whole, cut or one after the other, never brings the server down",
    () =>
      Effect.gen(function* () {
        yield* chatWith(yield* serve(), 1000)
      }),
    60_000,
  )

  it.scopedLive(
    "sent over sockets stays in the data folder",
    () =>
      Effect.gen(function* () {
        const folder = yield* dataFolder
        const served = yield* serve(folder.data)
        yield* chatWith(served, 1000)
        yield* checkFolder(served.emulator, folder)
      }),
    60_000,
  )
})
