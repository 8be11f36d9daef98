/**
 * Raw `node:http` in one `Effect.async` a call: what Effect alone costs.
 *
 * @module
 */
import * as Effect from "effect/Effect"
import * as Layer from "effect/Layer"
import * as Http from "node:http"
import { effectSlices } from "./effect.ts"
import { TARGET, url } from "./slices.ts"

const { hostname: host, port } = new URL(url)
const agent = new Http.Agent({ keepAlive: true })
const options = { agent, host, port, method: "DELETE", path: TARGET }

const call = () =>
  Effect.async<void, Error>((resume) => {
    const request = Http.request(options)
    request.on("response", (response) => {
      response.resume()
      response.on("end", () => resume(Effect.void))
    })
    request.on("error", (error) => resume(Effect.fail(error)))
    request.end()
    return Effect.sync(() => request.destroy())
  })

effectSlices(call, Layer.empty)
