/** What became of a mail: an append-only list of states that never says more than is known. protocol/mail.md §11 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { type Route, routeKey } from "./route.ts";

/**
 * `queued`: durable here. `handed`: a cache or the recipient's link took all parts, which is all that a cache ever tells.
 * `delivered`: the recipient acknowledged it. `read`: its user saw it. `expired`, `cancelled`: no longer offered.
 */
export type MailState = "queued" | "handed" | "delivered" | "read" | "expired" | "cancelled";

/** One step of a mail of ours. `at`: ms since 1970, by our clock. */
export interface LedgerEntry {
  readonly at: Time;
  readonly state: MailState;
  /** Of `handed`: how it travelled. */
  readonly route?: Route["type"];
  /** Of `handed` with route "cache". */
  readonly cache?: Hashname;
  /** Of `delivered` and `read`: which of the contact's peers said it. Absent in what was written before this was kept. */
  readonly peer?: Hashname;
  /** Of `cancelled`: "forgotten" with its contact, "lost" in a damaged store; absent when the user asked for it. */
  readonly why?: string;
}

/** A new ledger. */
export function openLedger(at: Time): LedgerEntry[] {
  return [{ at, state: "queued" }];
}

/** The state a ledger says: that of its last entry; but what one peer has read stays so while it is delivered to the next. */
export function stateOf(ledger: readonly LedgerEntry[]): MailState {
  return ledger.some(({ state }) => state === "read") ? "read" : (ledger.at(-1)?.state ?? "queued");
}

/**
 * May an entry follow on a state? `handed` on itself: by another route. `delivered` and `read` on themselves and each other:
 * by another peer of the contact.
 */
export function mayFollow(from: MailState, to: MailState): boolean {
  return NEXT[from].includes(to);
}

/** Is nothing more done for such a mail? A final state may still become a better one (X36). */
export function isFinal(state: MailState): boolean {
  return state !== "queued" && state !== "handed";
}

/** Appends and says true, or says false and changes nothing: for a step that is not allowed, or says nothing new. */
export function append(ledger: LedgerEntry[], entry: LedgerEntry): boolean {
  if (!mayFollow(stateOf(ledger), entry.state)) return false;
  const isKnown = ({ state, route, cache, peer }: LedgerEntry): boolean =>
    state === entry.state && route === entry.route && cache === entry.cache && peer === entry.peer;
  if (ledger.some(isKnown)) return false;
  ledger.push(entry);
  return true;
}

/** The entry for a mail that all went by this route. */
export function handedBy(route: Route, at: Time): LedgerEntry {
  return { at, state: "handed", route: route.type, ...(route.type === "cache" && { cache: routeKey(route) }) };
}

/** How many ways took it. */
export function handedCount(ledger: readonly LedgerEntry[]): number {
  return ledger.filter(({ state }) => state === "handed").length;
}

const NEXT: Readonly<Record<MailState, readonly MailState[]>> = {
  queued: ["handed", "delivered", "expired", "cancelled"],
  handed: ["handed", "delivered", "expired", "cancelled"],
  delivered: ["delivered", "read"],
  read: ["delivered", "read"],
  expired: ["delivered"],
  cancelled: ["delivered"],
};
