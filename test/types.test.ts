import { expectTypeOf, it } from "@effect/vitest"
import type * as HttpClient from "@effect/platform/HttpClient"
import type * as ConfigError from "effect/ConfigError"
import type * as Effect from "effect/Effect"
import type * as Layer from "effect/Layer"
import {
  ClusterHttpClient,
  deleteUploadSession,
  DeleteUploadSessionParams,
  FabricClient,
  FabricConfig,
  type FabricError,
  type FabricErrorReason,
  type SessionId,
} from "../mod.ts"

it("the centre says what it needs, how it fails, and what it gives", () => {
  expectTypeOf(deleteUploadSession).parameter(0).toEqualTypeOf<
    { readonly sessionId: string; readonly timeout?: number | undefined }
  >()
  expectTypeOf(deleteUploadSession).returns.toEqualTypeOf<Effect.Effect<void, FabricError, FabricClient>>()
  expectTypeOf(DeleteUploadSessionParams.fields.sessionId.Type).toEqualTypeOf<SessionId>()
})

it("the layers say what they need and how they fail", () => {
  expectTypeOf(FabricClient.layer).toEqualTypeOf<
    Layer.Layer<FabricClient, never, HttpClient.HttpClient | FabricConfig>
  >()
  expectTypeOf(FabricClient.layerCluster).returns.toEqualTypeOf<
    Layer.Layer<FabricClient, ConfigError.ConfigError>
  >()
  expectTypeOf(FabricConfig.layerConfig).toEqualTypeOf<Layer.Layer<FabricConfig, ConfigError.ConfigError>>()
  expectTypeOf(ClusterHttpClient.layer).toEqualTypeOf<
    Layer.Layer<HttpClient.HttpClient, ConfigError.ConfigError, FabricConfig>
  >()
})

it("a reason has only the fields that are true of it", () => {
  expectTypeOf<FabricErrorReason["_tag"]>().toEqualTypeOf<
    | "InvalidParams"
    | "Unreachable"
    | "Untrusted"
    | "TimedOut"
    | "Unauthenticated"
    | "Rejected"
    | "Malformed"
    | "SessionsUnsupported"
  >()
  expectTypeOf<Extract<FabricErrorReason, { _tag: "Unreachable" }>>().not.toHaveProperty("status")
})
