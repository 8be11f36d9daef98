/**
 * The operations by which a client finds out what it talks to (protocol.md 6.1).
 *
 * @module
 */
import type { Handler } from "./Call.ts"
import * as Reply from "./Reply.ts"

/** GET `/$/GetAadMetadata`. */
export const aadMetadata: Handler = ({ cluster }) =>
  Reply.json(
    cluster.aad === undefined ? { type: "", metadata: {} } : { type: "aad", metadata: cluster.aad },
  )

/** GET `/$/GetClusterVersion`. */
export const clusterVersion: Handler = ({ cluster }) => Reply.json({ Version: cluster.version })

/** GET `/$/GetClusterManifest`: of all that a manifest holds, the address of the image store. */
export const clusterManifest: Handler = ({ cluster, state }) =>
  Reply.json({
    Manifest: `<?xml version="1.0" encoding="utf-8"?>` +
      `<ClusterManifest xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" Name="Emulator" Version="1"` +
      ` xmlns="http://schemas.microsoft.com/2011/01/fabric"><NodeTypes /><Infrastructure>` +
      (state.os === "windows"
        ? `<WindowsServer><NodeList /></WindowsServer>`
        : `<Linux><NodeList /></Linux>`) +
      `</Infrastructure><FabricSettings><Section Name="Management">` +
      `<Parameter Name="ImageStoreConnectionString" Value="${escapeXml(cluster.imageStore)}" />` +
      `</Section></FabricSettings></ClusterManifest>`,
  })

const escapeXml = (text: string): string =>
  text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll('"', "&quot;")
