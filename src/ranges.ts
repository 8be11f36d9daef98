/**
 * A file in chunks, and which of them are missing.
 *
 * @module
 */
import type { ByteRange } from "./UploadSession.ts"

/** Bytes of a range. */
export const sizeOf = ({ first, last }: ByteRange): number => last - first + 1

/** The chunks of a file, in order: all of `chunkSize` but the last. Their borders never change in a session. */
export const chunksOf = (size: number, chunkSize: number): ReadonlyArray<ByteRange> =>
  Array.from({ length: Math.ceil(size / chunkSize) }, (_, index) => ({
    first: index * chunkSize,
    last: Math.min((index + 1) * chunkSize, size) - 1,
  }))

/**
 * The chunks that the cluster still expects, or `undefined` when what it expects does not end where chunks end:
 * then other chunks were sent under the same id, and the session is of no use (protocol.md 4.3).
 */
export const missingChunks = (
  chunks: ReadonlyArray<ByteRange>,
  expected: ReadonlyArray<ByteRange>,
): ReadonlyArray<ByteRange> | undefined => {
  const missing = chunks.filter((chunk) =>
    expected.some((gap) => gap.first <= chunk.first && chunk.last <= gap.last)
  )
  const covered = missing.reduce((sum, chunk) => sum + sizeOf(chunk), 0)
  return covered === expected.reduce((sum, gap) => sum + sizeOf(gap), 0) ? missing : undefined
}

/** Whether nothing of `range` is expected any more. */
export const arrived = (range: ByteRange, expected: ReadonlyArray<ByteRange>): boolean =>
  !expected.some((gap) => gap.first <= range.last && range.first <= gap.last)
