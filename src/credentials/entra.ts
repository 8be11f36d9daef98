/**
 * What a cluster tells of the application in Entra ID by which it knows its users (protocol.md 6.1).
 *
 * @module
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import type { Answer } from "../transport/Exchange.ts"

/** Whom a token has to be for. */
export interface Entra {
  readonly tenant: string
  /** The cluster's application. */
  readonly cluster: string
}

/** Path and query of GetAadMetadata, which everybody may ask. */
export const AAD_METADATA = "/$/GetAadMetadata?api-version=6.0"

/** Both stand in a line that people copy into a shell: nothing in them may have a meaning there. */
const Plain = Schema.String.pipe(Schema.pattern(/^\w[\w.:/-]*$/))

const AadMetadata = Schema.parseJson(Schema.Struct({
  type: Schema.Literal("aad"),
  metadata: Schema.Struct({ tenant: Plain, cluster: Plain }),
}))

/** Reads the answer to {@link AAD_METADATA}; nothing when the cluster does not know of Entra ID. */
export const readEntra = ({ text }: Answer): Option.Option<Entra> =>
  Option.map(Schema.decodeUnknownOption(AadMetadata)(text), ({ metadata }) => metadata)

/** The command that prints a token for the cluster. */
export const azCommand = ({ cluster, tenant }: Entra): string =>
  `az account get-access-token --resource ${cluster} --tenant ${tenant} --query accessToken --output tsv`

/** Where a token can be given. */
export const TOKEN_OPTIONS: string = "`token`, FABRIC_TOKEN, FABRIC_TOKEN_FILE or --token-file, " +
  "FABRIC_TOKEN_COMMAND or --token-command"
