import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromHex, toHex, utf8 } from "../bytes/index.ts";
import { encodeJson, encodePacket, type JsonObject, parseJson, parsePacket } from "./index.ts";

interface Parts {
  head: string;
  json: unknown;
  json_error: boolean;
  body: string;
}
const read = (name: string): string =>
  readFileSync(new URL(`../../../../vectors/telehash/${name}.json`, import.meta.url), "utf8");
const parsing: { packet: string; expect: Parts | null }[] = JSON.parse(read("lob"));
const encoding: { head: string; body: string; expect: string }[] = JSON.parse(read("lob-encode"));
const bytes = (hex: string): Uint8Array => fromHex(hex) ?? expect.unreachable();

describe("vectors", () => {
  test.each(parsing)("[E1] [E2] [E3] $packet is parsed into $expect", ({ packet, expect: parts }) => {
    const parsed = parsePacket(bytes(packet));
    const shown = parsed && {
      head: toHex(parsed.head),
      json: parsed.json === undefined ? null : { ...parsed.json },
      json_error: parsed.jsonError,
      body: toHex(parsed.body),
    };
    expect(shown).toEqual(parts ?? undefined);
  });

  test.each(encoding)("'$head' and '$body' are encoded as $expect", ({ head, body, expect: packet }) => {
    expect(toHex(encodePacket(bytes(head), bytes(body)))).toBe(packet);
    if (head === "") expect(toHex(encodePacket(undefined, bytes(body)))).toBe(packet);
    if (head.length >= 14) {
      const json = parseJson(bytes(head)) as JsonObject;
      expect(toHex(encodePacket(json, bytes(body)))).toBe(packet);
    }
  });
});

test("[E1] a length that the bytes do not cover is the only parse error, for any bytes", () => {
  fc.assert(
    fc.property(anyPacket, (packet) => {
      const isCovered = packet.length >= 2 && 2 + (packet[0] ?? 0) * 256 + (packet[1] ?? 0) <= packet.length;
      expect(parsePacket(packet) !== undefined).toBe(isCovered);
    }),
    { numRuns: 500 },
  );
});

test("[E3] head and body of any parsed packet give its bytes again, also where the JSON is broken", () => {
  let broken = 0;
  fc.assert(
    fc.property(anyPacket, (packet) => {
      const parsed = parsePacket(packet);
      if (parsed === undefined) return;
      expect(encodePacket(parsed.head, parsed.body)).toEqual(packet);
      expect(parsed.jsonError).toBe(parsed.head.length >= 7 && parsed.json === undefined);
      if (parsed.jsonError) broken++;
    }),
    { numRuns: 500 },
  );
  expect(broken).toBeGreaterThan(10);
});

test("[E2] a head of up to 6 bytes is never JSON, and no JSON but an object is a head", () => {
  expect(parsePacket(encodePacket(utf8('{"":1}')))).toMatchObject({ json: undefined, jsonError: false });
  for (const head of ["[1,2,3]", '"hello"', "1234567", "   null", '{"a":1} ', "\ufeff{}    ", '{"a":1,"a":1}']) {
    expect(parsePacket(encodePacket(utf8(head), bytes("ff")))).toEqual({
      head: utf8(head),
      json: undefined,
      jsonError: true,
      body: bytes("ff"),
    });
  }
});

test("an encoded object is read back as this object, however short", () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.oneof(fc.string(), fc.integer())), fc.uint8Array(), (head, body) => {
      fc.pre(!Object.hasOwn(head, "__proto__"));
      const parsed = parsePacket(encodePacket(head, body));
      expect(parsed?.body).toEqual(body);
      expect(parsed?.jsonError).toBe(false);
      expect({ ...parsed?.json }).toEqual({ ...head });
    }),
  );
  expect(toHex(encodePacket({ "": 1 }))).toBe(`0007${toHex(utf8('{"":1 }'))}`);
  expect(toHex(encodePacket({ absent: undefined }, bytes("01")))).toBe("000001");
});

test("head and body are views, and a head of 65535 bytes is the longest", () => {
  const packet = encodePacket(new Uint8Array(0xffff).fill(1), bytes("02"));
  const parsed = parsePacket(packet);
  expect(parsed?.head).toHaveLength(0xffff);
  expect(parsed?.head.buffer).toBe(packet.buffer);
  expect(parsed?.body).toEqual(bytes("02"));
  expect(parsed?.body.buffer).toBe(packet.buffer);
  expect(() => encodePacket(new Uint8Array(0x10000))).toThrow(expect.objectContaining({ code: "head-size" }));
  expect(() => encodePacket({ text: "x".repeat(0x10000) })).toThrow(expect.objectContaining({ code: "head-size" }));
});

test("the worked example of protocol/lob.md holds", () => {
  const packet = encodePacket({ type: "boxes" }, bytes("deadbeef"));
  expect(toHex(packet)).toBe("0010" + "7b2274797065223a22626f786573227d" + "deadbeef");
  expect(parsePacket(packet)).toMatchObject({ json: { type: "boxes" }, body: bytes("deadbeef") });
});

/** Noise; true packets; true packets with a byte changed or cut off. */
const anyPacket: fc.Arbitrary<Uint8Array> = (() => {
  const json = fc.dictionary(fc.string({ maxLength: 5 }), fc.jsonValue({ maxDepth: 2 }), { maxKeys: 5 });
  const head = fc.oneof(
    fc.uint8Array({ maxLength: 12 }),
    json.map((value) => utf8(JSON.stringify(value))),
  );
  const packet = fc.tuple(head, fc.uint8Array({ maxLength: 20 })).map(([h, b]) => {
    return concat(Uint8Array.of(h.length >> 8, h.length), h, b);
  });
  const mutated = fc.tuple(packet, fc.nat(), fc.nat(255), fc.nat(3)).map(([whole, at, byte, cut]) => {
    whole[at % whole.length] = byte;
    return whole.subarray(0, whole.length - cut);
  });
  return fc.oneof(fc.uint8Array({ maxLength: 12 }), packet, mutated);
})();

test("a head made by encodeJson is the head that encodePacket makes", () => {
  const head = { at: 2n ** 60n, list: [1, "é"], not: undefined };
  expect(parsePacket(encodePacket(head))?.head).toEqual(encodeJson(head));
});
