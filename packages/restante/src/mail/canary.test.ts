import { expect, test } from "vitest";
import { boxId, messageId } from "../box/index.ts";
import type { Time } from "../bytes/index.ts";
import { createCrypto, createIdentity, type Hashname, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { cs01 } from "../testing/cipher-set-01.ts";
import { CANARY_KEY, type CacheTest, Canary, type CanaryIn, type CanaryOut } from "./canary.ts";

const crypto = createCrypto(portable, [cs01()]);
const [ONE, TWO] = ["cache-1", "cache-2"] as [Hashname, Hashname];
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;

/** A canary with its two caches; everything that it says is kept. */
class Bench {
  now: Time = 1_700_000_000_000;
  readonly out: CanaryOut[] = [];
  #saved: Uint8Array | undefined;
  readonly chance = new Chance(3);
  readonly identity = createIdentity(crypto, this.chance.random);
  canary: Canary;
  #flight = 1;

  constructor() {
    this.canary = this.#make(undefined);
    this.input({ type: "caches", caches: [ONE, TWO].map((hashname) => ({ hashname, uri: `to ${hashname}` })) });
    for (const peer of [ONE, TWO]) this.input({ type: "link", peer, up: true });
  }

  #make(saved: Uint8Array | undefined): Canary {
    const { hashname } = this.identity;
    const box = boxId(portable, hashname, hashname);
    return new Canary({
      ...{ crypto, identity: this.identity, random: this.chance.random, saved },
      flights: () => this.#flight++,
      messageId: (bytes) => messageId(portable, box, bytes),
    });
  }

  restart(): void {
    this.canary = this.#make(this.#saved);
    this.input({ type: "caches", caches: [ONE, TWO].map((hashname) => ({ hashname, uri: `to ${hashname}` })) });
  }

  input(input: CanaryIn): CanaryOut[] {
    const out = this.canary.handle(input, this.now);
    this.out.push(...out);
    for (const each of out) if (each.type === "save" && each.key === CANARY_KEY) this.#saved = each.value;
    return out;
  }

  run(ms: Time): void {
    const end = this.now + ms;
    for (let at = this.canary.deadline(); at !== undefined && at <= end; at = this.canary.deadline()) {
      this.now = Math.max(this.now, at);
      this.input({ type: "tick" });
    }
    this.now = end;
  }

  of<T extends CanaryOut["type"]>(type: T): Extract<CanaryOut, { type: T }>[] {
    return this.out.filter((each): each is Extract<CanaryOut, { type: T }> => each.type === type);
  }

  /** The last that was left at this cache. */
  left(cache: Hashname): Extract<CanaryOut, { type: "deliver" }> {
    const found = this.of("deliver").findLast(({ route }) => route.type === "cache" && route.cache === cache);
    return found ?? expect.fail("nothing was left there");
  }

  show(via: Hashname, bytes: Uint8Array): void {
    const { hashname } = this.identity;
    this.input({ type: "message", via, id: messageId(portable, boxId(portable, hashname, hashname), bytes), bytes });
  }

  outcomes(): string[] {
    return this.canary.tests().map(({ cache, outcome, ms }) => `${cache} ${outcome} ${ms ?? "-"}`);
  }
}

test("what comes back is told with its time; what does not is lost a minute after the cache took it", () => {
  const bench = new Bench();
  bench.input({ type: "test", req: 7 });
  const [one, two] = [bench.left(ONE), bench.left(TWO)];
  expect(one.bytes).toHaveLength(1023);
  expect(one.bytes).not.toEqual(two.bytes);
  for (const { flight } of [one, two]) bench.input({ type: "delivered", flight, ok: true });
  bench.run(300);
  bench.show(ONE, one.bytes);
  expect(bench.of("reply")).toEqual([]);
  bench.run(MINUTE);
  expect(bench.outcomes()).toEqual(["cache-1 whole 300", "cache-2 lost -"]);
  const [reply] = bench.of("reply");
  expect([reply?.req, reply?.value]).toEqual([7, bench.canary.tests()]);
  // Only what is news is told unasked: the good were good before.
  expect(bench.of("judged").map(({ test }) => `${test.cache} ${test.outcome}`)).toEqual(["cache-2 lost"]);
  // Both are taken back, as by a sender who has heard.
  expect(bench.of("withdraw").map(({ ids }) => ids.length)).toEqual([1, 1]);
});

test("late, changed, and unreachable are told apart", () => {
  const bench = new Bench();
  bench.input({ type: "test", req: 1 });
  const [one, two] = [bench.left(ONE), bench.left(TWO)];
  bench.input({ type: "delivered", flight: one.flight, ok: true });
  bench.input({ type: "delivered", flight: two.flight, ok: false });
  bench.run(2 * MINUTE);
  expect(bench.outcomes()).toEqual(["cache-1 lost -", "cache-2 unreachable -"]);
  bench.show(ONE, one.bytes);
  expect(bench.outcomes()).toEqual(["cache-1 late 120000", "cache-2 unreachable -"]);
  bench.input({ type: "test", req: 2 });
  const third = bench.left(TWO);
  bench.input({ type: "delivered", flight: third.flight, ok: true });
  const forged = third.bytes.slice();
  forged[500] = 255 - (forged[500] ?? 0);
  bench.show(TWO, forged);
  expect(bench.outcomes()[1]).toBe("cache-2 changed -");
  // The link was gone: nobody knows what the cache would have shown.
  bench.input({ type: "delivered", flight: bench.left(ONE).flight, ok: true });
  bench.input({ type: "link", peer: ONE, up: false });
  bench.run(MINUTE);
  expect(bench.outcomes()[0]).toBe("cache-1 unreachable -");
});

test("one that left before a restart is no sign of change, and copies tell nothing twice", () => {
  const bench = new Bench();
  bench.input({ type: "test", req: 1 });
  const old = bench.left(ONE);
  bench.restart();
  bench.input({ type: "test", req: 1 });
  const fresh = bench.left(ONE);
  bench.show(ONE, old.bytes);
  expect(bench.outcomes()).toEqual([]);
  for (let i = 0; i < 3; i++) bench.show(ONE, fresh.bytes);
  expect(bench.outcomes()).toEqual(["cache-1 whole 0"]);
  expect(bench.of("withdraw")).toHaveLength(1);
});

test("each is tested some four times a day, at no hour that a cache could know, and not while it is down", () => {
  const bench = new Bench();
  const times: Time[] = [];
  const answerAll = (): void => {
    for (const out of bench.out.splice(0)) {
      if (out.type !== "deliver") continue;
      bench.input({ type: "delivered", flight: out.flight, ok: true });
      bench.show(out.route.type === "cache" ? out.route.cache : ONE, out.bytes);
      if (out.route.type === "cache" && out.route.cache === ONE) times.push(bench.now);
    }
  };
  bench.input({ type: "link", peer: TWO, up: false });
  for (let i = 0; i < 30 * 24 * 6; i++) {
    bench.run(10 * MINUTE);
    answerAll();
  }
  const gaps = times.slice(1).map((at, i) => at - (times[i] ?? 0));
  expect(times.length).toBeGreaterThan(60);
  expect(times.length).toBeLessThan(240);
  expect(Math.min(...gaps)).toBeGreaterThan(2 * HOUR);
  expect(new Set(gaps.map((gap) => Math.round(gap / HOUR))).size).toBeGreaterThan(3);
  expect(bench.canary.tests().map(({ cache }) => cache)).toEqual([ONE]);
  // Who starts often does not test more often.
  const before = times.length;
  for (let i = 0; i < 20; i++) {
    bench.input({ type: "link", peer: ONE, up: false });
    bench.restart();
    bench.input({ type: "link", peer: ONE, up: true });
    bench.run(MINUTE);
    answerAll();
  }
  expect(times.length - before).toBeLessThanOrEqual(1);
});

test("nothing that a cache shows, and nobody who asks, makes more than one message at each cache at a time", () => {
  const bench = new Bench();
  for (let req = 0; req < 100; req++) bench.input({ type: "test", req });
  expect(bench.of("deliver")).toHaveLength(2);
  expect(bench.of("refuse").map(({ code }) => code)).toEqual(Array.from({ length: 36 }, () => "full"));
  for (let i = 0; i < 500; i++) bench.show(ONE, bench.chance.random(bench.chance.between(1, 1023)));
  for (const { flight } of bench.of("deliver")) bench.input({ type: "delivered", flight, ok: true });
  bench.run(10 * MINUTE);
  expect(bench.of("reply")).toHaveLength(64);
  expect(bench.of("withdraw")).toHaveLength(2);
  expect(bench.of("judged").map(({ test }: { test: CacheTest }) => test.outcome)).toEqual(["changed", "lost"]);
});

test("without a cache there is nothing to test; one that is left while it is tested holds nobody up", () => {
  const bench = new Bench();
  bench.input({ type: "test", req: 1 });
  bench.input({ type: "caches", caches: [] });
  expect(bench.of("reply").map(({ value }) => value)).toEqual([[]]);
  expect(bench.canary.deadline()).toBeUndefined();
  bench.input({ type: "test", req: 2 });
  expect(bench.of("refuse").map(({ req, code }) => [req, code])).toEqual([[2, "no-cache"]]);
});

test("a cache that says it is none any more is none at once, is told once, and stays so over a restart", () => {
  const bench = new Bench();
  bench.input({ type: "keeps", via: ONE, keeps: true });
  expect(bench.out).toEqual([]);
  for (let i = 0; i < 3; i++) bench.input({ type: "keeps", via: ONE, keeps: false });
  bench.input({ type: "keeps", via: "nobody" as Hashname, keeps: false });
  expect(bench.outcomes()).toEqual([`${ONE} none -`]);
  expect(bench.of("judged").map(({ test }) => test)).toEqual([{ cache: ONE, at: bench.now, outcome: "none" }]);
  bench.restart();
  expect(bench.outcomes()).toEqual([`${ONE} none -`]);
});

test("a test that is out when its cache says that ends with it; a test of such a cache says no less than it does", () => {
  const bench = new Bench();
  bench.input({ type: "test", req: 1 });
  bench.input({ type: "keeps", via: ONE, keeps: false });
  const [{ flight }, two] = [bench.left(ONE), bench.left(TWO)];
  expect(bench.of("withdraw")).toHaveLength(1);
  expect(bench.of("reply")).toEqual([]);
  bench.input({ type: "delivered", flight, ok: true });
  bench.input({ type: "delivered", flight: two.flight, ok: true });
  bench.show(TWO, two.bytes);
  expect(
    bench
      .of("reply")
      .at(-1)
      ?.value.map(({ outcome }) => outcome),
  ).toEqual(["none", "whole"]);
  bench.input({ type: "test", req: 2 });
  for (const cache of [ONE, TWO]) bench.input({ type: "delivered", flight: bench.left(cache).flight, ok: true });
  bench.run(2 * MINUTE);
  expect(
    bench
      .of("reply")
      .at(-1)
      ?.value.map(({ outcome }) => outcome),
  ).toEqual(["none", "lost"]);
});

test("one that says it is a cache again is tested soon, and then it is as it was", () => {
  const bench = new Bench();
  bench.input({ type: "keeps", via: ONE, keeps: false });
  bench.run(MINUTE);
  bench.input({ type: "keeps", via: ONE, keeps: true });
  bench.run(2 * MINUTE);
  const { flight, bytes } = bench.left(ONE);
  bench.input({ type: "delivered", flight, ok: true });
  bench.show(ONE, bytes);
  expect(bench.of("judged").map(({ test }) => test.outcome)).toEqual(["none", "whole"]);
});
