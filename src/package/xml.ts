/**
 * Just enough XML to read a manifest.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import { messageOf } from "../system/messageOf.ts"

/** An element by its local names, without its text. */
export interface XmlElement {
  readonly name: string
  readonly attributes: Readonly<Record<string, string>>
  readonly children: ReadonlyArray<XmlElement>
}

/** The elements of that name directly in `element`. */
export const childrenOf = (element: XmlElement, name: string): ReadonlyArray<XmlElement> =>
  element.children.filter((child) => child.name === name)

/** Reads a document. Fails with a sentence. Entities of its own are not expanded but refused. */
export const parseXml = (bytes: Uint8Array): Effect.Effect<XmlElement, string> =>
  Effect.tryPromise({
    try: async () => {
      // Loaded when the first manifest is.
      const { SaxesParser } = await import("saxes")
      const parser = new SaxesParser({ xmlns: true })
      const document: Array<XmlElement> = []
      const open: Array<Array<XmlElement>> = [document]
      parser.on("error", (error) => {
        throw error
      })
      parser.on("opentag", ({ attributes, local }) => {
        const children: Array<XmlElement> = []
        const own = Object.values(attributes).map((attribute) => [attribute.local, attribute.value] as const)
        open.at(-1)!.push({ name: local, attributes: Object.fromEntries(own), children })
        open.push(children)
      })
      parser.on("closetag", () => void open.pop())
      parser.write(decode(bytes)).close()
      return document[0]!
    },
    catch: messageOf,
  })

/** UTF-8, or UTF-16 when it begins with its mark. */
const decode = (bytes: Uint8Array): string => {
  const [first, second] = bytes
  const encoding = first === 0xff && second === 0xfe
    ? "utf-16le"
    : first === 0xfe && second === 0xff
    ? "utf-16be"
    : "utf-8"
  return new TextDecoder(encoding, { fatal: true }).decode(bytes)
}
