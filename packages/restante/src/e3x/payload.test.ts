import { encode } from "cborg";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex, toHex } from "../bytes/index.ts";
import { encodePacket, type Json, type JsonObject, parsePacket } from "../wire/index.ts";
import { decodePayload, encodePayload } from "./payload.ts";

const seq = fc.oneof(fc.nat(30), fc.nat(70_000), fc.constantFrom(2 ** 32 - 1));
const scalar = fc.oneof(fc.string({ unit: "grapheme" }), fc.integer(), fc.maxSafeInteger());
const other: fc.Arbitrary<Json> = fc.oneof(scalar, fc.boolean(), fc.constantFrom(null, 1.5, [1, "x"], { y: 1 }));
const key = fc.string({ maxLength: 5 }).filter((name) => name !== "__proto__");
const packets = fc.record({
  c: fc.integer({ min: 1, max: 2 ** 32 - 1 }),
  more: fc.dictionary(key, other, { maxKeys: 4 }),
  own: fc.record(
    {
      type: fc.oneof(fc.string(), fc.nat()),
      seq: fc.oneof(seq, fc.string()),
      ack: fc.oneof(seq, fc.constant(-1)),
      miss: fc.array(seq, { maxLength: 4 }),
      end: fc.boolean(),
      err: fc.string(),
    },
    { requiredKeys: [] },
  ),
  body: fc.oneof(fc.constant(new Uint8Array(0)), fc.uint8Array({ maxLength: 300 })),
});

function decoded(payload: Uint8Array): { json: JsonObject; body: Uint8Array } | undefined {
  const packet = parsePacket(decodePayload(payload) ?? new Uint8Array(0));
  return packet && { json: { ...packet.json }, body: packet.body };
}

describe("the examples of compression.md", () => {
  test.each([
    [{ c: 1, type: "open" }, "01646f70656e"],
    [{ c: 2, seq: 22, ack: 20, miss: [1, 2, 20] }, "02168414010214"],
  ])("%j is %s", (head, hex) => {
    expect(toHex(encodePayload(encodePacket(head)))).toBe(hex);
    expect(decoded(fromHex(hex) ?? expect.unreachable())).toEqual({ json: head, body: new Uint8Array(0) });
  });
});

test("decoding undoes encoding, for any head and BODY, and CBOR is never longer", () => {
  fc.assert(
    fc.property(packets, ({ c, more, own, body }) => {
      const head: JsonObject = { ...more, ...own, c };
      const packet = encodePacket(head, body);
      const payload = encodePayload(packet);
      const { json = {} } = parsePacket(packet) ?? {};
      expect(decoded(payload)).toEqual({ json: { ...json }, body });
      expect(payload.length).toBeLessThanOrEqual(packet.length);
    }),
  );
});

test("values follow the channel id in one order, and each may be absent", () => {
  const values = [
    encode(encodePacket({ end: true, x: 9 }, Uint8Array.of(7))),
    encode({ x: 1, y: "z" }),
    encode("open"),
    encode(3),
    encode([1, 2, 128]),
  ];
  const fields: JsonObject[] = [
    { end: true, x: 9 },
    { x: 1, y: "z" },
    { type: "open" },
    { seq: 3 },
    { ack: 1, miss: [2, 128] },
  ];
  fc.assert(
    fc.property(fc.subarray([0, 1, 2, 3, 4]), fc.nat(), (places, swap) => {
      const parts = places.map((place) => values[place] ?? expect.unreachable());
      const json = Object.assign({}, ...places.map((place) => fields[place]), { c: 5 });
      const body = places[0] === 0 ? Uint8Array.of(7) : new Uint8Array(0);
      expect(decoded(concat(encode(5), ...parts))).toEqual({ json, body });
      if (parts.length < 2) return;
      const at = swap % (parts.length - 1);
      const [one, two] = parts.splice(at, 2) as [Uint8Array, Uint8Array];
      expect(decoded(concat(encode(5), ...parts.slice(0, at), two, one, ...parts.slice(at)))).toBeUndefined();
      expect(decoded(concat(encode(5), ...parts.slice(0, at), one, one, two, ...parts.slice(at)))).toBeUndefined();
    }),
  );
  expect(decoded(concat(encode(5), encode([])))?.json).toEqual({ c: 5 });
  // The same field in each: the last one stays, but the id is always the first value.
  const [packet, map] = [encodePacket({ c: 9, type: "a", seq: 1, x: 1, y: 1 }), { type: "b", seq: 2, ack: 2, x: 2 }];
  expect(decoded(concat(encode(5), encode(packet)))?.json).toEqual({ c: 5, type: "a", seq: 1, x: 1, y: 1 });
  const both = concat(encode(5), encode(packet), encode(map));
  expect(decoded(both)?.json).toEqual({ c: 5, type: "b", seq: 2, ack: 2, x: 2, y: 1 });
  const all = concat(both, encode("c"), encode(3), encode([4, 5]));
  expect(decoded(all)?.json).toEqual({ c: 5, type: "c", seq: 3, ack: 4, miss: [5], x: 2, y: 1 });
  expect(decoded(concat(encode(5), encode([4])))?.json).toEqual({ c: 5, ack: 4 });
});

describe("refused is", () => {
  test.each([
    ["nothing", ""],
    ["an id that is no whole number", "20"],
    ["an id above 2^32-1", "1b0000000100000000"],
    ["an id of 2^64-1", "1bffffffffffffffff"],
    ["a text first", "646f70656e"],
    ["a number in more bytes than it needs", "1801"],
    ["a byte string of a packet whose length lies", `01${"42ffff"}`],
    ["a byte string of a packet with a head that is no JSON", `01${"43000101"}`],
    ["a list of indefinite length", "019f01ff"],
    ["a map of indefinite length", "01bf616101ff"],
    ["a text of indefinite length", "017f6161ff"],
    ["a byte string of indefinite length", "015f420000ff"],
    ["a list in a list", "018101 81".replace(" ", "")],
    ["a list in a map", "01a1616180"],
    ["a fraction", "01a16161fb3ff8000000000000"],
    ["a fraction that is whole", "01a16161f93c00"],
    ["a number beyond 2^53", "01a161611b0020000000000000"],
    ["true in a map", "01a16161f5"],
    ["null in a map", "01a16161f6"],
    ["a key that is no text", "01a10101"],
    ["a key twice", "01a2616101616102"],
    ["the key __proto__", "01a1695f5f70726f746f5f5f01"],
    ["another channel id in the map", "01a1616302"],
    ["the same channel id in the map", "01a1616301"],
    ["a text as channel id in the map, among others", "02a462616122616322616122643130303022"],
    ["the id 0", "00"],
    ["-0, which is a fraction in CBOR", "01a16161f98000"],
    ["a negative number in a list", "018120"],
    ["a negative seq", "0120"],
    ["a tag", "01c101"],
    ["undefined", "01f7"],
    ["a text that is not UTF-8", "0162c328"],
    ["a key that is not UTF-8", "01a162c32801"],
    ["a list of 2^53-1 numbers, three of which are there", "019b001fffffffffffff010203"],
    ["a map of 2^32 fields, one of which is there", "01bb0000000100000000616101"],
    ["a byte string of 4 GiB", "015affffffff00"],
    ["a stray break", "01ff"],
  ])("%s", (_, hex) => {
    expect(decodePayload(fromHex(hex) ?? expect.unreachable())).toBeUndefined();
  });

  test("nesting, however deep", () => {
    for (const opening of [0x81, 0xa1, 0xc1])
      expect(decodePayload(concat(encode(1), new Uint8Array(60_000).fill(opening)))).toBeUndefined();
  });

  test("no bytes make decoding throw, and what it gives is a packet with a JSON head", () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), fc.nat(3), (bytes, c) => {
        const packet = decodePayload(concat(encode(c), bytes));
        if (packet !== undefined) expect(parsePacket(packet)?.json?.["c"]).toBe(c);
        decodePayload(bytes);
      }),
      { numRuns: 2000 },
    );
  });
});
