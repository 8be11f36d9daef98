/**
 * `azure-servicefabric` from npm, with its defaults.
 *
 * @module
 */
import Client from "azure-servicefabric"
import { SESSION, slices, url, workers } from "./slices.ts"

const client = new Client(url)

slices(workers(() => client.deleteImageStoreUploadSession(SESSION)))
