import fc from "fast-check";
import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import { AckView } from "./acknowledgement.ts";
import { Announced } from "./announced.ts";
import { Pair } from "./pair.ts";
import { type Parcel, parcelOf } from "./parcel.ts";

const EPOCH = "0".repeat(16);
const PEER = "peer" as Hashname;
const KEYS = ["1", "2", "3"].map((digit) => digit.repeat(64));

const newPair = (next: number): Pair =>
  new Pair({
    ...{ epoch: EPOCH, doubted: [], doubtedAt: 0, left: [], next },
    view: new AckView(),
    announced: new Announced({ turns: [], keys: KEYS }),
  });

const parcelWith = (seq: number, key: string | undefined): Parcel => ({
  ...parcelOf({
    ...{ mail: `${seq}`, peer: PEER, epoch: EPOCH, seq, floor: 1, generation: 0, hello: false, of: 1, partBytes: 1 },
    ...{ expires: 1, state: "open", offers: 0, copies: [] },
  }),
  ...(key !== undefined && { forward: { key, uses: [] } }),
});

const step = fc.oneof(
  fc.record({ do: fc.constant("number" as const), key: fc.integer({ min: -1, max: 2 }) }),
  fc.record({
    do: fc.constant("acknowledge" as const),
    by: fc.integer({ min: 1, max: 6 }),
    first: fc.integer({ min: 1, max: 30 }),
    more: fc.nat(5),
  }),
  fc.record({ do: fc.constantFrom("stop" as const, "pass" as const, "retire" as const), which: fc.nat(30) }),
);

test("whatever comes in whatever order, a pair knows what one knows who looks at all of it each time", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 1000 }), fc.array(step, { maxLength: 80, size: "max" }), (start, steps) => {
      const pair = newPair(start);
      const all: Parcel[] = [];
      const [passed, retired] = [new Set<Parcel>(), new Set<Parcel>()];
      for (const each of steps) {
        if (each.do === "number") {
          const parcel = parcelWith(pair.next, KEYS[each.key]);
          pair.number(parcel);
          all.push(parcel);
        } else if (each.do === "acknowledge") {
          const [first, last] = [start - 1 + each.first, start - 1 + each.first + each.more];
          const reports = [{ epoch: EPOCH, floor: 1, ranges: [[first, last]] as const, unfinished: [] }];
          const told = { by: `${each.by}`.repeat(16), ownEpoch: EPOCH, floor: 1, reports };
          const expected = all.filter(
            (one) => one.seq >= first && one.seq <= last && one.state !== "acknowledged" && !retired.has(one),
          );
          const { arrived } = pair.merge(told, () => true);
          expect(arrived).toEqual(expected);
          for (const parcel of arrived) {
            parcel.state = "acknowledged";
            pair.closed(parcel);
            pair.pass(EPOCH, parcel.seq);
            passed.add(parcel);
          }
        } else {
          const parcel = all[each.which];
          if (parcel === undefined) continue;
          if (parcel.state === "open") parcel.state = "stopped";
          pair.closed(parcel);
          if (each.do !== "stop") {
            pair.pass(EPOCH, parcel.seq);
            passed.add(parcel);
          }
          if (each.do === "retire") {
            pair.retire(parcel);
            retired.add(parcel);
          }
        }
        expect(pair.floor).toBe(Math.min(pair.next, ...all.filter((one) => !passed.has(one)).map(({ seq }) => seq)));
        expect(new Set(pair.parcels())).toEqual(new Set(all.filter((one) => !retired.has(one))));
        const open = all.filter(({ state }) => state === "open");
        const used = KEYS.slice(1).filter((key) => open.some(({ forward }) => forward?.key === key));
        expect(pair.forwarding()).toEqual({ key: KEYS[0], uses: used.map((key) => key.slice(0, 16)) });
      }
    }),
    { numRuns: 300 },
  );
});
