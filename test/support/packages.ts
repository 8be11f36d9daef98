/** Application packages, made on the spot. */
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import { mkdir, mkdtemp, realpath, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { dirname, join } from "node:path"
import { Emulator } from "../../src/emulator/mod.ts"

export type Files = Readonly<Record<string, string | Uint8Array>>

export const applicationManifest = (
  services: Readonly<Record<string, string>> = { Web: "1.0.0" },
  type: string = "Shop",
  version: string = "1.2.3",
): string =>
  `<?xml version="1.0" encoding="utf-8"?>
<ApplicationManifest ApplicationTypeName="${type}" ApplicationTypeVersion="${version}"
    xmlns="http://schemas.microsoft.com/2011/01/fabric">
${
    Object.entries(services).map(([name, version]) =>
      `  <ServiceManifestImport>
    <ServiceManifestRef ServiceManifestName="${name}" ServiceManifestVersion="${version}" />
    <ConfigOverrides />
  </ServiceManifestImport>`
    ).join("\n")
  }
</ApplicationManifest>
`

export const serviceManifest = (
  name = "Web",
  packages = '<CodePackage Name="Code" Version="1"/><ConfigPackage Name="Config" Version="1"/>',
  version = "1.0.0",
): string =>
  `\ufeff<?xml version="1.0" encoding="utf-8"?>
<ServiceManifest Name="${name}" Version="${version}" xmlns="http://schemas.microsoft.com/2011/01/fabric">
  <ServiceTypes><StatelessServiceType ServiceTypeName="${name}Type" /></ServiceTypes>
  ${packages}
</ServiceManifest>
`

/** A package that is all right. */
export const shop: Files = {
  "ApplicationManifest.xml": applicationManifest(),
  "Web/ServiceManifest.xml": serviceManifest(),
  "Web/Code/web.exe": "MZ and more",
  "Web/Code/wwwroot/index.html": "<h1>Shop</h1>",
  "Web/Config/Settings.xml": "<Settings />",
}

/** Its markers. */
export const shopMarkers: ReadonlyArray<string> = [
  "Web/Code/wwwroot/_.dir",
  "Web/Code/_.dir",
  "Web/Config/_.dir",
  "Web/_.dir",
  "_.dir",
]

/** An empty folder, for as long as the scope lasts. */
export const temporaryFolder: Effect.Effect<string, never, Scope.Scope> = Effect.acquireRelease(
  Effect.promise(async () => realpath(await mkdtemp(join(tmpdir(), "package-")))),
  (folder) => Effect.promise(() => rm(folder, { recursive: true, force: true })),
)

/** A folder `name` with these files; a name that ends with `/` is a folder. */
export const folderOf = (files: Files, name = "Shop"): Effect.Effect<string, never, Scope.Scope> =>
  Effect.tap(
    Effect.map(temporaryFolder, (place) => join(place, name)),
    (folder) =>
      Effect.promise(async () => {
        await mkdir(folder)
        for (const [path, content] of Object.entries(files)) {
          await mkdir(path.endsWith("/") ? join(folder, path) : dirname(join(folder, path)), {
            recursive: true,
          })
          if (!path.endsWith("/")) await writeFile(join(folder, path), content)
        }
      }),
  )

/** A file of that name with these bytes. */
export const fileOf = (name: string, bytes: Uint8Array): Effect.Effect<string, never, Scope.Scope> =>
  Effect.tap(
    Effect.map(temporaryFolder, (place) => join(place, name)),
    (path) => Effect.promise(() => writeFile(path, bytes)),
  )

const decoder = new TextDecoder("utf-8", { ignoreBOM: true })

/** What the store holds, as text, by path. */
export const stored: Effect.Effect<Readonly<Record<string, string>>, never, Emulator> = Effect.gen(
  function* () {
    const files = yield* (yield* Emulator).files
    return Object.fromEntries(
      yield* Effect.forEach(
        files,
        ({ bytes, path }) => Effect.map(bytes, (content) => [path, decoder.decode(content)] as const),
      ),
    )
  },
)
