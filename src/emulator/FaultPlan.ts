/**
 * Faults for all requests, decided as they arrive.
 *
 * @module
 */
import { Fault } from "./Fault.ts"
import { productPlan } from "./productPlan.ts"
import type { Operation } from "./Route.ts"

/** A request that is about to be handled, as a plan sees it. */
export interface Arrival {
  /** Its REST name. */
  readonly operation: Operation
  /** Host and port that the client addressed. */
  readonly host: string
  /** The path in the store, or `""`. */
  readonly path: string
  /** Of a chunk: where it starts, when that could be read. */
  readonly start: number | undefined
  /** Of a chunk: whether its session would be opened by it. */
  readonly opens: boolean
}

/** Decides what goes wrong. Each emulator begins it anew, so that a plan can be shared. */
export interface FaultPlan {
  /** Begins the plan anew: its result is asked for each request in turn. */
  readonly begin: () => (arrival: Arrival) => Fault | undefined
}

/** How often what goes wrong. */
export interface RandomPlanOptions {
  /** The same seed gives the same faults to the same requests in the same order. A whole number. */
  readonly seed: number
  /** From 0 to 1. Default 0.1. */
  readonly probability?: number
  /** Which operations. Default: all. */
  readonly on?: ReadonlyArray<Operation>
  /** What goes wrong, each as likely as the others. Default: what a good client outlasts. */
  readonly faults?: ReadonlyArray<Fault>
}

interface Plans {
  /** Faults at random, by seed. */
  readonly random: (options: RandomPlanOptions) => FaultPlan
  /** The faults that the product's own tests inject into uploads (peers.md 0.13). */
  readonly product: FaultPlan
  /** A plan from a function, which is called once for each emulator. */
  readonly make: (begin: FaultPlan["begin"]) => FaultPlan
}

const OUTLASTABLE: ReadonlyArray<Fault> = [
  Fault.error("E_ABORT"),
  Fault.error("FABRIC_E_TIMEOUT"),
  Fault.answer({ status: 502, reason: "Bad Gateway", body: "<html>Bad Gateway</html>" }),
  Fault.dropAnswer,
  Fault.reset,
  Fault.delay("2 seconds"),
]

/** The plans. */
export const FaultPlan: Plans = {
  make: (begin) => ({ begin }),
  random: ({ faults = OUTLASTABLE, on, probability = 0.1, seed }) => ({
    begin: () => {
      const next = random(seed)
      return ({ operation }) => {
        if (faults.length === 0 || on?.includes(operation) === false) return
        return next() < probability ? faults[Math.trunc(next() * faults.length)] : undefined
      }
    },
  }),
  product: { begin: productPlan },
}

/** Mulberry32: small, and the same everywhere. */
const random = (seed: number) => {
  let state = seed | 0
  return (): number => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}
