import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, fromUtf8, toBase32, toHex, utf8 } from "../bytes/index.ts";
import { type Hashname, hashnameFromBytes, hashnameOf, type Keys, portable } from "../crypto/index.ts";
import { admissionUri, mintToken } from "./admission.ts";
import { type CacheRef, type Card, type CardPeer, encodeCard, parseCard } from "./card.ts";
import type { Path } from "./path.ts";

interface Vectors {
  card: string;
  read: JsonCard;
  hashnames: { peer: Hashname; caches: Hashname[] };
}

interface JsonCard {
  peers: [{ keys: object; paths: object[]; caches: [object, object] }];
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL("../../../../protocol/vectors/card.json", import.meta.url), "utf8"),
);
const seed = (n: number): Uint8Array => portable.sha256(Uint8Array.of(n >> 8, n & 255));
const keysOf = (n: number): Keys => new Map([[0x3a, seed(n)]]);
const nameOf = (keys: Keys): Hashname => hashnameOf(portable, keys);
const path = (type: string, ip: string, port: number): Path => ({ type, ip, port });

function cacheOf(n: number, recipient: Hashname): CacheRef {
  const keys = keysOf(n);
  const grant = { recipient, class: "contact", until: 0, serial: n, sender: nameOf(keysOf(2)) } as const;
  const paths = [path("udp4", "203.0.113.9", 42424), path("tcp4", "203.0.113.9", 42424)];
  const uri = admissionUri(mintToken(portable, seed(9), grant));
  return { hashname: nameOf(keys), keys, paths, uri, cap: 8 * 2 ** 20, store: `store-${n}` };
}

function peerOf(n: number, caches: number): CardPeer {
  const keys = keysOf(n);
  const hashname = nameOf(keys);
  const paths = [path("udp4", "203.0.113.7", 1), path("tcp6", "2001:db8::1", 2)];
  const list = Array.from({ length: caches }, (_, i) => cacheOf(n * 16 + i + 1000, hashname));
  return { hashname, keys, paths, since: 1_700_000_000_000, caches: list };
}

/** The card of the vector. */
const card: Card = {
  id: seed(3).slice(0, 16),
  version: 3,
  by: nameOf(keysOf(1)),
  features: ["files"],
  suites: ["static"],
  peers: [peerOf(1, 2)],
  name: "Bob \u{1f4ec}",
};

type Where = "card" | "peer" | "cache";

/** The card's JSON with one field of the card, its peer or its first cache changed, as bytes. */
function changed(where: Where, field: string, value: unknown): Uint8Array {
  const json = structuredClone(vectors.read);
  const target = { card: json, peer: json.peers[0], cache: json.peers[0].caches[0] }[where];
  Object.assign(target, { [field]: value });
  return utf8(JSON.stringify(json));
}

test("a card with one peer and two caches, tokens included, has at most 1300 bytes", () => {
  const bytes = encodeCard(card);
  expect(bytes.length).toBeLessThanOrEqual(1300);
  expect(parseCard(portable, bytes)).toEqual(card);
});

test("the bytes are those of the vector, and what is read from them too", () => {
  expect(toHex(encodeCard(card))).toBe(vectors.card);
  const parsed = parseCard(portable, fromHex(vectors.card) ?? new Uint8Array());
  expect(parsed).toEqual(card);
  expect(parsed?.peers[0]?.hashname).toBe(vectors.hashnames.peer);
  expect(parsed?.peers[0]?.caches.map(({ hashname }) => hashname)).toEqual(vectors.hashnames.caches);
});

const cards: fc.Arbitrary<Card> = fc
  .record({
    id: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    version: fc.maxSafeNat(),
    by: fc.uint8Array({ minLength: 32, maxLength: 32 }).map(hashnameFromBytes),
    features: fc.array(fc.stringMatching(/^[a-z0-9-]{1,32}$/), { maxLength: 16 }),
    suites: fc.array(fc.constantFrom("static", "ratchet-1"), { maxLength: 16 }),
    shape: fc.array(fc.nat(3), { minLength: 1, maxLength: 6 }),
    since: fc.maxSafeNat(),
    store: fc.constantFrom(undefined, "a", "A.b_c-9"),
    uri: fc.constantFrom("", "chat://example.com/x?y=1#z"),
    routes: fc.constantFrom(undefined, true as const),
    name: fc.option(fc.stringMatching(/^[a-zA-Z \u00e4\u6f22]{1,64}$/), { nil: undefined }),
    extra: fc.uint8Array({ minLength: 1, maxLength: 60 }),
  })
  .map(({ shape, since, store, uri, routes, name, extra, ...rest }) => ({
    ...rest,
    ...(name === undefined ? {} : { name }),
    peers: shape.map((count, i) => {
      const keys = new Map([[0x1a, extra], ...keysOf(i)]);
      const more = { uri, ...(routes && { routes }) };
      const caches = peerOf(i, count).caches.map((cache) => ({ ...cache, ...more, store: store ?? cache.hashname }));
      return { hashname: nameOf(keys), keys, paths: [], since, caches };
    }),
  }));

test("parse undoes encode; the same card gives the same bytes", () => {
  fc.assert(
    fc.property(cards, (each) => {
      const bytes = encodeCard(each);
      expect(parseCard(portable, bytes)).toEqual(each);
      expect(encodeCard(structuredClone(each))).toEqual(bytes);
      // In memory the order of keys depends on where they came from; on the wire it does not.
      const reversed = each.peers.map((peer) => ({ ...peer, keys: new Map([...peer.keys].reverse()) }));
      expect(encodeCard({ ...each, peers: reversed })).toEqual(bytes);
    }),
  );
});

test("hashnames come from the keys, all of them, whatever the card says", () => {
  const stated = parseCard(portable, changed("peer", "hashname", nameOf(keysOf(7))));
  expect(stated).toEqual(card);
  const keys = { "3a": toBase32(seed(1)), "7f": "ae" };
  const peer = parseCard(portable, changed("peer", "keys", keys))?.peers[0];
  expect(peer?.keys.get(0x7f)).toEqual(Uint8Array.of(1));
  expect(peer?.hashname).toBe(nameOf(new Map([...keysOf(1), [0x7f, Uint8Array.of(1)]])));
});

test("what a newer version adds is left out", () => {
  expect(parseCard(portable, changed("card", "prekeys", { x: [1] }))).toEqual(card);
  expect(parseCard(portable, changed("cache", "mood", "good"))).toEqual(card);
  const paths = [{ type: "quic", ip: "1.2.3.4" }, ...(card.peers[0]?.paths ?? [])];
  expect(parseCard(portable, changed("peer", "paths", paths))).toEqual(card);
});

const many = (count: number): object[] =>
  Array.from({ length: count }, (_, n) => ({ keys: { "3a": toBase32(seed(n)) }, cap: 1 }));

test.each<[why: string, where: Where, field: string, value: unknown]>([
  ["another format", "card", "v", 2],
  ["no format", "card", "v", undefined],
  ["a short id", "card", "id", "00"],
  ["an id in capitals", "card", "id", "AB".repeat(16)],
  ["no version", "card", "version", undefined],
  ["a negative version", "card", "version", -1],
  ["an issuer that is no hashname", "card", "by", "x"],
  ["no peers", "card", "peers", []],
  ["peers that are no list", "card", "peers", {}],
  ["a peer that is no object", "card", "peers", [...many(1), null]],
  ["the same peer twice", "card", "peers", [...many(2), ...many(1)]],
  ["65 peers", "card", "peers", many(65)],
  ["a peer without keys", "peer", "keys", undefined],
  ["a key that is no base32", "peer", "keys", { "3a": "A" }],
  ["17 paths", "peer", "paths", new Array(17).fill({ type: "x" })],
  ["a date that is no number", "peer", "since", "now"],
  ["the same cache twice", "peer", "caches", [...many(2), ...many(1)]],
  ["9 caches", "peer", "caches", many(9)],
  ["a cache without cap", "cache", "cap", undefined],
  ["a cap that is a fraction", "cache", "cap", 0.5],
  ["a URI of 301 bytes", "cache", "uri", "u".repeat(301)],
  ["a URI with a line break", "cache", "uri", "link://x\n"],
  ["a URI that is no text", "cache", "uri", 1],
  ["a store with a space", "cache", "store", "a b"],
  ["an empty name", "card", "name", ""],
  ["a name of 65 characters", "card", "name", "x".repeat(65)],
  ["a name of two lines", "card", "name", "a\nb"],
  ["a name that turns the text around", "card", "name", "a\u202eb"],
  ["a name that is no text", "card", "name", null],
  ["17 features", "card", "features", new Array(17).fill("x")],
  ["a feature in capitals", "card", "features", ["X"]],
  ["suites that are no list", "card", "suites", "static"],
])("a card is refused for %s", (_, where, field, value) => {
  expect(parseCard(portable, changed(where, field, value))).toBeUndefined();
});

test("a cache routes when its card says exactly true, which is written last and otherwise not at all", () => {
  const routes = (value: unknown) =>
    parseCard(portable, changed("cache", "routes", value))?.peers[0]?.caches.map((cache) => cache.routes);
  expect(routes(true)).toEqual([true, undefined]);
  for (const other of [false, 1, "true", null, {}, undefined]) expect(routes(other)).toEqual([undefined, undefined]);
  const [peer = peerOf(1, 0)] = card.peers;
  const caches = peer.caches.map((cache) => ({ ...cache, routes: true as const }));
  const text = fromUtf8(encodeCard({ ...card, peers: [{ ...peer, caches }] }));
  expect(text?.match(/"store":"[^"]*","routes":true}/g)).toHaveLength(2);
  expect(fromUtf8(encodeCard(card))).not.toContain("routes");
});

test("as many as allowed are accepted", () => {
  expect(parseCard(portable, changed("card", "peers", many(64)))?.peers).toHaveLength(64);
  expect(parseCard(portable, changed("peer", "caches", many(8)))?.peers[0]?.caches).toHaveLength(8);
  expect(parseCard(portable, changed("cache", "store", undefined))?.peers[0]?.caches[0]?.store).toBe(
    vectors.hashnames.caches[0],
  );
});

test("a card of more than 32 KiB is neither written nor read", () => {
  const heavy = { ...card, peers: Array.from({ length: 64 }, (_, n) => peerOf(n, 8)) };
  expect(() => encodeCard(heavy)).toThrow(/card/);
  const spaces = (length: number): Uint8Array => {
    const bytes = new Uint8Array(length).fill(0x20);
    bytes.set(encodeCard(card));
    return bytes;
  };
  expect(parseCard(portable, spaces(32 * 1024))).toEqual(card);
  expect(parseCard(portable, spaces(32 * 1024 + 1))).toBeUndefined();
});

test("encoding refuses what no one would accept", () => {
  for (const bad of [{ name: "a\nb" }, { peers: [] }, { version: -1 }, { id: new Uint8Array(15) }, { suites: ["A"] }]) {
    expect(() => encodeCard({ ...card, ...bad })).toThrow(/card/);
  }
  const [peer = peerOf(1, 0)] = card.peers;
  expect(() => encodeCard({ ...card, peers: [peer, peer] })).toThrow(/card/);
});

test("ways in for other devices of the reader are kept, and passed over whole where they are malformed or too many", () => {
  const [peer] = card.peers;
  const [cache] = peer?.caches ?? [];
  if (peer === undefined || cache === undefined) throw new Error("the card has a cache");
  const others = [[peer.hashname, "link:///?t=a"] as const];
  const shared: Card = { ...card, peers: [{ ...peer, caches: [{ ...cache, others }] }] };
  const bytes = encodeCard(shared);
  expect(parseCard(portable, bytes)?.peers[0]?.caches[0]?.others).toEqual(others);
  const spelled = fromUtf8(bytes) ?? "";
  const list = `[["${peer.hashname}","link:///?t=a"]]`;
  expect(spelled).toContain(list);
  const pair = list.slice(1, -1);
  const wrong = [
    "{}",
    "[1]",
    "[[]]",
    `[["x","y"]]`,
    list.replace("link:///?t=a", ""),
    `[${Array(9).fill(pair).join()}]`,
  ];
  for (const each of wrong) {
    const parsed = parseCard(portable, utf8(spelled.replace(list, each)));
    expect(parsed?.peers[0]?.caches[0]).toEqual(parseCard(portable, encodeCard(card))?.peers[0]?.caches[0]);
  }
});

test("no bytes make the parser throw", () => {
  const bytes = encodeCard(card);
  const mutated = fc
    .array(fc.tuple(fc.nat(bytes.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 })
    .map((edits) => {
      const copy = bytes.slice();
      for (const [at, byte] of edits) copy[at] = byte;
      return copy;
    });
  const json = fc.jsonValue().map((value) => utf8(JSON.stringify({ v: 1, peers: value })));
  fc.assert(
    fc.property(fc.oneof(fc.uint8Array(), mutated, json), (input) => {
      const parsed = parseCard(portable, input);
      if (parsed !== undefined) expect(parseCard(portable, encodeCard(parsed))).toEqual(parsed);
    }),
    { numRuns: 500 },
  );
  for (let length = 0; length < bytes.length; length++) {
    expect(parseCard(portable, bytes.subarray(0, length))).toBeUndefined();
  }
});
