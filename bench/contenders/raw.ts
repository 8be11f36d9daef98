/**
 * `node:http` with keep-alive and callbacks, no promise and no library, sending the request that ours sends.
 *
 * @module
 */
import * as Http from "node:http"
import * as process from "node:process"
import { type Load, SESSION, slices, TARGET, url } from "./slices.ts"

const { hostname: host, port } = new URL(url)
const agent = new Http.Agent({ keepAlive: true })
const headers = {
  "X-ServiceFabricRequestId": SESSION,
  "X-ServiceFabricClientType": "EffectClientlib",
}
const options = { agent, host, port, method: "DELETE", path: TARGET, headers }

const load: Load = (concurrency, goesOn) =>
  new Promise((resolve, reject) => {
    let calls = 0
    let working = concurrency
    const next = () => {
      if (!goesOn()) {
        if (--working === 0) resolve(calls)
        return
      }
      const request = Http.request(options)
      request.on("response", (response) => {
        response.resume()
        response.on("end", () => {
          calls++
          // Only then the connection is free again.
          process.nextTick(next)
        })
      })
      request.on("error", reject)
      request.end()
    }
    for (let i = 0; i < concurrency; i++) next()
  })

slices(load)
