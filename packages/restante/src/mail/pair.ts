/**
 * A pair: our numbers towards one peer, what it has of them, and its forward keys for us. Nothing here looks at all that is in
 * the spool: what one mail costs does not depend on how many there are. protocol/mail.md §8, §9
 */
import type { Time } from "../bytes/index.ts";
import type { Acknowledgement, AckReport, AckView } from "./acknowledgement.ts";
import type { Announced } from "./announced.ts";
import { type Forwarding, forwardId } from "./forward.ts";
import type { Parcel } from "./parcel.ts";
import { type Range, Ranges } from "./ranges.ts";
import type { Read } from "./reads.ts";

/** What one acknowledgement changed. */
export interface Told {
  /** The peer has something that it had not told before. */
  readonly news: boolean;
  /** It is another store than the one before. */
  readonly restored: boolean;
  /** It told keys that are new. */
  readonly hasKeys: boolean;
  /** Parcels that it now has whole. */
  readonly arrived: readonly Parcel[];
  /** The highest number of the present epoch that it has. */
  readonly below?: { readonly epoch: string; readonly seq: number };
}

export interface PairOptions {
  readonly epoch: string;
  readonly doubted: readonly string[];
  readonly doubtedAt: Time;
  readonly left: readonly string[];
  /** The number that the next mail gets. */
  readonly next: number;
  readonly view: AckView;
  readonly announced: Announced;
}

/** Our numbers towards one peer. */
export class Pair {
  readonly view: AckView;
  readonly announced: Announced;
  #epoch: string;
  #doubted: readonly string[];
  #doubtedAt: Time;
  #left: readonly string[];
  #next: number;
  #floor: number;
  /** Numbers of the epoch that the floor may not pass yet. */
  readonly #unpassed = new Set<number>();
  readonly #epochs = new Map<string, Numbered>();
  /** Open parcels by the forward key that they are sealed to. */
  readonly #sealedTo = new Map<string, Set<Parcel>>();
  /** Acknowledged while the peer was none of ours for a time. */
  #overdue: Parcel[] = [];

  constructor(options: PairOptions) {
    const { epoch, doubted, doubtedAt, left, next, view, announced } = options;
    this.#epoch = epoch;
    this.#doubted = doubted;
    this.#doubtedAt = doubtedAt;
    this.#left = left;
    this.view = view;
    this.announced = announced;
    this.#next = next;
    this.#floor = next;
  }

  /** Of the numbers that are given now: that of the store; or one of its own, after a copy of the store had used the same. */
  get epoch(): string {
    return this.#epoch;
  }

  /** Epochs of ours in which the other copy numbers mail, too: what the peer has of them says nothing. */
  get doubted(): readonly string[] {
    return this.#doubted;
  }

  /** When the last of them came to be one. */
  get doubtedAt(): Time {
    return this.#doubtedAt;
  }

  /** Epochs of ours in which we number no more mail to the peer: these, and those of before a restore. */
  get left(): readonly string[] {
    return this.#left;
  }

  get next(): number {
    return this.#next;
  }

  /** No number below is open. */
  get floor(): number {
    return this.#floor;
  }

  /** The parcel under this number; `undefined`: there was none, or nobody remembers. */
  get(epoch: string, seq: number): Parcel | undefined {
    return this.#epochs.get(epoch)?.parcels.get(seq);
  }

  /** All parcels, whatever became of them. */
  *parcels(): Generator<Parcel> {
    for (const { parcels } of this.#epochs.values()) yield* parcels.values();
  }

  /** A parcel with the number `next`, which is used up by it. */
  number(parcel: Parcel): void {
    this.#next++;
    this.#add(parcel);
  }

  /** A parcel whose number was given before a restart. */
  load(parcel: Parcel): void {
    const { epoch, seq, state } = parcel;
    if (state !== "acknowledged" && this.view.isWhole(epoch, seq)) this.#overdue.push(parcel);
    this.#add(parcel);
  }

  /** Numbers begin anew in another epoch. Gives what is open, in the order of its numbers: it wants new ones. */
  renew(epoch: string, now: Time): Parcel[] {
    this.#doubted = [...this.#doubted, this.#epoch].slice(-DOUBTED_LIMIT);
    this.#doubtedAt = now;
    this.#left = leave(this.#left, this.#epoch);
    this.#epoch = epoch;
    this.#next = 1;
    this.#floor = 1;
    this.#unpassed.clear();
    const open = [...this.parcels()].filter(({ state }) => state === "open");
    return open.sort((a, b) => a.seq - b.seq);
  }

  /** Other bytes under the same number. */
  replace(parcel: Parcel): void {
    this.#epochs.get(parcel.epoch)?.parcels.set(parcel.seq, parcel);
    this.#seal(parcel);
  }

  /** The parcel is not open any more. */
  closed(parcel: Parcel): void {
    const key = parcel.forward?.key;
    const same = key === undefined ? undefined : this.#sealedTo.get(key);
    if (key !== undefined && same?.delete(parcel) && same.size === 0) this.#sealedTo.delete(key);
  }

  /** The floor need not wait for this number any more. */
  pass(epoch: string, seq: number): void {
    if (epoch !== this.epoch || !this.#unpassed.delete(seq) || seq !== this.#floor) return;
    while (this.#floor < this.#next && !this.#unpassed.has(this.#floor)) this.#floor++;
  }

  isUnpassed({ epoch, seq }: Parcel): boolean {
    return epoch === this.epoch && this.#unpassed.has(seq);
  }

  /** The parcel leaves memory: an acknowledgement says nothing more about it. */
  drop(parcel: Parcel): void {
    const numbered = this.#epochs.get(parcel.epoch);
    if (numbered?.parcels.get(parcel.seq) !== parcel) return;
    this.closed(parcel);
    numbered.parcels.delete(parcel.seq);
    if (numbered.parcels.size === 0) {
      this.#epochs.delete(parcel.epoch);
      return;
    }
    while (!numbered.parcels.has(numbered.lowest)) numbered.lowest++;
    while (!numbered.parcels.has(numbered.highest)) numbered.highest--;
  }

  /** The parcel is over; what the peer has of numbers that nobody asks about any more is forgotten, too. */
  retire(parcel: Parcel): void {
    this.drop(parcel);
    if (parcel.epoch !== this.epoch) return;
    // Later than the floor: an acknowledgement that was long on its way still says what became of an expired mail.
    const lowest = this.#epochs.get(this.epoch)?.lowest ?? this.#floor;
    this.view.lower(this.epoch, Math.min(this.#floor, lowest));
  }

  /** What a mail that is queued now is sealed to. */
  forwarding(): Forwarding | undefined {
    const [key, ...older] = this.announced.keys;
    if (key === undefined) return undefined;
    return { key, uses: older.filter((each) => this.#sealedTo.has(each)).map(forwardId) };
  }

  /** Is the parcel sealed to a key that the peer has not got? */
  isStale({ state, forward }: Parcel): boolean {
    const { keys } = this.announced;
    return state === "open" && forward !== undefined && keys.length > 0 && !keys.includes(forward.key);
  }

  /** All that are, in the order of their numbers. */
  stale(): Parcel[] {
    const parcels = [...this.#sealedTo.values()].flatMap((same) => {
      const [one] = same;
      return one !== undefined && this.isStale(one) ? [...same] : [];
    });
    return parcels.sort((a, b) => a.seq - b.seq);
  }

  /**
   * Takes over what an acknowledgement says of numbers that were given, but not in the `doubted` epoch. `isKey`: whether a
   * forward key can be used.
   */
  merge(acknowledgement: Acknowledgement, isKey: (key: string) => boolean, doubted?: string): Told {
    const reports = acknowledgement.reports.flatMap((report) =>
      report.epoch === doubted || this.#doubted.includes(report.epoch) ? [] : (this.#ofOurs(report) ?? []),
    );
    const { news, restored } = this.view.merge({ ...acknowledgement, reports });
    const { keys } = acknowledgement;
    const hasKeys = keys !== undefined && this.announced.merge(keys, isKey);
    if (!news) return { news, restored, hasKeys, arrived: [] };
    const overdue = this.#overdue.filter((parcel) => this.get(parcel.epoch, parcel.seq) === parcel);
    this.#overdue = [];
    const arrived = [...overdue, ...reports.flatMap((report) => this.#arrived(report))];
    const seq = reports.find(({ epoch }) => epoch === this.#epoch)?.ranges.at(-1)?.[1];
    const below = seq !== undefined && { below: { epoch: this.#epoch, seq } };
    return { news, restored, hasKeys, arrived: [...new Set(arrived)], ...below };
  }

  /** The report without what it says of numbers that we never gave: a peer could make us keep any amount of that. */
  #ofOurs(report: AckReport): AckReport | undefined {
    const numbered = this.#epochs.get(report.epoch);
    const last = report.epoch === this.epoch ? this.#next - 1 : (numbered?.highest ?? 0);
    const ranges = report.ranges.flatMap(([first, end]): Range[] =>
      first > last ? [] : [[first, Math.min(end, last)]],
    );
    const unfinished = report.unfinished.filter(({ seq }) => (numbered?.parcels.get(seq)?.of ?? 1) > 1);
    return ranges.length + unfinished.length === 0 ? undefined : { ...report, ranges, unfinished };
  }

  /** Each parcel once, with whatever acknowledgement comes first: no number is looked at twice. */
  #arrived({ epoch, ranges }: AckReport): Parcel[] {
    const numbered = this.#epochs.get(epoch);
    if (numbered === undefined) return [];
    const { parcels, arrived, lowest } = numbered;
    const fresh: Parcel[] = [];
    for (const [first, last] of ranges) {
      for (let seq = arrived.missing(Math.max(first, lowest)); seq <= last; seq = arrived.missing(seq + 1)) {
        if (!this.view.isWhole(epoch, seq)) continue; // the view is full: it will be told again
        arrived.add(seq, seq, Number.POSITIVE_INFINITY);
        const parcel = parcels.get(seq);
        if (parcel !== undefined && parcel.state !== "acknowledged") fresh.push(parcel);
      }
    }
    arrived.cut(lowest);
    return fresh;
  }

  /** Parcels that the peer says its user has seen: of those in memory each once, and only what it has. */
  read(told: readonly Read[]): Parcel[] {
    return told.flatMap(({ epoch, ranges }) => {
      const numbered = this.#doubted.includes(epoch) ? undefined : this.#epochs.get(epoch);
      if (numbered === undefined) return [];
      const { parcels, read, lowest, highest } = numbered;
      const fresh: Parcel[] = [];
      for (const [first, last] of ranges) {
        for (
          let seq = read.missing(Math.max(first, lowest));
          seq <= Math.min(last, highest);
          seq = read.missing(seq + 1)
        ) {
          const parcel = parcels.get(seq);
          if (parcel !== undefined && parcel.state !== "acknowledged") continue;
          read.add(seq, seq, Number.POSITIVE_INFINITY);
          if (parcel !== undefined) fresh.push(parcel);
        }
      }
      read.cut(lowest);
      return fresh;
    });
  }

  #add(parcel: Parcel): void {
    const { epoch, seq, state } = parcel;
    if (epoch === this.epoch && state !== "acknowledged") {
      this.#unpassed.add(seq);
      this.#floor = Math.min(this.#floor, seq);
    }
    const numbered = this.#epochs.get(epoch) ?? newNumbered();
    this.#epochs.set(epoch, numbered);
    numbered.parcels.set(seq, parcel);
    numbered.lowest = Math.min(numbered.lowest, seq);
    numbered.highest = Math.max(numbered.highest, seq);
    this.#seal(parcel);
  }

  #seal(parcel: Parcel): void {
    const { state, forward } = parcel;
    if (state !== "open" || forward === undefined) return;
    const same = this.#sealedTo.get(forward.key) ?? new Set();
    this.#sealedTo.set(forward.key, same.add(parcel));
  }
}

/** Puts an epoch to those that were left, of which as many are kept as can be told. */
export function leave(left: readonly string[], epoch: string): readonly string[] {
  return (left.includes(epoch) ? left : [...left, epoch]).slice(-LEFT_LIMIT);
}

/** The parcels of one epoch. */
interface Numbered {
  readonly parcels: Map<number, Parcel>;
  lowest: number;
  highest: number;
  /** Numbers from `lowest` on that were found acknowledged. */
  readonly arrived: Ranges;
  /** Those that were found read. */
  readonly read: Ranges;
}

function newNumbered(): Numbered {
  return {
    parcels: new Map(),
    lowest: Number.POSITIVE_INFINITY,
    highest: 0,
    arrived: new Ranges(),
    read: new Ranges(),
  };
}

const DOUBTED_LIMIT = 8;
const LEFT_LIMIT = 4;
