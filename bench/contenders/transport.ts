/**
 * Our transport alone: a request that is ready, no deadline, nobody who reads the answer.
 *
 * @module
 */
import * as HttpClient from "@effect/platform/HttpClient"
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import { ClusterHttpClient } from "../../src/ClusterHttpClient.ts"
import { FabricConfig } from "../../src/FabricConfig.ts"
import { exchange, type Outgoing, type Watch } from "../../src/transport/Exchange.ts"
import { effectSlices } from "./effect.ts"
import { TARGET, url } from "./slices.ts"

const outgoing: Outgoing = {
  method: "DELETE",
  origin: url,
  target: TARGET,
  headers: {},
  body: undefined,
}
const nothing = () => {}
const watch: Watch = {
  begin: nothing,
  progress: nothing,
  sent: nothing,
  after: () => nothing,
  unseen: nothing,
  interrupted: () => false,
  end: nothing,
}

effectSlices(
  () =>
    Effect.flatMap(
      HttpClient.HttpClient,
      (client) => exchange(client)(outgoing, watch),
    ),
  ClusterHttpClient.layer.pipe(
    Layer.provide(FabricConfig.layer({ endpoints: [url] })),
  ),
)
