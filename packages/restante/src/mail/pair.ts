/**
 * A pair: our numbers towards one peer, what it has of them, and its forward keys for us. Nothing here looks at all that is in
 * the spool: what one mail costs does not depend on how many there are. protocol/mail.md §8, §9
 */
import { fromBase32, type Time, toBase32 } from "../bytes/index.ts";
import { type Acknowledgement, type AckReport, AckView, type Since } from "./acknowledgement.ts";
import { Announced, type AnnouncedJson } from "./announced.ts";
import { type Forwarding, forwardId } from "./forward.ts";
import { type Marked, Marks } from "./marks.ts";
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
  /** The number that the first mail got; by default 1. */
  readonly began?: number | undefined;
  /** Where the floor was, when not all that has a number is loaded yet: see `whole`. */
  readonly floor?: number | undefined;
  readonly view: AckView;
  readonly announced: Announced;
  readonly cancelled?: Marks | undefined;
  /** Absent: the peer has had one store. */
  readonly since?: Since | undefined;
}

/** Our numbers towards one peer. */
export class Pair {
  readonly view: AckView;
  readonly announced: Announced;
  /** Mails of several parts that were cancelled while the peer may have had some of them: it is told. */
  readonly cancelled: Marks;
  #epoch: string;
  #doubted: readonly string[];
  #doubtedAt: Time;
  #left: readonly string[];
  #next: number;
  #began: number;
  #floor: number;
  /** Numbers of the epoch that the floor may not pass yet. */
  readonly #unpassed = new Set<number>();
  readonly #epochs = new Map<string, Numbered>();
  /** Open parcels by the forward key that they are sealed to. */
  readonly #sealedTo = new Map<string, Set<Parcel>>();
  /** Not all that has a number is loaded: until then nothing is concluded from what is. */
  #isPartial: boolean;
  #since: Since | undefined;

  constructor(options: PairOptions) {
    const { epoch, doubted, doubtedAt, left, next, began = 1, floor, view, announced } = options;
    this.#epoch = epoch;
    this.#doubted = doubted;
    this.#doubtedAt = doubtedAt;
    this.#left = left;
    this.view = view;
    this.announced = announced;
    this.cancelled = options.cancelled ?? new Marks();
    this.#since = options.since;
    this.#next = next;
    this.#began = began;
    this.#floor = floor ?? next;
    this.#isPartial = floor !== undefined;
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

  /** The first number that was given when the peer's present store had been heard, if it has had others. */
  get since(): Since | undefined {
    return this.#since;
  }

  /** The first number of the epoch that it gave. Lower ones are of a pair with the same peer that ended. */
  get began(): number {
    return this.#began;
  }

  /** No number below is open. */
  get floor(): number {
    return this.#floor;
  }

  /** Which parts the peer has. Not to be changed. */
  have({ epoch, seq, of }: Parcel): Ranges {
    if (!this.view.isWhole(epoch, seq)) return this.view.parts(epoch, seq);
    const all = new Ranges();
    all.add(0, of - 1, 1);
    return all;
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

  /** Is the parcel's number one that it gives now? What others say of the floor is true of no other. */
  gave({ epoch, seq }: Parcel): boolean {
    return epoch === this.#epoch && seq >= this.#began;
  }

  /** A parcel whose number was given before. True: it was acknowledged while it was not in memory. */
  load(parcel: Parcel): boolean {
    const { epoch, seq, state } = parcel;
    this.#add(parcel);
    return state !== "acknowledged" && !this.#doubted.includes(epoch) && this.view.isWhole(epoch, seq);
  }

  /** All that has a number is loaded. */
  whole(): void {
    if (!this.#isPartial) return;
    this.#isPartial = false;
    this.#floor = this.#next;
    for (const seq of this.#unpassed) this.#floor = Math.min(this.#floor, seq);
  }

  /** Numbers begin anew in another epoch. Gives what is open, in the order of its numbers: it wants new ones. */
  renew(epoch: string, now: Time): Parcel[] {
    this.#doubted = [...this.#doubted, this.#epoch].slice(-DOUBTED_LIMIT);
    this.#doubtedAt = now;
    this.#left = leave(this.#left, this.#epoch);
    this.#epoch = epoch;
    this.#next = 1;
    this.#began = 1;
    this.#floor = 1;
    this.#isPartial = false;
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
    if (epoch !== this.epoch || !this.#unpassed.delete(seq) || seq !== this.#floor || this.#isPartial) return;
    while (this.#floor < this.#next && !this.#unpassed.has(this.#floor)) this.#floor++;
    this.cancelled.cut(this.#epoch, this.#floor);
  }

  isUnpassed({ epoch, seq }: Parcel): boolean {
    return epoch === this.epoch && this.#unpassed.has(seq);
  }

  /** Whether a number of the epoch below this one is still offered. No floor of ours ever passed one. */
  isOpenBelow(floor: number): boolean {
    if (floor <= this.#floor) return false;
    for (const seq of this.#unpassed) if (seq < floor && this.get(this.#epoch, seq)?.state === "open") return true;
    return false;
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
    if (parcel.epoch !== this.epoch || this.#isPartial) return;
    // Later than the floor: an acknowledgement that was long on its way still says what became of an expired mail.
    const lowest = this.#epochs.get(this.epoch)?.lowest ?? this.#floor;
    this.view.lower(this.epoch, Math.min(this.#floor, lowest));
  }

  /** What a mail that is queued now is sealed to. */
  forwarding(): Forwarding | undefined {
    const [key, ...older] = this.announced.keys;
    if (key === undefined) return undefined;
    return { key, uses: older.filter((each) => this.#isPartial || this.#sealedTo.has(each)).map(forwardId) };
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
    const { present } = this.view;
    const { news, restored } = this.view.merge({ ...acknowledgement, reports }, this.#ours(this.#since));
    if (this.view.present !== present && !this.view.isAlone) this.#since = { epoch: this.#epoch, seq: this.#next };
    const { keys } = acknowledgement;
    const hasKeys = keys !== undefined && this.announced.merge(keys, isKey);
    if (!news) return { news, restored, hasKeys, arrived: [] };
    const arrived = reports.flatMap((report) => this.#arrived(report));
    const seq = reports.find(({ epoch }) => epoch === this.#epoch)?.ranges.at(-1)?.[1];
    const below = seq !== undefined && { below: { epoch: this.#epoch, seq } };
    return { news, restored, hasKeys, arrived: [...new Set(arrived)], ...below };
  }

  /** All numbers of an epoch are later than those of the epoch before. */
  #ours(since: Since | undefined): Since | undefined {
    return since === undefined || since.epoch === this.#epoch ? since : { epoch: this.#epoch, seq: 1 };
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
    if (this.gave(parcel) && state !== "acknowledged") {
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

/** As it lies in the store, whose epoch is this. */
export function pairRecord(pair: Pair, storeEpoch: string): PairRecord {
  const { epoch, doubted, doubtedAt, left, next, began, floor, view, announced, since } = pair;
  const cancelled = pair.cancelled.tell();
  return {
    epoch: storeEpoch,
    next,
    ...(began > 1 && { began }),
    floor,
    view: toBase32(view.encode()),
    announced: announced.json(),
    ...(epoch !== storeEpoch && { own: epoch }),
    ...(doubted.length > 0 && { doubted, doubtedAt }),
    ...(left.length > 0 && { left }),
    ...(cancelled && { cancelled }),
    ...(since && { since }),
  };
}

/**
 * What `pairRecord` wrote; without its parcels, which are loaded then. `isWhole`: there are none. After a restore the numbers begin
 * anew, with `first`, in the new epoch; what the peer has of the old one is still known.
 */
export function pairOf(
  record: PairRecord,
  { storeEpoch, first, isWhole }: { readonly storeEpoch: string; readonly first: number; readonly isWhole: boolean },
): Pair {
  const { epoch, own = epoch, doubted = [], doubtedAt = 0, left = [], next, began, floor, view, announced } = record;
  const isCurrent = epoch === storeEpoch;
  return new Pair({
    epoch: isCurrent ? own : storeEpoch,
    doubted,
    doubtedAt,
    left: isCurrent ? left : leave(left, own),
    next: isCurrent ? next : first,
    began: isCurrent ? began : first,
    floor: isCurrent && !isWhole ? floor : undefined,
    view: (view === undefined ? undefined : AckView.decode(fromBase32(view) ?? new Uint8Array(0))) ?? new AckView(),
    announced: new Announced(announced),
    cancelled: Marks.of(record.cancelled),
    since: record.since,
  });
}

/** The value of "mail/out/<peer>", as far as it is about numbers. */
export interface PairRecord {
  /** That of the store when it was written. */
  readonly epoch: string;
  /** The pair's, where that is another. */
  readonly own?: string;
  readonly doubted?: readonly string[];
  readonly doubtedAt?: Time;
  readonly left?: readonly string[];
  readonly next: number;
  /** Absent: 1, or written before it was noted. */
  readonly began?: number;
  readonly floor?: number;
  readonly view?: string;
  readonly announced?: AnnouncedJson;
  readonly cancelled?: readonly Marked[];
  readonly since?: Since;
}

/** Puts an epoch to those that were left, of which as many are kept as can be told. */
function leave(left: readonly string[], epoch: string): readonly string[] {
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
