/**
 * The life of an upload, by the commands that a user types: it is killed half way and resumed, another one is
 * canceled by Ctrl-C, a new version takes the place of the first. After each, nothing is left in the staging area.
 *
 * `deno run -A examples/upload-story.ts` takes a small package, and most of a minute: so long a chunk of a process that
 * was killed may still be under way. `deno run -A examples/upload-story.ts 300` takes one with 300 MB of code.
 */
import assert from "node:assert"
import { type ChildProcess, spawn } from "node:child_process"
import { randomBytes } from "node:crypto"
import { appendFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"

const MB = 1_000_000
const CODE = Number(process.argv[2] ?? 16) * MB
/** Each upload of the code takes some seconds. */
const LINE = Math.ceil(CODE * 8 / MB / 4)

const place = mkdtempSync(join(tmpdir(), "upload-story-"))
const folder = join(place, "Shop")
let cluster = ""

interface Ended {
  readonly code: number | null
  readonly out: string
  readonly err: string
}

/** Runs `image-store` in a process of its own; `watch` sees each line that it prints. */
const imageStore = (
  args: ReadonlyArray<string>,
  watch: (line: string, child: ChildProcess) => void = () => {},
): Promise<Ended> => {
  if (args[0] !== "info") console.log(`\n$ image-store ${args.join(" ").replace(place, "…")}`)
  const program = fileURLToPath(new URL("../mod.ts", import.meta.url))
  const child = spawn(process.execPath, ["run", "-A", "--quiet", program, ...args], {
    env: { ...process.env, FABRIC_ENDPOINT: cluster, XDG_STATE_HOME: join(place, "state") },
    stdio: ["ignore", "pipe", "pipe"],
  })
  let out = ""
  let err = ""
  let rest = ""
  child.stdout.on("data", (text) => {
    out += text
    const lines = (rest + text).split("\n")
    rest = lines.pop()!
    for (const line of lines) watch(line, child)
  })
  child.stderr.on("data", (text) => err += text)
  return new Promise((resolve) => child.on("close", (code) => resolve({ code, out, err })))
}

const staged = async (): Promise<number> =>
  JSON.parse((await imageStore(["info", "--json"])).out).staging.size

const nothingStaged = async (): Promise<void> => {
  assert.equal(await staged(), 0)
  console.log("Staging: 0 B")
}

/** Uploads the package, and does something to that when half of it has come. */
const upload = async (
  destination: string,
  half: (child: ChildProcess) => void = () => {},
): Promise<Ended & { readonly summary: Record<string, unknown> }> => {
  let done = false
  const ended = await imageStore(
    ["upload", folder, destination, "--chunk-size", "1MiB", "--json"],
    (line, child) => {
      const { _tag, sent, size } = JSON.parse(line)
      if (done || _tag !== "BytesSent" || size < CODE || sent < size / 2) return
      done = true
      half(child)
    },
  )
  return { ...ended, summary: JSON.parse(ended.out.trim().split("\n").at(-1)!) }
}

/** Not `child.kill`: after that Deno takes any end of the child for one by the signal. */
const signal = (name: "SIGKILL" | "SIGINT") => (child: ChildProcess) => {
  console.log(`  half of it is there: ${name}`)
  process.kill(child.pid!, name)
}

/** A package of three services, one of them large. */
const makePackage = (version: string): void => {
  rmSync(folder, { recursive: true, force: true })
  const write = (name: string, text: string) => {
    mkdirSync(dirname(join(folder, name)), { recursive: true })
    writeFileSync(join(folder, name), text)
  }
  const services = ["Web", "Worker", "Store"]
  const namespace = 'xmlns="http://schemas.microsoft.com/2011/01/fabric"'
  write(
    "ApplicationManifest.xml",
    `<ApplicationManifest ApplicationTypeName="Shop" ApplicationTypeVersion="${version}" ${namespace}>${
      services.map((name) =>
        "<ServiceManifestImport>" +
        `<ServiceManifestRef ServiceManifestName="${name}" ServiceManifestVersion="${version}" />` +
        "</ServiceManifestImport>"
      ).join("")
    }</ApplicationManifest>`,
  )
  for (const name of services) {
    write(
      `${name}/ServiceManifest.xml`,
      `<ServiceManifest Name="${name}" Version="${version}" ${namespace}>` +
        `<CodePackage Name="Code" Version="${version}" /><ConfigPackage Name="Config" Version="${version}" />` +
        "</ServiceManifest>",
    )
    write(`${name}/Code/${name}.dll`, `${name} ${version}`)
    write(`${name}/Config/Settings.xml`, "<Settings />")
  }
  write(`Web/Code/only-in-${version}.txt`, version)
  for (let left = CODE; left > 0; left -= MB) {
    appendFileSync(join(folder, "Web/Code/Web.dll"), randomBytes(MB))
  }
}

let emulator: ChildProcess | undefined
try {
  cluster = await new Promise<string>((resolve) => {
    void imageStore(
      ["emulator", "--port", "0", "--data", join(place, "data"), "--bandwidth", String(LINE)],
      (url, child) => {
        emulator = child
        resolve(url)
      },
    )
  })
  makePackage("1.0")

  await upload("Shop", signal("SIGKILL"))
  console.log(`Staging: ${Math.round(await staged() / MB)} MB`)
  assert.ok(await staged() > 0)

  const resumed = await upload("Shop")
  assert.equal(resumed.code, 0, resumed.err)
  assert.ok(Number(resumed.summary["resumed"]) >= CODE / 3)
  assert.ok(Number(resumed.summary["sent"]) <= CODE * 2 / 3)
  console.log(`  resumed: only ${Math.round(Number(resumed.summary["sent"]) / MB)} MB were sent`)
  await nothingStaged()

  const canceled = await upload("Other", signal("SIGINT"))
  assert.equal(canceled.code, 130)
  console.log(JSON.parse(canceled.err.trim().split("\n").at(-1)!).message)
  assert.equal((await imageStore(["ls", "Other"])).code, 1)
  await nothingStaged()

  makePackage("2.0")
  const { code, err, summary } = await upload("Shop")
  assert.equal(code, 0, err)
  assert.deepEqual(summary["removed"], ["Web/Code/only-in-1.0.txt"])
  console.log(`${summary["applicationType"]} ${summary["applicationVersion"]} took the place of 1.0`)
  await nothingStaged()
} finally {
  emulator?.kill("SIGINT")
  rmSync(place, { recursive: true, force: true })
}
