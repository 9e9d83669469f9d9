/** Caches that do what none should, mixed with honest ones and alone: what mail then still promises. */
import { describe, expect, test } from "vitest";
import { Chance } from "../testing/chance.ts";
import { EVILS, type Evil } from "../testing/evil-caches.ts";
import { DAY, type FakeCache, HOUR, MINUTE, SECOND, type Station, World } from "../testing/mail-world.ts";
import { PART_CONTENT } from "./constants.ts";

interface Sent {
  readonly from: Station;
  readonly to: Station;
  readonly id: string;
  readonly content: string;
}

interface Outcome {
  readonly world: World;
  readonly alice: Station;
  readonly bob: Station;
  readonly sent: readonly Sent[];
}

/** Two people who never meet write to each other for three days, while their caches do what they do; then ten quiet days. */
function world(seed: number, kinds: readonly (Evil | "honest")[]): Outcome {
  const dice = new Chance(seed * 6271 + 5);
  const world = new World(seed, { crash: dice.pick([0, 0.005]), latency: dice.pick([20, 2000]), duplicate: 0.1 });
  const caches = (): FakeCache[] =>
    dice.shuffle(kinds).map((kind) => (kind === "honest" ? world.cache() : world.cache({ evil: kind })));
  const [alice, bob] = [world.station(caches()), world.station(caches())];
  alice.isReachable = false;
  alice.add(bob);
  bob.add(alice);
  const sent: Sent[] = [];
  for (let step = 0; step < 30; step++) {
    const [from, to] = dice.pick([[alice, bob] as const, [bob, alice] as const]);
    const act = dice.between(0, 5);
    if (act <= 2 && from.isAwake) {
      const content = `${step} from ${from === alice ? "alice" : "bob"}`;
      const isFile = dice.happens(0.15);
      const id = isFile
        ? from.file(to, content, dice.random(dice.between(1, 2 * PART_CONTENT)))
        : from.send(to, content);
      if (id !== undefined) sent.push({ from, to, id, content });
    } else if (act === 3) from.sleep();
    else from.wake();
    world.run(dice.pick([SECOND, MINUTE, HOUR, 5 * HOUR]));
  }
  world.faults.crash = 0;
  for (let day = 0; day < 10; day++) {
    for (const station of [alice, bob]) {
      station.wake();
      station.look();
    }
    world.run(DAY);
  }
  return { world, alice, bob, sent };
}

/** Promises 2 and 3, and bounds: they hold whatever caches do. */
function judge({ world, alice, bob, sent }: Outcome): void {
  for (const [from, to] of [
    [alice, bob],
    [bob, alice],
  ] as const) {
    const shown = to.inbox();
    expect(new Set(shown.map(({ id }) => id)).size, "shown once").toBe(shown.length);
    for (const { id, text, file, why } of shown) {
      const mail = sent.find((each) => each.id === id);
      // Sent, but its sender died before it could say so.
      if (mail === undefined) expect(from.ledger(id), "nobody invents a mail").toBeDefined();
      else expect([mail.from, text ?? file?.name, why]).toEqual([from, mail.content, undefined]);
    }
    const ids = new Set(shown.map(({ id }) => id));
    for (const { id, to: reader } of sent)
      if (reader === to && from.state(id) === "delivered") expect(ids.has(id), "delivered is true").toBe(true);
    // What an evil cache does again and again makes nobody work without end, or remember it.
    expect(from.delivered.length).toBeLessThan(40 * sent.length + 400);
    const size = [...from.store].reduce((sum, [key, value]) => sum + (key.startsWith("mail/") ? value.length : 0), 0);
    expect(size).toBeLessThan(6000 + 1200 * from.keys("queue/").length);
  }
  for (const { evil, highest } of world.caches) if (evil === undefined) expect(highest).toBeLessThan(8 << 20);
}

describe("evil caches", () => {
  test.each(EVILS)("beside a cache that %s, an honest one delivers all, once, and the ledgers say so", (evil) => {
    for (let seed = 1; seed <= 3; seed++) {
      const outcome = world(seed, [evil, "honest"]);
      judge(outcome);
      expect(outcome.sent.length).toBeGreaterThan(5);
      for (const { from, id } of outcome.sent) expect(from.state(id)).toBe("delivered");
      for (const cache of outcome.world.caches)
        if (cache.evil === undefined || cache.evil === "reorders") expect(cache.size).toBe(0);
    }
  });

  test("promise 1: one honest cache among four is enough, if there is time", () => {
    for (let seed = 1; seed <= 5; seed++) {
      const dice = new Chance(seed);
      const outcome = world(seed, [dice.pick(EVILS), dice.pick(EVILS), dice.pick(EVILS), "honest"]);
      judge(outcome);
      for (const { from, id } of outcome.sent) expect(from.state(id), `seed ${seed}`).toBe("delivered");
    }
  });

  test("promise 2, promise 3: when all caches are evil nothing is shown twice, made up, or claimed", () => {
    let lost = 0;
    for (let seed = 1; seed <= 5; seed++) {
      const dice = new Chance(seed);
      const outcome = world(seed, [dice.pick(EVILS), dice.pick(EVILS)]);
      judge(outcome);
      lost += outcome.sent.filter(({ from, id }) => from.state(id) !== "delivered").length;
    }
    expect(lost).toBeGreaterThan(0);
  });

  test("what can only be lost is given up at its time, and never said to be delivered", () => {
    const outcome = world(3, ["drops", "drops"]);
    judge(outcome);
    outcome.world.run(40 * DAY);
    for (const { from, id } of outcome.sent) expect(from.state(id)).toBe("expired");
    expect(outcome.sent.length).toBeGreaterThan(5);
    for (const station of [outcome.alice, outcome.bob]) expect(station.keys("queue/")).toEqual([]);
  });
});

describe("ranks", () => {
  /** Alice writes to bob, who wakes a while after each mail. */
  function letters(w: World, alice: Station, bob: Station, count: number): void {
    for (let i = 0; i < count; i++) {
      bob.sleep();
      alice.send(bob, `text ${i}`);
      w.run(HOUR);
      bob.wake();
      w.run(HOUR);
    }
  }

  test("[X38] a cache that drops what it takes is not chosen for long, whatever it claims; an old account outlives a restart", () => {
    const w = new World(90);
    const [liar, honest, third] = [w.cache({ evil: "drops" }), w.cache(), w.cache()];
    const [alice, bob] = [w.station([w.cache()]), w.station([liar, honest, third])];
    alice.isReachable = false;
    alice.add(bob);
    bob.add(alice);
    letters(w, alice, bob, 4);
    expect(bob.texts()).toHaveLength(4);
    const ranks = (): string[] => (alice.mail?.cachesOf(bob.card) ?? []).map(({ offer }) => offer.hashname);
    expect(ranks().at(-1)).toBe(liar.hashname);
    alice.sleep();
    alice.wake();
    expect(ranks().at(-1)).toBe(liar.hashname);
    const handed: string[] = [];
    bob.sleep();
    const id = alice.send(bob, "by the others") ?? "";
    w.run(HOUR);
    for (const { cache } of alice.ledger(id) ?? []) if (cache !== undefined) handed.push(cache);
    expect(handed.sort()).toEqual([honest.hashname, third.hashname].sort());
  });

  test("a slow cache gets the credit that is due when the recipient says so later", () => {
    const w = new World(91);
    const [first, second] = [w.cache(), w.cache()];
    const [alice, bob] = [w.station([w.cache()]), w.station([first, second])];
    alice.isReachable = false;
    alice.add(bob);
    bob.add(alice);
    const account = (cache: FakeCache): [number, number] | undefined => {
      const found = alice.mail?.cachesOf(bob.card).find(({ offer }) => offer.hashname === cache.hashname);
      return found && [found.settled, found.delivered];
    };
    bob.sleep();
    alice.send(bob, "one");
    w.run(MINUTE);
    second.up = false; // so that bob does not see it there yet, and alice cannot take it back
    bob.wake();
    w.run(MINUTE);
    expect([account(first), account(second)]).toEqual([
      [1, 1],
      [1, 0],
    ]);
    second.up = true;
    bob.look();
    w.run(MINUTE);
    alice.send(bob, "two");
    w.run(MINUTE);
    expect([account(first), account(second)]).toEqual([
      [2, 2],
      [2, 2],
    ]);
  });

  test("mail that came over the link, or was cancelled, says nothing of the caches that held it", () => {
    const w = new World(92);
    const [alice, bob] = [w.station([w.cache()]), w.station([w.cache(), w.cache()])];
    alice.isReachable = false;
    alice.add(bob);
    bob.add(alice);
    bob.sleep();
    const cancelled = alice.send(bob, "never mind") ?? "";
    w.run(MINUTE);
    alice.call({ type: "cancel", id: cancelled });
    alice.send(bob, "by hand");
    w.run(MINUTE);
    for (const cache of bob.caches) cache.up = false;
    bob.wake();
    alice.reachable(true);
    w.run(HOUR);
    expect(bob.texts()).toEqual(["by hand"]);
    expect(alice.mail?.cachesOf(bob.card).map(({ settled }) => settled)).toEqual([0, 0]);
    expect(alice.keys("mail/repute/")).toEqual([]);
  });
});
