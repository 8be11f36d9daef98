/** A path that can be a folder's, as it was typed. `ls` prints folders with a `/` at the end, so one is taken back. */
export const folderPath = (typed: string | undefined): string | undefined => typed?.replace(/([^/])\/$/, "$1")
