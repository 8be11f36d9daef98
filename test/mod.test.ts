import { assert, describe, it } from "@effect/vitest"
import { execFile } from "node:child_process"
import { mkdtemp, rm, symlink } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { fileURLToPath } from "node:url"
import { promisify } from "node:util"
import process from "node:process"
import * as mod from "../mod.ts"

const root = fileURLToPath(new URL("..", import.meta.url))
const bin = (name: string) => join(root, "node_modules", ".bin", name)
const run = promisify(execFile)

describe("mod.ts", () => {
  it("is flat, and has what the design names", () => {
    for (
      const name of [
        "deleteUploadSession",
        "DeleteUploadSessionParams",
        "commitUploadSession",
        "getUploadSession",
        "getUploadSessions",
        "putChunk",
        "putFile",
        "listContent",
        "deleteContent",
        "copyContent",
        "getFolderSize",
        "getInfo",
        "withUploadSession",
        "uploadFile",
        "uploadPackage",
        "cleanSessions",
        "FabricError",
        "FabricConfig",
        "FabricClient",
        "ClusterHttpClient",
        "UploadJournal",
        "SessionId",
        "ByteRange",
        "UploadSession",
        "ImageStorePath",
        "ImageStoreInfo",
      ]
    ) {
      assert.property(mod, name)
    }
  })

  it("shows the fields of all params, each with its timeout", () => {
    const params = Object.entries(mod).filter(([name]) => name.endsWith("Params"))
    assert.lengthOf(params, 11)
    for (const [name, schema] of params) {
      assert.property((schema as typeof mod.PutChunkParams).fields, "timeout", name)
    }
  })

  it("evaluates nothing of the command line when it is imported", async () => {
    const folder = await mkdtemp(join(tmpdir(), "mod-"))
    try {
      await symlink(join(root, "node_modules"), join(folder, "node_modules"))
      await run(bin("esbuild"), [
        join(root, "mod.ts"),
        "--bundle",
        "--splitting",
        "--format=esm",
        "--platform=node",
        "--packages=external",
        `--outdir=${folder}`,
        "--out-extension:.js=.mjs",
      ])
      // A loader that writes down every module that is loaded.
      const hook =
        `export const load = async (url, context, next) => { console.error(url); return next(url, context) }`
      const { stderr } = await run(process.env["NODE"] ?? "node", [
        "--input-type=module",
        "--eval",
        `import { register } from "node:module"
         register("data:text/javascript," + encodeURIComponent(${JSON.stringify(hook)}))
         const { deleteUploadSession } = await import(${JSON.stringify(join(folder, "mod.mjs"))})
         if (typeof deleteUploadSession !== "function") process.exit(3)`,
      ])
      const loaded = stderr.split("\n").filter((line) => line.startsWith("file:"))
      assert.isAbove(loaded.length, 20)
      for (const url of loaded) {
        assert.notMatch(
          url,
          /@effect\/(cli|platform-node|printer)|zip\.js|\/index\.js$/,
          "no command line, no barrel",
        )
      }
    } finally {
      await rm(folder, { recursive: true })
    }
  })
})
