/**
 * What is known when nobody answered: code and text, copied from whatever the transport threw.
 *
 * @module
 */

/** Nobody answered. Holds text only: the request, and with it credentials, stays behind. */
export class NoAnswer {
  readonly _tag = "NoAnswer"
  readonly code: string
  readonly detail: string
  /** Whether the request may have reached the cluster. */
  readonly sent: "no" | "maybe"

  constructor(code: string, detail: string, sent: "no" | "maybe") {
    this.code = code
    this.detail = detail
    this.sent = sent
  }

  /** What to do about it, when the two sides could not agree on TLS. `undefined`: that was not it. */
  get distrust(): string | undefined {
    return TLS_HINTS.find(([codes]) => codes.test(this.code))?.[1]
  }
}

/** The plain request was answered by, or reset by, a side that wants TLS. */
export const TLS_WANTED = "TLS_WANTED"

/** The source of the body failed, or was of another size than announced. */
export const BODY_UNREADABLE = "BODY_UNREADABLE"
/** The token to show could not be got: nothing was sent. */
export const NO_TOKEN = "NO_TOKEN"
/** What came back on an endpoint that had answered before is no HTTP. */
export const BAD_ANSWER = "BAD_ANSWER"
/** The gateway's certificate is none of those that are pinned. */
export const NOT_PINNED = "CERT_NOT_PINNED"
/** The gateway's certificate is for another name. */
export const WRONG_NAME = "ERR_TLS_CERT_ALTNAME_INVALID"
/** No authority that is trusted has signed the gateway's certificate. */
export const UNSIGNED: RegExp = /SELF_SIGNED|UNABLE_TO|UNKNOWN_ISSUER|UnknownIssuer|INVALID_CA/

/** What came back is no HTTP. */
export const NO_HTTP: RegExp = /^HPE_/

const PIN = "if it is the cluster's own, give its thumbprint: " +
  "`serverCertificate`, FABRIC_SERVER_THUMBPRINT, --server-thumbprint"

const UNTRUSTED = "the gateway's certificate is not trusted; name the certificate that signed it: " +
  "`ca`, FABRIC_CA, --ca"

const TLS_HINTS: ReadonlyArray<readonly [codes: RegExp, hint: string]> = [
  [/^TLS_WANTED$/, "the port speaks TLS; write https:// for this endpoint"],
  [NO_HTTP, "what answered speaks no HTTP; check the address and the port (the gateway's is 19080)"],
  [
    /WRONG_VERSION_NUMBER|PACKET_LENGTH_TOO_LONG|HTTP_REQUEST|^EPROTO$/,
    "the port may not speak TLS, or no version of it that both sides know; write http:// for an unsecured cluster",
  ],
  [/CERT_NOT_PINNED/, `this is none of the certificates that are trusted; ${PIN}`],
  [
    /ALTNAME_INVALID|NotValidForName/,
    "the certificate is for another name; use the name that it is for, or give that name: " +
    "`serverCertificate`, FABRIC_SERVER_COMMON_NAME, --server-common-name",
  ],
  [/EXPIRED|NOT_YET_VALID/, "the certificate is not valid now; check it and the clocks"],
  [UNSIGNED, `${UNTRUSTED}; or, ${PIN}`],
  [/CERT_|ERR_TLS_/, UNTRUSTED],
  [
    /^ERR_SSL_|ALERT/,
    "the TLS handshake failed; check the client certificate and the TLS versions of both sides",
  ],
]

/** Codes after which no byte of a request can have left. */
const NEVER_SENT =
  /^(ECONNREFUSED|ENOTFOUND|EAI_|EHOSTUNREACH|ENETUNREACH|EHOSTDOWN|ENETDOWN|EADDRNOTAVAIL|EADDRINUSE|EACCES|EPERM|EMFILE|ENFILE|ERR_INVALID|ERR_UNESCAPED|NotCapable|UND_ERR_CONNECT_TIMEOUT)/

/** Runtimes that have no codes, or their own, in the words of Node. */
const WORDS: ReadonlyArray<readonly [text: RegExp, code: string]> = [
  [/ConnectionRefused|connection refused/i, "ECONNREFUSED"],
  [/dns error|failed to lookup|name or service not known|getaddrinfo|FailedToOpenSocket/i, "ENOTFOUND"],
  [/NotValidForName|certificate not valid for name/i, WRONG_NAME],
  [/expired/i, "CERT_HAS_EXPIRED"],
  [/UnknownIssuer|invalid peer certificate|self.signed/i, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
  [
    /InvalidContentType|corrupt message|wrong version number|record overflow/i,
    "ERR_SSL_WRONG_VERSION_NUMBER",
  ],
  [/invalid HTTP version|invalid header|parse error|Malformed_HTTP/i, "HPE_INVALID_CONSTANT"],
  [/requires net access|NotCapable/i, "NotCapable"],
  [/reset|closed|hang up|broken pipe/i, "ECONNRESET"],
]

/** Deno says no to a host's name in the words of a resolver. */
const isForbidden = (code: string | undefined, syscall: string | undefined): boolean =>
  "Deno" in globalThis && code === "EPERM" && syscall === "getaddrinfo"

/** Copies code and text from wherever in a chain of causes they stand. */
export const noAnswer = (error: unknown): NoAnswer => {
  let code: string | undefined
  let syscall: string | undefined
  let detail = ""
  let at = error
  for (let depth = 0; typeof at === "object" && at !== null && depth < 8; depth++) {
    const link = at as {
      code?: unknown
      syscall?: unknown
      message?: unknown
      name?: unknown
      cause?: unknown
      errors?: unknown
    }
    if (typeof link.code === "string") code ??= link.code
    if (typeof link.syscall === "string") syscall ??= link.syscall
    if (typeof link.message === "string" && link.message !== "") detail = link.message
    at = link.cause ?? (Array.isArray(link.errors) ? link.errors[0] : undefined)
  }
  const own = code === undefined || !/^[A-Z][A-Z0-9_]+$/.test(code)
  const known = own ? WORDS.find(([text]) => text.test(`${code ?? ""} ${detail}`))?.[1] : undefined
  const named = isForbidden(code, syscall) ? "NotCapable" : known ?? code ?? "UNKNOWN"
  const never = NEVER_SENT.test(named) || syscall === "connect" || syscall === "getaddrinfo"
  const result = new NoAnswer(named, detail.slice(0, 500), never ? "no" : "maybe")
  return result.distrust === undefined ? result : new NoAnswer(named, result.detail, "no")
}
