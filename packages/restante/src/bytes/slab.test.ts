import fc from "fast-check";
import { expect, test } from "vitest";
import { shortLived } from "./index.ts";

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
