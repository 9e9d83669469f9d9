import { expect, test } from "vitest";
import { encodeInvite, secretUri } from "./card/index.ts";
import { portable } from "./crypto/index.ts";
import { encodeHandshake, keyPacket, MAX_AT, sealMessage } from "./e3x/index.ts";
import { Bench, befriend, CACHE, crypto, HOUR, invite, MINUTE, Side, urisOf, Wild } from "./testing/roots.ts";

test("what cannot be an invite is refused with a code, and changes nothing", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const link = alice.invite();
  const other = encodeInvite({ ...invite(link), card: new Uint8Array(16) });
  const add = (text: string): string | undefined => bob.call({ type: "add", link: text })?.code;
  expect([add(""), add(link.slice(0, -9)), add(bob.invite()), add(alice.root.joinLink())]).toEqual([
    "bad-invite",
    "bad-invite",
    "self",
    "bad-invite",
  ]);
  expect([add(link), add(link), add(other)]).toEqual([undefined, undefined, "known"]);
  const eve = new Side(bench, "eve");
  expect(add(encodeInvite({ ...invite(eve.invite()), card: invite(link).card }))).toBe("claimed");
  expect(bob.root.contacts().map(({ hashnames }) => hashnames)).toEqual([[alice.hashname]]);
});

test("nobody can be invited who could not reach us", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice", { paths: [] });
  expect(alice.call({ type: "invite", once: true })?.code).toBe("unreachable");
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  expect(alice.call({ type: "join", link: carol.root.joinLink() }, MINUTE)?.code).toBeUndefined();
  const { paths, caches } = invite(alice.invite());
  expect([paths, caches.map(({ hashname }) => hashname)]).toEqual([[], [carol.hashname]]);
});

test("a second invite helps where the first was used up by somebody else", () => {
  const bench = new Bench();
  const [alice, bob, eve] = [new Side(bench, "alice"), new Side(bench, "bob"), new Side(bench, "eve")];
  const link = alice.invite(true);
  eve.call({ type: "add", link }, MINUTE);
  bob.call({ type: "add", link }, 10 * MINUTE);
  expect(alice.contact(bob)).toBeUndefined();
  bob.call({ type: "send", contact: bob.contact(alice) ?? "", mail: { kind: "text", text: "it is me" } }, MINUTE);
  bob.call({ type: "add", link: alice.invite(true) }, 10 * MINUTE);
  expect(alice.contact(bob)).toBeDefined();
  expect(alice.texts()).toEqual(["it is me"]);
});

test("peers that invite each other at the same time are one contact each, and can write", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const [forBob, forAlice] = [alice.invite(), bob.invite()];
  alice.call({ type: "add", link: forAlice });
  bob.call({ type: "add", link: forBob });
  bench.run(5 * MINUTE);
  expect([alice, bob].map((side) => side.root.contacts().length)).toEqual([1, 1]);
  expect([alice, bob].map((side) => side.root.requests())).toEqual([[], []]);
  alice.call({ type: "send", contact: alice.contact(bob) ?? "", mail: { kind: "text", text: "a" } });
  bob.call({ type: "send", contact: bob.contact(alice) ?? "", mail: { kind: "text", text: "b" } });
  bench.run(MINUTE);
  expect([alice.texts(), bob.texts()]).toEqual([["b"], ["a"]]);
});

test("a root goes on where its last save left it: contacts, caches, and no card sent twice", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  alice.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  befriend(bench, alice, bob);
  const seen = (): unknown => [
    alice.root.contacts().map(({ id, name, caches }) => [id, name, caches]),
    alice.root.status().caches.map(({ hashname, cap }) => [hashname, cap]),
  ];
  const before = seen();
  const known = alice.events("contact").length;
  alice.restart();
  expect(seen()).toEqual(before);
  bench.run(10 * MINUTE);
  expect(seen()).toEqual(before);
  expect(alice.root.status().caches).toEqual([{ hashname: carol.hashname, up: true, cap: CACHE.cap }]);
  expect(alice.events("contact")).toHaveLength(known);
  expect(alice.root.outbox().filter(({ state }) => state !== "delivered")).toEqual([]);
});

test("who joins a cache tells each contact, with a token for that contact alone", () => {
  const bench = new Bench();
  const [alice, bob, dave] = [new Side(bench, "alice"), new Side(bench, "bob"), new Side(bench, "dave")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  for (const friend of [bob, dave]) befriend(bench, alice, friend);
  expect([bob, dave].map((friend) => urisOf(friend, alice))).toEqual([[], []]);
  alice.call({ type: "join", link: carol.root.joinLink() }, 2 * MINUTE);
  const uris = [bob, dave].map((friend) => urisOf(friend, alice));
  expect(uris.map((each) => each.length)).toEqual([1, 1]);
  expect(uris[0]).not.toEqual(uris[1]);
  expect(bob.events("contact").at(-1)).toMatchObject({ isNew: false, contact: { caches: 1 } });
  // It is good: bob's mail for alice finds its way when she is not there.
  bench.machines.delete("alice");
  bob.restart();
  bob.call({ type: "send", contact: bob.contact(alice) ?? "", mail: { kind: "text", text: "by carol" } }, 5 * MINUTE);
  bench.machines.set("alice", alice);
  alice.restart();
  bench.run(5 * MINUTE);
  expect(alice.texts()).toEqual(["by carol"]);
});

test("a channel of an unknown type is failed, reliable or not, and the link goes on", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  const guest = new Wild(bench, "guest");
  guest.want(alice, secretUri(invite(alice.invite()).secret ?? new Uint8Array(0)));
  bench.run(MINUTE);
  for (const reliable of [true, false]) {
    const ch = reliable ? 1 : 2;
    guest.handle({
      type: "open",
      ch,
      peer: alice.hashname,
      reliable,
      head: { type: "chess" },
      body: new Uint8Array(1),
    });
    bench.run(MINUTE);
    expect(guest.outs.filter((out) => "ch" in out && out.ch === ch).at(-1)).toEqual({
      type: "closed",
      ch,
      err: "unknown type",
    });
  }
  expect(alice.root.status().links).toMatchObject([{ hashname: guest.identity.hashname, state: "up" }]);
});

test("[B41] when the last handshake number between two is used, the application is told that they need new hashnames", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  bob.call({ type: "add", link: alice.invite() }, MINUTE);
  expect(alice.contact(bob)).toBeDefined();
  const inner = encodeHandshake(MAX_AT, { type: "key", json: {}, body: keyPacket(portable, bob.identity, 0x01) });
  const { random } = bench.chance.fork();
  const packet = sealMessage(crypto, { from: bob.identity, to: alice.identity.keys, inner, random });
  alice.receive({ type: "mem", name: "bob" }, packet ?? new Uint8Array(0));
  bench.run(HOUR);
  expect(alice.events("dead")).toEqual([{ type: "dead", hashname: bob.hashname }]);
  expect(alice.root.status().links.find(({ hashname }) => hashname === bob.hashname)?.state).not.toBe("up");
});
