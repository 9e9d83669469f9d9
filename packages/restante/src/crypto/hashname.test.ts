import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { concat, fromBase32, toBase32, utf8 } from "../bytes/index.ts";
import {
  encodeKeys,
  hashnameBytes,
  hashnameFromBytes,
  hashnameOf,
  intermediate,
  type Keys,
  parseHashname,
  parseKeys,
  portable,
} from "./index.ts";

interface HashnameVector {
  name: string;
  keys: Record<string, string>;
  telehash_c: string;
  hashname_js: { hashname: string; intermediates: Record<string, string>; from_im_only?: string };
}
const VECTORS = new URL("../../../../vectors/telehash/hashname.json", import.meta.url);
const vectors = JSON.parse(readFileSync(VECTORS, "utf8")) as HashnameVector[];

describe("hashname.json", () => {
  test("has cases", () => expect(vectors.length).toBeGreaterThan(0));

  test.each(vectors)("[E4] $name: the hashname of telehash-c and hashname-js", (vector) => {
    const keys = keysOf(vector.keys);
    expect(hashnameOf(portable, keys)).toBe(vector.telehash_c);
    expect(vector.hashname_js.hashname).toBe(vector.telehash_c);
    for (const [csid, text] of Object.entries(vector.hashname_js.intermediates)) {
      const key = keys.get(Number.parseInt(csid, 16));
      expect(key && toBase32(intermediate(portable, key))).toBe(text);
    }
  });

  test.each(vectors)("[E4] $name: the same from any of its keys and the intermediates of the rest", (vector) => {
    const keys = keysOf(vector.keys);
    const intermediates = keysOf(vector.hashname_js.intermediates);
    expect(hashnameOf(portable, new Map(), intermediates)).toBe(vector.telehash_c);
    for (const [csid, key] of keys) {
      const others = new Map([...intermediates].filter(([other]) => other !== csid));
      expect(hashnameOf(portable, new Map([[csid, key]]), others)).toBe(vector.telehash_c);
    }
  });
});

test("[E4] the roll-up is made as the page says", () => {
  const [low, high] = [utf8("key of 1a"), utf8("key of 3a")];
  const { sha256 } = portable;
  let hash = sha256(Uint8Array.of(0x1a));
  hash = sha256(concat(hash, sha256(low)));
  hash = sha256(concat(hash, Uint8Array.of(0x3a)));
  hash = sha256(concat(hash, sha256(high)));
  const keys = new Map([
    [0x3a, high],
    [0x1a, low],
  ]);
  expect(hashnameOf(portable, keys)).toBe(toBase32(hash));
});

test("a key that is known wins over an intermediate somebody claims for it", () => {
  const keys = new Map([[0x3a, utf8("key")]]);
  expect(hashnameOf(portable, keys, new Map([[0x3a, new Uint8Array(32)]]))).toBe(hashnameOf(portable, keys));
});

test("the order in which keys are told does not matter; every bit of every key does", () => {
  fc.assert(
    fc.property(keySets, fc.nat(), fc.nat(7), (entries, at, bit) => {
      const hashname = hashnameOf(portable, new Map(entries));
      expect(hashnameOf(portable, new Map([...entries].reverse()))).toBe(hashname);
      const changed = entries.map(([csid, key]) => [csid, key.slice()] as const);
      const key = changed[at % changed.length]?.[1] ?? new Uint8Array();
      key[at % key.length] = (key[at % key.length] ?? 0) ^ (1 << bit);
      expect(hashnameOf(portable, new Map(changed))).not.toBe(hashname);
    }),
  );
});

test("[E4] a hashname is 52 characters of canonical base32, and no other text is one", () => {
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 32, maxLength: 32 }), (bytes) => {
      const hashname = hashnameFromBytes(bytes);
      expect(hashname).toMatch(/^[a-z2-7]{52}$/);
      expect(parseHashname(hashname)).toBe(hashname);
      expect(hashnameBytes(hashname)).toEqual(bytes);
    }),
  );
  const good = hashnameFromBytes(new Uint8Array(32));
  const bad = [
    good.slice(1),
    `${good}a`,
    good.toUpperCase(),
    `${good.slice(0, 51)}b`,
    `${good.slice(0, 51)}1`,
    "",
    5,
    null,
  ];
  for (const text of [...bad, undefined, {}]) expect(parseHashname(text)).toBeUndefined();
});

test("keys survive JSON, and no text makes parseKeys throw", () => {
  fc.assert(
    fc.property(keySets, (entries) => {
      const keys = new Map(entries);
      const parsed = parseKeys(JSON.parse(JSON.stringify(encodeKeys(keys))));
      expect(parsed).toEqual(keys);
      expect([...(parsed?.keys() ?? [])]).toEqual([...keys.keys()].sort((a, b) => a - b));
    }),
  );
  fc.assert(fc.property(fc.anything(), (value) => void parseKeys(value)));
});

test("keys out of bounds or out of form are refused", () => {
  const key = toBase32(new Uint8Array(32));
  const nine = Object.fromEntries(Array.from({ length: 9 }, (_, i) => [`3${i}`, key]));
  expect(parseKeys(Object.fromEntries(Object.entries(nine).slice(1)))?.size).toBe(8);
  expect(parseKeys({ "3a": toBase32(new Uint8Array(1024)) })?.get(0x3a)?.length).toBe(1024);
  const refused = [
    nine,
    {},
    [],
    [key],
    null,
    "3a",
    { "00": key },
    { "3A": key },
    { "3": key },
    { "03a": key },
    { "3a": "" },
    { "3a": 3 },
    { "3a": key.toUpperCase() },
    { "3a": toBase32(new Uint8Array(1025)) },
    { "3a": "a".repeat(100_000) },
  ];
  for (const value of refused) expect(parseKeys(value)).toBeUndefined();
});

/** Up to 8 keys of different CSIDs, in any order. */
const keySets = fc.uniqueArray(
  fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ minLength: 1, maxLength: 100 })),
  { minLength: 1, maxLength: 8, selector: ([csid]) => csid },
);

/** Without `parseKeys`, which is tested here, too. */
function keysOf(texts: Record<string, string>): Keys {
  return new Map(
    Object.entries(texts).map(([csid, text]) => [Number.parseInt(csid, 16), fromBase32(text) ?? new Uint8Array()]),
  );
}
