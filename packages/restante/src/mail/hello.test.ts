import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, utf8 } from "../bytes/index.ts";
import {
  createCrypto,
  createIdentity,
  cs3a,
  hashnameOf,
  type Identity,
  intermediate,
  portable,
} from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { encodePacket } from "../wire/index.ts";
import { encodeHello, parseHello, parseHelloKeys } from "./hello.ts";

const crypto = createCrypto(portable);
const plain = createIdentity(crypto, new Chance(1).random);
/** The same with two more cipher sets, one of which this peer does not speak itself. */
const keys = new Map([...plain.keys, [0x1a, new Uint8Array(21).fill(1)], [0x2a, new Uint8Array(270).fill(2)]]);
const rich: Identity = { ...plain, keys, hashname: hashnameOf(portable, keys) };

const card = utf8("a card");
const secret = new Uint8Array(16).fill(7);
const inner = (body: Uint8Array) => encodePacket({ type: "hello" }, body);
const hello = (identity: Identity) => encodeHello(crypto, 0x3a, identity, { card, secret });

test("the key part tells the hashname and the one key in use, and of other cipher sets that they exist", () => {
  for (const identity of [plain, rich]) {
    const claim = parseHelloKeys(crypto, inner(concat(hello(identity), utf8("rest"))));
    expect(claim?.hashname).toBe(identity.hashname);
    expect(claim?.keys).toEqual(plain.keys);
    const all = [...identity.keys].map(([csid, key]): [number, Uint8Array] => [csid, intermediate(portable, key)]);
    expect(claim?.intermediates).toEqual(new Map(all));
  }
});

test("the layout of a hello is the one of the page", () => {
  const key = plain.keys.get(0x3a) ?? expect.fail();
  const digest = (csid: number) => intermediate(portable, keys.get(csid) ?? expect.fail());
  expect(hello(rich)).toEqual(
    concat(
      Uint8Array.of(0x3a, 0, 32),
      key,
      ...[Uint8Array.of(2, 0x1a), digest(0x1a), Uint8Array.of(0x2a), digest(0x2a)],
      ...[Uint8Array.of(0, 6), card, Uint8Array.of(16), secret],
    ),
  );
  expect(hello(plain).subarray(35, 36)).toEqual(Uint8Array.of(0));
});

test("card, secret and envelope read back", () => {
  const envelope = utf8("an envelope");
  expect(parseHello(concat(hello(rich), envelope))).toEqual({ hello: { card, secret }, envelope });
  const without = encodeHello(crypto, 0x3a, rich, { card });
  expect(parseHello(concat(without, envelope))).toEqual({ hello: { card }, envelope });
});

test("the key part is read whatever the head is: no JSON is parsed for an unproven sender", () => {
  for (const head of [utf8(""), utf8("{not json}"), new Uint8Array(65_535).fill(0x7b)]) {
    expect(parseHelloKeys(crypto, encodePacket(head, hello(plain)))?.hashname).toBe(plain.hashname);
  }
});

test("a key part out of bounds or out of order is refused", () => {
  const digest = new Uint8Array(32);
  const key = new Uint8Array(32).fill(9);
  const part = (csid: number, length: number, csk: Uint8Array, ...others: number[]) =>
    concat(
      Uint8Array.of(csid, length >> 8, length & 255),
      csk,
      Uint8Array.of(others.length),
      ...others.map((other) => concat(Uint8Array.of(other), digest)),
      Uint8Array.of(0, 1, 65, 0),
    );
  const reads = (body: Uint8Array) => [
    parseHelloKeys(crypto, inner(body)) !== undefined,
    parseHello(body) !== undefined,
  ];
  expect(reads(part(0x3a, 32, key, 1, 2, 0x4a))).toEqual([true, true]);
  expect(reads(part(0x3a, 32, key, 1, 2, 3, 4, 5, 6, 7))).toEqual([true, true]);
  expect(reads(part(0x3a, 32, key, 1, 2, 3, 4, 5, 6, 7, 8))).toEqual([false, false]);
  expect(reads(part(0x3a, 32, key, 2, 1))).toEqual([false, false]);
  expect(reads(part(0x3a, 32, key, 1, 1))).toEqual([false, false]);
  expect(reads(part(0x3a, 32, key, 0x3a))).toEqual([false, false]);
  expect(reads(part(0x3a, 32, key, 0))).toEqual([false, false]);
  expect(reads(part(0, 32, key))).toEqual([false, false]);
  expect(reads(part(0x3a, 1025, new Uint8Array(1025)))).toEqual([false, false]);
  // A cipher set that we do not speak, and a key that is none of its set: nothing to prove the sender with.
  expect(reads(part(0x2a, 32, key))).toEqual([false, true]);
  expect(reads(part(0x3a, 31, key.slice(1)))).toEqual([false, true]);
});

test("card and secret have fixed bounds", () => {
  const start = hello(plain).subarray(0, 36);
  const sized = (length: number, ...secretBytes: number[]) =>
    parseHello(
      concat(start, Uint8Array.of(length >> 8, length & 255), new Uint8Array(length), Uint8Array.from(secretBytes)),
    );
  expect(sized(0, 0)).toBeUndefined();
  expect(sized(1, 0)).toBeDefined();
  expect(sized(32_768, 0)).toBeDefined();
  expect(sized(32_769, 0)).toBeUndefined();
  expect(sized(1)).toBeUndefined();
  expect(sized(1, 15, ...secret.subarray(1))).toBeUndefined();
  expect(sized(1, 16, ...secret.subarray(1))).toBeUndefined();
  expect(sized(1, 16, ...secret)).toBeDefined();
});

test("no bytes make the parsers throw", () => {
  const good = hello(rich);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.uint8Array({ maxLength: 100 }), (at, value, noise) => {
      const damaged = good.slice();
      damaged[at] = value;
      for (const bytes of [damaged, good.slice(0, at), noise, concat(Uint8Array.of(0x3a, 0, 32), noise)]) {
        parseHello(bytes);
        parseHelloKeys(crypto, inner(bytes));
        parseHelloKeys(crypto, bytes);
      }
    }),
    { numRuns: 500 },
  );
});

test("a hello is sealed with the set it names", () => {
  const two = createCrypto(portable, [cs3a(portable), { ...cs3a(portable), csid: 0x4a }]);
  const both = createIdentity(two, new Chance(2).random, [0x3a, 0x4a]);
  const claim = parseHelloKeys(two, inner(encodeHello(two, 0x4a, both, { card })));
  expect(claim?.hashname).toBe(both.hashname);
  expect([...(claim?.keys.keys() ?? [])]).toEqual([0x4a]);
});
