/** A lane: one route to one peer, with its own back-off, queues and account of what lies there. protocol/mail.md §10 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { type Copy, numbers, type Parcel } from "./parcel.ts";
import { Ranges } from "./ranges.ts";
import { type Account, Repute } from "./repute.ts";
import type { CacheOffer, Route } from "./route.ts";

/** Which parts of a parcel the peer has. */
export type HasPart = (parcel: Parcel, part: number) => boolean;

/** One route and what goes over it. */
export interface Lane {
  readonly type: Route["type"];
  readonly key: Hashname;
  /** Of a cache; for the link to the peer itself only the shape. */
  offer: CacheOffer;
  up: boolean;
  failures: number;
  retryAt: Time | undefined;
  /** Its link went, since it came last. */
  wasDown: boolean;
  /** When what lies there is offered again, because it may be gone; and when it last was. */
  renewAt: Time | undefined;
  renewedAt: Time | undefined;
  /** One attempt before `retryAt`, for somebody who just pressed "send". */
  isProbe: boolean;
  flying: number;
  readonly texts: Set<Parcel>;
  readonly files: Set<Parcel>;
  readonly progress: Map<Parcel, Progress>;
  /** Bytes there that are not acknowledged. */
  held: number;
  /** Of the latest acknowledgement. */
  tell: "none" | "due" | "flying";
  readonly repute: Repute;
}

/** How far one parcel is on one lane. */
export interface Progress {
  /** In the parcel for a cache; for the link it lasts as long as the link. */
  readonly copy: Copy;
  readonly flying: Set<number>;
  /** Bytes it has in the lane's `held`. */
  weight: number;
  /** Parts taken back because they are acknowledged. */
  withdrawn: Ranges;
}

/** A lane on which nothing is on its way; `account`: what became of what was. */
export function newLane(type: Route["type"], offer: CacheOffer, account?: Account): Lane {
  return {
    type,
    key: offer.hashname,
    offer,
    up: false,
    failures: 0,
    retryAt: undefined,
    wasDown: false,
    renewAt: undefined,
    renewedAt: undefined,
    isProbe: false,
    flying: 0,
    texts: new Set(),
    files: new Set(),
    progress: new Map(),
    held: 0,
    tell: "none",
    repute: new Repute(account),
  };
}

/** What the lane stands for. */
export function routeOf({ type, key, offer }: Lane): Route {
  return type === "direct" ? { type, peer: key } : { type, cache: key, uri: offer.uri };
}

/** The queue of a parcel: texts do not wait for files. */
export function waiting(lane: Lane, parcel: Parcel): Set<Parcel> {
  return parcel.of === 1 ? lane.texts : lane.files;
}

/** Is anything waiting? */
export function hasWork(lane: Lane): boolean {
  return lane.tell === "due" || lane.texts.size > 0 || lane.files.size > 0;
}

/** How far the parcel is on the lane; from the start when it was not there before. */
export function progressOf(lane: Lane, parcel: Parcel, hasPart: HasPart): Progress {
  const known = lane.progress.get(parcel);
  if (known !== undefined) return known;
  const empty = { uri: lane.offer.uri, offered: new Ranges(), handed: new Ranges() };
  const copy = (lane.type === "cache" ? parcel.copies.get(lane.key) : undefined) ?? empty;
  const progress: Progress = { copy, flying: new Set(), weight: 0, withdrawn: new Ranges() };
  lane.progress.set(parcel, progress);
  weigh(lane, parcel, progress, hasPart);
  return progress;
}

/** Accounts anew for what lies there: all that was offered, or is about to be, and is not acknowledged. */
export function weigh(lane: Lane, parcel: Parcel, progress: Progress, hasPart: HasPart): void {
  const there = numbers(progress.copy.offered).filter((part) => !hasPart(parcel, part));
  const onTheWay = [...progress.flying].filter((part) => !progress.copy.offered.has(part));
  const weight = (there.length + onTheWay.length) * parcel.partBytes;
  lane.held += weight - progress.weight;
  progress.weight = weight;
}

/** Whether one more part of the parcel may lie there. In a full box the oldest go, and those are our own. */
export function hasRoom({ type, offer, held }: Lane, { of, partBytes }: Parcel): boolean {
  if (type === "direct") return true;
  const room = of === 1 ? offer.cap : offer.cap - offer.cap / TEXT_SHARE;
  return held + partBytes <= room || (held === 0 && partBytes <= offer.cap);
}

/** An attempt went well. */
export function succeeded(lane: Lane): void {
  lane.failures = 0;
  lane.retryAt = undefined;
}

/** An attempt did not: waits, each time longer, `chance` (0..1) of the way between 80 % and 120 %. False: nothing new. */
export function failed(lane: Lane, now: Time, chance: number): boolean {
  // Attempts that left together fail together, and a probe tells nothing new: that is one failure.
  if (lane.retryAt !== undefined && now < lane.retryAt) return false;
  const wait = BACK_OFF_MS[Math.min(lane.failures, BACK_OFF_MS.length - 1)] ?? 0;
  lane.failures++;
  lane.retryAt = now + Math.round(wait * (0.8 + 0.4 * chance));
  return true;
}

const BACK_OFF_MS = [30_000, 120_000, 600_000, 3_600_000, 10_800_000, 21_600_000];
const TEXT_SHARE = 8; // DESIGN 5, constants: 1 MiB of the 8 MiB of a box are kept free for text
