import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, fromUtf8, toHex, utf8 } from "../bytes/index.ts";
import { type Hashname, hashnameOf, type Keys, portable } from "../crypto/index.ts";
import { type BazaarAddress, bazaarInRoom, bazaarJson, decodeBazaar, encodeBazaar, parseBazaar } from "./bazaar.ts";
import { type Card, type CardPeer, encodeCard, fits, parseCard } from "./card.ts";
import { fitted } from "./fitted.ts";
import { encodeInvite, parseInvite } from "./invite.ts";

const key = Uint8Array.of(8, 1, 18, 32, ...new Uint8Array(32).fill(7));
const address: BazaarAddress = {
  key,
  addrs: ["/ip4/203.0.113.7/tcp/4001"],
  push: [{ key: key.map((byte) => byte ^ 1), addrs: [] }],
};
const keysOf = (n: number): Keys => new Map([[0x3a, portable.sha256(Uint8Array.of(n))]]);

function peerOf(n: number, bazaar?: BazaarAddress): CardPeer {
  const keys = keysOf(n);
  return { hashname: hashnameOf(portable, keys), keys, paths: [], since: 0, caches: [], ...(bazaar && { bazaar }) };
}

function cardOf(peers: readonly CardPeer[]): Card {
  const by = peers[0]?.hashname ?? ("" as Hashname);
  return { id: new Uint8Array(16), version: 1, by, features: [], suites: [], peers };
}

const nodes = fc.record({
  key: fc.uint8Array({ minLength: 1, maxLength: 64 }),
  addrs: fc.array(fc.string({ unit: fc.constantFrom(..."/ip4.dns-19az_~!"), minLength: 1, maxLength: 200 }), {
    maxLength: 2,
  }),
});
const addresses = fc.record({ node: nodes, push: fc.array(nodes, { maxLength: 3 }) });

test("where somebody is found goes through a card, and through an invite, and comes back the same", () => {
  fc.assert(
    fc.property(addresses, ({ node, push }) => {
      const bazaar = { ...node, push };
      expect(parseCard(portable, encodeCard(cardOf([peerOf(1, bazaar)])))?.peers[0]?.bazaar).toEqual(bazaar);
      const keys = keysOf(1);
      const hashname = hashnameOf(portable, keys);
      const link = encodeInvite({ keys, hashname, paths: [], caches: [], card: new Uint8Array(16), bazaar });
      expect(parseInvite(portable, link)?.bazaar).toEqual(bazaar);
      expect(bazaarInRoom(bazaar)).toEqual(bazaar);
    }),
    { numRuns: 50 },
  );
});

test("the text in a card and the bytes in an invite are those of the vector", () => {
  const file = new URL("../../../../protocol/vectors/card.json", import.meta.url);
  const { bazaar } = JSON.parse(readFileSync(file, "utf8")) as { bazaar: { card: object; invite: string } };
  const text = fromUtf8(encodeCard(cardOf([peerOf(1, address)]))) ?? "";
  expect(text.endsWith(`"bazaar":${JSON.stringify(bazaar.card)}}]}`)).toBe(true);
  expect(toHex(encodeBazaar(address))).toBe(bazaar.invite);
  expect(decodeBazaar(fromHex(bazaar.invite) ?? new Uint8Array(0))).toEqual(address);
});

test("what is not as it should be is as none, and the card or invite around it stays", () => {
  const good = bazaarJson(address);
  const bad: unknown[] = [
    null,
    7,
    [],
    {},
    { ...good, key: "" },
    { ...good, key: "1" },
    { ...good, key: "a".repeat(110) },
    { ...good, addrs: "x" },
    { ...good, addrs: [""] },
    { ...good, addrs: ["a b"] },
    { ...good, addrs: ["x".repeat(201)] },
    { ...good, addrs: ["a", "b", "c"] },
    { ...good, push: [{}] },
    { ...good, push: Array(4).fill({ key: "aaaaaaaa" }) },
  ];
  const text = fromUtf8(encodeCard(cardOf([peerOf(1, address)]))) ?? "";
  for (const each of bad) {
    const json = JSON.parse(text) as { peers: { bazaar: unknown }[] };
    for (const peer of json.peers) peer.bazaar = each;
    const card = parseCard(portable, utf8(JSON.stringify(json)));
    expect(card?.peers).toHaveLength(1);
    expect(card?.peers[0]?.bazaar).toBeUndefined();
  }
  const keys = keysOf(1);
  const path = { type: "udp4", ip: "203.0.113.7", port: 1 };
  const whole = { keys, hashname: hashnameOf(portable, keys), paths: [path], caches: [], card: new Uint8Array(16) };
  const link = encodeInvite({ ...whole, bazaar: address });
  expect(link.startsWith(encodeInvite(whole))).toBe(true); // what readers of before look at is as it was
  for (let at = link.indexOf("bazaar=") + 7; at < link.length; at += 3) {
    const damaged = `${link.slice(0, at)}${link[at] === "a" ? "b" : "a"}${link.slice(at + 1)}`;
    expect(parseInvite(portable, damaged)).toMatchObject({ paths: [path] });
    expect(parseInvite(portable, damaged)?.bazaar).toBeUndefined();
  }
});

test("no bytes make the reader throw, and what it takes is within its limits", () => {
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array({ maxLength: 300 }), fc.json().map(utf8)), (bytes) => {
      const decoded = decodeBazaar(bytes);
      if (decoded !== undefined) expect(bazaarInRoom(decoded)).toEqual(decoded);
    }),
  );
  fc.assert(
    fc.property(fc.jsonValue(), (json) => {
      const parsed = parseBazaar(json as Parameters<typeof parseBazaar>[0]);
      if (parsed !== undefined) expect(bazaarInRoom(parsed)).toEqual(parsed);
    }),
  );
  expect(bazaarInRoom({ ...address, key: new Uint8Array(65) })).toBeUndefined();
  const much = { key, addrs: ["a b", "1", "2", "3"] };
  expect(bazaarInRoom({ ...much, push: [much, much, much, much] })).toEqual({
    ...{ key, addrs: ["1", "2"] },
    push: Array(3).fill({ key, addrs: ["1", "2"] }),
  });
});

test("64 devices fit into a card, if without the bazaar", () => {
  const long = { key: new Uint8Array(64), addrs: ["x".repeat(200), "y".repeat(200)] };
  const card = cardOf(Array.from({ length: 64 }, (_, i) => peerOf(i, { ...long, push: [long, long, long] })));
  const less = fitted(card);
  expect(fits(less)).toBe(true);
  expect(less.peers).toHaveLength(64);
  expect(fitted(cardOf([peerOf(1, address)])).peers[0]?.bazaar).toEqual(address);
});
