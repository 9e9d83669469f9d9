/** A cache that a peer begins and ends to serve while it runs, and what its recipients learn of that. protocol/box.md §6 */
import { expect, test } from "vitest";
import { Chance } from "./testing/chance.ts";
import { Bench, befriend, CACHE, HOUR, MINUTE, putsFor, Side } from "./testing/roots.ts";

const ON_DEMAND = { ...CACHE, onDemand: true as const };

/** As the driver begins anew: those who have a link are told that the old one goes. */
function serve(side: Side, on: boolean, bench: Bench): void {
  expect(side.call({ type: "serve", on })?.value).toEqual({ on });
  side.handle({ type: "leave" });
  side.restart();
  bench.run(MINUTE);
}

/** Carol is a peer like others, bob is away and uses her as his cache, alice writes to him. */
function friends() {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const carol = new Side(bench, "carol", { cache: ON_DEMAND });
  return { bench, alice, bob, carol };
}

/** What a side was last told of a cache of its own. */
function outcome(side: Side): string | undefined {
  return side.root.caches().find(({ contact }) => contact === undefined)?.test?.outcome;
}

function write(from: Side, to: Side, text: string): void {
  from.call({ type: "send", contact: from.contact(to) ?? "", mail: { kind: "text", text } }, MINUTE);
}

test("on demand nobody is served before it is said; then it is as any cache, over restarts, until it is said again", () => {
  const { bench, alice, bob, carol } = friends();
  befriend(bench, alice, bob);
  expect(bob.call({ type: "join", link: carol.root.joinLink() }, MINUTE)?.code).toBe("refused");
  expect(carol.call({ type: "offer", on: true })?.code).toBe("no-cache");
  serve(carol, true, bench);
  carol.restart();
  expect(bob.call({ type: "join", link: carol.root.joinLink() }, MINUTE)?.value).toMatchObject({ cap: CACHE.cap });
  bench.run(HOUR);
  bench.machines.delete("bob");
  alice.restart();
  write(alice, bob, "kept by carol");
  expect(carol.held()).toBe(1);
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(MINUTE);
  expect(bob.texts()).toEqual(["kept by carol"]);
  serve(carol, false, bench);
  carol.restart();
  expect(carol.root.isServing).toBe(false);
});

test("a recipient hears at once that its cache is none any more, and when it is one again; mail comes all the same", () => {
  const { bench, alice, bob, carol } = friends();
  serve(carol, true, bench);
  bob.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  befriend(bench, alice, bob);
  bench.run(HOUR);
  expect(outcome(bob)).toBe("whole");
  serve(carol, false, bench);
  expect(bob.root.status().caches).toMatchObject([{ hashname: carol.hashname, up: true }]);
  expect(outcome(bob)).toBe("none");
  expect(bob.events("cache-test").at(-1)).toMatchObject({ cache: carol.hashname, outcome: "none" });
  // Asked for, the test says no less.
  expect(bob.call({ type: "test-caches" }, 3 * MINUTE)?.value).toMatchObject([{ outcome: "none" }]);

  bench.machines.delete("bob");
  alice.restart();
  const before = putsFor(carol, bob).length;
  write(alice, bob, "left with nobody");
  expect(putsFor(carol, bob)).toHaveLength(before);
  serve(carol, true, bench);
  bench.machines.set("bob", bob);
  bob.restart();
  bench.run(HOUR);
  expect([bob.texts(), outcome(bob)]).toEqual([["left with nobody"], "whole"]);
});

test("what a cache says of itself is asked on one channel, which is ended; a cache that is one is told nothing more by it", () => {
  const { bench, bob, carol } = friends();
  serve(carol, true, bench);
  bob.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  bob.restart();
  bench.run(2 * MINUTE);
  const { links, channels } = bob.root.status();
  expect([links.map(({ state }) => state), channels, outcome(bob)]).toEqual([["up"], 0, undefined]);
});

test("with the cache ends its offer, and contacts hear of that; who took it goes on when it is there again", () => {
  const { bench, bob, carol } = friends();
  befriend(bench, bob, carol);
  serve(carol, true, bench);
  carol.call({ type: "offer", on: true }, MINUTE);
  expect(bob.root.offers()).toHaveLength(1);
  expect(bob.call({ type: "take-offer", contact: bob.contact(carol) ?? "" }, MINUTE)?.code).toBeUndefined();
  serve(carol, false, bench);
  expect([carol.root.status().offering, bob.root.caches().length]).toEqual([undefined, 1]);
  bob.call({ type: "leave", cache: carol.hashname }, MINUTE);
  expect(bob.root.offers()).toEqual([]);
  serve(carol, true, bench);
  expect([carol.root.status().offering, bob.root.offers()]).toEqual([false, []]);
});

test.each([1, 2, 3])("caches come and go while mail is left at them, by chance %i: all of it comes, once", (seed) => {
  const { bench, alice, bob, carol } = friends();
  const dave = new Side(bench, "dave", { cache: ON_DEMAND });
  for (const side of [carol, dave]) {
    serve(side, true, bench);
    bob.call({ type: "join", link: side.root.joinLink() }, MINUTE);
  }
  befriend(bench, alice, bob);
  const chance = new Chance(seed);
  const texts = Array.from({ length: 8 }, (_, i) => `text ${i}`);
  for (const text of texts) {
    bench.machines.delete("bob");
    alice.restart();
    write(alice, bob, text);
    for (const side of [carol, dave]) if (chance.between(0, 1)) serve(side, !side.root.isServing, bench);
    bench.machines.set("bob", bob);
    // He comes, and she is gone: what was forgotten meanwhile he gets later.
    bench.machines.delete("alice");
    bob.restart();
    bench.run(chance.between(1, 60) * MINUTE);
    bench.machines.set("alice", alice);
  }
  alice.restart();
  bench.run(24 * HOUR);
  expect([...bob.texts()].sort()).toEqual(texts);
  const known = bob.root.caches().flatMap(({ cache, contact, test }) => (contact ? [] : [[cache, test?.outcome]]));
  expect(known).toEqual([carol, dave].map((side) => [side.hashname, side.root.isServing ? "whole" : "none"]));
});

test("where it was said at the start, nothing else is", () => {
  const bench = new Bench();
  const [always, never] = [new Side(bench, "always", { cache: CACHE }), new Side(bench, "never")];
  for (const side of [always, never])
    for (const on of [true, false]) expect(side.call({ type: "serve", on })?.code).toBe("set-at-start");
});
