/** Verdicts: what the mails that ended say of the caches that took them. protocol/mail.md §10, Rank */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Lane } from "./lane.ts";
import type { Parcel } from "./parcel.ts";
import { type Account, score } from "./repute.ts";
import { cacheName, type ShownBy } from "./shown.ts";

/**
 * The parcel ended: notes what the caches that took it did with it. A mail that came otherwise, or was cancelled, says nothing of
 * them. True: what they stand for now is worth saving.
 */
export function judge(caches: readonly Lane[], parcel: Parcel, now: Time): boolean {
  const took = caches.filter(({ progress }) => (progress.get(parcel)?.copy.handed.count ?? 0) > 0);
  const isTelling =
    parcel.state === "acknowledged"
      ? took.some(({ repute }) => repute.showed(parcel.seq))
      : parcel.state === "stopped" && now >= parcel.expires;
  if (!isTelling) return false;
  const before = scores(caches);
  for (const { repute } of took) repute.settle(parcel.seq);
  const isRound = took.some(({ repute }) => repute.settled % REPUTE_SAVED === 0);
  return isRound || scores(caches) !== before;
}

/** The peer says which of our mails which of its caches showed it. True: that is worth saving. */
export function hear(caches: readonly Lane[], told: readonly ShownBy[]): boolean {
  const before = scores(caches);
  for (const { key, repute } of caches) {
    const name = cacheName(key);
    for (const { cache, ranges } of told) if (cache === name) repute.heard(ranges);
  }
  return scores(caches) !== before;
}

/** What to save of the caches that were tried. */
export function accountsOf(caches: readonly Lane[]): ReadonlyMap<Hashname, Account> {
  const tried = caches.filter(({ repute }) => repute.settled > 0);
  return new Map(tried.map(({ key, repute: { settled, delivered } }) => [key, { settled, delivered }]));
}

function scores(caches: readonly Lane[]): string {
  return caches.map(({ repute }) => score(repute)).join();
}

const REPUTE_SAVED = 8; // mails between two writes that say nothing new
