import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, toHex, utf8 } from "../bytes/index.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import {
  type CipherSet,
  createCrypto,
  createIdentity,
  cs1a,
  cs3a,
  exportIdentity,
  hashnameOf,
  highestCommon,
  importIdentity,
  type Keys,
  order,
  portable,
  type Rsa,
  routingToken,
} from "./index.ts";

const key = new Uint8Array(32).fill(1);
const draw = (length: number) => portable.sha256(utf8(String(length))).slice(0, length);

test("[E5] of the sets that both have, the highest is used", () => {
  const sets = [0x01, 0x1a, 0x3a, 0x40].map((csid): CipherSet => ({ ...cs01(), csid }));
  fc.assert(
    fc.property(fc.subarray(sets), csids, csids, (known, ours, theirs) => {
      const common = known.map((set) => set.csid).filter((csid) => ours.includes(csid) && theirs.includes(csid));
      const expected = common.length > 0 ? Math.max(...common) : undefined;
      const crypto = createCrypto(portable, known);
      expect(highestCommon(crypto, keysOf(ours), keysOf(theirs))).toBe(expected);
      expect(highestCommon(crypto, keysOf(theirs), keysOf(ours))).toBe(expected);
    }),
  );
});

test("[E5] a set for which a key has the wrong form is not in common", () => {
  const crypto = createCrypto(portable, [cs01(), cs3a(portable)]);
  const short = new Map([
    [0x01, key],
    [0x3a, key.subarray(1)],
  ]);
  expect(highestCommon(crypto, keysOf([0x01, 0x3a]), keysOf([0x01, 0x3a]))).toBe(0x3a);
  expect(highestCommon(crypto, keysOf([0x01, 0x3a]), short)).toBe(0x01);
});

test("[E5] a cipher set stands once, and 0x00 is none", () => {
  expect([...createCrypto(portable).sets.keys()]).toEqual([0x3a]);
  expect(() => createCrypto(portable, [{ ...cs01(), csid: 0 }])).toThrow("CSID");
  expect(() => createCrypto(portable, [{ ...cs01(), csid: 256 }])).toThrow("CSID");
  expect(() => createCrypto(portable, [cs01(), cs01()])).toThrow("once");
});

test("[E10] of two peers exactly one is odd: the one with the first higher bit", () => {
  const keys = fc.uint8Array({ minLength: 32, maxLength: 32 });
  fc.assert(
    fc.property(keys, keys, (ours, theirs) => {
      const [us, them] = [toHex(ours), toHex(theirs)]; // as text they sort as their bits do
      expect(order(ours, theirs)).toBe(us > them ? 1 : 0);
      if (us !== them) expect(order(ours, theirs) + order(theirs, ours)).toBe(1);
    }),
  );
  expect(
    order(
      key,
      Uint8Array.from(key, (byte, i) => (i === 31 ? byte + 1 : byte)),
    ),
  ).toBe(0);
});

test("[A26] a routing token is 16 bytes of SHA-256 of the first 16, whatever follows", () => {
  const first = fromHex("000102030405060708090a0b0c0d0e0f") ?? new Uint8Array();
  const known = "be45cb2605bf36bebde684841a28f0fd";
  expect(toHex(routingToken(portable, first))).toBe(known);
  expect(toHex(routingToken(portable, Uint8Array.from([...first, 9, 9, 9])))).toBe(known);
});

test("an identity has a pair of the highest cipher set, unless more are asked for", () => {
  const crypto = createCrypto(portable, [cs3a(portable), cs1a(portable), cs01()]);
  expect([...createIdentity(crypto, draw).pairs.keys()]).toEqual([0x3a]);
  expect([...createIdentity(crypto, draw, [0x3a, 0x1a]).pairs.keys()]).toEqual([0x1a, 0x3a]);
  expect([...createIdentity(crypto, draw, [0x01]).pairs.keys()]).toEqual([0x01]);
  for (const wrong of [[], [0x2a], [0x3a, 0x2a]]) expect(() => createIdentity(crypto, draw, wrong)).toThrow("sets");
});

test("2a comes with a backend that has RSA, 1a only to who asks for it", () => {
  expect([...createCrypto({ ...portable, rsa }).sets.keys()]).toEqual([0x2a, 0x3a]);
  expect([...createCrypto(portable, [cs1a(portable)]).sets.keys()]).toEqual([0x1a]);
});

test("an identity's hashname is that of its keys", () => {
  const crypto = createCrypto(portable, [cs3a(portable), cs01()]);
  const identity = createIdentity(crypto, draw, [0x01, 0x3a]);
  expect([...identity.keys.keys()]).toEqual([0x01, 0x3a]);
  expect([...identity.pairs.values()].map((pair) => pair.key)).toEqual([...identity.keys.values()]);
  expect(identity.hashname).toBe(hashnameOf(portable, identity.keys));
});

test("an identity survives its export as JSON", () => {
  const crypto = createCrypto(portable, [cs3a(portable), cs01()]);
  const identity = createIdentity(crypto, draw, [0x01, 0x3a]);
  const exported: unknown = JSON.parse(JSON.stringify(exportIdentity(identity)));
  expect(exported).toMatchObject({ hashname: identity.hashname, secrets: { "01": expect.any(String) } });
  expect(importIdentity(crypto, exported)).toEqual(identity);
});

test("the identities of the vectors are taken, with the keys of sets that we do not speak", () => {
  const file = new URL("../../../../vectors/telehash/messages.json", import.meta.url);
  const { sender } = JSON.parse(readFileSync(file, "utf8")) as { sender: { hashname: string; keys: object } };
  const identity = importIdentity(createCrypto(portable), sender);
  expect(identity?.hashname).toBe(sender.hashname);
  expect([...(identity?.keys.keys() ?? [])]).toEqual([0x1a, 0x2a, 0x3a]);
  expect([...(identity?.pairs.keys() ?? [])]).toEqual([0x3a]);
});

test("what is no whole identity is refused, without a throw", () => {
  const crypto = createCrypto(portable, [cs01()]);
  const mine = exportIdentity(createIdentity(crypto, draw));
  const other = exportIdentity(createIdentity(crypto, (length) => draw(length).fill(7)));
  expect(other.hashname).not.toBe(mine.hashname);
  const refused: unknown[] = [
    { ...mine, hashname: other.hashname },
    { ...mine, secrets: other.secrets },
    { ...mine, keys: other.keys },
    { ...mine, keys: {} },
    { ...mine, secrets: {} },
    { ...mine, secrets: { "3a": mine.secrets["01"] } },
    { ...mine, secrets: { "01": "aa" } },
    { keys: mine.keys, secrets: mine.secrets },
    { hashname: mine.hashname, keys: mine.keys },
  ];
  for (const value of refused) expect(importIdentity(crypto, value)).toBeUndefined();
  fc.assert(fc.property(fc.anything(), (value) => void importIdentity(crypto, value)));
});

/** RSA that does nothing: to be there is enough. */
const rsa: Rsa = {
  generate: () => ({ key, secret: key }),
  keyPair: () => undefined,
  encrypt: (_, block) => block,
  decrypt: () => undefined,
  sign: () => key,
  verify: () => false,
  sha1: () => key,
};

const csids = fc.uniqueArray(fc.constantFrom<number[]>(0x01, 0x1a, 0x2a, 0x3a, 0x40, 0xff));

function keysOf(ids: readonly number[]): Keys {
  return new Map(ids.map((csid) => [csid, key]));
}
