/** Bytes: the leaf under everything else. Imports nothing. */
export { Budget, Budgets, Shares } from "./budget.ts";
export { compare, concat, equal, place, shift, view } from "./bytes.ts";
export { assert, RestanteError } from "./failure.ts";
export { Deadlines, type Machine, type Random, type Time } from "./machine.ts";
export { pooled } from "./pool.ts";
export { encodeVarint, Reader } from "./reader.ts";
export { asJson, ofJson, type Save } from "./record.ts";
export { siphash } from "./siphash.ts";
export { shortLived, slabs } from "./slab.ts";
export {
  asciiText,
  fromBase32,
  fromBase64url,
  fromHex,
  fromUtf8,
  hexAt,
  pairsHex,
  toBase32,
  toBase64url,
  toHex,
  utf8,
  wordsHex,
} from "./text.ts";
