/** Ids: SHA-256 multihashes in base58, which all begin with `Qm`. protocol/bazaar.md §1 */
import { sha256 } from "@noble/hashes/sha2.js";
import { base58btc } from "multiformats/bases/base58";
import { concat } from "restante/protocol";

/** A peer: `Qm...`, the hash of its libp2p PublicKey protobuf, also for Ed25519 (never the `12D3Koo...` form). */
export type PeerId = string & { readonly __brand: "PeerId" };

/** A block, by the hash of its bytes: CIDv0, `Qm...`. */
export type Cid = string & { readonly __brand: "Cid" };

/** 12 20 and SHA-256 of the bytes: 34 bytes. */
export function multihash(bytes: Uint8Array): Uint8Array {
  return concat(SHA2_256, sha256(bytes));
}

/** A 34-byte SHA-256 multihash as text. */
export function toBase58(multihash: Uint8Array): string {
  return base58btc.baseEncode(multihash);
}

/**
 * The 34 bytes of a `Qm...` id; `undefined` for every other text, also for a second form of the same bytes and for other
 * hashes (`12D3Koo...` ids hold the key itself: all of them would share one pointer key).
 */
export function fromBase58(text: string): Uint8Array | undefined {
  if (text.length > TEXT_MAX) return undefined; // decoding takes time that grows with the square of the length
  let bytes: Uint8Array;
  try {
    bytes = base58btc.baseDecode(text);
  } catch {
    return undefined;
  }
  return isMultihash(bytes) && toBase58(bytes) === text ? bytes : undefined;
}

/** Whether these are the bytes of a SHA-256 multihash. */
export function isMultihash(bytes: Uint8Array): boolean {
  return bytes.length === MULTIHASH_BYTES && bytes[0] === SHA2_256[0] && bytes[1] === SHA2_256[1];
}

/** The id of who holds this public key (a libp2p PublicKey protobuf). */
export function peerIdOf(publicKey: Uint8Array): PeerId {
  return toBase58(multihash(publicKey)) as PeerId;
}

/** The text as the id of a peer; `undefined` when it is none. */
export function parsePeerId(text: string): PeerId | undefined {
  return fromBase58(text) && (text as PeerId);
}

/** The id of a block. */
export function cidOf(block: Uint8Array): Cid {
  return toBase58(multihash(block)) as Cid;
}

/** The text as the id of a block; `undefined` for anything but a CIDv0. */
export function parseCid(text: string): Cid | undefined {
  return fromBase58(text) && (text as Cid);
}

const SHA2_256 = Uint8Array.of(0x12, 0x20); // multicodec: sha2-256, 32 bytes
const MULTIHASH_BYTES = 34;
const TEXT_MAX = 64;
