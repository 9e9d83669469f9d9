import type { BoxStats } from "restante";
import { expect, test } from "vitest";
import { Totals, watchTotals } from "./totals.ts";
import { totalsSchema } from "./totals-answer.ts";

const MINUTE = 60_000;
const HOUR = 3_600_000;
const NONE: BoxStats = {
  ...{ recipients: 0, boxes: 0, messages: 0, bytes: 0, memory: 0 },
  ...{ gained: 0, refused: 0, evicted: 0, expired: 0 },
};

test("each minute has what came and went in it, and what lay there at its end", () => {
  const totals = new Totals(NONE, 0);
  totals.note({ ...NONE, messages: 4, bytes: 400, recipients: 2, gained: 4 }, 10_000);
  totals.note(
    { ...NONE, messages: 3, bytes: 300, recipients: 1, gained: 9, expired: 1, evicted: 2, refused: 5 },
    MINUTE,
  );
  const { minutes, hours } = totalsSchema.parse(totals.info());
  expect(minutes).toEqual([
    { at: MINUTE, messages: 4, bytes: 400, recipients: 2, taken: 4, collected: 0, refused: 0, evicted: 0, expired: 0 },
    {
      at: 2 * MINUTE,
      messages: 3,
      bytes: 300,
      recipients: 1,
      stay: Math.round((2 * 10_000 + 3.5 * 50_000) / 6), // what lay here, by what left
      taken: 5,
      collected: 3,
      refused: 5,
      evicted: 2,
      expired: 1,
    },
  ]);
  expect(hours).toHaveLength(1);
  expect(hours[0]).toMatchObject({ at: HOUR, messages: 3, taken: 9, collected: 3 });
});

test("how long a message stays is what lay there by what left", () => {
  const totals = new Totals(NONE, 0);
  expect(totals.info().stay).toBeUndefined();
  // One message a minute comes, and each is fetched after ten minutes.
  for (let minute = 1; minute <= 300; minute++)
    totals.note({ ...NONE, messages: Math.min(minute, 10), gained: minute }, minute * MINUTE);
  expect(totals.info().stay).toBeCloseTo(10 * MINUTE, -3);
});

test("how long they stayed is told over time: each slot has what was so at its end, and none where nothing left", () => {
  const totals = new Totals(NONE, 0);
  // For five hours they are fetched after ten minutes each, then after twenty; then nobody comes any more.
  for (let minute = 1; minute <= 600; minute++)
    totals.note({ ...NONE, messages: minute <= 300 ? 10 : 20, gained: minute }, minute * MINUTE);
  for (let minute = 601; minute <= 720; minute++) totals.note({ ...NONE, messages: 20, gained: 600 }, minute * MINUTE);
  const { minutes, hours, stay } = totalsSchema.parse(totals.info());
  const ages = (slots: readonly { stay?: number | undefined }[]) =>
    slots.map((slot) => (slot.stay === undefined ? undefined : Math.round(slot.stay / MINUTE)));
  expect(ages(hours).slice(1, 5)).toEqual([10, 10, 10, 10]);
  expect(ages(hours).slice(6, 10)).toEqual([20, 20, 20, 20]);
  expect(new Set(ages(minutes))).toEqual(new Set([undefined]));
  expect([stay, ages(hours).at(-1)]).toEqual([undefined, undefined]);
});

test("an hour of minutes and a week of hours are kept, however long it runs and however often it is asked", () => {
  const totals = new Totals(NONE, 0);
  for (let now = 0; now < 400 * HOUR; now += 7 * MINUTE) totals.note({ ...NONE, gained: now }, now);
  for (let i = 0; i < 10_000; i++) totals.note(NONE, 400 * HOUR + i);
  const { minutes, hours } = totals.info();
  expect(minutes.length).toBeLessThanOrEqual(60);
  expect(hours).toHaveLength(168);
  expect(minutes.every(({ at }) => at > 399 * HOUR)).toBe(true);
  totals.note(NONE, 9000 * HOUR); // the machine slept
  expect(totals.info().hours).toHaveLength(1);
});

test("a cluster whose counters begin anew takes nothing away", () => {
  const totals = new Totals({ ...NONE, gained: 50, messages: 5 }, 0);
  totals.note(NONE, 1000);
  expect(totals.info().minutes[0]).toMatchObject({ taken: 0, collected: 5 });
});

test("who serves no cache has no totals; they begin with it, and are gone with it", () => {
  let held: BoxStats | undefined;
  const peer = { status: () => ({ held }) } as unknown as Parameters<typeof watchTotals>[0];
  const stop = new AbortController();
  const told = watchTotals(peer, stop.signal);
  const now = Date.now();
  expect(told(now)).toBeUndefined();
  held = { ...NONE, gained: 7 };
  expect(told(now)?.minutes).toMatchObject([{ taken: 0 }]);
  held = { ...NONE, gained: 9 };
  expect(told(now)?.minutes).toMatchObject([{ taken: 2 }]);
  held = undefined;
  expect(told(now)).toBeUndefined();
  held = NONE;
  expect(told(now)?.minutes).toMatchObject([{ taken: 0 }]);
  stop.abort();
});
