/** Pointers: under which key, which id and which address a ciphertext is found. protocol/bazaar.md §6 */
import { sha256 } from "@noble/hashes/sha2.js";
import { base58btc } from "multiformats/bases/base58";
import { concat, encodeVarint, fromUtf8, Reader, utf8 } from "restante/protocol";
import { type Cid, fromBase58, isMultihash, multihash, type PeerId, toBase58 } from "./ids.ts";

/** Where a ciphertext lies. */
export type Address = { readonly type: "ipfs"; readonly cid: Cid } | { readonly type: "https"; readonly url: string };

/** How many bits of a recipient's id its pointers show (X12). */
export const PREFIX_BITS = 14;

/**
 * The key below which a recipient's pointers are kept, 34 bytes: a hash of the first bits of its id alone, so that many peers
 * share a key and a reader does not say which of them it is. `prefixBits`: 0 to 64.
 */
export function pointerKey(recipient: PeerId, prefixBits: number = PREFIX_BITS): Uint8Array {
  return pointerKeyOfDigest((fromBase58(recipient) ?? new Uint8Array(34)).subarray(2), prefixBits);
}

/** As `pointerKey`, of the digest in an id: its first 8 bytes count. */
export function pointerKeyOfDigest(digest: Uint8Array, prefixBits: number): Uint8Array {
  let number = 0n;
  for (const byte of digest.subarray(0, 8)) number = (number << 8n) | BigInt(byte);
  number >>= BigInt(64 - prefixBits);
  const bytes = new Uint8Array(8);
  for (let i = 7; i >= 0; i--, number >>= 8n) bytes[i] = Number(number & 255n);
  return multihash(bytes);
}

/** The id of a ciphertext's pointer, 34 bytes: twelve zero bytes tell it from the id of a peer. */
export function magicId(ciphertext: Uint8Array): Uint8Array {
  return concat(Uint8Array.of(0x12, 0x20), new Uint8Array(12), sha256(ciphertext).subarray(0, 20));
}

/** The address as a multiaddr: /ipfs/CID; or /ipfs/(the URL in the clothes of a SHA-1 hash)/https. */
export function encodeAddress(address: Address): Uint8Array {
  const hash = address.type === "ipfs" ? cidBytes(address.cid) : urlHash(address.url);
  const tail = address.type === "https" ? HTTPS : new Uint8Array(0);
  return concat(IPFS, encodeVarint(hash.length), hash, tail);
}

/** Reads an address; `undefined` for everything that is none of the two, and for a URL of another scheme than http and https. */
export function parseAddress(bytes: Uint8Array): Address | undefined {
  if (bytes.length > ADDRESS_MAX) return undefined;
  const reader = new Reader(bytes);
  if (reader.varint() !== 421) return undefined;
  const hash = reader.take(reader.varint());
  if (hash === undefined) return undefined;
  if (reader.done) return isMultihash(hash) ? { type: "ipfs", cid: toBase58(hash) as Cid } : undefined;
  if (reader.varint() !== 443 || !reader.done) return undefined;
  const inner = new Reader(hash);
  if (inner.u8() !== SHA1) return undefined;
  const url = inner.take(inner.varint());
  const text = url && inner.done ? fromUtf8(url) : undefined;
  // Printable ASCII alone: whoever reads it hands it to an HTTP client.
  return text !== undefined && /^https?:\/\/[!-~]+$/.test(text) ? { type: "https", url: text } : undefined;
}

/** The address as text, as OpenBazaar writes it. */
export function showAddress(address: Address): string {
  return address.type === "ipfs" ? `/ipfs/${address.cid}` : `/ipfs/${toBase58(urlHash(address.url))}/https`;
}

/** The topic on which ciphertexts for the holders of this pointer key are published. */
export function topicOf(key: Uint8Array): string {
  return `/offlinemessage/${toBase58(key)}`;
}

/** The content id below which OpenBazaar's nodes look for others who listen to a topic: a CIDv1 of raw bytes, as text. */
export function rendezvousOf(topic: string): string {
  return base58btc.encode(concat(Uint8Array.of(1, 0x55), multihash(utf8(`floodsub:${topic}`))));
}

function cidBytes(cid: Cid): Uint8Array {
  return fromBase58(cid) ?? new Uint8Array(34);
}

function urlHash(url: string): Uint8Array {
  const bytes = utf8(url);
  return concat(Uint8Array.of(SHA1), encodeVarint(bytes.length), bytes);
}

const IPFS = encodeVarint(421); // multiaddr codes
const HTTPS = encodeVarint(443);
const SHA1 = 0x11;
const ADDRESS_MAX = 512; // dht.ts keeps to the same
