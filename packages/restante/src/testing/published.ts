/** What the tests of vectors have in common: peers from fixed secrets, and values as they stand in JSON. */
import { assert, fromHex, toHex } from "../bytes/index.ts";
import { cs3a, hashnameOf, type Identity, portable } from "../crypto/index.ts";

/** 32 bytes that count up from `first`. */
export function counting(first: number): Uint8Array {
  return Uint8Array.from({ length: 32 }, (_, i) => first + i);
}

/** Who has this secret of cipher set 3a, and no other. */
export function identity3a(secret: Uint8Array): Identity {
  const set = cs3a(portable);
  const pair = set.keyPair(secret);
  assert(pair !== undefined, "32 bytes are a secret");
  const keys = new Map([[set.csid, pair.key]]);
  return { hashname: hashnameOf(portable, keys), keys, pairs: new Map([[set.csid, pair]]) };
}

/** Throws for what is not hex. */
export function hexBytes(hex: string): Uint8Array {
  const bytes = fromHex(hex);
  assert(bytes !== undefined, "vectors are in hex");
  return bytes;
}

/** The value as JSON has it, bytes in it as hex. */
export function readable(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, each) => (each instanceof Uint8Array ? toHex(each) : each)));
}
