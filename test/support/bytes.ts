/** Bytes to upload, and how to tell whether they are the same. */
import { createHash } from "node:crypto"

/** The same bytes for the same size and seed. */
export const bytesOf = (size: number, seed = 1): Uint8Array =>
  Uint8Array.from({ length: size }, (_, i) => (i * 31 + seed * 17 + (i >> 8)) & 255)

/** SHA-256 in hexadecimal. */
export const hashOf = (bytes: string | Uint8Array): string => createHash("sha256").update(bytes).digest("hex")
