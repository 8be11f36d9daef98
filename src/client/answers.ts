/**
 * What an answer, or the lack of one, means.
 *
 * @module
 */
import * as Option from "effect/Option"
import * as Schema from "effect/Schema"
import { azCommand, type Entra, TOKEN_OPTIONS } from "../credentials/entra.ts"
import type { FabricErrorReason } from "../FabricError.ts"
import type { Answer } from "../transport/Exchange.ts"
import type { NoAnswer } from "../transport/NoAnswer.ts"

/** The gateway's error body (protocol.md 2). */
const ErrorBody = Schema.parseJson(Schema.Struct({
  Error: Schema.Struct({
    Code: Schema.String,
    Message: Schema.optionalWith(Schema.String, { nullable: true, default: () => "" }),
  }),
}))

const readErrorBody = Schema.decodeUnknownOption(ErrorBody)

/** How the cluster was to know the client. */
export type Credentials = "none" | "certificate" | "token"

/** The reason behind an answer, got at `now`, that is not the success that was hoped for. */
export const reasonOfAnswer = (
  answer: Answer,
  now: number,
  credentials: Credentials,
): FabricErrorReason => {
  const { status, text, unsent } = answer
  if (status < 300) return { _tag: "Malformed", status, detail: unsent ? BEFORE_BODY : excerpt(text) }
  if (status < 400) return { _tag: "Malformed", status, detail: redirect(answer) }
  const error = readErrorBody(text)
  if ((status === 401 || status === 403) && Option.isNone(error) && ABOUT_CREDENTIALS.test(text)) {
    return {
      _tag: "Unauthenticated",
      status,
      hint: credentials === "token" ? REFUSED_TOKEN : status === 401 ? LOGIN : HINTS[credentials],
    }
  }
  const wish = retryAfter(answer, now)
  return {
    _tag: "Rejected",
    status,
    ...Option.match(error, {
      onNone: () => ({ code: undefined, detail: excerpt(text) }),
      // "Null" is what the gateway writes where it has no message.
      onSome: ({ Error: { Code, Message } }) => ({ code: Code, detail: Message === "Null" ? "" : Message }),
    }),
    ...(wish === undefined ? {} : { retryAfter: wish }),
    ...(unsent ? { sent: "no" as const } : {}),
  }
}

const BEFORE_BODY = "a success before the body was sent"

/** The gateway refuses a stranger without a word (protocol.md 6), HTTP.sys with a page that says so. */
const ABOUT_CREDENTIALS = /^\s*$|client certificate/i

const LOGIN = "it wants a login, as of Windows or a proxy, and not a client certificate; this client has none"

const MISSING = "give the client certificate and key of a cluster user: `clientCertificate`, " +
  "FABRIC_CLIENT_CERT and FABRIC_CLIENT_KEY or FABRIC_CLIENT_PFX, --cert and --key or --pfx"

const REFUSED =
  "it did not accept the client certificate, or did not ask for it; check that the certificate is " +
  "valid, and one of a cluster user"

const HINTS = { none: MISSING, certificate: REFUSED }

const REFUSED_TOKEN =
  "it did not take the token; check that it has not expired, that it is for this cluster's " +
  "application, and that its user has a role there"

/** The hint after a 403, where the cluster tells of its application in Entra ID. */
export const entraHint = (hint: string, credentials: Credentials, entra: Entra): string => {
  const line = `\`${azCommand(entra)}\``
  const give = `give a token, as ${line} prints it (${TOKEN_OPTIONS})`
  return credentials === "token"
    ? `${hint}; ${line} prints one`
    : credentials === "certificate"
    ? `${hint}; or ${give}`
    : `${give}; or ${hint}`
}

/** The reason behind no answer. */
export const reasonOfNoAnswer = ({ code, detail, sent, distrust }: NoAnswer): FabricErrorReason =>
  distrust === undefined
    ? { _tag: "Unreachable", code, detail, sent }
    : { _tag: "Untrusted", code, detail, hint: distrust }

const redirect = ({ headers }: Answer): string => {
  const location = headers.location
  const host = typeof location === "string" && URL.canParse(location) ? ` to ${new URL(location).origin}` : ""
  return `a redirect${host}, which is not followed`
}

/** The first words of a body that a person may read: a proxy's page without its tags. */
const excerpt = (text: string): string => {
  const words = text.slice(0, 4096).replace(/<(style|script|head)[\s\S]*?<\/\1>/gi, " ").replace(
    /<[^>]*>/g,
    " ",
  )
    .replace(/\s+/g, " ").trim()
  return words.length > 200 ? `${words.slice(0, 200)}…` : words
}

/** Seconds that the answer asks to wait: `Retry-After` in seconds, or as a date of the answer's own clock. */
const retryAfter = ({ headers }: Answer, now: number): number | undefined => {
  const wish = headers["retry-after"]
  if (typeof wish !== "string") return undefined
  if (/^\d+$/.test(wish)) return Number(wish)
  const sentAt = Date.parse(String(headers.date))
  const until = Date.parse(wish) - (Number.isNaN(sentAt) ? now : sentAt)
  return Number.isNaN(until) ? undefined : Math.max(until, 0) / 1000
}
