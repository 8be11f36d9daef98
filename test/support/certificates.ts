/** Certificates made on the spot. Each signs itself, so it is its own authority, unless another signs it. */
import { generate } from "selfsigned"

export interface Certificate {
  readonly cert: string
  readonly key: string
}

interface Options {
  /** The name besides the common name that it is for. Default: the same. */
  readonly alternative?: string | undefined
  readonly signedBy?: Certificate
  readonly expired?: boolean
}

const DAY = 24 * 60 * 60 * 1000

export const certificate = async (
  commonName: string,
  { alternative = commonName, expired = false, signedBy }: Options = {},
): Promise<Certificate> => {
  const made = await generate([{ name: "commonName", value: commonName }], {
    keySize: 2048,
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: signedBy === undefined },
      { name: "subjectAltName", altNames: [{ type: 2, value: alternative }] },
    ],
    ...(signedBy === undefined ? {} : { ca: signedBy }),
    ...(expired
      ? { notBeforeDate: new Date(Date.now() - 2 * DAY), notAfterDate: new Date(Date.now() - DAY) }
      : {}),
  })
  return { cert: made.cert, key: made.private }
}
