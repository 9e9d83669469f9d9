/**
 * Pairs: our numbers towards each peer, and the epoch of our store in which they are given. No number is ever given twice, also to
 * one that leaves and comes back. protocol/mail.md §8
 */
import { asJson, ofJson, type Save, type Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { type Forwarding, forwardId } from "./forward.ts";
import type { Marked } from "./marks.ts";
import { type Pair, type PairRecord, pairOf, pairRecord } from "./pair.ts";
import type { Parcel } from "./parcel.ts";
import { Ranges } from "./ranges.ts";
import type { ReaderJson } from "./reader.ts";

/** Where the readers of a peer are: saved with its numbers. */
export interface ReadersRecord {
  readonly text?: ReaderJson;
  readonly file?: ReaderJson;
}

/** What the next mail to a peer gets: its number, whether it has to be a hello, and what it is sealed to if it is none. */
export interface NextNumber {
  readonly epoch: string;
  readonly seq: number;
  readonly floor: number;
  readonly hello: boolean;
  readonly forward?: Forwarding;
}

export interface PairsOptions {
  /** Keys "mail/epoch" and "mail/out/...". */
  readonly saved: ReadonlyMap<string, Uint8Array>;
  /** The epoch when none is saved, 16 hex. */
  readonly fresh: string;
  /** Where the readers of the peer are now. */
  readonly readers: (peer: Hashname) => ReadersRecord;
  readonly put: (save: Save) => void;
}

/** The pairs of one store. */
export class Pairs {
  /** Random per store creation and restore, 16 hex. */
  readonly epoch: string;
  readonly #options: PairsOptions;
  readonly #pairs = new Map<Hashname, Pair>();
  /** Where the readers of peers that did not come yet were. */
  readonly #readers = new Map<Hashname, ReadersRecord>();
  /** First number for a new pair: above all numbers of pairs that ended, so that none is ever used twice. */
  #first: number;
  readonly #isFresh: boolean;

  constructor(options: PairsOptions) {
    this.#options = options;
    const { saved, fresh } = options;
    const own = saved.get(EPOCH_KEY);
    const { epoch, first }: EpochRecord = own === undefined ? { epoch: fresh, first: 1 } : ofJson(own);
    this.epoch = epoch;
    this.#first = first;
    this.#isFresh = own === undefined;
    for (const [key, value] of saved)
      if (key.startsWith(OUT_PREFIX)) this.#load(key.slice(OUT_PREFIX.length) as Hashname, ofJson(value));
  }

  /** Once, before all else. */
  start(): void {
    if (this.#isFresh) this.#saveEpoch();
  }

  /** `undefined`: it has no number yet, or is no longer one of ours. */
  get(peer: Hashname): Pair | undefined {
    return this.#pairs.get(peer);
  }

  /** The pair, begun if there is none. */
  of(peer: Hashname): Pair {
    const known = this.#pairs.get(peer);
    if (known !== undefined) return known;
    const [epoch, first] = [this.epoch, this.#first];
    const pair = pairOf({ epoch, next: first, began: first }, { storeEpoch: epoch, first, isWhole: true });
    this.#pairs.set(peer, pair);
    return pair;
  }

  /** Where the readers of a peer that comes were, told once. */
  takeReaders(peer: Hashname): ReadersRecord {
    const saved = this.#readers.get(peer) ?? {};
    this.#readers.delete(peer);
    return saved;
  }

  /** Has it numbers of a life before, and did not come yet? */
  isAwaited(peer: Hashname): boolean {
    return this.#readers.has(peer);
  }

  /** Is anybody? */
  get awaitsAny(): boolean {
    return this.#readers.size > 0;
  }

  /** What the next mail to the peer gets. */
  next(peer: Hashname): NextNumber {
    const pair = this.#pairs.get(peer);
    if (pair === undefined) return { epoch: this.epoch, seq: this.#first, floor: this.#first, hello: true };
    const forward = pair.forwarding();
    const number = { epoch: pair.epoch, seq: pair.next, floor: pair.floor, hello: !pair.view.isHeard };
    return { ...number, ...(forward && { forward }) };
  }

  /** What the peer may know of its forward keys: see `Acknowledgement`. `undefined`: it told us none. */
  uses(peer: Hashname): readonly string[] | undefined {
    const forward = this.#pairs.get(peer)?.forwarding();
    return forward && [forwardId(forward.key), ...forward.uses];
  }

  /** The epochs that a copy of our store should not number mail in: see `Acknowledgement`. `undefined`: none. */
  left(peer: Hashname): readonly string[] | undefined {
    const left = this.#pairs.get(peer)?.left ?? [];
    return left.length === 0 ? undefined : left;
  }

  /** Mails of several parts that we cancelled. `undefined`: none that the peer may have some of. */
  cancelled(peer: Hashname): readonly Marked[] | undefined {
    return this.#pairs.get(peer)?.cancelled.tell();
  }

  /** When another copy of our store was last seen to number mail; `undefined`: never. */
  get copiedAt(): Time | undefined {
    return Math.max(0, ...[...this.#pairs.values()].map(({ doubtedAt }) => doubtedAt)) || undefined;
  }

  /** Which parts the peer has. Not to be changed. */
  have(parcel: Parcel): Ranges {
    return this.#pairs.get(parcel.peer)?.have(parcel) ?? new Ranges();
  }

  /** What the peer told of parts of a mail that is not whole is not believed any more. It may tell it again. */
  forget({ peer, epoch, seq }: Parcel): void {
    if (this.#pairs.get(peer)?.view.forget(epoch, seq)) this.save(peer);
  }

  /** Parcels in memory to the peer that are still to be delivered, in the order of their numbers. */
  open(peer: Hashname): Parcel[] {
    const open = [...(this.#pairs.get(peer)?.parcels() ?? [])].filter(({ state }) => state === "open");
    return open.sort((a, b) => a.seq - b.seq);
  }

  /** The parcel is not offered any more. */
  close(parcel: Parcel, state: "acknowledged" | "stopped"): void {
    parcel.state = state;
    this.#pairs.get(parcel.peer)?.closed(parcel);
  }

  /** The pair is about to leave the epoch of the store, or to end: a new one begins above its numbers. */
  rise(pair: Pair): void {
    if (pair.epoch !== this.epoch || pair.next <= this.#first) return;
    this.#first = pair.next;
    this.#saveEpoch();
  }

  /** The peer is no longer one of ours. Gives the pair that it had. */
  remove(peer: Hashname): Pair | undefined {
    this.#readers.delete(peer);
    const pair = this.#pairs.get(peer);
    if (pair === undefined) return undefined;
    this.#pairs.delete(peer);
    this.#options.put({ type: "save", key: OUT_PREFIX + peer, value: undefined });
    this.rise(pair);
    return pair;
  }

  /** Saves the pair as it is now, if there is one. */
  save(peer: Hashname): void {
    const pair = this.#pairs.get(peer);
    if (pair === undefined) return;
    const record: OutRecord = { ...pairRecord(pair, this.epoch), ...this.#options.readers(peer) };
    this.#options.put({ type: "save", key: OUT_PREFIX + peer, value: asJson(record) });
  }

  #load(peer: Hashname, { text, file, ...record }: OutRecord): void {
    if (record.epoch === this.epoch) this.#readers.set(peer, { ...(text && { text }), ...(file && { file }) });
    const isWhole = [text, file].every((reader) => reader === undefined || reader.first >= reader.from);
    this.#pairs.set(peer, pairOf(record, { storeEpoch: this.epoch, first: this.#first, isWhole }));
  }

  #saveEpoch(): void {
    const record: EpochRecord = { epoch: this.epoch, first: this.#first };
    this.#options.put({ type: "save", key: EPOCH_KEY, value: asJson(record) });
  }
}

interface EpochRecord {
  readonly epoch: string;
  readonly first: number;
}

/** The value of "mail/out/<peer>". */
type OutRecord = PairRecord & ReadersRecord;

/** Where the epoch of our numbers lies. Without it the next start draws a new one. */
export const EPOCH_KEY = "mail/epoch";
const OUT_PREFIX = "mail/out/";
