/**
 * How an emulated image store can be set up.
 *
 * @module
 */
import type * as Duration from "effect/Duration"
import type { FaultPlan } from "./FaultPlan.ts"
import type { Os } from "./StorePath.ts"

/** Everything is optional; without any it is an empty Windows cluster that never fails. */
export interface EmulatorOptions {
  /** `linux` gateways have no upload sessions (protocol.md 4). Default `windows`. */
  readonly os?: Os
  /** What is stored from the start, by path. A data folder that has the path already keeps its own. */
  readonly files?: Readonly<Record<string, string | Uint8Array>>
  /**
   * A folder that keeps what is stored between runs, and bodies out of memory. It belongs to one emulator at
   * a time. Default: everything in memory.
   */
  readonly data?: string
  /** Time that an answer takes, half of it each way. Default 0. */
  readonly latency?: Duration.DurationInput
  /** Bytes a second that all bodies together get through the line. Default: no limit. */
  readonly bandwidth?: number
  /** Bytes a second at which a commit joins chunks. Default: no time at all. */
  readonly diskSpeed?: number
  /** Bytes of the store's disk. Full, it behaves as protocol.md 4.5 says. Default: no limit. */
  readonly capacity?: number
  /** What goes wrong. Default: nothing. */
  readonly faults?: FaultPlan
  /** The runtime's version, whose first two numbers are the newest `api-version`. Default `10.1.2175.9590`. */
  readonly version?: string
  /** The cluster's id: requests that name another one in `ClusterId` get 403. Default: none. */
  readonly clusterId?: string
  /** What `GetAadMetadata` tells of the cluster's Entra application. Default: the cluster has none. */
  readonly aad?: AadMetadata
  /**
   * The bearer token that callers have to show, or which ones will do: without, it is 403 with an empty body for all
   * but `GetAadMetadata` (protocol.md 6). Default: nobody has to show any.
   */
  readonly token?: string | ((token: string) => boolean)
  /**
   * The manifest's `ImageStoreConnectionString`. With anything but `fabric:ImageStore` there is no image store
   * service, and its operations answer 404 `FABRIC_E_SERVICE_DOES_NOT_EXIST` (protocol.md 6).
   */
  readonly imageStore?: string
  /** `$/Info` answers an array with numbers, as the published example, or one object. Default `array`. */
  readonly infoShape?: "array" | "object"
  /** Estimated bytes of one page of a listing. Default 3 MiB (protocol.md 3.1). */
  readonly pageBytes?: number
  /** How many requests are remembered. Default 20,000: the oldest are forgotten first. */
  readonly history?: number
}

/** The `metadata` of GetAadMetadata (protocol.md 6.1). */
export interface AadMetadata {
  /** Where users sign in. */
  readonly login: string
  /** Who signs tokens. */
  readonly authority: string
  /** The directory that knows the users. */
  readonly tenant: string
  /** The application that a token has to be for. */
  readonly cluster: string
  /** The application that asks for tokens. */
  readonly client: string
  /** Where that one is called back. */
  readonly redirect: string
}
