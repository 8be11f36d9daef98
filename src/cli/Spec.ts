/**
 * What a command is called, takes and says of itself: plain data, so that help needs nothing but this.
 *
 * @module
 */
import type * as Effect from "effect/Effect"

/** What a command may take besides its arguments. */
export type OptionSpec =
  | { readonly kind: "flag"; readonly summary: string }
  | {
    /** `list` can be given again for more. */
    readonly kind: "text" | "integer" | "list"
    /** What stands for the value in the help. */
    readonly value: string
    readonly summary: string
  }
  | {
    readonly kind: "choice"
    readonly value: string
    readonly choices: ReadonlyArray<string>
    readonly summary: string
  }

/** The options of a command, by name. */
export type OptionSpecs = Readonly<Record<string, OptionSpec>>

interface ArgSpec {
  readonly optional?: true
  /** It can be a folder of the store, and then end with `/`. */
  readonly folder?: true
  readonly summary: string
}

/** The arguments of a command, by name, in their order. Only the last ones may be optional. */
export type ArgSpecs = Readonly<Record<string, ArgSpec>>

type OptionValue<S extends OptionSpec> = S["kind"] extends "flag" ? boolean
  : S["kind"] extends "integer" ? number | undefined
  : S["kind"] extends "list" ? ReadonlyArray<string>
  : string | undefined

/** What was typed, as a command gets it: each argument and option by its name. */
export type Params<A extends ArgSpecs, O extends OptionSpecs> =
  & { readonly [K in keyof A]: A[K] extends { readonly optional: true } ? string | undefined : string }
  & { readonly [K in keyof O]: OptionValue<O[K]> }

/** A command. `R` is what a command may need to run. */
export interface CommandSpec<R> {
  /** The words that choose it. */
  readonly words: readonly [string, ...ReadonlyArray<string>]
  /** One line. */
  readonly summary: string
  /** What else there is to know. */
  readonly details?: string
  /** Whether it talks to a cluster, and changes something there. */
  readonly cluster?: "reads" | "writes"
  readonly args: ArgSpecs
  readonly options: OptionSpecs
  /** Command lines to copy, each with what it does. */
  readonly examples: ReadonlyArray<readonly [what: string, line: string]>
  /** Loads the code of the command, which happens only when it is chosen. */
  readonly load: () => Promise<(params: Record<string, unknown>) => Effect.Effect<void, unknown, R>>
}

interface TypedSpec<R, A extends ArgSpecs, O extends OptionSpecs> extends Omit<CommandSpec<R>, "load"> {
  readonly args: A
  readonly options: O
  readonly load: () => Promise<(params: Params<A, O>) => Effect.Effect<void, unknown, R>>
}

/** A command whose code gets exactly what its arguments and options say. */
export const command = <R, const A extends ArgSpecs, const O extends OptionSpecs>(
  spec: TypedSpec<R, A, O>,
): CommandSpec<R> => spec as CommandSpec<R>
