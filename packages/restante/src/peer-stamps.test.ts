/** Invites that ask for work: what a cache takes by them, what strangers see, and how our own mail waits for its stamp. */
import { expect, test } from "vitest";
import { stampDay, stampText } from "./card/index.ts";
import type { RootOut } from "./peer.ts";
import { Bench, CACHE, HOUR, invite, MINUTE, putsFor, Side, stampFor, Wild } from "./testing/roots.ts";

const WORK = 9;
const DAY = 24 * HOUR;

/** Bob, who joined carol, made an invite that asks for work, and went away. */
function away(work = WORK) {
  const bench = new Bench();
  const bob = new Side(bench, "bob", { paths: [] });
  const carol = new Side(bench, "carol", { mail: false, cache: CACHE });
  bob.call({ type: "join", link: carol.root.joinLink() }, MINUTE);
  const link = bob.invite(false, work);
  bench.machines.delete("bob");
  bench.run(HOUR);
  const back = (): void => {
    bench.machines.set("bob", bob);
    bob.restart();
    bench.run(5 * MINUTE);
  };
  return { bench, bob, carol, link, uri: invite(link).caches[0]?.uri ?? "", back };
}

type Search = Extract<RootOut, { type: "find-stamp" }>;
const searches = ({ outs }: Side): Search[] => outs.filter((out): out is Search => out.type === "find-stamp");

test("a flood of strangers without a stamp leaves nothing; each with one leaves its message, and all see the same", () => {
  const { bench, bob, carol, uri } = away();
  const day = stampDay(bench.now);
  const other = new Wild(bench, "other").identity.hashname;
  /** What the i-th stranger shows, by turns. */
  const shown = (sender: typeof other, i: number) => {
    const task = { cache: carol.hashname, recipient: bob.hashname, sender, day, work: WORK };
    const stamp = stampText(
      stampFor(i % 6 === 2 ? { ...task, sender: other } : i % 6 === 3 ? { ...task, day: day - 2 } : task),
    );
    if (i % 6 === 0) return { uri };
    if (i % 6 === 1) return { uri, stamp: "aaaaaaaaaaaa" };
    if (i % 6 === 4) return { uri: `${uri.slice(0, -1)}${uri.endsWith("a") ? "q" : "a"}`, stamp };
    return { uri, stamp };
  };
  const seen = Array.from({ length: 60 }, (_, i) => {
    const eve = new Wild(bench, `eve ${i}`);
    eve.want(carol, uri);
    bench.run(MINUTE);
    const [before, outs] = [putsFor(carol, bob).length, carol.outs.length];
    const head = { type: "outbox", to: bob.hashname, done: true, ...shown(eve.identity.hashname, i) };
    const body = new Uint8Array(300).fill(i);
    const peer = carol.hashname;
    eve.handle({ type: "open", ch: 1, peer, reliable: true, head, body });
    bench.run(MINUTE);
    eve.handle({ type: "send", ch: 1, head: { done: true }, body });
    eve.handle({ type: "send", ch: 1, head: {}, body: new Uint8Array(0), end: true });
    bench.run(MINUTE);
    return {
      kept: putsFor(carol, bob).length - before,
      // Everything that the cache did for it but ask its store; and what came of it, in order.
      sent: carol.outs
        .slice(outs)
        .flatMap((out) => (out.type === "transmit" && out.path.name === `eve ${i}` ? [out.bytes.length] : [])),
      heard: eve.outs.flatMap((out) => ("ch" in out && out.ch === 1 ? [out] : [])),
    };
  });
  expect(seen.map(({ kept }) => kept)).toEqual(seen.map((_, i) => (i % 6 === 5 ? 2 : 0)));
  const [first] = seen;
  expect(first?.heard.length).toBeGreaterThan(2);
  expect(first?.sent.length).toBeGreaterThan(0);
  for (const { sent, heard } of seen) expect({ sent, heard }).toEqual({ sent: first?.sent, heard: first?.heard });
});

test("who uses such an invite does the work once a day, and none as a contact", () => {
  const { bench, bob, carol, link, back } = away();
  const alice = new Side(bench, "alice");
  alice.call({ type: "add", link }, MINUTE);
  const contact = alice.contact(bob) ?? "";
  for (const text of ["one", "two"]) alice.call({ type: "send", contact, mail: { kind: "text", text } }, MINUTE);
  expect(searches(alice).map(({ task }) => task)).toEqual([
    {
      cache: carol.hashname,
      recipient: bob.hashname,
      sender: alice.hashname,
      day: stampDay(bench.now),
      work: WORK,
    },
  ]);
  expect(putsFor(carol, bob)).toHaveLength(3);
  back();
  expect(bob.texts()).toEqual(["one", "two"]);
  expect(alice.root.outbox().map(({ state }) => state)).not.toContain("queued");
  bench.machines.delete("bob");
  bench.run(2 * DAY);
  alice.call({ type: "send", contact, mail: { kind: "text", text: "three" } }, 5 * MINUTE);
  back();
  expect(bob.texts()).toEqual(["one", "two", "three"]);
  expect(searches(alice)).toHaveLength(1);
  expect(searches(bob)).toEqual([]);
});

test("mail that waits for its stamp is queued and says so, through a restart; then it arrives, once", () => {
  const { bench, bob, carol, link, back } = away();
  const alice = new Side(bench, "alice");
  alice.finds = false;
  alice.call({ type: "add", link }, MINUTE);
  const { value } =
    alice.call({ type: "send", contact: alice.contact(bob) ?? "", mail: { kind: "text", text: "dear" } }, MINUTE) ?? {};
  const { id } = value as { id: string };
  const states = () => alice.root.outbox().filter((each) => each.id === id);
  expect([states().map(({ state }) => state), searches(alice).length]).toEqual([["queued"], 1]);
  expect(alice.root.ledger(id)?.map(({ state }) => state)).toEqual(["queued"]);
  alice.restart();
  alice.finds = true;
  expect(putsFor(carol, bob)).toEqual([]);
  bench.run(5 * MINUTE);
  // The search of the first life has no answer; the second asks anew.
  expect(searches(alice)).toHaveLength(2);
  expect(states().map(({ state }) => state)).toEqual(["handed"]);
  back();
  expect(bob.texts()).toEqual(["dear"]);
  expect(states().map(({ state }) => state)).toEqual(["delivered"]);
});

test("a stamp of yesterday is not shown: the search begins again for today", () => {
  const { bench, bob, carol, link } = away();
  const alice = new Side(bench, "alice");
  alice.finds = false;
  alice.call({ type: "add", link }, MINUTE);
  const [first] = searches(alice);
  if (first === undefined) throw new Error("nothing is looked for");
  bench.run(DAY + 2 * HOUR);
  alice.finds = true;
  alice.handle({ type: "stamp", req: first.req, stamp: stampFor(first.task) });
  expect(putsFor(carol, bob)).toEqual([]);
  bench.run(5 * MINUTE);
  expect(searches(alice).map(({ task }) => task.day - first.task.day)).toEqual([0, 1]);
  expect(putsFor(carol, bob)).toHaveLength(1);
});

test("mail that is given up while it waits leaves nothing at the cache", () => {
  const { bench, bob, carol, link, back } = away();
  const alice = new Side(bench, "alice");
  alice.finds = false;
  alice.call({ type: "add", link }, MINUTE);
  const contact = alice.contact(bob) ?? "";
  const { value } = alice.call({ type: "send", contact, mail: { kind: "text", text: "no" } }, MINUTE) ?? {};
  alice.call({ type: "cancel", id: (value as { id: string }).id }, MINUTE);
  const [search] = searches(alice);
  if (search === undefined) throw new Error("nothing is looked for");
  alice.finds = true;
  alice.handle({ type: "stamp", req: search.req, stamp: stampFor(search.task) });
  bench.run(5 * MINUTE);
  expect(putsFor(carol, bob).length).toBeGreaterThan(0); // her card
  back();
  expect([bob.texts(), bob.root.contacts().length]).toEqual([[], 1]);
});

test("an invite without work asks for none; one with a number that is none is refused", () => {
  const { bench, bob, carol, link } = away(0);
  const alice = new Side(bench, "alice");
  alice.call({ type: "add", link }, 5 * MINUTE);
  expect([searches(alice).length, putsFor(carol, bob).length]).toEqual([0, 1]);
  for (const work of [-1, 25, 1.5, Number.NaN])
    expect(bob.call({ type: "invite", once: true, work })).toEqual({ code: "bad-work" });
});
