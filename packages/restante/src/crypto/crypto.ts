/**
 * A peer's cryptography, and what two peers agree on before they encrypt: which set, who is odd, and the token by which
 * packets find their exchange. protocol/cs3a.md §1
 */
import { assert, compare } from "../bytes/index.ts";
import type { Backend } from "./backend.ts";
import type { CipherSet } from "./cipher-set.ts";
import { cs2a } from "./cs2a.ts";
import { cs3a } from "./cs3a.ts";
import type { Keys } from "./keys.ts";

/** All the cryptography of a peer: primitives, and the cipher sets it speaks by CSID. */
export interface Crypto {
  readonly backend: Backend;
  readonly sets: ReadonlyMap<number, CipherSet>;
}

/**
 * The cryptography over a backend: by default cipher set 3a, and 2a where the backend has RSA. 1a is too weak to be had
 * without asking: `[cs3a(backend), cs1a(backend)]`. Throws (our bug) for a CSID twice or not 1..255.
 */
export function createCrypto(backend: Backend, sets: readonly CipherSet[] = usualSets(backend)): Crypto {
  const byCsid = new Map(sets.map((set) => [set.csid, set]));
  assert(byCsid.size === sets.length, "each cipher set stands once");
  for (const csid of byCsid.keys()) assert(csid > 0 && csid < 256, "a CSID is one byte and not 0");
  return { backend, sets: byCsid };
}

/** The highest CSID for which we know the set and both have a key of its form; `undefined` when there is none. */
export function highestCommon(crypto: Crypto, ours: Keys, theirs: Keys): number | undefined {
  let highest: number | undefined;
  for (const [csid, set] of crypto.sets) {
    if (highest !== undefined && csid < highest) continue;
    const [our, their] = [ours.get(csid), theirs.get(csid)];
    if (our !== undefined && their !== undefined && set.isKey(our) && set.isKey(their)) highest = csid;
  }
  return highest;
}

/**
 * Our order towards a peer, from the identity keys of the set in use: 1 (ODD) when ours is byte-wise the larger, else
 * 0 (EVEN). The two ends always get different ones, unless both keys are the same. protocol/cs3a.md §1
 */
export function order(ourKey: Uint8Array, theirKey: Uint8Array): 0 | 1 {
  return compare(ourKey, theirKey) > 0 ? 1 : 0;
}

/**
 * The 16-byte routing token of the exchange that a message BODY belongs to: SHA-256 of its first 16 bytes, cut to 16.
 * It names an exchange and enters no key. protocol/cs3a.md §1
 */
export function routingToken(backend: Backend, body: Uint8Array): Uint8Array {
  return backend.sha256(body.subarray(0, TOKEN_BYTES)).slice(0, TOKEN_BYTES);
}

function usualSets(backend: Backend): CipherSet[] {
  return backend.rsa === undefined ? [cs3a(backend)] : [cs2a(backend, backend.rsa), cs3a(backend)];
}

const TOKEN_BYTES = 16;
