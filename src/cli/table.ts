/**
 * Tables for people.
 *
 * @module
 */

/** A column: its title, and where its cells go. */
type Column = readonly [title: string, align: "left" | "right"]

/** Columns side by side with two blanks between. Nothing trails. */
export const table = (columns: ReadonlyArray<Column>, rows: ReadonlyArray<ReadonlyArray<string>>): string => {
  const lines = [columns.map(([title]) => title), ...rows]
  const widths = columns.map((_, at) => Math.max(...lines.map((line) => line[at]!.length)))
  return lines.map((line) =>
    line.map((cell, at) => columns[at]![1] === "left" ? cell.padEnd(widths[at]!) : cell.padStart(widths[at]!))
      .join("  ").trimEnd()
  ).join("\n")
}

/** Names and values, one a line. */
export const fields = (rows: ReadonlyArray<readonly [name: string, value: string]>): string => {
  const width = Math.max(...rows.map(([name]) => name.length))
  return rows.map(([name, value]) => `${name.padEnd(width)}  ${value}`.trimEnd()).join("\n")
}
