/**
 * SipHash-2-4 (Aumasson, Bernstein 2012) with 64-bit output, in pairs of 32-bit halves. Key and result are read and
 * written as the reference C code and libsodium's `crypto_shorthash` do: little-endian. For box and message ids.
 */
import { assert } from "./failure.ts";

/** The 8 bytes of the hash of `data` under a key of 16 bytes. Throws (our bug) for any other key length. */
export function siphash(key: Uint8Array, data: Uint8Array): Uint8Array {
  assert(key.length === 16, "a SipHash key has 16 bytes");
  const k = new DataView(key.buffer, key.byteOffset, 16);
  const [k0l, k0h, k1l, k1h] = [k.getInt32(0, true), k.getInt32(4, true), k.getInt32(8, true), k.getInt32(12, true)];
  // The constants spell "somepseudorandomlygeneratedbytes".
  const [v0l, v0h, v1l, v1h] = [k0l ^ 0x70736575, k0h ^ 0x736f6d65, k1l ^ 0x6e646f6d, k1h ^ 0x646f7261];
  const [v2l, v2h, v3l, v3h] = [k0l ^ 0x6e657261, k0h ^ 0x6c796765, k1l ^ 0x79746573, k1h ^ 0x74656462];
  const v = Int32Array.of(v0l, v0h, v1l, v1h, v2l, v2h, v3l, v3h);
  const words = new DataView(data.buffer, data.byteOffset, data.length);
  const whole = data.length - (data.length % 8);
  for (let at = 0; at < whole; at += 8) compress(v, words.getInt32(at, true), words.getInt32(at + 4, true));

  const last = new DataView(new ArrayBuffer(8)); // the bytes left over; the topmost byte is the length modulo 256
  for (let at = whole; at < data.length; at++) last.setUint8(at - whole, data[at] ?? 0);
  last.setUint8(7, data.length);
  compress(v, last.getInt32(0, true), last.getInt32(4, true));

  v[4] = (v[4] ?? 0) ^ 0xff;
  rounds(v, 4);
  const hash = new DataView(new ArrayBuffer(8));
  hash.setInt32(0, (v[0] ?? 0) ^ (v[2] ?? 0) ^ (v[4] ?? 0) ^ (v[6] ?? 0), true);
  hash.setInt32(4, (v[1] ?? 0) ^ (v[3] ?? 0) ^ (v[5] ?? 0) ^ (v[7] ?? 0), true);
  return new Uint8Array(hash.buffer);
}

/** Takes one 64-bit word into the state. */
function compress(v: Int32Array, low: number, high: number): void {
  v[6] = (v[6] ?? 0) ^ low;
  v[7] = (v[7] ?? 0) ^ high;
  rounds(v, 2);
  v[0] = (v[0] ?? 0) ^ low;
  v[1] = (v[1] ?? 0) ^ high;
}

/** `count` SipRounds on v0..v3, each a low and a high half (al, ah .. dl, dh). */
function rounds(v: Int32Array, count: number): void {
  let al = v[0] ?? 0;
  let ah = v[1] ?? 0;
  let bl = v[2] ?? 0;
  let bh = v[3] ?? 0;
  let cl = v[4] ?? 0;
  let ch = v[5] ?? 0;
  let dl = v[6] ?? 0;
  let dh = v[7] ?? 0;
  let t: number;
  for (let i = 0; i < count; i++) {
    // a += b; b = rotl(b, 13) ^ a; a = rotl(a, 32)
    t = al;
    al = (al + bl) | 0;
    ah = (ah + bh + carry(al, t)) | 0;
    t = bl;
    bl = ((bl << 13) | (bh >>> 19)) ^ al;
    bh = ((bh << 13) | (t >>> 19)) ^ ah;
    t = al;
    al = ah;
    ah = t;
    // c += d; d = rotl(d, 16) ^ c
    t = cl;
    cl = (cl + dl) | 0;
    ch = (ch + dh + carry(cl, t)) | 0;
    t = dl;
    dl = ((dl << 16) | (dh >>> 16)) ^ cl;
    dh = ((dh << 16) | (t >>> 16)) ^ ch;
    // a += d; d = rotl(d, 21) ^ a
    t = al;
    al = (al + dl) | 0;
    ah = (ah + dh + carry(al, t)) | 0;
    t = dl;
    dl = ((dl << 21) | (dh >>> 11)) ^ al;
    dh = ((dh << 21) | (t >>> 11)) ^ ah;
    // c += b; b = rotl(b, 17) ^ c; c = rotl(c, 32)
    t = cl;
    cl = (cl + bl) | 0;
    ch = (ch + bh + carry(cl, t)) | 0;
    t = bl;
    bl = ((bl << 17) | (bh >>> 15)) ^ cl;
    bh = ((bh << 17) | (t >>> 15)) ^ ch;
    t = cl;
    cl = ch;
    ch = t;
  }
  v[0] = al;
  v[1] = ah;
  v[2] = bl;
  v[3] = bh;
  v[4] = cl;
  v[5] = ch;
  v[6] = dl;
  v[7] = dh;
}

/** 1 when a 32-bit sum wrapped, which is when it came out below one of its terms. */
function carry(sum: number, term: number): number {
  return sum >>> 0 < term >>> 0 ? 1 : 0;
}
