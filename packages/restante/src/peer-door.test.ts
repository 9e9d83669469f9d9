/** Who is let in: by an invite, by a token, by the word of the application. */
import { expect, test } from "vitest";
import { admissionUri, encodeInvite, parseJoinLink, secretUri } from "./card/index.ts";
import { Bench, befriend, CACHE, invite, MINUTE, Side, urisOf, Wild } from "./testing/roots.ts";

test("[B53] promise 5: a stranger's handshake gets no byte back, whatever it shows", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  alice.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  befriend(bench, alice, bob);
  const spent = alice.invite();
  new Side(bench, "first").call({ type: "add", link: spent }, MINUTE);
  const [forBob] = urisOf(bob, alice);
  expect(forBob).toBeDefined();
  const elsewhere = parseJoinLink(bob.root.joinLink())?.token ?? new Uint8Array(0);
  const shown = [
    undefined,
    "",
    "link://nonsense",
    secretUri(invite(spent).secret ?? new Uint8Array(0)),
    secretUri(new Uint8Array(16)),
    forBob,
    admissionUri(elsewhere),
  ];
  shown.forEach((uri, i) => {
    const name = `eve${i}`;
    const eve = new Wild(bench, name);
    for (const victim of [alice, carol]) eve.want(victim, uri);
    bench.run(20 * MINUTE);
    for (const victim of ["alice", "carol"]) {
      expect(bench.count(name, victim)).toBeGreaterThan(10);
      expect(bench.count(victim, name)).toBe(0);
    }
    bench.machines.delete(name);
  });
});

test("a token opens the door to whom it is for, at the cache and nowhere else", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  alice.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  const uri = invite(alice.invite()).caches[0]?.uri;
  const eve = new Wild(bench, "eve");
  for (const victim of [alice, carol]) eve.want(victim, uri);
  bench.run(20 * MINUTE);
  expect(bench.count("carol", "eve")).toBeGreaterThan(0);
  expect(bench.count("alice", "eve")).toBe(0);
});

test("an invite for one is good for the first, and for nobody after", () => {
  const bench = new Bench();
  const [alice, bob, eve] = [new Side(bench, "alice"), new Side(bench, "bob"), new Side(bench, "eve")];
  const link = alice.invite(true);
  bob.call({ type: "add", link }, 5 * MINUTE);
  expect([alice.contact(bob) === undefined, bob.contact(alice) === undefined]).toEqual([false, false]);
  const before = bench.count("alice", "eve");
  eve.call({ type: "add", link }, 20 * MINUTE);
  expect(alice.contact(eve)).toBeUndefined();
  expect(bench.count("alice", "eve")).toBe(before);
  alice.restart();
  bench.run(20 * MINUTE);
  expect([alice.contact(eve), bench.count("alice", "eve")]).toEqual([undefined, before]);
});

test("an invite for one is used up by a contact, too", () => {
  const bench = new Bench();
  const [alice, bob, eve] = [new Side(bench, "alice"), new Side(bench, "bob"), new Side(bench, "eve")];
  const link = alice.invite(true);
  alice.call({ type: "add", link: bob.invite() });
  bob.call({ type: "add", link }, 5 * MINUTE);
  expect(alice.contact(bob)).toBeDefined();
  eve.call({ type: "add", link }, 5 * MINUTE);
  expect(alice.contact(eve)).toBeUndefined();
});

test("who was ignored may use a later invite", () => {
  const bench = new Bench();
  const [alice, bob, eve] = [new Side(bench, "alice"), new Side(bench, "bob"), new Side(bench, "eve")];
  const used = alice.invite(true);
  bob.call({ type: "add", link: used }, 5 * MINUTE);
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  alice.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  const { secret: _, ...open } = invite(alice.invite());
  eve.call({ type: "add", link: encodeInvite(open) }, 5 * MINUTE);
  expect(alice.root.requests().map((each) => each.hashname)).toEqual([eve.hashname]);
  alice.call({ type: "ignore", request: eve.hashname }, MINUTE);
  expect(alice.root.requests()).toEqual([]);
  eve.call({ type: "add", link: alice.invite(true) }, 5 * MINUTE);
  expect(alice.contact(eve)).toBeDefined();
});

test("an invite for many is good for all of them, also after a restart", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  const link = alice.invite(false);
  for (const name of ["bob", "dave"]) {
    const guest = new Side(bench, name);
    guest.call({ type: "add", link }, 5 * MINUTE);
    expect(alice.contact(guest)).toBeDefined();
    alice.restart();
  }
});

test("a rejected or unknown handshake leaves no link behind", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  for (let i = 0; i < 20; i++)
    new Wild(bench, `eve${i}`).want(alice, i % 2 === 0 ? undefined : secretUri(new Uint8Array(16)));
  bench.run(10 * MINUTE);
  expect(alice.root.status().links).toEqual([]);
});

test("[B54] a stranger is told nothing before the application has said yes, and nothing after a no", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice", { asks: true });
  const [eve, mallory] = [new Wild(bench, "eve"), new Wild(bench, "mallory")];
  for (const stranger of [eve, mallory]) stranger.want(alice);
  bench.run(2_000);
  const asked = alice.outs.filter((out) => out.type === "ask");
  expect(new Set(asked.map(({ hashname }) => hashname))).toEqual(
    new Set([eve.identity.hashname, mallory.identity.hashname]),
  );
  expect(asked[0]?.messages.map(({ type }) => type)).toEqual(["key"]);
  expect([bench.count("alice", "eve"), bench.count("alice", "mallory")]).toEqual([0, 0]);

  alice.handle({ type: "asked", hashname: eve.identity.hashname, ok: true });
  alice.handle({ type: "asked", hashname: mallory.identity.hashname, ok: false });
  bench.run(10_000);
  expect(eve.outs.some(({ type }) => type === "up")).toBe(true);
  expect(bench.count("alice", "eve")).toBeGreaterThan(0);
  expect(bench.count("alice", "mallory")).toBe(0);
  // The word holds while the link does: a keepalive needs no other.
  const before = alice.outs.filter((out) => out.type === "ask").length;
  bench.run(5 * MINUTE);
  expect(eve.outs.some(({ type }) => type === "down")).toBe(false);
  const again = alice.outs.filter((out) => out.type === "ask").slice(before);
  expect(again.every(({ hashname }) => hashname === mallory.identity.hashname)).toBe(true);
  expect(bench.count("alice", "mallory")).toBe(0);
});

test("an application that was asked about nobody changes nothing by its word", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice", { asks: true });
  const eve = new Wild(bench, "eve");
  alice.handle({ type: "asked", hashname: eve.identity.hashname, ok: false });
  alice.handle({ type: "asked", hashname: eve.identity.hashname, ok: true });
  bench.run(MINUTE);
  expect(bench.packets).toEqual([]);
});
