// Fails when source files import each other in a circle, or from a folder that they should not know; types apart.
import { build } from "esbuild"

const { metafile } = await build({
  entryPoints: ["mod.ts", "src/emulator/mod.ts", "src/cli/main.ts"],
  bundle: true,
  write: false,
  outdir: "unused",
  format: "esm",
  platform: "node",
  packages: "external",
  metafile: true,
})
const edges = new Map(
  Object.entries(metafile.inputs).map(([file, { imports }]) => [
    file,
    imports.filter(({ external, kind }) => !external && kind === "import-statement").map(({ path }) => path),
  ]),
)
const done = new Set()
const visit = (file, trail) => {
  const seen = trail.indexOf(file)
  if (seen >= 0) {
    console.error(`circular: ${[...trail.slice(seen), file].join(" -> ")}`)
    process.exitCode = 1
    return
  }
  if (done.has(file)) return
  for (const next of edges.get(file) ?? []) visit(next, [...trail, file])
  done.add(file)
}
for (const file of edges.keys()) visit(file, [])

/** Which other folders a folder of `src` may know. The public modules in `src` itself stand between them. */
const KNOWS = {
  system: [],
  journal: ["system"],
  credentials: ["system", "transport"],
  transport: ["system"],
  client: ["system", "credentials", "transport"],
  upload: ["system", "journal", "client"],
  package: ["system", "journal", "client", "upload"],
  emulator: ["system"],
  cli: ["system", "journal", "credentials", "upload", "package", "emulator"],
}
const folderOf = (file) => /^src\/([^/]+)\//.exec(file)?.[1]
for (const [file, imports] of edges) {
  const from = folderOf(file)
  for (const path of imports) {
    const to = folderOf(path)
    if (from === undefined || to === undefined || from === to || KNOWS[from].includes(to)) continue
    console.error(`${file} imports ${path}, but src/${from} is not to know src/${to}`)
    process.exitCode = 1
  }
}
console.log(`${edges.size} files: ${process.exitCode ? "see above" : "no circles, no wrong arrows"}`)
