import { assert, describe, it } from "@effect/vitest"
import * as Effect from "effect/Effect"
import { Buffer } from "node:buffer"
import { readApplication } from "../src/package/applicationManifest.ts"
import { applicationManifest, type Files, serviceManifest, shop } from "./support/packages.ts"

const read = (files: Files, folders: ReadonlyArray<string> = []) =>
  readApplication({
    source: "/Shop",
    files: Object.entries(files).map(([name, content]) => {
      const source = typeof content === "string" ? new TextEncoder().encode(content) : content
      return { name, size: source.length, source }
    }),
    folders,
    problems: [],
  })

/** The shop with other files; `undefined` takes one away. */
const shopWith = (changes: Readonly<Record<string, string | Uint8Array | undefined>>): Files =>
  Object.fromEntries(
    Object.entries({ ...shop, ...changes }).filter((entry): entry is [string, string] =>
      entry[1] !== undefined
    ),
  )

const problems = (files: Files, folders?: ReadonlyArray<string>) =>
  Effect.map(
    read(files, folders),
    (found) => found.problems.map(({ on, text }) => on ? `${on}: ${text}` : text),
  )

const web = (packages: string) => ({ "Web/ServiceManifest.xml": serviceManifest("Web", packages) })

describe("the manifests of a package", () => {
  it.effect("tell its type, its version, and which folders are packages", () =>
    Effect.gen(function* () {
      assert.deepStrictEqual(yield* read(shop), {
        type: "Shop",
        version: "1.2.3",
        packages: ["Web/Code", "Web/Config"],
        problems: [],
      })
    }))

  it.effect("may be UTF-16, and use a prefix for their namespace", () =>
    Effect.gen(function* () {
      const text = applicationManifest().replaceAll("<A", "<f:A").replaceAll("</A", "</f:A")
        .replaceAll("<S", "<f:S").replaceAll("</S", "</f:S").replace("xmlns=", "xmlns:f=")
        .replace("utf-8", "utf-16").replace("<ConfigOverrides />", "")
      const utf16 = Buffer.concat([Buffer.from([0xff, 0xfe]), Buffer.from(text, "utf16le")])
      assert.deepStrictEqual(yield* problems(shopWith({ "ApplicationManifest.xml": utf16 })), [])
    }))

  it.effect("may name packages that are zip files, empty folders, or a container's", () =>
    Effect.gen(function* () {
      const files = shopWith({
        ...web(
          '<CodePackage Name="Zipped" Version="1"/><DataPackage Name="Void" Version="1"/>' +
            '<CodePackage Name="Image" Version="1"><EntryPoint><ContainerHost><ImageName>a/b</ImageName>' +
            "</ContainerHost></EntryPoint></CodePackage>",
        ),
        "Web/Zipped.zip": "packed",
      })
      const { packages, problems } = yield* read(files, ["Web/Void"])
      assert.deepStrictEqual(problems, [])
      assert.deepStrictEqual(packages, ["Web/Void"])
    }))
})

describe("what is wrong with a package", () => {
  const cases: ReadonlyArray<readonly [string, Files, ...ReadonlyArray<string>]> = [
    ["no manifest", shopWith({ "ApplicationManifest.xml": undefined }), "ApplicationManifest.xml is missing"],
    [
      "a manifest in a subfolder",
      { "pkg/Release/ApplicationManifest.xml": applicationManifest() },
      "there is pkg/Release/ApplicationManifest.xml: upload the folder that it is in",
    ],
    [
      "a manifest that is no XML",
      shopWith({ "ApplicationManifest.xml": "<ApplicationManifest><oops></ApplicationManifest>" }),
      "ApplicationManifest.xml cannot be read (",
    ],
    [
      "an empty manifest",
      shopWith({ "ApplicationManifest.xml": "" }),
      "ApplicationManifest.xml cannot be read (",
    ],
    [
      "a manifest in unreadable bytes",
      shopWith({ "ApplicationManifest.xml": new Uint8Array([0x3c, 0xff, 0xc0]) }),
      "ApplicationManifest.xml cannot be read (",
    ],
    [
      "entities that would expand without end",
      shopWith({
        "ApplicationManifest.xml": '<!DOCTYPE a [<!ENTITY b "bbbb"><!ENTITY c "&b;&b;">]>' +
          '<ApplicationManifest ApplicationTypeName="&c;" />',
      }),
      "ApplicationManifest.xml cannot be read (",
    ],
    [
      "another document",
      shopWith({ "ApplicationManifest.xml": "<Project />" }),
      "ApplicationManifest.xml is a <Project>, not a <ApplicationManifest>",
    ],
    [
      "no type, no version, no service",
      shopWith({ "ApplicationManifest.xml": "<ApplicationManifest ApplicationTypeVersion=''/>" }),
      "without ApplicationTypeName",
      "without ApplicationTypeVersion",
      "imports no service manifest",
    ],
    [
      "a type and a version that leave their folder",
      shopWith({ "ApplicationManifest.xml": applicationManifest(undefined, "../Shop", "1\\2") }),
      'the ApplicationTypeName "../Shop", which leaves its folder',
      'the ApplicationTypeVersion "1\\\\2", which leaves its folder',
    ],
    [
      "a service without a manifest",
      shopWith({ "ApplicationManifest.xml": applicationManifest({ Web: "1.0.0", Api: "1" }) }),
      "Api/ServiceManifest.xml is missing",
    ],
    [
      "a service of another version and name",
      shopWith({ "Web/ServiceManifest.xml": serviceManifest("Wob", undefined, "2.0.0") }),
      "has the Name Wob, but ApplicationManifest.xml imports Web",
      "has the Version 2.0.0, but ApplicationManifest.xml imports 1.0.0",
    ],
    [
      "packages that are missing",
      shopWith(web(
        '<CodePackage Name="No" Version="1"/><ConfigPackage Name="Nor" Version="1"/><DataPackage Name="Never" Version="1"/>',
      )),
      "Web/No is missing, a folder or a zip file: Web/ServiceManifest.xml names it as CodePackage",
      "Web/Nor is missing",
      "Web/Never is missing",
    ],
    [
      "names that leave the folder",
      shopWith(web(
        '<CodePackage Name=".." Version="1"/><CodePackage Name="..\\Code" Version="1"/>' +
          '<CodePackage Name="/etc" Version="1"/><CodePackage Name="a/b" Version="1"/>' +
          '<CodePackage Name="Code." Version="1"/><CodePackage Name="C:" Version="1"/>',
      )),
      'the Name ".."',
      'the Name "..\\\\Code"',
      'the Name "/etc"',
      'the Name "a/b"',
      'the Name "Code."',
      'the Name "C:"',
    ],
    [
      "a service name that leaves the folder",
      shopWith({ "ApplicationManifest.xml": applicationManifest({ "../Web": "1" }) }),
      'the ServiceManifestName "../Web"',
    ],
    [
      "a package twice, and a package as folder and as zip file",
      shopWith({
        ...web('<CodePackage Name="Code" Version="1"/><CodePackage Name="Code" Version="1"/>'),
        "Web/Code.zip": "packed",
      }),
      "Web/Code and Web/Code.zip are both there",
      "names the CodePackage Code twice",
    ],
  ]
  for (const [name, files, ...parts] of cases) {
    it.effect(`is told: ${name}`, () =>
      Effect.gen(function* () {
        const found = yield* problems(files)
        assert.strictEqual(found.length, parts.length, found.join("\n"))
        parts.forEach((part, index) => assert.include(found[index], part))
      }))
  }

  it.effect("is on Linux that a manifest spells names otherwise", () =>
    Effect.gen(function* () {
      const found = yield* problems(shopWith(web('<CodePackage Name="code" Version="1"/>')))
      assert.deepStrictEqual(found, [
        "linux: Web/Code is called Web/code in the manifest, which is not the same on Linux",
      ])
    }))

  it.effect("is a manifest that is far too large, which is not read into memory", () =>
    Effect.gen(function* () {
      const source = new Uint8Array(0)
      const { problems } = yield* readApplication({
        source: "/Shop",
        files: [{ name: "ApplicationManifest.xml", size: 2 ** 33, source }],
        folders: [],
        problems: [],
      })
      assert.include(problems[0]!.text, "no manifest")
    }))
})
