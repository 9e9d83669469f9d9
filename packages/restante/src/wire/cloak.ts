/**
 * Cloaking: packets that look like noise. The key is public, so this hides nothing from who looks for it; it keeps
 * filters from knowing packets by their first bytes and, by the number of rounds, by their size. protocol/cloaking.md
 */
import { assert, type Random } from "../bytes/index.ts";

/** ChaCha20 in its original form: key 32 bytes, nonce 8 bytes, counter from 0. Gives as many bytes as `data` has. */
export type StreamCipher = (key: Uint8Array, nonce: Uint8Array, data: Uint8Array) => Uint8Array;

/** The same into an array of ours, which may be `data`: of 1400 bytes four times the speed. */
export type StreamCipherInto = (out: Uint8Array, key: Uint8Array, nonce: Uint8Array, data: Uint8Array) => void;

/**
 * The packet under so many rounds, 8 bytes longer for each. `rounds`: 0 (the packet as it is) to 255, above 32 only for
 * a reader who is known to take them; absent: 1 to 4, drawn from `random`. The packet must start with a zero byte, as all
 * with heads under 256 bytes do: throws (our bug) otherwise, since it would be taken for a cloaked one.
 */
export function cloak(
  cipher: StreamCipher,
  packet: Uint8Array,
  random: Random,
  rounds?: number,
  into: StreamCipherInto = (out, key, nonce, data) => out.set(cipher(key, nonce, data)),
): Uint8Array {
  assert(packet[0] === 0, "a packet to be cloaked starts with a zero byte");
  const count = rounds ?? 1 + ((random(1)[0] ?? 0) % USUAL_ROUNDS);
  assert(Number.isInteger(count) && count >= 0 && count <= ALL_ROUNDS, "a packet is cloaked 0 to 255 times");
  if (count === 0) return packet;
  const bytes = new Uint8Array(count * NONCE_BYTES + packet.length);
  bytes.set(packet, count * NONCE_BYTES);
  for (let at = count * NONCE_BYTES; at > 0; at -= NONCE_BYTES) {
    const nonce = drawNonce(random);
    const data = bytes.subarray(at);
    into(data, KEY, nonce, data);
    bytes.set(nonce, at - NONCE_BYTES);
  }
  return bytes;
}

/**
 * The packet under whatever rounds there are, 0 for a plain one, which is given back as it is. `undefined` for no bytes
 * at all, for more than `limit` rounds (32 unless given), and when the bytes end before a round gives a zero byte. Never
 * throws. With `into` the bytes are overwritten and the packet is a view of them.
 */
export function decloak(
  cipher: StreamCipher,
  bytes: Uint8Array,
  limit: number = MAX_ROUNDS,
  into?: StreamCipherInto,
): { readonly packet: Uint8Array; readonly rounds: number } | undefined {
  let packet = bytes;
  for (let rounds = 0; rounds <= limit; rounds++) {
    if (packet[0] === 0) return { packet, rounds };
    if (packet.length <= NONCE_BYTES) return undefined;
    const [nonce, data] = [packet.subarray(0, NONCE_BYTES), packet.subarray(NONCE_BYTES)];
    if (into === undefined) packet = cipher(KEY, nonce, data);
    else {
      into(data, KEY, nonce, data);
      packet = data;
    }
  }
  return undefined;
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
