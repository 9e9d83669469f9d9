import fc from "fast-check";
import { expect, test } from "vitest";
import { RANGES_LIMIT, SEQ_LIMIT, UNFINISHED_LIMIT } from "./constants.ts";
import { Numbering } from "./numbering.ts";

const EPOCHS = ["00000000000000aa", "00000000000000bb", "00000000000000cc"] as const;
const [A] = EPOCHS;

/** A restart: what is not in the bytes is lost. */
function restart(numbering: Numbering): Numbering {
  const bytes = numbering.encode();
  const again = Numbering.decode(bytes);
  if (again === undefined) throw new Error("a state must read back");
  expect(again.encode()).toEqual(bytes);
  expect(again.report()).toEqual(numbering.report());
  return again;
}

/** All parts ever committed, remembered one by one, for ever. */
class Model {
  readonly #parts = new Set<string>();
  readonly #floors = new Map<string, number>();
  readonly #seen = new Set<string>();

  isNew(epoch: string, seq: number, part: number): boolean {
    return seq >= this.floor(epoch) && !this.#parts.has(`${epoch} ${seq} ${part}`);
  }
  commit(epoch: string, seq: number, part: number, of: number): "part" | "whole" | undefined {
    if (!this.isNew(epoch, seq, part)) return undefined;
    this.#parts.add(`${epoch} ${seq} ${part}`);
    this.#seen.add(`${epoch} ${seq}`);
    for (let each = 0; each < of; each++) if (!this.#parts.has(`${epoch} ${seq} ${each}`)) return "part";
    return "whole";
  }
  lower(epoch: string, floor: number): void {
    this.#floors.set(epoch, Math.max(floor, this.floor(epoch)));
  }
  floor(epoch: string): number {
    return this.#floors.get(epoch) ?? 1;
  }
  gaps(): number {
    let gaps = 0;
    for (const epoch of EPOCHS) {
      const seen = [...this.#seen].filter((key) => key.startsWith(epoch)).map((key) => Number(key.split(" ")[1]));
      for (let seq = this.floor(epoch); seq < Math.max(0, ...seen); seq++) if (!seen.includes(seq)) gaps++;
    }
    return gaps;
  }
}

const ofSeq = (seq: number): number => (seq % 3) + 1;
const place = { epoch: fc.constantFrom(...EPOCHS), seq: fc.integer({ min: 1, max: 12 }) };
const steps = fc.array(
  fc.oneof(
    { weight: 8, arbitrary: fc.record({ ...place, part: fc.nat(2) }) },
    { weight: 1, arbitrary: fc.record({ ...place, part: fc.constant(undefined) }) },
  ),
  { maxLength: 80 },
);

test("[X27] numbers and parts are new once, in any order, over restarts at every step", () => {
  fc.assert(
    fc.property(steps, (list) => {
      let numbering = new Numbering();
      const model = new Model();
      for (const { epoch, seq, part } of list) {
        if (part === undefined) {
          const moves = seq > model.floor(epoch);
          model.lower(epoch, seq);
          expect(numbering.lower(epoch, seq) !== undefined).toBe(moves);
        } else {
          const of = ofSeq(seq);
          const at = part % of;
          expect(numbering.isNew(epoch, seq, at)).toBe(model.isNew(epoch, seq, at));
          expect(numbering.commit(epoch, seq, at, of)).toBe(model.commit(epoch, seq, at, of));
        }
        expect(numbering.gaps()).toBe(model.gaps());
        numbering = restart(numbering);
      }
      for (const epoch of EPOCHS) {
        for (let seq = 1; seq <= 12; seq++) {
          for (let part = 0; part < ofSeq(seq); part++) {
            expect(numbering.isNew(epoch, seq, part)).toBe(model.isNew(epoch, seq, part));
          }
        }
      }
    }),
  );
});

test("[X27] at the limit of ranges a mail is refused, never shown twice, and taken when the floor has moved", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 2500 }), { minLength: 1500, maxLength: 2500 }), (numbers) => {
      let numbering = new Numbering();
      const shown = new Set<number>();
      const refused = new Set<number>();
      // Every other number first, so that the limit is reached.
      for (const seq of [...numbers.map((n) => n & ~1).filter((n) => n > 0), ...numbers]) {
        const result = numbering.commit(A, seq, 0, 1);
        if (shown.has(seq)) expect(result).toBeUndefined();
        else if (result === "whole") shown.add(seq);
        else {
          refused.add(seq);
          expect(numbering.isNew(A, seq, 0)).toBe(true);
        }
        expect(numbering.report()[0]?.ranges.length ?? 0).toBeLessThanOrEqual(RANGES_LIMIT);
      }
      numbering = restart(numbering);
      for (const seq of shown) expect(numbering.isNew(A, seq, 0)).toBe(false);
      for (const seq of refused) expect(numbering.isNew(A, seq, 0)).toBe(!shown.has(seq));
      const waiting = [...refused].filter((seq) => !shown.has(seq) && seq > 2000);
      numbering.lower(A, 2001);
      for (const seq of waiting) expect(numbering.commit(A, seq, 0, 1)).toBe("whole");
    }),
    { numRuns: 5 },
  );
});

test("at the limit of ranges the last part of a mail waits with the others", () => {
  const numbering = new Numbering();
  for (let i = 1; i <= RANGES_LIMIT; i++) numbering.commit(A, i * 2, 0, 1);
  expect(numbering.commit(A, 5001, 0, 2)).toBe("part");
  expect(numbering.commit(A, 5001, 1, 2)).toBeUndefined();
  expect(numbering.isNew(A, 5001, 1)).toBe(true);
  expect(numbering.commit(A, 3, 0, 1)).toBe("whole"); // joins two ranges
  expect(numbering.commit(A, 5001, 1, 2)).toBe("whole");
});

test("unfinished mails are bounded; one that ends makes room", () => {
  const numbering = new Numbering();
  for (let seq = 1; seq <= UNFINISHED_LIMIT; seq++) expect(numbering.commit(A, seq, 1, 2)).toBe("part");
  expect(numbering.commit(A, 100, 1, 2)).toBeUndefined();
  expect(numbering.isNew(A, 100, 1)).toBe(true);
  expect(numbering.commit(A, 101, 0, 1)).toBe("whole"); // what needs no place is not held up
  expect(numbering.commit(A, 7, 0, 2)).toBe("whole");
  expect(numbering.commit(A, 100, 1, 2)).toBe("part");
});

test("of many unfinished mails those are acknowledged that make progress, so abandoned ones do not stand in the way", () => {
  let numbering = new Numbering();
  for (const seq of [1, 2, 3, 4, 5, 6, 2]) {
    numbering.commit(A, seq, numbering.isNew(A, seq, 1) ? 1 : 2, 9);
    numbering = restart(numbering);
  }
  expect(numbering.report()[0]?.unfinished.map(({ seq }) => seq)).toEqual([2, 4, 5, 6]);
});

test("a part that contradicts the number of parts told before is refused", () => {
  const numbering = new Numbering();
  expect(numbering.commit(A, 1, 0, 3)).toBe("part");
  expect(numbering.commit(A, 1, 1, 2)).toBeUndefined();
  expect(numbering.commit(A, 1, 1, 3)).toBe("part");
  expect(numbering.commit(A, 1, 0, 1)).toBeUndefined();
  expect(numbering.report()[0]?.unfinished).toEqual([{ seq: 1, missing: 2, bitmap: Uint8Array.of() }]);
});

test("the floor drops what is below it, and says which unfinished mails that were", () => {
  const numbering = new Numbering();
  for (const seq of [9, 2, 4]) numbering.commit(A, seq, 0, 2);
  numbering.commit(A, 3, 0, 1);
  numbering.commit(A, 8, 0, 1);
  expect(numbering.lower(A, 5)).toEqual([2, 4]);
  expect(numbering.lower(A, 5)).toBeUndefined();
  expect(numbering.lower(A, 4)).toBeUndefined();
  expect(numbering.isNew(A, 1, 0)).toBe(false);
  expect(numbering.isNew(A, 4, 1)).toBe(false);
  expect(numbering.isNew(A, 5, 0)).toBe(true);
  expect(numbering.gaps()).toBe(3); // 5, 6, 7
  expect(numbering.report()).toEqual([
    { epoch: A, floor: 5, ranges: [[8, 8]], unfinished: [{ seq: 9, missing: 1, bitmap: Uint8Array.of() }] },
  ]);
});

test("a mail of 65535 parts is whole with the last one, in the disorder that eight in flight make", () => {
  const numbering = new Numbering();
  const order = Array.from({ length: 65_536 }, (_, i) => i - (i % 8) + 7 - (i % 8)).filter((part) => part < 65_535);
  const results = order.map((part) => numbering.commit(A, 1, part, 65_535));
  expect(results.pop()).toBe("whole");
  expect(new Set(results)).toEqual(new Set(["part"]));
  expect(numbering.report()[0]?.ranges).toEqual([[1, 1]]);
  expect(numbering.encode().length).toBeLessThan(20);
});

test("any 1024 parts of a mail fit, in the worst order", () => {
  const numbering = new Numbering();
  for (let part = 1; part < 1024; part += 2) expect(numbering.commit(A, 1, part, 1024)).toBe("part");
  expect(restart(numbering).report()[0]?.unfinished[0]?.bitmap).toEqual(new Uint8Array(128).fill(0x55));
  for (let part = 0; part < 1022; part += 2) expect(numbering.commit(A, 1, part, 1024)).toBe("part");
  expect(numbering.commit(A, 1, 1022, 1024)).toBe("whole");
});

test("an epoch too many closes the one not used for longest: nothing of it is new again", () => {
  let numbering = new Numbering();
  const epoch = (n: number) => n.toString(16).padStart(16, "0");
  for (let n = 0; n < 72; n++) {
    expect(numbering.commit(epoch(n), 5, 0, 1)).toBe("whole");
    numbering = restart(numbering);
  }
  for (let n = 0; n < 64; n++) {
    expect(numbering.isNew(epoch(n), 5, 0)).toBe(false);
    expect(numbering.isNew(epoch(n), 6, 0)).toBe(false);
    expect(numbering.commit(epoch(n), 6, 0, 1)).toBeUndefined();
    expect(numbering.lower(epoch(n), 9)).toBeUndefined();
  }
  for (let n = 64; n < 72; n++) expect(numbering.isNew(epoch(n), 6, 0)).toBe(true);
  expect(numbering.report().map((report) => report.epoch)).toEqual([71, 70, 69, 68].map(epoch));
  // No more can be remembered as closed: a further epoch is refused, nothing is forgotten.
  expect(numbering.commit(epoch(99), 1, 0, 1)).toBeUndefined();
  expect(numbering.isNew(epoch(0), 5, 0)).toBe(false);
  expect(numbering.commit(epoch(65), 6, 0, 1)).toBe("whole");
  expect(numbering.report()[0]?.epoch).toBe(epoch(65));
});

test("damaged bytes give no numbering, or one that is sound; they never throw", () => {
  const numbering = new Numbering();
  for (const seq of [1, 2, 5, 9, SEQ_LIMIT]) numbering.commit(A, seq, 0, (seq % 2) + 1);
  numbering.commit(EPOCHS[1], 3, 7, 65_535);
  const good = numbering.encode();
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }), fc.boolean(), (at, flip, cut) => {
      const bytes = cut ? good.slice(0, at) : good.slice();
      if (!cut) bytes[at] = (bytes[at] ?? 0) ^ flip;
      const again = Numbering.decode(bytes);
      if (cut) expect(again).toBeUndefined();
      if (again !== undefined) expect(again.encode()).toEqual(bytes);
    }),
    { numRuns: 1000 },
  );
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      Numbering.decode(bytes);
    }),
  );
});

test("with a first number that counts, nothing below it is missing, however far up it is", () => {
  const numbering = new Numbering();
  const [epoch, other] = ["00000000000000aa", "00000000000000bb"];
  const far = 2 ** 40;
  for (const seq of [far, far + 3, 5]) numbering.commit(epoch, seq, 0, 1);
  numbering.commit(epoch, 7, 0, 2);
  numbering.commit(other, 3, 0, 1);
  expect(numbering.gaps({ left: [other] })).toBe(far + 3 - 4);
  expect(numbering.gaps({ left: [other], since: { epoch, seq: far } })).toBe(2);
  expect(numbering.gaps({ since: { epoch, seq: far } })).toBe(4);
  expect(numbering.gaps({ left: [other], since: { epoch, seq: 6 } })).toBe(far + 3 - 5 - 3);
  numbering.lower(epoch, far + 2);
  expect(numbering.gaps({ left: [other], since: { epoch, seq: far } })).toBe(1);
});
