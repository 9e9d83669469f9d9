/**
 * SipHash-2-4 (Aumasson, Bernstein 2012) with 64-bit output, in pairs of 32-bit halves. Key and result are read and
 * written as the reference C code and libsodium's `crypto_shorthash` do: little-endian. For box and message ids.
 */
import { assert } from "./failure.ts";

/** The 8 bytes of the hash of `data` under a key of 16 bytes. Throws (our bug) for any other key length. */
export function siphash(key: Uint8Array, data: Uint8Array): Uint8Array {
  assert(key.length === 16, "a SipHash key has 16 bytes");
  const [k0l, k0h, k1l, k1h] = [word(key, 0), word(key, 4), word(key, 8), word(key, 12)];
  // v0..v3, each a low and a high half (al, ah .. dl, dh). The constants spell "somepseudorandomlygeneratedbytes".
  let [al, ah] = [k0l ^ 0x70736575, k0h ^ 0x736f6d65];
  let [bl, bh] = [k1l ^ 0x6e646f6d, k1h ^ 0x646f7261];
  let [cl, ch] = [k0l ^ 0x6e657261, k0h ^ 0x6c796765];
  let [dl, dh] = [k1l ^ 0x79746573, k1h ^ 0x74656462];
  const { length } = data;
  const whole = length - (length % 8);
  // Whole words, then one of the bytes left over with the length on top, then the finish: one loop, so that the state
  // stays in local variables: 0.13 us against 0.81 us with an array, for 32 bytes.
  for (let at = 0; at <= whole + 8; at += 8) {
    let low = 0;
    let high = 0;
    let rounds = 2;
    if (at < whole) {
      low = word(data, at);
      high = word(data, at + 4);
    } else if (at === whole) {
      for (let i = 0; i < length - whole; i++) {
        const byte = (data[whole + i] ?? 0) << (8 * (i & 3));
        if (i < 4) low |= byte;
        else high |= byte;
      }
      high |= (length & 0xff) << 24;
    } else {
      cl ^= 0xff;
      rounds = 4;
    }
    dl ^= low;
    dh ^= high;
    for (; rounds > 0; rounds--) {
      let t = al; // a += b; b = rotl(b, 13) ^ a; a = rotl(a, 32)
      al = (al + bl) | 0;
      ah = (ah + bh + carry(al, t)) | 0;
      t = bl;
      bl = ((bl << 13) | (bh >>> 19)) ^ al;
      bh = ((bh << 13) | (t >>> 19)) ^ ah;
      t = al;
      al = ah;
      ah = t;
      t = cl; // c += d; d = rotl(d, 16) ^ c
      cl = (cl + dl) | 0;
      ch = (ch + dh + carry(cl, t)) | 0;
      t = dl;
      dl = ((dl << 16) | (dh >>> 16)) ^ cl;
      dh = ((dh << 16) | (t >>> 16)) ^ ch;
      t = al; // a += d; d = rotl(d, 21) ^ a
      al = (al + dl) | 0;
      ah = (ah + dh + carry(al, t)) | 0;
      t = dl;
      dl = ((dl << 21) | (dh >>> 11)) ^ al;
      dh = ((dh << 21) | (t >>> 11)) ^ ah;
      t = cl; // c += b; b = rotl(b, 17) ^ c; c = rotl(c, 32)
      cl = (cl + bl) | 0;
      ch = (ch + bh + carry(cl, t)) | 0;
      t = bl;
      bl = ((bl << 17) | (bh >>> 15)) ^ cl;
      bh = ((bh << 17) | (t >>> 15)) ^ ch;
      t = cl;
      cl = ch;
      ch = t;
    }
    al ^= low;
    ah ^= high;
  }
  const hash = new Uint8Array(8);
  for (let i = 0; i < 4; i++) {
    hash[i] = (al ^ bl ^ cl ^ dl) >>> (8 * i);
    hash[i + 4] = (ah ^ bh ^ ch ^ dh) >>> (8 * i);
  }
  return hash;
}

/** Four bytes, little-endian. */
function word(bytes: Uint8Array, at: number): number {
  return (bytes[at] ?? 0) | ((bytes[at + 1] ?? 0) << 8) | ((bytes[at + 2] ?? 0) << 16) | ((bytes[at + 3] ?? 0) << 24);
}

/** 1 when a 32-bit sum wrapped, which is when it came out below one of its terms. */
function carry(sum: number, term: number): number {
  return sum >>> 0 < term >>> 0 ? 1 : 0;
}
