/**
 * What may be read without a question.
 *
 * @module
 */

type Descriptor =
  | { readonly name: "env"; readonly variable: string }
  | { readonly name: "read"; readonly path: string }

const { Deno } = globalThis as {
  readonly Deno?: { readonly permissions: { querySync(what: Descriptor): { readonly state: string } } }
}

/**
 * Whether it may be read at once. Deno would ask on a terminal and throw elsewhere; what was not granted is
 * rather taken as absent. Node and Bun allow everything.
 */
export const isReadable = (what: Descriptor): boolean =>
  Deno === undefined || Deno.permissions.querySync(what).state === "granted"
