/**
 * What we have from one peer: committed numbers and parts, so that a mail is shown once. No clock, no window to outlive.
 * protocol/mail.md §8
 */
import { assert, concat, encodeVarint, fromHex, Reader, toHex } from "../bytes/index.ts";
import type { AckReport, AckUnfinished } from "./acknowledgement.ts";
import {
  ACK_EPOCHS,
  ACK_UNFINISHED,
  BITMAP_BYTES,
  CLOSED_LIMIT,
  EPOCHS_LIMIT,
  PARTS_LIMIT,
  RANGES_LIMIT,
  SEQ_LIMIT,
  UNFINISHED_LIMIT,
} from "./constants.ts";
import { type Range, Ranges } from "./ranges.ts";

/** Recipient side, one per sending peer. Bounded: what cannot be recorded is refused, and will be offered again. */
export class Numbering {
  /** The last used epoch last. */
  readonly #epochs: Map<string, Epoch> = new Map();
  /** Epochs that were pushed out. Forgetting what we had of them must not make it new again, so nothing of them is new. */
  readonly #closed: Set<string> = new Set();

  /**
   * Is this part neither committed, nor below the floor, nor of a closed epoch? Changes nothing. `epoch` is 16 hex, `seq`
   * from 1, `part` from 0, as `parsePart` gives them.
   */
  isNew(epoch: string, seq: number, part: number): boolean {
    if (this.#closed.has(epoch)) return false;
    const known = this.#epochs.get(epoch);
    if (known === undefined) return true;
    return seq >= known.floor && !known.whole.has(seq) && !known.unfinished.get(seq)?.parts.has(part);
  }

  /** Is something committed under this number, as far as that is known: from the floor on, in an open epoch? */
  has(epoch: string, seq: number): boolean {
    const known = this.#epochs.get(epoch);
    return known?.whole.has(seq) === true || known?.unfinished.has(seq) === true;
  }

  /** How many parts are committed of a mail that is not whole. */
  parts(epoch: string, seq: number): number {
    return this.#epochs.get(epoch)?.unfinished.get(seq)?.parts.size ?? 0;
  }

  /** Did anything come in this epoch, or a floor of it, as far as that is remembered? */
  knows(epoch: string): boolean {
    return this.#epochs.has(epoch) || this.#closed.has(epoch);
  }

  /**
   * Records one part: "part", or "whole" when it completes the mail. `undefined`, and nothing changed, when the part is not
   * new, contradicts an earlier `of`, or a bound is reached. A part that is new and refused must be neither shown nor
   * removed at the cache: it is offered again, and fits once the sender's floor has moved.
   */
  commit(epoch: string, seq: number, part: number, of: number): "part" | "whole" | undefined {
    assert(seq >= 1 && seq <= SEQ_LIMIT && part >= 0 && part < of && of <= PARTS_LIMIT, "a part has a number");
    if (!this.isNew(epoch, seq, part) || !this.#mayOpen(epoch)) return undefined;
    const known = this.#epochs.get(epoch) ?? { floor: 1, whole: new Ranges(), unfinished: new Map() };
    const result = commitIn(known, seq, part, of);
    if (result !== undefined) this.#use(epoch, known);
    return result;
  }

  /**
   * Takes over the sender's floor, from a part or an acknowledgement of its own: the numbers of the unfinished mails that
   * fell below it (their parts may be thrown away), often none; `undefined` when the floor did not move.
   */
  lower(epoch: string, floor: number): readonly number[] | undefined {
    assert(floor >= 1 && floor <= SEQ_LIMIT, "a floor is a number");
    const known = this.#epochs.get(epoch) ?? { floor: 1, whole: new Ranges(), unfinished: new Map() };
    if (floor <= known.floor || this.#closed.has(epoch) || !this.#mayOpen(epoch)) return undefined;
    known.floor = floor;
    known.whole.cut(floor);
    const dropped = [...known.unfinished.keys()].filter((seq) => seq < floor).sort((a, b) => a - b);
    for (const seq of dropped) known.unfinished.delete(seq);
    this.#use(epoch, known);
    return dropped;
  }

  /**
   * The state to acknowledge: the 4 epochs used last, and of each the 4 unfinished mails of which parts came last. Of the mails
   * in `held` it says nothing yet.
   */
  report(held: readonly Place[] = []): AckReport[] {
    return [...this.#epochs]
      .slice(-ACK_EPOCHS)
      .reverse()
      .map(([epoch, { floor, whole, unfinished }]) => ({
        epoch,
        floor,
        ranges: held
          .reduce((list, each) => (each.epoch === epoch ? without(list, each.seq) : list), whole.list())
          .slice(0, RANGES_LIMIT),
        unfinished: ascending([...unfinished].slice(-ACK_UNFINISHED)).map(([seq, { parts }]) =>
          reportUnfinished(seq, parts),
        ),
      }));
  }

  /** Nothing is committed under this number any more; what is whole, or below the floor, stays. False: it does. */
  forget(epoch: string, seq: number): boolean {
    const known = this.#epochs.get(epoch);
    if (this.#closed.has(epoch) || (known !== undefined && (seq < known.floor || known.whole.has(seq)))) return false;
    known?.unfinished.delete(seq);
    return true;
  }

  /** Numbers of an open epoch from its floor up to `below` of which nothing has come: the first so many. */
  missing(epoch: string, below: number, limit: number): number[] {
    const { floor, whole, unfinished } = this.#epochs.get(epoch) ?? NO_EPOCH;
    const found: number[] = [];
    for (let seq = whole.missing(floor); seq < below && found.length < limit; seq = whole.missing(seq + 1))
      if (!unfinished.has(seq)) found.push(seq);
    return found;
  }

  /**
   * How many numbers between a floor and the highest one seen have not come at all, over all open epochs but those in `left`.
   * `since`: in its epoch only numbers from its `seq` on count. `cancelled`: these do not.
   */
  gaps({
    left = [],
    since,
    cancelled = [],
  }: {
    left?: readonly string[];
    since?: Place | undefined;
    cancelled?: readonly Place[];
  } = {}): number {
    let missing = 0;
    for (const [epoch, { floor, whole, unfinished }] of this.#epochs) {
      if (left.includes(epoch)) continue;
      const highest = Math.max(floor - 1, whole.highest ?? 0, ...unfinished.keys());
      missing += highest - floor + 1 - whole.size - unfinished.size;
      const first = since?.epoch === epoch ? Math.max(floor, since.seq) : floor;
      for (const { epoch: of, seq } of cancelled)
        if (of === epoch && seq >= first && seq <= highest && !whole.has(seq) && !unfinished.has(seq)) missing--;
      if (since?.epoch !== epoch || since.seq <= floor) continue;
      const last = Math.min(since.seq - 1, highest);
      const came = whole.list().reduce((sum, [a, b]) => sum + Math.max(0, Math.min(b, last) - a + 1), 0);
      missing -= last - floor + 1 - came - [...unfinished.keys()].filter((seq) => seq <= last).length;
    }
    return missing;
  }

  /** The whole state, for `decode`. Our own store's format: never sent. */
  encode(): Uint8Array {
    const parts = [Uint8Array.of(VERSION), encodeVarint(this.#epochs.size)];
    for (const [name, epoch] of this.#epochs) {
      parts.push(epochBytes(name), encodeVarint(epoch.floor), epoch.whole.encode(epoch.floor));
      parts.push(encodeVarint(epoch.unfinished.size));
      for (const [seq, mail] of epoch.unfinished) {
        parts.push(encodeVarint(seq), encodeVarint(mail.of), mail.parts.encode(0));
      }
    }
    parts.push(encodeVarint(this.#closed.size), ...[...this.#closed].map(epochBytes));
    return concat(...parts);
  }

  /** The state that `encode` wrote; `undefined` for bytes that it cannot have written. */
  static decode(bytes: Uint8Array): Numbering | undefined {
    const reader = new Reader(bytes);
    const numbering = new Numbering();
    if (reader.u8() !== VERSION) return undefined;
    const epochs = reader.varint() ?? Number.POSITIVE_INFINITY;
    if (epochs > EPOCHS_LIMIT) return undefined;
    for (let i = 0; i < epochs; i++) {
      const name = reader.take(8);
      const epoch = readEpoch(reader);
      if (name === undefined || epoch === undefined) return undefined;
      numbering.#epochs.set(toHex(name), epoch);
    }
    const closed = reader.varint() ?? Number.POSITIVE_INFINITY;
    if (closed > CLOSED_LIMIT) return undefined;
    for (let i = 0; i < closed; i++) numbering.#closed.add(toHex(reader.take(8) ?? bytes.subarray(0, 0)));
    const all = new Set([...numbering.#epochs.keys(), ...numbering.#closed]);
    return reader.done && all.size === epochs + closed ? numbering : undefined;
  }

  /** Is the epoch open, or is there a place for it? */
  #mayOpen(epoch: string): boolean {
    return this.#epochs.has(epoch) || this.#epochs.size < EPOCHS_LIMIT || this.#closed.size < CLOSED_LIMIT;
  }

  /** Makes the epoch the one used last, and closes the one not used for longest when there is one too many. */
  #use(epoch: string, known: Epoch): void {
    this.#epochs.delete(epoch);
    this.#epochs.set(epoch, known);
    if (this.#epochs.size <= EPOCHS_LIMIT) return;
    const [oldest] = this.#epochs.keys();
    assert(oldest !== undefined, "a full map has a first key");
    this.#epochs.delete(oldest);
    this.#closed.add(oldest);
  }
}

/** A number, and whose. */
interface Place {
  readonly epoch: string;
  readonly seq: number;
}

interface Epoch {
  floor: number;
  /** Numbers of complete mails, none below the floor. */
  readonly whole: Ranges;
  /** By number, none below the floor, none complete. The one of which a part came last is last. */
  readonly unfinished: Map<number, { readonly of: number; readonly parts: Ranges }>;
}

function commitIn(epoch: Epoch, seq: number, part: number, of: number): "part" | "whole" | undefined {
  const mail = epoch.unfinished.get(seq);
  if (mail !== undefined && mail.of !== of) return undefined;
  if ((mail?.parts.size ?? 0) + 1 === of) {
    if (!epoch.whole.add(seq, seq, RANGES_LIMIT)) return undefined;
    epoch.unfinished.delete(seq);
    return "whole";
  }
  if (mail === undefined && epoch.unfinished.size >= UNFINISHED_LIMIT) return undefined;
  const parts = mail?.parts ?? new Ranges();
  if (!parts.add(part, part, RANGES_LIMIT)) return undefined;
  epoch.unfinished.delete(seq);
  epoch.unfinished.set(seq, { of, parts });
  return "part";
}

/** The ranges without one number. */
function without(ranges: readonly Range[], seq: number): readonly Range[] {
  return ranges.flatMap(([first, last]): Range[] => {
    if (seq < first || seq > last) return [[first, last]];
    return [...(first < seq ? [[first, seq - 1] as const] : []), ...(seq < last ? [[seq + 1, last] as const] : [])];
  });
}

function reportUnfinished(seq: number, parts: Ranges): AckUnfinished {
  const missing = parts.missing(0);
  const bitmap = new Uint8Array(BITMAP_BYTES);
  let length = 0;
  for (const [first, last] of parts.list()) {
    for (let part = Math.max(first, missing + 1); part <= last; part++) {
      const bit = part - missing - 1;
      if (bit >= BITMAP_BYTES * 8) break;
      length = (bit >> 3) + 1;
      bitmap[bit >> 3] = (bitmap[bit >> 3] ?? 0) | (1 << (bit & 7));
    }
  }
  return { seq, missing, bitmap: bitmap.slice(0, length) };
}

function readEpoch(reader: Reader): Epoch | undefined {
  const floor = reader.varint() ?? 0;
  const whole = Ranges.read(reader, { base: floor, highest: SEQ_LIMIT, limit: RANGES_LIMIT });
  const count = reader.varint() ?? Number.POSITIVE_INFINITY;
  if (floor < 1 || floor > SEQ_LIMIT || whole === undefined || count > UNFINISHED_LIMIT) return undefined;
  const epoch: Epoch = { floor, whole, unfinished: new Map() };
  for (let i = 0; i < count; i++) {
    const seq = reader.varint() ?? 0;
    const of = reader.varint() ?? 0;
    if (seq < floor || seq > SEQ_LIMIT || whole.has(seq) || epoch.unfinished.has(seq) || of > PARTS_LIMIT)
      return undefined;
    const parts = Ranges.read(reader, { base: 0, highest: of - 1, limit: RANGES_LIMIT });
    if (parts === undefined || parts.count === 0 || parts.size >= of) return undefined;
    epoch.unfinished.set(seq, { of, parts });
  }
  return epoch;
}

function ascending<V>(entries: Iterable<[number, V]>): [number, V][] {
  return [...entries].sort(([a], [b]) => a - b);
}

function epochBytes(epoch: string): Uint8Array {
  const bytes = fromHex(epoch);
  assert(bytes?.length === 8, "an epoch is 16 hex");
  return bytes;
}

const NO_EPOCH: Epoch = { floor: SEQ_LIMIT, whole: new Ranges(), unfinished: new Map() };
const VERSION = 1; // of the encoded state
