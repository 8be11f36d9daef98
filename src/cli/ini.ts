/**
 * INI files as Python's `configparser` reads them.
 *
 * @module
 */

/** Keys and values of one section, keys in lower case. */
type Section = ReadonlyMap<string, string>

/**
 * Reads one section, with what `[DEFAULT]` adds to it. Lines that are indented deeper than their key continue
 * its value, `%%` is a percent sign and `%(key)s` another value. What cannot be read is left out.
 */
export const readSection = (text: string, name: string): Section => {
  const raw = new Map([...rawSection(text, "DEFAULT"), ...rawSection(text, name)])
  return new Map(Array.from(raw, ([key, value]) => [key, interpolate(value, raw, 10)]))
}

const rawSection = (text: string, name: string): Map<string, string> => {
  const values = new Map<string, string>()
  let inside = false
  let key: string | undefined
  let depth = 0
  for (const line of text.split(/\r?\n/)) {
    const content = line.trim()
    if (content === "" || content.startsWith("#") || content.startsWith(";")) continue
    const indent = line.length - line.trimStart().length
    if (key !== undefined && indent > depth) {
      values.set(key, `${values.get(key)}\n${content}`)
      continue
    }
    key = undefined
    const header = /^\[(.+)\]/.exec(content)
    if (header !== null) {
      inside = header[1] === name
      continue
    }
    const entry = /^(.*?)\s*[=:]\s*(.*)$/.exec(content)
    if (!inside || entry === null) continue
    key = entry[1]!.toLowerCase()
    depth = indent
    values.set(key, entry[2]!)
  }
  return values
}

const interpolate = (value: string, values: Section, depth: number): string =>
  value.replace(/%(?:%|\(([^)]+)\)s)/g, (whole, key: string | undefined) => {
    if (key === undefined) return "%"
    const other = values.get(key.toLowerCase())
    return other === undefined || depth === 0 ? whole : interpolate(other, values, depth - 1)
  })

/** What `configparser` takes for yes. */
export const isYes = (value: string | undefined): boolean => /^(1|yes|true|on)$/i.test(value ?? "")
