/**
 * The certificates of a configuration, as `node:tls` takes them.
 *
 * @module
 */
import * as ConfigError from "effect/ConfigError"
import * as Either from "effect/Either"
import * as Option from "effect/Option"
import * as Redacted from "effect/Redacted"
import { createPrivateKey } from "node:crypto"
import * as Tls from "node:tls"
import type { ClientCertificate, FabricConfig } from "../FabricConfig.ts"
import { noAnswer } from "./NoAnswer.ts"

const secrets = (certificate: ClientCertificate): Tls.SecureContextOptions => ({
  ...("pfx" in certificate
    ? { pfx: Buffer.from(Redacted.value(certificate.pfx)) }
    : { cert: certificate.cert, key: Redacted.value(certificate.key) }),
  ...Option.match(certificate.passphrase, {
    onNone: () => ({}),
    onSome: (text) => ({ passphrase: Redacted.value(text) }),
  }),
})

/** Certificates as `node:tls` takes them, or the name of the option that it does not take. */
export const secureContext = (
  config: FabricConfig["Type"],
): Either.Either<Tls.SecureContextOptions, ConfigError.ConfigError> => {
  const options: Tls.SecureContextOptions = {
    ...Option.match(config.ca, { onNone: () => ({}), onSome: (ca) => ({ ca }) }),
    ...Option.match(config.clientCertificate, {
      onNone: () => ({}),
      onSome: (certificate) => ({
        ...secrets(certificate),
        // Gateways ask for the certificate only after the request line, which TLS 1.3 does not let Node answer.
        maxVersion: "TLSv1.2" as const,
      }),
    }),
  }
  return Either.try({
    try: () => {
      // Deno puts off what is wrong with a key until a handshake.
      if (options.key !== undefined) {
        createPrivateKey({ key: options.key as string, passphrase: options.passphrase })
      }
      Tls.createSecureContext(options)
      return options
    },
    catch: (cause) =>
      options.pfx === undefined
        ? ConfigError.InvalidData(
          [Option.isSome(config.clientCertificate) ? "clientCertificate" : "ca"],
          `certificate, key or passphrase cannot be used (${noAnswer(cause).code})`,
        )
        : ConfigError.InvalidData(
          ["clientCertificate.pfx"],
          "is no PFX, or the passphrase is not its own, or it is encrypted as in old times: export it with AES256",
        ),
  })
}
