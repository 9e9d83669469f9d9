/** The key of the bazaar identity, made of the node's own: one secret to back up, and none of the two tells the other. */
import { hkdf } from "@noble/hashes/hkdf.js";
import { sha256 } from "@noble/hashes/sha2.js";
import { utf8 } from "restante/protocol";

/** The Ed25519 seed (32 bytes) that belongs to a secret of at least 32 bytes. The same secret gives the same seed. */
export function bazaarSeed(secret: Uint8Array): Uint8Array {
  return hkdf(sha256, secret, undefined, utf8("restante/bazaar/1"), 32);
}
