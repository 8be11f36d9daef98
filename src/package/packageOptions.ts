/**
 * The options of an upload of a package: checks.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { refuseParams } from "../client/makeOperation.ts"
import type { FabricClient } from "../FabricClient.ts"
import type { FabricError } from "../FabricError.ts"
import type { PackageOptions } from "../PackageEvent.ts"

/** Fails for an option that cannot work, before anything is read. Those of every upload are checked with its path. */
export const validatePackage = (
  source: string,
  { onFailure = "remove", strays = "remove", unpackedLimit = Infinity }: PackageOptions,
): Effect.Effect<void, FabricError, FabricClient> => {
  const refuse = (field: string, issue: string) =>
    refuseParams({ name: "UploadFile", action: `upload ${source}` }, field, issue)
  if (!(unpackedLimit > 0)) return refuse("unpackedLimit", `expected more than 0 bytes, got ${unpackedLimit}`)
  if (!["remove", "keep"].includes(onFailure)) {
    return refuse("onFailure", `expected remove or keep, got ${onFailure}`)
  }
  return ["remove", "fail"].includes(strays)
    ? Effect.void
    : refuse("strays", `expected remove or fail, got ${strays}`)
}
