import fc from "fast-check";
import { concat, encodeVarint } from "restante/protocol";
import { expect, test } from "vitest";
import { encodeFrame, FRAME_BYTES, Frames } from "./frames.ts";

test("frames come out as they went in, however the stream is cut", () => {
  const contents = fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 8 });
  fc.assert(
    fc.property(
      contents,
      fc.array(fc.integer({ min: 1, max: 40 }), { minLength: 1, maxLength: 20 }),
      (frames, cuts) => {
        const stream = concat(...frames.map(encodeFrame));
        const reader = new Frames();
        const found: Uint8Array[] = [];
        for (let at = 0, i = 0; at < stream.length; i++) {
          const next = at + (cuts[i % cuts.length] ?? 1);
          found.push(...(reader.push(stream.subarray(at, next)) ?? []));
          at = next;
        }
        expect(found).toEqual(frames);
        expect(reader.held).toBe(0);
      },
    ),
  );
});

test("no bytes make it throw or hold more than a frame and its last piece", () => {
  fc.assert(
    fc.property(fc.array(fc.uint8Array({ maxLength: 50 }), { maxLength: 30 }), (pieces) => {
      const reader = new Frames(100);
      for (const piece of pieces) {
        reader.push(piece);
        expect(reader.held).toBeLessThanOrEqual(100 + 5 + 50);
      }
    }),
  );
});

test("the largest frame passes, one byte more ends the stream before anything of it is held", () => {
  const reader = new Frames();
  expect(reader.push(encodeVarint(FRAME_BYTES))).toEqual([]);
  expect(reader.held).toBeGreaterThan(0);
  const other = new Frames();
  expect(other.push(encodeVarint(FRAME_BYTES + 1))).toBeUndefined();
  expect(other.held).toBe(0);
  expect(other.push(encodeFrame(Uint8Array.of(1)))).toBeUndefined();
});

test("a length that is longer than it needs, or has no end, ends the stream", () => {
  expect(new Frames().push(Uint8Array.of(0x81, 0x00, 7))).toBeUndefined();
  expect(new Frames().push(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x80))).toBeUndefined();
});

test("a frame of nothing is a frame", () => {
  expect(new Frames().push(Uint8Array.of(0, 1, 9))).toEqual([new Uint8Array(0), Uint8Array.of(9)]);
});
