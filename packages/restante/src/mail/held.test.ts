import { expect, test } from "vitest";
import { Held } from "./held.ts";
import type { Posted } from "./posted.ts";

test("of those that wait the one that waits for the longest goes, unless somebody was asked about it", () => {
  const held = new Held(2);
  for (const id of ["a", "b", "c", "d"]) held.add(mail(id, "anna"));
  held.ask("a");
  expect(held.idle("a")).toBeUndefined();
  expect(held.idle("b")).toBeUndefined();
  expect(held.idle("c")?.id).toBe("b");
  const b = held.get("b");
  if (b !== undefined) held.remove(b);
  expect([...held.all()].map(({ id }) => id)).toEqual(["a", "c", "d"]);
  held.answered("a");
  expect(held.idle("d")?.id).toBe("a");
});

test("what has something to do again does not count among those that wait, and then waits as the newest", () => {
  const held = new Held(2);
  for (const id of ["a", "b", "c"]) held.add(mail(id, "anna"));
  held.idle("a");
  held.idle("b");
  held.busy("a");
  expect(held.isIdle("a")).toBe(false);
  expect(held.idle("c")).toBeUndefined();
  expect(held.idle("a")?.id).toBe("b");
});

test("mails are found by contact, and are counted as long as they are open", () => {
  const held = new Held(9);
  const [a, b, c] = [mail("a", "anna"), mail("b", "anna"), mail("c", "bert")];
  for (const each of [a, b, c]) held.add(each);
  expect([...held.ofContact("anna")]).toEqual([a, b]);
  expect(held.open).toBe(3);
  b.ledger.push({ at: 1, state: "expired" });
  expect(held.open).toBe(2);
  held.remove(a);
  held.remove(b);
  expect(held.ofContact("anna").size).toBe(0);
  expect([held.has("a"), held.get("c"), held.size, held.open]).toEqual([false, c, 1, 1]);
});

function mail(id: string, contact: string): Posted {
  const ledger: Posted["ledger"] = [{ at: 0, state: "queued" }];
  return {
    id,
    contact,
    kind: "text",
    created: 0,
    expires: 9,
    size: 1,
    parts: 1,
    place: 1,
    ledger,
    parcels: [],
    waits: [],
  };
}
