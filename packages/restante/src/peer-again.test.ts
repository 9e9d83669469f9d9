/** Who was removed or blocked, and is invited anew, is written to and written by as before: also where only caches carry it. */
import { expect, test } from "vitest";
import { encodeInvite, parseInvite } from "./card/index.ts";
import { portable } from "./crypto/index.ts";
import { Book } from "./peer/index.ts";
import { Bench, befriend, CACHE, HOUR, MINUTE, Side } from "./testing/roots.ts";

/** Alice and bob, with a cache each and no address of their own. */
function apart(): { bench: Bench; alice: Side; bob: Side } {
  const bench = new Bench();
  const [alice, bob] = (["alice", "bob"] as const).map((name) => {
    const cache = new Side(bench, `${name}cache`, { mail: false, cache: CACHE });
    const side = new Side(bench, name, { paths: [] });
    expect(side.call({ type: "join", link: cache.root.joinLink() }, MINUTE)?.value).toBeDefined();
    return side;
  }) as [Side, Side];
  befriend(bench, alice, bob);
  write(alice, bob, "one");
  write(bob, alice, "two");
  expect([alice.texts(), bob.texts()]).toEqual([["two"], ["one"]]);
  return { bench, alice, bob };
}

function write(from: Side, to: Side, text: string): void {
  from.call({ type: "send", contact: from.contact(to) ?? "", mail: { kind: "text", text } }, 10 * MINUTE);
}

/** After "one" and "two": each gets what the other writes, and bob nothing else. */
function hearEachOther(bench: Bench, alice: Side, bob: Side): void {
  write(bob, alice, "three");
  write(alice, bob, "four");
  bench.run(HOUR);
  expect(alice.texts()).toContain("three");
  expect(bob.texts()).toEqual(["one", "four"]);
}

test("who was removed and is invited anew writes and is written to, by caches alone", () => {
  const { bench, alice, bob } = apart();
  alice.call({ type: "remove", contact: alice.contact(bob) ?? "" }, HOUR);
  write(bob, alice, "lost");
  expect(alice.texts()).toEqual(["two"]);
  expect(bob.call({ type: "add", link: alice.invite() }, HOUR)?.code).toBeUndefined();
  expect(alice.contact(bob)).toBeDefined();
  hearEachOther(bench, alice, bob);
});

test("who was blocked, unblocked and invited anew writes and is written to, by caches alone", () => {
  const { bench, alice, bob } = apart();
  alice.call({ type: "block", who: alice.contact(bob) ?? "" }, HOUR);
  write(bob, alice, "unheard");
  expect(alice.call({ type: "unblock", hashname: bob.hashname })?.code).toBeUndefined();
  expect(bob.call({ type: "add", link: alice.invite() }, HOUR)?.code).toBeUndefined();
  hearEachOther(bench, alice, bob);
});

test("who removed somebody and then uses an invite of theirs is written to again, by caches alone", () => {
  const { bench, alice, bob } = apart();
  alice.call({ type: "remove", contact: alice.contact(bob) ?? "" }, HOUR);
  expect(alice.call({ type: "add", link: bob.invite() }, HOUR)?.code).toBeUndefined();
  write(bob, alice, "three");
  write(alice, bob, "four");
  bench.run(HOUR);
  expect(alice.texts()).toContain("three");
  expect(bob.texts()).toContain("four");
});

test("a further invite of a contact changes nothing for mail, whether it is good or was closed before it was used", () => {
  for (const isClosed of [false, true]) {
    const { bench, alice, bob } = apart();
    const link = alice.invite();
    if (isClosed) alice.call({ type: "close", link }, MINUTE);
    expect(bob.call({ type: "add", link }, HOUR)?.code).toBeUndefined();
    bob.restart(); // what is used besides the card is saved
    write(bob, alice, "three");
    write(alice, bob, "four");
    bench.run(HOUR);
    expect([alice.texts(), bob.texts()]).toEqual([
      ["two", "three"],
      ["one", "four"],
    ]);
    const saved = new Book(portable, bob.disk).of(alice.hashname);
    expect(saved?.again !== undefined).toBe(isClosed); // one that is answered has done its work
  }
});

test("who is invited anew through another cache is written to by that, though the one of the card takes mail still", () => {
  const { bench, alice, bob } = apart();
  const [old] = alice.root.status().caches;
  const cache = new Side(bench, "newcache", { mail: false, cache: CACHE });
  alice.call({ type: "remove", contact: alice.contact(bob) ?? "" }, MINUTE);
  alice.call({ type: "join", link: cache.root.joinLink() }, MINUTE);
  alice.call({ type: "leave", cache: old?.hashname ?? alice.hashname }, MINUTE);
  expect(bob.call({ type: "add", link: alice.invite() }, HOUR)?.code).toBeUndefined();
  expect(alice.contact(bob)).toBeDefined();
  write(bob, alice, "three");
  write(alice, bob, "four");
  bench.run(HOUR);
  expect(alice.texts()).toContain("three");
  expect(bob.texts()).toContain("four");
});

test("a forged invite of a contact puts nothing of its writer before the card, and is worth nothing after 14 days", () => {
  const { bench, alice, bob } = apart();
  const eve = new Side(bench, "eve");
  const cache = new Side(bench, "evecache", { mail: false, cache: CACHE });
  expect(eve.call({ type: "join", link: cache.root.joinLink() }, MINUTE)?.value).toBeDefined();
  const [theirs, hers] = [alice, eve].map((side) => parseInvite(portable, side.invite()));
  if (theirs === undefined || hers === undefined) throw new Error("invites are readable");
  const forged = encodeInvite({ ...theirs, secret: new Uint8Array(16), caches: hers.caches });
  expect(bob.call({ type: "add", link: forged }, MINUTE)?.code).toBeUndefined();
  const caches = () => bob.root.caches().filter(({ contact }) => contact !== undefined);
  expect(caches().at(-1)?.cache).toBe(cache.hashname);
  expect(caches()).toHaveLength(2);
  write(bob, alice, "three");
  expect(alice.texts()).toEqual(["two", "three"]);
  bench.machines.clear(); // nobody is awake meanwhile
  bench.run(14 * 24 * HOUR);
  bob.restart();
  expect(caches().map((each) => each.cache)).not.toContain(cache.hashname);
});
