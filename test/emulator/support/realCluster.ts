/** A gateway that others use too: each case has names of its own there, and leaves nothing. */
import * as Effect from "effect/Effect"
import { randomUUID } from "node:crypto"
import type { Os } from "../../../src/emulator/mod.ts"
import { FOLDERS, S, T } from "../../fixtures/gatewayCases.ts"
import { type Face, sendTo } from "./faces.ts"

/** Finds out what a cluster runs on, without changing anything (protocol.md 4). */
export const systemOf = (endpoint: string): Effect.Effect<Os> =>
  Effect.flatMap(
    sendTo(endpoint)({
      method: "GET",
      target: `/ImageStore/$/GetUploadSession?session-id=${randomUUID()}&api-version=6.0`,
    }),
    ({ body, reason, status }) =>
      status === 204
        ? Effect.succeed("windows")
        : status === 400 && body.includes(`"E_INVALIDARG"`)
        ? Effect.succeed("linux")
        : Effect.dieMessage(`${endpoint} answers as no image store does: ${status} ${reason} ${body}`),
  )

/** Ids keep their first digits, by which they are listed in order; folders get an ending. */
const freshNames = (): (text: string) => string => {
  const fresh = new Map([S, T].map((id) => [id, id.slice(0, 8) + randomUUID().slice(8)]))
  const names = new RegExp(`([/"\\\\])(${FOLDERS.join("|")})(?![\\w.-])`, "gi")
  const ids = new RegExp([...fresh.keys()].join("|"), "gi")
  const ending = `$1$2-${randomUUID().slice(0, 8)}`
  return (text) =>
    text.replace(names, ending).replace(ids, (id) => {
      const lower = fresh.get(id.toLowerCase())!
      return id === id.toLowerCase() ? lower : lower.toUpperCase()
    })
}

/** Whatever became of a case, its sessions and folders are removed when the scope closes. */
export const realCluster = (endpoint: string, os: Os): Face => ({
  name: endpoint,
  start: () =>
    Effect.gen(function* () {
      const send = sendTo(endpoint)
      const named = freshNames()
      const removed = (target: string) =>
        Effect.flatMap(send({ method: "DELETE", target }), ({ reason, status }) =>
          status === 200 || status === 404
            ? Effect.void
            : Effect.fail(new Error(`cannot remove ${endpoint}${target}: ${status} ${reason}`)))
      const places = [
        ...FOLDERS.map((name) =>
          `/ImageStore/${name}?`
        ),
        ...(os === "windows" ? [S, T] : []).map((id) =>
          `/ImageStore/$/DeleteUploadSession?session-id=${id}&`
        ),
      ]
      for (const place of places) {
        const target = named(`${place}api-version=6.0`)
        // One finalizer each: what cannot be removed does not keep the rest from being removed.
        yield* Effect.addFinalizer(() => Effect.orDie(Effect.retry(removed(target), { times: 2 })))
      }
      return { send, named }
    }),
})
