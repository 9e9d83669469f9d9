import { expect, test } from "vitest";
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Delivery, type DeliveryIn, type DeliveryOut } from "./delivery.ts";
import { type Parcel, parcelJson, parcelOf } from "./parcel.ts";
import { Ranges } from "./ranges.ts";
import { Slots } from "./slots.ts";

const PEER = "peer" as Hashname;
const CACHES = ["cache-1", "cache-2", "cache-3"] as Hashname[];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** A delivery whose parts are sealed at once; what it wants to deliver piles up until it is answered. */
class Bench {
  now: Time = 0;
  readonly delivery: Delivery;
  readonly acknowledged = new Set<string>();
  readonly log: DeliveryOut[] = [];
  waiting: { flight: number; at: Hashname; bytes: string; turn: number }[] = [];
  #seq = 1;
  /** In what order all benches began to deliver. */
  static turn = 0;

  constructor(
    options: {
      caches?: number;
      slots?: Slots;
      direct?: boolean;
      copies?: number;
      chance?: number;
      peer?: Hashname;
      cap?: number;
    } = {},
  ) {
    let flight = 0;
    this.delivery = new Delivery({
      peer: options.peer ?? PEER,
      slots: options.slots ?? new Slots(),
      flights: () => ++flight,
      chance: () => options.chance ?? 0.5,
      have: ({ mail, of }) => {
        const parts = new Ranges();
        for (let part = 0; part < of; part++) if (this.acknowledged.has(`${mail} ${part}`)) parts.add(part, part, of);
        return parts;
      },
      forget: ({ mail, of }) => {
        for (let part = 0; part < of; part++) this.acknowledged.delete(`${mail} ${part}`);
      },
      messageId: (bytes) => `id ${String.fromCharCode(...bytes)}`,
      told: new Map(),
      ...(options.copies !== undefined && { copies: options.copies }),
    });
    this.name(options);
  }

  /** What the peer's card, or its invite, says. */
  name({ caches = 1, cap = 2 ** 23, direct = false }: { caches?: number; cap?: number; direct?: boolean }): void {
    const offers = CACHES.slice(0, caches).map((hashname) => ({ hashname, uri: "", cap, store: hashname }));
    this.input({ type: "destination", to: { hashname: PEER, keys: new Map(), caches: offers, direct } });
  }

  input(input: DeliveryIn): DeliveryOut[] {
    const out = this.delivery.handle(input, this.now);
    for (const each of out) {
      this.log.push(each);
      if (each.type === "fetch") {
        const bytes = Uint8Array.from(`${each.parcel.mail}.${each.part}`, (c) => c.charCodeAt(0));
        this.input({ type: "sealed", flight: each.flight, bytes });
      } else if (each.type === "deliver") {
        const at = each.route.type === "cache" ? each.route.cache : each.route.peer;
        this.waiting.push({ flight: each.flight, at, bytes: String.fromCharCode(...each.bytes), turn: Bench.turn++ });
      }
    }
    return out;
  }

  offer(mail: string, of = 1, partBytes = 1024): Parcel {
    const seq = this.#seq++;
    const fixed = {
      mail,
      peer: PEER,
      epoch: "e",
      seq,
      floor: 1,
      generation: 0,
      hello: false,
      of,
      partBytes,
      expires: 2 ** 50,
    };
    const parcel = parcelOf({ ...fixed, state: "open", offers: 0, copies: [] });
    this.input({ type: "offer", parcel });
    return parcel;
  }

  /** Answers all that waits; gives what that was. */
  answer(ok: boolean): string[] {
    const waiting = this.waiting;
    this.waiting = [];
    for (const { flight } of waiting) this.input({ type: "delivered", flight, ok });
    return waiting.map(({ bytes }) => bytes);
  }

  /** To the next deadline; gives how long that took. */
  next(): number {
    const before = this.now;
    this.now = this.delivery.deadline() ?? Number.POSITIVE_INFINITY;
    if (this.now < Number.POSITIVE_INFINITY) this.input({ type: "tick" });
    return this.now - before;
  }
}

test("a route that fails is tried after 30 s, 2 and 10 minutes, 1, 3 and 6 hours, then every 6 hours", () => {
  const bench = new Bench();
  bench.offer("a");
  const waits: number[] = [];
  for (let i = 0; i < 8; i++) {
    expect(bench.answer(false)).toEqual(["a.0"]);
    waits.push(bench.next());
  }
  expect(waits).toEqual([30 * SECOND, 2 * MINUTE, 10 * MINUTE, HOUR, 3 * HOUR, 6 * HOUR, 6 * HOUR, 6 * HOUR]);
});

test("while a route fails one part at a time tries it, and a new mail tries at once without pushing the schedule", () => {
  const bench = new Bench();
  for (const name of ["a", "b", "c"]) bench.offer(name);
  expect(bench.answer(false)).toHaveLength(3);
  expect(bench.delivery.deadline()).toBe(30 * SECOND); // three that left together are one failure
  bench.now = 10 * SECOND;
  bench.offer("d");
  expect(bench.answer(false)).toHaveLength(1);
  expect(bench.delivery.deadline()).toBe(30 * SECOND);
  bench.now = 20 * SECOND;
  bench.input({ type: "link", peer: CACHES[0] ?? PEER, up: true });
  expect(bench.answer(true).sort()).toEqual(["a.0", "b.0", "c.0", "d.0"]);
});

test("at most 8 parts are in flight on a route and 64 in all; the last places are for texts", () => {
  const slots = new Slots();
  const bench = new Bench({ caches: 2, slots });
  bench.offer("film", 100);
  expect(bench.waiting).toHaveLength(14);
  bench.offer("hello");
  expect(bench.waiting.slice(14).map(({ bytes }) => bytes)).toEqual(["hello.0", "hello.0"]);
  bench.offer("hello again");
  expect(bench.waiting).toHaveLength(16);

  slots.used = 56; // others are busy
  const other = new Bench({ caches: 1, slots });
  other.offer("film", 100);
  expect(other.waiting).toHaveLength(0);
  const fed: string[] = [];
  slots.feed((peer) => fed.push(peer));
  expect(fed).toEqual([]);
  for (let i = 0; i < 10; i++) other.offer(`text ${i}`);
  expect(other.waiting).toHaveLength(8);
  expect(slots.used).toBe(64);
  slots.used = 8;
  other.input({ type: "tick" });
  other.answer(true);
  expect(other.waiting.map(({ bytes }) => bytes)).toContain("film.0");
});

test("what may lie at a cache is saved before it leaves, and a copy that lands after the end is taken back", () => {
  const bench = new Bench();
  const parcel = bench.offer("a");
  expect(bench.log.map(({ type }) => type)).toEqual(["fetch", "changed", "deliver"]);
  expect(parcelOf(JSON.parse(JSON.stringify(parcelJson(parcel))))).toEqual(parcel);
  parcel.state = "acknowledged";
  const ids = ["id a.0"];
  expect(bench.input({ type: "stop", parcel })).toMatchObject([{ type: "withdraw", ids }]);
  bench.log.length = 0;
  bench.answer(true);
  expect(bench.log).toMatchObject([{ type: "withdraw", ids, to: PEER, route: { type: "cache" } }]);
  expect(bench.delivery.deadline()).toBeUndefined();
});

test("what all its caches took is offered again after 6 hours, then every 24, as long as it is open", () => {
  const bench = new Bench({ caches: 2 });
  const parcel = bench.offer("a");
  expect(bench.answer(true)).toHaveLength(2);
  expect([bench.next(), bench.answer(true).length]).toEqual([6 * HOUR, 2]);
  expect([bench.next(), bench.answer(true).length]).toEqual([24 * HOUR, 2]);
  expect([bench.next(), bench.answer(true).length]).toEqual([24 * HOUR, 2]);
  expect(bench.log.filter(({ type }) => type === "handed").length).toBeGreaterThan(2); // the ledger takes one of each
  bench.input({ type: "stop", parcel });
  expect(bench.next()).toBe(Number.POSITIVE_INFINITY);
});

test("what was told of parts is believed for a day after the last of them lay there; then all parts are offered once more", () => {
  const bench = new Bench();
  const film = bench.offer("film", 3);
  expect(bench.answer(true)).toEqual(["film.0", "film.1", "film.2"]);
  for (const part of [0, 2]) bench.acknowledged.add(`film ${part}`);
  bench.input({ type: "progress" });
  expect([bench.next(), bench.answer(true)]).toEqual([6 * HOUR, ["film.1"]]);
  expect(film.copies.get(CACHES[0] as Hashname)?.offered.list()).toEqual([[0, 2]]);
  expect([bench.next(), bench.answer(true)]).toEqual([24 * HOUR, ["film.0", "film.1", "film.2"]]);
  // Who has some of them says so again, and then that is not offered; and they are taken back again.
  bench.acknowledged.add("film 1");
  const outs = bench.input({ type: "progress" });
  expect(outs.find(({ type }) => type === "withdraw")).toMatchObject({ ids: ["id film.1"] });
  expect(outs.some(({ type }) => type === "went")).toBe(true);
  expect([bench.next(), bench.answer(true).length]).toEqual([24 * HOUR, 3]);
});

test("what is offered anew after that takes room again: a file that is larger than the box goes box by box", () => {
  const bench = new Bench({ cap: 4096 });
  bench.offer("film", 6);
  expect(bench.answer(true)).toEqual(["film.0", "film.1", "film.2"]);
  for (const part of [0, 1, 2]) bench.acknowledged.add(`film ${part}`);
  bench.input({ type: "progress" });
  expect(bench.answer(true)).toEqual(["film.3", "film.4", "film.5"]);
  expect([bench.next(), bench.answer(true).length, bench.next()]).toEqual([6 * HOUR, 3, 24 * HOUR]);
  // Parts 3 to 5 lie there, for all that is known; and where they lie they take no more room.
  expect(bench.answer(true).sort()).toEqual(["film.3", "film.4", "film.5"]);
  for (const part of [3, 4, 5]) bench.acknowledged.add(`film ${part}`);
  bench.input({ type: "progress" });
  expect(bench.answer(true)).toEqual(["film.0", "film.1", "film.2"]);
});

test("a text that is larger than a stranger's box waits for the card, which names more, and holds up no smaller one", () => {
  const bench = new Bench({ cap: 8192 });
  bench.offer("hello", 1, 2048);
  const large = bench.offer("large", 1, 32_768);
  bench.offer("small");
  expect(bench.answer(true)).toEqual(["hello.0", "small.0"]);
  expect(bench.delivery.went(large)).toBe(0);
  bench.name({});
  expect([bench.answer(true), bench.delivery.went(large)]).toEqual([["large.0"], 1]);
});

test("when to offer again was saved by a clock that was ahead: it is a day from now at most", () => {
  const before = new Bench();
  before.now = 40 * 24 * HOUR;
  const saved = JSON.parse(JSON.stringify(parcelJson(before.offer("a"))));
  before.answer(true);
  const taken = parcelOf({ ...saved, offerAt: before.now + 6 * HOUR });
  const after = new Bench();
  after.now = HOUR;
  after.input({ type: "offer", parcel: taken });
  after.answer(true);
  expect(after.next()).toBeLessThanOrEqual(24 * HOUR);
  expect(after.answer(true)).toEqual(["a.0"]);
});

test("parts that are acknowledged are not sent, and are taken back where they lie", () => {
  const bench = new Bench();
  bench.offer("film", 20);
  bench.answer(true);
  for (let part = 5; part < 20; part++) bench.acknowledged.add(`film ${part}`);
  bench.acknowledged.add("film 0");
  const out = bench.input({ type: "progress" });
  expect(out.filter(({ type }) => type === "withdraw")).toMatchObject([
    { type: "withdraw", ids: expect.arrayContaining(["id film.0", "id film.5"]) },
  ]);
  const later = bench.answer(true);
  expect(later.filter((bytes) => Number(bytes.slice(5)) >= 14)).toEqual([]);
});

test("an acknowledgement replaces its predecessor: deposited first, then that is removed; the link is preferred", () => {
  const bench = new Bench({ caches: 2 });
  const tell = (text: string): void => {
    bench.input({ type: "tell", bytes: Uint8Array.from(text, (c) => c.charCodeAt(0)), expires: 2 ** 50 });
  };
  tell("one");
  expect(bench.log.map(({ type }) => type)).toEqual(["told-state", "deliver", "told-state", "deliver"]);
  expect(bench.answer(true)).toEqual(["one", "one"]);
  expect(bench.log.filter(({ type }) => type === "told")).toHaveLength(1);
  bench.log.length = 0;
  tell("two");
  expect(bench.log.some(({ type }) => type === "withdraw")).toBe(false);
  bench.answer(true);
  expect(bench.log.filter(({ type }) => type === "withdraw")).toMatchObject([{ ids: ["id one"] }, { ids: ["id one"] }]);
  bench.input({ type: "link", peer: PEER, up: true });
  tell("three");
  expect(bench.waiting.map(({ at }) => at)).toEqual([PEER]);
  bench.answer(false);
  expect(bench.waiting.map(({ at }) => at)).toEqual(CACHES.slice(0, 2));
  tell("four"); // while "three" is on its way
  bench.answer(true);
  expect(bench.answer(true)).toContain("four");
});

test("without caches a peer with addresses is asked for a link, and one without waits", () => {
  const asks = new Bench({ caches: 0, direct: true });
  asks.offer("a");
  expect(asks.waiting.map(({ at }) => at)).toEqual([PEER]);
  asks.answer(false);
  expect(asks.next()).toBe(30 * SECOND);
  const waits = new Bench({ caches: 0 });
  waits.offer("a");
  expect(waits.waiting).toEqual([]);
  expect(waits.delivery.deadline()).toBeUndefined();
  waits.input({ type: "link", peer: PEER, up: true });
  expect(waits.answer(true)).toEqual(["a.0"]);
});

test("when the peer leaves, its places are free again", () => {
  const slots = new Slots();
  const bench = new Bench({ slots });
  bench.offer("film", 20);
  expect(slots.used).toBe(7);
  bench.input({ type: "end" });
  expect(slots.used).toBe(0);
});

test("[X38] a mail lies at as many caches as was set; unanswered it gets one more each day, and keeps those that it had", () => {
  const handed = (bench: Bench): string[] => {
    const at = bench.waiting.map((each) => each.at);
    bench.answer(true);
    return at.sort();
  };
  for (const [copies, expected] of [
    [1, ["cache-1", "cache-1", "cache-1 cache-2", "cache-1 cache-2 cache-3", "cache-1 cache-2 cache-3"]],
    [undefined, ["cache-1 cache-2", "cache-1 cache-2", "cache-1 cache-2 cache-3"]],
    [3, ["cache-1 cache-2 cache-3", "cache-1 cache-2 cache-3"]],
  ] as const) {
    const bench = new Bench({ caches: 3, ...(copies !== undefined && { copies }) });
    const parcel = bench.offer("a");
    const days = expected.map(() => {
      const at = handed(bench).join(" ");
      bench.next();
      return at;
    });
    expect(days).toEqual(expected);
    // And it is taken back wherever it was.
    parcel.state = "acknowledged";
    const out = bench.input({ type: "stop", parcel });
    const places = out.flatMap((each) =>
      each.type === "withdraw" && each.route.type === "cache" ? [each.route.cache] : [],
    );
    expect(places.sort().join(" ")).toBe(expected.at(-1));
  }
});

test("there is room for as many as may be under way soon, and for one more with each that a way has taken", () => {
  const bench = new Bench();
  const parcels = Array.from({ length: bench.delivery.room("text") }, (_, i) => bench.offer(`${i}`));
  expect([parcels.length, bench.delivery.room("text"), bench.delivery.room("file")]).toEqual([256, 0, 16]);
  expect(bench.waiting).toHaveLength(8);
  const left: string[] = [];
  for (let taken = 8; bench.waiting.length > 0; taken += 8) {
    left.push(...bench.answer(true));
    expect(bench.delivery.room("text")).toBe(Math.min(taken, 256));
  }
  const texts = left.filter((each, i) => left.indexOf(each) === i);
  expect(texts).toEqual(parcels.map(({ mail }) => `${mail}.0`));
});

test("a link that comes up wakes at once what had to wait for 6 hours", () => {
  for (const peer of [CACHES[0], PEER]) {
    if (peer === undefined) throw new Error("no cache");
    const bench = new Bench();
    bench.offer("a");
    for (let i = 0; i < 6; i++) {
      bench.answer(false);
      if (i < 5) bench.next();
    }
    expect(bench.delivery.deadline()).toBe(bench.now + 6 * HOUR);
    bench.now += MINUTE;
    bench.input({ type: "link", peer, up: true });
    expect(bench.waiting).toMatchObject([{ at: peer, bytes: "a.0" }]);
  }
});

test("no two that failed together come back together: waits are spread by a fifth", () => {
  const waits = [0, 0.25, 0.5, 0.75, 1].map((chance) => {
    const bench = new Bench({ chance });
    bench.offer("a");
    bench.answer(false);
    return bench.next() / SECOND;
  });
  expect(waits).toEqual([24, 27, 30, 33, 36]);
});

test("a contact with one mail waits for one part of each of fifty who have a thousand", () => {
  const slots = new Slots(4);
  const names = Array.from({ length: 51 }, (_, i) => `peer-${i}` as Hashname);
  const benches = new Map(names.map((peer) => [peer, new Bench({ slots, peer })]));
  const turns: string[] = [];
  const pairs = [...benches];
  for (const [name, bench] of pairs.slice(0, 50)) for (let i = 0; i < 1000; i++) bench.offer(`${name} ${i}`);
  benches.get("peer-50" as Hashname)?.offer("the one");
  // One after the other ends, the oldest first, and each time those who wait are asked.
  while (!turns.includes("the one.0")) {
    const flying = pairs.flatMap(([, bench]) => bench.waiting.map((each) => ({ bench, ...each })));
    const oldest = flying.sort((a, b) => a.turn - b.turn)[0];
    if (oldest === undefined) throw new Error("nothing is on its way");
    turns.push(oldest.bytes);
    oldest.bench.waiting = oldest.bench.waiting.filter(({ flight }) => flight !== oldest.flight);
    oldest.bench.input({ type: "delivered", flight: oldest.flight, ok: true });
    slots.feed((peer) => benches.get(peer)?.input({ type: "tick" }));
  }
  expect(turns.length).toBeLessThanOrEqual(51 + 4);
  expect(slots.used).toBeLessThanOrEqual(4);
});

test("what lay at a cache that started anew is left there again within half a minute; at most once in 10 minutes", () => {
  const bench = new Bench({ caches: 2 });
  const [one, two] = CACHES;
  if (one === undefined || two === undefined) throw new Error("no caches");
  for (const peer of [one, two]) bench.input({ type: "link", peer, up: true });
  bench.offer("a");
  bench.offer("b");
  bench.answer(true);
  bench.input({ type: "renewed", peer: one });
  expect(bench.waiting).toEqual([]);
  expect(bench.next()).toBe(15 * SECOND);
  expect(bench.waiting.map(({ at, bytes }) => [at, bytes])).toEqual([
    [one, "a.0"],
    [one, "b.0"],
  ]);
  bench.answer(true);
  // One that starts anew each second for an hour, to have us work.
  const before = bench.log.filter(({ type }) => type === "deliver").length;
  for (let second = 0; second < 3600; second++) {
    bench.now += SECOND;
    bench.input({ type: "renewed", peer: one });
    bench.input({ type: "tick" });
    bench.answer(true);
  }
  const deposits = bench.log.filter(({ type }) => type === "deliver").length - before;
  expect(deposits).toBeGreaterThan(0);
  expect(deposits).toBeLessThanOrEqual(2 * 6);
});

test("what lay at a cache since an earlier life of ours is left there again once its link is up; what is new goes once", () => {
  const bench = new Bench({ caches: 2 });
  const [one, two] = CACHES;
  if (one === undefined || two === undefined) throw new Error("no caches");
  for (const peer of [one, two]) bench.input({ type: "link", peer, up: true });
  const parcels = [bench.offer("a"), bench.offer("b"), bench.offer("c")];
  bench.answer(true);
  const saved = parcels.map((parcel) => JSON.stringify(parcelJson(parcel)));

  const next = new Bench({ caches: 2 });
  const [a, b, c] = saved.map((json) => parcelOf(JSON.parse(json)));
  if (a === undefined || b === undefined || c === undefined) throw new Error("no parcels");
  for (const parcel of [a, b]) next.input({ type: "offer", parcel });
  expect(next.delivery.deadline()).toBe(6 * HOUR); // no link: nobody is called for this alone
  next.input({ type: "link", peer: one, up: true });
  next.offer("new");
  expect(next.answer(true)).toEqual(["new.0", "new.0"]);
  next.input({ type: "stop", parcel: b });
  expect(next.next()).toBe(15 * SECOND);
  expect(next.waiting.map(({ at, bytes }) => [at, bytes])).toEqual([[one, "a.0"]]);
  next.answer(true);
  // One that is taken up later, when the link is there: likewise, but no cache is asked to do this again within 10 minutes.
  next.input({ type: "offer", parcel: c });
  expect(next.next()).toBe(10 * MINUTE + 15 * SECOND);
  expect(next.waiting.map(({ at, bytes }) => [at, bytes])).toEqual([[one, "c.0"]]);
  next.answer(true);
  next.input({ type: "link", peer: two, up: true });
  expect(next.next()).toBe(15 * SECOND);
  expect(next.waiting.map(({ at, bytes }) => [at, bytes])).toEqual([
    [two, "a.0"],
    [two, "c.0"],
  ]);
  next.answer(true);
  expect(next.delivery.deadline()).toBe(6 * HOUR);
});

test("a cache whose link went and came again may have crashed: what lay there is left there again, once an hour", () => {
  const bench = new Bench();
  const [cache] = CACHES;
  if (cache === undefined) throw new Error("no cache");
  const link = (up: boolean): unknown => bench.input({ type: "link", peer: cache, up });
  link(true);
  bench.offer("a");
  bench.answer(true);
  expect(bench.delivery.deadline()).toBe(6 * HOUR);
  link(false);
  link(true);
  expect(bench.next()).toBe(15 * SECOND);
  expect(bench.answer(true)).toEqual(["a.0"]);
  link(false);
  link(true);
  expect(bench.next()).toBe(HOUR + 15 * SECOND);
  expect(bench.answer(true)).toEqual(["a.0"]);
});

test("a mail that is missing behind later ones is offered again at once, and ever more rarely", () => {
  const bench = new Bench();
  const [a, b] = [bench.offer("a"), bench.offer("b")];
  bench.answer(true);
  b.state = "acknowledged";
  bench.input({ type: "stop", parcel: b });
  const hole = (): unknown => bench.input({ type: "progress", below: { epoch: "e", seq: b.seq } });
  // It may be on its way: both were left there just now.
  bench.now += 10 * SECOND;
  hole();
  expect(bench.delivery.deadline()).toBe(MINUTE);
  expect(bench.next()).toBe(50 * SECOND);
  expect(bench.answer(true)).toEqual(["a.0"]);
  const waits: number[] = [];
  for (let i = 0; i < 4; i++) {
    hole();
    waits.push(bench.next());
    expect(bench.answer(true)).toEqual(["a.0"]);
  }
  expect(waits).toEqual([10 * MINUTE, HOUR, 6 * HOUR, 6 * HOUR]);
  bench.now += HOUR;
  // What is behind the highest that it has is no hole.
  bench.input({ type: "progress", below: { epoch: "e", seq: a.seq } });
  expect(bench.waiting).toEqual([]);
});
