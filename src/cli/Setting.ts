/** A value with where it comes from, in the user's words. */
export interface Setting {
  readonly value: string
  readonly source: string
}
