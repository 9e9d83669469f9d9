/** Routes: the ways a message can travel to a peer, and which of them to take. protocol/mail.md §10 */
import { equal } from "../bytes/index.ts";
import type { BazaarAddress } from "../card/index.ts";
import type { Hashname, Keys } from "../crypto/index.ts";
import { type Account, score } from "./repute.ts";

/** One way. A later kind (bundle) is one more member here and one more lane in ways.ts. */
export type Route =
  | { readonly type: "direct"; readonly peer: Hashname }
  | { readonly type: "cache"; readonly cache: Hashname; readonly uri: string }
  /**
   * `mark`: of the key by which the peer is found there, part of the name of what is left for it. `at`: where it is found; absent where
   * something is only taken back, for that goes by its name.
   */
  | { readonly type: "bazaar"; readonly peer: Hashname; readonly mark: string; readonly at?: BazaarAddress };

/** The hashname at which a route hands over: different for all routes to one recipient. */
export function routeKey(route: Route): Hashname {
  return route.type === "cache" ? route.cache : route.peer;
}

/** A cache of the recipient, as its card names it. */
export interface CacheOffer {
  readonly hashname: Hashname;
  /** Admission URI to present there. */
  readonly uri: string;
  /** Bytes that the cache keeps of one sender for this recipient. */
  readonly cap: number;
  /** Caches with the same text are one failure domain. */
  readonly store: string;
  /** No card names it, but an invite that anybody can have written: it comes after the others, and stands for none of them. */
  readonly isSpare?: true;
}

/** A peer to write to. */
export interface Destination {
  readonly hashname: Hashname;
  readonly keys: Keys;
  /** In the recipient's order of preference. */
  readonly caches: readonly CacheOffer[];
  /** It has addresses of its own, so a link may come up by asking for it. */
  readonly direct: boolean;
  /** Where it is found in the bazaar, when it can be. */
  readonly bazaar?: BazaarAddress;
}

/**
 * When mail goes by the bazaar, where its peer is found there. "beside": where no cache of the peer works and no link is up, and what
 * lay at caches and is offered again without an answer. "always": all texts, at once. docs/decisions/011
 */
export type CarrierUse = "beside" | "always";

/** What stands for the bazaar where the others have the hashname of a cache. */
export const BAZAAR: Hashname = "bazaar" as Hashname; // no hashname: those have 52 characters

/** What a choice among caches looks at. */
export interface Candidate {
  readonly offer: CacheOffer;
  readonly up: boolean;
  /** Failed attempts since the last good one. */
  readonly failures: number;
  readonly repute: Account;
}

/**
 * The caches for one mail: so many (`copies`) that are no failure domain in common (fewer copies tell fewer caches, BX L5),
 * and one more for each of those chosen that failed twice or more. Once chosen (`taken`) is chosen for good, so that a mail
 * does not wander over all caches. The others come by rank. As many of those that no card names come on top.
 */
export function chooseCaches<C extends Candidate>(
  candidates: readonly C[],
  taken: (candidate: C) => boolean,
  copies: number,
): C[] {
  const named = candidates.filter(({ offer }) => offer.isSpare !== true);
  if (named.length === candidates.length) return chooseAmong(named, taken, copies);
  const spare = candidates.filter(({ offer }) => offer.isSpare === true);
  return [...chooseAmong(named, taken, copies), ...chooseAmong(spare, taken, copies)];
}

function chooseAmong<C extends Candidate>(
  candidates: readonly C[],
  taken: (candidate: C) => boolean,
  copies: number,
): C[] {
  const ranked = rankCaches(candidates).sort((a, b) => Number(taken(b)) - Number(taken(a)));
  const chosen: C[] = [];
  const stores = new Set<string>();
  let working = 0;
  for (const candidate of ranked) {
    const isTaken = taken(candidate);
    if (!isTaken && (working >= copies || stores.has(candidate.offer.store))) continue;
    chosen.push(candidate);
    if (isFailing(candidate)) continue; // another way into the same store may work
    stores.add(candidate.offer.store);
    working++;
  }
  return chosen;
}

/**
 * The best first (X38): those that work; those that a card names; then by what they brought to the recipient, which no cache can claim of itself; those
 * with a link; those with most room; then the recipient's own order.
 */
export function rankCaches<C extends Candidate>(candidates: readonly C[]): C[] {
  return [...candidates].sort(
    (a, b) =>
      Number(isFailing(a)) - Number(isFailing(b)) ||
      Number(a.offer.isSpare === true) - Number(b.offer.isSpare === true) ||
      score(b.repute) - score(a.repute) ||
      Number(b.up) - Number(a.up) ||
      room(b) - room(a),
  );
}

/** One cache of each failure domain, the first of it in the recipient's order. */
export function onePerStore<C extends Candidate>(candidates: readonly C[]): C[] {
  const stores = new Set<string>();
  return candidates.filter(({ offer }) => !stores.has(offer.store) && stores.add(offer.store) !== undefined);
}

/** Whether these are the same keys of the same cipher sets. */
export function isSameKeys(a: Keys, b: Keys): boolean {
  return a.size === b.size && [...a].every(([csid, key]) => equal(key, b.get(csid) ?? NO_KEY));
}

/** Whether others step in. */
export function isFailing({ failures }: Pick<Candidate, "failures">): boolean {
  return failures >= FAILING;
}

/** What it claims, as far as claims count: more than a recipient needs says nothing, and may be a lie. */
function room({ offer }: Candidate): number {
  return Math.min(offer.cap, ROOM_LIMIT);
}

const ROOM_LIMIT = 8 * 1024 * 1024; // the cap that caches have by themselves, protocol/box.md §7
const FAILING = 2; // the second retry is the first that may use more caches
const NO_KEY = new Uint8Array(0);
