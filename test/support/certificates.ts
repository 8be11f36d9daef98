/** Certificates made on the spot. Each signs itself, so it is its own authority. */
import { generate } from "selfsigned"

export interface Certificate {
  readonly cert: string
  readonly key: string
}

export const certificate = async (commonName: string): Promise<Certificate> => {
  const made = await generate([{ name: "commonName", value: commonName }], {
    keySize: 2048,
    algorithm: "sha256",
    extensions: [
      { name: "basicConstraints", cA: true },
      { name: "subjectAltName", altNames: [{ type: 2, value: commonName }] },
    ],
  })
  return { cert: made.cert, key: made.private }
}
