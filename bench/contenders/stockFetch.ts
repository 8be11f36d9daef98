/**
 * The same program over the HTTP client that `@effect/platform` has.
 *
 * @module
 */
import * as FetchHttpClient from "@effect/platform/FetchHttpClient"
import * as Layer from "effect/Layer"
import { deleteUploadSession } from "../../src/deleteUploadSession.ts"
import { FabricClient } from "../../src/FabricClient.ts"
import { FabricConfig } from "../../src/FabricConfig.ts"
import { effectSlices } from "./effect.ts"
import { SESSION, url } from "./slices.ts"

effectSlices(
  () => deleteUploadSession({ sessionId: SESSION }),
  FabricClient.layer.pipe(
    Layer.provide(FetchHttpClient.layer),
    Layer.provide(FabricConfig.layer({ endpoints: [url] })),
  ),
)
