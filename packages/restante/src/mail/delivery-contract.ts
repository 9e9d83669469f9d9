/** What goes into the delivery to one peer, and what comes out of it. */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { Have } from "./lane.ts";
import type { Parcel, Withdrawal } from "./parcel.ts";
import type { Account } from "./repute.ts";
import type { CacheOffer, CarrierUse, Destination, Route } from "./route.ts";
import type { ShownBy } from "./shown.ts";
import type { Slots } from "./slots.ts";

export type DeliveryIn =
  /** Its caches, keys or addresses may have changed. */
  | { type: "destination"; to: Destination }
  /** The link to the peer itself, or to one of its caches, came or went. */
  | { type: "link"; peer: Hashname; up: boolean }
  /** One of its caches started anew: what lay there may be gone. */
  | { type: "renewed"; peer: Hashname }
  /** A parcel to deliver: new, or open since before a restart. */
  | { type: "offer"; parcel: Parcel }
  /** Somebody sent something: a lane that waits tries it once before. */
  | { type: "press" }
  /** It is acknowledged or stopped: take its copies back. */
  | { type: "stop"; parcel: Parcel }
  /** The peer says by which caches our mail of the present epoch came. Before the `stop` of what it acknowledges. */
  | { type: "shown"; caches: readonly ShownBy[] }
  /** Some parts are acknowledged. `below`: the peer has the mail with this number of the epoch. */
  | { type: "progress"; below?: { readonly epoch: string; readonly seq: number } }
  /** The peer's store was restored: all that is open is offered again. */
  | { type: "restored" }
  /** Answer to `fetch`; `undefined`: the content is gone. */
  | { type: "sealed"; flight: number; bytes: Uint8Array | undefined }
  /** Answer to `deliver`. */
  | { type: "delivered"; flight: number; ok: boolean }
  /** Something of the peer came by the bazaar. */
  | { type: "met" }
  /** Our latest acknowledgement for the peer, sealed. */
  | { type: "tell"; bytes: Uint8Array; expires: Time }
  /** The peer is no longer one of ours. */
  | { type: "end" }
  | { type: "tick" };

export type DeliveryOut =
  /** Read and seal one part. */
  | { type: "fetch"; flight: number; parcel: Parcel; part: number }
  /** `message`: its id in our box for the peer; absent over a link. */
  | { type: "deliver"; flight: number; route: Route; message?: string; bytes: Uint8Array; expires: Time }
  | Withdrawal
  /** The durable half of the parcel is another: save it before anything that follows. */
  | { type: "changed"; parcel: Parcel }
  /** All parts not yet acknowledged went by this route. */
  | { type: "handed"; parcel: Parcel; route: Route }
  /** A part of it was taken somewhere, or acknowledged. */
  | { type: "went"; parcel: Parcel }
  /** The content of the parcel cannot be read or sealed. */
  | { type: "lost"; parcel: Parcel }
  /** What has no hello was offered again for more than a day, and nothing came of it. */
  | { type: "unanswered" }
  /** The latest acknowledgement was handed over somewhere. */
  | { type: "told" }
  /** Which acknowledgements lie where: save before anything that follows. */
  | { type: "told-state"; told: ReadonlyMap<Hashname, Told> }
  /** What became of mail at each cache is worth saving. */
  | { type: "reputes"; reputes: ReadonlyMap<Hashname, Account> };

/** Our acknowledgements at one cache of the peer: message ids, the newest last. */
export interface Told {
  readonly uri: string;
  readonly ids: readonly string[];
}

export interface DeliveryOptions {
  readonly peer: Hashname;
  readonly slots: Slots;
  /** Numbers for flights, unique in the whole `Mail`. */
  readonly flights: () => number;
  /** 0..1, to spread retries. */
  readonly chance: () => number;
  /** What the peer acknowledged. */
  readonly have: Have;
  /** What it acknowledged of the parcel's parts is not `have` any more, until it does so again. */
  readonly forget: (parcel: Parcel) => void;
  /** Id of a sealed message in our box for the peer. */
  readonly messageId: (bytes: Uint8Array) => string;
  readonly told: ReadonlyMap<Hashname, Told>;
  /** What became of mail at each cache before. */
  readonly reputes?: ReadonlyMap<Hashname, Account>;
  /** At how many caches a mail lies, if none fails. Default: 2. */
  readonly copies?: number;
  /** How many parcels of one part no way has taken, at most; of several parts a sixteenth. Default: 256. */
  readonly window?: number;
  /** When the bazaar is used, if the peer is found there. Absent: never. */
  readonly carrier?: CarrierUse;
}

/** A cache of the peer, as mail goes there. */
export interface RankedCache extends Account {
  readonly offer: CacheOffer;
  readonly up: boolean;
  /** Failed attempts since the last good one. */
  readonly failures: number;
}
