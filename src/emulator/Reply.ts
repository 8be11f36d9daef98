/**
 * What the gateway answers: status line, headers and body (protocol.md 1.4, 2).
 *
 * @module
 */
import { type Failure, messageOf, reasonOf, statusOf } from "./ErrorCode.ts"

/** One answer. Equal answers are one object where that is possible, so that small requests stay cheap. */
export interface Reply {
  readonly status: number
  /** The reason phrase of the status line, which is often the error's code. */
  readonly reason: string
  /** In the gateway's own spelling. `Date` and `Content-Length` are the face's business. */
  readonly headers: Readonly<Record<string, string>>
  /** Empty: no body. */
  readonly body: string
}

// On every success of a handler and every JSON error, even without a body; not on bare statuses.
const JSON_HEADERS: Readonly<Record<string, string>> = {
  "Content-Type": "application/json; charset=utf-8",
  "X-Content-Type-Options": "nosniff",
}

const NO_HEADERS: Readonly<Record<string, string>> = {}

/** 200 without a body: what most operations answer. */
export const ok: Reply = { status: 200, reason: "OK", headers: JSON_HEADERS, body: "" }

/** 204 with the headers of a handler's success. */
export const noContent: Reply = { status: 204, reason: "No Content", headers: JSON_HEADERS, body: "" }

/** An empty listing from api-version 6.2 on says nothing of its content type (protocol.md 3.1). */
export const bareNoContent: Reply = { ...noContent, headers: NO_HEADERS }

/** A 404 with the headers of a handler's success, for listings below api-version 6.2. */
export const emptyNotFound: Reply = { status: 404, reason: "Not Found", headers: JSON_HEADERS, body: "" }

/** A 404 without any headers: listings, and addresses that no handler owns. */
export const bareNotFound: Reply = { ...emptyNotFound, headers: NO_HEADERS }

/** What secured clusters say to whom they do not know (protocol.md 6). */
export const certificateRequired: Reply = {
  status: 403,
  reason: "Client certificate required",
  headers: NO_HEADERS,
  body: "",
}

/** What the Windows listener itself answers to a request that it cannot take (protocol.md 5). */
export const listenerBadRequest: Reply = {
  status: 400,
  reason: "Bad Request",
  headers: { "Content-Type": "text/html; charset=us-ascii" },
  body: `<!DOCTYPE HTML PUBLIC "-//W3C//DTD HTML 4.01//EN""http://www.w3.org/TR/html4/strict.dtd">\r\n` +
    `<HTML><HEAD><TITLE>Bad Request</TITLE></HEAD>\r\n` +
    `<BODY><h2>Bad Request</h2>\r\n<hr><p>HTTP Error 400. The request is badly formed.</p>\r\n</BODY></HTML>\r\n`,
}

/** 200 with a JSON body. */
export const json = (value: unknown): Reply => ({
  status: 200,
  reason: "OK",
  headers: JSON_HEADERS,
  body: JSON.stringify(value),
})

/** `{"Error":{"Code","Message"}}` with the given status. */
export const errorWith = (status: number, failure: Failure): Reply => ({
  status,
  reason: reasonOf(failure.code),
  headers: JSON_HEADERS,
  body: JSON.stringify({ Error: { Code: failure.code, Message: messageOf(failure) } }),
})

const known = new WeakMap<Failure, Reply>()

/** `{"Error":{"Code","Message"}}` with the status of its code. */
export const error = (failure: Failure): Reply => {
  let reply = known.get(failure)
  if (reply === undefined) {
    reply = errorWith(statusOf(failure.code), failure)
    known.set(failure, reply)
  }
  return reply
}
