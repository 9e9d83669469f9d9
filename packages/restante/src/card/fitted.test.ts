import fc from "fast-check";
import { expect, test } from "vitest";
import { createCrypto, createIdentity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { type Card, type CardPeer, encodeCard, fits, parseCard } from "./card.ts";
import { fitted } from "./fitted.ts";

const crypto = createCrypto(portable, [cs01()]);
const { random } = new Chance(11);
const identities = Array.from({ length: 80 }, () => createIdentity(crypto, random));

/** A card of this many peers, each with so many caches and addresses. */
function cardOf(peers: number, caches: number, paths: number, length = 60): Card {
  const all = (name: string) =>
    Array.from({ length: paths }, (_, i) => ({ type: "mem", name: `${name}${i}`.padEnd(length, "x") }));
  const one = (i: number) => {
    const identity = identities[i];
    if (identity === undefined) throw new Error("too few identities");
    return { hashname: identity.hashname, keys: identity.keys };
  };
  const peer = (i: number): CardPeer => ({
    ...one(i),
    paths: all(`p${i}.`),
    since: 0,
    caches: Array.from({ length: caches }, (_, j) => {
      const cache = one(64 + j);
      return { ...cache, paths: all(`c${j}.`), uri: "u".repeat(140), cap: 1, store: cache.hashname };
    }),
  });
  const by = identities[0]?.hashname;
  if (by === undefined) throw new Error("too few identities");
  return {
    id: random(16),
    version: 3,
    by,
    features: [],
    suites: ["static"],
    peers: Array.from({ length: peers }, (_, i) => peer(i)),
  };
}

test("a card that fits stays as it is, any other becomes one that fits and names the same peers", () => {
  const size = fc.tuple(
    fc.integer({ min: 1, max: 64 }),
    fc.integer({ min: 0, max: 8 }),
    fc.integer({ min: 0, max: 16 }),
  );
  fc.assert(
    fc.property(size, ([peers, caches, paths]) => {
      const card = cardOf(peers, caches, paths);
      const less = fitted(card);
      if (fits(card)) expect(less).toBe(card);
      expect(parseCard(portable, encodeCard(less))?.peers.map(({ hashname }) => hashname)).toEqual(
        card.peers.map(({ hashname }) => hashname),
      );
      expect(fitted(card)).toEqual(less);
    }),
    { numRuns: 25 },
  );
});

test("8 devices with 8 caches each keep all caches; what goes are addresses beyond the first ones", () => {
  const less = fitted(cardOf(8, 8, 5));
  expect(less.peers.map(({ caches }) => caches.length)).toEqual(Array(8).fill(8));
  expect(less.peers[0]?.caches[0]?.paths.length).toBeLessThan(5);
});

test("what nothing of it fits into is given the least of it", () => {
  const { peers } = fitted(cardOf(2, 1, 1), () => false);
  expect(peers.map(({ paths, caches }) => [paths, caches])).toEqual([
    [[], []],
    [[], []],
  ]);
});
