/** Several caches per recipient, some of them evil: whole peers, with real links and channels. */
import { describe, expect, test } from "vitest";
import type { CacheTest } from "../mail/index.ts";
import { EVILS } from "./evil-caches.ts";
import { quick } from "./quick-backend.ts";
import { post, states } from "./scene.ts";
import { simulate, describe as tell } from "./simulate.ts";
import { type SimPeer, World } from "./world.ts";

type Kind = SimPeer["evil"];

/** Alice and bob, who never meet, with caches of these kinds. */
function apart(seed: number, kinds: readonly Kind[]): { w: World; alice: SimPeer; bob: SimPeer; caches: SimPeer[] } {
  const w = new World({ seed, backend: quick, cloak: false });
  const caches = kinds.map((evil, i) => w.cache(`cache${i}`, { evil }));
  const [alice, bob] = [w.peer("alice"), w.peer("bob")];
  w.run("1 s");
  for (const peer of [alice, bob]) {
    for (const cache of caches) peer.call({ type: "join", link: cache.root.joinLink() });
    w.run("5 min");
  }
  alice.call({ type: "invite", once: true }, (value) =>
    bob.call({ type: "add", link: (value as { link: string }).link }),
  );
  w.run("10 min");
  expect([alice.contactId(bob), bob.contactId(alice)].map((id) => typeof id)).toEqual(["string", "string"]);
  w.part(alice, bob);
  w.run("5 min");
  return { w, alice, bob, caches };
}

/** Each is awake for a quarter of an hour a day, never both. */
function days(w: World, [alice, bob]: readonly [SimPeer, SimPeer], count: number): void {
  for (let day = 0; day < count; day++)
    for (const peer of [bob, alice]) {
      for (const each of [alice, bob]) each.sleep();
      w.run("12 hours");
      peer.wake();
      w.run("15 min");
    }
}

describe("a canary", () => {
  test("finds out which of our caches loses mail, changes it, or holds it back; nothing of it stays anywhere", () => {
    const w = new World({ seed: 80, backend: quick, cloak: false });
    const kinds = [undefined, "drops", "lies", "delays"] as const;
    const caches = kinds.map((evil, i) => w.cache(`cache${i}`, { evil }));
    const alice = w.peer("alice");
    w.run("1 s");
    for (const cache of caches) alice.call({ type: "join", link: cache.root.joinLink() });
    w.run("10 s");
    const answers: unknown[] = [];
    alice.call({ type: "test-caches" }, (value) => answers.push(value));
    w.run("2 min");
    const [tests] = answers as CacheTest[][];
    const outcomes = caches.map(({ hashname }) => tests?.find(({ cache }) => cache === hashname)?.outcome);
    expect(outcomes).toEqual(["whole", "lost", "changed", "lost"]);
    expect(alice.root.caches().map(({ test }) => test)).toEqual(tests);
    const told = alice.events.flatMap((event) => (event.type === "cache-test" ? [event.cache] : []));
    expect(told.sort()).toEqual(
      caches
        .slice(1)
        .map(({ hashname }) => hashname)
        .sort(),
    );
    expect(caches.map(({ held }) => held)).toEqual([0, 0, 0, 0]);
    expect([alice.inbox(), alice.outbox()]).toEqual([[], []]);
  });

  test("flies by itself, over restarts, and finds a cache that was good before", () => {
    const w = new World({ seed: 81, backend: quick, cloak: false });
    const [good, other] = [w.cache("good"), w.cache("other")];
    const alice = w.peer("alice");
    w.run("1 s");
    for (const cache of [good, other]) alice.call({ type: "join", link: cache.root.joinLink() });
    w.run("2 hours");
    const tests = (): (CacheTest | undefined)[] => alice.root.caches().map(({ test }) => test);
    expect(tests().map((each) => each?.outcome)).toEqual(["whole", "whole"]);
    const first = tests().map((each) => each?.at ?? 0);
    other.dropsPuts = 1;
    alice.crash();
    alice.wake();
    w.run("1 s");
    expect(tests().map((each) => each?.at)).toEqual(first);
    w.run("12 hours");
    expect(tests().map((each) => each?.outcome)).toEqual(["whole", "lost"]);
    expect(good.deposits).toBeLessThan(6);
  });
});

describe("evil caches, on the wire", () => {
  test.each(EVILS)("beside a cache that %s, an honest one delivers, once, and the ledger says so", (evil) => {
    const { w, alice, bob, caches } = apart(60 + EVILS.indexOf(evil), [evil, undefined]);
    bob.sleep();
    const ids = [0, 1, 2].map((i) => post(w, alice, bob, `text ${i}`));
    w.run("10 min");
    days(w, [alice, bob], 3);
    expect(bob.inbox().sort()).toEqual(["text 0", "text 1", "text 2"]);
    for (const id of ids) expect(states(alice, id)).toEqual(["queued", "handed", "delivered"]);
    // Of a cache that shows everything again and again there is always one more thing to acknowledge.
    for (const peer of [alice, bob]) peer.wake();
    w.run("30 min");
    if (evil !== "replays") expect(caches.at(-1)?.held).toBe(0);
  });

  test("[X38] of four caches the one that is honest is found, whatever the others claim of themselves", () => {
    const { w, alice, bob } = apart(70, ["drops", "drops", "lies", undefined]);
    bob.sleep();
    const id = post(w, alice, bob, "to whom it may concern");
    w.run("10 min");
    days(w, [alice, bob], 7);
    expect([bob.inbox(), states(alice, id)]).toEqual([["to whom it may concern"], ["queued", "handed", "delivered"]]);
  });

  test("when all are evil nothing is shown twice or claimed; a link heals it", () => {
    const { w, alice, bob } = apart(71, ["drops", "lies", "drops"]);
    const ids = [0, 1].map((i) => post(w, alice, bob, `text ${i}`));
    days(w, [alice, bob], 4);
    expect([bob.inbox(), ...ids.map((id) => states(alice, id))]).toEqual([
      [],
      ["queued", "handed"],
      ["queued", "handed"],
    ]);
    w.join(alice, bob);
    for (const peer of [alice, bob]) peer.wake();
    w.run("1 hour");
    expect(bob.inbox().sort()).toEqual(["text 0", "text 1"]);
    for (const id of ids) expect(states(alice, id)).toEqual(["queued", "handed", "delivered"]);
  });

  test.each([1, 2])("whole days, %i of two caches being evil: every promise is kept", (evil) => {
    for (let seed = 500; seed < 502; seed++) {
      const report = simulate({ seed, backend: quick, evil, peers: 3, caches: 2, days: 2, loss: 0.1 });
      expect(report.broken, tell(report, "")).toEqual([]);
      expect(report.mails).toBeGreaterThan(5);
    }
  });
});
