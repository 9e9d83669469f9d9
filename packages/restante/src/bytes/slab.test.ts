import fc from "fast-check";
import { expect, test } from "vitest";
import { shortLived, slabs } from "./index.ts";

test("pieces of a slab are zeros, as long as asked for, and share no byte", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 6000 }), { minLength: 40, maxLength: 40 }), (lengths) => {
      const pieces = lengths.map((length, i) => {
        const piece = shortLived(length);
        expect(piece).toHaveLength(length);
        expect(piece.every((byte) => byte === 0)).toBe(true);
        return piece.fill(i + 1);
      });
      pieces.forEach((piece, i) => {
        expect(piece.every((byte) => byte === i + 1)).toBe(true);
      });
    }),
    { numRuns: 20 },
  );
});

test("a piece keeps no more alive than its slab, and what is longer than a quarter stands alone", () => {
  const room = slabs(1024);
  for (const length of [1, 100, 256, 257, 1024, 5000]) {
    const { buffer } = room(length);
    expect(buffer.byteLength).toBe(length <= 256 ? 1024 : length);
  }
});
