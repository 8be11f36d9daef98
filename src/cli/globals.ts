/**
 * Options that many commands share.
 *
 * @module
 */
import type { OptionSpecs, Params } from "./Spec.ts"

/** Options of every command. */
export const globalOptions = {
  json: { kind: "flag", summary: "Print JSON, for programs; on stderr a document a line" },
  "log-level": {
    kind: "choice",
    value: "LEVEL",
    choices: ["all", "trace", "debug", "info", "warning", "error", "fatal", "none"],
    summary: "Least level of what is logged on stderr; debug adds stacks to errors",
  },
} as const

/** Options in place of a command: `@effect/cli` calls them built in. */
export const builtInOptions: OptionSpecs = {
  help: { kind: "flag", summary: "Show help, after a command its own; -h for short" },
  version: { kind: "flag", summary: "Show the version" },
  completions: {
    kind: "choice",
    value: "SHELL",
    choices: ["bash", "zsh", "fish"],
    summary: "Print a script that completes commands and options",
  },
}

/** Options of every command that talks to a cluster. */
export const clusterOptions = {
  endpoint: {
    kind: "list",
    value: "URL",
    summary: "The cluster's HTTP gateway, such as http://localhost:19080; again for more of its gateways",
  },
  timeout: {
    kind: "integer",
    value: "SECONDS",
    summary: "How long the cluster may work on one request: 1 to 4294967295, default 60",
  },
  cert: { kind: "text", value: "FILE", summary: "Client certificate: a PEM file, or the PEM text itself" },
  key: {
    kind: "text",
    value: "FILE",
    summary: "Private key of the client certificate; may be the same file",
  },
  pfx: {
    kind: "text",
    value: "FILE",
    summary: "Client certificate and key in one PFX file; FABRIC_CLIENT_PASSPHRASE opens it",
  },
  ca: { kind: "text", value: "FILE", summary: "Certificates to trust in place of the system's, PEM" },
  "server-thumbprint": {
    kind: "list",
    value: "HEX",
    summary: "Thumbprint (SHA-1 or SHA-256) of the cluster's certificate, to trust that; again for more",
  },
  "server-common-name": {
    kind: "list",
    value: "NAME",
    summary: "Name on the cluster's certificate, when it is not the endpoint's; again for more",
  },
  "token-file": {
    kind: "text",
    value: "FILE",
    summary: "File with a token of Entra ID; it is read again when the token expires",
  },
  "token-command": {
    kind: "text",
    value: "COMMAND",
    summary: "Command that prints a token of Entra ID; it is run again when the token expires",
  },
} as const

/** What was typed of {@link clusterOptions}. */
export type ClusterParams = Params<Record<never, never>, typeof clusterOptions>
