/** Who serves a cache may offer it to its contacts, who take it or do not. protocol/card.md §7 */
import { expect, test } from "vitest";
import { secretUri } from "./card/index.ts";
import { type Hashname, portable } from "./crypto/index.ts";
import { Book } from "./peer/index.ts";
import { Takers } from "./peer/takers.ts";
import { Bench, befriend, CACHE, HOUR, invite, MINUTE, putsFor, Side, Wild } from "./testing/roots.ts";

const SECOND = 1000;

/** Alice serves a cache and knows bob; bob and eve know each other. */
function friends() {
  const bench = new Bench();
  const alice = new Side(bench, "alice", { cache: CACHE });
  const [bob, eve] = [new Side(bench, "bob"), new Side(bench, "eve")];
  befriend(bench, alice, bob);
  befriend(bench, bob, eve);
  return { bench, alice, bob, eve };
}

function offer(side: Side, on: boolean): void {
  expect(side.call({ type: "offer", on }, MINUTE)?.value).toEqual({ on });
}

/** For whom the store of this cache was asked what there is, to clear it. */
function cleared(cache: Side): Hashname[] {
  return cache.outs.flatMap((out) => (out.type === "boxes" && out.op.type === "clear" ? [out.op.recipient] : []));
}

function write(from: Side, to: Side, text: string, ms: number = MINUTE): void {
  from.call({ type: "send", contact: from.contact(to) ?? "", mail: { kind: "text", text } }, ms);
}

test("what a contact offers is heard of once, taken by the user's word alone, and then brings mail as any cache does", () => {
  const { bench, alice, bob, eve } = friends();
  expect(bob.root.offers()).toEqual([]);
  expect(alice.root.status()).toMatchObject({ offering: false, offers: 0 });
  offer(alice, true);
  const found = { contact: bob.contact(alice), name: "alice", cache: alice.hashname, ...CACHE };
  expect(bob.root.offers()).toEqual([found]);
  expect(bob.events("offer")).toEqual([{ type: "offer", ...found }]);
  expect([alice.root.status().offering, bob.root.status().offers]).toEqual([true, 1]);
  bench.run(HOUR);
  expect(bob.root.status().caches).toEqual([]);
  bob.restart();
  alice.call({ type: "rename", name: "alice b" }, HOUR);
  expect(bob.events("offer")).toHaveLength(1);

  expect(bob.call({ type: "take-offer", contact: bob.contact(alice) ?? "" }, MINUTE)?.value).toEqual({
    cache: alice.hashname,
    ...CACHE,
  });
  expect([bob.root.offers(), bob.root.status().caches.map(({ hashname }) => hashname)]).toEqual([[], [alice.hashname]]);
  bench.machines.delete("bob");
  bench.run(HOUR);
  eve.restart();
  write(eve, bob, "by way of alice");
  expect(putsFor(alice, bob)).toHaveLength(1);
  bench.machines.delete("eve");
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(HOUR);
  expect(bob.texts()).toEqual(["by way of alice"]);
  // And what they write to each other comes as before.
  write(alice, bob, "from alice");
  write(bob, alice, "from bob");
  expect([alice.texts(), bob.texts()]).toEqual([["from bob"], ["by way of alice", "from alice"]]);
});

test("an offer that ends is gone from the contacts, and leaves who took it; no further one is let in", () => {
  const { bench, alice, bob, eve } = friends();
  befriend(bench, alice, eve);
  offer(alice, true);
  expect(eve.root.offers()).toHaveLength(1);
  bob.call({ type: "take-offer", contact: bob.contact(alice) ?? "" }, MINUTE);
  alice.restart();
  expect(alice.root.status().offering).toBe(true);
  // Eve does not hear of the end, and asks.
  bench.machines.delete("eve");
  offer(alice, false);
  bench.machines.set("eve", eve);
  const eager = eve.call({ type: "take-offer", contact: eve.contact(alice) ?? "" }, MINUTE);
  expect(eager?.code).toBe("refused");
  bench.run(HOUR);
  expect(eve.root.offers()).toEqual([]);
  expect(eve.call({ type: "take-offer", contact: eve.contact(alice) ?? "" })?.code).toBe("no-offer");
  expect(bob.root.status().caches).toMatchObject([{ hashname: alice.hashname, up: true }]);
  bob.call({ type: "leave", cache: alice.hashname }, MINUTE);
  expect(bob.root.offers()).toEqual([]);
});

test("only contacts are let in by an offer: whoever has an invite and asks for a place is answered as by no cache", () => {
  const { bench, alice } = friends();
  offer(alice, true);
  const asks = (name: string): unknown[] => {
    const wild = new Wild(bench, name);
    const { secret } = invite(alice.invite(false));
    wild.want(alice, secretUri(secret ?? new Uint8Array(0)));
    bench.run(MINUTE);
    const head = { type: "restante.join" };
    expect(wild.outs.some(({ type }) => type === "up")).toBe(true);
    wild.handle({ type: "open", ch: 1, peer: alice.hashname, reliable: true, head, body: new Uint8Array(0) });
    bench.run(MINUTE);
    return wild.outs.flatMap((out): unknown[] => {
      if (out.type === "packets") return out.packets.map(({ head }) => head);
      return out.type === "ended" || out.type === "closed" ? [out.type] : [];
    });
  };
  const before = asks("mallory");
  offer(alice, false);
  expect(asks("oscar")).toEqual(before);
  expect(before).toEqual(["ended", "closed"]);
});

test("who serves no cache has none to offer", () => {
  const bench = new Bench();
  const alice = new Side(bench, "alice");
  expect(alice.call({ type: "offer", on: true })?.code).toBe("no-cache");
  expect(alice.root.status().offering).toBeUndefined();
});

test.each(["remove", "block", "end"] as const)(
  "a contact that used an offer loses it with %s: what waits there is cleared, and nothing more is kept, over restarts",
  (how) => {
    const { bench, alice, bob, eve } = friends();
    offer(alice, true);
    bob.call({ type: "take-offer", contact: bob.contact(alice) ?? "" }, MINUTE);
    bench.machines.delete("bob");
    bench.run(HOUR);
    eve.restart();
    const before = putsFor(alice, bob).length;
    write(eve, bob, "waits at alice's", SECOND);
    const waiting = putsFor(alice, bob).length;
    expect(waiting).toBeGreaterThan(before);
    const id = alice.contact(bob) ?? "";
    if (how === "remove") alice.call({ type: "remove", contact: id }, SECOND);
    else if (how === "block") alice.call({ type: "block", who: id }, SECOND);
    else alice.call({ type: "offer", on: false, end: true }, SECOND);
    expect(cleared(alice)).toContain(bob.hashname);
    write(eve, bob, "is not kept on a channel that is open", SECOND);
    alice.restart();
    eve.restart();
    write(eve, bob, "is not kept after a restart either");
    bench.run(HOUR);
    expect(putsFor(alice, bob)).toHaveLength(waiting);
  },
);

test("who lost what was offered has it again by the operator's own link", () => {
  const { bench, alice, bob, eve } = friends();
  offer(alice, true);
  bob.call({ type: "take-offer", contact: bob.contact(alice) ?? "" }, MINUTE);
  alice.call({ type: "remove", contact: alice.contact(bob) ?? "" }, MINUTE);
  bob.call({ type: "leave", cache: alice.hashname }, MINUTE);
  expect(bob.call({ type: "join", link: alice.root.joinLink() }, MINUTE)?.value).toMatchObject(CACHE);
  bench.machines.delete("bob");
  bench.run(HOUR);
  eve.restart();
  const before = putsFor(alice, bob).length;
  write(eve, bob, "by the link");
  expect(putsFor(alice, bob).length).toBeGreaterThan(before);
});

test("a device that its owner gave up loses the place that it had as a device of a contact", () => {
  const { alice, bob, bench } = friends();
  offer(alice, true);
  const phone = new Side(bench, "phone");
  const value = phone.call({ type: "device-link" })?.value as { link: string } | undefined;
  bob.call({ type: "device-add", link: value?.link ?? "" }, HOUR);
  expect(phone.call({ type: "take-offer", contact: phone.contact(alice) ?? "" }, MINUTE)?.value).toMatchObject(CACHE);
  bob.call({ type: "device-remove", hashname: phone.hashname }, HOUR);
  expect(new Takers(alice.disk).isOver(phone.hashname)).toBe(true);
  expect(new Takers(alice.disk).isOver(bob.hashname)).toBe(false);
});

test("a removed contact is let in no more, and its offer is gone with it", () => {
  const { alice, bob } = friends();
  offer(alice, true);
  alice.call({ type: "remove", contact: alice.contact(bob) ?? "" }, MINUTE);
  const contact = bob.contact(alice) ?? "";
  expect(["refused", "unreachable", undefined]).toContain(bob.call({ type: "take-offer", contact }, HOUR)?.code);
  expect(bob.root.status().caches).toEqual([]);
  bob.call({ type: "remove", contact }, MINUTE);
  expect(bob.root.offers()).toEqual([]);
});

test("a device that serves no cache gives out the card with the offer of the one that does", () => {
  const { bench, alice, bob } = friends();
  offer(alice, true);
  const phone = new Side(bench, "phone");
  const value = phone.call({ type: "device-link" })?.value as { link: string } | undefined;
  alice.call({ type: "device-add", link: value?.link ?? "" }, HOUR);
  bench.machines.delete("alice");
  phone.call({ type: "rename", name: "alice and her phone" }, HOUR);
  expect(bob.root.offers()).toMatchObject([{ name: "alice and her phone", cache: alice.hashname }]);
});

test("a contact that is a cache of ours and moves is found by who writes to us", () => {
  const { bench, alice, bob, eve } = friends();
  offer(alice, true);
  bob.call({ type: "take-offer", contact: bob.contact(alice) ?? "" }, MINUTE);
  const [before] = bob.root.status().caches;
  expect(before?.hashname).toBe(alice.hashname);
  alice.moveTo("elsewhere");
  bench.run(HOUR);
  const seen = new Book(portable, eve.disk).of(bob.hashname)?.card.peers[0]?.caches[0]?.paths;
  expect(seen).toEqual([{ type: "mem", name: "elsewhere" }]);
});

test("of two devices of a contact that offer a cache the one that is there is used", () => {
  const { bench, alice, bob } = friends();
  const phone = new Side(bench, "phone", { cache: CACHE });
  const value = phone.call({ type: "device-link" })?.value as { link: string } | undefined;
  alice.call({ type: "device-add", link: value?.link ?? "" }, HOUR);
  for (const side of [alice, phone]) offer(side, true);
  bench.run(HOUR);
  expect(bob.root.offers()).toHaveLength(2);
  const [first] = bob.root.offers();
  bench.machines.delete(first?.cache === alice.hashname ? "alice" : "phone");
  bench.run(HOUR);
  const taken = bob.call({ type: "take-offer", contact: bob.contact(alice) ?? "" }, MINUTE)?.value;
  expect(taken).toMatchObject({ cache: first?.cache === alice.hashname ? phone.hashname : alice.hashname });
});
