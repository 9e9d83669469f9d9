import fc from "fast-check";
import { expect, test } from "vitest";
import { toHex } from "../bytes/index.ts";
import { createCrypto, createIdentity, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import type { Card } from "./card.ts";
import { cardFor, type Device, parseSync, type Sync, syncText } from "./sync.ts";

const crypto = createCrypto(portable, [cs01()]);
const { random } = new Chance(9);
const [laptop, phone, tablet, bob, carol] = Array.from({ length: 5 }, () => createIdentity(crypto, random)) as [
  Whoever,
  Whoever,
  Whoever,
  Whoever,
  Whoever,
];
type Whoever = ReturnType<typeof createIdentity>;
const PATHS = [{ type: "mem", name: "here" }];

function deviceOf({ hashname, keys }: Whoever, at: number): Device {
  const cache = {
    hashname: carol.hashname,
    keys: carol.keys,
    paths: PATHS,
    key: random(32),
    cap: 9,
    quota: 10,
    store: "s",
  };
  return { hashname, keys, paths: PATHS, caches: [cache], at };
}

function cardOf(uri: string, others: [Whoever, string][]): Card {
  const { hashname, keys } = carol;
  const list = others.map(([device, each]) => [device.hashname, each] as const);
  const cache = { hashname, keys, paths: [], uri, cap: 1, store: hashname, ...(list.length > 0 && { others: list }) };
  const peer = { hashname: bob.hashname, keys: bob.keys, paths: PATHS, since: 0, caches: [cache] };
  return { id: random(16), version: 3, by: bob.hashname, features: [], suites: [], peers: [peer] };
}

test("what devices tell each other is read as it was written", () => {
  const all: Sync[] = [
    {
      type: "family",
      card: toHex(random(16)),
      version: 7,
      name: "Alice",
      devices: [deviceOf(laptop, 5), { hashname: phone.hashname, at: 6, gone: true }],
    },
    { type: "family", card: toHex(random(16)), version: 0, name: undefined, devices: [] },
    { type: "contact", card: cardOf("x", [[phone, "y"]]), shown: [bob.hashname] },
    { type: "forget", contact: toHex(random(16)) },
  ];
  for (const sync of all) expect(parseSync(portable, syncText(sync))).toEqual(sync);
});

test("no text makes reading throw, and what is not as it should be is refused as a whole", () => {
  const good = syncText({
    type: "family",
    card: toHex(random(16)),
    version: 7,
    name: "A",
    devices: [deviceOf(laptop, 5)],
  });
  for (const [from, to] of [
    ['"v":1', '"v":2'],
    ['"type":"family"', '"type":"clan"'],
    ['"version":7', '"version":-1'],
    ['"at":5', '"at":"5"'],
    ['"store":"s"', '"store":"a b"'],
    ['"cap":9', '"cap":null'],
    ['"key":"', '"key":"a'],
  ] as const) {
    expect(good).toContain(from);
    expect(parseSync(portable, good.replace(from, to))).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.json()), (text) => {
      expect(parseSync(portable, text)).toBeUndefined();
    }),
  );
});

test("a card is handed on with the other device's way in, and ours among those of others", () => {
  const card = cardOf("ours", [
    [phone, "the-phones"],
    [tablet, "the-tablets"],
  ]);
  const cacheIn = (each: Card) => each.peers[0]?.caches[0];
  const handed = cardFor(card, phone.hashname, laptop.hashname);
  expect(cacheIn(handed)).toMatchObject({
    uri: "the-phones",
    others: [
      [tablet.hashname, "the-tablets"],
      [laptop.hashname, "ours"],
    ],
  });
  // And back again nothing is lost.
  expect(cacheIn(cardFor(handed, laptop.hashname, phone.hashname))?.uri).toBe("ours");
  expect(cacheIn(cardFor(cardOf("ours", []), phone.hashname, laptop.hashname))).toMatchObject({
    uri: "",
    others: [[laptop.hashname, "ours"]],
  });
});
