/** Numbers that are the same for a seed, each from 0 to just below what is asked. */
export const randomOf = (seed: number): (below: number) => number => {
  let state = (seed * 2654435761) >>> 0
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), 1 | state)
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t
    return ((t ^ (t >>> 14)) >>> 0) % below
  }
}

/** So many bytes, drawn one by one. */
export const randomBytes = (random: (below: number) => number, length: number): Uint8Array => {
  const bytes = new Uint8Array(length)
  for (let at = 0; at < length; at++) bytes[at] = random(256)
  return bytes
}
