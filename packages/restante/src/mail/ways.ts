/**
 * Ways: the lanes to one peer, as its cards name them and its links come and go, and which of them a mail takes. Decides by what it is
 * told and sends nothing. protocol/mail.md §10, Routes
 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Care } from "./care.ts";
import type { DeliveryOptions, RankedCache } from "./delivery-contract.ts";
import { bazaarLane, type Lane, markOf, newLane } from "./lane.ts";
import type { Parcel } from "./parcel.ts";
import { BAZAAR, chooseCaches, type Destination, isFailing, onePerStore, rankCaches } from "./route.ts";

/** What another destination changed. */
export interface Turned {
  /** Nothing more goes there. Their queues are as they were. */
  readonly gone: readonly Lane[];
  /** The lane by the bazaar is another one, or there is none any more. */
  readonly isOtherBazaar: boolean;
}

/** The lanes to one peer. */
export class Ways {
  readonly #options: Pick<DeliveryOptions, "peer" | "reputes" | "copies" | "carrier">;
  readonly direct: Lane;
  /** In the recipient's order. */
  #caches: readonly Lane[] = [];
  #bazaar: Lane | undefined;
  /** The peer uses the bazaar, so it looks there. */
  #isMet = false;
  #mayReach = false;
  /** Links that are up, to the peer and to its caches. */
  readonly #up = new Set<Hashname>();

  constructor(options: Pick<DeliveryOptions, "peer" | "reputes" | "copies" | "carrier">) {
    this.#options = options;
    const { peer } = options;
    this.direct = newLane("direct", { hashname: peer, uri: "", cap: Number.POSITIVE_INFINITY, store: "" });
  }

  /** In the recipient's order. */
  get caches(): readonly Lane[] {
    return this.#caches;
  }

  /** `undefined`: the peer is not found there, or we do not use it. */
  get bazaar(): Lane | undefined {
    return this.#bazaar;
  }

  /** It has addresses of its own, so a link may come up by asking for it. */
  get mayReach(): boolean {
    return this.#mayReach;
  }

  /** Every lane, the link first. */
  all(): Lane[] {
    return [this.direct, ...this.kept()];
  }

  /** Where what is left waits for the peer. */
  kept(): readonly Lane[] {
    return this.#bazaar === undefined ? this.#caches : [...this.#caches, this.#bazaar];
  }

  /** The caches, the best first. */
  ranked(): RankedCache[] {
    return rankCaches(this.#caches).map(({ offer, up, failures, repute: { settled, delivered } }) => ({
      ...{ offer, up, failures, settled, delivered },
    }));
  }

  /** Where the peer is now. A lane that it still names keeps what it knows. */
  turn(to: Destination): Turned {
    const old = new Map(this.#caches.map((lane) => [lane.key, lane]));
    this.#caches = to.caches.map((offer) => {
      const { hashname } = offer;
      const lane = old.get(hashname) ?? newLane("cache", offer, this.#options.reputes?.get(hashname));
      lane.offer = offer;
      lane.up = this.#up.has(hashname);
      old.delete(hashname);
      return lane;
    });
    this.#mayReach = to.direct;
    const before = this.#bazaar;
    const isOtherBazaar = this.#turnBazaar(to);
    return { gone: [...old.values(), ...(isOtherBazaar && before ? [before] : [])], isOtherBazaar };
  }

  /** With another key it is another lane: whoever had the old one reads nothing there any more. */
  #turnBazaar({ bazaar }: Destination): boolean {
    const isUsed = bazaar !== undefined && this.#options.carrier !== undefined;
    if (isUsed && this.#bazaar?.offer.uri === markOf(bazaar)) {
      this.#bazaar.at = bazaar;
      return false;
    }
    this.#bazaar = isUsed ? bazaarLane(bazaar) : undefined;
    return true;
  }

  /** A link came or went, which counts for lanes that are named later, too. Gives its lane, unchanged; `undefined`: there is none. */
  link(peer: Hashname, up: boolean): Lane | undefined {
    if (up) this.#up.add(peer);
    else this.#up.delete(peer);
    return this.all().find(({ key }) => key === peer);
  }

  /** Something of the peer came by the bazaar. */
  met(): void {
    this.#isMet = true;
  }

  /** The direct lane is used while the link is up; without caches also to ask for one. */
  isUsable(lane: Lane): boolean {
    return lane.type !== "direct" || lane.up || (this.#mayReach && this.#caches.length === 0);
  }

  /** No link is up, and no cache works. */
  isBarred(): boolean {
    return !this.direct.up && this.#caches.every(isFailing);
  }

  /** Whether a mail is not at rest before the lane has it. */
  settles({ type }: Lane): boolean {
    if (this.#caches.length > 0) return type === "cache";
    return type === "bazaar" || this.#bazaar === undefined;
  }

  /** Where the parcel may lie besides the link: at the caches that are chosen for it, and in the bazaar. */
  away(parcel: Parcel, care: Care, now: Time): Lane[] {
    return [...this.#chosen(parcel), ...this.#carried(parcel, care, now)];
  }

  /** Offered twice and again without an answer: then what took it may have lost it, and one more cache has it each time. */
  #chosen(parcel: Parcel): Lane[] {
    const copies = (this.#options.copies ?? COPIES) + Math.max(0, parcel.offers - 1);
    return chooseCaches(this.#caches, ({ key }) => parcel.copies.has(key), copies);
  }

  /** The bazaar, for a parcel that may go by it; once it did it does. A large file is too dear for all who keep it there. */
  #carried(parcel: Parcel, { bazaarFrom }: Care, now: Time): Lane[] {
    if (this.#bazaar === undefined || parcel.of > BAZAAR_PARTS) return [];
    const isAlways = this.#options.carrier === "always" || parcel.offers > 0;
    const isBarred = now >= bazaarFrom && this.isBarred();
    const isWanted = isBarred || (parcel.of === 1 && isAlways) || parcel.copies.has(BAZAAR);
    return isWanted ? [this.#bazaar] : [];
  }

  /** Where an acknowledgement lies: at one cache of each failure domain, and in the bazaar where its peer looks there or nothing else works. */
  awayForTold(): Lane[] {
    const isWanted = this.#isMet || this.#options.carrier === "always" || this.isBarred();
    const carried = this.#bazaar !== undefined && isWanted ? [this.#bazaar] : [];
    return [...onePerStore(this.#caches), ...carried];
  }
}

const COPIES = 2; // DESIGN 5, constants: 2 caches
const BAZAAR_PARTS = 64; // 1.75 MiB
