/**
 * An emulator of Service Fabric's image store, for tests and for the desk.
 *
 * In a test it is a layer: an `HttpClient` without a socket, whose time is Effect's clock, and `Emulator` to
 * look inside, to make things go wrong, and to make the primary move.
 *
 * @module
 */
export {
  type EmulatedFile,
  type EmulatedSession,
  Emulator,
  type EmulatorClientOptions,
  type EmulatorShape,
  type ServedEmulator,
} from "./Emulator.ts"
export { Fault, type RawAnswer } from "./Fault.ts"
export { type Arrival, FaultPlan, type RandomPlanOptions } from "./FaultPlan.ts"
export type { FaultTarget } from "./Gateway.ts"
export type { AadMetadata, EmulatorOptions } from "./Options.ts"
export type { RequestEntry } from "./RequestLog.ts"
export type { Operation } from "./Route.ts"
export type { ServeOptions } from "./serve.ts"
export type { Os } from "./StorePath.ts"
