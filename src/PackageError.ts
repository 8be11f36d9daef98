/**
 * What is wrong with a package.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"

interface Args {
  /** The folder or archive. */
  readonly source: string
  /** Everything that is wrong with it, in sentences without a full stop. Never empty. */
  readonly problems: ReadonlyArray<string>
}

const Base: new (args: Args) => Cause.YieldableError & { readonly _tag: "PackageError" } & Args = Data
  .TaggedError("PackageError")<Args>

/**
 * A folder or archive that cannot be uploaded as a package, or whose files are not what the cluster lists after the
 * upload. All that is wrong is listed at once.
 */
export class PackageError extends Base {
  /** What could not be uploaded, and everything that is wrong with it. */
  override get message(): string {
    const [first, ...others] = this.problems
    return others.length === 0
      ? `Cannot upload the package ${this.source}: ${first}`
      : `Cannot upload the package ${this.source}: ${this.problems.length} things are wrong:\n` +
        this.problems.map((problem) => `- ${problem}`).join("\n")
  }
}

/** Something wrong, or wrong only on clusters of one system: Windows does not tell `a` from `A`, Linux does. */
export interface Problem {
  readonly text: string
  readonly on?: "windows" | "linux"
}
