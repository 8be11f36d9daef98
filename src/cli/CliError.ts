/**
 * What goes wrong in the command itself.
 *
 * @module
 */
import type * as Cause from "effect/Cause"
import * as Data from "effect/Data"

interface Args {
  /** One paragraph: what is wrong, and what to do. */
  readonly message: string
  /** 1: it failed. 2: it should not have been asked for like that. */
  readonly exitCode: 1 | 2
  /** What a program is told besides. */
  readonly details?: object
}

const Base: new (args: Args) => Cause.YieldableError & { readonly _tag: "CliError" } & Args = Data
  .TaggedError(
    "CliError",
  )<Args>

/** A command that cannot do what it was asked for. */
export class CliError extends Base {
  /** It should not have been asked for like that. */
  static readonly usage = (message: string): CliError => new CliError({ message, exitCode: 2 })

  /** It did not work. */
  static readonly failed = (message: string, details: object = {}): CliError =>
    new CliError({ message, exitCode: 1, details })
}
