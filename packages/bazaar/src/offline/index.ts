/**
 * The machines of sender and recipient, and what nodes of the DHT and push nodes keep for others. Pure: time and chance are
 * arguments, and what they want done they ask for as plain values. protocol/bazaar.md §8, §9; protocol/bazaar-network.md
 */
export type { Taken } from "./arrivals.ts";
export type { Answer, Block, Contact, Effect, Place, Save } from "./effects.ts";
export {
  OUT_PREFIX,
  Outgoing,
  type OutgoingInput,
  type OutgoingOptions,
  type OutgoingOutput,
  type OutgoingStats,
} from "./outgoing.ts";
export { type PointerLimits, type PointerPage, type PointerRow, Pointers, type Source } from "./pointers.ts";
export { type BundleRow, type PushEffect, type PushLimits, PushNode } from "./push.ts";
export {
  Retrieve,
  type RetrieveInput,
  type RetrieveOptions,
  type RetrieveOutput,
  type RetrieveStats,
} from "./retrieve.ts";
