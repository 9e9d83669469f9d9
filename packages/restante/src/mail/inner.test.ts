import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, type Random, RestanteError, utf8 } from "../bytes/index.ts";
import { createCrypto, createIdentity, cs3a, portable } from "../crypto/index.ts";
import { parseHandshake } from "../e3x/index.ts";
import { encodePacket, type JsonObject, parsePacket } from "../wire/index.ts";
import { parseAck } from "./acknowledgement.ts";
import { HELLO_CARD_LIMIT, PART_CONTENT, SEQ_LIMIT, SIZE_CLASSES, TEXT_LIMIT } from "./constants.ts";
import type { Envelope } from "./envelope.ts";
import type { Hello } from "./hello.ts";
import { encodePart, type Head, messageKind, type Part, parsePart, parseStaticPart } from "./inner.ts";

const CSID = 0x3a;
const crypto = createCrypto(portable);
const alice = createIdentity(crypto, stream("alice"));
const bob = createIdentity(crypto, stream("bob"));
const overhead = cs3a(portable).overhead;
const ID = "00112233445566778899aabbccddeeff";

function stream(label: string): Random {
  let count = 0;
  return (length) => portable.hkdf(utf8(label), new Uint8Array(0), Uint8Array.of(count++), length);
}

const HEAD: Head = { from: alice.hashname, to: bob.hashname, epoch: ID.slice(16), seq: 7, part: 0, of: 1, floor: 3 };
const TEXT: Envelope = { id: ID, after: [], time: 1_000, expires: 2_000, kind: "text", content: utf8("hi") };

function encode(part: Part): Uint8Array {
  return encodePart(crypto, CSID, alice, part);
}

const filled = (length: number) => new Uint8Array(length).fill(0x61);
const heads = fc
  .record({
    seq: fc.integer({ min: 1, max: SEQ_LIMIT }),
    of: fc.integer({ min: 1, max: 65_535 }),
    a: fc.nat(),
    b: fc.nat(),
  })
  .map(({ seq, of, a, b }): Head => ({ ...HEAD, seq, of, part: a % of, floor: 1 + (b % seq) }));
const hellos = fc.option(
  fc.record(
    {
      card: fc.uint8Array({ minLength: 1, maxLength: 300 }),
      secret: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    },
    { requiredKeys: ["card"] },
  ),
  { nil: undefined },
);

test("[A34] every part carries epoch, number and time, and reads back as it was", () => {
  fc.assert(
    fc.property(heads, hellos, fc.uint8Array({ maxLength: 2000 }), (head, hello, content) => {
      const part: Part = {
        head,
        ...(hello && { hello: hello as Hello }),
        envelope: { ...TEXT, kind: "poll", content },
      };
      const inner = encode(part);
      expect(parsePart(inner)).toEqual(part);
      expect(encode(part)).toEqual(inner);
      expect(messageKind(inner)).toBe("mail");
      expect(parseAck(inner)).toBeUndefined();
      expect(SIZE_CLASSES).toContain(inner.length + overhead);
    }),
  );
});

test("a sealed part has exactly the smallest size class that holds it", () => {
  fc.assert(
    fc.property(fc.nat(TEXT_LIMIT), (length) => {
      const inner = encode({ head: HEAD, envelope: { ...TEXT, content: filled(length) } });
      const bare = inner.length - (inner.length - 1 - inner.lastIndexOf(0x61));
      const smallest = SIZE_CLASSES.find((size) => size >= bare + overhead);
      if (length > 0) expect(inner.length + overhead).toBe(smallest);
    }),
    { numRuns: 200 },
  );
  // Around one border, byte by byte.
  const room =
    1023 - overhead - encode({ head: HEAD, envelope: { ...TEXT, content: filled(100) } }).lastIndexOf(0x61) - 1;
  const size = (length: number) =>
    encode({ head: HEAD, envelope: { ...TEXT, content: filled(length) } }).length + overhead;
  expect(size(100 + room)).toBe(1023);
  expect(size(100 + room + 1)).toBe(2048);
});

test("a hello takes the second class at least, and the largest one has its place in the last", () => {
  const hello: Hello = { card: filled(200), secret: filled(16) };
  expect(encode({ head: HEAD, hello, envelope: TEXT }).length + overhead).toBe(2048);
  const file = {
    name: "n".repeat(255),
    media: `a/${"b".repeat(125)}`,
    size: Number.MAX_SAFE_INTEGER,
    sha256: ID + ID,
  };
  const far = Number.MAX_SAFE_INTEGER;
  const largest: Envelope = {
    ...TEXT,
    after: Array(8).fill(ID),
    card: { id: ID, version: far },
    time: far,
    expires: far,
    kind: "file",
    file,
    content: filled(PART_CONTENT),
  };
  const head: Head = { ...HEAD, seq: SEQ_LIMIT, floor: SEQ_LIMIT, of: 65_535 };
  expect(encode({ head, envelope: largest }).length + overhead).toBe(32_768);
  const last = encode({ head, hello: { card: filled(HELLO_CARD_LIMIT), secret: filled(16) }, envelope: largest });
  expect(last.length + overhead).toBe(65_536);
  expect(parseStaticPart(last)?.envelope).toEqual(largest);
  expect(() => encode({ head, envelope: { ...largest, content: filled(65_536) } })).toThrow(
    expect.objectContaining({ code: "too-large" }),
  );
});

test("we never write a part that we would not read", () => {
  const wrong: Partial<Head>[] = [
    { seq: 0, floor: 0 },
    { floor: 0 },
    { floor: 8 },
    { part: 1 },
    { part: -1 },
    { of: 0 },
    { of: 65_536 },
    { seq: 1.5, floor: 1 },
    { seq: SEQ_LIMIT + 1 },
    { epoch: "x" },
  ];
  for (const each of wrong) expect(() => encode({ head: { ...HEAD, ...each }, envelope: TEXT })).toThrow(RestanteError);
  for (const hello of [
    { card: filled(0) },
    { card: filled(HELLO_CARD_LIMIT + 1) },
    { card: filled(1), secret: filled(15) },
  ]) {
    expect(() => encode({ head: HEAD, hello, envelope: TEXT })).toThrow(RestanteError);
  }
});

const good = parsePacket(encode({ head: HEAD, envelope: TEXT }));

function altered(fields: JsonObject, body: Uint8Array = good?.body ?? expect.fail()): Uint8Array {
  return encodePacket({ ...good?.json, ...fields }, body);
}

test("a head with a field missing or out of form is refused", () => {
  expect(parsePart(altered({}))).toEqual({ head: HEAD, envelope: TEXT });
  const wrong: JsonObject[] = [
    { type: undefined },
    { type: "ack" },
    { type: "hello" }, // the body is none
    { v: undefined },
    { v: 2 },
    { v: "1" },
    { suite: undefined },
    { suite: "forward-secret" },
    { suite: "forward" }, // without a header
    { hdr: "" },
    { at: 1_700_000_000 },
    { crit: "seq" },
    { crit: ["later"] },
    { crit: ["seq", 1] },
    { crit: ["conv"] },
    { from: undefined },
    { from: HEAD.from.toUpperCase() },
    { to: "bob" },
    { epoch: undefined },
    { epoch: HEAD.epoch.slice(2) },
    { epoch: "ABCDEFABCDEFABCD" },
    { seq: undefined },
    { seq: 0 },
    { seq: 2 },
    { seq: SEQ_LIMIT + 1 },
    { seq: 7.5 },
    { seq: "7" },
    { part: undefined },
    { part: 1 },
    { part: -1 },
    { of: undefined },
    { of: 0 },
    { of: 65_536 },
    { floor: undefined },
    { floor: 0 },
    { floor: 8 },
  ];
  for (const each of wrong) expect(parsePart(altered(each)), JSON.stringify(each)).toBeUndefined();
  expect(parsePart(altered({ later: 1, crit: ["seq", "kind"] }))).toEqual({ head: HEAD, envelope: TEXT });
  expect(parsePart(altered({}, utf8("")))).toBeUndefined();
});

test("[X4] a mail's inner packet always has a type, so it is no handshake, and a handshake is no mail", () => {
  for (const hello of [undefined, { card: filled(9) }]) {
    const inner = encode({ head: HEAD, ...(hello && { hello }), envelope: TEXT });
    const json = parsePacket(inner)?.json;
    expect(json?.["type"]).toBe(hello ? "hello" : "mail");
    expect(json).not.toHaveProperty("at");
    expect(parseHandshake(inner)).toBeUndefined();
  }
  for (const type of [undefined, "key", "link", "uri"]) {
    expect(messageKind(encodePacket({ at: 1_700_000_000, type }, filled(40)))).toBeUndefined();
  }
  for (const bytes of [new Uint8Array(0), filled(1), encodePacket(filled(3)), encodePacket(undefined, filled(9))]) {
    expect(messageKind(bytes)).toBeUndefined();
  }
});

test("every part carries the security label, and only those we know are read", () => {
  expect(good?.json?.["suite"]).toBe("static");
  expect(parsePart(altered({ suite: "last-resort" }))).toBeUndefined();
});

test("no bytes make the parsers throw", () => {
  const plain = encode({ head: HEAD, envelope: TEXT });
  const hello = encode({ head: HEAD, hello: { card: filled(40), secret: filled(16) }, envelope: TEXT });
  fc.assert(
    fc.property(fc.boolean(), fc.nat(600), fc.nat(255), (isHello, at, value) => {
      const whole = isHello ? hello : plain;
      const bytes = whole.slice();
      bytes[at] = value;
      const part = parseStaticPart(bytes);
      // What is read can be written again, and is then read as the same.
      if (part?.head.from === alice.hashname) expect(parsePart(encode(part))).toEqual(part);
      messageKind(bytes);
      parsePart(whole.slice(0, at));
      parsePart(whole.slice(at));
      parsePart(concat(whole.slice(0, at), whole));
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      parsePart(bytes);
      messageKind(bytes);
    }),
  );
});
