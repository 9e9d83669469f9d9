/**
 * What a cache keeps for others, in memory alone: messages in boxes of recipients, within bounds. The cache role decides
 * nothing about room; every adapter applies the rules below, and `boxStoreSuite` in `restante/testing` proves that it does.
 * protocol/box.md §7
 */
import { assert, Deadlines, equal, type Time } from "../bytes/index.ts";

/**
 * Whom a message is from, as its token says: the recipient itself, a sender that the recipient named, or anybody with an
 * invite. Strangers have a small pool of their own, so they never push out what the others left.
 */
type BoxClass = "member" | "contact" | "stranger";

/**
 * One operation. `op` is a number that its answer repeats. `recipient` is a hashname (text), `box` and `id` 16 hex
 * characters. `bytes` are handed over. `expires`: from this time on the message does not exist.
 */
export type BoxOp =
  | {
      readonly type: "put";
      readonly op: number;
      readonly recipient: string;
      readonly box: string;
      readonly id: string;
      readonly bytes: Uint8Array;
      readonly expires: Time;
      readonly class: BoxClass;
    }
  /** Every message with this id: two different ones may share it (X16). */
  | {
      readonly type: "remove";
      readonly op: number;
      readonly recipient: string;
      readonly box: string;
      readonly id: string;
    }
  | { readonly type: "clear"; readonly op: number; readonly recipient: string; readonly box: string }
  /** The recipient's boxes that hold messages. */
  | { readonly type: "list"; readonly op: number; readonly recipient: string }
  /** The oldest message after `after`, which is 0 or the cursor of an earlier answer. */
  | {
      readonly type: "read";
      readonly op: number;
      readonly recipient: string;
      readonly box: string;
      readonly after: number;
    }
  /** Erase what has expired, although nobody asks for it. */
  | { readonly type: "sweep"; readonly op: number };

/** Each operation has one answer with its `op`. `gained` has none: it tells of any new message, and may come at any time. */
export type BoxAnswer =
  /** To put, remove and clear, whatever came of it. */
  | { readonly type: "done"; readonly op: number }
  | { readonly type: "list"; readonly op: number; readonly boxes: readonly string[] }
  /** A copy of the bytes, the caller's own. `cursor` is above 0 and grows within a box. */
  | {
      readonly type: "message";
      readonly op: number;
      readonly id: string;
      readonly bytes: Uint8Array;
      readonly cursor: number;
    }
  | { readonly type: "dry"; readonly op: number }
  | { readonly type: "swept"; readonly op: number; readonly messages: number }
  | { readonly type: "gained"; readonly recipient: string; readonly box: string; readonly wasEmpty: boolean };

/** Bytes unless said otherwise. Message data shorter than 128 bytes counts as 128 (no sealed message is that short). */
export interface BoxLimits {
  /** Message data in one box: what `cap` on an inbox channel says. */
  readonly box: number;
  /** Message data for one recipient, of members and contacts. */
  readonly recipient: number;
  /** Message data in a stranger's box. */
  readonly strangerBox: number;
  /** Message data for one recipient, of all strangers together. */
  readonly strangers: number;
  /** Memory for everything: message data and what it costs to keep it. Beyond it nothing new is kept. */
  readonly total: number;
  /** Boxes of one recipient, a number. */
  readonly boxes: number;
  /** The longest time that anything is kept, ms. */
  readonly lifetime: Time;
}

/** Counts over everything, and of what became of messages since the start. Never per hashname (seed 003: status and volume). */
export interface BoxStats {
  readonly recipients: number;
  readonly boxes: number;
  readonly messages: number;
  readonly bytes: number;
  /** What `total` bounds. */
  readonly memory: number;
  readonly gained: number;
  readonly refused: number;
  readonly evicted: number;
  readonly expired: number;
}

/**
 * Boxes in dynamic memory. Never writes to a disk, never throws or rejects for lack of room or of a box.
 *
 * - A put that repeats a kept message (same box, same bytes) keeps its place and takes over the new `expires`.
 * - A full box loses its oldest messages for a new one; so does a recipient at quota; so do a recipient's strangers.
 * - The newest message under 1024 bytes of each box goes only by removal, expiry or a newer one like it (X39). What
 *   cannot be fitted in without it is not kept.
 * - What is gone is overwritten with zeros first.
 */
export interface BoxStore {
  /** Answers of operations given one after the other may come late, but take effect in the order given. */
  handle(op: BoxOp, now: Time): BoxAnswer[] | Promise<BoxAnswer[]>;
  stats(): BoxStats;
}

/** A `BoxStore` that answers at once. */
export interface MemoryBoxes extends BoxStore {
  handle(op: BoxOp, now: Time): BoxAnswer[];
}

/** DESIGN "Constants", and what a small machine has to spare. */
export const BOX_LIMITS: BoxLimits = {
  box: 8 * 1024 * 1024,
  recipient: 64 * 1024 * 1024,
  strangerBox: 8 * 1024,
  strangers: 256 * 1024,
  total: 1024 * 1024 * 1024,
  boxes: 4096,
  lifetime: 30 * 24 * 60 * 60 * 1000,
};

/**
 * A store in the heap of this process that answers at once. Limits not given are `BOX_LIMITS`.
 * Every operation costs O(log n) in what is kept, `list` O(boxes of the recipient), `clear` O(box).
 */
export function memoryBoxStore(limits: Partial<BoxLimits> = {}): MemoryBoxes {
  return new MemoryBoxStore({ ...BOX_LIMITS, ...limits });
}

interface Message {
  readonly half: Half;
  readonly id: string;
  readonly serial: number;
  bytes: Uint8Array;
  readonly size: number; // what it counts
  readonly isSmall: boolean;
  isGone: boolean;
  /** Where in `half.order` to look on, once this one is gone. */
  skip: number;
}

/** A box as one class of sender filled it. Nearly always the only half. */
interface Half {
  readonly shelf: Shelf;
  readonly box: string;
  /** By serial. Gone ones stay until they are half of it, so that removal costs O(1) on average. */
  order: Message[];
  gone: number;
  readonly byId: Map<string, Message[]>;
  bytes: number;
  /** The small ones among them, in order. */
  smalls: Message[];
  /** The newest small message of the box, if it is in this half. */
  kept: Message | undefined;
}

/** A recipient's messages of one kind of sender, under one quota. */
interface Shelf {
  readonly holder: Holder;
  readonly boxLimit: number;
  readonly limit: number;
  readonly halves: Map<string, Half>;
  bytes: number;
  /** Bytes that nothing pushes out. */
  keptBytes: number;
  /** What may be pushed out; the "time" is the serial, so the oldest comes first. */
  readonly evictable: Deadlines<Message>;
}

class Holder {
  readonly recipient: string;
  readonly known: Shelf;
  readonly strangers: Shelf;
  boxes = 0;

  constructor(recipient: string, limits: BoxLimits) {
    this.recipient = recipient;
    this.known = newShelf(this, limits.box, limits.recipient);
    this.strangers = newShelf(this, limits.strangerBox, limits.strangers);
  }
}

class MemoryBoxStore implements MemoryBoxes {
  readonly #limits: BoxLimits;
  readonly #holders = new Map<string, Holder>();
  readonly #expiry = new Deadlines<Message>();
  #serial = 0;
  #boxes = 0;
  #messages = 0;
  #bytes = 0;
  #memory = 0;
  #gained = 0;
  #refused = 0;
  #evicted = 0;
  #expired = 0;

  constructor(limits: BoxLimits) {
    this.#limits = limits;
  }

  handle(op: BoxOp, now: Time): BoxAnswer[] {
    for (const message of this.#expiry.due(now)) {
      this.#remove(message);
      this.#expired++;
    }
    switch (op.type) {
      case "put":
        return [...this.#put(op, now), { type: "done", op: op.op }];
      case "remove":
        for (const half of this.#halves(op.recipient, op.box))
          for (const message of [...(half.byId.get(op.id) ?? [])]) this.#remove(message);
        return [{ type: "done", op: op.op }];
      case "clear":
        for (const half of this.#halves(op.recipient, op.box))
          for (const message of [...half.order]) if (!message.isGone) this.#remove(message);
        return [{ type: "done", op: op.op }];
      case "list":
        return [{ type: "list", op: op.op, boxes: this.#list(op.recipient) }];
      case "read": {
        const next = this.#next(this.#halves(op.recipient, op.box), op.after);
        if (next === undefined) return [{ type: "dry", op: op.op }];
        return [{ type: "message", op: op.op, id: next.id, bytes: next.bytes.slice(), cursor: next.serial }];
      }
      case "sweep":
        return [{ type: "swept", op: op.op, messages: this.#messages }];
    }
  }

  stats(): BoxStats {
    return {
      recipients: this.#holders.size,
      boxes: this.#boxes,
      messages: this.#messages,
      bytes: this.#bytes,
      memory: this.#memory,
      gained: this.#gained,
      refused: this.#refused,
      evicted: this.#evicted,
      expired: this.#expired,
    };
  }

  #put(op: Extract<BoxOp, { type: "put" }>, now: Time): BoxAnswer[] {
    const expires = Math.min(op.expires, now + this.#limits.lifetime);
    const halves = this.#halves(op.recipient, op.box);
    for (const half of halves) {
      const same = half.byId.get(op.id)?.find((message) => equal(message.bytes, op.bytes));
      if (same === undefined) continue;
      op.bytes.fill(0);
      if (expires > now) this.#expiry.set(same, expires);
      else this.#remove(same);
      return [];
    }
    const message = expires > now ? this.#admit(op) : undefined;
    if (message === undefined) {
      op.bytes.fill(0);
      this.#refused++;
      return [];
    }
    this.#expiry.set(message, expires);
    this.#gained++;
    return [{ type: "gained", recipient: op.recipient, box: op.box, wasEmpty: halves.length === 0 }];
  }

  /** Makes room and puts the message there; `undefined` (and nothing is pushed out) when there can be none. */
  #admit(op: Extract<BoxOp, { type: "put" }>): Message | undefined {
    const holder = this.#holders.get(op.recipient) ?? new Holder(op.recipient, this.#limits);
    const shelf = op.class === "stranger" ? holder.strangers : holder.known;
    const size = Math.max(op.bytes.length, MIN_COUNTED);
    const isSmall = op.bytes.length < SMALL_BYTES;
    const half = shelf.halves.get(op.box);

    // What would stay whatever is pushed out. A small message takes the protection over from the one before it.
    const keptInBox = half?.kept === undefined || isSmall ? 0 : half.kept.size;
    const freed = isSmall ? (half?.kept?.size ?? 0) : 0;
    if (keptInBox + size > shelf.boxLimit) return undefined;
    if (shelf.keptBytes - freed + size > shelf.limit) return undefined;
    const memory = op.bytes.length + MESSAGE_MEMORY + (half === undefined ? BOX_MEMORY : 0);
    if (this.#memory + memory > this.#limits.total) return undefined;
    if (!hasBox(holder, op.box) && holder.boxes >= this.#limits.boxes) return undefined;

    const home = half ?? this.#newHalf(shelf, op.box);
    if (isSmall) for (const other of this.#halves(op.recipient, op.box)) this.#expose(other);
    while (home.bytes + size > shelf.boxLimit) this.#evict(oldestEvictable(home));
    while (shelf.bytes + size > shelf.limit) this.#evict(shelf.evictable.due(shelf.evictable.next() ?? 0)[0]);
    // Pushing out another box's message never empties this half, but pushing out its own may have: it is back now.
    if (!shelf.halves.has(op.box)) this.#link(home);

    const { id, bytes } = op;
    const serial = ++this.#serial;
    const message: Message = { half: home, id, serial, bytes, size, isSmall, isGone: false, skip: 0 };
    home.order.push(message);
    const twins = home.byId.get(id);
    if (twins === undefined) home.byId.set(id, [message]);
    else twins.push(message);
    home.bytes += size;
    shelf.bytes += size;
    this.#messages++;
    this.#bytes += bytes.length;
    this.#memory += bytes.length + MESSAGE_MEMORY;
    shelf.evictable.set(message, serial);
    if (isSmall) {
      home.smalls.push(message);
      this.#protect(this.#halves(op.recipient, op.box));
    }
    return message;
  }

  /** Sees to it that nothing pushes out the newest small message of the box that these are. */
  #protect(halves: readonly Half[]): void {
    let newest: Message | undefined;
    for (const { smalls } of halves) {
      while (smalls.at(-1)?.isGone) smalls.pop();
      const last = smalls.at(-1);
      if (last !== undefined && last.serial > (newest?.serial ?? 0)) newest = last;
    }
    for (const half of halves) if (half.kept !== newest) this.#expose(half);
    if (newest === undefined || newest.half.kept === newest) return;
    newest.half.kept = newest;
    newest.half.shelf.keptBytes += newest.size;
    newest.half.shelf.evictable.set(newest, undefined);
  }

  /** The message that was protected here may be pushed out now. */
  #expose(half: Half): void {
    if (half.kept === undefined) return;
    half.shelf.keptBytes -= half.kept.size;
    half.shelf.evictable.set(half.kept, half.kept.serial);
    half.kept = undefined;
  }

  #evict(message: Message | undefined): void {
    assert(message !== undefined, "what is not protected makes the room that was promised");
    this.#remove(message);
    this.#evicted++;
  }

  #remove(message: Message): void {
    const { half } = message;
    const { shelf } = half;
    this.#messages--;
    this.#bytes -= message.bytes.length;
    this.#memory -= message.bytes.length + MESSAGE_MEMORY;
    half.bytes -= message.size;
    shelf.bytes -= message.size;
    message.bytes.fill(0);
    message.bytes = NOTHING;
    message.isGone = true;
    this.#expiry.set(message, undefined);
    shelf.evictable.set(message, undefined);
    const wasKept = half.kept === message;
    if (wasKept) {
      half.kept = undefined;
      shelf.keptBytes -= message.size;
    }
    const twins = half.byId.get(message.id) ?? [];
    if (twins.length > 1) twins.splice(twins.indexOf(message), 1);
    else half.byId.delete(message.id);
    if (half.byId.size === 0) this.#unlink(half);
    else {
      message.skip = firstFrom(half.order, message.serial) + 1;
      half.gone++;
      if (half.gone > TIDY_FROM && 2 * half.gone > half.order.length) {
        half.order = half.order.filter((one) => !one.isGone);
        half.smalls = half.smalls.filter((one) => !one.isGone);
        half.gone = 0;
      }
    }
    if (wasKept) this.#protect(this.#halves(shelf.holder.recipient, half.box));
  }

  /** The halves that hold messages: none, one, or two where a sender wrote as a stranger and as a contact. */
  #halves(recipient: string, box: string): Half[] {
    const holder = this.#holders.get(recipient);
    const halves = [holder?.known.halves.get(box), holder?.strangers.halves.get(box)];
    return halves.filter((half) => half !== undefined);
  }

  #list(recipient: string): string[] {
    const holder = this.#holders.get(recipient);
    if (holder === undefined) return [];
    return [...new Set([...holder.known.halves.keys(), ...holder.strangers.halves.keys()])];
  }

  #next(halves: readonly Half[], after: number): Message | undefined {
    let next: Message | undefined;
    for (const half of halves) {
      const message = half.order[livePlace(half.order, firstFrom(half.order, after + 1))];
      if (message !== undefined && (next === undefined || message.serial < next.serial)) next = message;
    }
    return next;
  }

  #newHalf(shelf: Shelf, box: string): Half {
    const half: Half = { shelf, box, order: [], gone: 0, byId: new Map(), bytes: 0, smalls: [], kept: undefined };
    this.#link(half);
    return half;
  }

  #link(half: Half): void {
    const { holder } = half.shelf;
    if (!hasBox(holder, half.box)) {
      holder.boxes++;
      this.#boxes++;
    }
    this.#memory += BOX_MEMORY;
    half.shelf.halves.set(half.box, half);
    this.#holders.set(holder.recipient, holder);
  }

  #unlink(half: Half): void {
    const { holder } = half.shelf;
    half.order = [];
    half.smalls = [];
    half.gone = 0;
    this.#memory -= BOX_MEMORY;
    half.shelf.halves.delete(half.box);
    if (hasBox(holder, half.box)) return;
    holder.boxes--;
    this.#boxes--;
    if (holder.boxes === 0) this.#holders.delete(holder.recipient);
  }
}

function hasBox(holder: Holder, box: string): boolean {
  return holder.known.halves.has(box) || holder.strangers.halves.has(box);
}

function newShelf(holder: Holder, boxLimit: number, limit: number): Shelf {
  return { holder, boxLimit, limit, halves: new Map(), bytes: 0, keptBytes: 0, evictable: new Deadlines() };
}

/** The first message of the half that is not protected: the first that is there, or the one after it. */
function oldestEvictable(half: Half): Message | undefined {
  const first = livePlace(half.order, 0);
  const message = half.order[first];
  return message !== half.kept ? message : half.order[livePlace(half.order, first + 1)];
}

/** Where the first message stands whose serial is at least `serial`; the length when there is none. */
function firstFrom(order: readonly Message[], serial: number): number {
  let low = 0;
  let high = order.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((order[middle]?.serial ?? 0) < serial) low = middle + 1;
    else high = middle;
  }
  return low;
}

/** The place of the first message at or after `place` that is not gone. Shortens the way for the next who comes by. */
function livePlace(order: readonly Message[], place: number): number {
  let end = place;
  for (let message = order[end]; message?.isGone; message = order[end]) end = message.skip;
  for (let message = order[place], at = place; message?.isGone && at < end; message = order[at]) {
    at = message.skip;
    message.skip = end;
  }
  return end;
}

const SMALL_BYTES = 1024; // seed 003: the last message of a sender "if it is <1024 bytes"
const MIN_COUNTED = 128; // or a quota of bytes would be no bound on the number of messages
// Measured on Node 20 with 300,000 messages of 256 bytes: 1321 besides the bytes with one in a box, 726 with a hundred.
const MESSAGE_MEMORY = 768;
const BOX_MEMORY = 600;
const TIDY_FROM = 32;
const NOTHING: Uint8Array = new Uint8Array(0);
