import fc from "fast-check";
import { expect, test } from "vitest";
import { toBase32 } from "../bytes/index.ts";
import { hashnameOf, portable } from "../crypto/index.ts";
import { linkJwk } from "./link.ts";
import { encodeTxt, isHostName, jwksUri, LINK_REL, linkHref, linkInJwks, parseTxt } from "./published.ts";

const long = new Uint8Array(270).fill(7); // as long as a key of set 2a: 432 characters
const keys = new Map([
  [0x1a, new Uint8Array(21).fill(1)],
  [0x2a, long],
  [0x3a, new Uint8Array(32).fill(9)],
]);

test("[E15] TXT records are named by CSID, a key of more than 250 characters in numbered pieces", () => {
  const text = toBase32(long);
  const records = [
    `1a=${toBase32(new Uint8Array(21).fill(1))}`,
    `2a=${text.slice(0, 250)}`,
    `2a2=${text.slice(250)}`,
    `3a=${toBase32(new Uint8Array(32).fill(9))}`,
  ];
  expect(encodeTxt({ keys })).toEqual(records);
  expect(parseTxt(records.reverse())).toEqual({ keys });
});

test("records for other purposes are left out, and a record may come twice", () => {
  const records = encodeTxt({ keys });
  const others = ["v=spf1 -all", "", "3A=aa", "3a=AA", "3a1=aa", "3a10=aa", "00=", "invite", "x".repeat(3000)];
  expect(parseTxt([...others.filter((each) => each !== "00="), ...records, ...records])).toEqual({ keys });
});

test.each<[string, string[]]>([
  ["nothing", []],
  ["no keys", ["v=spf1", "invite=aaaa"]],
  ["a missing first piece", ["3a2=aa"]],
  ["a hole", ["3a=aa", "3a3=aa"]],
  ["two different pieces", ["3a=aa", "3a=ae"]],
  ["an empty key", ["3a="]],
  ["a key that is no base32", ["3a=a"]],
  ["the CSID that is never valid", ["00=aa"]],
  ["nine keys", Array.from({ length: 9 }, (_, i) => `1${i}=aa`)],
  ["too many records", new Array(65).fill("3a=aa")],
])("TXT records with %s are refused", (_, records) => {
  expect(parseTxt(records)).toBeUndefined();
});

test("keys and an invite go through TXT records of at most 255 characters and back, in any order", () => {
  const published = fc.record(
    {
      keys: fc
        .uniqueArray(fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ minLength: 1, maxLength: 1024 })), {
          minLength: 1,
          maxLength: 8,
          selector: ([csid]) => csid,
          size: "max",
        })
        .map((entries) => new Map(entries.sort(([a], [b]) => a - b))),
      invite: fc.uint8Array({ minLength: 1, maxLength: 1350, size: "max" }).map(toBase32),
    },
    { requiredKeys: ["keys"] },
  );
  fc.assert(
    fc.property(published, fc.infiniteStream(fc.nat()), (each, order) => {
      const records = encodeTxt(each);
      for (const record of records) expect(record.length).toBeLessThanOrEqual(255);
      const shuffled = records
        .map((record) => ({ record, at: order.next().value ?? 0 }))
        .sort((a, b) => a.at - b.at)
        .map(({ record }) => record);
      expect(parseTxt(shuffled)).toEqual(each);
    }),
  );
  expect(() => encodeTxt({ keys, invite: "a".repeat(2161) })).toThrow(/too long/);
});

test("a WebFinger answer leads to its first link of our relation, when that may be asked", () => {
  const href = "https://www.example.com/~user1/link.json";
  const links = [
    { rel: "other", href: "https://x.test/" },
    { rel: LINK_REL, href },
    { rel: LINK_REL, href: "https://y.test/" },
  ];
  expect(linkHref({ subject: "http://example.com/~user1", links })).toBe(href);
  expect(
    linkHref({
      links: [
        { rel: LINK_REL, href: "http://x.test/" },
        { rel: LINK_REL, href },
      ],
    }),
  ).toBeUndefined();
  expect(jwksUri({ issuer: "x", jwks_uri: href })).toBe(href);
  expect(jwksUri({ jwks_uri: "https://127.0.0.1/" })).toBeUndefined();
  expect(["example.com", "127.0.0.1", "::1", undefined].map(isHostName)).toEqual([true, false, false, false]);
});

test("no JSON and no records make the readers throw", () => {
  fc.assert(
    fc.property(fc.jsonValue(), fc.array(fc.string()), (json, records) => {
      const value = json as never;
      for (const each of [value, { links: value }, { links: [value] }, { keys: value }, { keys: [value] }] as const) {
        expect(linkHref(each)).toBeUndefined();
        expect(linkInJwks(portable, each)).toBeUndefined();
        jwksUri(each);
      }
      parseTxt(records);
    }),
  );
  const jwk = linkJwk({ hashname: hashnameOf(portable, keys), keys, paths: [] });
  expect(linkInJwks(portable, { keys: [null, 7, { kty: "EC" }, jwk] })?.keys).toEqual(keys);
});
