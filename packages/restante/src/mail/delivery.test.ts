import { expect, test } from "vitest";
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Delivery, type DeliveryIn, type DeliveryOut, Slots } from "./delivery.ts";
import { type Parcel, parcelJson, parcelOf } from "./parcel.ts";

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
  waiting: { flight: number; at: Hashname; bytes: string }[] = [];
  #seq = 1;

  constructor(options: { caches?: number; slots?: Slots; direct?: boolean } = {}) {
    let flight = 0;
    this.delivery = new Delivery({
      peer: PEER,
      slots: options.slots ?? new Slots(),
      flights: () => ++flight,
      chance: () => 0.5,
      hasPart: ({ mail }, part) => this.acknowledged.has(`${mail} ${part}`),
      messageId: (bytes) => `id ${String.fromCharCode(...bytes)}`,
      told: new Map(),
    });
    const caches = CACHES.slice(0, options.caches ?? 1).map((hashname) => ({
      hashname,
      uri: "",
      cap: 2 ** 23,
      store: hashname,
    }));
    this.input({
      type: "destination",
      to: { hashname: PEER, keys: new Map(), caches, direct: options.direct ?? false },
    });
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
        this.waiting.push({ flight: each.flight, at, bytes: String.fromCharCode(...each.bytes) });
      }
    }
    return out;
  }

  offer(mail: string, of = 1): Parcel {
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
      partBytes: 1024,
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
  expect(slots.starved.has(PEER)).toBe(true);
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
