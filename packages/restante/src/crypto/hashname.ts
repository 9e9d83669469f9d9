/** Hashnames: the address of a peer, a digest of all its public keys. protocol/hashname.md */
import { assert, concat, fromBase32, toBase32 } from "../bytes/index.ts";
import type { Backend } from "./backend.ts";
import { ascending, type Keys } from "./keys.ts";

/** 52 characters of canonical lower-case base32, so equal hashnames are equal strings. */
export type Hashname = string & { readonly hashname: unique symbol };

/**
 * The hashname of a peer with these keys. Where only the digest of a key is known, `intermediates` gives it by CSID
 * (32 bytes each); a key that is known itself is hashed, whatever `intermediates` says. Throws (our bug) when there is
 * neither a key nor an intermediate. hashname.md §2
 */
export function hashnameOf(backend: Backend, keys: Keys, intermediates?: Keys): Hashname {
  const digests = new Map(intermediates);
  for (const [csid, key] of keys) digests.set(csid, intermediate(backend, key));
  assert(digests.size > 0, "a hashname has at least one key");
  let hash: Uint8Array = new Uint8Array(0);
  for (const [csid, digest] of ascending(digests)) {
    assert(csid > 0 && csid < 256 && digest.length === HASHNAME_BYTES, "an intermediate is a CSID and 32 bytes");
    hash = backend.sha256(concat(hash, Uint8Array.of(csid)));
    hash = backend.sha256(concat(hash, digest));
  }
  return hashnameFromBytes(hash);
}

/** What stands for one key in a hashname: SHA-256 of the CSK, 32 bytes. hashname.md §2 */
export function intermediate(backend: Backend, key: Uint8Array): Uint8Array {
  return backend.sha256(key);
}

/** The hashname in `text`; `undefined` for anything but 52 characters of canonical base32 (32 bytes). */
export function parseHashname(text: unknown): Hashname | undefined {
  if (typeof text !== "string" || text.length !== HASHNAME_CHARACTERS) return undefined;
  return fromBase32(text) && (text as Hashname);
}

/** The hashname of its 32 bytes. Throws (our bug) for another length. */
export function hashnameFromBytes(bytes: Uint8Array): Hashname {
  assert(bytes.length === HASHNAME_BYTES, "a hashname has 32 bytes");
  return toBase32(bytes) as Hashname;
}

/** The 32 bytes of a hashname. */
export function hashnameBytes(hashname: Hashname): Uint8Array {
  const bytes = fromBase32(hashname);
  assert(bytes?.length === HASHNAME_BYTES, "a Hashname was parsed before");
  return bytes;
}

const HASHNAME_BYTES = 32;
const HASHNAME_CHARACTERS = 52;
