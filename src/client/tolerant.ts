/**
 * Configuration that the program may not be allowed to read.
 *
 * @module
 */
import * as Config from "effect/Config"
import * as ConfigError from "effect/ConfigError"
import * as ConfigProvider from "effect/ConfigProvider"
import * as Effect from "effect/Effect"
import * as HashSet from "effect/HashSet"

/**
 * The same provider, but a variable that must not be read counts as absent: Deno without `--allow-env` throws
 * where Node has `undefined`, which would end the program as a defect. So does an empty one: that is how many build
 * systems write one that is not set.
 */
export const tolerant = (provider: ConfigProvider.ConfigProvider): ConfigProvider.ConfigProvider => {
  const flat = provider.flattened
  return ConfigProvider.fromFlat(ConfigProvider.makeFlat({
    load: (path, config, split) =>
      Effect.catchAllDefect(
        Effect.filterOrFail(
          flat.load(path, Config.string() as Config.Config.Primitive<string>, false),
          (texts) => texts.some((text) => text.trim() !== ""),
          () => ConfigError.MissingData([...path], "is empty"),
        ).pipe(Effect.zipRight(flat.load(path, config, split))),
        () =>
          Effect.zipRight(
            Effect.logDebug(`${path.join(".")} must not be read and counts as absent`),
            Effect.fail(ConfigError.MissingData([...path], "must not be read")),
          ),
      ),
    enumerateChildren: (path) =>
      Effect.catchAllDefect(flat.enumerateChildren(path), () => Effect.succeed(HashSet.empty())),
    patch: flat.patch,
  }))
}
