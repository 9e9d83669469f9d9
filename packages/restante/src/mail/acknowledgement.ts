/**
 * Acknowledgements: what one peer has of another's mail. State, not events, so losing one is cheap and an old one does no
 * harm. How they are written, and the sender's view of what has arrived. protocol/mail.md §9
 */
import { assert, concat, encodeVarint, fromHex, Reader, toHex } from "../bytes/index.ts";
import type { Crypto, Hashname } from "../crypto/index.ts";
import { encodePacket, isObject, type Json, type JsonObject, parsePacket, text, uint } from "../wire/index.ts";
import {
  ACK_EPOCHS,
  ACK_UNFINISHED,
  BITMAP_BYTES,
  EPOCHS_LIMIT,
  PARTS_LIMIT,
  RANGES_LIMIT,
  SECOND_CLASS,
  SEQ_LIMIT,
  UNFINISHED_LIMIT,
} from "./constants.ts";
import { isHex, unpad } from "./envelope.ts";
import { FORWARD_KEYS, forwardId } from "./forward.ts";
import { encodeCommonHead, pad, parseCommonHead } from "./inner.ts";
import { encodeMarked, type Marked, parseMarked } from "./marks.ts";
import { type Range, Ranges } from "./ranges.ts";
import { encodeReads, parseReads, type Read } from "./reads.ts";
import { encodeShown, parseShown, type Shown } from "./shown.ts";

/** What the acknowledger has of one epoch of the reader's. */
export interface AckReport {
  /** 16 hex: a store epoch of the reader. */
  readonly epoch: string;
  /** The reader's floor that was taken over. It says nothing about what was delivered. */
  readonly floor: number;
  /** Numbers of whole mails, from `floor` on: at most 512 ranges, ascending, disjoint, not adjacent. */
  readonly ranges: readonly Range[];
  /** At most 4, ascending in `seq`: mails that are not in `ranges` and of which some parts are committed. */
  readonly unfinished: readonly AckUnfinished[];
}

/** Of one mail: parts below `missing` are committed, `missing` is not, and the bitmap tells of 1024 parts behind it. */
export interface AckUnfinished {
  readonly seq: number;
  readonly missing: number;
  /** Bit i, the lowest of a byte first, is part missing + 1 + i. At most 128 bytes, the last of them not zero. */
  readonly bitmap: Uint8Array;
}

/** One peer's state towards another. */
export interface Acknowledgement {
  /** The acknowledger's store epoch, 16 hex. Another one than before: its store is new or was restored. */
  readonly by: string;
  /** The epoch, 16 hex, in which the acknowledger numbers its own mail to the reader ... */
  readonly ownEpoch: string;
  /** ... and its floor there. */
  readonly floor: number;
  /** At most 4, of different epochs. */
  readonly reports: readonly AckReport[];
  /** The acknowledger's forward keys for the reader. Absent in what was made before there were any. */
  readonly keys?: Announcement;
  /**
   * Ids, 16 hex, of the reader's forward keys: the one that the acknowledger seals to now, and at most 3 older ones that its
   * mail still wants. Absent: it was told none.
   */
  readonly uses?: readonly string[];
  /** By which of the acknowledger's caches the reader's mail came. Absent: by none lately, or it does not say. */
  readonly shown?: Shown;
  /** Which mails stand under the numbers that were committed last. Absent: none lately, or it does not say. */
  readonly marked?: readonly Marked[];
  /**
   * At most 4 epochs of the reader's, 16 hex: under a number of them there came two mails, so two copies of its store number
   * mail. What the reports say of these epochs is true of one of the copies.
   */
  readonly twice?: readonly string[];
  /**
   * At most 4 epochs of the acknowledger's, 16 hex, in which it numbers no mail any more, and nobody should: if a copy of its
   * store does, the reader tells it so by `twice`.
   */
  readonly left?: readonly string[];
  /** Which of the reader's mails the acknowledger's user has seen. Absent: none, or it does not say. */
  readonly read?: readonly Read[];
  /** Mails of the acknowledger's own, of several parts, that it cancelled: their epochs are its own. Absent: none, or it does not say. */
  readonly cancelled?: readonly Marked[];
}

/** What forward keys a peer holds for one sender. */
export interface Announcement {
  /** 16 hex: `turn` counts up within a ring ... */
  readonly ring: string;
  /** ... from 1, to at most 2^48; what has no higher one than the last that was heard is old. */
  readonly turn: number;
  /** 64 hex each, the newest first: 1 to 4, of different ids. */
  readonly keys: readonly string[];
}

/** An acknowledgement with its addresses: `from` acknowledges to `to`. */
export interface AddressedAck extends Acknowledgement {
  readonly from: Hashname;
  readonly to: Hashname;
}

/**
 * The inner packet, padded to the second size class (to a larger one when the state does not fit, which takes hundreds of
 * ranges). Equal input gives equal bytes. Which caches showed what is left out where it would make the packet larger.
 */
export function encodeAck(crypto: Crypto, csid: number, ack: AddressedAck): Uint8Array {
  const reports = concat(encodeVarint(ack.reports.length), ...ack.reports.map(encodeReport));
  const head = {
    ...encodeCommonHead({ type: "ack", suite: "static", from: ack.from, to: ack.to }),
    by: ack.by,
    epoch: ack.ownEpoch,
    floor: ack.floor,
    keys: ack.keys && { ring: ack.keys.ring, turn: ack.keys.turn, list: ack.keys.keys },
    uses: ack.uses,
    ids: ack.marked && encodeMarked(ack.marked),
    twice: ack.twice,
    left: ack.left,
    read: ack.read && encodeReads(ack.read),
    cancelled: ack.cancelled && encodeMarked(ack.cancelled),
  };
  const told = encodePacket({ ...head, via: ack.shown && encodeShown(ack.shown), len: reports.length }, reports);
  const overhead = crypto.sets.get(csid)?.overhead ?? 0;
  const isSmall = ack.shown === undefined || told.length + overhead <= SECOND_CLASS;
  const packet = isSmall ? told : encodePacket({ ...head, len: reports.length }, reports);
  assert(parseAck(packet) !== undefined, "we write only acknowledgements that we would read");
  return pad(crypto, csid, packet, SECOND_CLASS);
}

/** The acknowledgement in an inner packet of a proven sender, a copy; `undefined` for all that is not exactly as mail.md §9. */
export function parseAck(inner: Uint8Array): AddressedAck | undefined {
  const packet = parsePacket(inner);
  const json = packet?.json;
  const common = parseCommonHead(json);
  const by = text(json, "by");
  const ownEpoch = text(json, "epoch");
  const floor = uint(json, "floor", SEQ_LIMIT);
  const body = packet && unpad(packet.body, uint(json, "len"));
  const reports = body && parseReports(body);
  if (common?.type !== "ack" || by === undefined || ownEpoch === undefined || reports === undefined) return undefined;
  if (!isHex(by, EPOCH_BYTES) || !isHex(ownEpoch, EPOCH_BYTES) || floor === undefined || floor < 1) return undefined;
  const keys = json?.["keys"] === undefined ? undefined : parseAnnouncement(json["keys"]);
  const uses = json?.["uses"] === undefined ? undefined : parseNames(json["uses"], ID_BYTES);
  const twice = json?.["twice"] === undefined ? undefined : parseNames(json["twice"], EPOCH_BYTES);
  const left = json?.["left"] === undefined ? undefined : parseNames(json["left"], EPOCH_BYTES);
  if (keys === null || uses === null || twice === null || left === null) return undefined;
  const shown = parseShown(json?.["via"]);
  const marked = parseMarked(json?.["ids"]);
  const read = parseReads(json?.["read"]);
  const cancelled = parseMarked(json?.["cancelled"]);
  if (read === undefined && json?.["read"] !== undefined) return undefined;
  if (cancelled === undefined && json?.["cancelled"] !== undefined) return undefined;
  if (shown === undefined && json?.["via"] !== undefined) return undefined;
  if (marked === undefined && json?.["ids"] !== undefined) return undefined;
  const { from, to } = common;
  return {
    ...{ from, to, by, ownEpoch, floor, reports },
    ...(keys && { keys }),
    ...(uses && { uses }),
    ...(shown && { shown }),
    ...(marked && { marked }),
    ...(twice && { twice }),
    ...(left && { left }),
    ...(read && { read }),
    ...(cancelled && { cancelled }),
  };
}

/** What one acknowledgement brought. */
export interface Merged {
  /** Something is committed that this `by` had not told before. */
  readonly news: boolean;
  /** A `by` never heard before, where another was: show "restored", and offer again what is still in the spool. */
  readonly restored: boolean;
}

/**
 * Sender side, one per receiving peer: the union of all its acknowledgements, kept apart by `by` and epoch. In whatever
 * order they come, however often, it ends the same. Only ranges and parts count: floors in acknowledgements are not read.
 * Bounded; what does not fit is not taken, so it is offered again and acknowledged again.
 */
export class AckView {
  /** By `by`; that of the peer's present store last. Those of which nothing was heard are empty. */
  readonly #stores: Map<string, Map<string, Committed>> = new Map();
  /** Our own floors. Below them nothing is kept. */
  readonly #floors: Map<string, number> = new Map();

  /** Has anything ever been acknowledged? Until then every part is a hello. */
  get isHeard(): boolean {
    return this.#stores.size > 0;
  }

  /** The `by` of the peer's present store. */
  get present(): string | undefined {
    return [...this.#stores.keys()].at(-1);
  }

  /** There is no other store that the present one could be taken for. */
  get isAlone(): boolean {
    return this.#stores.size <= 1;
  }

  /**
   * Takes over what an acknowledgement of that peer says. `since`: the first number of ours that was given when the present store
   * had been heard. One that knows none of these may have been under way since before; absent, any news is of the present.
   */
  merge(ack: Acknowledgement, since?: Since): Merged {
    const known = this.#stores.get(ack.by);
    const store = known ?? new Map<string, Committed>();
    const restored = known === undefined && this.isHeard;
    const news = ack.reports.filter((report) => this.#take(store, report)).length > 0;
    // An old acknowledgement brings no news, so a copy of one does not bring back the store of before a restore.
    const isPresent = news && (since === undefined || ack.by === this.present || knows(ack, since));
    if (known === undefined || isPresent) putLast(this.#stores, ack.by, store, STORES_LIMIT);
    for (const by of ack.left ?? []) this.#remember(by);
    return { news, restored };
  }

  /** Was the whole mail committed, by whatever store of the peer? Then it is delivered. */
  isWhole(epoch: string, seq: number): boolean {
    return [...this.#stores.values()].some((store) => store.get(epoch)?.whole.has(seq));
  }

  /** Need this part not be offered: is the mail whole, or has the peer's present store this part? */
  has(epoch: string, seq: number, part: number): boolean {
    return this.isWhole(epoch, seq) || this.parts(epoch, seq).has(part);
  }

  /** Which parts of a mail that is not whole the peer's present store has. Not to be changed. */
  parts(epoch: string, seq: number): Ranges {
    const present = [...this.#stores.values()].at(-1);
    return present?.get(epoch)?.parts.get(seq) ?? NO_PARTS;
  }

  /** What any store told of the parts of a mail that is not whole is forgotten, until it is told again. Whether there was anything. */
  forget(epoch: string, seq: number): boolean {
    const told = [...this.#stores.values()].filter((store) => store.get(epoch)?.parts.delete(seq));
    return told.length > 0;
  }

  /** Forgets what is below our own floor, of mails that are final: they count as not acknowledged from now on. */
  lower(epoch: string, floor: number): void {
    assert(floor >= 1 && floor <= SEQ_LIMIT, "a floor is a number");
    if (floor <= (this.#floors.get(epoch) ?? 1)) return;
    putLast(this.#floors, epoch, floor, EPOCHS_LIMIT);
    for (const store of this.#stores.values()) {
      const committed = store.get(epoch);
      committed?.whole.cut(floor);
      for (const seq of committed?.parts.keys() ?? []) if (seq < floor) committed?.parts.delete(seq);
    }
  }

  /** The whole state, for `decode`. Our own store's format: never sent. */
  encode(): Uint8Array {
    const parts = [Uint8Array.of(VERSION), encodeVarint(this.#floors.size)];
    for (const [epoch, floor] of this.#floors) parts.push(name(epoch), encodeVarint(floor));
    parts.push(encodeVarint(this.#stores.size));
    for (const [by, store] of this.#stores) {
      parts.push(name(by), encodeVarint(store.size));
      for (const [epoch, committed] of store) {
        parts.push(name(epoch), committed.whole.encode(1), encodeVarint(committed.parts.size));
        for (const [seq, have] of committed.parts) parts.push(encodeVarint(seq), have.encode(0));
      }
    }
    return concat(...parts);
  }

  /** The state that `encode` wrote; `undefined` for bytes that it cannot have written. */
  static decode(bytes: Uint8Array): AckView | undefined {
    const reader = new Reader(bytes);
    if (reader.u8() !== VERSION) return undefined;
    const view = new AckView();
    const floors = readMap(reader, EPOCHS_LIMIT, readName, (r) => r.varint());
    const stores = readMap(reader, STORES_LIMIT, readName, (r) => readMap(r, EPOCHS_LIMIT, readName, readCommitted));
    if (floors === undefined || stores === undefined || !reader.done) return undefined;
    for (const [epoch, floor] of floors) {
      if (floor < 1 || floor > SEQ_LIMIT) return undefined;
      view.#floors.set(epoch, floor);
    }
    for (const [by, store] of stores) view.#stores.set(by, store);
    return view;
  }

  /** A store that is no more, and may be heard yet: never as the present one. Takes the place of none that was heard. */
  #remember(by: string): void {
    if (this.#stores.has(by) || this.#stores.size >= STORES_LIMIT) return;
    const later = [...this.#stores];
    this.#stores.clear();
    for (const [name, store] of [[by, new Map<string, Committed>()] as const, ...later]) this.#stores.set(name, store);
  }

  /** Adds one report; whether it brought news. */
  #take(store: Map<string, Committed>, report: AckReport): boolean {
    const floor = this.#floors.get(report.epoch) ?? 1;
    const committed = store.get(report.epoch) ?? { whole: new Ranges(), parts: new Map() };
    let news = false;
    for (const [first, last] of report.ranges) {
      const from = Math.max(first, floor);
      if (from > last || committed.whole.covers(from, last)) continue;
      if (committed.whole.add(from, last, VIEW_RANGES)) news = true;
    }
    for (const seq of committed.parts.keys()) if (committed.whole.has(seq)) committed.parts.delete(seq);
    for (const mail of report.unfinished) {
      if (mail.seq >= floor && !committed.whole.has(mail.seq) && takeParts(committed.parts, mail)) news = true;
    }
    if (news) putLast(store, report.epoch, committed, EPOCHS_LIMIT);
    return news;
  }
}

/** A number of ours. */
export interface Since {
  readonly epoch: string;
  readonly seq: number;
}

/** Whether it speaks of that number or a later one. */
function knows({ reports }: Acknowledgement, since: Since): boolean {
  const { ranges = [], unfinished = [] } = reports.find(({ epoch }) => epoch === since.epoch) ?? {};
  return Math.max(ranges.at(-1)?.[1] ?? 0, unfinished.at(-1)?.seq ?? 0) >= since.seq;
}

/** What one store of the peer has of one epoch of ours. */
interface Committed {
  readonly whole: Ranges;
  /** Parts of mails that are not whole, by number. */
  readonly parts: Map<number, Ranges>;
}

/** Adds what is told of an unfinished mail; whether it brought news. */
function takeParts(all: Map<number, Ranges>, { seq, missing, bitmap }: AckUnfinished): boolean {
  const parts = all.get(seq) ?? new Ranges();
  const before = parts.size;
  if (missing > 0) parts.add(0, missing - 1, RANGES_LIMIT);
  for (let bit = 0; bit < bitmap.length * 8; bit++) {
    const part = missing + 1 + bit;
    if (((bitmap[bit >> 3] ?? 0) >> (bit & 7)) & 1) parts.add(part, part, RANGES_LIMIT);
  }
  if (parts.size === before || (!all.has(seq) && all.size >= VIEW_UNFINISHED)) return false;
  all.set(seq, parts);
  return true;
}

/** Sets the key as the last of the map, and takes the first out when there is one too many. */
function putLast<V>(map: Map<string, V>, key: string, value: V, limit: number): void {
  map.delete(key);
  map.set(key, value);
  const [first] = map.keys();
  if (map.size > limit && first !== undefined) map.delete(first);
}

/** A count and so many keys with their values; `undefined` for more than `limit`, or a key twice. */
function readMap<K, V>(
  reader: Reader,
  limit: number,
  readKey: (reader: Reader) => K | undefined,
  readValue: (reader: Reader) => V | undefined,
): Map<K, V> | undefined {
  const count = reader.varint() ?? Number.POSITIVE_INFINITY;
  if (count > limit) return undefined;
  const map = new Map<K, V>();
  for (let i = 0; i < count; i++) {
    const key = readKey(reader);
    const value = readValue(reader);
    if (key === undefined || value === undefined || map.has(key)) return undefined;
    map.set(key, value);
  }
  return map;
}

function readName(reader: Reader): string | undefined {
  const bytes = reader.take(EPOCH_BYTES);
  return bytes && toHex(bytes);
}

function readCommitted(reader: Reader): Committed | undefined {
  const whole = Ranges.read(reader, { base: 1, highest: SEQ_LIMIT, limit: VIEW_RANGES });
  const parts = readMap(
    reader,
    VIEW_UNFINISHED,
    (r) => r.varint(),
    (r) => Ranges.read(r, { base: 0, highest: PARTS_LIMIT - 1, limit: RANGES_LIMIT }),
  );
  return whole && parts && { whole, parts };
}

/** The 8 bytes of an epoch or a `by`. */
function name(hex: string): Uint8Array {
  const bytes = fromHex(hex);
  assert(bytes?.length === EPOCH_BYTES, "an epoch is 16 hex");
  return bytes;
}

function encodeReport({ epoch, floor, ranges, unfinished }: AckReport): Uint8Array {
  const numbers = new Ranges();
  for (const [first, last] of ranges) numbers.add(first, last, RANGES_LIMIT);
  const mails = unfinished.map(({ seq, missing, bitmap }) =>
    concat(encodeVarint(seq), encodeVarint(missing), encodeVarint(bitmap.length), bitmap),
  );
  return concat(name(epoch), encodeVarint(floor), numbers.encode(floor), encodeVarint(mails.length), ...mails);
}

function parseReports(bytes: Uint8Array): AckReport[] | undefined {
  const reader = new Reader(bytes);
  const count = reader.varint() ?? Number.POSITIVE_INFINITY;
  if (count > ACK_EPOCHS) return undefined;
  const reports: AckReport[] = [];
  for (let i = 0; i < count; i++) {
    const report = parseReport(reader);
    if (report === undefined || reports.some(({ epoch }) => epoch === report.epoch)) return undefined;
    reports.push(report);
  }
  return reader.done ? reports : undefined;
}

function parseReport(reader: Reader): AckReport | undefined {
  const epoch = reader.take(EPOCH_BYTES);
  const floor = reader.varint() ?? 0;
  const ranges = Ranges.read(reader, { base: floor, highest: SEQ_LIMIT, limit: RANGES_LIMIT });
  const count = reader.varint() ?? Number.POSITIVE_INFINITY;
  if (epoch === undefined || floor < 1 || floor > SEQ_LIMIT || ranges === undefined) return undefined;
  if (count > ACK_UNFINISHED) return undefined;
  const unfinished: AckUnfinished[] = [];
  for (let i = 0, least = floor; i < count; i++) {
    const seq = reader.varint() ?? 0;
    const missing = reader.varint() ?? PARTS_LIMIT;
    const bitmap = reader.take(reader.varint());
    if (seq < least || seq > SEQ_LIMIT || ranges.has(seq) || bitmap === undefined) return undefined;
    if (missing >= PARTS_LIMIT || bitmap.length > BITMAP_BYTES || bitmap.at(-1) === 0) return undefined;
    if (highestPart(missing, bitmap) >= PARTS_LIMIT) return undefined;
    unfinished.push({ seq, missing, bitmap: bitmap.slice() });
    least = seq + 1;
  }
  return { epoch: toHex(epoch), floor, ranges: ranges.list(), unfinished };
}

/** The highest part that the report of an unfinished mail speaks of. The last byte of the bitmap is not zero. */
function highestPart(missing: number, bitmap: Uint8Array): number {
  const last = bitmap.at(-1);
  return last === undefined ? missing : missing + bitmap.length * 8 - (Math.clz32(last) - 24);
}

// `null`, here and below = there, but not as it must be.
function parseAnnouncement(json: Json): Announcement | null {
  const fields: JsonObject | undefined = isObject(json) ? json : undefined;
  const ring = text(fields, "ring");
  const turn = uint(fields, "turn", SEQ_LIMIT);
  const keys = fields?.["list"] === undefined ? null : parseNames(fields["list"], KEY_BYTES);
  if (ring === undefined || !isHex(ring, EPOCH_BYTES) || turn === undefined || turn < 1 || keys === null) return null;
  return { ring, turn, keys };
}

/** 1 to 4 texts, each of so many bytes in hex, which begin differently. */
function parseNames(json: Json, bytes: number): string[] | null {
  if (!Array.isArray(json)) return null;
  const list: readonly Json[] = json;
  const names = list.filter((each) => typeof each === "string" && isHex(each, bytes)) as string[];
  const isWhole = names.length === list.length && new Set(names.map(forwardId)).size === names.length;
  return isWhole && names.length >= 1 && names.length <= FORWARD_KEYS ? names : null;
}

const NO_PARTS: Ranges = new Ranges();
const VERSION = 1; // of the encoded state
const EPOCH_BYTES = 8;
const ID_BYTES = 8; // of a forward key
const KEY_BYTES = 32;
const STORES_LIMIT = 4; // a store that is pushed out and speaks again counts as restored: all is offered again, no more
const VIEW_RANGES = 2 * RANGES_LIMIT; // our floor may be behind the one that the peer reported from
const VIEW_UNFINISHED = 2 * UNFINISHED_LIMIT; // some may have ended without our hearing of it
