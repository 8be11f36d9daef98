// Fails when source files import each other in a circle, types apart.
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
console.log(`${edges.size} files, ${process.exitCode ? "with" : "no"} circles`)
