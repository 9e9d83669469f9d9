/** A backup does not know whom its peer came to know after it. What they wrote waits, and comes when they are known again. */
import { expect, test } from "vitest";
import { OWN_CARD_KEY, restored } from "./peer/index.ts";
import { Bench, befriend, CACHE, HOUR, MINUTE, putsFor, Side } from "./testing/roots.ts";

const DAY = 24 * HOUR;

/** Alice, whose caches carol and dave are, without an address of her own; a backup of hers; then bob becomes her contact. */
function afterBackup(meet: (bench: Bench, alice: Side, bob: Side) => void) {
  const bench = new Bench();
  const [carol, dave] = ["carol", "dave"].map((name) => new Side(bench, name, { mail: false, cache: CACHE })) as [
    Side,
    Side,
  ];
  const alice = new Side(bench, "alice", { paths: [] });
  const bob = new Side(bench, "bob");
  for (const cache of [carol, dave]) alice.call({ type: "join", link: cache.root.joinLink() }, MINUTE);
  const backup = new Map(alice.disk);
  meet(bench, alice, bob);
  write(bob, alice, "one");
  write(alice, bob, "two");
  expect([alice.texts(), bob.texts()]).toEqual([["one"], ["two"]]);
  return { bench, alice, bob, carol, dave, backup };
}

function write(from: Side, to: Side, text: string): void {
  from.call({ type: "send", contact: from.contact(to) ?? "", mail: { kind: "text", text } }, MINUTE);
}

/** Gone from the wire, with all that is not in the backup; back with it after so long, and `since` then. */
function restore(bench: Bench, side: Side, backup: ReadonlyMap<string, Uint8Array>, away: number, since = 0): void {
  bench.machines.delete(side.name);
  bench.run(away);
  side.disk.clear();
  for (const [key, value] of backup) side.disk.set(key, value);
  for (const { key, value } of restored(side.disk.get(OWN_CARD_KEY), bench.now - since))
    if (value === undefined) side.disk.delete(key);
    else side.disk.set(key, value);
  bench.machines.set(side.name, side);
  side.outs.length = 0;
  side.restart();
}

const byInvite = (bench: Bench, alice: Side, bob: Side): void => befriend(bench, alice, bob);

/** Bob has an invite that is used up: he is a stranger whom alice accepts. */
function byRequest(bench: Bench, alice: Side, bob: Side): void {
  const link = alice.invite();
  const erin = new Side(bench, "erin");
  erin.call({ type: "add", link }, MINUTE);
  bob.call({ type: "add", link }, 10 * MINUTE);
  const [request] = alice.root.requests();
  alice.call({ type: "accept", request: request?.request ?? "" }, 10 * MINUTE);
  expect(alice.contact(bob)).toBeDefined();
  bench.machines.delete("erin");
}

/** What he wrote was offered again and again: his card goes with it. */
function unanswered(bench: Bench): void {
  bench.run(32 * HOUR);
}

/** He has another name. */
function sayingSo(bench: Bench, bob: Side): void {
  bob.call({ type: "rename", name: "bobby" }, HOUR);
  bench.run(MINUTE);
}

test.each([
  ["by an invite", byInvite, unanswered],
  ["by a request", byRequest, sayingSo],
])(
  "who came after the backup, %s, asks again by itself, and once accepted all of its mail is there, once",
  (_, meet, speaks) => {
    const { bench, alice, bob, backup } = afterBackup(meet);
    bench.machines.delete("alice");
    write(bob, alice, "while she is away");
    restore(bench, alice, backup, HOUR);
    bench.run(HOUR);
    write(bob, alice, "after she is back");
    speaks(bench, bob);
    expect(alice.texts()).toEqual([]);
    expect(alice.contact(bob)).toBeUndefined();
    expect(alice.root.status().unknown).toBe(1);
    const requests = alice.root.requests();
    expect(requests.map(({ hashname, before }) => ({ hashname, before }))).toEqual([
      { hashname: bob.hashname, before: true },
    ]);
    expect(alice.events("request")).toHaveLength(1);
    alice.call({ type: "accept", request: requests[0]?.request ?? "" }, HOUR);
    expect(alice.texts().sort()).toEqual(["after she is back", "while she is away"]);
    expect(alice.root.status().unknown).toBe(0);
    write(alice, bob, "hello again");
    write(bob, alice, "three");
    bench.run(HOUR);
    expect(bob.texts()).toEqual(["two", "hello again"]);
    expect(alice.texts()).toHaveLength(3);
    expect(bob.root.outbox().every(({ state }) => state === "delivered")).toBe(true);
  },
);

test("nothing is taken away at the caches before the writer is known, nor answered, and all of it when it is ignored", () => {
  const { bench, alice, bob, carol, dave, backup } = afterBackup(byInvite);
  bench.machines.delete("alice");
  write(bob, alice, "while she is away");
  const before = [carol, dave].map((cache) => cache.held());
  restore(bench, alice, backup, HOUR);
  sayingSo(bench, bob);
  const kept = [carol, dave].map((cache) => cache.held());
  expect(kept.every((count, i) => count >= (before[i] ?? 0) && count > 0)).toBe(true);
  expect([carol, dave].flatMap((cache) => putsFor(cache, bob))).toEqual([]);
  alice.call({ type: "ignore", request: bob.hashname }, MINUTE);
  expect(alice.root.status().unknown).toBe(0);
  alice.restart();
  bench.run(HOUR);
  expect([carol, dave].map((cache) => cache.held())).toEqual([0, 0]);
});

test("a month after the restore what nobody can be asked about is junk, as everywhere", () => {
  const { bench, alice, bob, carol, backup } = afterBackup(byInvite);
  restore(bench, alice, backup, HOUR, 30 * DAY);
  write(bob, alice, "late");
  bench.run(HOUR);
  expect(alice.root.status().unknown).toBe(0);
  expect(carol.held()).toBe(0);
});

test("whoever was restored nowhere removes what is no hello of a stranger, at once", () => {
  const { bench, alice, bob, carol, backup } = afterBackup(byInvite);
  bench.machines.delete("alice");
  write(bob, alice, "while she is away");
  alice.disk.clear();
  for (const [key, value] of backup) alice.disk.set(key, value);
  bench.machines.set("alice", alice);
  alice.restart();
  bench.run(HOUR);
  expect(carol.held()).toBe(0);
  expect(alice.root.status().unknown).toBe(0);
});

test("who does not answer is sent a card once in 14 days, even if it takes cards and nothing else", () => {
  const { bench, alice, bob } = afterBackup(byInvite);
  bench.machines.delete("alice");
  const since = bench.now;
  const cards = () => bob.root.outbox().filter(({ kind, created }) => kind === "card" && created >= since);
  const open = () => cards().filter(({ state }) => state === "queued" || state === "handed");
  write(bob, alice, "are you there?");
  bench.run(3 * DAY);
  expect(open()).toHaveLength(1);
  bob.call({ type: "cancel", id: open()[0]?.id ?? "" }, MINUTE); // as if it had been acknowledged
  bench.run(2 * DAY);
  expect(open()).toEqual([]);
  bench.now += 12 * DAY; // asleep
  write(bob, alice, "are you?");
  bench.run(2 * DAY);
  expect(open()).toHaveLength(1);
});

test("an invite for one that the backup has is good for a request alone: somebody may have used it since", () => {
  const bench = new Bench();
  const [alice, bob, eve] = ["alice", "bob", "eve"].map((name) => new Side(bench, name)) as [Side, Side, Side];
  const [once, open] = [alice.invite(), alice.invite(false)];
  const backup = new Map(alice.disk);
  bob.call({ type: "add", link: once }, MINUTE);
  expect(alice.contact(bob)).toBeDefined();
  restore(bench, alice, backup, HOUR);
  eve.call({ type: "add", link: once }, MINUTE);
  expect([alice.contact(eve), alice.root.requests().length]).toEqual([undefined, 1]);
  const dora = new Side(bench, "dora");
  dora.call({ type: "add", link: open }, MINUTE);
  expect(alice.contact(dora)).toBeDefined();
  const fay = new Side(bench, "fay");
  fay.call({ type: "add", link: alice.invite() }, MINUTE);
  expect(alice.contact(fay)).toBeDefined();
});
