import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromBase32, toBase32, toHex } from "../bytes/index.ts";
import { hashnameOf, type Keys, portable } from "../crypto/index.ts";
import { parseJson } from "../wire/index.ts";
import { admissionUri, encodeJoinLink, mintToken } from "./admission.ts";
import type { CacheRef } from "./card.ts";
import { encodeInvite, type Invite, inviteProblem, parseInvite } from "./invite.ts";
import { parseLink } from "./link.ts";
import { type Path, parsePath } from "./path.ts";

const seed = (n: number): Uint8Array => portable.sha256(Uint8Array.of(n));
const keysOf = (n: number): Keys => new Map([[0x3a, seed(n)]]);
const keys = keysOf(1);
const hashname = hashnameOf(portable, keys);
const token = mintToken(portable, seed(9), { recipient: hashname, class: "invite", until: 2_000_000_000, serial: 5 });
const udp: Path = { type: "udp4", ip: "203.0.113.207", port: 42420 };
const tcp: Path = { type: "tcp6", ip: "2001:db8:1234:5678:9abc:def0:1234:5678", port: 42420 };

function cacheOf(n: number): CacheRef {
  const keys = keysOf(n);
  const store = seed(n).subarray(0, 8).join("").slice(0, 16);
  return {
    hashname: hashnameOf(portable, keys),
    keys,
    paths: [udp, tcp],
    uri: admissionUri(token),
    cap: 8 * 2 ** 20,
    store,
  };
}

const invite: Invite = {
  keys,
  hashname,
  paths: [udp, tcp],
  caches: [cacheOf(2)],
  card: seed(3).slice(0, 16),
  secret: seed(4).slice(0, 16),
};
const text = encodeInvite(invite);

test("with one cache and two paths an invite has at most 700 characters", () => {
  expect(text.length).toBeLessThanOrEqual(700);
  expect(parseInvite(portable, text)).toEqual(invite);
  expect(inviteProblem(text)).toBe("");
});

test("the invite of the vector is read and written", () => {
  const file = new URL("../../../../protocol/vectors/card.json", import.meta.url);
  const { invite: link, inviteRead, hashnames } = JSON.parse(readFileSync(file, "utf8"));
  const read = parseInvite(portable, link);
  expect(read && encodeInvite(read)).toBe(link);
  expect(read).toMatchObject({ hashname: hashnames.peer, name: inviteRead.name, caches: [inviteRead.cache] });
  expect(toHex(read?.card ?? new Uint8Array())).toBe(inviteRead.card);
  expect(toHex(read?.secret ?? new Uint8Array())).toBe(inviteRead.secret);
});

test("[E15] to a generic parser it is a link with keys and paths", () => {
  expect(parseLink(text)).toMatchObject({ scheme: "link", host: udp.ip, port: udp.port, keys, paths: [udp, tcp] });
  const url = new URL(text);
  expect(url.host).toBe("203.0.113.207:42420");
  expect(url.searchParams.get("cs3a")).toBe(toBase32(seed(1)));
  const paths = url.searchParams.getAll("paths").map((each) => parseJson(fromBase32(each) ?? new Uint8Array()));
  expect(paths.map(parsePath)).toEqual([udp, tcp]);
});

test("without paths of its own it carries the host of a cache, which is not taken for a path", () => {
  const hidden = { ...invite, paths: [] };
  const link = encodeInvite(hidden);
  expect(parseLink(link)).toMatchObject({ host: udp.ip, paths: [] });
  expect(parseInvite(portable, link)).toEqual(hidden);
});

test("without any address the host is missing, and the paths are in the query", () => {
  const ws = { ...invite, paths: [{ type: "ws", url: "wss://bob.example/" }], caches: [] };
  const link = encodeInvite(ws);
  expect(link.startsWith("link:///?cs3a=")).toBe(true);
  expect(parseInvite(portable, link)).toEqual(ws);
});

test("of the paths of a cache two are kept, one of each kind, and none that means nothing elsewhere", () => {
  const paths = [{ type: "udp6", ip: "fe80::1%eth0", port: 1 }, { type: "mem", name: "c" }, udp, tcp];
  const text = encodeInvite({ ...invite, paths, caches: [{ ...cacheOf(2), paths }] });
  const parsed = parseInvite(portable, text);
  expect(parsed?.caches[0]?.paths).toEqual([{ type: "mem", name: "c" }, tcp]);
  expect(parsed?.paths).toEqual(paths.slice(1));
  expect(parseLink(text)?.host).toBe(udp.ip);
});

const caches = fc.uniqueArray(
  fc
    .record({
      n: fc.integer({ min: 10, max: 40 }),
      uri: fc.constantFrom("", admissionUri(token), admissionUri(token, "cache.example:7"), "chat://x/?y=1"),
      cap: fc.maxSafeNat(),
      named: fc.boolean(),
      paths: fc.subarray([udp, tcp, { type: "ws", url: "ws://c.example/" }, { type: "mem", name: "c" }], {
        maxLength: 2,
      }),
    })
    .map(({ n, uri, cap, named, paths }) => {
      const cache = cacheOf(n);
      return { ...cache, uri, cap, paths, store: named ? cache.store : cache.hashname };
    }),
  { maxLength: 8, selector: (cache) => cache.hashname },
);
const invites: fc.Arbitrary<Invite> = fc
  .record({
    caches,
    paths: fc.subarray([udp, tcp]),
    card: fc.uint8Array({ minLength: 16, maxLength: 16 }),
    secret: fc.option(fc.uint8Array({ minLength: 16, maxLength: 16 }), { nil: undefined }),
    name: fc.option(fc.stringMatching(/^[a-zA-Z \u00e4\u6f22]{1,64}$/), { nil: undefined }),
    extra: fc.option(fc.uint8Array({ minLength: 1, maxLength: 40 }), { nil: undefined }),
  })
  .filter(({ caches, paths }) => caches.length + paths.length > 0)
  .map(({ caches, paths, card, secret, name, extra }) => {
    const all: Keys = new Map([...(extra === undefined ? [] : [[0x1a, extra] as const]), ...keys]);
    return {
      keys: all,
      hashname: hashnameOf(portable, all),
      paths,
      caches,
      card,
      ...(secret === undefined ? {} : { secret }),
      ...(name === undefined ? {} : { name }),
    };
  });

test("parse undoes encode; the same invite gives the same text", () => {
  fc.assert(
    fc.property(invites, (each) => {
      const link = encodeInvite(each);
      expect(parseInvite(portable, ` ${link}\n`)).toEqual(each);
      expect(encodeInvite({ ...each, keys: new Map([...each.keys].reverse()) })).toBe(link);
    }),
  );
});

test("a wrong or missing character in keys or caches is noticed", () => {
  const start = text.indexOf("cs3a=") + 5;
  const spots = [
    ...Array.from({ length: 52 }, (_, i) => start + i),
    ...Array.from({ length: text.length - text.indexOf("invite=") - 7 }, (_, i) => text.indexOf("invite=") + 7 + i),
  ];
  for (const at of spots) {
    const wrong = text[at] === "a" ? "b" : "a";
    for (const bad of [text.slice(0, at) + wrong + text.slice(at + 1), text.slice(0, at) + text.slice(at + 1)]) {
      expect(parseInvite(portable, bad)).toBeUndefined();
      expect(inviteProblem(bad)).toMatch(/^[A-Z].*\.$/);
    }
  }
  for (let length = 0; length < text.length; length++) {
    expect(parseInvite(portable, text.slice(0, length))).toBeUndefined();
  }
});

/** The invite with another body under a right checksum is what a hostile program would write. */
function withBody(change: (body: Uint8Array) => Uint8Array): string {
  const at = text.indexOf("invite=") + 7;
  const body = (fromBase32(text.slice(at)) ?? new Uint8Array()).slice(0, -4);
  const next = change(body);
  const sum = portable.siphash(
    new TextEncoder().encode("restante/invite/"),
    Uint8Array.from([0x3a, ...seed(1), ...next]),
  );
  return text.slice(0, at) + toBase32(Uint8Array.from([...next, ...sum.subarray(0, 4)]));
}

test("no body makes the parser throw, under a right checksum too", () => {
  expect(withBody((body) => body)).toBe(text);
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 5 }), fc.nat(300), (edits, cut) => {
      const bad = withBody((body) => {
        for (const [at, byte] of edits) body[at % body.length] = byte;
        return cut < body.length ? body.slice(0, cut) : body;
      });
      const parsed = parseInvite(portable, bad);
      expect(parsed === undefined).toBe(inviteProblem(bad) !== "");
      if (parsed !== undefined) expect(parseInvite(portable, encodeInvite(parsed))).toEqual(parsed);
    }),
    { numRuns: 500 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      parseInvite(
        portable,
        withBody(() => Uint8Array.from([1, ...bytes])),
      );
    }),
  );
  fc.assert(
    fc.property(fc.string(), (any) => {
      expect(parseInvite(portable, any)).toBeUndefined();
    }),
  );
  expect(
    parseInvite(
      portable,
      withBody((body) => Uint8Array.from([...body, 0])),
    ),
  ).toBeUndefined();
  expect(
    parseInvite(
      portable,
      withBody((body) => body.with(1, 9)),
    ),
  ).toBeUndefined();
});

test.each([
  ["", /empty/],
  ["  \n", /empty/],
  ["hello", /link:\/\//],
  [`${text.slice(0, 80)}\n${text.slice(80)}`, /line breaks/],
  [text.replace("cs3a=", "cs3a=%"), /damaged/],
  [text.replace("&invite=", "&invite=a&invite="), /more than one/],
  [text.replace(/cs3a=[^&]*&/, ""), /no keys/],
  [text.slice(0, -7), /damaged/],
  [text.slice(0, text.indexOf("&invite=")), /not an invite/],
  [encodeJoinLink({ keys, paths: [udp], token }), /join a cache/],
  [withBody((body) => body.with(0, 2)), /another version/],
  [withBody((body) => body.with(1, 0)), /malformed/],
] as const)("%# the person who pasted it is told what is wrong", (bad, sentence) => {
  expect(inviteProblem(bad)).toMatch(sentence);
  expect(parseInvite(portable, bad)).toBeUndefined();
});

test("encoding refuses an invite that leads nowhere or that no one would accept", () => {
  expect(() => encodeInvite({ ...invite, paths: [], caches: [] })).toThrow(/no way/);
  expect(() => encodeInvite({ ...invite, keys: new Map() })).toThrow(/keys/);
  expect(() => encodeInvite({ ...invite, name: "a\nb" })).toThrow(/malformed/);
  expect(() => encodeInvite({ ...invite, secret: new Uint8Array(3) })).toThrow(/16 bytes/);
  expect(() => encodeInvite({ ...invite, card: new Uint8Array(17) })).toThrow(/16 bytes/);
  expect(() => encodeInvite({ ...invite, caches: [cacheOf(2), cacheOf(2)] })).toThrow(/malformed/);
});

test("of a text of a hundred megabytes not one character is read", () => {
  let reads = 0;
  const read = (): string => {
    reads++;
    return text;
  };
  const huge = { length: 100 << 20, trim: read, toString: read, [Symbol.iterator]: read } as unknown as string;
  expect(parseInvite(portable, huge)).toBeUndefined();
  expect(inviteProblem(huge)).toMatch(/too long/);
  expect(reads).toBe(0);
  for (const long of ["x".repeat(20_000), " ".repeat(20_000) + text, text + "&paths=ba".repeat(1_000_000)]) {
    expect(parseInvite(portable, long)).toBeUndefined();
    expect(inviteProblem(long)).toMatch(/too long/);
  }
  // White space around it is no damage.
  expect(parseInvite(portable, `${" ".repeat(5000)}${text}\n`)).toEqual(invite);
});

test("an invite with as many paths as fit into a link has sixteen of them at most, or is none", () => {
  const path = (n: number): Path => ({ type: "udp4", ip: `203.0.113.${n}`, port: 1 });
  const some = Array.from({ length: 16 }, (_, n) => path(n));
  expect(parseInvite(portable, encodeInvite({ ...invite, paths: some }))?.paths).toHaveLength(16);
  const member = (_: unknown, n: number): string =>
    `&paths=${toBase32(new TextEncoder().encode(JSON.stringify(path(n))))}`;
  const members = Array.from({ length: 250 }, member);
  const counts = [17, 60, 250].map((count) => members.slice(0, count).join(""));
  for (const more of [...counts, members.join("").repeat(4000)]) {
    expect(parseInvite(portable, text.replace("&invite=", `${more}&invite=`))).toBeUndefined();
  }
});
