/**
 * Delivery: everything on its way to one peer. Each route to it is a lane with its own back-off, its own few parts in
 * flight and its own account of what lies there; a text never waits behind a file. protocol/mail.md §10
 */
import { assert, Deadlines, type Machine, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Backlog } from "./backlog.ts";
import {
  failed,
  type HasPart,
  hasRoom,
  hasWork,
  type Lane,
  newLane,
  type Progress,
  progressOf,
  routeOf,
  succeeded,
  waiting,
  weigh,
} from "./lane.ts";
import { addPart, nextPart, numbers, type Parcel, takeBack, type Withdrawal } from "./parcel.ts";
import { Ranges } from "./ranges.ts";
import { type Account, score } from "./repute.ts";
import { type CacheOffer, chooseCaches, type Destination, onePerStore, type Route, rankCaches } from "./route.ts";
import { cacheName, type ShownBy } from "./shown.ts";
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
  /** Our latest acknowledgement for the peer, sealed. */
  | { type: "tell"; bytes: Uint8Array; expires: Time }
  /** The peer is no longer one of ours. */
  | { type: "end" }
  | { type: "tick" };

export type DeliveryOut =
  /** Read and seal one part. */
  | { type: "fetch"; flight: number; parcel: Parcel; part: number }
  | { type: "deliver"; flight: number; route: Route; bytes: Uint8Array; expires: Time }
  | Withdrawal
  /** The durable half of the parcel is another: save it before anything that follows. */
  | { type: "changed"; parcel: Parcel }
  /** All parts not yet acknowledged went by this route. */
  | { type: "handed"; parcel: Parcel; route: Route }
  /** The content of the parcel cannot be read or sealed. */
  | { type: "lost"; parcel: Parcel }
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
  /** Did the peer acknowledge this part? */
  readonly hasPart: HasPart;
  /** Id of a sealed message in our box for the peer. */
  readonly messageId: (bytes: Uint8Array) => string;
  readonly told: ReadonlyMap<Hashname, Told>;
  /** What became of mail at each cache before. */
  readonly reputes?: ReadonlyMap<Hashname, Account>;
  /** At how many caches a mail lies, if none fails. Default: 2. */
  readonly copies?: number;
}

/** A cache of the peer, as mail goes there. */
export interface RankedCache extends Account {
  readonly offer: CacheOffer;
  readonly up: boolean;
  /** Failed attempts since the last good one. */
  readonly failures: number;
}

/** What is known of an open parcel until the next restart. */
interface Care {
  /** When caches may have it: the link has a head start. */
  cachesFrom: Time;
  /** No route has all of it. */
  isBare: boolean;
  /** When all of it lay at every cache that was chosen. */
  placedAt: Time | undefined;
}

interface Flight {
  readonly lane: Lane;
  /** `undefined`: an acknowledgement. */
  readonly parcel: Parcel | undefined;
  readonly part: number;
  id: string | undefined;
}

/** Delivery of parcels and acknowledgements to one peer. */
export class Delivery implements Machine<DeliveryIn, DeliveryOut> {
  readonly #options: DeliveryOptions;
  #direct: Lane;
  /** In the recipient's order. */
  #caches: Lane[] = [];
  #mayReach = false;
  /** Links that are up, to the peer and to its caches. */
  readonly #up = new Set<Hashname>();
  /** Open parcels that are looked after. */
  readonly #parcels = new Map<Parcel, Care>();
  /** Of how many of them no route has all, texts and files. */
  readonly #bare = { text: 0, file: 0 };
  /** Those behind: nobody has anything of them, and they cost nothing until it is their turn. */
  readonly #backlog = { text: new Backlog(), file: new Backlog() };
  /** Those of them with several parts. */
  readonly #files = new Set<Parcel>();
  readonly #flights = new Map<number, Flight>();
  readonly #deadlines = new Deadlines<Lane | Parcel>();
  readonly #told: Map<Hashname, Told>;
  #acknowledgement: { bytes: Uint8Array; id: string; expires: Time; isHanded: boolean } | undefined;
  #out: DeliveryOut[] = [];

  constructor(options: DeliveryOptions) {
    this.#options = options;
    this.#told = new Map(options.told);
    const { peer } = options;
    this.#direct = newLane("direct", { hashname: peer, uri: "", cap: Number.POSITIVE_INFINITY, store: "" });
  }

  handle(input: DeliveryIn, now: Time): DeliveryOut[] {
    this.#take(input, now);
    this.#advance(now);
    for (const lane of this.#lanes()) this.#fill(lane, now);
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
        this.#doubt(
          this.#caches.find(({ key }) => key === input.peer),
          RENEWED_MS,
          now,
        );
        return;
      case "offer":
        this.#offer(input.parcel, now);
        return;
      case "stop":
        this.#stop(input.parcel, now);
        return;
      case "shown":
        this.#shown(input.caches);
        return;
      case "progress":
        this.#weighFiles(now);
        if (input.below !== undefined) this.#heal(input.below, now);
        return;
      case "restored":
        for (const parcel of this.#parcels.keys()) this.#again(parcel, now);
        return;
      case "sealed":
        this.#sealed(input.flight, input.bytes, now);
        return;
      case "delivered":
        this.#delivered(input.flight, input.ok, now);
        return;
      case "tell":
        this.#tell(input.bytes, input.expires);
        return;
      case "end":
        for (const number of [...this.#flights.keys()]) this.#land(number);
        for (const backlog of [this.#backlog.text, this.#backlog.file]) backlog.clear();
        for (const parcel of [...this.#parcels.keys()]) this.#stop(parcel, now);
        for (const lane of this.#lanes()) lane.tell = "none";
        this.#acknowledgement = undefined;
        return;
      case "tick":
        for (const key of this.#deadlines.due(now))
          if ("seq" in key) this.#wake(key, now);
          else if (key.renewAt !== undefined && key.renewAt <= now) this.#renew(key, now);
    }
  }

  #lanes(): Lane[] {
    return [this.#direct, ...this.#caches];
  }

  /** The peer's caches, the best first. */
  caches(): RankedCache[] {
    return rankCaches(this.#caches).map(({ offer, up, failures, repute: { settled, delivered } }) => ({
      ...{ offer, up, failures, settled, delivered },
    }));
  }

  // --- where to ---

  #setDestination(to: Destination, now: Time): void {
    const old = new Map(this.#caches.map((lane) => [lane.key, lane]));
    this.#caches = to.caches.map((offer) => {
      const { hashname } = offer;
      const lane = old.get(hashname) ?? newLane("cache", offer, this.#options.reputes?.get(hashname));
      lane.offer = offer;
      lane.up = this.#up.has(offer.hashname);
      old.delete(offer.hashname);
      return lane;
    });
    // What lies at a cache that is no longer named is taken back when the parcel ends; nothing more goes there.
    for (const lane of old.values()) {
      this.#deadlines.set(lane, undefined);
      lane.progress.clear();
    }
    this.#mayReach = to.direct;
    for (const parcel of this.#parcels.keys()) this.#place(parcel, now);
    this.#spreadAcknowledgement();
  }

  #link(peer: Hashname, up: boolean, now: Time): void {
    if (up) this.#up.add(peer);
    else this.#up.delete(peer);
    const lane = this.#lanes().find(({ key }) => key === peer);
    if (lane === undefined) return;
    if (!up && lane.up) lane.wasDown = true;
    // It may have been away because it started anew: one that crashed cannot say so.
    if (up && lane.wasDown && lane.type === "cache") this.#doubt(lane, LINK_AGAIN_MS, now);
    if (up) lane.wasDown = false;
    lane.up = up;
    if (up) {
      lane.failures = 0;
      lane.retryAt = undefined;
    }
    if (lane === this.#direct) {
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
    this.#spreadAcknowledgement();
  }

  /** The direct lane is used while the link is up; without caches also to ask for one. */
  #isUsable(lane: Lane): boolean {
    return lane.type === "cache" || lane.up || (this.#mayReach && this.#caches.length === 0);
  }

  // --- parcels ---

  #offer(parcel: Parcel, now: Time): void {
    if (parcel.state !== "open" || this.#parcels.has(parcel)) return;
    // What may lie somewhere is looked after from the first on: it may have to be taken back, or offered again.
    if (parcel.copies.size > 0) this.#carry(parcel, now);
    else this.#backlog[kindOf(parcel)].push(parcel);
    this.#advance(now);
    for (const lane of this.#lanes()) if (lane.texts.size + lane.files.size > 0) lane.isProbe = true;
  }

  /** Takes up as many of those behind as there may be. So what happens to routes is no work for all that is queued. */
  #advance(now: Time): void {
    for (const kind of ["text", "file"] as const) {
      while (this.#bare[kind] < WINDOW[kind] && this.#parcels.size < CARRIED) {
        const parcel = this.#backlog[kind].take();
        if (parcel === undefined) break;
        this.#carry(parcel, now);
      }
    }
  }

  #carry(parcel: Parcel, now: Time): void {
    // Saved by a clock that was ahead, it could be later than the mail lives.
    if (parcel.offerAt !== undefined) parcel.offerAt = Math.min(parcel.offerAt, now + OFFER_DAILY_MS);
    const cachesFrom = this.#direct.up ? now + headStart(parcel) : now;
    this.#parcels.set(parcel, { cachesFrom, isBare: true, placedAt: undefined });
    this.#bare[kindOf(parcel)]++;
    if (parcel.of > 1) this.#files.add(parcel);
    this.#place(parcel, now);
  }

  /** Puts the parcel into the queue of each lane that should have it and does not; sets its next time. */
  #place(parcel: Parcel, now: Time): void {
    const waits = this.#parcels.get(parcel);
    if (waits === undefined) return;
    const lanes = this.#isUsable(this.#direct) ? [this.#direct] : [];
    const cachesWait = this.#direct.up && now < waits.cachesFrom && this.#caches.length > 0;
    if (!cachesWait) lanes.push(...this.#chosen(parcel));
    for (const lane of this.#caches) if (!lanes.includes(lane)) waiting(lane, parcel).delete(parcel);
    let open = false;
    let isBare = true;
    for (const lane of lanes) {
      const { copy } = progressOf(lane, parcel, this.#options.hasPart);
      const isOpen = nextPart(parcel, copy.handed, (part) => this.#options.hasPart(parcel, part)) !== undefined;
      if (isOpen) waiting(lane, parcel).add(parcel);
      else waiting(lane, parcel).delete(parcel);
      isBare &&= isOpen;
      // The link alone settles nothing: while it is up, caches are only spared as long as it makes progress.
      open ||= isOpen && (lane.type === "cache" || this.#caches.length === 0);
    }
    if (isBare !== waits.isBare) this.#bare[kindOf(parcel)] += isBare ? 1 : -1;
    waits.isBare = isBare;
    const isPlaced = !cachesWait && !open && lanes.length > 0;
    if (!isPlaced) waits.placedAt = undefined;
    else waits.placedAt ??= now;
    if (isPlaced && parcel.offerAt === undefined) {
      parcel.offerAt = now + (parcel.offers === 0 ? OFFER_AGAIN_MS : OFFER_DAILY_MS);
      this.#out.push({ type: "changed", parcel });
    }
    this.#deadlines.set(parcel, cachesWait ? waits.cachesFrom : parcel.offerAt);
  }

  /** Offered twice and again without an answer: then what took it may have lost it, and one more cache has it each time. */
  #chosen(parcel: Parcel): Lane[] {
    const copies = (this.#options.copies ?? COPIES) + Math.max(0, parcel.offers - 1);
    return chooseCaches(this.#caches, ({ key }) => parcel.copies.has(key), copies);
  }

  #wake(parcel: Parcel, now: Time): void {
    if (parcel.offerAt !== undefined && parcel.offerAt <= now) this.#again(parcel, now);
    else this.#place(parcel, now);
  }

  /** Everything once more: heals a cache that lost it; where it still lies, the same bytes change nothing (X31). */
  #again(parcel: Parcel, now: Time): void {
    if (parcel.offerAt !== undefined) parcel.offers++;
    parcel.offerAt = undefined;
    for (const lane of this.#lanes()) {
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

  /** What lies at this cache is offered there again soon: not at once, for all its senders hear of it at the same time. */
  #doubt(lane: Lane | undefined, atMostEach: number, now: Time): void {
    if (lane === undefined || lane.renewAt !== undefined) return;
    const spread = Math.round(SPREAD_MS * this.#options.chance());
    lane.renewAt = Math.max(now, (lane.renewedAt ?? Number.NEGATIVE_INFINITY) + atMostEach) + spread;
  }

  #renew(lane: Lane, now: Time): void {
    lane.renewAt = undefined;
    lane.renewedAt = now;
    for (const parcel of this.#parcels.keys()) {
      const progress = lane.progress.get(parcel);
      if (progress === undefined || progress.copy.handed.count === 0) continue;
      progress.copy.handed = new Ranges();
      progress.withdrawn = new Ranges();
      this.#place(parcel, now);
    }
    const { ids = [] } = this.#told.get(lane.key) ?? {};
    if (lane.tell === "none" && this.#acknowledgement !== undefined && ids.includes(this.#acknowledgement.id))
      lane.tell = "due";
  }

  #stop(parcel: Parcel, now: Time): void {
    const care = this.#parcels.get(parcel);
    if (care === undefined) return; // behind: nobody has anything of it
    this.#parcels.delete(parcel);
    if (care.isBare) this.#bare[kindOf(parcel)]--;
    this.#judge(parcel, now);
    this.#files.delete(parcel);
    this.#deadlines.set(parcel, undefined);
    for (const lane of this.#lanes()) {
      const progress = lane.progress.get(parcel);
      if (progress === undefined) continue;
      lane.progress.delete(parcel);
      waiting(lane, parcel).delete(parcel);
      lane.held -= progress.weight;
    }
    for (const out of takeBack(parcel)) this.#out.push(out);
  }

  /** What the caches that took the parcel did with it. A mail that came otherwise, or was cancelled, says nothing of them. */
  #judge(parcel: Parcel, now: Time): void {
    const took = this.#caches.filter(({ progress }) => (progress.get(parcel)?.copy.handed.count ?? 0) > 0);
    const isTelling =
      parcel.state === "acknowledged"
        ? took.some(({ repute }) => repute.showed(parcel.seq))
        : parcel.state === "stopped" && now >= parcel.expires;
    if (!isTelling) return;
    const before = this.#scores();
    for (const { repute } of took) repute.settle(parcel.seq);
    const isRound = took.some(({ repute }) => repute.settled % REPUTE_SAVED === 0);
    if (isRound || this.#scores() !== before) this.#saveReputes();
  }

  #shown(caches: readonly ShownBy[]): void {
    const before = this.#scores();
    for (const { key, repute } of this.#caches) {
      const name = cacheName(key);
      for (const { cache, ranges } of caches) if (cache === name) repute.heard(ranges);
    }
    if (this.#scores() !== before) this.#saveReputes();
  }

  #scores(): string {
    return this.#caches.map(({ repute }) => score(repute)).join();
  }

  #saveReputes(): void {
    const tried = this.#caches.filter(({ repute }) => repute.settled > 0);
    const reputes = new Map(tried.map(({ key, repute: { settled, delivered } }) => [key, { settled, delivered }]));
    this.#out.push({ type: "reputes", reputes });
  }

  /** Acknowledged parts of files make room, and should make it at the cache too: there the oldest would go first. */
  #weighFiles(now: Time): void {
    for (const parcel of this.#files) {
      for (const lane of this.#caches) {
        const progress = lane.progress.get(parcel);
        if (progress === undefined) continue;
        weigh(lane, parcel, progress, this.#options.hasPart);
        const gone = numbers(progress.copy.offered).filter(
          (part) => !progress.withdrawn.has(part) && this.#options.hasPart(parcel, part),
        );
        const ids = gone.flatMap((part) => parcel.ids[part] || []);
        for (const part of gone) addPart(progress.withdrawn, part);
        if (ids.length > 0) this.#out.push({ type: "withdraw", to: this.#options.peer, route: routeOf(lane), ids });
      }
      this.#place(parcel, now);
    }
  }

  // --- lanes ---

  /** Starts what may start on a lane. */
  #fill(lane: Lane, now: Time): void {
    const { slots, peer } = this.#options;
    while (hasWork(lane) && this.#isUsable(lane) && this.#isReady(lane, now) && slots.has(peer)) {
      if (lane.tell === "due") this.#flyAcknowledgement(lane);
      else if (!this.#flyNext(lane)) break;
    }
    lane.isProbe = false;
    const waits = lane.flying === 0 && lane.retryAt !== undefined && lane.retryAt > now;
    const retryAt = waits && this.#isUsable(lane) && hasWork(lane) ? lane.retryAt : undefined;
    this.#deadlines.set(lane, earliest(retryAt, lane.renewAt));
  }

  /** A lane that failed gets one attempt at a time until one succeeds. */
  #isReady(lane: Lane, now: Time): boolean {
    if (lane.failures === 0) return lane.flying < IN_FLIGHT;
    return lane.flying === 0 && (lane.isProbe || lane.retryAt === undefined || lane.retryAt <= now);
  }

  #flyNext(lane: Lane): boolean {
    const { slots, hasPart, peer } = this.#options;
    const mayFile = lane.files.size > 0 && lane.flying < IN_FLIGHT - 1 && slots.hasForFile(peer);
    for (const queue of mayFile ? [lane.texts, lane.files] : [lane.texts]) {
      for (const parcel of queue) {
        const progress = progressOf(lane, parcel, hasPart);
        const part = nextPart(parcel, progress.copy.handed, (p) => progress.flying.has(p) || hasPart(parcel, p));
        if (part === undefined) continue; // all of it is on the way
        if (!progress.copy.offered.has(part) && !hasRoom(lane, parcel)) {
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
    weigh(lane, parcel, progress, this.#options.hasPart);
    const flight = this.#launch({ lane, parcel, part, id: undefined });
    this.#out.push({ type: "fetch", flight, parcel, part });
  }

  #launch(flight: Flight): number {
    const number = this.#options.flights();
    this.#flights.set(number, flight);
    flight.lane.flying++;
    flight.lane.isProbe = false;
    this.#options.slots.used++;
    return number;
  }

  #land(number: number): Flight | undefined {
    const flight = this.#flights.get(number);
    if (flight === undefined) return undefined;
    this.#flights.delete(number);
    flight.lane.flying--;
    this.#options.slots.used--;
    if (flight.parcel !== undefined) flight.lane.progress.get(flight.parcel)?.flying.delete(flight.part);
    return flight;
  }

  #sealed(number: number, bytes: Uint8Array | undefined, now: Time): void {
    const flight = this.#flights.get(number);
    const parcel = flight?.parcel;
    if (flight === undefined || parcel === undefined) return;
    const { lane, part } = flight;
    const progress = lane.progress.get(parcel);
    const isWanted = progress !== undefined && !this.#options.hasPart(parcel, part) && this.#isUsable(lane);
    if (bytes === undefined || !isWanted) {
      this.#land(number);
      if (progress !== undefined && bytes === undefined) this.#out.push({ type: "lost", parcel });
      else this.#place(parcel, now);
      return;
    }
    if (lane.type === "cache") {
      const id = this.#options.messageId(bytes);
      flight.id = id;
      const isNew = !progress.copy.offered.has(part) || parcel.ids[part] !== id;
      parcel.copies.set(lane.key, progress.copy);
      parcel.ids[part] = id;
      addPart(progress.copy.offered, part);
      // Durable before it leaves: whatever may lie at a cache can be taken back, even after a crash.
      if (isNew) this.#out.push({ type: "changed", parcel });
    }
    this.#out.push({ type: "deliver", flight: number, route: routeOf(lane), bytes, expires: parcel.expires });
  }

  #delivered(number: number, ok: boolean, now: Time): void {
    const flight = this.#land(number);
    if (flight === undefined) return;
    const { lane, parcel } = flight;
    if (ok) succeeded(lane);
    // From the second failure on, other caches step in.
    else if (failed(lane, now, this.#options.chance()) && lane.failures >= 2)
      for (const waits of [...lane.texts, ...lane.files]) this.#place(waits, now);
    if (parcel === undefined) this.#toldResult(lane, flight.id, ok, now);
    else if (lane.progress.has(parcel)) this.#partResult(flight, parcel, ok, now);
    else if (lane.type === "cache" && flight.id !== undefined)
      this.#out.push({ type: "withdraw", to: this.#options.peer, route: routeOf(lane), ids: [flight.id] }); // stopped while it was on its way
  }

  #partResult({ lane, part }: Flight, parcel: Parcel, ok: boolean, now: Time): void {
    const { copy } = progressOf(lane, parcel, this.#options.hasPart);
    const waits = this.#parcels.get(parcel);
    if (!ok || waits === undefined) {
      this.#place(parcel, now);
      return;
    }
    addPart(copy.handed, part);
    // Caches are spared for as long as the link makes progress; once they were needed they stay.
    if (lane.type === "direct" && now < waits.cachesFrom) waits.cachesFrom = now + headStart(parcel);
    this.#place(parcel, now);
    if (nextPart(parcel, copy.handed, (each) => this.#options.hasPart(parcel, each)) !== undefined) return;
    if (lane.type === "cache") this.#out.push({ type: "changed", parcel });
    this.#out.push({ type: "handed", parcel, route: routeOf(lane) });
  }

  // --- acknowledgements ---

  #tell(bytes: Uint8Array, expires: Time): void {
    this.#acknowledgement = { bytes, id: this.#options.messageId(bytes), expires, isHanded: false };
    for (const lane of this.#lanes()) if (lane.tell === "due") lane.tell = "none";
    this.#spreadAcknowledgement();
    for (const lane of this.#lanes()) if (lane.tell === "due") lane.isProbe = true;
  }

  /** Over the link while it is up; else to one cache of each failure domain, none of which waits for another. */
  #spreadAcknowledgement(): void {
    if (this.#acknowledgement === undefined || this.#acknowledgement.isHanded) return;
    const lanes = this.#direct.up || this.#caches.length === 0 ? [this.#direct] : onePerStore(this.#caches);
    for (const lane of lanes) if (lane.tell === "none") lane.tell = "due";
  }

  #flyAcknowledgement(lane: Lane): void {
    const acknowledgement = this.#acknowledgement;
    assert(acknowledgement !== undefined, "a lane is told only what there is");
    lane.tell = "flying";
    const { id, bytes, expires } = acknowledgement;
    const flight = this.#launch({ lane, parcel: undefined, part: 0, id });
    if (lane.type === "cache") {
      const ids = this.#told.get(lane.key)?.ids.filter((old) => old !== id) ?? [];
      this.#told.set(lane.key, { uri: lane.offer.uri, ids: [...ids.slice(1 - TOLD_LIMIT), id] });
      this.#out.push({ type: "told-state", told: this.#told });
    }
    this.#out.push({ type: "deliver", flight, route: routeOf(lane), bytes, expires });
  }

  #toldResult(lane: Lane, id: string | undefined, ok: boolean, now: Time): void {
    const acknowledgement = this.#acknowledgement;
    assert(acknowledgement !== undefined, "a lane is told only what there is");
    const isLatest = acknowledgement.id === id;
    lane.tell = isLatest && (ok || now >= acknowledgement.expires) ? "none" : "due";
    if (!ok && lane.type === "direct" && this.#caches.length > 0) {
      lane.tell = "none";
      if (acknowledgement.isHanded) return;
      for (const cache of onePerStore(this.#caches)) if (cache.tell === "none") cache.tell = "due";
    }
    if (!ok) return;
    // First the new one, then away with those before it: at no time is there none.
    const told = this.#told.get(lane.key);
    const older = told?.ids.filter((old) => old !== id) ?? [];
    if (told !== undefined && lane.type === "cache" && isLatest && older.length > 0) {
      this.#told.set(lane.key, { uri: told.uri, ids: told.ids.filter((old) => old === id) });
      this.#out.push({ type: "withdraw", to: this.#options.peer, route: routeOf(lane), ids: older });
    }
    if (!isLatest || acknowledgement.isHanded) return;
    acknowledgement.isHanded = true;
    this.#out.push({ type: "told" });
  }
}

function kindOf(parcel: Parcel): "text" | "file" {
  return parcel.of === 1 ? "text" : "file";
}

function earliest(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

function headStart(parcel: Parcel): number {
  return parcel.of === 1 ? HEAD_START_MS : FILE_HEAD_START_MS;
}

const COPIES = 2; // DESIGN 5, constants: 2 caches
const REPUTE_SAVED = 8; // mails between two writes that say nothing new
const WINDOW = { text: 256, file: 16 }; // that no route has: several times what is in flight
const CARRIED = 16_384; // twice the texts that a box holds
const IN_FLIGHT = 8; // per lane
const HEAD_START_MS = 2_000; // of the link over caches: time for one acknowledgement
const FILE_HEAD_START_MS = 30_000; // the recipient checks the digest of a file first
const OFFER_AGAIN_MS = 6 * 3_600_000;
const OFFER_DAILY_MS = 24 * 3_600_000;
const HEAL_MS = [60_000, 600_000, 3_600_000, OFFER_AGAIN_MS]; // by how often it was offered again; a file takes longer to fetch
const SPREAD_MS = 30_000;
const RENEWED_MS = 600_000; // however often a cache starts anew
const LINK_AGAIN_MS = 3_600_000; // most links that went and came again broke for other reasons
const TOLD_LIMIT = 8; // acknowledgements remembered per cache
const SMALL_BYTES = 2048; // hardly any part is smaller
