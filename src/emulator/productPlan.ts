/**
 * What the product does to itself under `EnableChaosDuringFileUpload` (peers.md 0.13), as a client of the
 * gateway sees it: a message between gateway and primary that gets lost is a 504 when the time is over.
 *
 * @module
 */
import { Fault } from "./Fault.ts"
import type { Arrival } from "./FaultPlan.ts"

/** Counts calls, and says yes to every n-th. */
const every = (n: number): () => boolean => {
  let count = 0
  return () => ++count % n === 0
}

/** Says yes to the n-th call only. */
const only = (n: number): () => boolean => {
  let count = 0
  return () => ++count === n
}

/** Begins the plan. */
export const productPlan = (): (arrival: Arrival) => Fault | undefined => {
  const create = every(7)
  const createReply = every(13)
  const chunk = every(11)
  const chunkReply = every(23)
  const commit = every(9)
  const commitReply = every(11)
  const commitErrorReply = every(7)
  const movedAtChunk = only(20)
  const movedAtCommit = only(19)
  const forgottenAt31457280 = only(1)
  const stalledAt9437184 = only(1)

  const onChunk = ({ opens, path, start }: Arrival): Fault | undefined => {
    // All counters count, whichever fault comes first.
    const createLost = opens && create()
    const createReplyLost = opens && createReply()
    const lost = chunk()
    const moved = movedAtChunk()
    if (createLost || lost) return Fault.loseMessage
    if (createReplyLost) return { _tag: "LoseReply", when: () => true, forgetChunk: true }
    if (moved) return Fault.error("NotFound")
    if (start === 31457280 && forgottenAt31457280()) return Fault.forgetChunk
    if (start === 9437184 && stalledAt9437184()) return Fault.delay("15 seconds")
    if (path.toLowerCase().endsWith(".xml")) return Fault.delay("35 seconds")
    return { _tag: "LoseReply", when: (status) => status === 200 && chunkReply(), forgetChunk: false }
  }

  const onCommit = (): Fault => {
    const lost = commit()
    const moved = movedAtCommit()
    if (lost) return Fault.loseMessage
    if (moved) return Fault.error("NotFound")
    return {
      _tag: "LoseReply",
      when: (status) => status === 200 ? commitReply() : commitErrorReply(),
      forgetChunk: false,
    }
  }

  return (arrival) =>
    arrival.operation === "UploadFileChunk"
      ? onChunk(arrival)
      : arrival.operation === "CommitImageStoreUploadSession"
      ? onCommit()
      : undefined
}
