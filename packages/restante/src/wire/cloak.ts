/**
 * Cloaking: packets that look like noise. The key is public, so this hides nothing from who looks for it; it keeps
 * filters from knowing packets by their first bytes and, by the number of rounds, by their size. protocol/cloaking.md
 */
import { assert, type Random, shortLived } from "../bytes/index.ts";

/** ChaCha20 in its original form: key 32 bytes, nonce 8 bytes, counter from 0. Gives as many bytes as `data` has. */
export type StreamCipher = (key: Uint8Array, nonce: Uint8Array, data: Uint8Array) => Uint8Array;

/**
 * All rounds of a packet at once, in its own array, from a library to which each call is dear. A nonce stands in the 8 bytes
 * before what it encrypts; the two together are what the next round encrypts.
 */
export interface CloakLayers {
  /** What stands in `bytes` from `at` on is encrypted `at` / 8 times; the nonces are there already. */
  seal(bytes: Uint8Array, at: number, key: Uint8Array): void;
  /** Where under the first of at most so many rounds a zero byte comes up; -1 when none does. `bytes` is overwritten. */
  open(bytes: Uint8Array, rounds: number, key: Uint8Array): number;
}

/**
 * The packet under so many rounds, 8 bytes longer for each. `rounds`: 0 (the packet as it is) to 255, above 32 only for
 * a reader who is known to take them; absent: 1 to 4, as a byte of `random` has it (cloaking.md §2). The packet must start
 * with a zero byte, as all with heads under 256 bytes do: throws (our bug) otherwise, since it would be taken for a cloaked
 * one. `free`: the packet stands in `bytes` behind so many; when they are enough for the nonces it is cloaked where it
 * stands, and overwritten. Else the array is a `shortLived` one.
 */
export function cloak(
  cipher: StreamCipher,
  bytes: Uint8Array,
  random: Random,
  rounds?: number,
  { layers, free = 0 }: { readonly layers?: CloakLayers | undefined; readonly free?: number } = {},
): Uint8Array {
  assert(bytes[free] === 0, "a packet to be cloaked starts with a zero byte");
  const count = rounds ?? drawRounds(random);
  assert(Number.isInteger(count) && count >= 0 && count <= ALL_ROUNDS, "a packet is cloaked 0 to 255 times");
  if (count === 0) return bytes.subarray(free);
  const start = count * NONCE_BYTES;
  const isInPlace = start <= free;
  const cloaked = isInPlace ? bytes.subarray(free - start) : shortLived(start + bytes.length - free);
  if (!isInPlace) cloaked.set(bytes.subarray(free), start);
  for (let at = start; at > 0; at -= NONCE_BYTES) {
    const nonce = drawNonce(random);
    for (let i = 0; i < NONCE_BYTES; i++) cloaked[at - NONCE_BYTES + i] = nonce[i] ?? 0;
  }
  if (layers !== undefined) {
    layers.seal(cloaked, start, KEY);
    return cloaked;
  }
  for (let at = start; at > 0; at -= NONCE_BYTES)
    cloaked.set(cipher(KEY, cloaked.subarray(at - NONCE_BYTES, at), cloaked.subarray(at)), at);
  return cloaked;
}

/**
 * The packet under whatever rounds there are, 0 for a plain one, which is given back as it is. `undefined` for no bytes
 * at all, for more than `limit` rounds (32 unless given), and when the bytes end before a round gives a zero byte. Never
 * throws. With `layers` the bytes are overwritten and the packet is a view of them.
 */
export function decloak(
  cipher: StreamCipher,
  bytes: Uint8Array,
  limit: number = MAX_ROUNDS,
  layers?: CloakLayers,
): { readonly packet: Uint8Array; readonly rounds: number } | undefined {
  const found = decloakInPlace(cipher, bytes, limit, layers);
  return found && { packet: found.bytes.subarray(found.at), rounds: found.rounds };
}

/** As `decloak`: what it gives stands in `bytes` from `at` to their end, of which no view is made. */
export function decloakInPlace(
  cipher: StreamCipher,
  bytes: Uint8Array,
  limit: number = MAX_ROUNDS,
  layers?: CloakLayers,
): { readonly bytes: Uint8Array; readonly at: number; readonly rounds: number } | undefined {
  if (bytes[0] === 0) return { bytes, at: 0, rounds: 0 };
  if (layers !== undefined) {
    const at = layers.open(bytes, limit, KEY);
    return at < 0 ? undefined : { bytes, at, rounds: at / NONCE_BYTES };
  }
  let packet = bytes;
  for (let rounds = 1; rounds <= limit && packet.length > NONCE_BYTES; rounds++) {
    packet = cipher(KEY, packet.subarray(0, NONCE_BYTES), packet.subarray(NONCE_BYTES));
    if (packet[0] === 0) return { bytes: packet, at: 0, rounds };
  }
  return undefined;
}

/** One, and another with even chance, and so on: several sizes for a packet, at less than twice the cost of one. */
function drawRounds(random: Random): number {
  const zeros = ~(random(1)[0] ?? 0) & 0xff;
  return Math.min(1 + Math.clz32(zeros << 24), USUAL_ROUNDS); // 1, and the ones that the byte begins with
}

/** 8 random bytes, the first of them not zero: that is what tells a cloaked packet from a plain one. */
function drawNonce(random: Random): Uint8Array {
  for (let i = 0; i < MAX_DRAWS; i++) {
    const nonce = random(NONCE_BYTES);
    if (nonce[0] !== 0) return nonce;
  }
  assert(false, "random bytes are not always zero");
}

/** Bytes that a round adds: protocol/cloaking.md §1 */
export const NONCE_BYTES: number = 8;
/** What any reader takes. protocol/cloaking.md §2: noise would cost a round for every 8 bytes of it. */
export const MAX_ROUNDS: number = 32;
/** What fits into a frame of 2048 bytes. */
export const ALL_ROUNDS: number = 255;
const USUAL_ROUNDS = 4;
const MAX_DRAWS = 32; // by chance one packet in 256^32 would need more
// SHA-256("telehash"), protocol/cloaking.md §1
const KEY: Uint8Array = Uint8Array.from([
  0xd7, 0xf0, 0xe5, 0x55, 0x54, 0x62, 0x41, 0xb2, 0xa9, 0x44, 0xec, 0xd6, 0xd0, 0xde, 0x66, 0x85, 0x6a, 0xc5, 0x0b,
  0x0b, 0xab, 0xa7, 0x6a, 0x6f, 0x5a, 0x47, 0x82, 0x95, 0x6c, 0xa9, 0x45, 0x9a,
]);
