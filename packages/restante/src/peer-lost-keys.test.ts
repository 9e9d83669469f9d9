/** A device that is gone knew the keys of our caches. From then on there are others, and nothing that it mints is worth anything. */
import { expect, test } from "vitest";
import { fromBase32, fromUtf8 } from "./bytes/index.ts";
import { admissionUri, mintToken } from "./card/index.ts";
import { portable } from "./crypto/index.ts";
import { Bench, befriend, CACHE, HOUR, MINUTE, putsFor, Side, urisOf, Wild } from "./testing/roots.ts";

interface SavedCache {
  readonly key: string;
  readonly edition?: number;
}

function cacheOf(side: Side, cache: Side): SavedCache {
  return JSON.parse(fromUtf8(side.disk.get(`peer/cache/${cache.hashname}`) ?? new Uint8Array(0)) ?? "{}");
}

/** Alice and her phone; bob is their contact, away; carol is alice's cache, dave the phone's, erin bob's. */
function family() {
  const bench = new Bench();
  const [alice, phone, bob] = ["alice", "phone", "bob"].map((name) => new Side(bench, name)) as [Side, Side, Side];
  const [carol, dave, erin] = ["carol", "dave", "erin"].map(
    (name) => new Side(bench, name, { mail: false, cache: CACHE }),
  ) as [Side, Side, Side];
  for (const [side, cache] of [
    [alice, carol],
    [phone, dave],
    [bob, erin],
  ] as const)
    side.call({ type: "join", link: cache.root.joinLink() }, MINUTE);
  befriend(bench, alice, bob);
  const value = phone.call({ type: "device-link" })?.value as { link: string } | undefined;
  alice.call({ type: "device-add", link: value?.link ?? "" }, 10 * MINUTE);
  expect(alice.root.devices().map(({ isReady }) => isReady)).toEqual([true, true]);
  return { bench, alice, phone, bob, carol, erin };
}

/** Whoever has `key` lets in somebody of its own: a stranger with a token that says contact. How much of that carol keeps for alice. */
function smuggled(bench: Bench, key: string, alice: Side, carol: Side, name: string, edition = 0): number {
  const thief = new Wild(bench, name);
  const grant = {
    recipient: alice.hashname,
    class: "contact",
    until: 0,
    serial: edition * 2 ** 40 + 7,
    edition,
  } as const;
  const token = mintToken(portable, fromBase32(key) ?? new Uint8Array(0), {
    ...grant,
    sender: thief.identity.hashname,
  });
  const uri = admissionUri(token);
  thief.want(carol, uri);
  bench.run(MINUTE);
  const before = putsFor(carol, alice).length;
  const head = { type: "outbox", to: alice.hashname, uri, done: true };
  thief.handle({ type: "open", ch: 1, peer: carol.hashname, reliable: true, head, body: new Uint8Array(300).fill(1) });
  bench.run(MINUTE);
  return putsFor(carol, alice).length - before;
}

test("what a removed device can mint for our caches is worth nothing soon after, and contacts get through as before", () => {
  const { bench, alice, phone, bob, carol } = family();
  const { key } = cacheOf(alice, carol);
  expect(smuggled(bench, key, alice, carol, "before")).toBe(1);
  const [before] = urisOf(bob, alice);
  alice.call({ type: "device-remove", hashname: phone.hashname }, HOUR);
  expect(cacheOf(alice, carol).edition).toBe(1);
  expect(cacheOf(alice, carol).key).not.toBe(key);
  expect(smuggled(bench, key, alice, carol, "after")).toBe(0);
  // Of no class: not even a link comes of it.
  const knocks = (["invite", "join", "contact"] as const).map((kind, i) => {
    const thief = new Wild(bench, `knocks${i}`);
    const sender = kind === "contact" ? { sender: thief.identity.hashname } : {};
    const grant = { recipient: alice.hashname, class: kind, until: 0, serial: 8 };
    thief.want(carol, admissionUri(mintToken(portable, fromBase32(key) ?? new Uint8Array(0), { ...grant, ...sender })));
    bench.run(HOUR);
    return thief.outs.filter(({ type }) => type === "up").length;
  });
  expect(knocks).toEqual([0, 0, 0]);
  expect(urisOf(bob, alice)).not.toContain(before);
  // Over the cache alone.
  bench.machines.delete("alice");
  bob.restart();
  bench.run(MINUTE);
  bob.call({ type: "send", contact: bob.contact(alice) ?? "", mail: { kind: "text", text: "still" } }, HOUR);
  bench.machines.delete("bob");
  bench.machines.set("alice", alice);
  alice.restart();
  bench.run(HOUR);
  expect(alice.texts()).toEqual(["still"]);
  // And once more: each edition is over with the next one.
  const second = cacheOf(alice, carol).key;
  const tablet = new Side(bench, "tablet");
  const value = tablet.call({ type: "device-link" })?.value as { link: string } | undefined;
  alice.call({ type: "device-add", link: value?.link ?? "" }, 10 * MINUTE);
  alice.call({ type: "device-remove", hashname: tablet.hashname }, HOUR);
  expect([cacheOf(alice, carol).edition, cacheOf(alice, carol).key === second]).toEqual([2, false]);
  carol.restart(); // knows nothing of it, until its recipients link again
  bench.run(HOUR);
  expect(smuggled(bench, key, alice, carol, "later")).toBe(0);
});

test("a cache that is left and joined again gives no key that is void there; nor does another that is joined later give an old one", () => {
  const { bench, alice, phone, carol } = family();
  const { key } = cacheOf(alice, carol);
  alice.call({ type: "device-remove", hashname: phone.hashname }, HOUR);
  alice.call({ type: "leave", cache: carol.hashname }, MINUTE);
  alice.restart();
  bench.run(MINUTE);
  expect(alice.call({ type: "join", link: carol.root.joinLink() }, HOUR)?.value).toMatchObject({
    cache: carol.hashname,
  });
  expect(cacheOf(alice, carol)).toMatchObject({ edition: 1 });
  expect(smuggled(bench, cacheOf(alice, carol).key, alice, carol, "ours", 1)).toBe(1);
  carol.restart();
  bench.run(HOUR);
  expect(smuggled(bench, key, alice, carol, "thief")).toBe(0);
});

test("a cache that is away when a device is removed gives the other key when it is there again", () => {
  const { bench, alice, phone, carol } = family();
  const { key } = cacheOf(alice, carol);
  bench.machines.delete("carol");
  alice.call({ type: "device-remove", hashname: phone.hashname }, 10 * MINUTE);
  alice.restart();
  bench.run(HOUR);
  expect(cacheOf(alice, carol).edition).toBeUndefined();
  bench.machines.set("carol", carol);
  bench.run(2 * HOUR);
  expect(cacheOf(alice, carol).edition).toBe(1);
  expect(smuggled(bench, key, alice, carol, "thief")).toBe(0);
});

test("the other devices take other keys as well when they hear of it, and mint for each other with those", () => {
  const { bench, alice, phone, bob, carol } = family();
  const tablet = new Side(bench, "tablet");
  const frank = new Side(bench, "frank", { mail: false, cache: CACHE });
  tablet.call({ type: "join", link: frank.root.joinLink() }, MINUTE);
  const value = tablet.call({ type: "device-link" })?.value as { link: string } | undefined;
  alice.call({ type: "device-add", link: value?.link ?? "" }, 20 * MINUTE);
  alice.call({ type: "device-remove", hashname: phone.hashname }, 2 * HOUR);
  expect([cacheOf(alice, carol).edition, cacheOf(tablet, frank).edition]).toEqual([1, 1]);
  bench.machines.delete("alice");
  bench.machines.delete("tablet");
  bob.restart();
  bench.run(MINUTE);
  const before = [putsFor(carol, alice).length, putsFor(frank, tablet).length];
  bob.call({ type: "send", contact: bob.contact(alice) ?? "", mail: { kind: "text", text: "to both" } }, HOUR);
  const after = [putsFor(carol, alice).length, putsFor(frank, tablet).length];
  expect(after.map((count, i) => count > (before[i] ?? 0))).toEqual([true, true]);
});
