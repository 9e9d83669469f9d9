/** A lane: one route to one peer, with its own back-off, queues and account of what lies there. protocol/mail.md §10 */
import { type Time, toHex } from "../bytes/index.ts";
import type { BazaarAddress } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { BITMAP_BYTES } from "./constants.ts";
import type { Copy, Parcel } from "./parcel.ts";
import { Ranges } from "./ranges.ts";
import { type Account, Repute } from "./repute.ts";
import { BAZAAR, type CacheOffer, type Route } from "./route.ts";

/** Which parts of a parcel the peer has. Not to be changed. */
export type Have = (parcel: Parcel) => Ranges;

/** One route and what goes over it. */
export interface Lane {
  readonly type: Route["type"];
  readonly key: Hashname;
  /** Of a cache; for the others only the shape, and for the bazaar its mark as `uri`. */
  offer: CacheOffer;
  /** Of the bazaar: where the peer is found there. */
  at?: BazaarAddress;
  up: boolean;
  failures: number;
  retryAt: Time | undefined;
  /** Its link went, since it came last. */
  wasDown: boolean;
  /** When what lies there is offered again, because it may be gone; and when it last was. */
  renewAt: Time | undefined;
  renewedAt: Time | undefined;
  /** The cache itself may have started anew, with what lay there in this life. */
  isDoubted: boolean;
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
  /** Of the link: how many parts may be handed over beyond the first that is not acknowledged. */
  window: number;
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
    isDoubted: false,
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

/** A lane by the bazaar, to a peer that is found there. */
export function bazaarLane(at: BazaarAddress): Lane {
  return { ...newLane("bazaar", { hashname: BAZAAR, uri: markOf(at), cap: BAZAAR_BYTES, store: "" }), at };
}

/** What tells the peer's present key there from one that it had before. */
export function markOf({ key }: BazaarAddress): string {
  return toHex(key.subarray(-MARK_BYTES));
}

/** What the lane to this peer stands for. */
export function routeOf({ type, key, offer, at }: Lane, peer: Hashname): Route {
  if (type === "cache") return { type, cache: key, uri: offer.uri };
  return type === "direct" ? { type, peer } : { type, peer, mark: offer.uri, ...(at && { at }) };
}

/** How long the link alone has the parcel. */
export function headStart({ of }: Parcel): number {
  return of === 1 ? HEAD_START_MS : FILE_HEAD_START_MS;
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
export function progressOf(lane: Lane, parcel: Parcel, have: Have): Progress {
  const known = lane.progress.get(parcel);
  if (known !== undefined) return known;
  const empty = { uri: lane.offer.uri, offered: new Ranges(), handed: new Ranges() };
  const copy = (lane.type === "direct" ? undefined : parcel.copies.get(lane.key)) ?? empty;
  const progress: Progress = { copy, flying: new Set(), weight: 0, withdrawn: new Ranges(), window: FIRST_WINDOW };
  lane.progress.set(parcel, progress);
  weigh(lane, parcel, progress, have);
  return progress;
}

/** Accounts anew for what lies there: all that was offered, or is about to be, and is not acknowledged. */
export function weigh(lane: Lane, parcel: Parcel, progress: Progress, have: Have): void {
  const { offered } = progress.copy;
  const there = offered.size - offered.common(have(parcel));
  const onTheWay = [...progress.flying].filter((part) => !offered.has(part));
  const weight = (there + onTheWay.length) * parcel.partBytes;
  lane.held += weight - progress.weight;
  progress.weight = weight;
}

/**
 * Before which part it ends what may be on the way now. What lies at caches is bounded by their room. A link takes anything and
 * throws away what its peer does not want, which is told only by silence: first few, then as many as one acknowledgement can name.
 * In the bazaar each part is dear, so few at all times.
 */
export function reach({ type }: Lane, { of }: Parcel, { window }: Progress, have: Ranges): number {
  if (type === "cache") return of;
  return Math.min(of, have.missing(0) + (type === "direct" ? window : PROBE_WINDOW));
}

/** The peer acknowledged more of it. */
export function widen(progress: Progress): void {
  progress.window = Math.min(progress.window * 2, LAST_WINDOW);
}

/** It did not for long: all that is not acknowledged may be gone. A few parts will tell. */
export function narrow(progress: Progress): void {
  progress.copy.handed = new Ranges();
  progress.window = PROBE_WINDOW;
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
const HEAD_START_MS = 2_000; // of the link over caches: time for one acknowledgement
const FILE_HEAD_START_MS = 30_000; // the recipient checks the digest of a file first
const FIRST_WINDOW = 64; // 1.75 MiB
const PROBE_WINDOW = 8; // as many as are in flight at once
const LAST_WINDOW: number = 8 * BITMAP_BYTES; // what an acknowledgement tells beyond the first that is missing
const MARK_BYTES = 8;
const BAZAAR_BYTES = 4 * 1024 * 1024; // of what is not acknowledged: thousands of texts
const TEXT_SHARE = 8; // DESIGN 5, constants: 1 MiB of the 8 MiB of a box are kept free for text
