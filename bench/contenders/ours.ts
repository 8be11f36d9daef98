/**
 * `deleteUploadSession` with everything on: params decoded, deadline, retries, error mapping, metrics.
 *
 * @module
 */
import { deleteUploadSession } from "../../src/deleteUploadSession.ts"
import { FabricClient } from "../../src/FabricClient.ts"
import { effectSlices } from "./effect.ts"
import { SESSION, url } from "./slices.ts"

effectSlices(
  () => deleteUploadSession({ sessionId: SESSION }),
  FabricClient.layerCluster({ endpoints: [url] }),
)
