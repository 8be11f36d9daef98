/**
 * Whose certificate is trusted.
 *
 * Service Fabric clusters are often run with a certificate that no authority has signed, and their clients know it
 * by its thumbprint. `node:tls` does not compare thumbprints. So it lets in whoever is there, and the certificate
 * is looked at before the connection is used.
 *
 * @module
 */
import * as Option from "effect/Option"
import * as Tls from "node:tls"
import type { FabricConfig } from "../FabricConfig.ts"
import { NOT_PINNED, WRONG_NAME } from "./NoAnswer.ts"

/** What is trusted on a new connection over TLS. */
export interface Trust {
  /** What `node:tls` has to know. */
  readonly options: Pick<Tls.ConnectionOptions, "checkServerIdentity" | "rejectUnauthorized">
  /** Why a connection that `node:tls` has made is not to be used, if it is not. */
  readonly refusal: (socket: Tls.TLSSocket) => Error | undefined
}

/** An authority has to vouch for the certificate and the host's name, as everywhere. */
export const byAuthority: Trust = { options: {}, refusal: () => undefined }

/** What a configuration trusts. */
export const trustOf = (
  { ca, serverCertificate: { commonNames, thumbprints } }: Pick<
    FabricConfig["Type"],
    "ca" | "serverCertificate"
  >,
): Trust => {
  const named = commonNames.length === 0 ? {} : { checkServerIdentity: identityOf(commonNames) }
  if (thumbprints.length === 0) return { ...byAuthority, options: named }
  // Who gives thumbprints alone trusts no authority, the system's neither.
  const authorities = Option.isSome(ca) || commonNames.length > 0
  return {
    options: { ...named, rejectUnauthorized: false },
    refusal: (socket) =>
      thumbprintsOf(socket).some((shown) => thumbprints.includes(shown)) ||
        (authorities && socket.authorized)
        ? undefined
        : failure(NOT_PINNED, shownBy(socket)),
  }
}

/** What a gateway showed, in words. */
export const shownBy = (socket: Tls.TLSSocket): string => {
  const [sha1, sha256] = thumbprintsOf(socket)
  return sha1 === undefined
    ? "the gateway showed no certificate"
    : `the thumbprint of the gateway's certificate is ${sha1} (SHA-1), ${sha256} (SHA-256)`
}

/** Names that a gateway's certificate tells. Some have hundreds. */
const MOST_NAMES = 10

/** The names that a gateway showed, in words. */
export const namesShownBy = (socket: Tls.TLSSocket): string => {
  const { subject, subjectaltname }: Partial<Tls.PeerCertificate> = socket.getPeerCertificate() ?? {}
  const others = subjectaltname?.split(", ").map((name) => name.slice(name.indexOf(":") + 1)) ?? []
  const names = [...new Set([...(subject?.CN === undefined ? [] : [subject.CN]), ...others])]
  return `the gateway's certificate is for ${names.slice(0, MOST_NAMES).join(", ")}${
    names.length > MOST_NAMES ? ", …" : ""
  }`
}

const thumbprintsOf = (socket: Tls.TLSSocket): ReadonlyArray<string> => {
  const { fingerprint, fingerprint256 }: Partial<Tls.PeerCertificate> = socket.getPeerCertificate() ?? {}
  return [fingerprint, fingerprint256].flatMap((text) => text === undefined ? [] : [text.replaceAll(":", "")])
}

/** Service Fabric takes a name from the subject or from the alternative names, as TLS itself once did. */
const identityOf = (commonNames: ReadonlyArray<string>): typeof Tls.checkServerIdentity => (_, certificate) =>
  commonNames.some((name) =>
      String(certificate.subject?.CN).toLowerCase() === name.toLowerCase() ||
      Tls.checkServerIdentity(name, certificate) === undefined
    )
    ? undefined
    : failure(WRONG_NAME, `the certificate is not for ${commonNames.join(" or ")}`)

const failure = (code: string, message: string): Error => Object.assign(new Error(message), { code })
