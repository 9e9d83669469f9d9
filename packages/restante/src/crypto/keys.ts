/** Cipher set keys (CSK) by cipher set id (CSID), and their form in JSON. protocol/hashname.md */
import { fromBase32, toBase32 } from "../bytes/index.ts";

/** The public keys of one peer: CSID (1..255) to CSK, which only that cipher set can read. */
export type Keys = ReadonlyMap<number, Uint8Array>;

/** A public key and its secret, of one cipher set. Compared by identity: keep the object, since caches hang on it. */
export interface KeyPair {
  readonly key: Uint8Array;
  readonly secret: Uint8Array;
}

/** A CSID as it stands in JSON and URIs: two lower-case hex digits. */
export function csidText(csid: number): string {
  return csid.toString(16).padStart(2, "0");
}

/** The CSID of exactly two lower-case hex digits; `undefined` otherwise and for "00", which is never valid. */
export function parseCsid(text: string): number | undefined {
  if (!/^[0-9a-f]{2}$/.test(text)) return undefined;
  return Number.parseInt(text, 16) || undefined;
}

/** Keys as JSON: `{"3a": "<base32>"}`, in ascending CSID. */
export function encodeKeys(keys: Keys): Record<string, string> {
  return Object.fromEntries(ascending(keys).map(([csid, key]) => [csidText(csid), toBase32(key)]));
}

/**
 * Keys from parsed JSON of any origin. `undefined` unless it is an object of 1 to 8 members, each named by a CSID and
 * holding strict base32 of 1 to 1024 bytes. Unknown cipher sets are kept, for they are part of the hashname.
 */
export function parseKeys(value: unknown): Keys | undefined {
  return parseByCsid(value, KEY_BYTES);
}

/** As `parseKeys`, for byte strings of at most `limit` bytes. */
export function parseByCsid(value: unknown, limit: number): ReadonlyMap<number, Uint8Array> | undefined {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const members = Object.entries(value);
  if (members.length === 0 || members.length > KEYS) return undefined;
  const parsed = new Map<number, Uint8Array>();
  for (const [name, text] of members) {
    const csid = parseCsid(name);
    if (csid === undefined || typeof text !== "string" || text.length > (limit * 8) / 5 + 1) return undefined;
    const bytes = fromBase32(text);
    if (bytes === undefined || bytes.length === 0 || bytes.length > limit) return undefined;
    parsed.set(csid, bytes);
  }
  return new Map(ascending(parsed));
}

/** The entries of any map by CSID, in ascending order. */
export function ascending<V>(byCsid: ReadonlyMap<number, V>): [csid: number, value: V][] {
  return [...byCsid].sort(([a], [b]) => a - b);
}

const KEYS = 8; // as many cipher sets as one peer may have; the specification names six
const KEY_BYTES = 1024; // the longest in use, 2a, has 270
