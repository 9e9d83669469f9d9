import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, equal, fromHex, toHex } from "../bytes/index.ts";
import { Dechunker, encodeChunks } from "./index.ts";

interface Vector {
  name: string;
  packet: string;
  size_arg: number;
  telehash_c_stream: string;
  same: boolean;
  expect: string;
}
const vectors: Vector[] = JSON.parse(
  readFileSync(new URL("../../../../vectors/telehash/chunking.json", import.meta.url), "utf8"),
);
const bytes = (hex: string): Uint8Array => fromHex(hex) ?? expect.unreachable();
const MAX = 1400;

describe("vectors", () => {
  test.each(vectors)("[E9] $name in chunks of $size_arg", ({ packet, size_arg, expect: stream }) => {
    expect(toHex(encodeChunks(bytes(packet), size_arg))).toBe(stream);
    for (let cut = 0; cut <= stream.length / 2; cut++) {
      const [left, right] = [bytes(stream.slice(0, 2 * cut)), bytes(stream.slice(2 * cut))];
      const dechunker = new Dechunker(MAX);
      const packets = [...dechunker.push(left), ...dechunker.push(right)];
      expect(packets.map(toHex)).toEqual([packet]);
      expect(dechunker.idle).toBe(true);
    }
  });

  test.each(vectors.filter((v) => !v.same))("$name of telehash-c in chunks of $size_arg stays incomplete", (vector) => {
    const dechunker = new Dechunker(MAX);
    expect(dechunker.push(bytes(vector.telehash_c_stream))).toEqual([]);
    expect(dechunker.idle).toBe(false);
    expect(dechunker.push(Uint8Array.of(0)).map(toHex)).toEqual([vector.packet]);
  });
});

test("[E9] packets come back whatever the chunk sizes, the acknowledgements between them, and the cuts", () => {
  const item = fc.record({
    packet: fc.uint8Array({ minLength: 1, maxLength: 700 }),
    size: fc.oneof(fc.constant(0), fc.integer({ min: 2, max: 256 })),
    acks: fc.nat(2),
  });
  fc.assert(
    fc.property(fc.array(item, { maxLength: 5 }), fc.array(fc.nat(), { maxLength: 20 }), (items, cuts) => {
      const stream = concat(...items.flatMap((i) => [encodeChunks(i.packet, i.size), new Uint8Array(i.acks)]));
      expect(feed(new Dechunker(MAX), stream, cuts)).toEqual(items.map((i) => i.packet));
    }),
  );
});

test("any split of any bytes gives the same packets, each within the bound", () => {
  const low = fc.array(fc.constantFrom(0, 1, 2, 3, 9), { maxLength: 60 }).map((b) => Uint8Array.from(b));
  fc.assert(
    fc.property(
      fc.oneof(low, fc.uint8Array({ maxLength: 60 })),
      fc.array(fc.nat()),
      fc.nat(12),
      (stream, cuts, max) => {
        const [whole, pieces] = [new Dechunker(max), new Dechunker(max)];
        const packets = whole.push(stream.slice());
        expect(feed(pieces, stream, cuts)).toEqual(packets);
        expect(pieces.idle).toBe(whole.idle);
        for (const packet of packets) {
          expect(packet.length).toBeGreaterThan(0);
          expect(packet.length).toBeLessThanOrEqual(max);
        }
      },
    ),
    { numRuns: 500 },
  );
});

test("[E9] a lone zero chunk is nothing, and an acknowledgement may go out only between packets", () => {
  const dechunker = new Dechunker(MAX);
  expect(dechunker.idle).toBe(true);
  expect(dechunker.push(Uint8Array.of(0, 0, 0))).toEqual([]);
  expect(dechunker.idle).toBe(true);
  const idle = [...bytes("0201020103")].map((byte) => {
    expect(dechunker.push(Uint8Array.of(byte))).toEqual([]);
    return dechunker.idle;
  });
  expect(idle).toEqual(Array(5).fill(false));
  expect(dechunker.push(Uint8Array.of(0))).toEqual([bytes("010203")]);
  expect(dechunker.idle).toBe(true);
  expect(toHex(encodeChunks(new Uint8Array(0)))).toBe("00");
});

test("chunks made where the packet stands are the same, and nothing around it changes", () => {
  const sizes = fc.constantFrom(0, 2, 20, 256);
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 900 }), sizes, fc.nat(60), (packet, size, free) => {
      const buffer = concat(new Uint8Array(70).fill(7), packet, new Uint8Array(9).fill(9));
      const before = buffer.slice();
      const stream = encodeChunks(buffer.subarray(70, 70 + packet.length), size, free);
      expect(toHex(stream)).toBe(toHex(encodeChunks(packet, size)));
      expect(equal(buffer.subarray(0, 70 - free), before.subarray(0, 70 - free))).toBe(true);
      expect(equal(buffer.subarray(70 + packet.length), before.subarray(70 + packet.length))).toBe(true);
      if (stream.buffer !== buffer.buffer) expect(equal(buffer, before)).toBe(true);
    }),
  );
});

test("a packet over the bound is dropped whole, and the next one is not", () => {
  const dechunker = new Dechunker(10);
  const stream = (length: number, size: number): Uint8Array => encodeChunks(new Uint8Array(length).fill(length), size);
  expect(dechunker.push(concat(stream(10, 4), stream(11, 4), stream(200, 0), stream(3, 2)))).toEqual([
    new Uint8Array(10).fill(10),
    new Uint8Array(3).fill(3),
  ]);
  expect(dechunker.push(stream(11, 4).slice(0, -1))).toEqual([]);
  expect(dechunker.idle).toBe(false); // between two chunks, yet inside a packet
  expect(dechunker.push(Uint8Array.of(0, 255))).toEqual([]);
  for (let i = 0; i < 50; i++) expect(dechunker.push(new Uint8Array(256).fill(255))).toEqual([]);
  expect(dechunker.idle).toBe(false);
});

test("a large packet arrives whole, and is no view of the next one", () => {
  const dechunker = new Dechunker(65536);
  const packet = Uint8Array.from({ length: 65536 }, (_, i) => i % 251);
  const stream = encodeChunks(packet);
  const first = dechunker.push(stream)[0] ?? expect.unreachable();
  expect(equal(first, packet)).toBe(true);
  const second = dechunker.push(encodeChunks(new Uint8Array(65536)))[0] ?? expect.unreachable();
  expect(equal(first, packet)).toBe(true);
  expect(equal(second, new Uint8Array(65536))).toBe(true);
});

test.each([1, -1, 257, 2.5, Number.NaN])("no chunk has %d bytes", (size) => {
  expect(() => encodeChunks(Uint8Array.of(1), size)).toThrow("broken invariant");
});

test("the worked examples of protocol/chunking.md hold", () => {
  const ten = bytes("00010203040506070809");
  expect(toHex(encodeChunks(ten, 5))).toBe("0400010203" + "0404050607" + "020809" + "00");
  expect(toHex(encodeChunks(ten, 256))).toBe("0a0001020304050607080900");
  expect(toHex(encodeChunks(new Uint8Array(256).fill(171)))).toBe(`ff${"ab".repeat(255)}01ab00`);
});

/** Pushes the stream cut at these places. */
function feed(dechunker: Dechunker, stream: Uint8Array, cuts: number[]): Uint8Array[] {
  const places = [...cuts.map((cut) => cut % (stream.length + 1)), stream.length].sort((a, b) => a - b);
  return places.flatMap((place, i) => dechunker.push(stream.slice(places[i - 1] ?? 0, place)));
}
