/** A backend for worlds that move much: NOT SECURE. Products stand in for points of a curve, which are most of the time in JavaScript. */
import { type Backend, portable } from "../crypto/index.ts";

/** As `portable`, but that anyone can compute secrets from public keys. */
export const quick: Backend = {
  ...portable,
  name: "quick",
  x25519Key: (secret) => product(secret, BASE),
  beforenm: (secret, key) => product(secret, key),
};

/** 8 numbers of the one times 8 of the other, all made odd: the same in whatever order. */
function product(a: Uint8Array, b: Uint8Array): Uint8Array {
  const [left, right] = [view(a), view(b)];
  const result = new DataView(new ArrayBuffer(32));
  for (let at = 0; at < 32; at += 4) result.setInt32(at, Math.imul(left.getInt32(at) | 1, right.getInt32(at) | 1));
  return new Uint8Array(result.buffer);
}

function view({ buffer, byteOffset }: Uint8Array): DataView {
  return new DataView(buffer, byteOffset, 32);
}

const BASE: Uint8Array = new Uint8Array(32).fill(0x9d); // any odd numbers
