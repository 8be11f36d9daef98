/**
 * From options to a gateway with what is stored from the start.
 *
 * @module
 */
import * as Duration from "effect/Duration"
import * as Effect from "effect/Effect"
import type * as Scope from "effect/Scope"
import * as Content from "./Content.ts"
import { openDataFolder } from "./DataFolder.ts"
import { Gateway } from "./Gateway.ts"
import type { EmulatorOptions } from "./Options.ts"
import * as StorePath from "./StorePath.ts"

/** What {@link EmulatorOptions} says when it says nothing. */
const defaults: Required<
  Pick<EmulatorOptions, "version" | "imageStore" | "infoShape" | "pageBytes" | "history">
> = {
  version: "10.1.2175.9590",
  imageStore: "fabric:ImageStore",
  infoShape: "array",
  pageBytes: 3 * 1024 * 1024,
  history: 20_000,
}

/** A gateway. What a data folder cannot do is a defect. */
export const makeGateway = (options: EmulatorOptions): Effect.Effect<Gateway, never, Scope.Scope> =>
  Effect.gen(function* () {
    const os = options.os ?? "windows"
    const { data, token } = options
    const storage = data === undefined ? Content.memory : yield* Effect.acquireRelease(
      Effect.sync(() => openDataFolder(data, os)),
      (folder) => Effect.sync(() => folder.close()),
    )
    const version = options.version ?? defaults.version
    const gateway = new Gateway({
      os,
      cluster: {
        version,
        imageStore: options.imageStore ?? defaults.imageStore,
        aad: options.aad,
        infoShape: options.infoShape ?? defaults.infoShape,
        pageBytes: options.pageBytes ?? defaults.pageBytes,
        joinSpeed: (options.diskSpeed ?? Infinity) / 1000,
      },
      newest: Number.parseFloat(version),
      clusterId: options.clusterId,
      takes: typeof token === "string" ? (shown) => shown === token : token,
      capacity: options.capacity ?? Infinity,
      latency: Duration.toMillis(options.latency ?? 0),
      bandwidth: options.bandwidth ?? Infinity,
      plan: options.faults?.begin(),
      history: options.history ?? defaults.history,
    }, storage)
    const now = yield* Effect.clockWith((clock) => clock.currentTimeMillis)
    for (const [path, bytes] of Object.entries(options.files ?? {})) store(gateway, path, bytes, now)
    return gateway
  })

const store = (gateway: Gateway, path: string, bytes: string | Uint8Array, now: number): void => {
  const { os } = gateway.settings
  if (gateway.state.files.get(StorePath.keyOf(StorePath.normalize(path, os), os)) !== undefined) return
  const sink = gateway.storage.open()
  sink.write(typeof bytes === "string" ? new TextEncoder().encode(bytes) : new Uint8Array(bytes))
  const failure = gateway.state.putFile(path, Content.contentOf(sink.end()), now)
  if (failure !== undefined) throw new Error(`The emulator cannot store "${path}": ${failure.code}`)
}
