/**
 * Bytes of request bodies, and where they are kept: in memory, or in a data folder.
 *
 * @module
 */

/** The bytes of one request body. Shared by a chunk and by the files that it was joined into. */
export interface Segment {
  readonly size: number
  /** Its name in the data folder. Empty in memory. */
  readonly name: string
  /** Reads the bytes from the start. Pieces in passing are good until the next one comes. */
  readonly read: (inPassing: boolean) => Iterable<Uint8Array>
}

/** The bytes of a chunk or of a file: segments one after the other. Joining copies nothing. */
export interface Content {
  readonly size: number
  readonly segments: ReadonlyArray<Segment>
}

/** Takes in the bytes of one body. */
export interface Sink {
  /** The memory itself becomes the storage's, no copy of it: nobody else may read it afterwards. */
  readonly write: (bytes: Uint8Array) => void
  readonly end: () => Segment
  /** Forgets what was written. */
  readonly discard: () => void
}

/** What is known of one stored file. */
export interface StoredFile {
  /** What it is looked up by: the path with the platform's separators, in lower case on Windows. */
  readonly key: string
  /** With the platform's separators, as the first upload spelled it. */
  readonly path: string
  /** Unique in the store, and higher with every write: the `VersionNumber` of `FileVersion`. */
  readonly version: number
  /** Grows with every fail-over: the `EpochConfigurationNumber` of `FileVersion`. */
  readonly epoch: number
  /** Milliseconds since 1970. */
  readonly modified: number
  /** The upload session whose commit wrote it, which makes a repeated commit a success. */
  readonly sessionId: string | undefined
  readonly content: Content
}

/** Keeps bytes and the records of stored files. */
export interface Storage {
  readonly open: () => Sink
  /** The file is now part of the store. */
  readonly keep: (file: StoredFile) => void
  /** The file is no longer part of the store. */
  readonly drop: (file: StoredFile) => void
  /** One more owner of the content's segments. */
  readonly retain: (content: Content) => void
  /** One owner less. Without owners a segment is gone. */
  readonly release: (content: Content) => void
  /** What an earlier run left. */
  readonly recover: () => ReadonlyArray<StoredFile>
}

export const emptyContent: Content = { size: 0, segments: [] }

/** Content of one segment. */
export const contentOf = (segment: Segment): Content =>
  segment.size === 0 && segment.name === "" ? emptyContent : { size: segment.size, segments: [segment] }

/** Content after content. */
export const join = (contents: ReadonlyArray<Content>): Content => ({
  size: contents.reduce((size, content) => size + content.size, 0),
  segments: contents.flatMap((content) => content.segments),
})

/**
 * Whether the file system refused, which a store answers for; anything else is a mistake in the emulator. The code is
 * what all runtimes give; `ERR_…` is Node's own, of a wrong call.
 */
export const isDiskError = (error: unknown): boolean =>
  error instanceof Error && /^E(?!RR_)[A-Z0-9]+$/.test((error as NodeJS.ErrnoException).code ?? "")

/** All bytes of a content, in pieces. In passing, a piece is good until the next one comes. */
export const read = function* (content: Content, inPassing = false): Generator<Uint8Array> {
  for (const segment of content.segments) yield* segment.read(inPassing)
}

/** The bytes of a body, in the pieces in which they arrived. */
class MemorySink implements Sink {
  readonly #pieces: Array<Uint8Array> = []
  #size = 0

  write(bytes: Uint8Array): void {
    this.#pieces.push(bytes)
    this.#size += bytes.byteLength
  }

  end(): Segment {
    const pieces = this.#pieces
    return { size: this.#size, name: "", read: () => pieces }
  }

  discard(): void {
    this.#pieces.length = 0
  }
}

const nothing = (): void => {}

/** Keeps everything in memory; the garbage collector counts the owners. */
export const memory: Storage = {
  open: () => new MemorySink(),
  keep: nothing,
  drop: nothing,
  retain: nothing,
  release: nothing,
  recover: () => [],
}
