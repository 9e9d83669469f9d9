/** What the judge of worlds excuses, and what it does not. */
import { expect, test } from "vitest";
import { type Gone, goBack, judge, type Sent } from "./judge.ts";
import { Opportunities } from "./opportunity.ts";
import { post, scene } from "./scene.ts";
import { type SimPeer, World } from "./world.ts";

test("a mail that was in an inbox which then went back is gone with it, though another mail has its place in the backup", () => {
  const { w, alice, bob } = scene({ seed: 1 }, ["alice", "bob"], ["carol"]);
  const gone: Gone = { devices: new Set(), inboxes: new Set(), spools: new Set() };
  const sent: Sent[] = [];
  const write = (content: string): void => {
    sent.push({ from: alice, to: bob, content, bytes: undefined, at: w.now, id: undefined, isCancelled: false });
    (sent.at(-1) as Sent).id = post(w, alice, bob, content);
    w.run("1 min");
  };
  bob.sleep();
  const empty = bob.backup();
  bob.wake();
  write("one");
  bob.sleep();
  const withOne = bob.backup();
  goBack(bob, empty, sent, gone);
  bob.restore(empty);
  bob.wake();
  write("two"); // the first in this inbox, as "one" was in the other
  bob.sleep();
  goBack(bob, withOne, sent, gone);
  bob.rewind(withOne);
  expect([...gone.inboxes].sort()).toEqual(sent.map(({ id }) => `${id} bob`).sort());
  expect([...bob.shown.values()]).toHaveLength(0); // nobody remembers when "one" came: it was gone in between
  bob.wake();
  expect(verdict(w, sent, gone)).toEqual([]);
  // The same without an excuse.
  gone.inboxes.clear();
  expect(verdict(w, sent, gone).filter((line) => line.startsWith("promise 1"))).toHaveLength(1);
});

function verdict(world: World, sent: readonly Sent[], gone: Gone): readonly string[] {
  const peers = world.peers.filter(({ name }) => name !== "carol");
  const caches = world.peers.filter(({ name }) => name === "carol");
  world.run("1 hour");
  return judge({ world, peers, caches, cachesOf: () => caches, sent, gone, hasCopies: true, answered: 0 }).broken;
}

test("the clock of a world tells whole milliseconds, and no timer fires before its time", () => {
  const world = new World({ seed: 1 });
  const fired: number[] = [];
  const start = world.now;
  for (const ms of [0.25, 1, 1.5]) world.after(ms, () => fired.push(world.now - start));
  world.run(10);
  expect(fired).toEqual([1, 1, 2]);
});

test("a mail could have come when a meeting was long enough for all of it, and by a cache only if that held it all the time", () => {
  const { w, alice, bob, carol } = scene({ seed: 1, loss: 0.5 }, ["alice", "bob"], ["carol"]);
  const live = (peer: SimPeer, ...lives: [from: number, to: number][]): void => {
    peer.lives.length = 0;
    for (const [from, to] of lives) peer.lives.push({ from: 1000 * from, to: 1000 * to });
  };
  live(alice, [0, 80], [200, 400], [500, 539]);
  live(bob, [100, 180], [300, 340], [500, 539]);
  const first = (parts: number, since = 0, caches = [carol]): number | undefined => {
    const at = new Opportunities(w).first({ from: alice, to: bob, caches, parts, since: 1000 * since });
    return at === undefined ? undefined : at / 1000;
  };
  live(carol, [0, 1000]);
  // Half of the packets are lost, so a part takes 40 s.
  expect([first(1), first(2), first(3)]).toEqual([100, 100, undefined]);
  expect([first(1, 40), first(1, 41), first(2, 1)]).toEqual([100, 300, undefined]);
  expect(first(1, 0, [])).toBe(300);
  live(carol, [0, 90], [91, 1000]); // it started anew meanwhile
  expect([first(1), first(1, 301)]).toEqual([300, undefined]);
});
