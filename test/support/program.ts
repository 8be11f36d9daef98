/** The command as a program of its own: bundled once, then run by Node in child processes. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { type ChildProcess, spawn } from "node:child_process"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import process from "node:process"
import { fileURLToPath } from "node:url"

const root = fileURLToPath(new URL("../..", import.meta.url))

/** Packages in the bundle that ask for Node's `require` get it. */
const REQUIRE =
  `import{createRequire as __createRequire}from"node:module";const require=__createRequire(import.meta.url);`

export interface Ended {
  /** `null`: by a signal. */
  readonly code: number | null
  readonly out: string
  readonly err: string
}

interface Running {
  readonly signal: (signal: "SIGINT" | "SIGTERM" | "SIGKILL") => void
  readonly ended: Effect.Effect<Ended>
}

/** Bundles the command into a folder of its own. Gives back the file, and what deletes it. */
export const bundle = async (): Promise<{ readonly file: string; readonly remove: () => Promise<void> }> => {
  const folder = await mkdtemp(join(tmpdir(), "image-store-bundle-"))
  const file = join(folder, "image-store.mjs")
  const { code, err } = await launch(join(root, "node_modules", ".bin", "esbuild"), [
    join(root, "src/cli/bin.ts"),
    "--bundle",
    "--platform=node",
    "--format=esm",
    "--target=node20",
    "--minify",
    "--log-level=warning",
    `--banner:js=${REQUIRE}`,
    `--outfile=${file}`,
  ], { env: process.env }).ended
  if (code !== 0) throw new Error(`esbuild: ${err}`)
  return { file, remove: () => rm(folder, { recursive: true, force: true }) }
}

/** Starts a program and collects what it says. */
export const launch = (
  program: string,
  args: ReadonlyArray<string>,
  where: { readonly env: NodeJS.ProcessEnv; readonly cwd?: string },
): { readonly child: ChildProcess; readonly ended: Promise<Ended> } => {
  const child = spawn(program, args, { ...where, stdio: ["ignore", "pipe", "pipe"] })
  let out = ""
  let err = ""
  child.stdout.on("data", (text) => out += text)
  child.stderr.on("data", (text) => err += text)
  const ended = new Promise<Ended>((resolve, reject) => {
    child.on("error", reject)
    child.on("close", (code) => resolve({ code, out, err }))
  })
  return { child, ended }
}

/** Runs the command. A process that is still there at the end of the scope is killed. */
export const start = (
  file: string,
  args: ReadonlyArray<string>,
  state: string,
): Effect.Effect<Running, never, Scope.Scope> =>
  Effect.acquireRelease(
    Effect.sync((): Running => {
      const { HOME, PATH } = process.env
      const { child, ended } = launch("node", [file, ...args], {
        env: { HOME, PATH, XDG_STATE_HOME: state },
      })
      let over = false
      const settled = ended.finally(() => over = true)
      return {
        signal: (name) => {
          // Not `child.kill`: after that Deno takes any end of the child for one by the signal.
          if (!over) process.kill(child.pid!, name)
        },
        ended: Effect.promise(() => settled),
      }
    }),
    ({ signal }) => Effect.sync(() => signal("SIGKILL")),
  )
