/**
 * What was asked of the emulator, and what it said.
 *
 * @module
 */
import type { Operation } from "./Route.ts"

/** One request. */
export interface RequestEntry {
  /** The operation by its REST name. `undefined`: the request named none. */
  readonly operation: Operation | undefined
  /** Of HTTP. */
  readonly method: string
  /** The whole URL: scheme, host and target. */
  readonly url: string
  /** Host and port that the client addressed. */
  readonly host: string
  /** The URL's path as sent, without its query. */
  readonly path: string
  /** Names and values as sent. Of a name that comes twice, the last value. */
  readonly headers: Readonly<Record<string, string>>
  /** `undefined` while, or because, there is no answer. */
  readonly status: number | undefined
  /** The answer's reason phrase, which is often the error's code. */
  readonly reason: string | undefined
  /** Bytes of the body that arrived. */
  readonly bodyBytes: number
  /** When it arrived. */
  readonly at: Date
}

/** A request's entry while the request goes on. Cheap to make; {@link entry} makes it readable. */
export interface RequestRecord {
  readonly operation: Operation | undefined
  readonly method: string
  readonly target: string
  readonly origin: string
  readonly host: string
  readonly rawHeaders: ReadonlyArray<string>
  readonly at: number
  status: number | undefined
  reason: string | undefined
  bodyBytes: number
}

/** The form in which users see a request. */
export const entry = (record: RequestRecord): RequestEntry => {
  const headers: Record<string, string> = {}
  for (let at = 0; at + 1 < record.rawHeaders.length; at += 2) {
    headers[record.rawHeaders[at]!] = record.rawHeaders[at + 1]!
  }
  return {
    operation: record.operation,
    method: record.method,
    url: /^https?:/i.test(record.target) ? record.target : record.origin + record.target,
    host: record.host,
    path: record.target.replace(/^https?:\/\/[^/?#]*/i, "").split(/[?#]/, 1)[0]!,
    headers,
    status: record.status,
    reason: record.reason,
    bodyBytes: record.bodyBytes,
    at: new Date(record.at),
  }
}

/** The newest requests, oldest first. */
export class RequestLog {
  #records: Array<RequestRecord> = []
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  add(record: RequestRecord): void {
    this.#records.push(record)
    // Twice the limit before cutting: cutting costs once a limit, not once a request.
    if (this.#records.length >= 2 * this.#limit) this.#records = this.newest()
  }

  newest(): Array<RequestRecord> {
    return this.#limit === 0 ? [] : this.#records.slice(-this.#limit)
  }
}
