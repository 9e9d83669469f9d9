import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromHex, toHex } from "../bytes/index.ts";
import { type Hashname, hashnameFromBytes, portable } from "../crypto/index.ts";
import {
  admissionUri,
  admissionWork,
  cacheKey,
  editionSerial,
  encodeJoinAnswer,
  encodeJoinLink,
  encodeRevocations,
  mintToken,
  parseAdmissionUri,
  parseJoinAnswer,
  parseJoinLink,
  parseRevocations,
  recipientKey,
  TOKEN_BYTES,
  type TokenClass,
  tokenSerial,
  verifyToken,
} from "./admission.ts";
import { parseLink } from "./link.ts";

interface Vectors {
  cacheSecret: string;
  cacheKey: string;
  recipient: Hashname;
  recipientKey: string;
  cache: Hashname;
  cacheOwnKey: string;
  accept: {
    class: TokenClass;
    recipient: Hashname;
    until: number;
    serial: number;
    work?: number;
    sender?: Hashname;
    shownBy: Hashname;
    token: string;
    uri: string;
  }[];
  reject: { why: string; token: string; shownBy: Hashname; now: number }[];
  revocations: { serials: number[]; body: string };
  editions: {
    recipient: Hashname;
    edition: number;
    key: string;
    tokens: {
      class: TokenClass;
      until: number;
      serial: number;
      work?: number;
      sender?: Hashname;
      shownBy: Hashname;
      token: string;
    }[];
  };
}

const vectors: Vectors = JSON.parse(
  readFileSync(new URL("../../../../protocol/vectors/admission.json", import.meta.url), "utf8"),
);
const hex = (text: string): Uint8Array => fromHex(text) ?? new Uint8Array();
const peer = (seed: number): Hashname => hashnameFromBytes(portable.sha256(Uint8Array.of(seed)));
const [cache, bob, alice, eve] = [peer(0), peer(1), peer(2), peer(3)];
const kC = cacheKey(portable, new Uint8Array(32).fill(7));
const kR = recipientKey(portable, kC, bob);
const uint48 = fc.maxSafeNat().map((n) => n % 2 ** 48);

test("the keys are those of the vectors", () => {
  const key = cacheKey(portable, hex(vectors.cacheSecret));
  expect(toHex(key)).toBe(vectors.cacheKey);
  expect(toHex(recipientKey(portable, key, vectors.recipient))).toBe(vectors.recipientKey);
  expect(toHex(recipientKey(portable, key, vectors.cache))).toBe(vectors.cacheOwnKey);
});

test.each(vectors.accept)("a $class token until $until is minted and verified as in the vectors", (row) => {
  const key = recipientKey(portable, hex(vectors.cacheKey), row.recipient);
  const { token, uri, shownBy, sender, ...grant } = row;
  expect(toHex(mintToken(portable, key, { ...grant, sender }))).toBe(token);
  expect(verifyToken(portable, hex(vectors.cacheKey), hex(token), shownBy, 0)).toEqual(grant);
  expect(admissionUri(hex(token))).toBe(uri);
  expect(parseAdmissionUri(uri)).toEqual(hex(token));
  expect(admissionWork(uri)).toBe(grant.work ?? 0);
});

test.each(vectors.reject)("no admission: $why", ({ token, shownBy, now }) => {
  expect(verifyToken(portable, hex(vectors.cacheKey), hex(token), shownBy, now)).toBeUndefined();
});

test("a token minted with the recipient's key verifies with the cache's, for the named sender alone", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<TokenClass>("member", "contact", "invite"),
      fc.nat(2 ** 31),
      uint48,
      (kind, until, serial) => {
        const sender = kind === "contact" ? alice : undefined;
        const token = mintToken(portable, kR, { recipient: bob, class: kind, until, serial, sender });
        const now = until === 0 ? 2 ** 60 : until * 1000 - 1;
        const granted = { recipient: bob, class: kind, until, serial };
        const shown = (by: Hashname, at: number) => verifyToken(portable, kC, token, by, at);
        expect(shown(bob, now)).toEqual(kind === "contact" ? undefined : granted);
        expect(shown(alice, now)).toEqual(kind === "member" ? undefined : granted);
        expect(shown(eve, now)).toEqual(kind === "invite" ? granted : undefined);
        if (until > 0) for (const by of [alice, bob, eve]) expect(shown(by, until * 1000)).toBeUndefined();
      },
    ),
  );
});

test("tokens of later editions are minted and verified as in the vectors", () => {
  const { recipient, edition, key, tokens } = vectors.editions;
  expect(toHex(recipientKey(portable, hex(vectors.cacheKey), recipient, edition))).toBe(key);
  for (const { token, shownBy, sender, ...grant } of tokens) {
    expect(toHex(mintToken(portable, hex(key), { ...grant, recipient, edition, sender }))).toBe(token);
    expect(verifyToken(portable, hex(vectors.cacheKey), hex(token), shownBy, 0)).toEqual({
      ...grant,
      recipient,
      edition,
    });
  }
});

test("a token is of one edition, and no key of another edition makes it; what an edition begins with stands for all of it", () => {
  const edition = fc.integer({ min: 1, max: 255 });
  const kinds = fc.constantFrom<TokenClass>("member", "contact", "invite");
  fc.assert(
    fc.property(edition, edition, kinds, fc.string(), fc.nat(3), (one, other, kind, holder, times) => {
      const key = recipientKey(portable, kC, bob, one);
      const serial = tokenSerial(portable, key, holder, times, one);
      expect(Math.floor(serial / 2 ** 40)).toBe(one);
      expect(editionSerial(one)).toBe(one * 2 ** 40);
      const sender = kind === "contact" ? bob : undefined;
      const grant = { recipient: bob, class: kind, until: 0, serial, edition: one };
      const token = mintToken(portable, key, { ...grant, sender });
      expect(verifyToken(portable, kC, token, bob, 0)).toEqual(grant);
      for (const wrong of [kR, recipientKey(portable, kC, bob, other)])
        if (wrong === kR || other !== one)
          expect(verifyToken(portable, kC, mintToken(portable, wrong, { ...grant, sender }), bob, 0)).toBeUndefined();
    }),
  );
  const mint = (more: object) => () =>
    mintToken(portable, kR, { recipient: bob, class: "invite", until: 0, serial: 1, ...more });
  for (const more of [
    { edition: 1 }, // not the first byte of the serial
    { edition: 256, serial: 2 ** 48 },
    { edition: -1 },
    { edition: 1.5 },
    { edition: 1, serial: 2 ** 40, class: "join" },
  ])
    expect(mint(more)).toThrow();
  // In the classes of later editions the first one is none.
  const first = mintToken(portable, kR, { recipient: bob, class: "invite", until: 0, serial: 2 ** 40, edition: 1 });
  first[39] = 0;
  expect(verifyToken(portable, kC, first, bob, 0)).toBeUndefined();
});

test("a token speaks for its recipient only, and only at its own cache", () => {
  const forged = mintToken(portable, kR, { recipient: eve, class: "invite", until: 0, serial: 1 });
  expect(verifyToken(portable, kC, forged, alice, 0)).toBeUndefined();
  const token = mintToken(portable, kR, { recipient: bob, class: "invite", until: 0, serial: 1 });
  expect(verifyToken(portable, cacheKey(portable, new Uint8Array(32)), token, alice, 0)).toBeUndefined();
  expect(verifyToken(portable, kR, token, alice, 0)).toBeUndefined();
  // A member may mint class join, but never in the name of the cache.
  const join = mintToken(portable, kR, { recipient: bob, class: "join", until: 0, serial: 1 });
  expect(verifyToken(portable, kC, join, alice, 0)?.recipient).toBe(bob);
});

test("no changed bit and no cut leaves a token valid", () => {
  const token = mintToken(portable, kR, { recipient: bob, class: "invite", until: 5_000_000_000, serial: 9 });
  expect(token.length).toBe(TOKEN_BYTES);
  for (let bit = 0; bit < token.length * 8; bit++) {
    const changed = token.slice();
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    expect(verifyToken(portable, kC, changed, alice, 0)).toBeUndefined();
  }
  for (let length = 0; length < token.length; length++) {
    expect(verifyToken(portable, kC, token.subarray(0, length), alice, 0)).toBeUndefined();
  }
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
      expect(verifyToken(portable, kC, bytes, alice, 0)).toBeUndefined();
    }),
  );
});

test("an invite's token can ask for work, 1 to 24 bits; no other class can, and no other number is minted or read", () => {
  fc.assert(
    fc.property(
      fc.constantFrom<TokenClass>("join", "member", "contact", "invite"),
      fc.integer({ min: -2, max: 40 }),
      (kind, work) => {
        const sender = kind === "contact" ? alice : kind === "member" ? bob : undefined;
        const mint = () => mintToken(portable, kR, { recipient: bob, class: kind, until: 0, serial: 1, work, sender });
        if (work < 0 || work > 24 || (work > 0 && kind !== "invite")) {
          expect(mint).toThrow(/work/);
          return;
        }
        const granted = verifyToken(portable, kC, mint(), sender ?? alice, 0);
        expect(granted).toMatchObject({ class: kind, serial: 1 });
        expect(granted?.work).toBe(work === 0 ? undefined : work);
        expect(admissionWork(admissionUri(mint()))).toBe(work);
      },
    ),
  );
  for (const work of [0.5, Number.NaN, Number.POSITIVE_INFINITY])
    expect(() => mintToken(portable, kR, { recipient: bob, class: "invite", until: 0, serial: 1, work })).toThrow();
});

test("a URI that is no admission URI, and any 77 bytes in one, ask for 0 to 24 bits of work", () => {
  for (const uri of [undefined, "", "link:///?t=abc", "https://example.org/"]) expect(admissionWork(uri)).toBe(0);
  const least = { minLength: TOKEN_BYTES, maxLength: TOKEN_BYTES };
  fc.assert(
    fc.property(fc.uint8Array(least), (bytes) => {
      const work = admissionWork(admissionUri(bytes));
      expect(work >= 0 && work <= 24).toBe(true);
    }),
  );
});

test("minting refuses a sender that does not suit the class, and numbers that do not fit", () => {
  const mint = (grant: Partial<Parameters<typeof mintToken>[2]>) => () =>
    mintToken(portable, kR, { recipient: bob, class: "contact", until: 0, serial: 0, ...grant });
  expect(mint({})).toThrow(/contact/);
  expect(mint({ class: "member", sender: alice })).toThrow(/member/);
  expect(mint({ class: "invite", sender: alice })).toThrow(/invite/);
  expect(mint({ class: "join", sender: alice })).toThrow(/join/);
  expect(mint({ sender: alice, until: -1 })).toThrow(/until/);
  expect(mint({ sender: alice, until: Number.NaN })).toThrow(/until/);
  expect(mint({ sender: alice, serial: 2 ** 48 })).toThrow(/serial/);
  expect(mint({ class: "member", sender: bob })()).toEqual(mint({ class: "member" })());
});

test("[E15] an admission URI is a link without keys, at most 300 bytes, and names one token", () => {
  const token = mintToken(portable, kR, { recipient: bob, class: "invite", until: 0, serial: 0 });
  const uri = admissionUri(token, "203.0.113.7:4242");
  expect(parseLink(uri)).toMatchObject({ scheme: "link", host: "203.0.113.7", port: 4242, keys: new Map() });
  expect(parseAdmissionUri(uri)).toEqual(token);
  expect(parseAdmissionUri(uri.replace("link:", "chat:"))).toEqual(token);
  const text = uri.slice(uri.indexOf("t=") + 2);
  for (const bad of [
    "",
    text,
    `${uri}&t=${text}`,
    `${uri}&cs3a=${"a".repeat(52)}`,
    uri.slice(0, -1),
    `${uri}a`,
    uri.toUpperCase(),
    `${uri}&x=${"y".repeat(300)}`,
    "link:///?t=",
  ]) {
    expect(parseAdmissionUri(bad)).toBeUndefined();
  }
  // Without a host, as we write it, it is read in another way: the same is none there.
  const plain = admissionUri(token);
  expect(parseAdmissionUri(plain)).toEqual(token);
  expect(parseAdmissionUri(plain.replace("link:", "LINK:"))).toEqual(token);
  const place = fc.tuple(fc.integer({ min: plain.length - text.length, max: plain.length - 1 }), fc.string());
  fc.assert(
    fc.property(place, ([at, letter]) => {
      const changed = plain.slice(0, at) + letter + plain.slice(at + letter.length);
      expect(parseAdmissionUri(changed)).toEqual(parseAdmissionUri(changed.replace("link:", "LINK:")));
    }),
  );
  expect(() => admissionUri(token, "x".repeat(200))).toThrow(/host/);
  expect(() => admissionUri(token, "a/b?t=1&")).toThrow(/host/);
});

test("[E15] a join link carries the cache's keys, its paths and the token", () => {
  const keys = new Map([[0x3a, new Uint8Array(32).fill(3)]]);
  const paths = [
    { type: "udp4", ip: "203.0.113.7", port: 42424 },
    { type: "ws", url: "wss://cache.example/" },
  ];
  const token = mintToken(portable, recipientKey(portable, kC, cache), {
    recipient: cache,
    class: "join",
    until: 0,
    serial: 0,
  });
  const link = encodeJoinLink({ keys, paths, token });
  expect(link.startsWith("link://203.0.113.7/?cs3a=")).toBe(true);
  const tcp = { type: "tcp4", ip: "203.0.113.7", port: 42424 };
  const join = { keys, paths: [...paths, tcp], token, host: "203.0.113.7", port: 42424 };
  expect(parseJoinLink(` ${link}\n`)).toEqual(join);
  const named = encodeJoinLink({ keys, paths: [], token, host: "Cache.Example", port: 7 });
  expect(parseJoinLink(named)).toEqual({ keys, paths: [], token, host: "cache.example", port: 7 });
  expect(parseJoinLink(admissionUri(token))).toBeUndefined();
  expect(parseJoinLink(link.replace(/&t=.*/, ""))).toBeUndefined();
  expect(() => encodeJoinLink({ keys: new Map(), paths, token })).toThrow(/cache/);
});

test("the answer to a join survives the wire, and nothing else passes for one", () => {
  const answer = { key: kR, quota: 64 * 2 ** 20, cap: 8 * 2 ** 20, store: "cluster-1" };
  const head = encodeJoinAnswer(answer);
  expect(parseJoinAnswer({ ...head, more: true })).toEqual(answer);
  const router = encodeJoinAnswer({ ...answer, routes: true });
  expect(parseJoinAnswer(router)).toEqual({ ...answer, routes: true });
  for (const routes of [false, 1, "true", null]) expect(parseJoinAnswer({ ...router, routes })).toEqual(answer);
  expect(parseJoinAnswer(undefined)).toBeUndefined();
  for (const [field, value] of [
    ["key", "aa"],
    ["key", "a".repeat(100_000)],
    ["quota", -1],
    ["quota", 2n ** 60n],
    ["cap", "8"],
    ["store", ""],
    ["store", "x".repeat(65)],
    ["store", "a b"],
  ] as const) {
    expect(parseJoinAnswer({ ...head, [field]: value })).toBeUndefined();
    expect(parseJoinAnswer({ ...head, [field]: undefined })).toBeUndefined();
  }
});

test("revoked serials travel sorted, in bodies that fit a packet", () => {
  expect(encodeRevocations(vectors.revocations.serials).map(toHex)).toEqual([vectors.revocations.body]);
  expect(encodeRevocations([]).map(toHex)).toEqual([""]);
  fc.assert(
    fc.property(fc.array(uint48, { maxLength: 500 }), (serials) => {
      const bodies = encodeRevocations(serials);
      expect(Math.max(...bodies.map((body) => body.length))).toBeLessThanOrEqual(1200);
      const read = bodies.flatMap((body) => parseRevocations(body) ?? [-1]);
      expect(read).toEqual([...new Set(serials)].sort((a, b) => a - b));
    }),
  );
  expect(() => encodeRevocations([0.5])).toThrow(/serial/);
  for (const bad of [
    hex("00"),
    hex("000000000002000000000001"),
    hex("000000000001000000000001"),
    new Uint8Array(1206),
  ]) {
    expect(parseRevocations(bad)).toBeUndefined();
  }
});
