import { expect, test } from "vitest";
import { keyedHash } from "./keyed-hash.ts";

test("HalfSipHash-1-3 gives the values of the Linux kernel's own test", () => {
  // lib/tests/siphash_kunit.c, the set for 32-bit machines: key 00..07, inputs of 0, 4, 8, ... bytes 00 01 02 ...
  const vectors = [
    0x5814c896, 0x7e059ea6, 0x577999b1, 0x6b28096c, 0x8b31d501, 0x911bb605, 0x57150ad7, 0x0a4100d0, 0xbc6dda8d,
    0x7c46fb7f, 0x05327eb2, 0x11795ab1, 0x007783eb, 0xc368dda6, 0x53ecd77e, 0x88b4c4cc,
  ];
  const hash = keyedHash(Uint8Array.from({ length: 8 }, (_, i) => i));
  for (const [i, expected] of vectors.entries()) {
    const words = Uint32Array.from({ length: i }, (_, at) => 0x03020100 + 0x04040404 * at);
    expect(hash(words) >>> 0, `${4 * i} bytes`).toBe(expected);
  }
});
