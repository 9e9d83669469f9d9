/**
 * Delivery: everything on its way to one peer. Each route to it is a lane with its own back-off, its own few parts in
 * flight and its own account of what lies there; a text never waits behind a file. protocol/mail.md §10
 */
import { Deadlines, type Machine, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { type Care, Cares, stallWait } from "./care.ts";
import { clear, forgetIds } from "./clearing.ts";
import type { DeliveryIn, DeliveryOptions, DeliveryOut, RankedCache } from "./delivery-contract.ts";
import { Doubts } from "./doubts.ts";
import { departure, type Flight, Flights } from "./flights.ts";
import {
  failed,
  hasRoom,
  hasWork,
  headStart,
  type Lane,
  narrow,
  type Progress,
  progressOf,
  reach,
  routeOf,
  succeeded,
  waiting,
  weigh,
  widen,
} from "./lane.ts";
import type { LineKind } from "./lines.ts";
import { addPart, moved, nextAgain, nextPart, type Parcel, takeBack, takenBack } from "./parcel.ts";
import { Ranges } from "./ranges.ts";
import type { Destination, Route } from "./route.ts";
import { Telling } from "./telling.ts";
import { accountsOf, hear, judge } from "./verdicts.ts";
import { Ways } from "./ways.ts";

export type { DeliveryIn, DeliveryOptions, DeliveryOut, RankedCache, Told } from "./delivery-contract.ts";

/** Delivery of parcels and acknowledgements to one peer. */
export class Delivery implements Machine<DeliveryIn, DeliveryOut> {
  readonly #options: DeliveryOptions;
  readonly #ways: Ways;
  readonly #flights: Flights;
  readonly #telling: Telling;
  readonly #doubts: Doubts;
  /** Open parcels that are looked after. */
  readonly #parcels: Cares;
  /** Those of them with several parts, and how many of these were acknowledged when that was looked at last. */
  readonly #files = new Map<Parcel, number>();
  readonly #deadlines = new Deadlines<Lane | Parcel>();
  #out: DeliveryOut[] = [];

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#ways = new Ways(options);
    this.#flights = new Flights(options);
    this.#doubts = new Doubts(options.chance);
    this.#parcels = new Cares(options.window);
    const { peer, messageId, told } = options;
    const put = (out: DeliveryOut): void => {
      this.#out.push(out);
    };
    this.#telling = new Telling({ peer, messageId, told, ways: this.#ways, flights: this.#flights, put });
  }

  handle(input: DeliveryIn, now: Time): DeliveryOut[] {
    this.#take(input, now);
    for (const lane of this.#ways.all()) this.#fill(lane, now);
    const out = this.#out;
    this.#out = []; // what has left is not kept until the next turn
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  #take(input: DeliveryIn, now: Time): void {
    switch (input.type) {
      case "destination":
        this.#setDestination(input.to, now);
        return;
      case "link":
        this.#link(input.peer, input.up, now);
        return;
      case "renewed":
        this.#renewed(input.peer, now);
        return;
      case "press":
        this.#press();
        return;
      case "offer":
        this.#offer(input.parcel, now);
        return;
      case "stop":
        this.#stop(input.parcel, now);
        return;
      case "shown":
        if (hear(this.#ways.caches, input.caches)) this.#saveReputes();
        return;
      case "progress":
        this.#weighFiles(now);
        if (input.below !== undefined) this.#heal(input.below, now);
        return;
      case "restored":
        for (const parcel of this.#parcels.parcels()) this.#again(parcel, now);
        return;
      case "sealed":
        this.#sealed(input.flight, input.bytes, now);
        return;
      case "delivered":
        this.#delivered(input.flight, input.ok, now);
        return;
      case "met":
        this.#ways.met();
        return;
      case "tell":
        this.#telling.tell(input.bytes, input.expires);
        return;
      case "end":
        this.#flights.end();
        for (const parcel of [...this.#parcels.parcels()]) this.#stop(parcel, now);
        this.#telling.end();
        return;
      case "tick":
        for (const key of this.#deadlines.due(now))
          if ("seq" in key) this.#wake(key, now);
          else if (key.renewAt !== undefined && key.renewAt <= now) this.#renew(key, now);
    }
  }

  /** How many parts some route has taken, or the peer has. */
  went(parcel: Parcel): number {
    const have = this.#options.have(parcel);
    const handed = this.#ways.all().map((lane) => lane.progress.get(parcel)?.copy.handed ?? have);
    return Math.max(...handed.map((parts) => parts.size + have.size - parts.common(have)));
  }

  /** How many more parcels may be offered. So what happens to routes is no work for all that is queued. */
  room(kind: LineKind): number {
    return this.#parcels.room(kind);
  }

  /** The peer's caches, the best first. */
  caches(): RankedCache[] {
    return this.#ways.ranked();
  }

  // --- where to ---

  #setDestination(to: Destination, now: Time): void {
    const { gone, isOtherBazaar } = this.#ways.turn(to);
    // What lies at a cache that is no longer named is taken back when the parcel ends; nothing more goes there.
    for (const lane of gone) {
      this.#deadlines.set(lane, undefined);
      lane.progress.clear();
    }
    for (const lane of this.#ways.caches) if (lane.up) this.#doubts.schedule(lane, RENEWED_MS, now);
    if (isOtherBazaar) {
      for (const parcel of this.#parcels.parcels()) this.#moveOver(parcel);
      this.#telling.move();
    }
    for (const parcel of this.#parcels.parcels()) this.#place(parcel, now);
    this.#telling.spread();
  }

  /** What was left in the bazaar for a key that the peer no longer has is taken back; it goes anew. */
  #moveOver(parcel: Parcel): void {
    const { bazaar } = this.#ways;
    const out = bazaar === undefined ? [] : moved(parcel, bazaar.offer.uri);
    if (out.length > 0) this.#out.push(...out, { type: "changed", parcel });
  }

  #link(peer: Hashname, up: boolean, now: Time): void {
    const lane = this.#ways.link(peer, up);
    if (lane === undefined) return;
    if (!up && lane.up) lane.wasDown = true;
    // It may have been away because it started anew: one that crashed cannot say so.
    if (up && lane.wasDown && lane.type === "cache") this.#doubt(lane, LINK_AGAIN_MS, now);
    else if (up) this.#doubts.schedule(lane, RENEWED_MS, now);
    if (up) lane.wasDown = false;
    lane.up = up;
    if (up) {
      lane.failures = 0;
      lane.retryAt = undefined;
    }
    if (lane.type === "direct") {
      // A link that went took along what was handed over but not acknowledged, for all that we know.
      lane.progress.clear();
      lane.held = 0;
      lane.texts.clear();
      lane.files.clear();
      if (lane.tell === "due") lane.tell = "none";
      for (const [parcel, waits] of this.#parcels) {
        waits.cachesFrom = up ? now + headStart(parcel) : now;
        this.#place(parcel, now);
      }
    }
    this.#telling.spread();
  }

  // --- parcels ---

  #offer(parcel: Parcel, now: Time): void {
    if (parcel.state !== "open" || this.#parcels.has(parcel)) return;
    this.#carry(parcel, now);
    if (parcel.copies.size > 0) {
      this.#doubts.missed(parcel);
      for (const lane of this.#ways.caches) if (lane.up) this.#doubts.schedule(lane, RENEWED_MS, now);
    }
    this.#press();
  }

  /** One attempt at once for somebody who just pressed "send". */
  #press(): void {
    for (const lane of this.#ways.all()) if (lane.texts.size + lane.files.size > 0) lane.isProbe = true;
  }

  #carry(parcel: Parcel, now: Time): void {
    // Saved by a clock that was ahead, it could be later than the mail lives.
    if (parcel.offerAt !== undefined) parcel.offerAt = Math.min(parcel.offerAt, now + OFFER_DAILY_MS);
    const cachesFrom = this.#ways.direct.up ? now + headStart(parcel) : now;
    const bazaarFrom = this.#ways.mayReach ? now + REACH_MS : now;
    this.#parcels.add(parcel, cachesFrom, bazaarFrom);
    if (parcel.of > 1) this.#files.set(parcel, 0);
    this.#moveOver(parcel);
    this.#place(parcel, now);
  }

  /** Puts the parcel into the queue of each lane that should have it and does not; sets its next time. */
  #place(parcel: Parcel, now: Time): void {
    const waits = this.#parcels.get(parcel);
    if (waits === undefined) return;
    const have = this.#options.have(parcel);
    const ways = this.#ways;
    const lanes = ways.isUsable(ways.direct) ? [ways.direct] : [];
    const cachesWait = ways.direct.up && now < waits.cachesFrom && ways.kept().length > 0;
    if (!cachesWait && !parcel.linkOnly) lanes.push(...ways.away(parcel, waits, now));
    for (const lane of ways.kept()) if (!lanes.includes(lane)) waiting(lane, parcel).delete(parcel);
    let open = false;
    // What waits for a link may wait for days: nothing else waits behind it.
    let isBare = !parcel.linkOnly;
    for (const lane of lanes) {
      const { copy } = progressOf(lane, parcel, this.#options.have);
      const isOpen = nextPart(copy.handed, have, NOT_FLYING, parcel.of) !== undefined;
      if (isOpen) waiting(lane, parcel).add(parcel);
      else waiting(lane, parcel).delete(parcel);
      isBare &&= isOpen;
      // The link alone settles nothing: while it is up, caches are only spared as long as it makes progress.
      open ||= isOpen && (ways.settles(lane) || parcel.linkOnly === true);
    }
    this.#parcels.setBare(parcel, waits, isBare);
    const isPlaced = !cachesWait && !open && lanes.length > 0;
    if (!isPlaced) waits.placedAt = undefined;
    else waits.placedAt ??= now;
    if (isPlaced && parcel.offerAt === undefined) {
      parcel.offerAt = now + (parcel.offers === 0 ? OFFER_AGAIN_MS : OFFER_DAILY_MS);
      this.#out.push({ type: "changed", parcel });
    }
    this.#watch(parcel, waits, now);
    const next = earliest(cachesWait ? waits.cachesFrom : parcel.offerAt, waits.stallsAt);
    const isHeld = now < waits.bazaarFrom && ways.bazaar !== undefined && ways.isBarred();
    this.#deadlines.set(parcel, isHeld ? earliest(next, waits.bazaarFrom) : next);
  }

  /** Nothing more of a file may go over the link until its peer acknowledges some: a while later it is tried again. */
  #watch(parcel: Parcel, waits: Care, now: Time): void {
    const { direct } = this.#ways;
    const isResting = direct.progress.get(parcel)?.flying.size === 0;
    const isStalled = parcel.of > 1 && direct.up && isResting && this.#next(direct, parcel) === undefined;
    if (!isStalled) waits.stallsAt = undefined;
    else waits.stallsAt ??= now + stallWait(waits);
  }

  /** What goes next on the lane, if there is room for it. */
  #next(lane: Lane, parcel: Parcel): number | undefined {
    const have = this.#options.have(parcel);
    const progress = progressOf(lane, parcel, this.#options.have);
    return nextPart(progress.copy.handed, have, progress.flying, reach(lane, parcel, progress, have));
  }

  #wake(parcel: Parcel, now: Time): void {
    const waits = this.#parcels.get(parcel);
    const progress = this.#ways.direct.progress.get(parcel);
    if (waits?.stallsAt !== undefined && waits.stallsAt <= now && progress !== undefined) {
      waits.stallsAt = undefined;
      waits.stalls++;
      narrow(progress);
    }
    if (parcel.offerAt === undefined || parcel.offerAt > now) return this.#place(parcel, now);
    if (parcel.offers > 0) this.#disbelieve(parcel);
    this.#again(parcel, now);
    if (parcel.offers >= UNANSWERED && !parcel.hello) this.#out.push({ type: "unanswered" });
  }

  /** A day at rest, and not whole: the peer's disk went back, for all that we know, and parts that it had told of are gone. */
  #disbelieve(parcel: Parcel): void {
    const have = this.#options.have(parcel);
    if (have.size === 0) return;
    this.#options.forget(parcel);
    this.#files.set(parcel, 0);
    takenBack(parcel, have);
    for (const lane of this.#ways.kept()) {
      const progress = lane.progress.get(parcel);
      if (progress !== undefined) weigh(lane, parcel, progress, this.#options.have);
    }
  }

  /** Everything once more: heals a cache that lost it; where it still lies, the same bytes change nothing (X31). */
  #again(parcel: Parcel, now: Time): void {
    if (parcel.offerAt !== undefined) parcel.offers++;
    parcel.offerAt = undefined;
    for (const lane of this.#ways.all()) {
      const progress = lane.progress.get(parcel);
      if (progress === undefined) continue;
      progress.copy.handed = new Ranges();
      progress.withdrawn = new Ranges();
    }
    this.#out.push({ type: "changed", parcel });
    this.#place(parcel, now);
  }

  /**
   * The peer has a later mail, and this one not: whatever took it has lost it. (Or it is slow: the same once more does no
   * harm.) In the order of numbers, as far as they were offered in it.
   */
  #heal({ epoch, seq }: { readonly epoch: string; readonly seq: number }, now: Time): void {
    for (const [parcel, { placedAt }] of this.#parcels) {
      if (parcel.seq >= seq && parcel.epoch === epoch) return;
      if (parcel.epoch !== epoch || placedAt === undefined || parcel.offerAt === undefined) continue;
      const wait = HEAL_MS[Math.min(parcel.offers + Number(parcel.of > 1), HEAL_MS.length - 1)] ?? 0;
      parcel.offerAt = Math.min(parcel.offerAt, placedAt + wait);
      if (parcel.offerAt <= now) this.#again(parcel, now);
      else this.#deadlines.set(parcel, parcel.offerAt);
    }
  }

  #renewed(cache: Hashname, now: Time): void {
    const lane = this.#ways.caches.find(({ key }) => key === cache);
    if (lane !== undefined) this.#doubt(lane, RENEWED_MS, now);
  }

  /** What lies at this cache now may be gone. */
  #doubt(lane: Lane, atMostEach: number, now: Time): void {
    this.#doubts.raise(lane, (parcel) => this.#parcels.has(parcel), atMostEach, now);
  }

  /** What is in doubt is left there again. */
  #renew(lane: Lane, now: Time): void {
    for (const parcel of this.#doubts.settle(lane, now)) {
      const progress = lane.progress.get(parcel);
      if (progress === undefined || progress.copy.handed.count === 0) continue;
      progress.copy.handed = new Ranges();
      progress.withdrawn = new Ranges();
      this.#place(parcel, now);
    }
    if (!lane.isDoubted) return;
    lane.isDoubted = false;
    this.#telling.again(lane);
  }

  #stop(parcel: Parcel, now: Time): void {
    if (!this.#parcels.has(parcel)) return; // behind: nobody has anything of it
    this.#parcels.delete(parcel);
    if (judge(this.#ways.caches, parcel, now)) this.#saveReputes();
    this.#files.delete(parcel);
    this.#doubts.drop(parcel);
    this.#deadlines.set(parcel, undefined);
    for (const lane of this.#ways.all()) {
      const progress = lane.progress.get(parcel);
      if (progress === undefined) continue;
      lane.progress.delete(parcel);
      waiting(lane, parcel).delete(parcel);
      lane.held -= progress.weight;
    }
    for (const out of takeBack(parcel)) this.#out.push(out);
  }

  #saveReputes(): void {
    this.#out.push({ type: "reputes", reputes: accountsOf(this.#ways.caches) });
  }

  /** Acknowledged parts of files make room, and should make it at the cache too: there the oldest would go first. */
  #weighFiles(now: Time): void {
    for (const [parcel, before] of this.#files) {
      const have = this.#options.have(parcel);
      forgetIds(this.#ways.kept(), parcel, have);
      for (const lane of this.#ways.kept()) {
        const ids = clear(lane, parcel, this.#options.have);
        if (ids.length > 0)
          this.#out.push({ type: "withdraw", to: this.#options.peer, route: this.#routeOf(lane), ids });
      }
      if (have.size > before) this.#progressed(parcel, have.size);
      this.#place(parcel, now);
    }
  }

  #progressed(parcel: Parcel, size: number): void {
    this.#files.set(parcel, size);
    const waits = this.#parcels.get(parcel);
    const progress = this.#ways.direct.progress.get(parcel);
    if (progress !== undefined) widen(progress);
    if (waits !== undefined) Object.assign(waits, { stalls: 0, stallsAt: undefined });
    this.#out.push({ type: "went", parcel });
  }

  // --- lanes ---

  /** Starts what may start on a lane. */
  #fill(lane: Lane, now: Time): void {
    const { slots, peer } = this.#options;
    while (hasWork(lane) && this.#ways.isUsable(lane) && this.#isReady(lane, now) && slots.has(peer)) {
      if (lane.tell === "due") this.#telling.fly(lane);
      else if (!this.#flyNext(lane)) break;
    }
    lane.isProbe = false;
    const waits = lane.flying === 0 && lane.retryAt !== undefined && lane.retryAt > now;
    const retryAt = waits && this.#ways.isUsable(lane) && hasWork(lane) ? lane.retryAt : undefined;
    this.#deadlines.set(lane, earliest(retryAt, lane.renewAt));
  }

  /** A lane that failed gets one attempt at a time until one succeeds. */
  #isReady(lane: Lane, now: Time): boolean {
    if (lane.failures === 0) return lane.flying < IN_FLIGHT;
    return lane.flying === 0 && (lane.isProbe || lane.retryAt === undefined || lane.retryAt <= now);
  }

  #flyNext(lane: Lane): boolean {
    const { slots, have, peer } = this.#options;
    const mayFile = lane.files.size > 0 && lane.flying < IN_FLIGHT - 1 && slots.hasForFile(peer);
    for (const queue of mayFile ? [lane.texts, lane.files] : [lane.texts]) {
      for (const parcel of queue) {
        const progress = progressOf(lane, parcel, have);
        const next = this.#next(lane, parcel);
        if (next === undefined) continue; // all of it is on the way, or as much as may be
        const isFit = progress.copy.offered.has(next) || hasRoom(lane, parcel);
        const part = isFit ? next : nextAgain(progress.copy, have(parcel), progress.flying);
        if (part === undefined) {
          if (parcel.partBytes <= SMALL_BYTES) break; // then nothing else fits either
          continue;
        }
        this.#fly(lane, parcel, progress, part);
        return true;
      }
    }
    return false;
  }

  #fly(lane: Lane, parcel: Parcel, progress: Progress, part: number): void {
    progress.flying.add(part);
    weigh(lane, parcel, progress, this.#options.have);
    const flight = this.#flights.launch({ lane, parcel, part, id: undefined });
    this.#out.push({ type: "fetch", flight, parcel, part });
  }

  #sealed(number: number, bytes: Uint8Array | undefined, now: Time): void {
    const flight = this.#flights.get(number);
    const parcel = flight?.parcel;
    if (flight === undefined || parcel === undefined) return;
    const { lane, part } = flight;
    const progress = lane.progress.get(parcel);
    const isWanted = progress !== undefined && !this.#options.have(parcel).has(part) && this.#ways.isUsable(lane);
    if (bytes === undefined || !isWanted) {
      this.#flights.land(number);
      if (progress !== undefined && bytes === undefined) this.#out.push({ type: "lost", parcel });
      else this.#place(parcel, now);
      return;
    }
    if (lane.type !== "direct") {
      const id = this.#options.messageId(bytes);
      flight.id = id;
      const isNew = !progress.copy.offered.has(part) || parcel.ids.get(part) !== id;
      parcel.copies.set(lane.key, progress.copy);
      parcel.ids.set(part, id);
      addPart(progress.copy.offered, part);
      // Durable before it leaves: whatever may lie at a cache can be taken back, even after a crash.
      if (isNew) this.#out.push({ type: "changed", parcel });
    }
    const { peer } = this.#options;
    this.#out.push(departure(flight, { flight: number, peer, bytes, expires: parcel.expires }));
  }

  #routeOf(lane: Lane): Route {
    return routeOf(lane, this.#options.peer);
  }

  #delivered(number: number, ok: boolean, now: Time): void {
    const flight = this.#flights.land(number);
    if (flight === undefined) return;
    const { lane, parcel } = flight;
    if (ok) succeeded(lane);
    // From the second failure on, other caches step in.
    else if (failed(lane, now, this.#options.chance()) && lane.failures >= 2)
      for (const waits of [...lane.texts, ...lane.files]) this.#place(waits, now);
    if (parcel === undefined && lane.type === "bazaar" && lane !== this.#ways.bazaar) return; // its peer has another key
    if (parcel === undefined) this.#telling.landed(lane, flight.id, ok, now);
    else if (lane.progress.has(parcel)) this.#partResult(flight, parcel, ok, now);
    else if (lane.type !== "direct" && flight.id !== undefined)
      this.#out.push({ type: "withdraw", to: this.#options.peer, route: this.#routeOf(lane), ids: [flight.id] }); // stopped while it was on its way
  }

  #partResult({ lane, part }: Flight, parcel: Parcel, ok: boolean, now: Time): void {
    const { copy } = progressOf(lane, parcel, this.#options.have);
    const waits = this.#parcels.get(parcel);
    if (!ok || waits === undefined) {
      this.#place(parcel, now);
      return;
    }
    addPart(copy.handed, part);
    if (parcel.of > 1) this.#out.push({ type: "went", parcel });
    // Caches are spared for as long as the link makes progress; once they were needed they stay.
    if (lane.type === "direct" && now < waits.cachesFrom) waits.cachesFrom = now + headStart(parcel);
    this.#place(parcel, now);
    if (nextPart(copy.handed, this.#options.have(parcel), NOT_FLYING, parcel.of) !== undefined) return;
    if (lane.type !== "direct") this.#out.push({ type: "changed", parcel });
    this.#out.push({ type: "handed", parcel, route: this.#routeOf(lane) });
  }
}

function earliest(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

const NOT_FLYING: ReadonlySet<number> = new Set();
const IN_FLIGHT = 8; // per lane
const REACH_MS = 10_000; // of a link that is being made, over the bazaar
const UNANSWERED = 2; // times offered again: after 30 hours at caches
const OFFER_AGAIN_MS = 6 * 3_600_000;
const OFFER_DAILY_MS = 24 * 3_600_000;
const HEAL_MS = [60_000, 600_000, 3_600_000, OFFER_AGAIN_MS]; // by how often it was offered again; a file takes longer to fetch
const RENEWED_MS = 600_000; // however often a cache starts anew
const LINK_AGAIN_MS = 3_600_000; // most links that went and came again broke for other reasons
const SMALL_BYTES = 2048; // hardly any part is smaller
