/**
 * One request in one line of the log.
 *
 * @module
 */
import type { End } from "./Exchange.ts"
import type { RequestRecord } from "./RequestLog.ts"

/** `PUT /ImageStore/… 200 OK UploadFileChunk 8388608 bytes 12 ms`. */
export const requestLine = (record: RequestRecord, end: End, now: number): string => {
  const said = end._tag === "Answer"
    ? `${end.reply.status} ${end.reply.reason}`
    : end._tag === "Drop"
    ? "connection dropped"
    : "no answer"
  return [
    record.method,
    record.target,
    said,
    record.operation ?? "no operation",
    ...(record.bodyBytes > 0 ? [`${record.bodyBytes} bytes`] : []),
    `${now - record.at} ms`,
  ].join(" ")
}
