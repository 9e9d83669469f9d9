/**
 * HalfSipHash-1-3 (Aumasson, Bernstein 2016) with 32-bit output: what a hash table is indexed by when others choose what it
 * holds. Whoever does not know the key cannot make entries that meet in one place.
 */

/** Gives the hash of 32-bit words, as an int32. The function keeps the key: the first 8 bytes of `key`, little-endian. */
export type KeyedHash = (words: Uint32Array) => number;

/** A hash under this key of 8 bytes. */
export function keyedHash(key: Uint8Array): KeyedHash {
  const view = new DataView(key.buffer, key.byteOffset, 8);
  const [k0, k1] = [view.getInt32(0, true), view.getInt32(4, true)];
  return (words) => {
    const { length } = words;
    let [a, b, c, d] = [k0, k1, k0 ^ 0x6c796765, k1 ^ 0x74656462];
    // The words, then their length in bytes, then the finish: one loop, so that the state stays in local variables.
    for (let at = 0; at <= length + 1; at++) {
      const word = at < length ? (words[at] ?? 0) : at === length ? length << 26 : 0;
      let rounds = 1;
      if (at > length) {
        c ^= 0xff;
        rounds = 3;
      }
      d ^= word;
      for (; rounds > 0; rounds--) {
        a = (a + b) | 0;
        b = ((b << 5) | (b >>> 27)) ^ a;
        a = (a << 16) | (a >>> 16);
        c = (c + d) | 0;
        d = ((d << 8) | (d >>> 24)) ^ c;
        a = (a + d) | 0;
        d = ((d << 7) | (d >>> 25)) ^ a;
        c = (c + b) | 0;
        b = ((b << 13) | (b >>> 19)) ^ c;
        c = (c << 16) | (c >>> 16);
      }
      a ^= word;
    }
    return b ^ d;
  };
}
