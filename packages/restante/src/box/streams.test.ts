import fc from "fast-check";
import { expect, test } from "vitest";
import { concat, fromHex } from "../bytes/index.ts";
import { BOX, bob } from "../testing/cache-desk.ts";
import { NOTHING } from "./channel.ts";
import type { BoxAnswer, BoxRequest, PartOut } from "./operations.ts";
import { Streams } from "./streams.ts";

const CAP = 1000;
const CH = 7;

/** What happens to one open inbox; `answers`: the store answers what it was asked, if it was. */
type Turn =
  | { readonly type: "came"; readonly size: number }
  | { readonly type: "removed" | "listed" | "cleared"; readonly nth: number }
  | { readonly type: "writable"; readonly credit: number }
  | { readonly type: "answers" };

interface Kept {
  readonly n: number;
  readonly size: number;
}

/** An inbox, its recipient, and a store that gives so many messages at once. Each message is filled with its number. */
class Bench {
  readonly sent: { type: string; n: number; size: number; done: boolean }[] = [];
  readonly #streams = new Streams({ cap: CAP });
  readonly #atOnce: number;
  readonly #isSlow: boolean;
  #kept: Kept[] = [];
  #came = 0;
  #credit = 0;
  #asked: { after: number; most: number; found: Kept[] } | undefined;

  constructor(atOnce: number, isSlow: boolean) {
    this.#atOnce = atOnce;
    this.#isSlow = isSlow;
    const head = { type: "inbox", box: BOX };
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
        const isCap = out.head["cap"] === CAP;
        const n = isCap ? 0 : (out.body[0] ?? 0);
        this.sent.push({ type: isCap ? "cap" : "part", n, size: out.body.length, done: out.head["done"] === true });
      }
    }
    if (!this.#isSlow) this.#answer();
  }

  #ask(request: BoxRequest): void {
    if (request.type === "remove") this.#kept = this.#kept.filter(({ n }) => idOf(n) !== request.id);
    else if (request.type === "clear") this.#kept = [];
    else if (request.type === "read") {
      expect(this.#asked).toBe(undefined);
      const { after, most = 1 } = request;
      // As a store does: what it is asked takes effect in order, whenever the answer comes.
      const found = this.#kept.filter(({ n }) => n > after).slice(0, Math.min(most, this.#atOnce));
      this.#asked = { after, most, found };
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
      first === undefined ? { type: "dry", op: 1 } : { type: "message", op: 1, ...first, more };
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
  { weight: 1, arbitrary: fc.record({ type: fc.constant("cleared" as const), nth: fc.constant(0) }) },
  { weight: 6, arbitrary: fc.record({ type: fc.constant("writable" as const), credit: fc.nat(12) }) },
  { weight: 6, arbitrary: fc.constant({ type: "answers" as const }) },
);
const turns = fc.array(turn, { maxLength: 60 });

test("whether a store gives one message at a time or many, the recipient gets the same packets", () => {
  fc.assert(
    fc.property(turns, (all) => {
      const [one, many] = [new Bench(1, false), new Bench(100, false)];
      for (const each of all) {
        one.act(each);
        many.act(each);
        expect(many.sent).toEqual(one.sent);
      }
    }),
  );
});

test("[C55] [C58] nothing that was removed begins to leave, and all else leaves whole, once and in order, however late the store answers", () => {
  fc.assert(
    fc.property(turns, fc.constantFrom(1, 3, 100), (all, atOnce) => {
      const bench = new Bench(atOnce, true);
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
      const parts = new Set(bench.sent.filter(({ type }) => type === "part").map(({ n }) => n));
      for (const n of offered) expect(parts.has(n)).toBe(true);
    }),
  );
});

const IDLE: Turn = { type: "answers" };
const FINISH: readonly Turn[] = [{ type: "writable", credit: 50 }, IDLE];
