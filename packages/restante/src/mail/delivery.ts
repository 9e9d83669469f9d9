/**
 * Delivery: everything on its way to one peer. Each route to it is a lane with its own back-off, its own few parts in
 * flight and its own account of what lies there; a text never waits behind a file. protocol/mail.md §10
 */
import { assert, Deadlines, type Machine, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
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
import { chooseCaches, type Destination, onePerStore, type Route } from "./route.ts";

export type DeliveryIn =
  /** Its caches, keys or addresses may have changed. */
  | { type: "destination"; to: Destination }
  /** The link to the peer itself, or to one of its caches, came or went. */
  | { type: "link"; peer: Hashname; up: boolean }
  /** A parcel to deliver: new, or open since before a restart. */
  | { type: "offer"; parcel: Parcel }
  /** It is acknowledged or stopped: take its copies back. */
  | { type: "stop"; parcel: Parcel }
  /** Some parts are acknowledged. */
  | { type: "progress" }
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
  | { type: "told-state"; told: ReadonlyMap<Hashname, Told> };

/** Our acknowledgements at one cache of the peer: message ids, the newest last. */
export interface Told {
  readonly uri: string;
  readonly ids: readonly string[];
}

/** How much may be in flight at once, shared by all deliveries of a `Mail`. */
export class Slots {
  readonly limit: number;
  used = 0;
  /** Who has more to send than there was room for, in the order of asking. */
  readonly starved: Set<Hashname> = new Set();

  constructor(limit: number = SLOTS) {
    this.limit = limit;
  }
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
  /** Open parcels, and when caches may have them: the link has a head start. */
  readonly #parcels = new Map<Parcel, { cachesFrom: Time }>();
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
      case "offer":
        this.#offer(input.parcel, now);
        return;
      case "stop":
        this.#stop(input.parcel);
        return;
      case "progress":
        this.#weighFiles(now);
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
        for (const parcel of [...this.#parcels.keys()]) this.#stop(parcel);
        for (const lane of this.#lanes()) lane.tell = "none";
        this.#acknowledgement = undefined;
        return;
      case "tick":
        for (const key of this.#deadlines.due(now)) if ("seq" in key) this.#wake(key, now);
    }
  }

  #lanes(): Lane[] {
    return [this.#direct, ...this.#caches];
  }

  // --- where to ---

  #setDestination(to: Destination, now: Time): void {
    const old = new Map(this.#caches.map((lane) => [lane.key, lane]));
    this.#caches = to.caches.map((offer) => {
      const lane = old.get(offer.hashname) ?? newLane("cache", offer);
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
    this.#parcels.set(parcel, { cachesFrom: this.#direct.up ? now + headStart(parcel) : now });
    if (parcel.of > 1) this.#files.add(parcel);
    this.#place(parcel, now);
    for (const lane of this.#lanes()) if (waiting(lane, parcel).has(parcel)) lane.isProbe = true;
  }

  /** Puts the parcel into the queue of each lane that should have it and does not; sets its next time. */
  #place(parcel: Parcel, now: Time): void {
    const waits = this.#parcels.get(parcel);
    if (waits === undefined) return;
    const lanes = this.#isUsable(this.#direct) ? [this.#direct] : [];
    const cachesWait = this.#direct.up && now < waits.cachesFrom && this.#caches.length > 0;
    if (!cachesWait) lanes.push(...chooseCaches(this.#caches, ({ key }) => parcel.copies.has(key)));
    for (const lane of this.#caches) if (!lanes.includes(lane)) waiting(lane, parcel).delete(parcel);
    let open = false;
    for (const lane of lanes) {
      const { copy } = progressOf(lane, parcel, this.#options.hasPart);
      const isOpen = nextPart(parcel, copy.handed, (part) => this.#options.hasPart(parcel, part)) !== undefined;
      if (isOpen) waiting(lane, parcel).add(parcel);
      else waiting(lane, parcel).delete(parcel);
      // The link alone settles nothing: while it is up, caches are only spared as long as it makes progress.
      open ||= isOpen && (lane.type === "cache" || this.#caches.length === 0);
    }
    if (!cachesWait && !open && lanes.length > 0 && parcel.offerAt === undefined) {
      parcel.offerAt = now + (parcel.offers === 0 ? OFFER_AGAIN_MS : OFFER_DAILY_MS);
      this.#out.push({ type: "changed", parcel });
    }
    this.#deadlines.set(parcel, cachesWait ? waits.cachesFrom : parcel.offerAt);
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

  #stop(parcel: Parcel): void {
    if (!this.#parcels.delete(parcel)) return;
    this.#files.delete(parcel);
    this.#deadlines.set(parcel, undefined);
    for (const lane of this.#lanes()) {
      const progress = lane.progress.get(parcel);
      if (progress === undefined) continue;
      lane.progress.delete(parcel);
      waiting(lane, parcel).delete(parcel);
      lane.held -= progress.weight;
      if (progress.copy.handed.count === 0) continue;
      lane.settled++;
      if (parcel.state === "acknowledged") lane.delivered++;
    }
    for (const out of takeBack(parcel)) this.#out.push(out);
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
    while (this.#isUsable(lane) && this.#isReady(lane, now)) {
      if (slots.used >= slots.limit) {
        if (hasWork(lane)) slots.starved.add(peer);
        break;
      }
      if (lane.tell === "due") this.#flyAcknowledgement(lane);
      else if (!this.#flyNext(lane)) break;
    }
    lane.isProbe = false;
    const waits = lane.flying === 0 && lane.retryAt !== undefined && lane.retryAt > now;
    this.#deadlines.set(lane, waits && this.#isUsable(lane) && hasWork(lane) ? lane.retryAt : undefined);
  }

  /** A lane that failed gets one attempt at a time until one succeeds. */
  #isReady(lane: Lane, now: Time): boolean {
    if (lane.failures === 0) return lane.flying < IN_FLIGHT;
    return lane.flying === 0 && (lane.isProbe || lane.retryAt === undefined || lane.retryAt <= now);
  }

  #flyNext(lane: Lane): boolean {
    const { slots, hasPart, peer } = this.#options;
    // The last slots are for texts, so that files cannot make them wait.
    const fileSlots = slots.limit - slots.limit / 8;
    if (lane.files.size > 0 && slots.used >= fileSlots) slots.starved.add(peer);
    const mayFile = lane.flying < IN_FLIGHT - 1 && slots.used < fileSlots;
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

function headStart(parcel: Parcel): number {
  return parcel.of === 1 ? HEAD_START_MS : FILE_HEAD_START_MS;
}

const SLOTS = 64; // parts in flight in all
const IN_FLIGHT = 8; // per lane
const HEAD_START_MS = 2_000; // of the link over caches: time for one acknowledgement
const FILE_HEAD_START_MS = 30_000; // the recipient checks the digest of a file first
const OFFER_AGAIN_MS = 6 * 3_600_000;
const OFFER_DAILY_MS = 24 * 3_600_000;
const TOLD_LIMIT = 8; // acknowledgements remembered per cache
const SMALL_BYTES = 2048; // hardly any part is smaller
