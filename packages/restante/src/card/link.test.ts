import { readFileSync } from "node:fs";
import fc from "fast-check";
import { expect, test } from "vitest";
import { fromBase32, fromHex, toBase32, utf8 } from "../bytes/index.ts";
import { encodeKeys, type Hashname, hashnameFromBytes, hashnameOf, portable } from "../crypto/index.ts";
import { encodeJson, parseJson } from "../wire/index.ts";
import {
  baseUri,
  encodeFragment,
  encodeLink,
  type Link,
  linkJson,
  linkJwk,
  linkPaths,
  linkUri,
  parseFragment,
  parseLink,
  parseLinkJson,
  parseLinkJwk,
  pathsAt,
  verifyFragment,
} from "./link.ts";
import { parsePath } from "./path.ts";

const key = new Uint8Array(32).fill(9);
const keys = new Map([[0x3a, key]]);
const hashname = hashnameOf(portable, keys);
const udp = { type: "udp4", ip: "192.168.0.36", port: 42424 };
const pathText = (json: string): string => toBase32(utf8(json));
const bare: Link = { scheme: "link", path: "", keys: new Map(), paths: [], query: [] };

test("[E15] keys and paths come out of any URI, in whatever order it has them", () => {
  const uri = `proto://example.com/a/b?key=val%20ue&paths=${pathText('{"ip":"192.168.0.36","port":42424,"type":"udp4"}')}&cs3a=${toBase32(key)}&paths=${pathText('{"type":"http","url":"http://192.168.0.36:42424"}')}#frag`;
  expect(parseLink(uri)).toEqual({
    scheme: "proto",
    host: "example.com",
    port: 42424,
    path: "/a/b",
    keys,
    paths: [udp],
    query: [["key", "val ue"]],
    fragment: "frag",
  });
});

test("[E15] the minimal form is scheme, host, port and keys; the port defaults to 42424", () => {
  expect(encodeLink({ ...bare, host: "127.0.0.1", port: 55772, keys })).toBe(
    `link://127.0.0.1:55772/?cs3a=${toBase32(key)}`,
  );
  expect(encodeLink({ ...bare, host: "127.0.0.1", port: 42424 })).toBe("link://127.0.0.1");
  expect(parseLink("CHAT://Example.COM")).toEqual({ ...bare, scheme: "chat", host: "example.com", port: 42424 });
  expect(parseLink("link://[2001:DB8::0:1]:7/")).toEqual({ ...bare, host: "2001:db8::1", port: 7, path: "/" });
  expect(encodeLink({ ...bare, host: "2001:db8::1", port: 7 })).toBe("link://[2001:db8::1]:7");
});

test("[E15] a host that is an address gives paths for UDP and TCP, stated ones first and none twice", () => {
  const tcp = { ...udp, type: "tcp4" };
  expect(linkPaths({ host: udp.ip, port: udp.port, paths: [] })).toEqual([udp, tcp]);
  expect(linkPaths({ host: udp.ip, port: udp.port, paths: [tcp] })).toEqual([tcp, udp]);
  expect(linkPaths({ host: "::1", port: 7, paths: [] }).map(({ type }) => type)).toEqual(["udp6", "tcp6"]);
  expect(linkPaths({ host: "example.com", port: 7, paths: [] })).toEqual([]);
  expect(linkPaths({ paths: [udp, udp] })).toEqual([udp]);
});

test("[E15] a URI as telehash-c writes it is read; a path of a type that we do not know is left out", () => {
  const path = "pmrhi6lqmurduitumvzxiit5"; // {"type":"test"}, from its test of URIs
  const expected = { ...bare, scheme: "foo", host: "bar", port: 1, query: [["x", "1"]] };
  expect(parseLink(`foo://bar:1?x=1&paths=${path}`)).toEqual(expected);
  expect(parseLink(`foo://bar:1/?x=1&paths=${path}`)).toEqual({ ...expected, path: "/" });
});

test("[E15] the shortest URI of a peer names no path that follows from its host and port", () => {
  const [udp6, tcp6] = pathsAt(["2001:db8::1"], 7);
  const tcp = { ...udp, type: "tcp4" };
  const text = `cs3a=${toBase32(key)}`;
  expect(linkUri({ keys, paths: [udp, tcp] })).toBe(`link://192.168.0.36/?${text}`);
  expect(linkUri({ keys, paths: [] }, "chat")).toBe(`chat:///?${text}`);
  const uri = linkUri({ keys, paths: [{ type: "ws", url: "ws://a/" }, udp6, tcp6, udp].flatMap((path) => path ?? []) });
  expect(uri).toMatch(/^link:\/\/\[2001:db8::1\]:7\/\?cs3a=\w+&paths=\w+&paths=\w+$/);
  const link = parseLink(uri);
  expect(link && linkPaths(link)).toEqual([{ type: "ws", url: "ws://a/" }, udp, udp6, tcp6]);
});

test("many addresses give at most 16 paths, none twice, and none that would not be dialled", () => {
  expect(pathsAt(["192.0.2.1", "192.0.2.1", "0.0.0.0", "::ffff:1.2.3.4", "example.com", ""], 9)).toEqual([
    { type: "udp4", ip: "192.0.2.1", port: 9 },
    { type: "tcp4", ip: "192.0.2.1", port: 9 },
  ]);
  expect(pathsAt(["192.0.2.1"], 0)).toEqual([]);
  // What was stated knows more than what follows from a host.
  const compat = { ...udp, compat: true } as const;
  expect(linkPaths({ host: udp.ip, port: udp.port, paths: [compat] })[0]).toEqual(compat);
  expect(parseLink(linkUri({ keys, paths: [compat] }))?.paths).toEqual([compat]);
  const many = Array.from({ length: 100 }, (_, i) => `192.0.2.${i + 1}`);
  expect(pathsAt(many, 9)).toHaveLength(16);
});

test.each([
  "",
  "link:",
  "link:/x",
  "link://user@host/",
  "link://user:pw@host/",
  "link://host:0/",
  "link://host:65536/",
  "link://host:x/",
  "link://ho st/",
  "link://h\u00f6st/",
  "link://127.1/",
  "link://1.2.3.4.5/",
  "link://0x7f.0.0.1/",
  "link://[1.2.3.4]/",
  "link://[::1/",
  "link://::1/",
  "link://-x.example/",
  `link://${"a".repeat(254)}/`,
  "1link://host/",
  "link://host/?x=%",
  "link://host/?x=%ff",
  "link://host/?cs3a=",
  "link://host/?cs3a=AAAA",
  "link://host/?cs3a=aaa",
  "link://host/?cs00=aa",
  "link://host/?cs3a=aa&cs3a=aa",
  "link://host/?paths=",
  "link://host/?paths=aa",
  `link://host/?paths=${pathText('"udp4"')}`,
  `link://host/?paths=${pathText('{"type":"udp4","type":"udp4"}')}`,
  `link://host/?${"a=b&".repeat(65)}`,
  `link://host/?${`paths=${pathText("{}")}&`.repeat(17)}`,
  `link://host/?${Array.from({ length: 9 }, (_, i) => `cs1${i}=aa`).join("&")}`,
  `link://host/?x=${"y".repeat(8192)}`,
])("%j is no link", (text) => {
  expect(parseLink(text)).toBeUndefined();
});

const host = fc.oneof(
  fc.constant(undefined),
  fc.constantFrom("example.com", "localhost", "192.0.2.1", "2001:db8::1", "a_b.x-y.example"),
);
const arbitrary: fc.Arbitrary<Link> = fc
  .record({
    scheme: fc.constantFrom("link", "chat", "web+mail"),
    host,
    port: fc.integer({ min: 1, max: 65_535 }),
    path: fc.constantFrom("/", "/a/b", "/a%20b"),
    keys: fc.uniqueArray(fc.tuple(fc.integer({ min: 1, max: 255 }), fc.uint8Array({ minLength: 1, maxLength: 40 })), {
      maxLength: 8,
      selector: ([csid]) => csid,
    }),
    ports: fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 16 }),
    query: fc.array(fc.tuple(fc.constantFrom("t", "x y", "&=", "cs", "CS3A", "cs3"), fc.string({ unit: "grapheme" })), {
      maxLength: 5,
    }),
    fragment: fc.constantFrom(undefined, "", "a.b?c#d"),
  })
  .map(({ host, port, keys, ports, fragment, ...rest }) => ({
    ...rest,
    ...(host === undefined ? {} : { host, port }),
    keys: new Map(keys.sort(([a], [b]) => a - b)),
    paths: ports.map((port) => ({ ...udp, port })),
    ...(fragment === undefined ? {} : { fragment }),
  }));

test("parse undoes encode, and equal links give equal texts", () => {
  fc.assert(
    fc.property(arbitrary, (link) => {
      const text = encodeLink(link);
      fc.pre(text.length <= 8192);
      expect(parseLink(text)).toEqual(link);
      const shuffled = { ...link, keys: new Map([...link.keys].reverse()) };
      expect(encodeLink(shuffled)).toBe(text);
    }),
  );
});

test("no text makes the parsers throw, and what was read is read again from its encoding", () => {
  const mutated = fc.tuple(arbitrary, fc.nat(), fc.string({ maxLength: 3 })).map(([link, at, piece]) => {
    const text = encodeLink(link);
    const cut = at % (text.length + 1);
    return text.slice(0, cut) + piece + text.slice(cut + 1);
  });
  fc.assert(
    fc.property(fc.oneof(fc.string(), mutated), (text) => {
      const link = parseLink(text);
      if (link !== undefined)
        expect(parseLink(encodeLink(link))).toEqual({ ...link, path: link.path || expect.any(String) });
      verifyFragment(portable, hashname, text, text);
    }),
  );
  fc.assert(fc.property(fc.jsonValue(), (json) => void parseLinkJson(portable, json as never)));
});

test("a platform URL parser sees the same keys and paths", () => {
  fc.assert(
    fc.property(arbitrary, (link) => {
      const url = new URL(encodeLink(link));
      for (const [csid, text] of Object.entries(encodeKeys(link.keys))) {
        expect(url.searchParams.getAll(`cs${csid}`)).toEqual([text]);
      }
      const paths = url.searchParams.getAll("paths").map((text) => parseJson(fromBase32(text) ?? new Uint8Array()));
      expect(paths.map(parsePath)).toEqual(link.paths);
      expect(url.port).toBe(link.host === undefined || link.port === 42_424 ? "" : String(link.port));
    }),
  );
});

test("[E15] link JSON round-trips, and its hashname is never believed", () => {
  const info = { hashname, keys, paths: [udp] };
  const json = parseJson(encodeJson(linkJson(info)));
  expect(json).toEqual({ keys: { "3a": toBase32(key) }, paths: [udp], hashname });
  expect(parseLinkJson(portable, json)).toEqual(info);
  expect(parseLinkJson(portable, { keys: { "3a": toBase32(key) }, paths: [] })).toEqual({ ...info, paths: [] });
  const other = hashnameFromBytes(new Uint8Array(32));
  expect(parseLinkJson(portable, { ...linkJson(info), hashname: other })).toBeUndefined();
  expect(parseLinkJson(portable, { ...linkJson(info), hashname: 1 })).toBeUndefined();
  expect(parseLinkJson(portable, { hashname, paths: [] })).toBeUndefined();
  expect(parseLinkJson(portable, { keys: {}, paths: [] })).toBeUndefined();
  expect(parseLinkJson(portable, undefined)).toBeUndefined();
});

test("[E15] a peer goes through a JWK and back, with or without paths", () => {
  const info = { hashname, keys, paths: [udp] };
  expect(parseLinkJwk(portable, parseJson(encodeJson(linkJwk(info))))).toEqual(info);
  expect(linkJwk({ ...info, paths: [] })).toEqual({
    kty: "hashname",
    kid: hashname,
    use: "link",
    cs3a: toBase32(key),
  });
  expect(parseLinkJwk(portable, linkJwk({ ...info, paths: [] }))).toEqual({ ...info, paths: [] });
  expect(parseLinkJwk(portable, { ...linkJwk(info), paths: {} })).toBeUndefined();
  expect(parseLinkJwk(portable, { ...linkJwk(info), kid: "x" })).toBeUndefined();
  expect(parseLinkJwk(portable, linkJson(info))).toBeUndefined();
  expect(parseLinkJwk(portable, undefined)).toBeUndefined();
});

test("keys of unknown cipher sets enter the hashname", () => {
  const both = new Map([...keys, [0x7f, Uint8Array.of(1)]]);
  const parsed = parseLinkJson(portable, linkJson({ hashname: hashnameOf(portable, both), keys: both, paths: [] }));
  expect(parsed?.keys).toEqual(both);
  expect(parsed?.hashname).not.toBe(hashname);
});

test("the fragment of the vector is made and verified", () => {
  const file = new URL("../../../../protocol/vectors/card.json", import.meta.url);
  const { fragment } = JSON.parse(readFileSync(file, "utf8"));
  const data = fromHex(fragment.data) ?? new Uint8Array();
  expect(encodeFragment(portable, fragment.hashname, data)).toBe(fragment.text);
  expect(verifyFragment(portable, fragment.hashname, fragment.text, fragment.text)).toEqual(data);
});

test("a fragment is proof of the hashname that made it, and of nothing else", () => {
  const data = Uint8Array.of(1, 2, 3);
  const fragment = encodeFragment(portable, hashname, data);
  expect(fragment).toMatch(/^[a-z2-7]{13}\.aebag$/);
  const [check = ""] = fragment.split(".");
  expect(verifyFragment(portable, hashname, fragment, fragment)).toEqual(data);
  expect(verifyFragment(portable, hashname, fragment, check)).toEqual(data);
  const other = hashnameFromBytes(portable.sha256(key)) as Hashname;
  expect(verifyFragment(portable, other, fragment, fragment)).toBeUndefined();
  const second = encodeFragment(portable, hashname, Uint8Array.of(1, 2, 4));
  expect(verifyFragment(portable, hashname, second, fragment)).toBeUndefined();
  for (const bad of ["", ".", check, `${check}.`, `${fragment}.`, `${check}.aebaq`, fragment.toUpperCase()]) {
    expect(verifyFragment(portable, hashname, bad, bad)).toBeUndefined();
  }
  expect(() => encodeFragment(portable, hashname, new Uint8Array(0))).toThrow(/bytes/);
  const longest = encodeFragment(portable, hashname, new Uint8Array(256));
  expect(verifyFragment(portable, hashname, longest, longest)).toHaveLength(256);
  expect(() => encodeFragment(portable, hashname, new Uint8Array(257))).toThrow(/bytes/);
});

test("[E15] a fragment is a check of 8 bytes, perhaps with data after a dot; what old JavaScript peers wrote is none", () => {
  const check = new Uint8Array(8).fill(5);
  const text = toBase32(check);
  expect(parseFragment(text)).toEqual({ check });
  expect(parseFragment(`${text}.aebag`)).toEqual({ check, data: Uint8Array.of(1, 2, 3) });
  // Theirs is one string: the data, and behind it a digest of a kind of their own.
  const old = toBase32(new Uint8Array([1, 2, 3, ...check]));
  for (const bad of [
    "",
    ".",
    old,
    `${text}.`,
    `.${text}`,
    `${text}.aebag.`,
    `${text}.AEBAG`,
    "aebag.aebag",
    `${text}a`,
  ])
    expect(parseFragment(bad)).toBeUndefined();
  fc.assert(
    fc.property(fc.uint8Array({ minLength: 1, maxLength: 256 }), (data) => {
      const fragment = encodeFragment(portable, hashname, data);
      expect(parseFragment(fragment)?.data).toEqual(data);
      expect(verifyFragment(portable, hashname, fragment, fragment)).toEqual(data);
    }),
  );
  fc.assert(fc.property(fc.string(), (text) => void parseFragment(text)));
});

test("a router sees its URI again as it wrote it, without the fragment", () => {
  expect(baseUri("link://h/?b=2&a=1#x#y")).toBe("link://h/?b=2&a=1");
  expect(baseUri("link://h/?b=2&a=%31")).toBe("link://h/?b=2&a=%31");
  expect(baseUri("#")).toBe("");
});
