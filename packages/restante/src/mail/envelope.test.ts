import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, RestanteError, utf8 } from "../bytes/index.ts";
import { encodePacket, type JsonObject } from "../wire/index.ts";
import { type Envelope, encodeEnvelope, isFileName, isMedia, parseEnvelope } from "./envelope.ts";

const hex = (bytes: number) =>
  fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((b) => Buffer.from(b).toString("hex"));
const times = fc.tuple(fc.nat(2 ** 45), fc.nat(2 ** 40)).map(([time, more]) => ({ time, expires: time + more }));
const common = {
  id: hex(16),
  after: fc.array(hex(16), { maxLength: 8 }),
  card: fc.option(fc.record({ id: hex(16), version: fc.maxSafeNat() }), { nil: undefined }),
};
const file = fc.record({
  name: fc.string({ unit: "binary", minLength: 1, maxLength: 40 }).filter(isFileName),
  media: fc.constantFrom("text/plain", "image/svg+xml", 'text/plain; charset="utf-8"'),
  size: fc.maxSafeNat(),
  sha256: hex(32),
});
const contents = fc.oneof(
  fc.record({
    kind: fc.constant("text"),
    part: fc.constant(0),
    of: fc.constant(1),
    content: fc.string({ unit: "binary" }).map(utf8),
  }),
  fc.record({ kind: fc.constant("card"), part: fc.constant(0), of: fc.constant(1), content: fc.constant(utf8("")) }),
  fc.record({
    kind: fc.constant("file"),
    part: fc.constant(0),
    of: fc.integer({ min: 1, max: 9 }),
    content: fc.uint8Array(),
    file,
  }),
  fc.record({
    kind: fc.constantFrom("file", "x-later"),
    part: fc.constant(1),
    of: fc.constant(3),
    content: fc.uint8Array(),
  }),
);
const sound = fc.tuple(fc.record(common), times, contents).map(([a, b, { part, of, ...c }]) => {
  const { card, ...rest } = { ...a, ...b, ...c };
  return { envelope: { ...rest, ...(card && { card }) } as Envelope, place: { part, of } };
});

test("an envelope reads back, with any amount of zeros behind it", () => {
  fc.assert(
    fc.property(sound, fc.nat(50), ({ envelope, place }, zeros) => {
      const bytes = concat(encodeEnvelope(envelope, place), new Uint8Array(zeros));
      expect(parseEnvelope(bytes, place)).toEqual(envelope);
    }),
  );
});

test("padding that is not all zero is refused", () => {
  fc.assert(
    fc.property(sound, fc.nat(20), fc.nat(20), fc.integer({ min: 1, max: 255 }), ({ envelope, place }, a, b, dirt) => {
      const bytes = concat(encodeEnvelope(envelope, place), new Uint8Array(a), Uint8Array.of(dirt), new Uint8Array(b));
      expect(parseEnvelope(bytes, place)).toBeUndefined();
    }),
  );
});

const ID = "0123456789abcdef0123456789abcdef";
const TEXT: JsonObject = { id: ID, time: 1000, expires: 2000, kind: "text", len: 2 };
const SHA256 = ID + ID;
const FILE: JsonObject = { ...TEXT, kind: "file", name: "a.txt", media: "text/plain", size: 2, sha256: SHA256 };
const parse = (head: JsonObject, place = { part: 0, of: 1 }, body = utf8("hi")) =>
  parseEnvelope(encodePacket(head, body), place);

test("an envelope with a field missing or out of form is refused", () => {
  expect(parse(TEXT)).toEqual({ id: ID, after: [], time: 1000, expires: 2000, kind: "text", content: utf8("hi") });
  const wrong: JsonObject[] = [
    { id: undefined },
    { id: ID.slice(2) },
    { id: ID.toUpperCase() },
    { id: 7 },
    { after: "" },
    { after: [ID, 1] },
    { after: [ID.slice(1)] },
    { after: Array(9).fill(ID) },
    { card: ID },
    { card: null },
    { card: [] },
    { card: { id: ID } },
    { card: { id: "x", version: 1 } },
    { card: { id: ID, version: -1 } },
    { card: { id: ID, version: 1.5 } },
    { time: undefined },
    { time: -1 },
    { time: 1.5 },
    { time: 2n ** 60n },
    { time: 2001 },
    { expires: undefined },
    { expires: "2000" },
    { kind: undefined },
    { kind: "" },
    { kind: "Text" },
    { kind: "a".repeat(33) },
    { len: undefined },
    { len: 3 },
    { len: 1 }, // an "i" would be padding
    { len: -1 },
  ];
  for (const each of wrong) expect(parse({ ...TEXT, ...each }), JSON.stringify(Object.keys(each))).toBeUndefined();
  expect(parse({ ...TEXT, later: { deep: [1] } })).toBeDefined(); // unknown fields are passed over
  expect(parseEnvelope(utf8("{}"), { part: 0, of: 1 })).toBeUndefined();
  expect(parseEnvelope(new Uint8Array(0), { part: 0, of: 1 })).toBeUndefined();
});

test("what does not fit its kind or its place is refused", () => {
  expect(parse(TEXT, { part: 0, of: 2 })).toBeUndefined();
  expect(parse(TEXT, { part: 0, of: 1 }, Uint8Array.of(0xff, 0xfe))).toBeUndefined();
  expect(parse({ ...TEXT, kind: "card" })).toBeUndefined();
  expect(parse({ ...TEXT, kind: "card", len: 0 }, { part: 0, of: 1 }, utf8(""))).toBeDefined();
  expect(parse({ ...TEXT, kind: "card", len: 0 }, { part: 0, of: 2 }, utf8(""))).toBeUndefined();
  expect(parse(FILE)?.file).toEqual({ name: "a.txt", media: "text/plain", size: 2, sha256: SHA256 });
  for (const key of ["name", "media", "size", "sha256"]) expect(parse({ ...FILE, [key]: undefined })).toBeUndefined();
  expect(parse({ ...FILE, name: "../a" })).toBeUndefined();
  expect(parse({ ...FILE, media: "text" })).toBeUndefined();
  expect(parse({ ...FILE, sha256: ID })).toBeUndefined();
  expect(parse(FILE, { part: 1, of: 2 })).not.toHaveProperty("file");
  expect(parse({ ...TEXT, kind: "file" }, { part: 1, of: 2 })).toBeDefined();
});

test("a kind that we do not know is passed on with its content", () => {
  expect(parse({ ...FILE, kind: "poll" }, { part: 4, of: 9 }, Uint8Array.of(0xff, 0))).toEqual({
    id: ID,
    after: [],
    time: 1000,
    expires: 2000,
    kind: "poll",
    content: Uint8Array.of(0xff, 0),
  });
});

test("file names are labels: no paths, nothing invisible, nothing turned around", () => {
  for (const good of ["a", "Straße 7 — 日本.pdf", "...", ".profile", "a b", "😀"]) expect(isFileName(good)).toBe(true);
  for (const bad of [
    ...["", ".", "..", "a/b", "/", "a\\b", "a\0b", "a\nb", "a\u0085b", "a\u2028b", "\ud800"],
    ...["gpj.\u202eexe", "\u2066a", "\u200fa", "x".repeat(256), "ß".repeat(128)],
  ]) {
    expect(isFileName(bad)).toBe(false);
  }
  for (const good of ["text/plain", "application/vnd.a+b-c.d", "text/html; charset=utf-8"])
    expect(isMedia(good)).toBe(true);
  for (const bad of ["", "text", "text/", "/plain", "a/b\n", "a/b;\u0001", `a/${"b".repeat(126)}`, "a b/c", "a/ü"]) {
    expect(isMedia(bad)).toBe(false);
  }
});

test("we never write an envelope that we would not read", () => {
  const good: Envelope = { id: ID, after: [], time: 1, expires: 2, kind: "text", content: utf8("hi") };
  const wrong: Partial<Envelope>[] = [
    { id: "x" },
    { expires: 0 },
    { time: 0.5 },
    { kind: "file" },
    { content: Uint8Array.of(0xff) },
    { after: Array(9).fill(ID) },
    { file: { name: "a", media: "a/b", size: 1, sha256: SHA256 } },
  ];
  for (const each of wrong) {
    expect(() => encodeEnvelope({ ...good, ...each }, { part: 0, of: 1 })).toThrow(RestanteError);
  }
});

test("no bytes make the parser throw", () => {
  const bytes = encodePacket(FILE, utf8("hi"));
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), (at, value) => {
      const damaged = bytes.slice();
      damaged[at] = value;
      parseEnvelope(damaged, { part: 0, of: 1 });
      parseEnvelope(bytes.slice(at), { part: 0, of: 1 });
    }),
    { numRuns: 1000 },
  );
});
