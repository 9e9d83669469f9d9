import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromUtf8 } from "../bytes/index.ts";
import { hashnameOf, portable } from "../crypto/index.ts";
import type { Json } from "../wire/index.ts";
import { type Card, encodeCard, parseCard } from "./card.ts";
import { offerJson, parseOffer } from "./offer.ts";

test("the vector: an offer as it stands in a card", () => {
  const file = new URL("../../../../protocol/vectors/card.json", import.meta.url);
  const { offer } = JSON.parse(readFileSync(file, "utf8")) as { offer: { quota: number; cap: number } };
  const keys = new Map([[0x3a, new Uint8Array(32).fill(1)]]);
  const hashname = hashnameOf(portable, keys);
  const base = { id: new Uint8Array(16), version: 1, by: hashname, features: [], suites: [] };
  const card: Card = { ...base, peers: [{ hashname, keys, paths: [], since: 0, caches: [], offer }] };
  const text = fromUtf8(encodeCard(card)) ?? "";
  expect(text.endsWith(`,"offer":${JSON.stringify(offer)}}]}`)).toBe(true);
  expect(parseCard(portable, encodeCard(card))).toEqual(card);
});

test("an offer reads back as it was written, and keeps nothing else of what it was read from", () => {
  const natural = fc.integer({ min: 0, max: Number.MAX_SAFE_INTEGER });
  fc.assert(
    fc.property(natural, natural, (quota, cap) => {
      expect(parseOffer({ ...offerJson({ quota, cap }), more: "of it" })).toEqual({ quota, cap });
    }),
  );
});

test("whatever is no offer is none", () => {
  const none: (Json | undefined)[] = [undefined, null, true, "64 MiB", [], [1, 2], {}, { quota: 1 }, { cap: 1 }];
  for (const json of [...none, { quota: -1, cap: 1 }, { quota: 1, cap: 1.5 }, { quota: "1", cap: 1 }])
    expect(parseOffer(json)).toBeUndefined();
  fc.assert(fc.property(fc.jsonValue(), (json) => void parseOffer(json as Json)));
});
