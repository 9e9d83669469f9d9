import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, type Random, toBase32, toHex, utf8 } from "../bytes/index.ts";
import { createCrypto, createIdentity, cs3a, portable } from "../crypto/index.ts";
import { lowOrderPoints } from "../testing/backend-suite.ts";
import { encodePacket, parsePacket } from "../wire/index.ts";
import { PART_CONTENT, SIZE_CLASSES } from "./constants.ts";
import type { Envelope } from "./envelope.ts";
import { encodeForwardHeader, forwardPair, isForwardKey, parseForwardHeader } from "./forward.ts";
import {
  type ClosedPart,
  encodePart,
  type ForwardSeal,
  type Head,
  openPart,
  type Part,
  parsePart,
  parseStaticPart,
  sizeOfPart,
} from "./inner.ts";

const CSID = 0x3a;
const crypto = createCrypto(portable);
const overhead = cs3a(portable).overhead;
const alice = createIdentity(crypto, stream("alice"));
const bob = createIdentity(crypto, stream("bob"));
const pair = forwardPair(portable, stream("forward"));
const other = forwardPair(portable, stream("another"));
const ID = "00112233445566778899aabbccddeeff";
const HEAD: Head = { from: alice.hashname, to: bob.hashname, epoch: ID.slice(16), seq: 7, part: 0, of: 1, floor: 3 };
const TEXT: Envelope = { id: ID, after: [], time: 1_000, expires: 2_000, kind: "text", content: utf8("hi") };
const PART: Part = { head: HEAD, envelope: TEXT };
const OLDER = ["0000000000000001", "0000000000000002", "0000000000000003"];

function stream(label: string): Random {
  let count = 0;
  return (length) => portable.hkdf(utf8(label), new Uint8Array(0), Uint8Array.of(count++), length);
}

function to(uses: readonly string[] = [], more: Partial<ForwardSeal> = {}): ForwardSeal {
  const forwarding = { key: toHex(pair.key), uses };
  return { forwarding, seed: new Uint8Array(32).fill(5), generation: 0, ...more };
}

const encode = (part: Part, forward: ForwardSeal = to()) => encodePart(crypto, CSID, alice, part, forward);

function closed(inner: Uint8Array): ClosedPart {
  const part = parsePart(inner);
  return part !== undefined && "sealed" in part ? part : expect.fail("not a closed part");
}

const heads = fc
  .record({ seq: fc.integer({ min: 1, max: 2 ** 48 }), of: fc.integer({ min: 1, max: 65_535 }), a: fc.nat() })
  .map(({ seq, of, a }): Head => ({ ...HEAD, seq, of, part: a % of, floor: seq }));

test("what is sealed to a forward key opens with it, is the same each time, and has the size of a class", () => {
  const content = fc.uint8Array({ maxLength: 3000 });
  const older = fc.integer({ min: 0, max: 3 }).map((count) => OLDER.slice(0, count));
  fc.assert(
    fc.property(heads, content, older, (head, bytes, uses) => {
      const part: Part = { head, envelope: { ...TEXT, kind: "poll", content: bytes } };
      const inner = encode(part, to(uses));
      expect(encode(part, to(uses))).toEqual(inner);
      expect(SIZE_CLASSES).toContain(inner.length + overhead);
      expect(sizeOfPart(crypto, CSID, alice, part, to(uses).forwarding)).toBe(inner.length);
      const found = closed(inner);
      expect(found.head).toEqual(head);
      expect(found.header).toMatchObject({ key: toHex(pair.key).slice(0, 16), uses });
      expect(openPart(portable, pair, found)).toEqual(part);
    }),
    { numRuns: 40 },
  );
});

test("the largest part of a file keeps its class, and a short text stays below 1024 bytes", () => {
  const file = { name: "n".repeat(255), media: `a/${"b".repeat(125)}`, size: 2 ** 52, sha256: "a".repeat(64) };
  const envelope: Envelope = { ...TEXT, kind: "file", file, content: new Uint8Array(PART_CONTENT) };
  expect(encode({ head: { ...HEAD, of: 65_535 }, envelope }, to(OLDER)).length + overhead).toBe(32_768);
  const short = encode({ head: HEAD, envelope: { ...TEXT, content: utf8("a".repeat(280)) } });
  expect(short.length + overhead).toBe(1023);
});

test("[A29] the long-term key opens the head and nothing of the mail; neither does another forward key", () => {
  const inner = encode(PART);
  expect(toHex(encodePart(crypto, CSID, alice, PART))).toContain(toHex(utf8(ID)));
  expect(toHex(inner)).not.toContain(toHex(utf8(ID)));
  expect(parseStaticPart(inner)).toBeUndefined();
  expect(openPart(portable, other, closed(inner))).toBeUndefined();
  expect(openPart(portable, { key: other.key, secret: pair.secret }, closed(inner))).toBeUndefined();
});

test("a sealed envelope belongs to its head: with any other it does not open", () => {
  const found = closed(encode(PART, to([OLDER[0] ?? ""])));
  expect(openPart(portable, pair, found)).toEqual(PART);
  const packet = parsePacket(encode(PART, to([OLDER[0] ?? ""]))) ?? expect.fail();
  const changes = { epoch: "f".repeat(16), seq: 8, part: 1, of: 2, floor: 4, from: bob.hashname, to: alice.hashname };
  for (const [field, value] of Object.entries(changes)) {
    const head = { ...packet.json, of: 2, [field]: value };
    expect(openPart(portable, pair, closed(encodePacket(head, packet.body))), field).toBeUndefined();
  }
  const header = encodeForwardHeader(found.header.oneTime, to([]).forwarding);
  const moved = closed(encodePacket({ ...packet.json, hdr: header }, packet.body));
  expect(openPart(portable, pair, moved)).toBeUndefined();
  // Claims in the parsed head that its bytes do not bear out.
  expect(openPart(portable, pair, { ...found, head: { ...found.head, to: alice.hashname } })).toBeUndefined();
});

test("any difference in what is sealed makes another one-time key", () => {
  const { forwarding } = to();
  const variants = [
    encode(PART),
    encode(PART, to([], { generation: 1 })),
    encode(PART, to([], { seed: new Uint8Array(32).fill(6) })),
    encode(PART, to([], { forwarding: { ...forwarding, key: toHex(other.key) } })),
    encode({ ...PART, head: { ...HEAD, seq: 8 } }),
    encode({ ...PART, envelope: { ...TEXT, content: utf8("ho") } }),
    encode({ ...PART, envelope: { ...TEXT, id: ID.replace("0", "1") } }),
  ];
  const keys = variants.map((inner) => toHex(closed(inner).header.oneTime));
  expect(new Set(keys).size).toBe(variants.length);
});

test("a key of low order is no key: neither to seal to, nor to open with", () => {
  expect(isForwardKey(portable, toHex(pair.key))).toBe(true);
  for (const bad of ["", "00", toHex(pair.key).slice(2)]) expect(isForwardKey(portable, bad)).toBe(false);
  for (const point of lowOrderPoints()) {
    const key = toHex(point);
    expect(isForwardKey(portable, key), key).toBe(false);
    expect(() => encode(PART, to([], { forwarding: { key, uses: [] } }))).toThrow(
      expect.objectContaining({ code: "bad-key" }),
    );
    const found = closed(encode(PART));
    expect(openPart(portable, pair, { ...found, header: { ...found.header, oneTime: point } })).toBeUndefined();
  }
});

test("a header is exactly what we would write, or none", () => {
  const key = toHex(pair.key).slice(0, 16);
  const id = (hex: string) => Uint8Array.from(hex.match(/../g) ?? [], (byte) => Number.parseInt(byte, 16));
  const header = (...parts: (Uint8Array | string)[]) =>
    toBase32(concat(...parts.map((part) => (typeof part === "string" ? id(part) : part))));
  const [a = "", b = "", c = ""] = OLDER;
  expect(parseForwardHeader(header(key, other.key, a, b, c))).toEqual({ key, oneTime: other.key, uses: OLDER });
  const bad = [
    "",
    header(key),
    header(key, other.key, a.slice(2)),
    header(key, other.key, a, b, c, "00000000000000ff"),
    header(key, other.key, a, a),
    header(key, other.key, key),
    header(key, other.key).toUpperCase(),
    `${header(key, other.key)}a`,
  ];
  for (const hdr of bad) expect(parseForwardHeader(hdr), hdr).toBeUndefined();
});

test("no header stands in another suite, no other suite in a mail of this one, and no hello is of it", () => {
  const packet = parsePacket(encode(PART)) ?? expect.fail();
  const altered = (fields: object) => parsePart(encodePacket({ ...packet.json, ...fields }, packet.body));
  expect(altered({})).toBeDefined();
  const wrong = [{ suite: "static" }, { suite: "later" }, { hdr: undefined }, { hdr: 7 }, { hdr: "" }, { hdr: "!" }];
  for (const each of [...wrong, { type: "hello" }, { type: "ack" }, { crit: ["hdr"] }])
    expect(altered(each), JSON.stringify(each)).toBeUndefined();
});

test("no bytes make it throw, and none that were changed open", () => {
  const whole = encode(PART);
  fc.assert(
    fc.property(fc.nat(whole.length - 1), fc.integer({ min: 1, max: 255 }), (at, change) => {
      const bytes = whole.slice();
      bytes[at] = (bytes[at] ?? 0) ^ change;
      for (const each of [bytes, whole.slice(0, at)]) {
        const part = parsePart(each);
        if (part === undefined) continue;
        expect("envelope" in part ? part : openPart(portable, pair, part)).toBeUndefined();
      }
    }),
    { numRuns: 300 },
  );
});
