/**
 * Boxes in the memory of this process, without an object for any message, box or recipient: messages lie in slots
 * (slabs/slots.ts), boxes and recipients in records. So a million messages are a few hundred arrays to the garbage collector,
 * and a message costs its bytes and 47 more. protocol/box.md §7
 */
import { assert, type Random, slabs, type Time, wordsHex } from "../bytes/index.ts";
import { BOX_LIMITS, type BoxAnswer, type BoxLimits, type BoxOp, type BoxStats, type MemoryBoxes } from "./boxes.ts";
import { EvictHeap } from "./slabs/evict-heap.ts";
import { NEVER } from "./slabs/expiries.ts";
import { HashIndex } from "./slabs/hash-index.ts";
import { type KeyedHash, keyedHash } from "./slabs/keyed-hash.ts";
import { MessageIndex } from "./slabs/message-index.ts";
import { NAME_WORDS, parseId, parseName, ReadMessage, takeId } from "./slabs/names.ts";
import { OrderTree } from "./slabs/order-tree.ts";
import { Records } from "./slabs/records.ts";
import {
  HALF,
  ID_HIGH,
  ID_LOW,
  MAX_MESSAGE,
  type Moved,
  messageMemory,
  renumbered,
  Slots,
  serialAt,
  slotMemory,
  startOf,
} from "./slabs/slots.ts";
import type { Name, Spot } from "./slabs/spot.ts";

/**
 * A store that answers at once. Limits not given are `BOX_LIMITS`; the longest message is 1 MiB. Under what is no hashname
 * or no id it keeps nothing. Every operation costs O(log n) in what is kept, `list` O(boxes of the recipient), `clear` O(box). `random` makes the
 * hashing of names unpredictable; answers do not depend on it.
 */
export function memoryBoxStore(limits: Partial<BoxLimits> = {}, random: Random = webRandom): MemoryBoxes {
  return new MemoryBoxStore({ ...BOX_LIMITS, ...limits }, random);
}

type Message = Pick<Extract<BoxAnswer, { type: "message" }>, "id" | "bytes" | "cursor">;
/** `isLast`: none follows these. */
interface Found {
  readonly messages: Message[];
  readonly isLast: boolean;
}
type Put = Extract<BoxOp, { type: "put" }>;
/** What one of the messages of a put has of its own. */
type Given = NonNullable<Put["more"]>[number];

/**
 * What the store calls things: a *holder* is the record of a recipient that has messages. A *shelf* is a holder's messages of
 * one kind of sender, under one quota: twice the holder's number, and one more for strangers. A *half* is the record of a box
 * as one kind of sender filled it: nearly always the only one. 0 is none of each.
 */
export class MemoryBoxStore implements MemoryBoxes {
  readonly #limits: BoxLimits;
  readonly #hash: KeyedHash;
  readonly #words: Uint32Array = new Uint32Array(3);
  /** The ids of the operation at hand, as two words. No object is made for what is on the way of everything. */
  readonly #box: Uint32Array = new Uint32Array(2);
  readonly #id: Uint32Array = new Uint32Array(2);
  readonly #slots: Slots = new Slots();
  readonly #moved: (run: Moved) => void = (run) => this.#renumber(run);
  readonly #cut: (length: number) => Uint8Array = slabs(CUT_FROM);
  readonly #halves: Records = new Records(HALF_WORDS);
  readonly #holders: Records = new Records(HOLDER_WORDS);
  readonly #byId: MessageIndex;
  readonly #byBox: HashIndex;
  readonly #byName: HashIndex;
  readonly #names: (Name | undefined)[] = Array(NAMES).fill(undefined);
  readonly #order: OrderTree;
  readonly #heap: EvictHeap;
  #serial = 0;
  #recipients = 0;
  #boxes = 0;
  #messages = 0;
  #bytes = 0;
  #memory = 0;
  #gained = 0;
  #refused = 0;
  #evicted = 0;
  #expired = 0;

  constructor(limits: BoxLimits, random: Random) {
    this.#limits = limits;
    const [slots, halves, holders] = [this.#slots, this.#halves, this.#holders];
    this.#hash = keyedHash(random(8));
    this.#order = new OrderTree(slots, new DataView(random(4).slice().buffer).getUint32(0));
    this.#heap = new EvictHeap(halves, { child: HALF_CHILD, next: HALF_AFTER, before: HALF_BEFORE }, (half, other) => {
      if (!this.#isOrdered(halves.get(half, HALF_SHELF))) return true; // then there is no first one to look at
      const [first, second] = [halves.get(half, HALF_FIRST), halves.get(other, HALF_FIRST)];
      if (first === 0 || second === 0) return first !== 0;
      const more = halves.get(half, HALF_BYTES) - halves.get(other, HALF_BYTES);
      return more === 0 ? slots.serial(first) <= slots.serial(second) : more > 0;
    });
    const fields = { count: HALF_COUNT, filter: HALF_FILTER, roots: ORDERS };
    this.#byId = new MessageIndex(slots, halves, fields, this.#hash);
    this.#byBox = new HashIndex(1, {
      next: (half) => halves.get(half, HALF_NEXT),
      setNext: (half, next) => halves.set(half, HALF_NEXT, next),
      hash: (half) => this.#hashOfHalf(half),
    });
    this.#byName = new HashIndex(1, {
      next: (holder) => holders.get(holder, HOLDER_NEXT),
      setNext: (holder, next) => holders.set(holder, HOLDER_NEXT, next),
      hash: (holder) => this.#hashOfHolder(holder),
    });
  }

  handle(op: BoxOp, now: Time): BoxAnswer[] {
    for (let message = this.#slots.due(now); message !== 0; message = this.#slots.due(now)) {
      this.#remove(message);
      this.#expired++;
    }
    switch (op.type) {
      case "put":
        return this.#put(op, now);
      case "remove":
      case "remove-many": {
        const half = this.#halfOf(op);
        const twin = this.#twin(half);
        const ids = op.type === "remove-many" ? op.ids : parseId(op.id, this.#id) ? this.#id : NO_IDS;
        if (half !== 0) this.#removeFrom(half, ids);
        if (twin !== 0) this.#removeFrom(twin, ids);
        return [{ type: "done", op: op.op }];
      }
      case "clear": {
        const half = this.#halfOf(op);
        const twin = this.#twin(half);
        if (half !== 0) this.#clear(half, this.#all(half));
        if (twin !== 0) this.#clear(twin, this.#all(twin));
        return [{ type: "done", op: op.op }];
      }
      case "list":
        return [{ type: "list", op: op.op, boxes: this.#list(this.#holderOf(this.#nameOf(op.recipient))) }];
      case "read": {
        const { messages, isLast } = this.#read(this.#halfOf(op), op);
        const first = messages.shift();
        if (first === undefined) return [{ type: "dry", op: op.op }];
        const { id, bytes, cursor } = first;
        return [{ type: "message", op: op.op, id, bytes, cursor, more: messages, isLast }];
      }
      case "revoke":
        return [{ type: "done", op: op.op }];
      case "sweep":
        return [{ type: "swept", op: op.op, messages: this.#messages }];
    }
  }

  /** Copies of messages in order, at least the first of them if there is one. All lie in one array: each of its own costs 0.5 us. */
  #read(half: number, { after, most = 1, room = 0 }: Extract<BoxOp, { type: "read" }>): Found {
    const found = this.#following(half, after, Math.max(most, 1));
    let size = 0;
    let count = 0;
    let left = room;
    for (const message of found) {
      left -= this.#slots.length(message);
      if (count > 0 && left < 0) break;
      size += this.#slots.capacity(message);
      count++;
    }
    if (count === 0) return { messages: [], isLast: true };
    const isLast = count === found.length && count < most;
    found.length = count;
    const all = size > MAX_CUT ? new Uint8Array(size) : this.#cut(size);
    this.#copy(found, all);
    const messages: Message[] = [];
    let start = 0;
    for (const message of found) {
      const words = this.#slots.words(message);
      const at = startOf(message);
      const bytes = all.subarray(start, start + this.#slots.length(message));
      start += this.#slots.capacity(message);
      messages.push(new ReadMessage(words[at + ID_LOW] ?? 0, words[at + ID_HIGH] ?? 0, bytes, serialAt(words, at)));
    }
    return { messages, isLast };
  }

  /** The slots of these messages one behind the other: in one piece those that lie so, as most do that came together. */
  #copy(messages: readonly number[], into: Uint8Array): void {
    let end = 0;
    for (let i = 0; i < messages.length; ) {
      const message = messages[i] ?? 0;
      let count = 1;
      while (messages[i + count] === message + count) count++;
      into.set(this.#slots.slots(message, count), end);
      end += count * this.#slots.capacity(message);
      i += count;
    }
  }

  stats(): BoxStats {
    return {
      recipients: this.#recipients,
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

  /** Bytes of the arrays behind all this, with the room in them that nothing fills yet. */
  held(): number {
    const parts = [this.#slots, this.#halves, this.#holders, this.#byId, this.#byBox, this.#byName];
    const names = 4 * NAME_WORDS * this.#names.filter((name) => name !== undefined).length;
    return parts.reduce((sum, part) => sum + part.held(), names + CUT_FROM);
  }

  #put(op: Put, now: Time): BoxAnswer[] {
    const name = this.#nameOf(op.recipient);
    const isPlace = this.#takeBox(op.box, name);
    const expires = Math.min(Math.ceil(op.expires), Math.floor(now) + this.#limits.lifetime, NEVER - 1);
    const isOver = !(expires > now && expires > 0); // a time before 1970 is past on any clock
    let spot = name !== undefined && isPlace ? this.#spotOf(name, op.class === "stranger") : undefined;
    let gained: BoxAnswer | undefined;
    const more = op.more ?? NO_MORE;
    for (let i = 0; i <= more.length; i++) {
      const given = i === 0 ? op : (more[i - 1] ?? op);
      const { bytes } = given;
      const into = takeId(given, this.#id) ? spot : undefined;
      const same = into === undefined ? 0 : this.#find(into.half, bytes) || this.#find(into.other, bytes);
      const wasEmpty = into?.half === 0 && into.other === 0;
      if (into !== undefined && same !== 0) {
        if (!isOver) this.#slots.setExpires(same, expires);
        else {
          this.#remove(same);
          spot = this.#spotOf(into.name, into.side === 1);
        }
      } else if (into === undefined || isOver || !this.#admit(into, bytes, expires)) this.#refused++;
      else {
        this.#gained++;
        gained ??= { type: "gained", recipient: op.recipient, box: op.box, wasEmpty };
      }
      bytes.fill(0);
    }
    const done: BoxAnswer = { type: "done", op: op.op };
    return gained === undefined ? [done] : [gained, done];
  }

  /** Where what this kind of sender puts into the box at hand goes. */
  #spotOf(name: Name, isStranger: boolean): Spot {
    const holder = this.#holderOf(name);
    const first = this.#findHalf(holder, name);
    const twin = this.#twin(first);
    const isFirst = first !== 0 && this.#isStranger(first) === isStranger;
    const [half, other] = isFirst ? [first, twin] : [twin, first];
    const side = Number(isStranger);
    const boxLimit = isStranger ? this.#limits.strangerBox : this.#limits.box;
    const shelfLimit = this.#shelfLimit(side);
    const spot: Spot = {
      name,
      side,
      boxLimit,
      shelfLimit,
      holder,
      half,
      other,
      box: NOTHING,
      boxAt: 0,
      sums: NOTHING,
      holderAt: 0,
      sumsAt: 0,
      kept: 0,
    };
    this.#locate(spot);
    return spot;
  }

  #locate(spot: Spot): void {
    const { half, holder } = spot;
    if (half !== 0) {
      spot.box = this.#halves.words(half);
      spot.boxAt = this.#halves.at(half);
      spot.kept = this.#keptSize(half);
    }
    if (holder !== 0) {
      spot.sums = this.#holders.words(holder);
      spot.holderAt = this.#holders.at(holder);
      spot.sumsAt = spot.holderAt + SHELVES + spot.side * SHELF_WORDS;
    }
  }

  /** Puts the message there, and makes room for it. `false` (and nothing is pushed out) when there can be no room. */
  #admit(spot: Spot, bytes: Uint8Array, expires: Time): boolean {
    const { length } = bytes;
    if (length === 0 || length > MAX_MESSAGE) return false;
    const { name, side, boxLimit, shelfLimit, kept } = spot;
    const size = Math.max(length, MIN_COUNTED);
    const isSmall = length < SMALL_BYTES;

    // What would stay whatever is pushed out. A small message takes the protection over from the one before it.
    if ((isSmall ? 0 : kept) + size > boxLimit) return false;
    const keptOnShelf = spot.sums[spot.sumsAt + SHELF_KEPT] ?? 0;
    if (keptOnShelf - (isSmall ? kept : 0) + size > shelfLimit) return false;
    const memory = messageMemory(length);
    const records = (spot.half === 0 ? HALF_MEMORY : 0) + (spot.holder === 0 ? HOLDER_MEMORY : 0);
    if (this.#memory + memory + records > this.#limits.total) return false;
    const isNew = spot.half === 0 && spot.other === 0;
    if (isNew && this.#holders.get(spot.holder, HOLDER_BOXES) >= this.#limits.boxes) return false;

    const message = this.#slots.take(bytes, this.#serial + 1, expires);
    if (message === 0) return false;
    this.#serial++;
    if (spot.holder === 0) spot.holder = this.#newHolder(name);
    const shelf = 2 * spot.holder + side;
    if (spot.half === 0) {
      spot.half = this.#newHalf(shelf, spot.other);
      this.#locate(spot);
    }
    const { half, other, box, boxAt, sums, holderAt, sumsAt } = spot;
    if (isSmall && other !== 0) this.#expose(other);
    const words = this.#slots.words(message);
    const start = startOf(message);
    words[start + HALF] = half;
    words[start + ID_LOW] = this.#id[0] ?? 0;
    words[start + ID_HIGH] = this.#id[1] ?? 0;
    const root = boxAt + (isSmall ? HALF_SMALLS : HALF_LARGES);
    box[root] = this.#order.append(box[root] ?? 0, message);
    this.#byId.add(half, message, this.#id);
    box[boxAt + HALF_BYTES] = (box[boxAt + HALF_BYTES] ?? 0) + size;
    sums[sumsAt + SHELF_BYTES] = (sums[sumsAt + SHELF_BYTES] ?? 0) + size;
    if (isSmall) {
      box[boxAt + HALF_KEPT] = message;
      sums[sumsAt + SHELF_KEPT] = keptOnShelf + size - kept;
      spot.kept = size;
    }
    this.#messages++;
    this.#bytes += length;
    this.#memory += memory;
    if (((sums[holderAt + HOLDER_ORDERED] ?? 0) & (1 + side)) !== 0) this.#rank(half, "up");
    while ((box[boxAt + HALF_BYTES] ?? 0) > boxLimit) this.#evict(half);
    if ((sums[sumsAt + SHELF_BYTES] ?? 0) > shelfLimit) this.#evictFullest(shelf, shelfLimit, half);
    name.half = half;
    return true;
  }

  /** Pushes out of the fullest half what is oldest there, until no more than `limit` is left. The last that came, into `newest`, stays. */
  #evictFullest(shelf: number, limit: number, newest: number): void {
    if (!this.#isOrdered(shelf)) this.#putInOrder(shelf);
    let isAside = false;
    while (this.#shelf(shelf, SHELF_BYTES) > limit) {
      const fullest = this.#shelf(shelf, SHELF_HEAP);
      if (fullest !== newest || this.#slots.serial(this.#halves.get(newest, HALF_FIRST)) !== this.#serial)
        this.#evict(fullest);
      else {
        // Of this box nothing else can go: it is the others' turn.
        this.#setShelf(shelf, SHELF_HEAP, this.#heap.remove(fullest, newest));
        isAside = true;
      }
    }
    if (isAside) this.#setShelf(shelf, SHELF_HEAP, this.#heap.add(this.#shelf(shelf, SHELF_HEAP), newest));
  }

  /** Pushes the oldest message of the half out that may go. */
  #evict(half: number): void {
    const oldest = this.#firstOf(half);
    assert(oldest !== 0, "what is not protected makes the room that was promised");
    this.#remove(oldest);
    this.#evicted++;
  }

  #remove(message: number): void {
    const half = this.#slots.get(message, HALF);
    const wasKept = this.#halves.get(half, HALF_KEPT) === message;
    const twin = this.#twin(half);
    if (wasKept) this.#unkeep(half);
    this.#unlist(half, message);
    const field = this.#orderField(message);
    this.#halves.set(half, field, this.#order.remove(this.#halves.get(half, field), message));
    const isEmpty = this.#halves.get(half, HALF_SMALLS) === 0 && this.#halves.get(half, HALF_LARGES) === 0;
    if (isEmpty) this.#dropHalf(half);
    else this.#rank(half);
    this.#slots.drop([message], this.#moved);
    if (wasKept) this.#protect(isEmpty ? 0 : half, twin);
  }

  /** Removes the messages with these ids. Mostly they are all that is there, in order: then none needs to be looked for. */
  #removeFrom(half: number, ids: Uint32Array): void {
    const isMany = ids.length > 2 && 2 * this.#byId.count(half) <= ids.length; // two messages with one id are left to others
    const all = isMany ? this.#allOf(half, ids) : undefined;
    if (all !== undefined) {
      this.#clear(half, all);
      return;
    }
    for (let at = 0; at < ids.length; at += 2) {
      this.#id[0] = ids[at] ?? 0;
      this.#id[1] = ids[at + 1] ?? 0;
      // A half that went with its last message has none: nothing gets its number before the next put.
      for (let next = this.#find(half); next !== 0; next = this.#find(half)) this.#remove(next);
    }
  }

  /** The messages of the half, if each has one of these ids (two words each). */
  #allOf(half: number, ids: Uint32Array): number[] | undefined {
    const all = this.#all(half);
    let at = 0;
    for (const message of all) {
      const own = this.#slots.words(message);
      const first = startOf(message);
      const start = at;
      while (ids[at] !== own[first + ID_LOW] || ids[at + 1] !== own[first + ID_HIGH]) {
        at = at + 2 < ids.length ? at + 2 : 0;
        if (at === start) return undefined;
      }
    }
    return all;
  }

  /** The messages of the half: the small ones in order, then the others. */
  #all(half: number): number[] {
    const count = this.#byId.count(half);
    const smalls = this.#order.following(this.#halves.get(half, HALF_SMALLS), 0, count);
    const larges = this.#halves.get(half, HALF_LARGES);
    return larges === 0 ? smalls : smalls.concat(this.#order.following(larges, 0, count));
  }

  /** Removes all of a half, which are these: what it has first, and what of it is protected, need not be looked for after each one. */
  #clear(half: number, messages: readonly number[]): void {
    const twin = this.#twin(half);
    const wasKept = this.#halves.get(half, HALF_KEPT) !== 0;
    if (wasKept) this.#unkeep(half);
    this.#byId.clear(half, messages);
    for (const message of messages) this.#discount(message);
    this.#addShelf(this.#halves.get(half, HALF_SHELF), SHELF_BYTES, -this.#halves.get(half, HALF_BYTES));
    this.#dropHalf(half);
    this.#slots.drop(messages, this.#moved);
    if (wasKept) this.#protect(0, twin);
  }

  /** Takes a message out of the index and the sums. */
  #unlist(half: number, message: number): void {
    const size = this.#sizeOf(message);
    this.#byId.remove(half, message);
    this.#halves.add(half, HALF_BYTES, -size);
    this.#addShelf(this.#halves.get(half, HALF_SHELF), SHELF_BYTES, -size);
    this.#discount(message);
  }

  /** Takes it out of the sums over everything. */
  #discount(message: number): void {
    this.#messages--;
    this.#bytes -= this.#slots.length(message);
    this.#memory -= slotMemory(this.#slots.capacity(message));
  }

  /** These messages go by other numbers from now on: who knew them is told. Those of a half mostly lie together. */
  #renumber(run: Moved): void {
    const end = run.to + run.count;
    for (let first = run.to; first < end; ) {
      const half = this.#slots.get(first, HALF);
      let next = first + 1;
      while (next < end && this.#slots.get(next, HALF) === half) next++;
      this.#renumberIn(half, first, next - first, run);
      first = next;
    }
  }

  /** What knew these messages of a half, by their new numbers. All links are looked at unless the ways to these are shorter. */
  #renumberIn(half: number, first: number, count: number, run: Moved): void {
    const box = this.#halves.words(half);
    const at = this.#halves.at(half);
    for (const field of MESSAGES_OF_HALF) box[at + field] = renumbered(box[at + field] ?? 0, run);
    if (this.#byId.count(half) <= FEW_TO_ONE * count)
      for (const field of ORDERS) this.#order.renumberAll(box[at + field] ?? 0, run);
    else
      for (let message = first; message < first + count; message++)
        this.#order.renumber(box[at + this.#orderField(message)] ?? 0, message, run);
    this.#byId.renumber(half, first, count, run);
  }

  /** Sees to it that nothing pushes out the newest small message of the box that these halves are, of which 0 is none. */
  #protect(half: number, twin: number): void {
    const last = half === 0 ? 0 : this.#order.last(this.#halves.get(half, HALF_SMALLS));
    const other = twin === 0 ? 0 : this.#order.last(this.#halves.get(twin, HALF_SMALLS));
    if (last === 0 && other === 0) return;
    const isOther = last === 0 || (other !== 0 && this.#slots.serial(other) > this.#slots.serial(last));
    const home = isOther ? twin : half;
    this.#keep(home, isOther ? other : last);
    this.#rank(home);
  }

  #keep(half: number, message: number): void {
    this.#halves.set(half, HALF_KEPT, message);
    this.#addShelf(this.#halves.get(half, HALF_SHELF), SHELF_KEPT, this.#keptSize(half));
  }

  /** The message that is protected here may be pushed out now. */
  #expose(half: number): void {
    if (this.#halves.get(half, HALF_KEPT) === 0) return;
    this.#unkeep(half);
    this.#rank(half, "up");
  }

  #unkeep(half: number): void {
    this.#addShelf(this.#halves.get(half, HALF_SHELF), SHELF_KEPT, -this.#keptSize(half));
    this.#halves.set(half, HALF_KEPT, 0);
  }

  #keptSize(half: number): number {
    return this.#sizeOf(this.#halves.get(half, HALF_KEPT));
  }

  /** What a message counts. */
  #sizeOf(message: number): number {
    return message === 0 ? 0 : Math.max(this.#slots.length(message), MIN_COUNTED);
  }

  /** The message that goes next from here: the oldest that is not protected. 0: none. */
  #firstOf(half: number): number {
    let small = this.#order.first(this.#halves.get(half, HALF_SMALLS));
    if (small === this.#halves.get(half, HALF_KEPT)) small = 0; // it is the newest small one, and so the only one
    const large = this.#order.first(this.#halves.get(half, HALF_LARGES));
    const isSmall = large === 0 || (small !== 0 && this.#slots.serial(small) < this.#slots.serial(large));
    return isSmall ? small : large;
  }

  /** After its messages are others: puts the half where it belongs in the heap, if there is an order in it. */
  #rank(half: number, way: "up" | "any" = "any"): void {
    const shelf = this.#halves.get(half, HALF_SHELF);
    if (!this.#isOrdered(shelf)) return;
    if (this.#shelf(shelf, SHELF_BYTES) < this.#shelfLimit(shelf) / 2) {
      // It is far from anything being pushed out: until it is not, nobody asks which half is the fullest.
      this.#setOrdered(shelf, false);
      return;
    }
    this.#halves.set(half, HALF_FIRST, this.#firstOf(half));
    const heap = this.#shelf(shelf, SHELF_HEAP);
    const ranked = way === "up" ? this.#heap.raise(heap, half) : this.#heap.add(this.#heap.remove(heap, half), half);
    this.#setShelf(shelf, SHELF_HEAP, ranked);
  }

  /** From now on the fullest half of the shelf is on top of its heap. Costs a step for each half, once for half a quota that came. */
  #putInOrder(shelf: number): void {
    this.#setOrdered(shelf, true);
    const halves = [...this.#heap.each(this.#shelf(shelf, SHELF_HEAP))];
    for (const half of halves) this.#halves.set(half, HALF_FIRST, this.#firstOf(half));
    this.#setShelf(shelf, SHELF_HEAP, this.#heap.of(halves));
  }

  #isOrdered(shelf: number): boolean {
    return (this.#holders.get(shelf >>> 1, HOLDER_ORDERED) & (1 + (shelf & 1))) !== 0;
  }

  #setOrdered(shelf: number, isOrdered: boolean): void {
    const others = this.#holders.get(shelf >>> 1, HOLDER_ORDERED) & (2 - (shelf & 1));
    this.#holders.set(shelf >>> 1, HOLDER_ORDERED, isOrdered ? others | (1 + (shelf & 1)) : others);
  }

  /** The most that may lie on a shelf. */
  #shelfLimit(shelf: number): number {
    return Math.min(shelf & 1 ? this.#limits.strangers : this.#limits.recipient, MAX_SUM - MAX_MESSAGE);
  }

  #newHolder(name: Name): number {
    const holder = this.#holders.take();
    for (let i = 0; i < NAME_WORDS; i++) this.#holders.set(holder, i, name.words[i] ?? 0);
    this.#byName.add(this.#hash(name.words), holder);
    name.holder = holder;
    this.#recipients++;
    this.#memory += HOLDER_MEMORY;
    return holder;
  }

  /** A half of the box at hand. `twin`: the other one, or 0. */
  #newHalf(shelf: number, twin: number): number {
    const half = this.#halves.take();
    this.#halves.set(half, HALF_SHELF, shelf);
    this.#halves.set(half, HALF_BOX, this.#box[0] ?? 0);
    this.#halves.set(half, HALF_BOX + 1, this.#box[1] ?? 0);
    this.#halves.set(half, HALF_TWIN, twin);
    this.#byBox.add(this.#hashOf(shelf >>> 1, this.#box), half);
    const heap = this.#shelf(shelf, SHELF_HEAP);
    this.#setShelf(
      shelf,
      SHELF_HEAP,
      this.#isOrdered(shelf) ? this.#heap.add(heap, half) : this.#heap.hang(heap, half),
    );
    this.#memory += HALF_MEMORY;
    if (twin !== 0) this.#halves.set(twin, HALF_TWIN, half);
    else {
      this.#holders.add(shelf >>> 1, HOLDER_BOXES, 1);
      this.#boxes++;
    }
    return half;
  }

  /** Forgets a half without messages, and with the last half its recipient. */
  #dropHalf(half: number): void {
    const shelf = this.#halves.get(half, HALF_SHELF);
    const holder = shelf >>> 1;
    const twin = this.#twin(half);
    this.#setShelf(shelf, SHELF_HEAP, this.#heap.remove(this.#shelf(shelf, SHELF_HEAP), half));
    this.#byBox.remove(this.#hashOfHalf(half), half);
    this.#halves.drop(half);
    this.#memory -= HALF_MEMORY;
    if (twin !== 0) {
      this.#halves.set(twin, HALF_TWIN, 0);
      return;
    }
    this.#boxes--;
    this.#holders.add(holder, HOLDER_BOXES, -1);
    if (this.#holders.get(holder, HOLDER_BOXES) > 0) return;
    this.#byName.remove(this.#hashOfHolder(holder), holder);
    this.#holders.drop(holder);
    this.#recipients--;
    this.#memory -= HOLDER_MEMORY;
  }

  /** One of the halves of a box that hold messages, and 0 for none. The other is its twin: of a stranger who became a contact. */
  #halfOf({ recipient, box }: { recipient: string; box: string }): number {
    const name = this.#nameOf(recipient);
    return this.#takeBox(box, name) ? this.#findHalf(this.#holderOf(name), name) : 0;
  }

  /** Has this box at hand; `false`: that is the id of none. Operations come in groups for the same box. */
  #takeBox(box: string, name: Name | undefined): boolean {
    if (name !== undefined && name.box === box) {
      this.#box[0] = name.low;
      this.#box[1] = name.high;
      return true;
    }
    if (!parseId(box, this.#box)) return false;
    if (name === undefined) return true;
    name.box = box;
    name.low = (this.#box[0] ?? 0) | 0;
    name.high = (this.#box[1] ?? 0) | 0;
    name.half = 0;
    return true;
  }

  /** A half of the box at hand, which is that of the name's last operation. */
  #findHalf(holder: number, name: Name | undefined): number {
    if (holder === 0 || name === undefined) return 0;
    if (name.half !== 0 && this.#isOfBox(name.half, holder)) return name.half;
    let half = this.#byBox.first(this.#hashOf(holder, this.#box));
    while (half !== 0 && !this.#isOfBox(half, holder)) half = this.#halves.get(half, HALF_NEXT);
    name.half = half;
    return half;
  }

  /** Whether this record is a half of the box at hand. One that was given up is of none: its words are zeros but for the first. */
  #isOfBox(half: number, holder: number): boolean {
    if (!this.#halves.has(half) || this.#halves.get(half, HALF_SHELF) >>> 1 !== holder) return false;
    if (this.#halves.get(half, HALF_COUNT) === 0) return false;
    return this.#halves.get(half, HALF_BOX) === this.#box[0] && this.#halves.get(half, HALF_BOX + 1) === this.#box[1];
  }

  #twin(half: number): number {
    return this.#halves.get(half, HALF_TWIN);
  }

  /** The words of a hashname. Operations come in groups for the same recipient, so those of late are remembered. */
  #nameOf(text: string): Name | undefined {
    const start =
      (text.charCodeAt(0) << 15) + (text.charCodeAt(1) << 10) + (text.charCodeAt(2) << 5) + text.charCodeAt(3);
    const place = Math.imul(start, 0x9e3779b1) >>> (32 - NAME_BITS); // in a text that is too short there is NaN: 0 here
    const known = this.#names[place];
    if (known?.text === text) return known;
    const other = this.#names[place ^ 1];
    if (other?.text === text) return other;
    const words = parseName(text);
    if (words === undefined) return undefined;
    const name = { text, words, holder: 0, box: "", low: 0, high: 0, half: 0 };
    this.#names[place ^ 1] = known;
    this.#names[place] = name;
    return name;
  }

  /** The holder of this name; 0 when it has no messages. */
  #holderOf(name: Name | undefined): number {
    if (name === undefined) return 0;
    const { words, holder } = name;
    // Records that were given up have no boxes.
    if (holder !== 0 && this.#holders.begins(holder, words) && this.#holders.get(holder, HOLDER_BOXES) > 0)
      return holder;
    let found = this.#byName.first(this.#hash(words));
    while (found !== 0 && !this.#holders.begins(found, words)) found = this.#holders.get(found, HOLDER_NEXT);
    name.holder = found;
    return found;
  }

  #hashOfHolder(holder: number): number {
    const name = new Uint32Array(NAME_WORDS);
    for (let i = 0; i < NAME_WORDS; i++) name[i] = this.#holders.get(holder, i);
    return this.#hash(name);
  }

  /** A message of the half with the id at hand, and with these bytes if there are any. 0: none. */
  #find(half: number, bytes?: Uint8Array): number {
    return this.#byId.find(half, this.#id, bytes);
  }

  #list(holder: number): string[] {
    if (holder === 0) return [];
    const boxes: string[] = [];
    for (const shelf of [2 * holder, 2 * holder + 1])
      for (const half of this.#heap.each(this.#shelf(shelf, SHELF_HEAP))) {
        // A box with two halves is listed once.
        if (this.#isStranger(half) && this.#twin(half) !== 0) continue;
        boxes.push(wordsHex(this.#halves.get(half, HALF_BOX), this.#halves.get(half, HALF_BOX + 1)));
      }
    return boxes;
  }

  /** So many messages of a box in order, the first ones after this serial. `half`: one of its halves, 0 where it has none. */
  #following(half: number, after: number, most: number): number[] {
    const lists: number[][] = [];
    for (const part of half === 0 ? [] : [half, this.#twin(half)])
      for (const field of part === 0 ? [] : ORDERS) {
        const root = this.#halves.get(part, field);
        if (root !== 0) lists.push(this.#order.following(root, after, most));
      }
    const [only = []] = lists;
    if (lists.length < 2) return only;
    const serials = new Map(lists.flat().map((message) => [message, this.#slots.serial(message)]));
    const inOrder = [...serials].sort(([, one], [, other]) => one - other);
    return inOrder.slice(0, most).map(([message]) => message);
  }

  #orderField(message: number): typeof HALF_SMALLS | typeof HALF_LARGES {
    return this.#slots.length(message) < SMALL_BYTES ? HALF_SMALLS : HALF_LARGES;
  }

  #isStranger(half: number): boolean {
    return this.#halves.get(half, HALF_SHELF) % 2 === 1;
  }

  #shelf(shelf: number, field: number): number {
    return this.#holders.get(shelf >>> 1, SHELVES + (shelf & 1) * SHELF_WORDS + field);
  }

  #setShelf(shelf: number, field: number, value: number): void {
    this.#holders.set(shelf >>> 1, SHELVES + (shelf & 1) * SHELF_WORDS + field, value);
  }

  #addShelf(shelf: number, field: number, difference: number): void {
    this.#holders.add(shelf >>> 1, SHELVES + (shelf & 1) * SHELF_WORDS + field, difference);
  }

  #hashOfHalf(half: number): number {
    this.#words[0] = this.#halves.get(half, HALF_SHELF) >>> 1;
    this.#words[1] = this.#halves.get(half, HALF_BOX);
    this.#words[2] = this.#halves.get(half, HALF_BOX + 1);
    return this.#hash(this.#words);
  }

  /** Of a box id of its holder. */
  #hashOf(place: number, id: Uint32Array): number {
    this.#words[0] = place;
    this.#words[1] = id[0] ?? 0;
    this.#words[2] = id[1] ?? 0;
    return this.#hash(this.#words);
  }
}

function webRandom(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

const NO_MORE: readonly Given[] = [];
const NO_IDS: Uint32Array = new Uint32Array(0);
const CUT_FROM: number = 32 * 1024; // what copies of short messages are cut from: an array for each costs 0.5 us
const MAX_CUT = 2048;
const NAME_BITS = 12;
const NAMES: number = 1 << NAME_BITS;
const SMALL_BYTES = 1024; // seed 003: the last message of a sender "if it is <1024 bytes"
const MIN_COUNTED = 128; // or a quota of bytes would be no bound on the number of messages
const MAX_SUM: number = 2 ** 32 - 1; // sums are words

// A half: its shelf, the box id, the next with this hash; its messages under SMALL_BYTES and the others in order, what they
// count; the protected one (the newest small one of the box, if it is in this half), the first that may be pushed out.
const [HALF_SHELF, HALF_BOX, HALF_NEXT, HALF_SMALLS, HALF_LARGES, HALF_BYTES, HALF_KEPT, HALF_FIRST] = [
  0, 1, 3, 4, 5, 6, 7, 8,
];
// Then what the heap needs, the half of the other kind of sender, and how many messages with a filter of their ids.
const [HALF_CHILD, HALF_AFTER, HALF_BEFORE, HALF_TWIN, HALF_COUNT, HALF_FILTER, HALF_WORDS] = [
  9, 10, 11, 12, 13, 14, 16,
];
// A holder: its name, the next with this hash, how many boxes; and two shelves, each with its sum, that of what is protected,
// and its halves.
const [HOLDER_NEXT, HOLDER_BOXES, HOLDER_ORDERED, SHELVES, HOLDER_WORDS] = [8, 9, 10, 11, 17];
const [SHELF_BYTES, SHELF_KEPT, SHELF_HEAP, SHELF_WORDS] = [0, 1, 2, 3];
const ORDERS: readonly (typeof HALF_SMALLS | typeof HALF_LARGES)[] = [HALF_SMALLS, HALF_LARGES];
const MESSAGES_OF_HALF: readonly number[] = [HALF_SMALLS, HALF_LARGES, HALF_KEPT, HALF_FIRST];
const FEW_TO_ONE = 8; // messages: to pass by them all costs less than the way to one from the root
const NOTHING: Uint32Array = new Uint32Array(HOLDER_WORDS);
const HALF_MEMORY: number = 4 * (HALF_WORDS + 1); // one for its place in the index
const HOLDER_MEMORY: number = 4 * (HOLDER_WORDS + 1);
