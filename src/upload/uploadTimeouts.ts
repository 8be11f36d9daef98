/**
 * Seconds that the cluster gets for what carries bytes.
 *
 * @module
 */

/** For a chunk, or a file that is no larger than one: short, because so long a lost one may still arrive. */
export const CHUNK_TIMEOUT = 30

/** Bytes a second that the cluster is taken to join, or to write, at the least. */
const RATE = 8 * 1024 * 1024

/** To join a file of `size` bytes. */
export const commitTimeout = (size: number): number => 60 + Math.ceil(size / RATE)

/** For a whole file of `size` bytes in a single request, where a chunk has `chunkSize`. */
export const putTimeout = (size: number, chunkSize: number): number =>
  size <= chunkSize ? CHUNK_TIMEOUT : commitTimeout(size)
