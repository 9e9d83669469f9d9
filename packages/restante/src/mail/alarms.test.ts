import { expect, test } from "vitest";
import type { Time } from "../bytes/index.ts";
import { Alarms } from "./alarms.ts";

test("what is due is woken, the earliest first, and once for each time that it asks", () => {
  const alarms = new Alarms();
  const woken: string[] = [];
  const [late, early] = [sleeper(20), sleeper(10)];
  alarms.add(late, () => woken.push("late"), 20);
  alarms.add(early, () => woken.push("early"));
  expect(alarms.next()).toBe(20); // the other one has not asked yet
  alarms.set(early);
  expect(alarms.next()).toBe(10);
  alarms.ring(9);
  expect(woken).toEqual([]);
  alarms.ring(20);
  expect(woken).toEqual(["early", "late"]);
  expect(alarms.next()).toBeUndefined();
  alarms.ring(30);
  expect(woken).toHaveLength(2);
});

test("who was removed is not woken, and asks in vain", () => {
  const alarms = new Alarms();
  const woken: string[] = [];
  const gone = sleeper(10);
  alarms.add(gone, () => woken.push("gone"), 10);
  alarms.remove(gone);
  alarms.set(gone);
  expect(alarms.next()).toBeUndefined();
  alarms.ring(10);
  expect(woken).toEqual([]);
});

test("who is removed by another one that is woken with it is not woken any more", () => {
  const alarms = new Alarms();
  const woken: string[] = [];
  const [first, second] = [sleeper(1), sleeper(2)];
  alarms.add(
    first,
    () => {
      woken.push("first");
      alarms.remove(second);
    },
    1,
  );
  alarms.add(second, () => woken.push("second"), 2);
  alarms.ring(2);
  expect(woken).toEqual(["first"]);
});

function sleeper(at: Time): { deadline(): Time } {
  return { deadline: () => at };
}
