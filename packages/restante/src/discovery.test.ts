import fc from "fast-check";
import { afterEach, expect, test, vi } from "vitest";
import { RestanteError, toBase32 } from "./bytes/index.ts";
import {
  encodeFragment,
  encodeInvite,
  encodeTxt,
  inviteProblem,
  linkJson,
  linkJwk,
  parseInvite,
  parseLink,
  pathsAt,
} from "./card/index.ts";
import { encodeKeys, hashnameOf, portable } from "./crypto/index.ts";
import { type DiscoveryOptions, type LinkResolver, resolveLink } from "./discovery.ts";
import { type MemoryNames, memoryResolver } from "./testing/index.ts";

const keys = new Map([
  [0x1a, new Uint8Array(21).fill(1)],
  [0x3a, new Uint8Array(32).fill(9)],
]);
const hashname = hashnameOf(portable, keys);
const otherKeys = new Map([[0x3a, new Uint8Array(32).fill(8)]]);
const other = hashnameOf(portable, otherKeys);
const udp = { type: "udp4", ip: "192.0.2.9", port: 7 };
const host = "example.com";
const target = `${hashname}.${host}`;
const finger = (uri: string): string =>
  `https://${host}/.well-known/webfinger?resource=${encodeURIComponent(uri)}&rel=http%3A%2F%2Ftelehash.org%2Flink`;
const openid = `https://${host}/.well-known/openid-configuration`;
const href = "https://www.example.com/~user1/link.json";
const jrd = {
  subject: "x",
  links: [
    { rel: "self", href: "https://x.test/" },
    { rel: "http://telehash.org/link", href },
  ],
};
const srv = (name: string, more = {}) => ({ name, port: 4000, priority: 0, weight: 5, ...more });

/** By DNS as in uri.md. */
const inDns: MemoryNames = {
  srv: { [`_link._udp.${host}`]: [srv(`${target}.`)] },
  txt: { [target]: ["v=spf1 -all", ...encodeTxt({ keys })] },
  addresses: { [target]: ["192.0.2.1", "2001:db8::1"], [host]: ["192.0.2.7"] },
};
const inWeb: MemoryNames = {
  web: { [finger(`link://${host}`)]: jrd, [href]: linkJson({ hashname, keys, paths: [udp] }) },
  addresses: { [host]: ["192.0.2.7"] },
};

async function codeOf(uri: string, names: MemoryNames | LinkResolver, options?: DiscoveryOptions): Promise<unknown> {
  const resolver = "fetch" in names ? (names as LinkResolver) : memoryResolver(names as MemoryNames);
  const error: unknown = await resolveLink(uri, resolver, options).then(
    () => "it resolved",
    (reason: unknown) => reason,
  );
  if (!(error instanceof RestanteError)) throw error;
  // No error tells what was asked for, and none carries an error that would.
  expect(error.message).not.toMatch(/example|link:\/\/|[a-z2-7]{20}/);
  expect(error.cause).toBeUndefined();
  return error.code;
}

afterEach(() => {
  vi.useRealTimers();
});

test("[E15] keys in the URI are the peer's, and nobody is asked for them", async () => {
  const { "3a": key = "" } = encodeKeys(otherKeys);
  const uri = `chat://${host}:55772/room?cs3a=${key}&topic=tea#section`;
  const resolver = memoryResolver(inDns);
  expect(await resolveLink(` ${uri}\n`, resolver)).toEqual({
    via: "link",
    uri,
    hashname: other,
    keys: otherKeys,
    paths: pathsAt(["192.0.2.7"], 55772),
    query: [["topic", "tea"]],
  });
  expect(resolver.asked).toEqual([`addresses ${host}`]);
  const silent = memoryResolver({});
  const address = await resolveLink(`link://192.0.2.3/?cs3a=${key}`, silent);
  expect(address.paths).toEqual(pathsAt(["192.0.2.3"], 42424));
  expect((await resolveLink(`link:///?cs3a=${key}`, silent)).paths).toEqual([]);
  expect(silent.asked).toEqual([]);
});

test("[E15] DNS: SRV leads to a name that begins with the hashname, TXT there are all keys, the addresses its paths", async () => {
  const found = await resolveLink(`link://${host}`, memoryResolver(inDns));
  expect(found).toEqual({
    via: "dns",
    uri: `link://${host}`,
    hashname,
    keys,
    paths: pathsAt(["192.0.2.1", "2001:db8::1"], 4000),
    query: [],
  });
});

test("[E15] WebFinger leads to link JSON; the addresses of the host come after its paths", async () => {
  const resolver = memoryResolver(inWeb);
  expect(await resolveLink(`link://${host}`, resolver)).toEqual({
    via: "webfinger",
    uri: `link://${host}`,
    hashname,
    keys,
    paths: [udp, ...pathsAt(["192.0.2.7"], 42424)],
    query: [],
  });
  expect(resolver.asked).toEqual([`fetch ${finger(`link://${host}`)}`, `fetch ${href}`, `addresses ${host}`]);
});

test("OpenID Connect Discovery leads to a key set, of which the first hashname key counts", async () => {
  const jwks = "https://keys.example.com/jwks";
  const set = [
    { kty: "RSA" },
    linkJwk({ hashname, keys, paths: [udp] }),
    linkJwk({ hashname: other, keys: otherKeys, paths: [] }),
  ];
  const names = { web: { [openid]: { jwks_uri: jwks }, [jwks]: { keys: set } } };
  const found = await resolveLink(`https://${host}/~user1`, memoryResolver(names));
  expect(found).toMatchObject({ via: "openid", hashname, paths: [udp] });
  const broken = { web: { ...names.web, [jwks]: { keys: [{ ...set[1], kid: other }, set[2]] } } };
  expect(await codeOf(`https://${host}/~user1`, broken)).toBe("no-keys");
});

test("the ways are asked in the order of uri.md, or as they are given", async () => {
  const resolver = memoryResolver({});
  expect(await codeOf(`link://${host}/`, resolver)).toBe("no-keys");
  expect(resolver.asked).toEqual([
    `fetch ${finger(`link://${host}/`)}`,
    `srv _link._udp.${host}`,
    `srv _link._tcp.${host}`,
    `fetch ${openid}`,
  ]);
  const both = memoryResolver({ ...inDns, ...inWeb, addresses: {} });
  expect((await resolveLink(`link://${host}`, both)).via).toBe("webfinger");
  expect((await resolveLink(`link://${host}`, both, { ways: ["dns", "webfinger"] })).via).toBe("dns");
  expect(await codeOf(`link://${host}`, both, { ways: [] })).toBe("no-keys");
});

test("JSON and JWK are links, too", async () => {
  const resolver = memoryResolver({});
  const link = { hashname, keys, paths: [udp] };
  expect(await resolveLink(JSON.stringify(linkJson(link)), resolver)).toEqual({ via: "link", query: [], ...link });
  expect(await resolveLink(JSON.stringify(linkJwk(link)), resolver)).toEqual({ via: "link", query: [], ...link });
  expect(await codeOf(JSON.stringify({ ...linkJson(link), hashname: other }), resolver)).toBe("bad-link");
  expect(await codeOf(`{"keys":{},"x":"${"y".repeat(70_000)}"}`, resolver)).toBe("bad-link");
  expect(resolver.asked).toEqual([]);
});

test.each([
  ["", "bad-link"],
  ["link", "bad-link"],
  ["{", "bad-link"],
  [`link://u:p@${host}`, "bad-link"],
  [hashname, "needs-router"],
  [`link://${other}/`, "needs-router"],
  ["link://192.0.2.1/", "no-keys"],
  ["link:///", "no-keys"],
  [`link://${host}/?hashname=`, "bad-link"],
  [`link://${host}/?hashname=${hashname.slice(1)}`, "bad-link"],
  [`link://${host}/?hashname=${hashname}&hashname=${hashname}`, "bad-link"],
  [`link://${other}.${host}/?hashname=${hashname}`, "bad-link"],
  [`link://${host}/#old-check`, "bad-link"],
  // The single string of old JavaScript peers: data and a digest of their own kind.
  [`link://${host}/#${toBase32(new Uint8Array(16))}`, "bad-link"],
])("%j is refused as %s, without asking anybody", async (uri, code) => {
  const resolver = memoryResolver(inDns);
  expect(await codeOf(uri, resolver)).toBe(code);
  expect(resolver.asked).toEqual([]);
});

test("keys must be those of the hashname that the URI names, wherever they come from", async () => {
  const pinned = `link://${host}/?hashname=`;
  const web = { ...inWeb.web, [finger(pinned + hashname)]: jrd, [finger(pinned + other)]: jrd };
  expect((await resolveLink(pinned + hashname, memoryResolver(inDns))).hashname).toBe(hashname);
  expect((await resolveLink(pinned + hashname, memoryResolver({ web }))).hashname).toBe(hashname);
  expect(await codeOf(pinned + other, inDns)).toBe("wrong-keys");
  expect(await codeOf(pinned + other, { web })).toBe("wrong-keys");
  const { "3a": key = "" } = encodeKeys(otherKeys);
  expect(await codeOf(`${pinned + hashname}&cs3a=${key}`, {})).toBe("wrong-keys");
  expect(await codeOf(`link://${hashname}.${host}/?cs3a=${key}`, {})).toBe("wrong-keys");
  // One wrong answer does not hide a right one elsewhere.
  const mixed = {
    ...inDns,
    web: { [finger(pinned + hashname)]: jrd, [href]: linkJson({ hashname: other, keys: otherKeys, paths: [] }) },
  };
  expect(await resolveLink(pinned + hashname, memoryResolver(mixed))).toMatchObject({ via: "dns", hashname });
});

test("DNS cannot give a hashname keys that do not make it", async () => {
  const forged = { ...inDns, txt: { [target]: encodeTxt({ keys: otherKeys }) } };
  expect(await codeOf(`link://${host}`, forged)).toBe("wrong-keys");
  const fewer = { ...inDns, txt: { [target]: encodeTxt({ keys }).slice(1) } };
  expect(await codeOf(`link://${host}`, fewer)).toBe("wrong-keys");
});

test("SRV targets are tried by priority and weight, those without a hashname never", async () => {
  const second = `${other}.${host}`;
  const names = {
    srv: {
      [`_link._udp.${host}`]: [
        srv(target, { priority: 2 }),
        srv(`www.${host}`, { priority: 0 }),
        srv(".", { priority: 0 }),
        srv(second.toUpperCase(), { priority: 1, weight: 1, port: 1 }),
        srv(second, { priority: 1, weight: 9, port: 2 }),
      ],
    },
    txt: { [target]: encodeTxt({ keys }), [second]: encodeTxt({ keys: otherKeys }) },
    addresses: { [second]: ["192.0.2.2"] },
  };
  const found = await resolveLink(`link://${host}`, memoryResolver(names), { ways: ["dns"] });
  expect(found).toMatchObject({ hashname: other, paths: [...pathsAt(["192.0.2.2"], 2), ...pathsAt(["192.0.2.2"], 1)] });
  // Who names the other one gets it.
  const uri = `link://${host}/?hashname=${hashname}`;
  expect((await resolveLink(uri, memoryResolver(names), { ways: ["dns"] })).hashname).toBe(hashname);
  // Names that publish nothing, or rubbish, are passed over.
  const empty = { ...names, txt: { [target]: encodeTxt({ keys }), [second]: ["3a=AAAA"] } };
  expect((await resolveLink(`link://${host}`, memoryResolver(empty), { ways: ["dns"] })).hashname).toBe(hashname);
});

test("`_link._tcp` is for hosts without `_link._udp`", async () => {
  const { [`_link._udp.${host}`]: records = [] } = inDns.srv ?? {};
  const names = { ...inDns, srv: { [`_link._tcp.${host}`]: records } };
  expect((await resolveLink(`link://${host}.`, memoryResolver(names), { ways: ["dns"] })).hashname).toBe(hashname);
});

test("no more is asked and taken than the bounds allow", async () => {
  const many = Array.from({ length: 40 }, (_, i) => {
    const keys = new Map([[0x3a, new Uint8Array(32).fill(i)]]);
    return { keys, name: `${hashnameOf(portable, keys)}.${host}` };
  });
  const resolver = memoryResolver({ srv: { [`_link._udp.${host}`]: many.map(({ name }) => srv(name)) } });
  expect(await codeOf(`link://${host}`, resolver, { ways: ["dns"] })).toBe("no-keys");
  expect(resolver.asked.filter((each) => each.startsWith("txt"))).toHaveLength(4);

  const addresses = Array.from({ length: 400 }, (_, i) => `192.0.${i >> 8}.${i & 255}`);
  const found = await resolveLink(`link://${host}`, memoryResolver({ ...inDns, addresses: { [target]: addresses } }));
  expect(found.paths).toHaveLength(16);

  const crowded = { ...inDns, txt: { [target]: [...encodeTxt({ keys }), ...new Array(64).fill("x")] } };
  expect(await codeOf(`link://${host}`, crowded, { ways: ["dns"] })).toBe("no-keys");

  // A resolver that does not heed the limit is not believed either.
  const deaf: LinkResolver = {
    ...memoryResolver({}),
    fetch: async () => new TextEncoder().encode(JSON.stringify({ ...jrd, x: "y".repeat(65_536) })),
  };
  expect(await codeOf(`link://${host}`, deaf)).toBe("no-keys");
});

test.each<[string, unknown]>([
  ["plain http", "http://www.example.com/link.json"],
  ["an IPv4 address", "https://192.0.2.1/link.json"],
  ["an IPv6 address", "https://[::1]/link.json"],
  ["a user", "https://user@www.example.com/link.json"],
  ["a fragment", "https://www.example.com/link.json#part"],
  ["another port", "https://www.example.com:11211/link.json"],
  ["a port that links have without saying it", "HTTPS://www.example.com:42424?link.json"],
  ["a port that begins like ours", "https://www.example.com:4430"],
  ["more than 2048 characters", `https://www.example.com/${"x".repeat(2048)}`],
  ["a file", "file:///etc/passwd"],
  ["a relative address", "/link.json"],
  ["a number", 7],
])("a WebFinger answer cannot lead to %s", async (_, href) => {
  const resolver = memoryResolver({
    web: {
      [finger(`link://${host}`)]: { links: [{ rel: "http://telehash.org/link", href }] },
      [String(href)]: linkJson({ hashname, keys, paths: [] }),
    },
  });
  expect(await codeOf(`link://${host}`, resolver, { ways: ["webfinger"] })).toBe("no-keys");
  expect(resolver.asked).toHaveLength(1);
});

test("a fragment goes to nobody and comes out for the peer request; the keys are the router's", async () => {
  const fragment = encodeFragment(portable, other, Uint8Array.of(1, 2, 3));
  const resolver = memoryResolver({
    web: { [finger(`link://${host}/?sid=42`)]: jrd, [href]: linkJson({ hashname, keys, paths: [] }) },
  });
  const uri = `link://${host}/?sid=42#${fragment}`;
  expect(await resolveLink(uri, resolver)).toMatchObject({ uri, fragment, hashname, query: [["sid", "42"]] });
  expect(resolver.asked.join()).not.toContain(fragment.slice(0, 13));
});

test("an invite that the domain publishes, or that the link holds, comes out as a whole one", async () => {
  const card = new Uint8Array(16).fill(3);
  const whole = encodeInvite({ keys, hashname, paths: [udp], caches: [], card, secret: card });
  const [, invite = ""] = parseLink(whole)?.query.find(([name]) => name === "invite") ?? [];
  const check = (found: { invite?: string }): void => {
    expect(inviteProblem(found.invite ?? "")).toBe("");
    expect(parseInvite(portable, found.invite ?? "")).toMatchObject({ hashname, card, secret: card });
  };
  const web = {
    [finger(`link://${host}`)]: jrd,
    [finger(`link://${host}/`)]: jrd,
    [href]: { ...linkJson({ hashname, keys, paths: [udp] }), invite },
  };
  check(await resolveLink(`link://${host}`, memoryResolver({ web })));
  check(
    await resolveLink(`link://${host}`, memoryResolver({ ...inDns, txt: { [target]: encodeTxt({ keys, invite }) } })),
  );
  // The invite of a link is its reader's secret: no web server sees it.
  const resolver = memoryResolver({ web });
  check(await resolveLink(`link://${host}/?invite=${invite}`, resolver));
  expect(resolver.asked.join()).not.toContain(invite);
});

test("who does not answer is waited for as long as was said, and told so", async () => {
  vi.useFakeTimers();
  const aborted: string[] = [];
  const hang = (what: string) => (_: string, second: AbortSignal | number, third?: AbortSignal) => {
    const signal = typeof second === "number" ? third : second;
    signal?.addEventListener("abort", () => aborted.push(what));
    return new Promise<never>(() => {});
  };
  const resolver = { srv: hang("srv"), txt: hang("txt"), addresses: hang("addresses"), fetch: hang("fetch") };
  const code = codeOf(`link://${host}`, resolver, { timeoutMs: 1000 });
  await vi.advanceTimersByTimeAsync(3000);
  expect(await code).toBe("unreachable");
  expect(aborted).toEqual(["fetch", "srv", "fetch"]);
  // Keys in hand are not lost for want of an address.
  const { "3a": key = "" } = encodeKeys(otherKeys);
  const found = resolveLink(`link://${host}/?cs3a=${key}`, resolver, { timeoutMs: 1000 });
  await vi.advanceTimersByTimeAsync(1000);
  expect(await found).toMatchObject({ hashname: other, paths: [] });
  expect(vi.getTimerCount()).toBe(0);
});

test("what cannot be asked does not keep the next way from being asked", async () => {
  const broken = (): never => {
    throw new Error("getaddrinfo ENOTFOUND example.com");
  };
  const resolver: LinkResolver = { ...memoryResolver(inDns), fetch: broken };
  expect((await resolveLink(`link://${host}`, resolver)).via).toBe("dns");
  expect(await codeOf(`link://${host}`, { ...resolver, srv: broken })).toBe("unreachable");
  const noAddress = { ...memoryResolver(inDns), addresses: broken };
  expect(await resolveLink(`link://${host}`, noAddress)).toMatchObject({ hashname, paths: [] });
});

test("whatever the network answers, a link resolves to keys that make its hashname, or is refused with a code", async () => {
  const label = fc.constantFrom(hashname, other, "www", "");
  const record = fc.record({
    name: label.map((first) => `${first}.${host}`),
    port: fc.integer({ min: -1, max: 70_000 }),
    priority: fc.nat(3),
    weight: fc.nat(3),
  });
  const piece = fc.oneof(
    fc.constantFrom(...encodeTxt({ keys }), ...encodeTxt({ keys: otherKeys }), "3a2=aa", "invite=aa"),
    fc.string(),
  );
  const body = fc.oneof(
    fc.constantFrom<unknown>(jrd, { jwks_uri: href }, linkJson({ hashname, keys, paths: [udp] }), {
      keys: [linkJwk({ hashname, keys, paths: [] })],
    }),
    fc.jsonValue(),
    fc.uint8Array(),
  );
  const named = fc.constantFrom("", `?hashname=${hashname}`, `?hashname=${other}`);
  await fc.assert(
    fc.asyncProperty(
      fc.array(record, { maxLength: 6 }),
      fc.oneof(fc.constant(encodeTxt({ keys })), fc.array(piece, { maxLength: 6 })),
      fc.array(fc.oneof(fc.ipV4(), fc.ipV6(), fc.string()), { maxLength: 4 }),
      fc.tuple(body, body, body),
      named,
      async (records, txt, addresses, [first, second, third], query) => {
        const uri = `link://${host}/${query}`;
        const resolver = memoryResolver({
          srv: { [`_link._udp.${host}`]: records },
          txt: { [target]: txt, [`${other}.${host}`]: txt },
          addresses: { [target]: addresses, [host]: addresses },
          web: { [finger(uri)]: first, [href]: second, [openid]: third },
        });
        try {
          const found = await resolveLink(uri, resolver);
          expect(found.hashname).toBe(hashnameOf(portable, found.keys));
          if (query !== "") expect(query).toContain(found.hashname);
          expect(found.paths.length).toBeLessThanOrEqual(16);
        } catch (error) {
          if (!(error instanceof RestanteError)) throw error;
          expect(["no-keys", "wrong-keys"]).toContain(error.code);
        }
      },
    ),
  );
});
