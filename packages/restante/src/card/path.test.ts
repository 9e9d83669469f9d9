import fc from "fast-check";
import { expect, test } from "vitest";
import { ipText, isRelayed, isStream, parseIp, parsePath, parsePaths, pathJson, pathKey } from "./path.ts";

test("the paths of the specification are read, extra members left out", () => {
  expect(parsePath({ ip: "192.168.0.36", port: 42424, type: "udp4", extra: 1 })).toEqual({
    type: "udp4",
    ip: "192.168.0.36",
    port: 42424,
  });
  const tcp6 = { ip: "fe80::bae8:56ff:fe43:3de4", port: 42424, type: "tcp6" };
  expect(parsePath(tcp6)).toEqual(tcp6);
  expect(parsePath({ type: "ws", url: "ws://[::1]:65535" })).toEqual({ type: "ws", url: "ws://[::1]:65535" });
  expect(parsePath({ type: "ws", url: "wss://example.com/mail" })).toEqual({
    type: "ws",
    url: "wss://example.com/mail",
  });
  expect(parsePath({ type: "mem", name: "alice" })).toEqual({ type: "mem", name: "alice" });
});

test("a path may lead by a router, named as path.md or as link.md does, perhaps with a URI of the router's", () => {
  const hn = "a".repeat(52);
  const path = { type: "peer", hn };
  for (const json of [path, { type: "peer", peer: hn }, { ...path, name: "x", extra: 1 }])
    expect(parsePath(json)).toEqual(path);
  const withUri = { ...path, uri: "link://192.0.2.1/?sid=1" };
  expect(parsePath(withUri)).toEqual(withUri);
  for (const given of [path, withUri]) expect(parsePath(pathJson(parsePath(given) ?? { type: "" }))).toEqual(given);
  const key = (json: Parameters<typeof parsePath>[0]) => pathKey(parsePath(json) ?? { type: "none" });
  expect(key(withUri)).toBe(key(path)); // it is the same router
  expect(key({ type: "peer", hn: `${"a".repeat(51)}q` })).not.toBe(key(path));
  expect([path, { type: "mem", name: "a" }].map((one) => isRelayed(parsePath(one) ?? (one as never)))).toEqual([
    true,
    false,
  ]);
});

test("[X29] a path may be marked for old peers; it is the same address with and without", () => {
  const path = { type: "tcp4", ip: "192.0.2.1", port: 1 };
  const marked = { ...path, compat: true };
  expect(parsePath(marked)).toEqual(marked);
  expect(parsePath(pathJson(parsePath(marked) ?? path))).toEqual(marked);
  for (const compat of [false, 1, "true", null]) expect(parsePath({ ...path, compat })).toEqual(path);
  expect(pathKey(parsePath(marked) ?? { type: "" })).toBe(pathKey(path));
});

test.each([
  { type: "peer" },
  { type: "peer", hn: "A".repeat(52) },
  { type: "peer", hn: "a".repeat(51) },
  { type: "peer", hn: "a".repeat(52), uri: "" },
  { type: "peer", hn: "a".repeat(52), uri: 7 },
  { type: "peer", hn: "a".repeat(52), uri: "two words" },
  { type: "peer", hn: "a".repeat(52), uri: "x".repeat(257) },
  null,
  [],
  "udp4",
  {},
  { type: "peer", hn: "x" },
  { type: "unix", name: "/run/docker.sock" },
  { type: "udp4", ip: "example.com", port: 1 },
  { type: "udp4", ip: "::1", port: 1 },
  { type: "udp6", ip: "1.2.3.4", port: 1 },
  { type: "udp6", ip: "::ffff:1.2.3.4", port: 1 },
  { type: "udp6", ip: "::", port: 1 },
  { type: "udp6", ip: "ff02::1", port: 1 },
  { type: "udp6", ip: "fe80::1%eth0", port: 1 },
  { type: "udp4", ip: "010.0.0.1", port: 1 },
  { type: "udp4", ip: "0.0.0.0", port: 1 },
  { type: "udp4", ip: "224.0.0.1", port: 1 },
  { type: "udp4", ip: "255.255.255.255", port: 1 },
  { type: "udp4", ip: "1.2.3.4", port: 0 },
  { type: "udp4", ip: "1.2.3.4", port: 65536 },
  { type: "udp4", ip: "1.2.3.4", port: 1.5 },
  { type: "udp4", ip: "1.2.3.4", port: "1" },
  { type: "udp4", ip: "1.2.3.4" },
  { type: "ws", url: "http://example.com/" },
  { type: "ws", url: "ws://user:secret@example.com/" },
  { type: "ws", url: "ws://example.com/#f" },
  { type: "ws", url: "ws://example.com:0/" },
  { type: "ws", url: "ws://example.com:65536/" },
  { type: "ws", url: "wss://[2001:db8::1]:99999/" },
  { type: "ws", url: "ws://example.com/ x" },
  { type: "ws", url: `ws://example.com/${"x".repeat(256)}` },
  { type: "mem", name: "" },
])("%j is no path", (json) => {
  expect(parsePath(json)).toBeUndefined();
});

test("a list leaves out what it does not know and refuses what is no list of objects", () => {
  const udp = { type: "udp4", ip: "1.2.3.4", port: 5 };
  expect(parsePaths(undefined)).toEqual([]);
  expect(parsePaths([{ type: "webrtc" }, udp])).toEqual([udp]);
  expect(parsePaths([udp, "x"])).toBeUndefined();
  expect(parsePaths({})).toBeUndefined();
  expect(parsePaths(new Array(17).fill(udp))).toBeUndefined();
});

test.each([
  ["0:0:0:0:0:0:0:1", "::1"],
  ["2001:DB8:0:0:8:800:200C:417A", "2001:db8::8:800:200c:417a"],
  ["2001:db8:0:1:1:1:1:1", "2001:db8:0:1:1:1:1:1"], // one zero group is not shortened
  ["2001:0:0:1:0:0:0:1", "2001:0:0:1::1"], // the longest run
  ["2001:db8:0:0:1:0:0:1", "2001:db8::1:0:0:1"], // the first of two
  ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
  ["::ffff:192.0.2.1", "::ffff:192.0.2.1"],
  ["64:ff9b::192.0.2.33", "64:ff9b::c000:221"],
  ["1::", "1::"],
  ["::", "::"],
])("%s is written %s (RFC 5952)", (text, canonical) => {
  const bytes = parseIp(text);
  expect(bytes && ipText(bytes)).toBe(canonical);
});

test.each([
  "",
  ":",
  ":::",
  "1",
  "1:2:3:4:5:6:7",
  "1:2:3:4:5:6:7:8:9",
  "1::2::3",
  "12345::",
  "1.2.3",
  "1.2.3.4.5",
  "1.2.3.256",
])("%j is no address", (text) => {
  expect(parseIp(text)).toBeUndefined();
});

test("every address has one text, which gives its bytes again", () => {
  const groups = fc.array(fc.constantFrom(0, 1, 0xffff, 0x1234), { minLength: 8, maxLength: 8 });
  fc.assert(
    fc.property(groups, (numbers) => {
      const bytes = Uint8Array.from(numbers.flatMap((number) => [number >> 8, number & 255]));
      expect(parseIp(ipText(bytes))).toEqual(bytes);
      expect(parseIp(numbers.map((number) => number.toString(16).toUpperCase()).join(":"))).toEqual(bytes);
      // The platform's own URL parser agrees, except that it never writes dots.
      const url = new URL(`http://[${ipText(bytes)}]/`).hostname.slice(1, -1);
      expect(parseIp(url)).toEqual(bytes);
      if (!ipText(bytes).includes(".")) expect(url).toBe(ipText(bytes));
    }),
  );
  fc.assert(
    fc.property(fc.ipV4(), (ip) => {
      expect(ipText(parseIp(ip) ?? new Uint8Array())).toBe(ip);
    }),
  );
});

test("equal addresses have equal keys, whatever their spelling; others differ", () => {
  const key = (json: Parameters<typeof parsePath>[0]) => pathKey(parsePath(json) ?? { type: "none" });
  expect(key({ type: "udp6", ip: "2001:DB8::0:1", port: 7 })).toBe(key({ type: "udp6", ip: "2001:db8::1", port: 7 }));
  const keys = [
    key({ type: "udp6", ip: "2001:db8::1", port: 7 }),
    key({ type: "tcp6", ip: "2001:db8::1", port: 7 }),
    key({ type: "tcp6", ip: "2001:db8::1", port: 8 }),
    key({ type: "ws", url: "ws://a/" }),
    key({ type: "mem", name: "a" }),
  ];
  expect(new Set(keys).size).toBe(keys.length);
});

test("no JSON makes the parsers throw, and what they give is stable", () => {
  fc.assert(
    fc.property(fc.jsonValue(), (json) => {
      const path = parsePath(json as never);
      expect(path === undefined || pathKey(path) !== "").toBe(true);
      parsePaths(json as never);
    }),
  );
  fc.assert(
    fc.property(
      fc.constantFrom("udp4", "udp6", "tcp4", "tcp6"),
      fc.ipV6(),
      fc.ipV4(),
      fc.integer(),
      (type, a, b, port) => {
        const path = parsePath({ type, ip: type.endsWith("4") ? b : a, port });
        if (path !== undefined) expect(parsePath(pathJson(path))).toEqual(path);
      },
    ),
  );
});

test("streams are TCP and unix sockets", () => {
  expect(["tcp4", "tcp6", "unix", "udp4", "udp6", "ws", "mem"].map((type) => isStream({ type }))).toEqual([
    true,
    true,
    true,
    false,
    false,
    false,
    false,
  ]);
});
