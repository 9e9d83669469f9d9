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
    ...["delivered delivered", "delivered read", "read delivered", "read read"],
    ...["expired delivered", "cancelled delivered"],
  ]);
  expect(STATES.filter(isFinal)).toEqual(["delivered", "read", "expired", "cancelled"]);
});

test("[X36] what one peer has read stays read while the next one gets it, and each says a thing once", () => {
  const [a, b] = ["a", "b"] as Hashname[];
  const ledger = openLedger(0);
  const say = (state: MailState, peer: Hashname | undefined): unknown => [
    append(ledger, { at: 1, state, ...(peer && { peer }) }),
    stateOf(ledger),
  ];
  expect(say("delivered", a)).toEqual([true, "delivered"]);
  expect(say("delivered", a)).toEqual([false, "delivered"]);
  expect(say("read", a)).toEqual([true, "read"]);
  expect(say("delivered", b)).toEqual([true, "read"]);
  expect(say("expired", undefined)).toEqual([false, "read"]);
  expect(say("read", b)).toEqual([true, "read"]);
  expect(say("read", a)).toEqual([false, "read"]);
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
        const byPeer = state === "delivered" || state === "read" ? { peer: cache } : {};
        const next: LedgerEntry =
          state === "handed" ? handedBy({ type: "cache", cache, uri: "" }, at) : { at, state, ...byPeer };
        const isAllowed = mayFollow(stateOf(ledger), state);
        const took = append(ledger, next);
        if (!isAllowed) expect(took).toBe(false);
        expect(ledger).toEqual(took ? [...before, next] : before);
      }
      expect(handedCount(ledger)).toBeLessThanOrEqual(2);
      expect(ledger.length).toBeLessThanOrEqual(8);
    }),
  );
});
