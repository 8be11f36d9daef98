/**
 * What all records have in common: one process writes to them.
 *
 * @module
 */

/** The process that a record belongs to. */
export interface Owner {
  /** The machine's name. */
  readonly host: string
  /** Its number there. */
  readonly process: number
  /** When it began, in milliseconds since 1970. */
  readonly start: number
}

/** A record. */
export interface Owned {
  /** Origins of the cluster's endpoints. */
  readonly endpoints: ReadonlyArray<string>
  readonly owner: Owner
  /** When something was written last, in milliseconds since 1970. */
  readonly touched: number
}

/** A change of a record, made at a time in milliseconds since 1970. */
export interface Change<Patch> {
  readonly at: number
  readonly patch: Patch
}

/** Whether a record is of the cluster that has those origins. */
export const isOf = ({ endpoints }: Owned, origins: ReadonlyArray<string>): boolean =>
  endpoints.some((origin) => origins.includes(origin))

/** Whether two are the same process. */
export const isSameOwner = (one: Owner, other: Owner): boolean =>
  one.host === other.host && one.process === other.process && one.start === other.start
