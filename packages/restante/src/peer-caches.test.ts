/** Caches of a root, and a root that is nothing else. */
import { expect, test } from "vitest";
import { admissionUri, encodeInvite, encodeJoinLink, parseJoinLink } from "./card/index.ts";
import { createIdentity } from "./crypto/index.ts";
import type { Call } from "./peer.ts";
import { Bench, befriend, CACHE, crypto, HOUR, invite, MINUTE, putsFor, Side, urisOf, Wild } from "./testing/roots.ts";

test("a join is refused in words: no link, ourselves, nobody there, not admitted, too many", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  const join = (link: string): string | undefined => alice.call({ type: "join", link }, MINUTE)?.code;
  const real = parseJoinLink(carol.root.joinLink());
  const foreign = parseJoinLink(bob.root.joinLink());
  if (real === undefined || foreign === undefined) throw new Error("no join link");
  expect(join("link://nonsense")).toBe("bad-link");
  expect(join(bob.invite())).toBe("bad-link");
  expect(join(alice.root.joinLink())).toBe("self");
  // Bob serves no cache, but whoever holds his link may talk to him.
  expect(join(bob.root.joinLink())).toBe("refused");
  // The token of another: carol does not even say that she is there.
  expect(join(encodeJoinLink({ ...real, token: foreign.token }))).toBe("unreachable");
  expect(bench.count("carol", "alice")).toBe(0);
  expect(join(encodeJoinLink({ ...real, paths: [{ type: "mem", name: "nobody" }] }))).toBe("unreachable");
  expect(alice.root.status().caches).toEqual([]);
  expect(join(carol.root.joinLink())).toBeUndefined();
  expect(alice.root.status().caches).toEqual([{ hashname: carol.hashname, up: true, cap: CACHE.cap }]);
});

test("a refused or unreachable cache is not called again", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const link = bob.root.joinLink();
  bench.machines.delete("bob");
  expect(alice.call({ type: "join", link }, 2 * MINUTE)?.code).toBe("unreachable");
  const sent = bench.count("alice", "bob");
  bench.run(8 * HOUR);
  expect(bench.count("alice", "bob")).toBe(sent);
});

test("a peer has eight caches at most, even if it asks nine at once; joining one again is no ninth", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  const caches = Array.from({ length: 9 }, (_, i) => new Side(bench, `cache${i}`, { mail: false, cache: CACHE }));
  const early = caches.map((cache) => alice.call({ type: "join", link: cache.root.joinLink() })?.code);
  expect(early).toEqual([...Array.from({ length: 8 }, () => undefined), "full"]);
  bench.run(MINUTE);
  expect(alice.root.status().caches).toHaveLength(8);
  expect(alice.call({ type: "join", link: caches[8]?.root.joinLink() ?? "" })?.code).toBe("full");
  const again = alice.call({ type: "join", link: caches[0]?.root.joinLink() ?? "" }, MINUTE);
  expect(again?.value).toMatchObject({ cache: caches[0]?.hashname });
  expect(alice.root.status().caches).toHaveLength(8);
});

test("promise 4: a root that only serves as a cache saves nothing, whatever passes through it", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  for (const side of [alice, bob]) side.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  befriend(bench, alice, bob);
  bench.machines.delete("bob");
  alice.restart();
  alice.call({ type: "send", contact: alice.contact(bob) ?? "", mail: { kind: "text", text: "kept" } }, 5 * MINUTE);
  const puts = carol.outs.filter((out) => out.type === "boxes" && out.op.type === "put");
  expect(puts.length).toBeGreaterThan(0);
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(5 * MINUTE);
  expect(bob.texts()).toEqual(["kept"]);
  const kinds = new Set(carol.outs.map(({ type }) => type));
  expect([...kinds].sort()).toEqual(["boxes", "transmit"]);
});

test("a root that only serves as a cache refuses every call", () => {
  const bench = new Bench();
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  const calls: Call[] = [
    { type: "invite", once: false },
    { type: "add", link: "" },
    { type: "accept", request: "" },
    { type: "ignore", request: "" },
    { type: "send", contact: "", mail: { kind: "text", text: "" } },
    { type: "cancel", id: "" },
    { type: "join", link: "" },
  ];
  expect(calls.map((call) => carol.call(call)?.code)).toEqual(calls.map(() => "no-mail"));
});

test("[C44] mail for a cache itself is taken and dropped, as for anybody unknown", () => {
  const bench = new Bench();
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  const eve = new Wild(bench, "eve");
  eve.want(carol, admissionUri(parseJoinLink(carol.root.joinLink())?.token ?? new Uint8Array(0)));
  bench.run(MINUTE);
  const nobody = createIdentity(crypto, bench.chance.random).hashname;
  for (const [ch, to] of [
    [1, carol.hashname],
    [2, nobody],
  ] as const) {
    const head = { type: "outbox", to, done: true };
    eve.handle({ type: "open", ch, peer: carol.hashname, reliable: true, head, body: new Uint8Array(100) });
    bench.run(MINUTE);
  }
  const about = (ch: number): unknown[] =>
    eve.outs.flatMap((out) => ("ch" in out && out.ch === ch ? [{ ...out, ch: 0 }] : []));
  expect(about(1).length).toBeGreaterThan(0);
  expect(about(1)).toEqual(about(2));
  expect(carol.outs.filter((out) => out.type === "boxes" && out.op.type === "put")).toEqual([]);
});

test("promise 6: a contact that says nonsense about a cache does not keep us from it", () => {
  const bench = new Bench();
  const [alice, bob, mallory] = [new Side(bench, "alice"), new Side(bench, "bob"), new Side(bench, "mallory")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  alice.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  const offer = { hashname: carol.hashname, keys: carol.identity.keys, cap: 1 << 20, store: "s" };
  const lies = [
    { ...offer, uri: "link:///?t=nonsense", paths: [{ type: "mem", name: "carol" }] },
    { ...offer, uri: urisOf(bob, alice)[0] ?? "", paths: [{ type: "mem", name: "elsewhere" }] },
  ];
  for (const [i, lie] of lies.entries()) {
    const { secret: _, ...open } = invite(mallory.invite());
    const card = new Uint8Array(16).fill(i);
    const { hashname, keys } = i === 0 ? mallory.identity : new Side(bench, "moriarty").identity;
    bob.call({ type: "add", link: encodeInvite({ ...open, hashname, keys, card, caches: [lie] }) });
  }
  befriend(bench, alice, bob);
  bench.machines.delete("alice");
  bob.restart();
  bench.run(MINUTE);
  bob.call({ type: "send", contact: bob.contact(alice) ?? "", mail: { kind: "text", text: "past you" } }, 10 * MINUTE);
  expect(putsFor(carol, alice).length).toBeGreaterThan(0);
  bench.machines.set("alice", alice);
  alice.restart();
  bench.run(MINUTE);
  expect(alice.texts()).toEqual(["past you"]);
});

test("a cache that we use is up in the rows of a contact, too, and is the best of its caches; nobody looks for the others", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const caches = ["carol", "dave"].map((name) => new Side(bench, name, { mail: false, cache: CACHE }));
  const [carol, dave] = caches.map(({ hashname }) => hashname);
  alice.call({ type: "join", link: caches[0]?.root.joinLink() ?? "" }, MINUTE);
  befriend(bench, alice, bob);
  for (const cache of [...caches].reverse()) bob.call({ type: "join", link: cache.root.joinLink() }, MINUTE);
  bench.run(HOUR);
  expect(alice.root.caches().map(({ cache, contact, up, wanted }) => [cache, contact, up, wanted])).toEqual([
    [carol, undefined, true, true],
    [carol, alice.contact(bob), true, true],
    [dave, alice.contact(bob), false, false],
  ]);
});
