import { expect, test } from "vitest";
import { scene } from "../testing/scene.ts";
import { Allowance, allowanceKey } from "./allowance.ts";

const DAY = 86_400_000;
const KIB = 1024;

test("a contact that floods fills what it may in a day; all of it comes in the end, and nobody else waits", () => {
  const dailyBytes = 150 * KIB;
  const { w, alice, bob, eve } = scene({ seed: 71, keeps: { dailyBytes } }, ["alice", "bob", "eve"], ["carol"]);
  const kept = (): number => bob.inbox().reduce((sum, { length }) => sum + length, 0);
  for (let i = 0; i < 20; i++) eve.send(bob, `flood ${i}`.padEnd(10 * KIB));
  w.run("1 min");
  alice.send(bob, "hello");
  w.run("10 min");
  expect(kept()).toBeGreaterThan(100 * KIB);
  expect(kept()).toBeLessThanOrEqual(dailyBytes);
  expect(bob.inbox()).toContain("hello");
  const full = bob.events.filter(({ type }) => type === "full");
  expect(full).toEqual([{ type: "full", contact: bob.contactId(eve), until: (Math.floor(w.now / DAY) + 1) * DAY }]);
  // On the next day the cache shows again what was left there.
  for (const each of [alice, bob, eve]) each.sleep();
  w.run("3 hours"); // past midnight
  bob.wake();
  w.run("10 min");
  expect(bob.inbox().length).toBe(21);
  expect(kept()).toBe(200 * KIB + "hello".length);
});

test("a day's allowance is used up by size, and by number, and is new on the next day", () => {
  const allowance = new Allowance({ contact: "c", saved: undefined, limit: 10 * KIB });
  const now = 5 * DAY + 1;
  allowance.spend(8 * KIB, now);
  expect([allowance.hasRoom(1 * KIB, now), allowance.hasRoom(2 * KIB, now)]).toEqual([true, false]);
  expect([allowance.refused(now), allowance.refused(now)]).toEqual([6 * DAY, undefined]);
  expect(allowance.hasRoom(2 * KIB, 6 * DAY)).toBe(true);
  let empty = 0;
  for (; allowance.hasRoom(0, 6 * DAY); empty++) allowance.spend(0, 6 * DAY);
  expect(empty).toBe(20);
});

test("one mail has room however small the limit is, and what was used is known after a restart", () => {
  const limit = 2 * KIB * KIB;
  const first = new Allowance({ contact: "c", saved: undefined, limit });
  expect(first.hasRoom(9 * limit, DAY)).toBe(true);
  const saves = [0, 1, 2].flatMap(() => first.spend(700 * KIB, DAY));
  expect(saves.map(({ key }) => key)).toEqual([allowanceKey("c"), allowanceKey("c")]);
  const again = new Allowance({ contact: "c", saved: saves.at(-1)?.value, limit });
  expect([again.hasRoom(1, DAY), again.hasRoom(1, 2 * DAY)]).toEqual([false, true]);
});
