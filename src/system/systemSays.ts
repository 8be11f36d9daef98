/**
 * What the system says where the name of what was asked for is to be kept back.
 *
 * @module
 */

/** The system's code, or what Deno wants: messages name what was asked for, which may be a secret in the wrong place. */
export const systemSays = (cause: unknown, permissions: string): string => {
  const { code, name } = cause as { readonly code?: unknown; readonly name?: unknown }
  return name === "NotCapable" ? `deno run ${permissions}` : String(code ?? name)
}
