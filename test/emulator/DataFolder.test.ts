import { assert, describe, it } from "@effect/vitest"
import * as Cause from "effect/Cause"
import * as Chunk from "effect/Chunk"
import * as Effect from "effect/Effect"
import * as Exit from "effect/Exit"
import * as Layer from "effect/Layer"
import * as Logger from "effect/Logger"
import * as LogLevel from "effect/LogLevel"
import * as Stream from "effect/Stream"
import { Buffer } from "node:buffer"
import { spawnSync } from "node:child_process"
import * as fs from "node:fs"
import * as http from "node:http"
import * as path from "node:path"
import * as process from "node:process"
import { Emulator, type EmulatorOptions, Fault } from "../../src/emulator/mod.ts"
import { temporaryFolder } from "../support/packages.ts"
import { turn } from "../support/turn.ts"
import { commit, discard, list, putChunk, putFile, removeContent, T, upload } from "./support/calls.ts"
import { talk } from "./support/socket.ts"

/** A folder inside another one, so that anything beside it is noticed. */
const folder = Effect.map(temporaryFolder, (around) => ({ around, data: path.join(around, "data") }))

const with_ = (data: string, options: EmulatorOptions = {}) =>
  Effect.provide(Emulator.layer({ ...options, data }))

const contentOf = (data: string) => fs.readdirSync(path.join(data, "content"))
const recordsOf = (data: string) => fs.readdirSync(path.join(data, "files"))

const texts = Effect.gen(function* () {
  const { files } = yield* Emulator
  return yield* Effect.forEach(yield* files, (file) => Effect.map(file.text, (text) => [file.path, text]))
})

/** Why an emulator does not take a folder. */
const refusal = (data: string, os: "windows" | "linux" = "windows") =>
  Effect.map(
    Effect.exit(Effect.scoped(Layer.build(Emulator.layer({ data, os })))),
    (exit) => Exit.isFailure(exit) ? Cause.pretty(exit.cause) : "none",
  )

describe("a data folder", () => {
  it.scoped("keeps files between runs, and sessions not", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      const versions = yield* Effect.gen(function* () {
        yield* putFile("App/a", "by put")
        yield* upload("App/b", "by session")
        yield* putChunk("App/c", [0, 4], 10, { id: T })
        return (yield* (yield* Emulator).files).map(({ version }) => version)
      }).pipe(with_(data))
      yield* Effect.gen(function* () {
        const emulator = yield* Emulator
        assert.deepStrictEqual(yield* texts, [["App/a", "by put"], ["App/b", "by session"]])
        assert.lengthOf(yield* emulator.sessions, 0)
        assert.lengthOf(contentOf(data), 2, "staged chunks are gone")
        assert.deepStrictEqual((yield* emulator.files).map(({ version }) => version), versions)
        yield* putFile("app/A", "again")
        assert.isAbove((yield* emulator.files)[0]!.version, Math.max(...versions))
        assert.deepStrictEqual((yield* texts)[0], ["App/a", "again"])
      }).pipe(with_(data))
    }))

  it.scoped("shares the bytes of chunks with the file, and removes them with their last owner", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      yield* Effect.gen(function* () {
        yield* putChunk("a", [0, 4], 10)
        yield* putChunk("a", [5, 9], 10)
        yield* commit()
        assert.lengthOf(contentOf(data), 2)
        yield* discard()
        assert.lengthOf(contentOf(data), 2)
        yield* removeContent("a")
        assert.lengthOf(contentOf(data), 0)
        assert.lengthOf(recordsOf(data), 0)
        yield* putChunk("a", [0, 4], 10)
        yield* putChunk("a", [0, 4], 10)
        assert.lengthOf(contentOf(data), 1, "a refused chunk leaves nothing here")
      }).pipe(with_(data))
    }))

  it.scoped("shows no half file after a crash", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      yield* Effect.zipRight(putFile("a", "old"), putFile("b", "kept")).pipe(with_(data))
      // As if the emulator had died in the middle of a body, of a record, and between two versions.
      fs.writeFileSync(path.join(data, "content", "99"), "half a bo")
      fs.writeFileSync(path.join(data, "files", "98.json.tmp"), `{"path":"c","ver`)
      const [record] = recordsOf(data).sort()
      const old = JSON.parse(fs.readFileSync(path.join(data, "files", record!), "utf8"))
      fs.copyFileSync(path.join(data, "content", old.segments[0].name), path.join(data, "content", "97"))
      fs.writeFileSync(
        path.join(data, "files", "97.json"),
        JSON.stringify({ ...old, version: 97, segments: [{ name: "97", size: 3 }] }),
      )
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* texts, [["a", "old"], ["b", "kept"]])
        assert.deepStrictEqual(contentOf(data).sort(), ["2", "97"])
        assert.deepStrictEqual(recordsOf(data).sort(), ["2.json", "97.json"])
      }).pipe(with_(data))
    }))

  it.scoped.skipIf(!fs.existsSync("/dev/full"))(
    "answers for a full disk, and goes on",
    () =>
      Effect.gen(function* () {
        const { data } = yield* folder
        yield* Effect.gen(function* () {
          for (const name of ["1", "2"]) fs.symlinkSync("/dev/full", path.join(data, "content", name))
          const put = yield* putFile("a", "does not fit")
          assert.strictEqual(put.status, 500, put.body)
          const chunk = yield* putChunk("a", [0, 4], 10)
          assert.strictEqual(chunk.status, 500, chunk.body)
          assert.lengthOf(contentOf(data), 0, "nothing half written stays")
          assert.strictEqual((yield* putFile("a", "fits")).status, 200)
          assert.deepStrictEqual(yield* texts, [["a", "fits"]])
          assert.strictEqual(yield* (yield* Emulator).staged, 0)
        }).pipe(with_(data))
      }),
  )

  it.scoped("is all that paths can reach", () =>
    Effect.gen(function* () {
      const { around, data } = yield* folder
      fs.mkdirSync(data)
      const names = [
        "..%5C..%5Cx",
        "..%2F..%2Fx",
        "%2Fetc%2Fx",
        "C%3A%5Cx",
        "a%00b",
        "CON",
        "%5C%5Cserver%5Cshare",
        "a%2F..%2F..%2Fb",
      ]
      for (const system of ["windows", "linux"] as const) {
        const folder = path.join(data, system)
        yield* Effect.forEach(names, (name) =>
          Effect.zipRight(putFile(name, "x"), Effect.ignore(upload(name, "y"))))
          .pipe(with_(folder, { os: system }))
        assert.deepStrictEqual(fs.readdirSync(folder).sort(), ["content", "emulator.json", "files"])
        for (const name of [...contentOf(folder), ...recordsOf(folder)]) {
          assert.match(name, /^\d+(\.json)?$/)
        }
      }
      assert.deepStrictEqual(fs.readdirSync(around), ["data"])
      assert.deepStrictEqual(fs.readdirSync(data).sort(), ["linux", "windows"])
    }))

  it.scoped("lists empty files, which have no bytes to keep", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      yield* putFile("App/_.dir", "").pipe(with_(data))
      assert.lengthOf(contentOf(data), 0)
      assert.include((yield* list("App").pipe(with_(data))).body, `"FileSize":"0"`)
    }))

  it.scoped(
    "takes large bodies without holding them, and gives them back in pieces",
    () =>
      Effect.gen(function* () {
        const { data } = yield* folder
        const { emulator, url } = yield* Emulator.serve({ port: 0, data }).pipe(
          Logger.withMinimumLogLevel(LogLevel.None),
        )
        const size = 192 * 1024 * 1024
        const before = process.memoryUsage().arrayBuffers
        let peak = 0
        yield* Effect.async<void>((resume) => {
          const piece = Buffer.alloc(1024 * 1024, "x")
          const { port } = new URL(url)
          const request = http.request({
            port,
            host: "127.0.0.1",
            method: "PUT",
            path: "/ImageStore/big?api-version=6.0",
            headers: { "Content-Length": String(size) },
          }, (response) => response.resume().on("end", () => resume(Effect.void)))
          let sent = 0
          const more = (): void => {
            while (sent < size) {
              sent += piece.byteLength
              peak = Math.max(peak, process.memoryUsage().arrayBuffers - before)
              if (!request.write(piece)) return void request.once("drain", more)
            }
            request.end()
          }
          more()
        })
        const file = (yield* emulator.files)[0]!
        assert.strictEqual(file.size, size)
        assert.strictEqual(
          yield* file.sha256,
          // printf of that many x through sha256sum
          "d43868c083d6936692e72d1cee98d9590c001639f9d44c96edf86bad99f729c2",
        )
        assert.isBelow(peak, 96 * 1024 * 1024)
      }),
    60_000,
  )

  it.scoped("is read one piece at a time, and no further than somebody wants", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      yield* Effect.gen(function* () {
        yield* putFile("a", new Uint8Array(1024 * 1024))
        const { stream } = (yield* (yield* Emulator).files)[0]!
        const sizes = yield* Stream.runCollect(Stream.map(Stream.chunks(stream), Chunk.size))
        assert.deepStrictEqual([...sizes], Array(16).fill(1))
        const open = () => fs.existsSync("/proc/self/fd") ? fs.readdirSync("/proc/self/fd").length : 0
        const before = open()
        assert.lengthOf(yield* Stream.runCollect(Stream.take(stream, 1)), 1)
        assert.strictEqual(open(), before)
      }).pipe(with_(data))
    }))

  it.scoped("keeps nothing of a body that a fault refused, or took without any work", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      yield* Effect.gen(function* () {
        const { inject } = yield* Emulator
        yield* inject(Fault.answer({ status: 200 }))
        assert.strictEqual((yield* putFile("a", "1")).status, 200)
        yield* inject(Fault.reset)
        yield* Effect.flip(putFile("a", "1"))
        assert.lengthOf(contentOf(data), 0)
      }).pipe(with_(data))
    }))

  it.scoped("says at once where it cannot be", () =>
    Effect.gen(function* () {
      const { around } = yield* folder
      const nowhere = path.join(around, "nowhere")
      fs.symlinkSync(path.join(around, "missing", "folder"), nowhere)
      const file = path.join(around, "file")
      fs.writeFileSync(file, "")
      // Node's own `mkdirSync` with `recursive` never ends for the first two.
      for (const data of [...process.platform === "linux" ? ["/proc/nope"] : [], nowhere, file]) {
        assert.match(yield* refusal(data), /ENOENT|ENOTDIR/, data)
      }
    }))

  it.scoped("that somebody else made is left as it is", () =>
    Effect.gen(function* () {
      const { around, data } = yield* folder
      const site = path.join(around, "site")
      for (const place of ["content/posts", "files/img"]) {
        fs.mkdirSync(path.join(site, place), { recursive: true })
        fs.writeFileSync(path.join(site, place, "a.md"), "mine")
      }
      assert.include(yield* refusal(site), "no emulator made it: there is content in it")
      yield* putFile("a", "1").pipe(with_(data))
      // Somebody else's files in a folder of ours.
      for (const place of ["content", "files"]) {
        fs.writeFileSync(path.join(data, place, "notes.txt"), "mine")
        fs.mkdirSync(path.join(data, place, "more"))
      }
      fs.writeFileSync(path.join(data, "files", "package.json"), "{}")
      assert.deepStrictEqual(yield* texts.pipe(with_(data)), [["a", "1"]])
      assert.deepStrictEqual(contentOf(data).sort(), ["1", "more", "notes.txt"])
      assert.deepStrictEqual(recordsOf(data).sort(), ["1.json", "more", "notes.txt", "package.json"])
      assert.deepStrictEqual(fs.readdirSync(site, { recursive: true }).length, 6)
    }))

  it.scoped("is no way out of itself, by links or by names in records", () =>
    Effect.gen(function* () {
      const { around, data } = yield* folder
      yield* putFile("a", "1").pipe(with_(data))
      const victim = path.join(around, "victim")
      fs.writeFileSync(victim, "secret")
      const record = JSON.parse(fs.readFileSync(path.join(data, "files", "1.json"), "utf8"))
      for (const [version, name] of [[7, "../../victim"], [8, victim], [9, "link"]] as const) {
        fs.writeFileSync(
          path.join(data, "files", `${version}.json`),
          JSON.stringify({ ...record, path: `x${version}`, version, segments: [{ name, size: 6 }] }),
        )
      }
      fs.symlinkSync(victim, path.join(data, "content", "link"))
      fs.symlinkSync(victim, path.join(data, "content", "10"))
      assert.deepStrictEqual(yield* texts.pipe(with_(data)), [["a", "1"]])
      assert.strictEqual(fs.readFileSync(victim, "utf8"), "secret")
      const out = path.join(around, "out")
      fs.mkdirSync(out)
      fs.writeFileSync(path.join(out, "1"), "mine")
      fs.rmSync(path.join(data, "content"), { recursive: true })
      fs.symlinkSync(out, path.join(data, "content"))
      assert.include(yield* refusal(data), "content in it is no folder of its own")
      assert.deepStrictEqual(fs.readdirSync(out), ["1"])
    }))

  it.scoped("belongs to one emulator at a time, of one system", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      yield* Effect.gen(function* () {
        assert.include(yield* refusal(data), `process ${process.pid} has it open`)
        yield* putFile("App/a", "1")
      }).pipe(with_(data))
      assert.include(yield* refusal(data, "linux"), "an emulator for windows stored")
      const lock = path.join(data, "lock")
      assert.isFalse(fs.existsSync(lock))
      fs.writeFileSync(lock, String(process.ppid))
      assert.include(yield* refusal(data), `process ${process.ppid} has it open`)
      const { pid } = spawnSync(process.execPath, ["--version"])
      // What a crash left is no lock.
      for (const left of [String(pid), ""]) {
        fs.writeFileSync(lock, left)
        assert.deepStrictEqual(yield* texts.pipe(with_(data)), [["App/a", "1"]])
      }
    }))

  it.scoped("loses what a power loss took, and nothing else", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      yield* Effect.forEach(["a", "b", "c", "d"], (name) => putFile(name, `of ${name}`)).pipe(with_(data))
      fs.writeFileSync(path.join(data, "files", "1.json"), "")
      fs.rmSync(path.join(data, "content", "2"))
      fs.truncateSync(path.join(data, "content", "4"), 1)
      yield* Effect.gen(function* () {
        assert.deepStrictEqual(yield* texts, [["c", "of c"]])
        yield* putFile("e", "of e")
        assert.deepStrictEqual(yield* texts, [["c", "of c"], ["e", "of e"]])
      }).pipe(with_(data))
      assert.deepStrictEqual(yield* texts.pipe(with_(data)), [["c", "of c"], ["e", "of e"]])
    }))

  it.scoped("is made with the folders above it", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      const deep = path.join(data, "a", "b")
      yield* putFile("x", "1").pipe(with_(deep))
      assert.deepStrictEqual(fs.readdirSync(deep).sort(), ["content", "emulator.json", "files"])
      assert.lengthOf(contentOf(deep), 1)
    }))

  it.scoped("drops what a cut body had written", () =>
    Effect.gen(function* () {
      const { data } = yield* folder
      const { emulator, url } = yield* Emulator.serve({ port: 0, data }).pipe(
        Logger.withMinimumLogLevel(LogLevel.None),
      )
      yield* talk(
        url,
        "PUT /ImageStore/a?api-version=6.0 HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n12345",
        {
          hangUp: true,
        },
      )
      yield* Effect.repeat(turn, {
        until: () => Effect.map(emulator.leaked, (leaked) => leaked > 0),
      })
      assert.lengthOf(contentOf(data), 0)
    }))
})
