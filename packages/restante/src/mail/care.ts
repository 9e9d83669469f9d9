/** Care: what delivery knows of the open parcels of one peer, until the next restart, and for how many more there is room. */
import type { Time } from "../bytes/index.ts";
import type { LineKind } from "./lines.ts";
import type { Parcel } from "./parcel.ts";

/** Of one parcel. */
export interface Care {
  /** When caches may have it: the link has a head start. */
  cachesFrom: Time;
  /** When the bazaar may: a link that is being made has one, too. */
  readonly bazaarFrom: Time;
  /** No route has all of it. Set by `Cares`. */
  isBare: boolean;
  /** When all of it lay at every cache that was chosen. */
  placedAt: Time | undefined;
  /** Of several parts, over the link: when what was handed over and is not acknowledged may be gone, and how often that was so. */
  stallsAt: Time | undefined;
  stalls: number;
}

/** The open parcels that are looked after, in the order in which they came. */
export class Cares {
  readonly #cares = new Map<Parcel, Care>();
  /** Of how many of them no route has all. */
  readonly #bare: Record<LineKind, number> = { text: 0, file: 0 };
  readonly #window: number;

  /** `window`: of so many texts, and a sixteenth as many files, no route has all. */
  constructor(window: number = WINDOW) {
    this.#window = window;
  }

  /** Nothing of it has left yet. */
  add(parcel: Parcel, cachesFrom: Time, bazaarFrom: Time): void {
    const care = { cachesFrom, bazaarFrom, isBare: true, placedAt: undefined, stallsAt: undefined, stalls: 0 };
    this.#cares.set(parcel, care);
    this.#bare[kindOf(parcel)]++;
  }

  /** `undefined`: nobody looks after it, so nobody has anything of it. */
  get(parcel: Parcel): Care | undefined {
    return this.#cares.get(parcel);
  }

  /** Is it looked after? */
  has(parcel: Parcel): boolean {
    return this.#cares.has(parcel);
  }

  /** Does no route have all of it? */
  setBare(parcel: Parcel, care: Care, isBare: boolean): void {
    if (isBare !== care.isBare) this.#bare[kindOf(parcel)] += isBare ? 1 : -1;
    care.isBare = isBare;
  }

  /** It is over. */
  delete(parcel: Parcel): void {
    if (this.#cares.get(parcel)?.isBare) this.#bare[kindOf(parcel)]--;
    this.#cares.delete(parcel);
  }

  /** How many more there may be. So what happens to routes is no work for all that is queued. */
  room(kind: LineKind): number {
    const most = kind === "text" ? this.#window : Math.ceil(this.#window / FILES);
    return Math.min(most - this.#bare[kind], CARRIED - this.#cares.size);
  }

  /** In the order in which they came. */
  parcels(): IterableIterator<Parcel> {
    return this.#cares.keys();
  }

  [Symbol.iterator](): IterableIterator<[Parcel, Care]> {
    return this.#cares.entries();
  }
}

/** How long no acknowledgement means that something was lost: longer each time that it was of no use. */
export function stallWait({ stalls }: Care): Time {
  return STALL_MS[Math.min(stalls, STALL_MS.length - 1)] ?? 0;
}

function kindOf({ of }: Parcel): LineKind {
  return of === 1 ? "text" : "file";
}

const STALL_MS = [60_000, 600_000, 3_600_000, 6 * 3_600_000]; // an acknowledgement comes after seconds, unless parts are refused
const WINDOW = 256; // that no route has: several times what is in flight
const FILES = 16;
const CARRIED = 16_384; // twice the texts that a box holds
