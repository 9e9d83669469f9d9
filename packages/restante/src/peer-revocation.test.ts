/** What a recipient takes back, it takes back at its caches too. */
import { expect, test } from "vitest";
import { fromBase32, fromUtf8, toBase32, utf8 } from "./bytes/index.ts";
import { admissionUri, encodeCard, mintToken, parseCard, parseJoinLink } from "./card/index.ts";
import { portable } from "./crypto/index.ts";
import { Book } from "./peer/index.ts";
import { away, Bench, befriend, CACHE, HOUR, invite, MINUTE, putsFor, Side, urisOf, Wild } from "./testing/roots.ts";

/** Alice and bob are contacts, carol is bob's cache; all are there. */
function three() {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  bob.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  befriend(bench, alice, bob);
  return { bench, alice, bob, carol };
}

/** Somebody with alice's key and what carol takes from her, who puts one message for bob there. */
function deposit(bench: Bench, alice: Wild, carol: Side, bob: Side, uri: string, ch: number): number {
  const before = putsFor(carol, bob).length;
  const head = { type: "outbox", to: bob.hashname, uri, done: true };
  const body = new Uint8Array(300).fill(ch);
  alice.handle({ type: "open", ch, peer: carol.hashname, reliable: true, head, body });
  bench.run(MINUTE);
  return putsFor(carol, bob).length - before;
}

test("whoever is removed from the contacts can leave nothing at any cache, and sees no difference", () => {
  const { bench, alice, bob, carol } = three();
  const [uri = ""] = urisOf(alice, bob);
  bench.machines.delete("alice");
  const wild = new Wild(bench, "alice", alice.identity);
  wild.want(carol, uri);
  bench.run(MINUTE);
  // One channel stays open over the removal: it is told nothing, and brings nothing more.
  expect(deposit(bench, wild, carol, bob, uri, 1)).toBe(1);
  expect(bob.call({ type: "remove", contact: bob.contact(alice) ?? "" }, MINUTE)).toEqual({ value: {} });
  expect(bob.contact(alice)).toBeUndefined();
  wild.handle({ type: "send", ch: 1, head: { done: true }, body: new Uint8Array(300).fill(9) });
  bench.run(MINUTE);
  expect(putsFor(carol, bob)).toHaveLength(1);
  expect(deposit(bench, wild, carol, bob, uri, 2)).toBe(0);
  const seen = (ch: number) => wild.outs.flatMap((out) => ("ch" in out && out.ch === ch ? [out.type] : []));
  expect(seen(2).length).toBeGreaterThan(1);
  expect(seen(2)).toEqual(seen(1).slice(0, seen(2).length));
});

test("a cache that was away when a contact was removed is told with the next link, and a restarted one again", () => {
  const { bench, alice, bob, carol } = three();
  const [uri = ""] = urisOf(alice, bob);
  bench.machines.delete("carol");
  bench.run(HOUR);
  bob.call({ type: "remove", contact: bob.contact(alice) ?? "" }, MINUTE);
  bench.machines.delete("alice");
  const wild = new Wild(bench, "alice", alice.identity);
  for (const restarts of [false, true]) {
    bench.machines.set("carol", carol);
    if (restarts) carol.restart();
    if (restarts) bob.restart();
    bench.run(HOUR);
    wild.want(carol, uri);
    bench.run(HOUR);
    expect(deposit(bench, wild, carol, bob, uri, restarts ? 2 : 1)).toBe(0);
  }
});

test("a closed invite brings nobody in, and nothing into the cache; an open one does", () => {
  const { bench, bob, carol } = three();
  const [closed, open] = [bob.invite(false), bob.invite(false)];
  expect(bob.call({ type: "close", link: closed }, MINUTE)).toEqual({ value: {} });
  expect(bob.call({ type: "close", link: closed })).toEqual({ code: "not-found" });
  expect(bob.call({ type: "close", link: "rubbish" })).toEqual({ code: "bad-invite" });
  const puts = [closed, open].map((link, i) => {
    const eve = new Wild(bench, `eve ${i}`);
    const uri = invite(link).caches[0]?.uri ?? "";
    eve.want(carol, uri);
    bench.run(MINUTE);
    return deposit(bench, eve, carol, bob, uri, 1);
  });
  expect(puts).toEqual([0, 1]);
  const mallory = new Side(bench, "mallory");
  mallory.call({ type: "add", link: closed }, HOUR);
  expect(bob.contact(mallory)).toBeUndefined();
});

test("removed and invited again, two can write to each other as before", () => {
  const { bench, alice, bob, carol } = three();
  bob.call({ type: "remove", contact: bob.contact(alice) ?? "" }, MINUTE);
  alice.call({ type: "remove", contact: alice.contact(bob) ?? "" }, MINUTE);
  befriend(bench, bob, alice);
  bench.machines.delete("bob");
  alice.restart();
  bench.run(MINUTE);
  alice.call({ type: "send", contact: alice.contact(bob) ?? "", mail: { kind: "text", text: "again" } }, MINUTE);
  expect(putsFor(carol, bob).length).toBeGreaterThan(0);
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(MINUTE);
  expect(bob.texts()).toContain("again");
});

test("removing a contact whose card names somebody else's peer leaves that somebody's mail alone", () => {
  const { bench, alice, bob, carol } = three();
  const mallory = new Side(bench, "mallory");
  befriend(bench, mallory, bob);
  const id = bob.contact(mallory) ?? "";
  const [key, value] = [...bob.disk].find(([each]) => each === `peer/contact/${id}`) ?? [];
  const record = JSON.parse(fromUtf8(value ?? new Uint8Array(0)) ?? "{}");
  const card = parseCard(portable, fromBase32(record.card) ?? new Uint8Array(0));
  if (key === undefined || card === undefined) throw new Error("bob has no card of mallory's");
  // As mallory may well have written it.
  const { hashname, keys } = alice.identity;
  const peers = [...card.peers, { hashname, keys, paths: [], since: 0, caches: [] }];
  peers.sort((a, b) => (a.hashname < b.hashname ? -1 : 1));
  bob.disk.set(key, utf8(JSON.stringify({ ...record, card: toBase32(encodeCard({ ...card, peers })) })));
  bob.restart();
  bench.run(MINUTE);
  expect(new Book(portable, bob.disk).get(id)?.card.peers).toHaveLength(2);
  expect(bob.call({ type: "remove", contact: id }, HOUR)).toEqual({ value: {} });
  bench.machines.delete("bob");
  alice.restart();
  bench.run(MINUTE);
  const before = putsFor(carol, bob).length;
  alice.call({ type: "send", contact: alice.contact(bob) ?? "", mail: { kind: "text", text: "still here" } }, HOUR);
  expect(putsFor(carol, bob).length).toBeGreaterThan(before);
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(MINUTE);
  expect(bob.texts()).toEqual(["still here"]);
});

test("a removed contact's link is let go, and nothing more is sent there, whatever comes from it", () => {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  befriend(bench, bob, alice);
  const isLinked = (): boolean => bob.root.status().links.some(({ hashname }) => hashname === alice.hashname);
  expect(isLinked()).toBe(true);
  const before = bench.count("bob", "alice");
  bob.call({ type: "remove", contact: bob.contact(alice) ?? "" });
  expect(isLinked()).toBe(false);
  const heard = bench.count("alice", "bob");
  alice.call({ type: "send", contact: alice.contact(bob) ?? "", mail: { kind: "text", text: "hello?" } }, 24 * HOUR);
  expect(bench.count("alice", "bob")).toBeGreaterThan(heard);
  expect([isLinked(), bench.count("bob", "alice") - before, bob.texts()]).toEqual([false, 0, []]);
});

test("the link to a removed contact that is a cache of ours as well stays", () => {
  const bench = new Bench();
  const bob = new Side(bench, "bob");
  const carol = new Side(bench, "carol", { cache: CACHE });
  bob.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  befriend(bench, carol, bob);
  const before = bob.events("link").length;
  expect(bob.call({ type: "remove", contact: bob.contact(carol) ?? "" }, HOUR)).toEqual({ value: {} });
  expect(bob.root.status().links).toMatchObject([{ hashname: carol.hashname, state: "up" }]);
  expect(bob.events("link")).toHaveLength(before);
});

test("by an invite older than the removal a removed contact is a stranger with a request, by a newer one a contact", () => {
  const bench = new Bench();
  const [alice, bob, eve] = [new Side(bench, "alice"), new Side(bench, "bob"), new Side(bench, "eve")];
  const open = bob.invite(false);
  const add = (side: Side, link: string): unknown => {
    const contact = side.contact(bob);
    if (contact !== undefined) side.call({ type: "remove", contact }, MINUTE);
    return side.call({ type: "add", link }, HOUR);
  };
  const asked = (): string[] => bob.events("request").map(({ hashname }) => hashname);
  add(alice, open);
  expect([bob.contact(alice) !== undefined, asked()]).toEqual([true, []]);
  bob.call({ type: "remove", contact: bob.contact(alice) ?? "" }, HOUR);
  bob.restart();
  add(alice, open);
  expect([bob.contact(alice), asked()]).toEqual([undefined, [alice.hashname]]);
  // For everybody else it is as open as it was.
  add(eve, open);
  expect([bob.contact(eve) !== undefined, asked()]).toEqual([true, [alice.hashname]]);
  add(alice, bob.invite(false));
  expect([bob.contact(alice) !== undefined, asked()]).toEqual([true, [alice.hashname]]);
});

test("a cache that was left is used by nobody any more, and contacts use the other one", () => {
  const { bench, alice, bob, caches, send } = away("carol", "dave");
  const [carol, dave] = caches as [Side, Side];
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(MINUTE);
  expect(bob.call({ type: "leave", cache: carol.hashname }, HOUR)).toEqual({ value: {} });
  expect(bob.call({ type: "leave", cache: carol.hashname })).toEqual({ code: "not-found" });
  expect(bob.root.status().caches.map(({ hashname }) => hashname)).toEqual([dave.hashname]);
  expect(urisOf(alice, bob)).toHaveLength(1);
  bench.machines.delete("bob");
  alice.restart();
  bench.run(HOUR);
  const before = putsFor(carol, bob).length;
  send("by way of dave");
  bench.run(HOUR);
  expect(putsFor(carol, bob)).toHaveLength(before);
  expect(putsFor(dave, bob).length).toBeGreaterThan(0);
});

test("a cache that is left while it is there clears what it keeps for who left, and for nobody else", () => {
  const { bench, bob, caches, send } = away("carol");
  const [carol] = caches as [Side];
  const asked = (type: "list" | "clear"): string[] =>
    carol.outs.flatMap((out) => (out.type === "boxes" && out.op.type === type ? [out.op.recipient] : []));
  send("lies there");
  const { key } = JSON.parse(fromUtf8(bob.disk.get(`peer/cache/${carol.hashname}`) ?? new Uint8Array(0)) ?? "{}");
  const token = mintToken(portable, fromBase32(key) ?? new Uint8Array(0), {
    recipient: bob.hashname,
    class: "member",
    until: 0,
    serial: 1,
  });
  // Bob's key without bob, who would fetch it first.
  const wild = new Wild(bench, "bob", bob.identity);
  wild.want(carol, admissionUri(token));
  bench.run(MINUTE);
  const head = { type: "restante.revoke", uri: admissionUri(token), leave: true };
  wild.handle({ type: "open", ch: 1, peer: carol.hashname, reliable: true, head, body: new Uint8Array(0), end: true });
  bench.run(MINUTE);
  expect(asked("clear")).toEqual([bob.hashname]);
  // Bob himself says so as well.
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(MINUTE);
  const before = asked("list").length;
  bob.call({ type: "leave", cache: carol.hashname }, 10);
  expect(asked("list").length).toBe(before + 1);
});

test("only a recipient is heard: another's word about serials changes nothing at a cache", () => {
  const { bench, alice, bob, carol } = three();
  const eve = new Wild(bench, "eve");
  eve.want(carol, admissionUri(parseJoinLink(carol.root.joinLink())?.token ?? new Uint8Array(0)));
  bench.run(MINUTE);
  const [uri = ""] = urisOf(alice, bob);
  const head = { type: "restante.revoke", uri, to: bob.hashname };
  const body = new Uint8Array(6).fill(1);
  eve.handle({ type: "open", ch: 1, peer: carol.hashname, reliable: true, head, body });
  eve.handle({ type: "send", ch: 1, head: {}, body, end: true });
  bench.run(MINUTE);
  const said = eve.outs.flatMap((out) => ("ch" in out && out.ch === 1 ? [out.type] : []));
  expect(said).toContain("ended");
  expect(said).not.toContain("packet");
});
