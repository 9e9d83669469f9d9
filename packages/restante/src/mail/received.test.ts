import { expect, test } from "vitest";
import { type Time, toHex } from "../bytes/index.ts";
import { createCrypto, createIdentity, type Hashname, portable } from "../crypto/index.ts";
import { Chance } from "../testing/chance.ts";
import { type ClosedPart, encodePart, type Part, parsePart } from "./inner.ts";
import { Received } from "./received.ts";
import type { Arrival, ReceivedIn, ReceivedOut, Source } from "./received-contract.ts";
import { Ring } from "./ring.ts";

const CRYPTO = createCrypto(portable);
const ALICE = createIdentity(CRYPTO, (length) => new Uint8Array(length).fill(3));
const PEER = "peer" as Hashname;
const CACHE = "cache" as Hashname;
const SECOND = 1000;
const MINUTE = 60 * SECOND;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;

class Bench {
  now: Time = 100 * DAY;
  readonly store = new Map<string, Uint8Array>();
  readonly ring = ring();
  received: Received;

  constructor() {
    this.received = this.open();
  }

  open(): Received {
    const fresh = (): Uint8Array => new Uint8Array(32);
    this.received = new Received({
      peer: PEER,
      fresh,
      digest: (bytes) => `digest of ${bytes.length}`,
      ring: this.ring,
      saved: new Map(this.store),
    });
    this.input({ type: "start" });
    return this.received;
  }

  input(input: ReceivedIn): ReceivedOut[] {
    const out = this.received.handle(input, this.now);
    for (const each of out) {
      if (each.type !== "save") continue;
      if (each.value === undefined) this.store.delete(each.key);
      else this.store.set(each.key, each.value);
    }
    return out;
  }

  /** A text, judged as new at once. */
  text(seq: number, source: Source = cache(seq)): ReceivedOut[] {
    const out = this.input({ type: "part", part: part(seq), source });
    return [...out, ...this.judged(out)];
  }

  /** The answer to what these ask, if they do. */
  judged(out: readonly ReceivedOut[], isNew = true): ReceivedOut[] {
    const arrived = out.find((each) => each.type === "arrived");
    if (arrived === undefined) return [];
    return this.input({ type: "judged", arrival: arrived.arrival, isNew, isDamaged: false });
  }

  /** Waits for the next deadline; how long that was. */
  wait(): number {
    const before = this.now;
    this.now = this.received.deadline() ?? Number.POSITIVE_INFINITY;
    const out = this.now < Number.POSITIVE_INFINITY ? this.input({ type: "tick" }) : [];
    if (out.some(({ type }) => type === "acknowledge")) this.input({ type: "told" });
    return this.now - before;
  }
}

let rings = 0;

/** Without keys yet. */
function ring(): Ring {
  const { random } = new Chance(++rings);
  return new Ring({ backend: portable, random, by: "00".repeat(8), saved: undefined });
}

function cache(seq: number): Source {
  return { type: "cache", via: CACHE, box: "box", id: `message ${seq}` };
}

function part(seq: number, more: { part?: number; of?: number; floor?: number; expires?: Time } = {}): Part {
  const { part = 0, of = 1, floor = 1, expires = 200 * DAY } = more;
  const id = seq.toString(16).padStart(32, "0");
  const file = { name: "f", media: "text/plain", size: of, sha256: "00".repeat(32) };
  const isFile = of > 1;
  return {
    head: { from: PEER, to: "me" as Hashname, epoch: "00".repeat(8), seq, part, of, floor },
    envelope: {
      ...{ id, after: [], time: 0, expires, kind: isFile ? "file" : "text", content: new Uint8Array(1) },
      ...(isFile && part === 0 && { file }),
    },
  };
}

/** The same part as one of suite `forward`, sealed to the newest key of the ring. */
function closed(to: Ring, seq: number, more: { part?: number; of?: number } = {}): ClosedPart {
  if (to.isEmpty) to.fill();
  const { head, envelope } = part(seq, more);
  const whole = { head: { ...head, from: ALICE.hashname, to: ALICE.hashname }, envelope };
  const forwarding = { key: to.announce().keys[0] ?? "", uses: [] };
  const seal = { forwarding, seed: new Uint8Array(32), generation: 0 };
  const found = parsePart(encodePart(CRYPTO, 0x3a, ALICE, whole, seal));
  return found !== undefined && "sealed" in found ? found : expect.fail("not closed");
}

test("news is acknowledged after a moment, several at once, and at most once a second", () => {
  const bench = new Bench();
  for (let seq = 1; seq <= 5; seq++) bench.text(seq);
  expect(bench.wait()).toBe(200);
  expect(bench.received.deadline()).toBeUndefined();
  bench.text(6);
  expect(bench.wait()).toBe(SECOND);
});

test("a part of a file can wait five seconds, and a whole one in the inbox cannot", () => {
  const bench = new Bench();
  bench.input({ type: "part", part: part(1, { of: 3 }), source: cache(1) });
  expect(bench.wait()).toBe(5 * SECOND);
  bench.now += MINUTE;
  bench.input({ type: "part", part: part(1, { part: 1, of: 3 }), source: cache(2) });
  const last = bench.input({ type: "part", part: part(1, { part: 2, of: 3 }), source: cache(3) });
  bench.judged(last);
  expect(bench.wait()).toBe(200);
});

test("a file is acknowledged with the turn that shows it, and not with its last part: by an acknowledgement of anything, or after a crash", () => {
  const bench = new Bench();
  bench.text(1);
  bench.input({ type: "part", part: part(2, { of: 2 }), source: cache(2) });
  const last = bench.input({ type: "part", part: part(2, { part: 1, of: 2 }), source: cache(3) });
  bench.text(3);
  // The copies can go: its record sees to it that it is shown.
  expect(types(last)).toContain("done");
  expect(bench.received.report()).toMatchObject([
    {
      ranges: [
        [1, 1],
        [3, 3],
      ],
      unfinished: [],
    },
  ]);
  bench.wait();
  bench.open();
  expect(bench.received.report()).toMatchObject([
    {
      ranges: [
        [1, 1],
        [3, 3],
      ],
      unfinished: [],
    },
  ]);
  expect(types(bench.judged(last))).toContain("show");
  expect(bench.received.report()).toMatchObject([{ ranges: [[1, 3]] }]);
  expect(bench.received.isDue).toBe(true);
  expect(bench.wait()).toBe(200);
  expect(bench.received.isDue).toBe(false);
});

test("[X15] a second copy means nothing; one where the first was taken away, or over a link, asks again, and waits longer each time", () => {
  const bench = new Bench();
  bench.text(1);
  bench.wait();
  const other: Source = { type: "cache", via: "other" as Hashname, box: "box", id: "message 1" };
  expect(bench.text(1, other).map(({ type }) => type)).toEqual(["done"]);
  expect(bench.received.deadline()).toBeUndefined();
  const waits: number[] = [];
  for (let i = 0; i < 11; i++) {
    bench.text(1, i % 2 === 0 ? cache(1) : { type: "direct", via: PEER, box: "", id: "" });
    waits.push(Math.round(bench.wait() / SECOND));
  }
  expect(waits).toEqual([60, 120, 240, 480, 960, 1920, 3840, 7680, 15_360, 21_600, 21_600]);
  bench.text(2);
  expect(bench.wait()).toBe(SECOND);
  bench.text(2, cache(2));
  expect(bench.wait()).toBe(60 * SECOND);
});

test("a copy that comes long after we told asks again, whoever remembers what", () => {
  const bench = new Bench();
  bench.text(1);
  bench.wait();
  bench.open();
  bench.text(1);
  expect(bench.received.deadline()).toBeUndefined();
  bench.now += 2 * HOUR;
  bench.open();
  bench.text(1);
  expect(bench.received.deadline()).toBe(bench.now + 200);
});

test("what was not told before a restart is told after it", () => {
  const bench = new Bench();
  bench.text(1);
  bench.open();
  expect(bench.received.deadline()).toBe(bench.now);
  bench.wait();
  bench.open();
  expect(bench.received.deadline()).toBeUndefined();
});

test("copies that come while the store is asked are removed together, and the mail is shown once", () => {
  const bench = new Bench();
  const [arrived] = bench.input({ type: "part", part: part(1), source: cache(1) });
  expect(bench.input({ type: "part", part: part(1), source: cache(2) })).toEqual([]);
  expect(bench.text(2).some(({ type }) => type === "show")).toBe(true); // nobody waits for another's answer
  if (arrived?.type !== "arrived") throw new Error("a mail arrives");
  const out = bench.input({ type: "judged", arrival: arrived.arrival, isNew: true, isDamaged: false });
  expect(out.filter(({ type }) => type === "show")).toHaveLength(1);
  expect(out.filter(({ type }) => type === "done")).toHaveLength(2);
});

test("a file that was whole when we stopped is shown after the restart", () => {
  const bench = new Bench();
  for (let i = 2; i >= 0; i--) bench.input({ type: "part", part: part(1, { part: i, of: 3 }), source: cache(i) });
  const received = bench.received;
  expect(bench.open()).not.toBe(received);
  const out = new Received({
    peer: PEER,
    fresh: () => new Uint8Array(32),
    digest: () => "",
    ring: ring(),
    saved: bench.store,
  }).handle({ type: "start" }, bench.now);
  expect(out).toMatchObject([{ type: "arrived", arrival: { kind: "file", parts: 3, file: { name: "f" } } }]);
});

test("a file that never became whole goes when it is too old, or when the sender's floor passes it", () => {
  const bench = new Bench();
  bench.input({ type: "part", part: part(1, { of: 3, expires: bench.now + DAY }), source: cache(1) });
  bench.wait();
  const before = bench.now;
  bench.now = bench.received.deadline() ?? 0;
  expect(bench.now - before).toBeGreaterThan(2 * DAY);
  expect(bench.input({ type: "tick" }).map(({ type }) => type)).toEqual(["save", "blob-remove", "progress"]);
  bench.input({ type: "part", part: part(2, { of: 3 }), source: cache(2) });
  expect([...bench.store.keys()].filter((key) => key.startsWith("mail/file/"))).toHaveLength(1);
  const out = bench.input({ type: "floor", epoch: "00".repeat(8), floor: 3 });
  expect(out.filter(({ type }) => type === "progress")).toMatchObject([{ done: 0, ended: "cancelled" }]);
  expect([...bench.store.keys()].filter((key) => key.startsWith("mail/file/"))).toEqual([]);
});

test("what a crash left of a file's first part goes when the sender's floor passes its number", () => {
  const bench = new Bench();
  bench.text(1);
  bench.wait();
  const before = new Map(bench.store);
  const out = bench.input({ type: "part", part: part(3, { of: 3 }), source: cache(3) });
  const written = out.flatMap((each) => (each.type === "blob-write" ? [each.blob] : []));
  expect(written).toHaveLength(1);
  bench.store.clear();
  for (const [key, value] of before) bench.store.set(key, value);
  bench.open();
  const removed = (floor: number): string[] =>
    bench
      .input({ type: "floor", epoch: "00".repeat(8), floor })
      .flatMap((each) => (each.type === "blob-remove" ? [each.blob] : []));
  // Of number 2, too, nothing came; of number 1 all is here.
  expect(removed(4)).toEqual([expect.any(String), ...written]);
  expect(removed(4)).toEqual([]);
  expect(removed(2 ** 40)).toHaveLength(64);
});

test("half a file is kept for 60 days at most, whatever its sender says", () => {
  const bench = new Bench();
  bench.input({ type: "part", part: part(1, { of: 3, expires: bench.now + 10_000 * DAY }), source: cache(1) });
  bench.wait();
  bench.now += 63 * DAY;
  expect(bench.input({ type: "tick" }).map(({ type }) => type)).toContain("blob-remove");
  expect([...bench.store.keys()].filter((key) => key.startsWith("mail/file/"))).toEqual([]);
});

test("what a peer can make us keep is bounded, and what is not taken is not removed", () => {
  const bench = new Bench();
  for (let seq = 1; seq <= 300; seq++) {
    const out = bench.input({ type: "part", part: part(seq), source: cache(seq) });
    if (seq <= 256) expect(out.map(({ type }) => type)).toEqual(["arrived"]);
    else expect(out).toEqual([{ type: "done", source: cache(seq), keep: true }]);
  }
  const files = new Bench();
  for (let seq = 1; seq <= 100; seq++) files.input({ type: "part", part: part(seq, { of: 3 }), source: cache(seq) });
  expect(files.store.size).toBeLessThanOrEqual(65);
  expect(files.input({ type: "part", part: part(200, { of: 3 }), source: cache(200) })).toEqual([
    { type: "done", source: cache(200), keep: true },
  ]);
  expect(
    files.input({ type: "part", part: part(201, { of: 2000 }), source: cache(201) }).map(({ type }) => type),
  ).toEqual(["done"]);
});

test("parts of one number that are of two kinds never become one file", () => {
  const bench = new Bench();
  const { head, envelope } = part(1, { part: 1, of: 2 });
  bench.input({ type: "part", part: { head, envelope: { ...envelope, kind: "note" } }, source: cache(1) });
  expect(bench.input({ type: "part", part: part(1, { of: 2 }), source: cache(2) })).toEqual([
    { type: "done", source: cache(2), keep: true },
  ]);
});

/** The same number, but a mail of the other copy of the sender's store. */
function other(seq: number, more: { part?: number; of?: number; expires?: Time } = {}): Part {
  const { head, envelope } = part(seq, more);
  return { head, envelope: { ...envelope, id: `ff${envelope.id.slice(2)}` } };
}

/** Gives a part whose mail the store is asked about, and answers. */
function judge(bench: Bench, given: Part | ClosedPart, source: Source, isNew: boolean): ReceivedOut[] {
  const out = bench.input({ type: "part", part: given, source });
  return [...out, ...bench.judged(out, isNew)];
}

const types = (out: readonly ReceivedOut[]): string[] => out.flatMap(({ type }) => (type === "save" ? [] : type));

test("another mail under a number that is taken is shown, by its id; it is not acknowledged, and the sender is told", () => {
  const bench = new Bench();
  bench.text(1);
  bench.text(2);
  bench.wait();
  const before = bench.received.report();
  expect(types(judge(bench, other(2), cache(12), true))).toEqual(["arrived", "show", "done"]);
  expect(bench.received.twice()).toEqual(["00".repeat(8)]);
  expect(bench.received.report()).toEqual(before);
  expect(bench.received.marked()).toEqual([
    {
      epoch: "00".repeat(8),
      marks: [
        { seq: 1, mark: "00000000" },
        { seq: 2, mark: "00000000" },
      ],
    },
  ]);
  expect(bench.wait()).toBe(SECOND);
  // Once more, by another way and after a restart: it was shown, and the sender was told.
  bench.open();
  bench.now += HOUR;
  expect(types(judge(bench, other(2), cache(13), false))).toEqual(["arrived", "done"]);
  expect(bench.received.twice()).toEqual(["00".repeat(8)]);
  // A copy of the mail that has the number is one.
  expect(types(judge(bench, part(2), cache(14), true))).toEqual(["done"]);
});

test("of a file that its sender cancelled nothing is kept, taken or missed any more; of another under its number all is", () => {
  const bench = new Bench();
  bench.text(1);
  bench.input({ type: "part", part: part(2, { of: 3 }), source: cache(2) });
  bench.text(3);
  const cancel = (seq: number, id: number): ReceivedOut[] => {
    const marks = [{ seq, mark: id.toString(16).padStart(32, "0").slice(0, 8) }];
    return bench.input({
      type: "floor",
      epoch: "00".repeat(8),
      floor: 1,
      cancelled: [{ epoch: "00".repeat(8), marks }],
    });
  };
  // Another copy of its store gave the number to a mail that it then cancelled.
  expect(cancel(2, 2 ** 100)).toEqual([]);
  expect(bench.received.report()).toMatchObject([{ unfinished: [{ seq: 2, missing: 1 }] }]);
  expect(types(cancel(2, 2))).toEqual(["blob-remove", "progress"]);
  expect([bench.received.report()[0]?.unfinished, bench.received.gaps()]).toEqual([[], 0]);
  // The same again, and of what is whole, says nothing.
  expect([...cancel(2, 2), ...cancel(1, 1)]).toEqual([]);
  bench.open();
  for (const index of [1, 0]) {
    const late = bench.input({ type: "part", part: part(2, { part: index, of: 3 }), source: cache(10 + index) });
    expect(late).toEqual([{ type: "done", source: cache(10 + index) }]);
  }
  expect([bench.received.report()[0]?.unfinished, bench.received.gaps()]).toEqual([[], 0]);
  // It may hear of the one before it hears of the other.
  cancel(5, 5);
  bench.text(6);
  expect(bench.received.gaps()).toBe(1); // 4
  expect(types(bench.input({ type: "part", part: part(5, { of: 2 }), source: cache(5) }))).toEqual(["done"]);
  expect([...bench.store.keys()]).toEqual([`mail/in/${PEER}`]);
});

test("another mail whose number is not whole yet, or is asked about just now, is never taken for it", () => {
  const bench = new Bench();
  bench.input({ type: "part", part: part(1, { of: 3 }), source: cache(1) });
  for (const [i, index] of [0, 1].entries())
    expect(types(judge(bench, other(1, { part: index, of: 3 }), cache(10 + i), true))).toEqual(["arrived", "done"]);
  expect(bench.received.twice()).toHaveLength(1);
  expect(bench.received.report()).toMatchObject([{ ranges: [], unfinished: [{ seq: 1, missing: 1 }] }]);
  const asked = new Bench();
  asked.input({ type: "part", part: part(1), source: cache(1) });
  expect(asked.input({ type: "part", part: other(1), source: cache(2) })).toEqual([
    { type: "done", source: cache(2), keep: true },
  ]);
});

test("what the user has seen is told within seconds, and known after a restart", () => {
  const bench = new Bench();
  for (let seq = 1; seq <= 3; seq++) bench.text(seq);
  bench.wait();
  const epoch = "00".repeat(8);
  bench.input({
    type: "read",
    numbers: [
      { epoch, seq: 1 },
      { epoch, seq: 2 },
    ],
  });
  expect(bench.wait()).toBe(5 * SECOND);
  bench.open();
  expect(bench.received.read()).toEqual([{ epoch, ranges: [[1, 2]] }]);
});

test("what is missing in an epoch that the sender left is missing no more: it comes under another number", () => {
  const bench = new Bench();
  for (const seq of [1, 3]) bench.text(seq);
  expect(bench.received.gaps()).toBe(1);
  bench.input({ type: "left", epochs: ["00".repeat(8)] });
  expect([bench.received.gaps(), bench.received.twice()]).toEqual([0, ["00".repeat(8)]]);
  expect(bench.open().gaps()).toBe(0);
});

test("a sender is not told of a copy for what is below its floor, too old, a card, or a mail long known to the store", () => {
  const bench = new Bench();
  for (let seq = 1; seq <= 50; seq++) bench.text(seq);
  // 1 is not among the last any more.
  expect(types(judge(bench, part(1), cache(99), false))).toEqual(["arrived", "done"]);
  const card = part(1);
  expect(types(judge(bench, { ...card, envelope: { ...card.envelope, kind: "card" } }, cache(98), true))).toEqual([
    "done",
  ]);
  expect(types(judge(bench, other(2, { expires: bench.now - 3 * DAY }), cache(97), true))).toEqual(["done"]);
  bench.input({ type: "floor", epoch: "00".repeat(8), floor: 10 });
  expect(types(judge(bench, other(9), cache(96), true))).toEqual(["done"]);
  expect(bench.received.twice()).toBeUndefined();
});

test("a peer that left its contact and came back gets nothing of what was asked before, and no name of before", () => {
  const options = {
    peer: PEER,
    digest: (bytes: Uint8Array) => toHex(bytes),
    ring: ring(),
    saved: new Map<string, Uint8Array>(),
  };
  const [first, second] = [1, 2].map((n) => new Received({ ...options, fresh: () => new Uint8Array(32).fill(n) }));
  const whole = (received: Received | undefined): ReceivedOut[] => {
    received?.handle({ type: "part", part: part(1, { of: 2 }), source: cache(1) }, DAY);
    return received?.handle({ type: "part", part: part(1, { part: 1, of: 2 }), source: cache(2) }, DAY) ?? [];
  };
  const [before] = whole(first).filter((out) => out.type === "arrived");
  expect(before?.arrival.blob).toBeDefined();
  const judged = { type: "judged", arrival: before?.arrival as Arrival, isNew: true, isDamaged: false } as const;
  expect(second?.handle(judged, DAY)).toEqual([]);
  const [after] = whole(second).filter((out) => out.type === "arrived");
  expect(after?.arrival.blob).not.toBe(before?.arrival.blob);
  expect(second?.handle(judged, DAY)).toEqual([]);
});

test("a file is forward when all of its parts were, and static with one that was not", () => {
  const suiteOf = (...kinds: ("static" | "forward")[]): unknown => {
    const bench = new Bench();
    const out = kinds.flatMap((kind, index) => {
      const more = { part: index, of: kinds.length };
      const one = kind === "static" ? part(1, more) : closed(bench.ring, 1, more);
      return bench.input({ type: "part", part: one, source: cache(index) });
    });
    return out.flatMap((each) => (each.type === "arrived" ? [each.arrival.suite] : []));
  };
  expect(suiteOf("forward", "forward", "forward")).toEqual(["forward"]);
  expect(suiteOf("static", "forward", "forward")).toEqual(["static"]);
  expect(suiteOf("forward", "static", "forward")).toEqual(["static"]);
  expect(suiteOf("forward", "forward", "static")).toEqual(["static"]);
});

test("a duplicate is known by its head alone, also when its key is gone", () => {
  const bench = new Bench();
  const one = closed(bench.ring, 1);
  const [arrived] = bench.input({ type: "part", part: one, source: cache(1) }).filter((out) => out.type === "arrived");
  bench.input({ type: "judged", arrival: arrived?.arrival as Arrival, isNew: true, isDamaged: false });
  bench.wait();
  const name = bench.ring.announce().ring;
  bench.ring.heed([bench.ring.announce().keys[0]?.slice(0, 16) ?? ""]);
  expect(bench.ring.open(one).part).toBe("gone");
  expect(bench.input({ type: "part", part: one, source: cache(2) })).toEqual([{ type: "done", source: cache(2) }]);
  expect(bench.ring.announce().ring).toBe(name);
});

test("of many copies that cannot be opened the peer hears once at once, then ever more rarely", () => {
  const bench = new Bench();
  const lost = ring();
  lost.fill();
  bench.ring.fill();
  bench.text(1);
  bench.wait();
  const waits: number[] = [];
  for (let round = 0; round < 6; round++) {
    for (let seq = 2; seq < 40; seq++) {
      const out = bench.input({ type: "part", part: closed(lost, seq), source: cache(seq) });
      expect(out.filter(({ type }) => type !== "save")).toEqual([{ type: "done", source: cache(seq) }]);
    }
    waits.push(bench.wait());
    bench.ring.announce();
  }
  expect(waits).toEqual([1, 2, 4, 8, 16, 32].map((minutes) => minutes * MINUTE));
  expect(bench.received.report()).toMatchObject([{ ranges: [[1, 1]] }]);
  // There is nothing of them to be shown, or waited for.
  expect([...bench.store.keys()].sort()).toEqual([`mail/in/${PEER}`, `mail/keys/${PEER}`]);
});
