/**
 * What makes a folder an application package: its manifests, and that everything which they name is there.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { caseless, problemOfPath } from "../ImageStorePath.ts"
import type { Problem } from "../PackageError.ts"
import { foldersOf, lastName, type PackageContent, type PackageFile, readAll } from "./PackageContent.ts"
import { childrenOf, parseXml, type XmlElement } from "./xml.ts"

/** An application package as its manifests describe it. */
export interface ApplicationPackage {
  /** `ApplicationTypeName`. */
  readonly type: string | undefined
  /** `ApplicationTypeVersion`. */
  readonly version: string | undefined
  /** Paths of the folders that are code, config and data packages. Those that are zip files already are left out. */
  readonly packages: ReadonlyArray<string>
  /** Everything that is wrong. */
  readonly problems: ReadonlyArray<Problem>
}

const APPLICATION = "ApplicationManifest.xml"
const SERVICE = "ServiceManifest.xml"
const KINDS = ["CodePackage", "ConfigPackage", "DataPackage"] as const

/** Manifests are some kilobytes; more than this many bytes are not read into memory. */
const LARGEST_MANIFEST = 16 * 1024 * 1024

/** Reads the manifests of a package and checks what they name. Everything wrong is found at once. */
export const readApplication = (content: PackageContent): Effect.Effect<ApplicationPackage> =>
  Effect.suspend(() => new Inspection(content).application)

class Inspection {
  readonly #content: PackageContent
  readonly #files: ReadonlyMap<string, PackageFile>
  readonly #folders: ReadonlyMap<string, string>
  readonly #problems: Array<Problem> = []
  readonly #packages: Array<string> = []

  constructor(content: PackageContent) {
    this.#content = content
    this.#files = new Map(content.files.map((file) => [caseless(file.name), file]))
    this.#folders = new Map(Array.from(foldersOf(content), (name) => [caseless(name), name]))
  }

  get application(): Effect.Effect<ApplicationPackage> {
    return Effect.gen(this, function* () {
      const manifest = yield* this.#manifest(APPLICATION, "ApplicationManifest")
      if (manifest === undefined) {
        return { type: undefined, version: undefined, packages: [], problems: this.#problems }
      }
      const type = this.#attribute(manifest, "ApplicationTypeName", APPLICATION)
      const version = this.#attribute(manifest, "ApplicationTypeVersion", APPLICATION)
      const imports = childrenOf(manifest, "ServiceManifestImport")
      if (imports.length === 0) this.#problem(`${APPLICATION} imports no service manifest`)
      const seen = new Set<string>()
      for (const reference of imports.flatMap((imported) => childrenOf(imported, "ServiceManifestRef"))) {
        const service = this.#name(reference, "ServiceManifestName", APPLICATION)
        if (service === undefined) continue
        if (seen.has(service)) this.#problem(`${APPLICATION} imports ${service} twice`)
        else yield* this.#service(service, reference.attributes["ServiceManifestVersion"])
        seen.add(service)
      }
      return { type, version, packages: this.#packages, problems: this.#problems }
    })
  }

  #service(service: string, version: string | undefined): Effect.Effect<void> {
    return Effect.gen(this, function* () {
      const path = `${service}/${SERVICE}`
      const manifest = yield* this.#manifest(path, "ServiceManifest")
      if (manifest === undefined) return
      const { Name, Version } = manifest.attributes
      if (Name !== service) {
        this.#problem(`${path} has the Name ${Name}, but ${APPLICATION} imports ${service}`)
      }
      if (Version !== version) {
        this.#problem(`${path} has the Version ${Version}, but ${APPLICATION} imports ${version}`)
      }
      for (const kind of KINDS) {
        const seen = new Set<string>()
        for (const element of childrenOf(manifest, kind)) {
          const name = this.#name(element, "Name", path)
          if (name === undefined) continue
          if (seen.has(name)) this.#problem(`${path} names the ${kind} ${name} twice`)
          else this.#package(service, kind, name, element)
          seen.add(name)
        }
      }
    })
  }

  #package(service: string, kind: string, name: string, element: XmlElement): void {
    const path = `${service}/${name}`
    const zip = this.#file(`${path}.zip`)
    const folder = this.#folders.get(caseless(path))
    if (zip !== undefined && folder !== undefined) {
      this.#problem(`${folder} and ${zip.name} are both there; the cluster takes one of them`)
    } else if (folder !== undefined) {
      this.#sameCase(folder, path)
      this.#packages.push(folder)
    }
    if (zip !== undefined || folder !== undefined) return
    // A container's code is in its image.
    if (childrenOf(element, "EntryPoint").some((entry) => childrenOf(entry, "ContainerHost").length > 0)) {
      return
    }
    this.#problem(
      `${path} is missing, a folder or a zip file: ${service}/${SERVICE} names it as ${kind} ` +
        "(--no-validate, or `validate: false`, uploads a package that holds only differences)",
    )
  }

  /** The root element of a manifest that is there and can be read. */
  #manifest(path: string, root: string): Effect.Effect<XmlElement | undefined> {
    const file = this.#file(path)
    if (file === undefined) {
      const elsewhere = path === APPLICATION
        ? this.#content.files.find(({ name }) => caseless(lastName(name)) === caseless(APPLICATION))
        : undefined
      this.#problem(
        `${path} is missing` +
          (elsewhere === undefined
            ? ""
            : `, but there is ${elsewhere.name}: upload the folder that it is in`),
      )
      return Effect.succeed(undefined)
    }
    if (file.size > LARGEST_MANIFEST) {
      this.#problem(`${path} has ${file.size} bytes, which is no manifest`)
      return Effect.succeed(undefined)
    }
    return Effect.matchEffect(Effect.flatMap(readAll(file), parseXml), {
      onFailure: (reason) =>
        Effect.sync(() => {
          this.#problem(`${path} cannot be read (${reason})`)
          return undefined
        }),
      onSuccess: (element) =>
        Effect.sync(() => {
          if (element.name !== root) this.#problem(`${path} is a <${element.name}>, not a <${root}>`)
          return element.name === root ? element : undefined
        }),
    })
  }

  /** The name of a folder. */
  #name(element: XmlElement, attribute: string, place: string): string | undefined {
    const value = this.#attribute(element, attribute, place)
    const wrong = value === undefined ? undefined : problemOfPath(value)
    if (wrong === undefined) return value
    this.#problem(`${place} has the ${attribute} ${JSON.stringify(value)}, which cannot be stored: ${wrong}`)
  }

  /** Text that the cluster makes a part of a path. */
  #attribute(element: XmlElement, attribute: string, place: string): string | undefined {
    const value = element.attributes[attribute]
    if (value === undefined || value === "") {
      this.#problem(`${place} has a ${element.name} without ${attribute}`)
      return undefined
    }
    if (!/[/\\]|^\.\.?$/.test(value)) return value
    this.#problem(`${place} has the ${attribute} ${JSON.stringify(value)}, which leaves its folder`)
  }

  #file(path: string): PackageFile | undefined {
    const file = this.#files.get(caseless(path))
    if (file !== undefined) this.#sameCase(file.name, path)
    return file
  }

  #sameCase(found: string, wanted: string): void {
    if (found === wanted) return
    this.#problems.push({
      text: `${found} is called ${wanted} in the manifest, which is not the same on Linux`,
      on: "linux",
    })
  }

  #problem(text: string): void {
    this.#problems.push({ text })
  }
}
