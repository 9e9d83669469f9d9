import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, equal, type Random, utf8 } from "../bytes/index.ts";
import {
  type CipherSet,
  createCrypto,
  createIdentity,
  type Hashname,
  hashnameBytes,
  portable,
} from "../crypto/index.ts";
import { openMessage, sealMessage } from "../e3x/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { openFromContact } from "./open.ts";
import { type Seeded, sealSeeded } from "./seal.ts";

const crypto = createCrypto(portable);
const alice = createIdentity(crypto, new Chance(1).random);
const bob = createIdentity(crypto, new Chance(2).random);
const carol = createIdentity(crypto, new Chance(3).random);
const SEED = new Uint8Array(32).fill(5);
const seeded: Seeded = { seed: SEED, recipient: bob.hashname, generation: 0, inner: utf8("the inner packet") };
const seal = (more: Partial<Seeded> = {}) =>
  sealSeeded(crypto, alice, bob.keys, { ...seeded, ...more }) ?? expect.fail("not sealed");
/** Ephemeral key and nonce, as they stand behind the outer packet's 3 bytes. */
const once = (sealed: Uint8Array) => [sealed.slice(3, 35), sealed.slice(35, 59)] as const;

test("a part sealed again, after a restart too, has the same bytes", () => {
  const first = seal();
  expect(seal()).toEqual(first);
  const restarted = createCrypto(portable);
  expect(sealSeeded(restarted, alice, bob.keys, seeded)).toEqual(first);
  expect(first.length).toBe(seeded.inner.length + (crypto.sets.get(0x3a)?.overhead ?? 0));
});

test("[A5] [A35] every sealed part has an ephemeral key of its own in front, for whatever differs", () => {
  const others: Partial<Seeded>[] = [
    { seed: SEED.map((byte, i) => (i === 31 ? byte ^ 1 : byte)) },
    { recipient: carol.hashname },
    { generation: 1 },
    { generation: 2 ** 24 },
    { inner: utf8("the inner packeT") },
    { inner: concat(seeded.inner, Uint8Array.of(0)) },
  ];
  const all = [seal(), ...others.map(seal)].map(once);
  for (const [i, [key, nonce]] of all.entries()) {
    expect(crypto.sets.get(0x3a)?.isKey(key)).toBe(true);
    for (const [otherKey, otherNonce] of all.slice(i + 1)) {
      expect(equal(key, otherKey)).toBe(false);
      expect(equal(nonce, otherNonce)).toBe(false);
    }
  }
});

test("the randomness is HKDF of seed, recipient, generation and digest, as the page says", () => {
  const info = (s: Seeded, recipient: Hashname) =>
    concat(utf8("restante/seal/1"), hashnameBytes(recipient), Uint8Array.of(0, 0, 1, 2), portable.sha256(s.inner));
  const bytes = portable.hkdf(SEED, new Uint8Array(0), info(seeded, bob.hashname), 56);
  let at = 0;
  const random: Random = (length) => {
    at += length;
    return bytes.slice(at - length, at);
  };
  const expected = sealMessage(crypto, { from: alice, to: bob.keys, inner: seeded.inner, random });
  expect(seal({ generation: 0x102 })).toEqual(expected);
  expect(once(seal({ generation: 0x102 }))).toEqual([portable.x25519Key(bytes.slice(0, 32)), bytes.slice(32)]);
});

test("a cipher set may draw any amount, in any pieces: it is one stream", () => {
  const drawn: Uint8Array[] = [];
  const pieces = [1, 60, 40, 300, 0, 7];
  const greedy: CipherSet = {
    ...cs01(),
    exchange(key, random) {
      drawn.push(...pieces.map(random));
      return cs01().exchange(key, () => new Uint8Array(32));
    },
  };
  const other = createCrypto(portable, [greedy]);
  const [from, to] = [createIdentity(createCrypto(portable, [cs01()]), new Chance(1).random), carol];
  const keys = createIdentity(createCrypto(portable, [cs01()]), new Chance(2).random).keys;
  sealSeeded(other, from, keys, { ...seeded, recipient: to.hashname });
  const info = concat(
    utf8("restante/seal/1"),
    hashnameBytes(to.hashname),
    new Uint8Array(4),
    portable.sha256(seeded.inner),
  );
  expect(drawn.map((piece) => piece.length)).toEqual(pieces);
  expect(concat(...drawn)).toEqual(portable.hkdf(SEED, new Uint8Array(0), info, 408));
});

test("no cipher set in common: nothing is sealed", () => {
  expect(sealSeeded(crypto, alice, new Map([[0x2a, new Uint8Array(270)]]), seeded)).toBeUndefined();
  expect(sealSeeded(crypto, alice, new Map(), seeded)).toBeUndefined();
});

test("[A4] [A21] the message layer takes any inner packet, and gives it to the recipient as it was", () => {
  const fast = createCrypto(portable, [cs01()]);
  const [from, to] = [createIdentity(fast, new Chance(1).random), createIdentity(fast, new Chance(2).random)];
  const heads = fc.oneof(fc.constant(""), fc.string({ minLength: 1, maxLength: 6 }), fc.constant('{"no":"type"}'));
  fc.assert(
    fc.property(heads, fc.uint8Array(), (head, body) => {
      const inner = concat(Uint8Array.of(0, utf8(head).length), utf8(head), body);
      const sealed = sealSeeded(fast, from, to.keys, { ...seeded, inner }) ?? expect.fail();
      expect(openFromContact(fast, to, sealed, from.keys)).toEqual(inner);
    }),
  );
});

test("[X9] a sealed part is an exchange of its own: its prefix is stable over retries and shared with no other part", () => {
  const prefixes = new Set<string>();
  for (let n = 0; n < 20; n++) {
    const inner = utf8(`part ${n}`);
    const tokens = [seal({ inner }), seal({ inner })].map((sealed) => openMessage(crypto, bob, sealed)?.token.join());
    expect(tokens[0]).toBe(tokens[1]);
    prefixes.add(tokens[0] ?? expect.fail());
  }
  expect(prefixes.size).toBe(20);
});
