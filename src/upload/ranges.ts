/**
 * A file in chunks, and which of them are missing.
 *
 * @module
 */
import type { ByteRange } from "../UploadSession.ts"

/** Bytes of a range. */
export const sizeOf = ({ first, last }: ByteRange): number => last - first + 1

/** Bytes of several ranges. */
export const bytesIn = (ranges: ReadonlyArray<ByteRange>): number =>
  ranges.reduce((sum, range) => sum + sizeOf(range), 0)

/** The chunks of a file, in order: all of `chunkSize` but the last. Their borders never change in a session. */
export const chunksOf = (size: number, chunkSize: number): ReadonlyArray<ByteRange> =>
  Array.from({ length: Math.ceil(size / chunkSize) }, (_, index) => ({
    first: index * chunkSize,
    last: Math.min((index + 1) * chunkSize, size) - 1,
  }))

/** The chunks of which all bytes are expected. */
export const chunksIn = (
  chunks: ReadonlyArray<ByteRange>,
  expected: ReadonlyArray<ByteRange>,
): ReadonlyArray<ByteRange> =>
  chunks.filter((chunk) => expected.some((gap) => gap.first <= chunk.first && chunk.last <= gap.last))

/**
 * The chunks that the cluster still expects, or `undefined` when what it expects does not end where chunks end:
 * then other chunks were sent under the same id, and the session is of no use (protocol.md 4.3).
 */
export const missingChunks = (
  chunks: ReadonlyArray<ByteRange>,
  expected: ReadonlyArray<ByteRange>,
): ReadonlyArray<ByteRange> | undefined => {
  const missing = chunksIn(chunks, expected)
  return bytesIn(missing) === bytesIn(expected) ? missing : undefined
}

/** Whether nothing of `range` is expected any more. */
export const arrived = (range: ByteRange, expected: ReadonlyArray<ByteRange>): boolean =>
  !expected.some((gap) => gap.first <= range.last && range.first <= gap.last)
