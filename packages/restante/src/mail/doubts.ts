/**
 * Doubts: what was left at a cache and may be gone from there, as the cache started anew, or may have, or we did. It is left there
 * once more: soon, and not too often. protocol/mail.md §10, When
 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Lane } from "./lane.ts";
import type { Parcel } from "./parcel.ts";
import { BAZAAR } from "./route.ts";

/** Of the caches of one peer. When a lane's `renewAt` is over, `settle` gives what to leave there again. */
export class Doubts {
  /** 0..1: all of a cache's senders hear of it at the same time. */
  readonly #chance: () => number;
  /** By cache. */
  readonly #parcels = new Map<Hashname, Set<Parcel>>();

  constructor(chance: () => number) {
    this.#chance = chance;
  }

  /** It was left at caches in an earlier life of ours: what became of them meanwhile we did not see. */
  missed(parcel: Parcel): void {
    for (const [cache, { handed }] of parcel.copies)
      if (handed.count > 0 && cache !== BAZAAR) this.#suspect(cache, parcel);
  }

  /** The cache itself may have started anew, with all that lies there in this life. `isOpen`: what is over may be gone. */
  raise(lane: Lane, isOpen: (parcel: Parcel) => boolean, atMostEach: number, now: Time): void {
    for (const [parcel, { copy }] of lane.progress)
      if (copy.handed.count > 0 && isOpen(parcel)) this.#suspect(lane.key, parcel);
    lane.isDoubted = true;
    this.schedule(lane, atMostEach, now);
  }

  /** Sets when what is in doubt on this lane is left there again, if anything is. */
  schedule(lane: Lane, atMostEach: number, now: Time): void {
    if (lane.renewAt !== undefined || !(lane.isDoubted || this.#parcels.has(lane.key))) return;
    const spread = Math.round(SPREAD_MS * this.#chance());
    lane.renewAt = Math.max(now, (lane.renewedAt ?? Number.NEGATIVE_INFINITY) + atMostEach) + spread;
  }

  /** It is time: gives what may be gone, which is in doubt no more. */
  settle(lane: Lane, now: Time): ReadonlySet<Parcel> {
    lane.renewAt = undefined;
    lane.renewedAt = now;
    const parcels = this.#parcels.get(lane.key) ?? new Set();
    this.#parcels.delete(lane.key);
    return parcels;
  }

  /** The parcel is over. */
  drop(parcel: Parcel): void {
    for (const [cache, parcels] of this.#parcels)
      if (parcels.delete(parcel) && parcels.size === 0) this.#parcels.delete(cache);
  }

  #suspect(cache: Hashname, parcel: Parcel): void {
    const parcels = this.#parcels.get(cache) ?? new Set();
    this.#parcels.set(cache, parcels.add(parcel));
  }
}

const SPREAD_MS = 30_000;
