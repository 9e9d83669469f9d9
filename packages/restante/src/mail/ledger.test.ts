import fc from "fast-check";
import { expect, test } from "vitest";
import type { Hashname } from "../crypto/index.ts";
import {
  append,
  handedBy,
  handedCount,
  isFinal,
  type LedgerEntry,
  type MailState,
  mayFollow,
  openLedger,
  stateOf,
} from "./ledger.ts";

const STATES: readonly MailState[] = ["queued", "handed", "delivered", "read", "expired", "cancelled"];

test("[X36] queued, handed, delivered, read; expired and cancelled become delivered, then read, and nothing else", () => {
  const allowed = STATES.flatMap((from) => STATES.filter((to) => mayFollow(from, to)).map((to) => `${from} ${to}`));
  expect(allowed).toEqual([
    ...["queued handed", "queued delivered", "queued expired", "queued cancelled"],
    ...["handed handed", "handed delivered", "handed expired", "handed cancelled"],
    ...["delivered read", "expired delivered", "cancelled delivered"],
  ]);
  expect(STATES.filter(isFinal)).toEqual(["delivered", "read", "expired", "cancelled"]);
});

test("whatever is appended, a ledger only grows, by allowed steps, each way of handing over once", () => {
  const entry = fc.record({
    at: fc.nat(),
    state: fc.constantFrom(...STATES),
    cache: fc.constantFrom("a" as Hashname, "b" as Hashname),
  });
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 40 }), (entries) => {
      const ledger = openLedger(0);
      for (const { at, state, cache } of entries) {
        const before = [...ledger];
        const next: LedgerEntry = state === "handed" ? handedBy({ type: "cache", cache, uri: "" }, at) : { at, state };
        const isAllowed = mayFollow(stateOf(ledger), state);
        const took = append(ledger, next);
        if (!isAllowed) expect(took).toBe(false);
        expect(ledger).toEqual(took ? [...before, next] : before);
      }
      expect(handedCount(ledger)).toBeLessThanOrEqual(2);
      expect(ledger.length).toBeLessThanOrEqual(6);
    }),
  );
});
