/**
 * The pointers that a node keeps for others: under each key those of many recipients, from many sources that nobody vouches
 * for. No source can crowd out another, neither in what is kept nor in the order in which it is shown.
 * protocol/bazaar-network.md §3
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { concat, encodeVarint, equal, Reader, type Time, toHex } from "restante/protocol";
import { encodedPointerBytes, PAGE_POINTERS, type PointerRecord, type PointerStatus } from "../format/dht.ts";

/** Who put a pointer. Both are names of the caller's choice, equal for equal sources. */
export interface Source {
  /** The peer that asked, authenticated. */
  readonly peer: string;
  /** Where it asked from, as wide as addresses come for free: a network. Peers are cheap, networks are not. */
  readonly group: string;
}

/** A pointer as it is kept, for whoever saves it. `until`: when it is forgotten. */
export interface PointerRow {
  readonly key: Uint8Array;
  readonly pointer: PointerRecord;
  readonly source: Source;
  readonly until: Time;
}

/** What has to be saved: a row under its name, or that there is none any more. */
export interface PointerChange {
  readonly name: string;
  readonly row: PointerRow | undefined;
}

/**
 * How many pointers are kept for others. Above `perPeer` and `perGroup` a new one is refused; above `perKey` and `total` the group that has
 * the most makes room, unless it is that of the newcomer.
 */
export interface PointerLimits {
  /** Pointers in all; below one key; of one peer; of one group. */
  readonly total: number;
  readonly perKey: number;
  readonly perPeer: number;
  readonly perGroup: number;
}

/** A part of what lies below a key. */
export interface PointerPage {
  readonly pointers: readonly PointerRecord[];
  /** Ask with it for the next page; absent: this was the last. */
  readonly next?: Uint8Array;
}

/** How long a pointer is kept after it was put the last time: 7 days, as OpenBazaar's. */
export const POINTER_LIFE_MS: number = 7 * 24 * 3600 * 1000;

const POINTER_LIMITS: PointerLimits = { total: 50_000, perKey: 2_000, perPeer: 2_000, perGroup: 10_000 };

/** The store. Time is an argument; nothing here throws on what others send, and nothing grows above the limits. */
export class Pointers {
  readonly #limits: PointerLimits;
  readonly #keys = new Map<string, Kept[]>(); // each in the order of pages
  readonly #byName = new Map<string, Kept>(); // the one put least recently first
  readonly #peers = new Tally();
  readonly #groups = new Tally();
  readonly #ofGroup = new Map<string, Set<Kept>>();
  /** Below each key, how many of each group. */
  readonly #shares = new Map<string, Tally>();
  /** Hashes whose secret was shown, and until when none of them is taken again: a push node may not know yet. */
  readonly #gone = new Map<string, Time>();
  readonly #changed = new Set<string>();
  #serial = 0;

  constructor(limits: Partial<PointerLimits> = {}) {
    this.#limits = { ...POINTER_LIMITS, ...limits };
  }

  /** How many are kept. */
  get size(): number {
    return this.#byName.size;
  }

  /** Takes in what was saved, at the start. Rows that have no room are left out. */
  load(rows: Iterable<PointerRow>, now: Time): void {
    for (const row of [...rows].sort((a, b) => a.until - b.until)) {
      if (row.until <= now) this.#changed.add(nameOf(row.key, row.pointer.id, row.source));
      else this.#put(row);
    }
  }

  /**
   * Keeps a pointer for seven days from now. The same id from the same peer again renews it. "full": the source has all that it
   * may have, or what is kept is fuller of its group than of any other; "gone": it was withdrawn.
   */
  put(key: Uint8Array, pointer: PointerRecord, source: Source, now: Time): PointerStatus {
    this.expire(now);
    const { life: _, ...kept } = pointer;
    if (kept.withdraw && this.#gone.has(toHex(kept.withdraw))) return "gone";
    return this.#put({ key, pointer: kept, source, until: now + POINTER_LIFE_MS }) ? "done" : "full";
  }

  /**
   * A page below a key, at most PAGE_POINTERS and `bytes` in an answer. First one of each group, then a second of each, and
   * within a group in the same way one peer's beside another's: how many anybody has put does not move the others back.
   * A cursor that this store did not give shows some page or none.
   */
  get(key: Uint8Array, cursor: Uint8Array | undefined, bytes: number, now: Time): PointerPage {
    this.expire(now);
    const kept = this.#keys.get(toHex(key)) ?? [];
    const after = cursor && parseCursor(cursor);
    const pointers: PointerRecord[] = [];
    let left = bytes;
    let at = after ? indexAfter(kept, after) : 0;
    for (let last: Kept | undefined; at < kept.length; at++) {
      const entry = kept[at];
      if (entry === undefined) break;
      if (entry.until <= now) continue; // it was put after the clock was set back, and stands behind one that ends later
      left -= encodedPointerBytes(entry.pointer);
      if (pointers.length === PAGE_POINTERS || (left < 0 && last))
        return { pointers, ...(last && { next: encodeCursor(last) }) };
      const life = Math.ceil((entry.until - now) / 1000);
      pointers.push({ ...entry.pointer, life });
      last = entry;
    }
    return { pointers };
  }

  /** Forgets every pointer with this id below the key whose hash is that of `preimage`, whoever put it; and takes none for it. */
  withdraw(key: Uint8Array, id: Uint8Array, preimage: Uint8Array, now: Time): PointerStatus {
    this.expire(now);
    const hash = sha256(preimage);
    const kept = this.#keys.get(toHex(key)) ?? [];
    const found = kept.filter(
      ({ pointer }) => equal(pointer.id, id) && pointer.withdraw && equal(pointer.withdraw, hash),
    );
    for (const entry of found) this.#drop(entry);
    if (found.length === 0) return "unknown";
    const [oldest] = this.#gone.size >= MOST_GONE ? this.#gone.keys() : [];
    if (oldest !== undefined) this.#gone.delete(oldest);
    this.#gone.set(toHex(hash), now + POINTER_LIFE_MS);
    return "done";
  }

  /** Forgets what is over. Every other call does so too. */
  expire(now: Time): void {
    for (const entry of this.#byName.values()) {
      if (entry.until > now) break;
      this.#drop(entry);
    }
    for (const [hash, until] of this.#gone) {
      if (until > now) break;
      this.#gone.delete(hash);
    }
  }

  /** When something is over next. */
  deadline(): Time | undefined {
    const [first] = this.#byName.values();
    return first?.until;
  }

  /** What changed since the last call, for whoever saves it. A name may come that was never saved. */
  changes(): PointerChange[] {
    const changes = [...this.#changed].map((name) => ({ name, row: this.#byName.get(name) }));
    this.#changed.clear();
    return changes;
  }

  #put(row: PointerRow): boolean {
    const { source } = row;
    const name = nameOf(row.key, row.pointer.id, source);
    const before = this.#byName.get(name);
    if (before) {
      // The place stays: who puts again moves neither forward nor back.
      before.pointer = row.pointer;
      before.until = row.until;
      this.#byName.delete(name);
      this.#byName.set(name, before);
      this.#changed.add(name);
      return true;
    }
    if (this.#peers.of(source.peer) >= this.#limits.perPeer) return false;
    if (this.#groups.of(source.group) >= this.#limits.perGroup) return false;
    const key = toHex(row.key);
    const list = this.#keys.get(key) ?? [];
    const share = this.#shares.get(key);
    if (share && list.length >= this.#limits.perKey && !this.#makeRoom(list, share, source.group)) return false;
    if (this.size >= this.#limits.total) {
      const fullest = this.#ofGroup.get(this.#groups.fullest() ?? "") ?? [];
      if (!this.#makeRoom(fullest, this.#groups, source.group)) return false;
    }
    this.#insert(name, key, row);
    return true;
  }

  /** Drops the last one shown of the group that has the most, unless the newcomer's has as many. */
  #makeRoom(among: Iterable<Kept>, tally: Tally, newcomer: string): boolean {
    const fullest = tally.fullest();
    if (fullest === undefined || tally.of(newcomer) + 1 >= tally.of(fullest)) return false;
    let last: Kept | undefined;
    for (const entry of among) if (entry.source.group === fullest && (!last || isBefore(last, entry))) last = entry;
    if (last) this.#drop(last);
    return last !== undefined;
  }

  #insert(name: string, key: string, row: PointerRow): void {
    const list = this.#keys.get(key) ?? [];
    this.#keys.set(key, list);
    const entry: Kept = { ...row, name, ...seat(list, row.source), serial: this.#serial++ };
    list.splice(indexAfter(list, entry), 0, entry);
    this.#byName.set(name, entry);
    this.#count(key, entry, 1);
    this.#changed.add(name);
  }

  #drop(entry: Kept): void {
    const key = toHex(entry.key);
    const list = this.#keys.get(key) ?? [];
    list.splice(list.indexOf(entry), 1);
    if (list.length === 0) this.#keys.delete(key);
    this.#byName.delete(entry.name);
    this.#count(key, entry, -1);
    this.#changed.add(entry.name);
  }

  #count(key: string, entry: Kept, by: 1 | -1): void {
    const { peer, group } = entry.source;
    this.#peers.add(peer, by);
    this.#groups.add(group, by);
    const share = this.#shares.get(key) ?? new Tally();
    share.add(group, by);
    if (share.isEmpty) this.#shares.delete(key);
    else this.#shares.set(key, share);
    const members = this.#ofGroup.get(group) ?? new Set();
    if (by > 0) members.add(entry);
    else members.delete(entry);
    if (members.size === 0) this.#ofGroup.delete(group);
    else this.#ofGroup.set(group, members);
  }
}

/** Before which others below its key a pointer is shown. */
interface Place {
  readonly turn: number;
  readonly serial: number;
}

/** A row, and where it stands. `column`: which of its group's peers has put it; `slot`: which of that peer's it is. */
interface Kept extends Omit<PointerRow, "pointer" | "until">, Place {
  pointer: PointerRecord;
  until: Time;
  readonly name: string;
  readonly column: number;
  readonly slot: number;
}

/**
 * The lowest free slot of the peer, in its column or the lowest free one of its group. The turn is their sum: however many
 * peers a group shows and however many pointers they have, at most n + 1 of the group have turn n.
 */
function seat(list: readonly Kept[], source: Source): { column: number; slot: number; turn: number } {
  const columns = new Set<number>();
  const slots = new Set<number>();
  let own: number | undefined;
  for (const entry of list) {
    if (entry.source.group !== source.group) continue;
    columns.add(entry.column);
    if (entry.source.peer !== source.peer) continue;
    own = entry.column;
    slots.add(entry.slot);
  }
  const column = own ?? lowestFree(columns);
  const slot = lowestFree(slots);
  return { column, slot, turn: column + slot };
}

function lowestFree(taken: ReadonlySet<number>): number {
  let free = 0;
  while (taken.has(free)) free++;
  return free;
}

function isBefore(a: Place, b: Place): boolean {
  return a.turn < b.turn || (a.turn === b.turn && a.serial < b.serial);
}

/** Where the first one stands that comes after `place`. */
function indexAfter(list: readonly Kept[], place: Place): number {
  let low = 0;
  let high = list.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    const entry = list[middle];
    if (entry && isBefore(place, entry)) high = middle;
    else low = middle + 1;
  }
  return low;
}

function nameOf(key: Uint8Array, id: Uint8Array, source: Source): string {
  return `${toHex(key)}/${toHex(id)}/${source.peer}`;
}

function encodeCursor({ turn, serial }: Place): Uint8Array {
  return concat(encodeVarint(turn), encodeVarint(serial));
}

function parseCursor(bytes: Uint8Array): Place | undefined {
  const reader = new Reader(bytes);
  const turn = reader.varint();
  const serial = reader.varint();
  return turn === undefined || serial === undefined ? undefined : { turn, serial };
}

/** How many of each name there are, and which has the most, without looking at all. */
class Tally {
  readonly #counts = new Map<string, number>();
  readonly #levels = new Map<number, Set<string>>();
  #most = 0;

  get isEmpty(): boolean {
    return this.#counts.size === 0;
  }

  of(name: string): number {
    return this.#counts.get(name) ?? 0;
  }

  fullest(): string | undefined {
    const [name] = this.#levels.get(this.#most) ?? [];
    return name;
  }

  add(name: string, by: 1 | -1): void {
    const before = this.of(name);
    const count = before + by;
    const left = this.#levels.get(before);
    left?.delete(name);
    if (left?.size === 0) this.#levels.delete(before);
    if (count === 0) this.#counts.delete(name);
    else {
      this.#counts.set(name, count);
      const level = this.#levels.get(count) ?? new Set();
      level.add(name);
      this.#levels.set(count, level);
    }
    if (count > this.#most || (this.#most > 0 && !this.#levels.has(this.#most))) this.#most = count;
  }
}

const MOST_GONE = 10_000;
