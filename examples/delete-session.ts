/** Deletes an upload session; one that is gone is as good as deleted. */
import {
  ClusterHttpClient,
  deleteUploadSession,
  FabricClient,
  FabricConfig,
  FabricError,
} from "@effect-fabric/image-store"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import process from "node:process"

const sessionId = process.argv[2] ?? "4a2340e8-d8d8-497c-95fe-cdaa1052f33b"

const program = deleteUploadSession({ sessionId }).pipe(
  Effect.catchIf(FabricError.isNotFound, () => Effect.log("there is no such session")),
  Effect.zipRight(Effect.log(`${sessionId} is gone`)),
)

// FABRIC_ENDPOINT and the other variables say which cluster.
const cluster = FabricClient.layer.pipe(
  Layer.provide(ClusterHttpClient.layer),
  Layer.provide(FabricConfig.layerConfig),
)

await Effect.runPromise(Effect.provide(program, cluster))
