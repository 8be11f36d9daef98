/**
 * A model of `sfctl application upload`: one PUT a file, one after the other, folder by folder, each on a new
 * connection, and a `_.dir` file for each folder. Python's own time is not in it.
 *
 * @module
 */
import * as Fs from "node:fs"
import * as Http from "node:http"
import { filesOf } from "./packageFiles.ts"
import { uploads, url } from "./uploads.ts"

const { hostname: host, port } = new URL(url)

const put = (
  path: string,
  size: number,
  file: string | undefined,
): Promise<void> =>
  new Promise((resolve, reject) => {
    const request = Http.request({
      agent: false,
      host,
      port,
      method: "PUT",
      path: `/ImageStore/${path}?api-version=6.0&timeout=60`,
      headers: { "Content-Length": size },
    })
    request.on("response", (response) => {
      response.resume()
      response.on("end", resolve)
    })
    request.on("error", reject)
    if (file === undefined) request.end()
    else Fs.createReadStream(file).pipe(request)
  })

uploads(async ({ path, source }) => {
  const folders = new Set([""])
  for (const { file, name, size } of filesOf(source)) {
    await put(`${path}/${name}`, size, file)
    const parts = name.split("/").slice(0, -1)
    parts.forEach((_, at) => folders.add(`${parts.slice(0, at + 1).join("/")}/`))
  }
  for (const folder of folders) {
    await put(`${path}/${folder}_.dir`, 0, undefined)
  }
})
