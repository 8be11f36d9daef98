/** Zip files as anybody may make them, byte by byte: the third witness besides our writer and reader. */
import { Buffer } from "node:buffer"
import { deflateRawSync, inflateRawSync } from "node:zlib"

export interface ZipEntry {
  readonly name: string
  readonly text?: string
  readonly stored?: boolean
  readonly encrypted?: boolean
  readonly link?: boolean
  readonly method?: number
  /** What the headers say of the unpacked size. */
  readonly declared?: number
  /** Points to the bytes of an earlier entry, by its position. */
  readonly sharesBytesOf?: number
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1
  return value
})

const crc32 = (bytes: Uint8Array): number => {
  let crc = 0xffffffff
  for (const byte of bytes) crc = TABLE[(crc ^ byte) & 255]! ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

export const zip = (entries: ReadonlyArray<ZipEntry>): Uint8Array => {
  const parts: Array<Uint8Array> = []
  const central: Array<Uint8Array> = []
  const offsets: Array<number> = []
  let offset = 0
  for (const { declared, encrypted, link, method, name, sharesBytesOf, stored, text = "" } of entries) {
    const bytes = Buffer.from(text)
    const packed = stored ? bytes : deflateRawSync(bytes)
    const file = Buffer.from(name)
    const fields = Buffer.alloc(26)
    fields.writeUInt16LE(20, 0)
    fields.writeUInt16LE(0x800 | (encrypted ? 1 : 0), 2)
    fields.writeUInt16LE(method ?? (stored ? 0 : 8), 4)
    fields.writeUInt32LE(0x00210000, 6)
    fields.writeUInt32LE(crc32(bytes), 10)
    fields.writeUInt32LE(packed.length, 14)
    fields.writeUInt32LE(declared ?? bytes.length, 18)
    fields.writeUInt16LE(file.length, 22)
    const at = sharesBytesOf === undefined ? offset : offsets[sharesBytesOf]!
    offsets.push(at)
    if (sharesBytesOf === undefined) {
      const local = Buffer.concat([Buffer.from("PK\x03\x04", "latin1"), fields, file, packed])
      parts.push(local)
      offset += local.length
    }
    const rest = Buffer.alloc(14)
    rest.writeUInt32LE(link ? 0o120777 * 65536 : 0, 6)
    rest.writeUInt32LE(at, 10)
    central.push(Buffer.from("PK\x01\x02\x14\x03", "latin1"), fields, rest, file)
  }
  const directory = Buffer.concat(central)
  const end = Buffer.alloc(22)
  end.write("PK\x05\x06", 0, "latin1")
  end.writeUInt16LE(entries.length, 8)
  end.writeUInt16LE(entries.length, 10)
  end.writeUInt32LE(directory.length, 12)
  end.writeUInt32LE(offset, 16)
  return Buffer.concat([...parts, directory, end])
}

/** The entries by name. */
export const unzip = (archive: Uint8Array): Record<string, string> => {
  const bytes = Buffer.from(archive)
  const end = bytes.lastIndexOf("PK\x05\x06", undefined, "latin1")
  const found: Record<string, string> = {}
  let at = bytes.readUInt32LE(end + 16)
  for (let count = bytes.readUInt16LE(end + 10); count > 0; count--) {
    const name = bytes.toString("utf8", at + 46, at + 46 + bytes.readUInt16LE(at + 28))
    const local = bytes.readUInt32LE(at + 42)
    const start = local + 30 + bytes.readUInt16LE(local + 26) + bytes.readUInt16LE(local + 28)
    const packed = bytes.subarray(start, start + bytes.readUInt32LE(at + 20))
    found[name] = (bytes.readUInt16LE(at + 10) === 0 ? packed : inflateRawSync(packed)).toString()
    at += 46 + name.length + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32)
  }
  return found
}
