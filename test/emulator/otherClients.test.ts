import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import { execFile, spawnSync } from "node:child_process"
import { createRequire } from "node:module"
import { Emulator, type EmulatorShape } from "../../src/emulator/mod.ts"
import { S } from "../support/cluster.ts"

/** Clients that nobody here wrote, unchanged. */

const served = <A, E>(use: (url: string, emulator: EmulatorShape) => Effect.Effect<A, E>) =>
  Effect.scoped(Effect.flatMap(Emulator.serve({ port: 0 }), ({ emulator, url }) => use(url, emulator))).pipe(
    Logger.withMinimumLogLevel(LogLevel.None),
  )

interface Session {
  readonly uploadSessions: ReadonlyArray<{ readonly storeRelativePath: string; readonly fileSize: string }>
}

/** What is called of `azure-servicefabric` 2.2.0. */
interface AzureClient {
  readonly getImageStoreRootContent: () => Promise<{
    readonly storeFolders: ReadonlyArray<{ readonly storeRelativePath: string }>
  }>
  readonly getImageStoreContent: (path: string) => Promise<{
    readonly storeFiles: ReadonlyArray<{ readonly storeRelativePath: string; readonly fileSize: string }>
  }>
  readonly deleteImageStoreContent: (path: string) => Promise<void>
  readonly copyImageStoreContent: (
    body: { readonly remoteSource: string; readonly remoteDestination: string },
  ) => Promise<void>
  readonly getImageStoreUploadSessionById: (id: string) => Promise<Session>
  readonly getImageStoreUploadSessionByPath: (path: string) => Promise<Session>
  readonly commitImageStoreUploadSession: (id: string) => Promise<void>
  readonly deleteImageStoreUploadSession: (id: string) => Promise<void>
  readonly uploadFile: (path: string) => Promise<void>
}

const azure = (url: string): AzureClient => {
  const Client = createRequire(import.meta.url)("azure-servicefabric") as new (url: string) => AzureClient
  return new Client(url)
}

const put = (url: string, body: string, headers: Record<string, string> = {}) =>
  Effect.promise(() =>
    fetch(url, { method: "PUT", body, headers }).then((response) => response.arrayBuffer())
  )

describe("azure-servicefabric", () => {
  it.live("reads, copies and deletes content", () =>
    served((url, emulator) =>
      Effect.gen(function* () {
        const client = azure(url)
        yield* put(`${url}/ImageStore/App/a.txt?api-version=6.0`, "hello")
        yield* put(`${url}/ImageStore/App/_.dir?api-version=6.0`, "")
        const root = yield* Effect.promise(() => client.getImageStoreRootContent())
        assert.deepStrictEqual(root.storeFolders.map(({ storeRelativePath }) => storeRelativePath), ["App"])
        yield* Effect.promise(() =>
          client.copyImageStoreContent({ remoteSource: "App", remoteDestination: "Copy" })
        )
        const { storeFiles } = yield* Effect.promise(() => client.getImageStoreContent("Copy"))
        assert.deepStrictEqual(
          storeFiles.map(({ fileSize, storeRelativePath }) => [storeRelativePath, fileSize]),
          [["Copy\\_.dir", "0"], ["Copy\\a.txt", "5"]],
        )
        yield* Effect.promise(() => client.deleteImageStoreContent("App"))
        assert.deepStrictEqual((yield* emulator.files).map(({ path }) => path), ["Copy/_.dir", "Copy/a.txt"])
      })
    ))

  it.live("reads, commits and deletes an upload session", () =>
    served((url, emulator) =>
      Effect.gen(function* () {
        const client = azure(url)
        yield* put(`${url}/ImageStore/a.bin/$/UploadChunk?session-id=${S}&api-version=6.0`, "hello", {
          "Content-Range": "bytes 0-4/5",
        })
        const byId = yield* Effect.promise(() => client.getImageStoreUploadSessionById(S))
        assert.deepStrictEqual(byId.uploadSessions.map(({ fileSize }) => fileSize), ["5"])
        const byPath = yield* Effect.promise(() => client.getImageStoreUploadSessionByPath("a.bin"))
        assert.deepStrictEqual(byPath.uploadSessions.map(({ storeRelativePath }) => storeRelativePath), [
          "a.bin",
        ])
        yield* Effect.promise(() => client.commitImageStoreUploadSession(S))
        yield* Effect.promise(() => client.deleteImageStoreUploadSession(S))
        assert.deepStrictEqual((yield* emulator.files).map(({ path }) => path), ["a.bin"])
        assert.deepStrictEqual(yield* emulator.sessions, [])
        const again = yield* Effect.flip(Effect.tryPromise(() => client.deleteImageStoreUploadSession(S)))
        assert.strictEqual((again.error as { statusCode?: number }).statusCode, 404)
      })
    ))

  it.live("takes no session for an error, as it does with a real gateway's 204", () =>
    served((url) =>
      Effect.gen(function* () {
        const call = Effect.tryPromise(() => azure(url).getImageStoreUploadSessionById(S))
        const { error } = yield* Effect.flip(call)
        assert.strictEqual((error as { statusCode?: number }).statusCode, 204)
      })
    ))

  it.live("uploads files without a byte in them: its description of the API has no body", () =>
    served((url, emulator) =>
      Effect.gen(function* () {
        yield* Effect.promise(() => azure(url).uploadFile("empty.bin"))
        assert.deepStrictEqual((yield* emulator.files).map(({ path, size }) => [path, size]), [[
          "empty.bin",
          0,
        ]])
      })
    ))
})

describe.skipIf(spawnSync("curl", ["--version"]).status !== 0)("curl", () => {
  /** Status and body. */
  const curl = (...args: ReadonlyArray<string>) =>
    Effect.async<readonly [status: string, body: string]>((resume) => {
      const child = execFile("curl", ["-sS", "-w", "\n%{http_code}", ...args], (error, stdout) => {
        const at = stdout.lastIndexOf("\n")
        resume(
          error === null
            ? Effect.succeed([stdout.slice(at + 1), stdout.slice(0, at)] as const)
            : Effect.die(error),
        )
      })
      child.stdin?.end()
    })

  it.live("uploads a file in a session, and a folder with its markers, and sees them listed", () =>
    served((url) =>
      Effect.gen(function* () {
        const store = `${url}/ImageStore`
        const chunk = (range: string, body: string) =>
          curl(
            "-X",
            "PUT",
            `${store}/App/big.bin/$/UploadChunk?session-id=${S}&api-version=6.0`,
            "-H",
            `Content-Range: bytes ${range}/10`,
            "--data-binary",
            body,
          )
        assert.deepStrictEqual(yield* chunk("0-4", "hello"), ["200", ""])
        assert.strictEqual((yield* chunk("0-4", "hello"))[0], "400")
        assert.include(
          (yield* curl(`${store}/$/GetUploadSession?session-id=${S}&api-version=6.0`))[1],
          '"StartPosition":"5"',
        )
        assert.deepStrictEqual(yield* chunk("5-9", "world"), ["200", ""])
        assert.deepStrictEqual(
          yield* curl(
            "-X",
            "POST",
            `${store}/$/CommitUploadSession?session-id=${S}&api-version=6.0`,
            "-d",
            "",
          ),
          ["200", ""],
        )
        assert.deepStrictEqual(
          yield* curl("-X", "DELETE", `${store}/$/DeleteUploadSession?session-id=${S}&api-version=6.0`),
          ["200", ""],
        )
        assert.strictEqual(
          (yield* curl("-X", "DELETE", `${store}/$/DeleteUploadSession?session-id=${S}&api-version=6.0`))[0],
          "404",
        )
        assert.deepStrictEqual(yield* curl("-T", "-", `${store}/App/_.dir?api-version=6.0`), ["200", ""])
        const [status, listing] = yield* curl(`${store}/App?api-version=6.2`)
        assert.strictEqual(status, "200")
        assert.include(listing, '"StoreRelativePath":"App\\\\big.bin"')
        assert.include(listing, '"FileSize":"10"')
        assert.deepStrictEqual(yield* curl("-X", "DELETE", `${store}/App?api-version=6.0`), ["200", ""])
        assert.strictEqual((yield* curl(`${store}/App?api-version=6.2`))[0], "404")
      })
    ))
})
