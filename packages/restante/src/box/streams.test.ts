import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, fromHex, pairsHex } from "../bytes/index.ts";
import { packetRoom } from "../e3x/index.ts";
import { BOX, bob } from "../testing/cache-desk.ts";
import { NOTHING } from "./channel.ts";
import { unpackMany } from "./many.ts";
import type { BoxAnswer, BoxRequest, PartOut } from "./operations.ts";
import { Streams } from "./streams.ts";

const CAP = 1000;
const CH = 7;

/** What happens to one open inbox; `answers`: the store answers what it was asked, if it was. */
type Turn =
  | { readonly type: "came"; readonly size: number }
  | { readonly type: "removed" | "listed" | "many listed" | "cleared"; readonly nth: number }
  | { readonly type: "writable"; readonly credit: number }
  | { readonly type: "answers" };

interface Kept {
  readonly n: number;
  readonly size: number;
}

/** An inbox, its recipient, and a store that gives so many messages at once. Each message is filled with its number. */
class Bench {
  readonly sent: { type: string; n: number; size: number; done: boolean }[] = [];
  /** How many messages there were in each packet of several. */
  readonly packed: number[] = [];
  /** Whether each `cap` came with a message. */
  readonly caps: boolean[] = [];
  readonly #streams = new Streams({ cap: CAP });
  readonly #atOnce: number;
  readonly #isSlow: boolean;
  #kept: Kept[] = [];
  #came = 0;
  #credit = 0;
  #asked: { after: number; most: number; found: Kept[]; isLast: boolean } | undefined;
  readonly #tellsLast: boolean;

  /** `many`: how many messages the recipient takes in one packet. `tellsLast`: the store says when nothing follows. */
  constructor(atOnce: number, isSlow: boolean, many?: number, tellsLast = false) {
    this.#atOnce = atOnce;
    this.#tellsLast = tellsLast;
    this.#isSlow = isSlow;
    const head = { type: "inbox", box: BOX, ...(many !== undefined && { many }) };
    this.#take(
      this.#streams.opened({ type: "opened", ch: CH, peer: bob, reliable: true, kind: "inbox", head, body: NOTHING }),
    );
  }

  /** Numbers of messages that are there. */
  get kept(): readonly number[] {
    return this.#kept.map(({ n }) => n);
  }

  act(turn: Turn): void {
    switch (turn.type) {
      case "came":
        this.#kept.push({ n: ++this.#came, size: turn.size });
        return this.#take(this.#streams.gained(bob, BOX));
      case "removed": {
        const n = 1 + (turn.nth % (this.#came + 1));
        return this.#take(this.#streams.packet({ ch: CH, head: { id: idOf(n) }, body: NOTHING }));
      }
      case "listed": {
        const ids = [0, 1, 2].map((i) => fromHex(idOf(1 + ((turn.nth + i) % (this.#came + 1)))) ?? NOTHING);
        return this.#take(this.#streams.packet({ ch: CH, head: {}, body: concat(...ids) }));
      }
      case "many listed": {
        const ids = Array.from({ length: 66 }, (_, i) => fromHex(idOf(100 + turn.nth + i)) ?? NOTHING); // of nothing that is there
        return this.#take(this.#streams.packet({ ch: CH, head: {}, body: concat(...ids) }));
      }
      case "cleared":
        return this.#take(this.#streams.packet({ ch: CH, head: { clear: true }, body: NOTHING }));
      case "writable":
        this.#credit = turn.credit;
        return this.#take(this.#streams.writable(CH, turn.credit));
      case "answers":
        return this.#answer();
    }
  }

  #take(outs: readonly PartOut[]): void {
    for (const out of outs) {
      if (out.type === "store") this.#ask(out.request);
      else if (out.type === "send") {
        expect(--this.#credit).toBeGreaterThanOrEqual(0);
        const several = out.head["many"] === true ? unpackMany(out.body, Number.POSITIVE_INFINITY) : undefined;
        if (several !== undefined) {
          this.packed.push(several.length);
          for (const { length, [0]: n = 0 } of several) this.sent.push({ type: "part", n, size: length, done: true });
        } else if (out.body.length > 0) {
          const done = out.head["done"] === true;
          this.sent.push({ type: "part", n: out.body[0] ?? 0, size: out.body.length, done });
        }
        expect(out.body.length).toBeLessThanOrEqual(packetRoom(out.head, true));
        if (out.head["cap"] !== CAP) continue;
        this.sent.push({ type: "cap", n: 0, size: 0, done: false });
        this.caps.push(out.body.length > 0);
      }
    }
    if (!this.#isSlow) this.#answer();
  }

  #ask(request: BoxRequest): void {
    if (request.type === "remove") this.#kept = this.#kept.filter(({ n }) => idOf(n) !== request.id);
    else if (request.type === "remove-many") {
      const gone = new Set(pairsHex(request.ids));
      this.#kept = this.#kept.filter(({ n }) => !gone.has(idOf(n)));
    } else if (request.type === "clear") this.#kept = [];
    else if (request.type === "read") {
      expect(this.#asked).toBe(undefined);
      const { after, most = 1 } = request;
      // As a store does: what it is asked takes effect in order, whenever the answer comes.
      const all = this.#kept.filter(({ n }) => n > after);
      const found = all.slice(0, Math.min(most, this.#atOnce));
      this.#asked = { after, most, found, isLast: this.#tellsLast && found.length === all.length };
    }
  }

  #answer(): void {
    const asked = this.#asked;
    if (asked === undefined) return;
    this.#asked = undefined;
    const [first, ...more] = asked.found.map(({ n, size }) => {
      return { id: idOf(n), cursor: n, bytes: new Uint8Array(size).fill(n) };
    });
    const answer: Extract<BoxAnswer, { type: "message" | "dry" }> =
      first === undefined ? { type: "dry", op: 1 } : { type: "message", op: 1, ...first, more, isLast: asked.isLast };
    this.#take(this.#streams.read(CH, answer));
  }
}

const idOf = (n: number): string => n.toString(16).padStart(16, "0");

const turn: fc.Arbitrary<Turn> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ type: fc.constant("came" as const), size: fc.constantFrom(2, 256, 1200, 1400, 4000) }),
  },
  { weight: 3, arbitrary: fc.record({ type: fc.constant("removed" as const), nth: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("listed" as const), nth: fc.nat(30) }) },
  { weight: 2, arbitrary: fc.record({ type: fc.constant("many listed" as const), nth: fc.nat(30) }) },
  { weight: 1, arbitrary: fc.record({ type: fc.constant("cleared" as const), nth: fc.constant(0) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("writable" as const), credit: fc.nat(12) }) },
  { weight: 6, arbitrary: fc.constant({ type: "answers" as const }) },
);
const turns = fc.array(turn, { maxLength: 60 });

test("whether a store gives one message at a time or many, and tells the last or not, the recipient gets the same packets", () => {
  fc.assert(
    fc.property(turns, (all) => {
      const [one, many, telling] = [new Bench(1, false), new Bench(100, false), new Bench(100, false, undefined, true)];
      for (const each of all) {
        one.act(each);
        many.act(each);
        telling.act(each);
        expect(many.sent).toEqual(one.sent);
        expect(telling.sent).toEqual(one.sent);
      }
    }),
  );
});

test("[C55] [C58] nothing that was removed begins to leave, and all else leaves whole, once and in order, however late the store answers", () => {
  fc.assert(
    fc.property(turns, fc.constantFrom(1, 3, 100), fc.constantFrom(undefined, 2, 64), fc.boolean(), (...drawn) => {
      const [all, atOnce, most, tellsLast] = drawn;
      const bench = new Bench(atOnce, true, most, tellsLast);
      let begun = 0;
      let seen = 0;
      let isInside = false;
      let offered: readonly number[] = [];
      for (const each of [...all, ...Array.from({ length: 400 }, (_, i) => FINISH[i % 2] ?? IDLE)]) {
        const there = bench.kept;
        bench.act(each);
        offered = bench.kept;
        for (; seen < bench.sent.length; seen++) {
          const packet = bench.sent[seen];
          if (packet === undefined) continue;
          if (packet.type === "cap") expect(isInside).toBe(false);
          else {
            if (isInside) expect(packet.n).toBe(begun);
            else {
              expect(packet.n).toBeGreaterThan(begun);
              expect(there).toContain(packet.n);
            }
            begun = packet.n;
            isInside = !packet.done;
          }
        }
      }
      expect(isInside).toBe(false);
      for (const size of bench.packed) expect([size > 1, size <= (most ?? 0)]).toEqual([true, true]);
      const parts = new Set(bench.sent.filter(({ type }) => type === "part").map(({ n }) => n));
      for (const n of offered) expect(parts.has(n)).toBe(true);
      expect(bench.sent.at(-1)?.type).toBe("cap");
    }),
  );
});

test("small messages leave several to a packet where the recipient takes that, in order, and else one by one", () => {
  for (const [many, packed] of [
    [undefined, []],
    [1, []],
    // The first one alone, since with room for one packet one message is asked for.
    [3, [3, 3, 2]],
    [64, [4, 4]], // a packet has room for some 1260 bytes
  ] as const) {
    const bench = new Bench(100, false, many);
    for (const size of [256, 256, 256, 256, 256, 256, 256, 256, 256, 1300, 2]) bench.act({ type: "came", size });
    bench.act({ type: "writable", credit: 1 });
    bench.act({ type: "writable", credit: 50 });
    const wholes = bench.sent.filter(({ type, done }) => type === "part" && done);
    expect(wholes.map(({ n }) => n)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    expect(bench.packed).toEqual(packed);
  }
});

test("[C52] the packet with the last message says that the box has run dry, to who takes several in one, if there is room", () => {
  for (const [many, tellsLast, caps] of [
    [64, true, [true, true, false, true, false, true]],
    [64, false, [false, false, false, false, false, false]],
    [1, true, [false, false, false, false, false, false]],
    [undefined, true, [false, false, false, false, false, false]],
  ] as const) {
    const bench = new Bench(100, true, many, tellsLast);
    const come = (...sizes: readonly number[]): void => {
      for (const size of sizes) bench.act({ type: "came", size });
      for (let i = 0; i < 4; i++) for (const each of FINISH) bench.act(each);
    };
    come(256);
    come(256, 256, 256);
    come(1260); // a head with `done` alone has room for it
    come(1400); // the second of its packets
    bench.act({ type: "removed", nth: 0 }); // what answers it is a `cap` of its own
    come(256);
    expect([many, tellsLast, bench.caps]).toEqual([many, tellsLast, caps]);
  }
});

test("[C55] of an inbox that is ended while the store is asked, the open packet is acknowledged all the same, once", () => {
  const streams = new Streams({ cap: CAP });
  const head = { type: "inbox", box: BOX };
  const outs = [
    ...streams.opened({ type: "opened", ch: CH, peer: bob, reliable: true, kind: "inbox", head, body: NOTHING }),
    ...streams.writable(CH, 9),
  ];
  expect(outs.map(({ type }) => type)).toEqual(["store"]);
  outs.push(...streams.over({ type: "ended", ch: CH }).outs, ...streams.read(CH, { type: "dry", op: 1 }));
  expect(outs.filter(({ type }) => type === "took")).toEqual([{ type: "took", ch: CH }]);
});

test("[C55] a message that is read while 66 others are removed is read again, and the box not taken for dry", () => {
  const bench = new Bench(100, true, undefined, true);
  bench.act({ type: "came", size: 256 });
  bench.act({ type: "writable", credit: 9 });
  bench.act({ type: "many listed", nth: 0 });
  for (let i = 0; i < 3; i++) bench.act({ type: "answers" });
  expect(bench.sent.map(({ type }) => type)).toEqual(["cap", "part", "cap"]);
});

test("what comes while the store is asked, or is removed, makes no box run dry too soon", () => {
  const bench = new Bench(100, true, 64, true);
  bench.act({ type: "came", size: 256 });
  bench.act({ type: "writable", credit: 9 });
  bench.act({ type: "came", size: 256 });
  bench.act({ type: "answers" });
  expect(bench.caps).toEqual([]);
  bench.act({ type: "answers" });
  expect(bench.caps).toEqual([true]);
  bench.act({ type: "came", size: 256 });
  bench.act({ type: "removed", nth: 2 });
  bench.act({ type: "answers" });
  bench.act({ type: "answers" });
  expect(bench.sent.map(({ type, n }) => (type === "cap" ? type : n))).toEqual([1, 2, "cap", "cap", "cap"]);
});

test("no packet has more messages than its recipient takes, nor more than 64", () => {
  for (const [many, most] of [
    [5, 5],
    [64, 64],
    [100_000, 64],
  ] as const) {
    const bench = new Bench(1000, false, many);
    for (let n = 0; n < 250; n++) bench.act({ type: "came", size: 2 });
    for (let n = 0; n < 4; n++) bench.act({ type: "writable", credit: 50 });
    expect(bench.sent.filter(({ type }) => type === "part")).toHaveLength(250);
    expect(Math.max(...bench.packed)).toBe(most);
  }
});

const IDLE: Turn = { type: "answers" };
const FINISH: readonly Turn[] = [{ type: "writable", credit: 50 }, IDLE];
