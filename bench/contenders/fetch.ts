/**
 * The runtime's own `fetch`.
 *
 * @module
 */
import { slices, TARGET, url, workers } from "./slices.ts"

slices(workers(async () => {
  const response = await fetch(url + TARGET, { method: "DELETE" })
  await response.arrayBuffer()
}))
