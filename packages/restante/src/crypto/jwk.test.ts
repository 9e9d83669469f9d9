import fc from "fast-check";
import { expect, test } from "vitest";
import { toBase32 } from "../bytes/index.ts";
import { hashnameOf } from "./hashname.ts";
import { encodeJwk, parseJwk } from "./jwk.ts";
import { portable } from "./portable.ts";

const keys = new Map([
  [0x1a, new Uint8Array(21).fill(1)],
  [0x3a, new Uint8Array(32).fill(9)],
]);
const identity = { hashname: hashnameOf(portable, keys), keys };
const jwk = encodeJwk(identity);

test("[E15] a JWK has the members of link.md, and its kid is the hashname of all its keys", () => {
  expect(jwk).toEqual({
    kty: "hashname",
    kid: identity.hashname,
    use: "link",
    cs1a: toBase32(new Uint8Array(21).fill(1)),
    cs3a: toBase32(new Uint8Array(32).fill(9)),
  });
  expect(Object.keys(jwk)).toEqual(["kty", "kid", "use", "cs1a", "cs3a"]);
  expect(parseJwk(portable, jwk)).toEqual(identity);
  expect(parseJwk(portable, { ...jwk, alg: "none", x5c: [1], paths: [], cs3A: "x", cs1: 7 })).toEqual(identity);
});

const [, other] = Object.entries(encodeJwk({ ...identity, keys: new Map([[0x3a, new Uint8Array(32)]]) })).at(-1) ?? [];
test.each<[string, unknown]>([
  ["nothing", undefined],
  ["null", null],
  ["a text", "jwk"],
  ["a list", []],
  ["another type", { ...jwk, kty: "OKP" }],
  ["no type", { ...jwk, kty: undefined }],
  ["another use", { ...jwk, use: "sig" }],
  ["no use", { ...jwk, use: undefined }],
  ["no kid", { ...jwk, kid: undefined }],
  ["a kid that is no text", { ...jwk, kid: 1 }],
  ["a foreign key", { ...jwk, cs3a: other }],
  ["one key less", { ...jwk, cs1a: undefined }],
  ["one key more", { ...jwk, cs2a: "aa" }],
  ["a key in upper case", { ...jwk, cs3a: jwk["cs3a"]?.toUpperCase() }],
  ["the CSID that is never valid", { ...jwk, cs00: "aa" }],
  ["no keys", { kty: "hashname", use: "link", kid: identity.hashname }],
])("a JWK with %s is refused", (_, value) => {
  expect(parseJwk(portable, value)).toBeUndefined();
});

test("any combination of keys goes through a JWK and back", () => {
  const csids = fc.uniqueArray(fc.integer({ min: 1, max: 255 }), { minLength: 1, maxLength: 8 });
  fc.assert(
    fc.property(csids, fc.uint8Array({ minLength: 1, maxLength: 300 }), (chosen, key) => {
      const keys = new Map(chosen.sort((a, b) => a - b).map((csid) => [csid, key]));
      const identity = { hashname: hashnameOf(portable, keys), keys };
      expect(parseJwk(portable, JSON.parse(JSON.stringify(encodeJwk(identity))))).toEqual(identity);
    }),
  );
});

test("no JSON makes the parser throw", () => {
  fc.assert(
    fc.property(
      fc.dictionary(fc.constantFrom("kty", "kid", "use", "cs1a", "cs3a", "cs00"), fc.jsonValue()),
      (value) => {
        expect(parseJwk(portable, { ...value, kty: "hashname", use: "link" })).toBeUndefined();
      },
    ),
  );
});
