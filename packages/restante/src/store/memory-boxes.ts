/**
 * Boxes in the memory of this process, without an object for any message, box or recipient: messages lie in slots
 * (slabs/slots.ts), boxes and recipients in records. So a million messages are a few hundred arrays to the garbage collector,
 * and a message costs its bytes and 47 more. protocol/box.md §7
 */
import { assert, equal, fromBase32, type Random, type Time } from "../bytes/index.ts";
import { BOX_LIMITS, type BoxAnswer, type BoxLimits, type BoxOp, type BoxStats, type MemoryBoxes } from "./boxes.ts";
import { EvictHeap } from "./slabs/evict-heap.ts";
import { NEVER } from "./slabs/expiries.ts";
import { HashIndex } from "./slabs/hash-index.ts";
import { type KeyedHash, keyedHash } from "./slabs/keyed-hash.ts";
import { OrderTree } from "./slabs/order-tree.ts";
import { Records } from "./slabs/records.ts";
import { HALF, ID_HIGH, ID_LOW, MAX_MESSAGE, messageMemory, NEXT, Slots } from "./slabs/slots.ts";

/**
 * A store that answers at once. Limits not given are `BOX_LIMITS`; the longest message is 1 MiB. Under what is no hashname
 * or no id it keeps nothing. Every operation costs O(log n) in what is kept, `list` O(boxes of the recipient), `clear` O(box). `random` makes the
 * hashing of names unpredictable; answers do not depend on it.
 */
export function memoryBoxStore(limits: Partial<BoxLimits> = {}, random: Random = webRandom): MemoryBoxes {
  return new MemoryBoxStore({ ...BOX_LIMITS, ...limits }, random);
}

type Put = Extract<BoxOp, { type: "put" }>;
/** 8 bytes as two words. */
type Id = readonly [low: number, high: number];

/**
 * What the store calls things: a *holder* is the record of a recipient that has messages. A *shelf* is a holder's messages of
 * one kind of sender, under one quota: twice the holder's number, and one more for strangers. A *half* is the record of a box
 * as one kind of sender filled it: nearly always the only one. 0 is none of each.
 */
class MemoryBoxStore implements MemoryBoxes {
  readonly #limits: BoxLimits;
  readonly #hash: KeyedHash;
  readonly #words: Uint32Array = new Uint32Array(3);
  readonly #slots: Slots = new Slots();
  readonly #halves: Records = new Records(HALF_WORDS);
  readonly #holders: Records = new Records(HOLDER_WORDS);
  readonly #byId: HashIndex;
  readonly #byBox: HashIndex;
  readonly #byName: HashIndex;
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
    this.#heap = new EvictHeap(halves, { child: HALF_CHILD, next: HALF_AFTER, before: HALF_BEFORE }, (half) => {
      const first = halves.get(half, HALF_FIRST);
      return first === 0 ? Number.POSITIVE_INFINITY : slots.serial(first);
    });
    this.#byId = new HashIndex(2, {
      next: (message) => slots.get(message, NEXT),
      setNext: (message, next) => slots.set(message, NEXT, next),
      hash: (message) => this.#hashOfMessage(message),
    });
    this.#byBox = new HashIndex(1, {
      next: (half) => halves.get(half, HALF_NEXT),
      setNext: (half, next) => halves.set(half, HALF_NEXT, next),
      hash: (half) => this.#hashOf(halves.get(half, HALF_SHELF) >>> 1, this.#boxOf(half)),
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
      case "put": {
        const gained = this.#put(op, now);
        op.bytes.fill(0);
        return [...gained, { type: "done", op: op.op }];
      }
      case "remove": {
        const id = parseId(op.id);
        for (const half of id === undefined ? [] : this.#halvesOf(op))
          for (let next = this.#find(half, id); next !== 0; next = this.#find(half, id)) this.#remove(next);
        return [{ type: "done", op: op.op }];
      }
      case "clear":
        for (const half of this.#halvesOf(op)) this.#clear(half);
        return [{ type: "done", op: op.op }];
      case "list":
        return [{ type: "list", op: op.op, boxes: this.#list(this.#holderOf(op.recipient)) }];
      case "read": {
        const next = this.#next(this.#halvesOf(op), op.after);
        if (next === 0) return [{ type: "dry", op: op.op }];
        const id = toHex(this.#slots.get(next, ID_LOW), this.#slots.get(next, ID_HIGH));
        const [bytes, cursor] = [this.#slots.copy(next), this.#slots.serial(next)];
        return [{ type: "message", op: op.op, id, bytes, cursor }];
      }
      case "sweep":
        return [{ type: "swept", op: op.op, messages: this.#messages }];
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

  #put(op: Put, now: Time): BoxAnswer[] {
    const [name, box, id] = [parseName(op.recipient), parseId(op.box), parseId(op.id)];
    const expires = Math.min(Math.ceil(op.expires), Math.floor(now) + this.#limits.lifetime, NEVER - 1);
    const isOver = !(expires > now && expires > 0); // a time before 1970 is past on any clock
    const holder = name === undefined ? 0 : this.#findHolder(name);
    const halves = holder === 0 || box === undefined ? [] : this.#halvesAt(holder, box);
    for (const half of id === undefined ? [] : halves) {
      const same = this.#find(half, id, op.bytes);
      if (same === 0) continue;
      if (isOver) this.#remove(same);
      else this.#slots.setExpires(same, expires);
      return [];
    }
    if (name === undefined || box === undefined || id === undefined || isOver) this.#refused++;
    else if (!this.#admit(op, name, holder, box, id, expires)) this.#refused++;
    else {
      this.#gained++;
      return [{ type: "gained", recipient: op.recipient, box: op.box, wasEmpty: halves.length === 0 }];
    }
    return [];
  }

  /** Puts the message there, and makes room for it; `false` (and nothing is pushed out) when there can be none. */
  #admit(op: Put, name: Uint32Array, known: number, box: Id, id: Id, expires: Time): boolean {
    const { length } = op.bytes;
    if (length === 0 || length > MAX_MESSAGE) return false;
    const isStranger = op.class === "stranger";
    const size = Math.max(length, MIN_COUNTED);
    const isSmall = length < SMALL_BYTES;
    const boxLimit = isStranger ? this.#limits.strangerBox : this.#limits.box;
    const limit = Math.min(isStranger ? this.#limits.strangers : this.#limits.recipient, MAX_SUM - MAX_MESSAGE);
    const others = known === 0 ? [] : this.#halvesAt(known, box);
    const found = others.find((half) => this.#isStranger(half) === isStranger);

    // What would stay whatever is pushed out. A small message takes the protection over from the one before it.
    const kept = found === undefined ? 0 : this.#keptSize(found);
    if ((isSmall ? 0 : kept) + size > boxLimit) return false;
    const keptOnShelf = known === 0 ? 0 : this.#shelf(2 * known + Number(isStranger), SHELF_KEPT);
    if (keptOnShelf - (isSmall ? kept : 0) + size > limit) return false;
    const memory = messageMemory(length) + (found === undefined ? HALF_MEMORY : 0) + (known === 0 ? HOLDER_MEMORY : 0);
    if (this.#memory + memory > this.#limits.total) return false;
    if (others.length === 0 && known !== 0 && this.#holders.get(known, HOLDER_BOXES) >= this.#limits.boxes)
      return false;
    if (this.#limits.boxes < 1) return false;

    const message = this.#slots.take(op.bytes, this.#serial + 1, expires);
    if (message === 0) return false;
    this.#serial++;
    const shelf = 2 * (known === 0 ? this.#newHolder(name) : known) + Number(isStranger);
    const half = found ?? this.#newHalf(shelf, box, others.length === 0);
    if (isSmall) for (const other of others) this.#expose(other);
    this.#slots.set(message, HALF, half);
    this.#slots.set(message, ID_LOW, id[0]);
    this.#slots.set(message, ID_HIGH, id[1]);
    this.#byId.add(this.#hashOf(half, id), message);
    const field = isSmall ? HALF_SMALLS : HALF_LARGES;
    this.#halves.set(half, field, this.#order.append(this.#halves.get(half, field), message));
    this.#halves.add(half, HALF_BYTES, size);
    this.#addShelf(shelf, SHELF_BYTES, size);
    this.#messages++;
    this.#bytes += length;
    this.#memory += messageMemory(length);
    if (isSmall) this.#keep(half, message);
    else this.#refirst(half);
    while (this.#halves.get(half, HALF_BYTES) > boxLimit) this.#evict(half);
    while (this.#shelf(shelf, SHELF_BYTES) > limit) this.#evict(this.#shelf(shelf, SHELF_HEAP));
    return true;
  }

  /** Pushes the oldest message of the half out that may go. */
  #evict(half: number): void {
    const oldest = this.#halves.get(half, HALF_FIRST);
    assert(oldest !== 0, "what is not protected makes the room that was promised");
    this.#remove(oldest);
    this.#evicted++;
  }

  #remove(message: number): void {
    const half = this.#slots.get(message, HALF);
    const wasKept = this.#halves.get(half, HALF_KEPT) === message;
    const rest = wasKept ? this.#halvesAt(this.#halves.get(half, HALF_SHELF) >>> 1, this.#boxOf(half)) : [];
    if (wasKept) this.#unkeep(half);
    this.#unlist(half, message);
    const field = this.#orderField(message);
    this.#halves.set(half, field, this.#order.remove(this.#halves.get(half, field), message));
    const isEmpty = this.#halves.get(half, HALF_SMALLS) === 0 && this.#halves.get(half, HALF_LARGES) === 0;
    if (isEmpty) this.#dropHalf(half);
    else this.#refirst(half);
    this.#erase(message);
    if (wasKept) this.#protect(rest.filter((one) => one !== half || !isEmpty));
  }

  /**
   * Removes all of a half: what it has first, and what of it is protected, need not be looked for after each one. From the
   * highest number down, so that no message is moved that goes as well; most often none is moved at all.
   */
  #clear(half: number): void {
    const rest = this.#halvesAt(this.#halves.get(half, HALF_SHELF) >>> 1, this.#boxOf(half));
    const wasKept = this.#halves.get(half, HALF_KEPT) !== 0;
    if (wasKept) this.#unkeep(half);
    const roots = [this.#halves.get(half, HALF_SMALLS), this.#halves.get(half, HALF_LARGES)];
    const messages = Uint32Array.from(roots.flatMap((root) => this.#order.all(root))).sort();
    for (const message of messages) this.#unlist(half, message);
    this.#dropHalf(half);
    for (const message of messages.reverse()) this.#erase(message);
    if (wasKept) this.#protect(rest.filter((one) => one !== half));
  }

  /** Takes a message out of the index and the sums. */
  #unlist(half: number, message: number): void {
    const length = this.#slots.length(message);
    const size = Math.max(length, MIN_COUNTED);
    this.#byId.remove(this.#hashOfMessage(message), message);
    this.#halves.add(half, HALF_BYTES, -size);
    this.#addShelf(this.#halves.get(half, HALF_SHELF), SHELF_BYTES, -size);
    this.#messages--;
    this.#bytes -= length;
    this.#memory -= messageMemory(length);
  }

  /** Overwrites what nothing leads to any more. Another message may get its number: who knew that one is told. */
  #erase(message: number): void {
    const moved = this.#slots.drop(message);
    if (moved === 0) return;
    const half = this.#slots.get(message, HALF);
    const field = this.#orderField(message);
    this.#halves.set(half, field, this.#order.renumber(this.#halves.get(half, field), moved, message));
    this.#byId.replace(this.#hashOfMessage(message), moved, message);
    for (const known of [HALF_KEPT, HALF_FIRST])
      if (this.#halves.get(half, known) === moved) this.#halves.set(half, known, message);
  }

  /** Sees to it that nothing pushes out the newest small message of the box that these are. */
  #protect(halves: readonly number[]): void {
    let [newest, serial, home] = [0, 0, 0];
    for (const half of halves) {
      const last = this.#order.last(this.#halves.get(half, HALF_SMALLS));
      if (last === 0 || this.#slots.serial(last) < serial) continue;
      [newest, serial, home] = [last, this.#slots.serial(last), half];
    }
    if (newest !== 0) this.#keep(home, newest);
  }

  #keep(half: number, message: number): void {
    this.#halves.set(half, HALF_KEPT, message);
    this.#addShelf(this.#halves.get(half, HALF_SHELF), SHELF_KEPT, this.#keptSize(half));
    this.#refirst(half);
  }

  /** The message that is protected here may be pushed out now. */
  #expose(half: number): void {
    if (this.#halves.get(half, HALF_KEPT) === 0) return;
    this.#unkeep(half);
    this.#refirst(half);
  }

  #unkeep(half: number): void {
    this.#addShelf(this.#halves.get(half, HALF_SHELF), SHELF_KEPT, -this.#keptSize(half));
    this.#halves.set(half, HALF_KEPT, 0);
  }

  #keptSize(half: number): number {
    const kept = this.#halves.get(half, HALF_KEPT);
    return kept === 0 ? 0 : Math.max(this.#slots.length(kept), MIN_COUNTED);
  }

  /** Finds the first message of the half that may be pushed out, and puts the half where that one belongs in the heap. */
  #refirst(half: number): void {
    let small = this.#order.first(this.#halves.get(half, HALF_SMALLS));
    if (small === this.#halves.get(half, HALF_KEPT)) small = 0; // it is the newest small one, and so the only one
    const large = this.#order.first(this.#halves.get(half, HALF_LARGES));
    const isSmall = large === 0 || (small !== 0 && this.#slots.serial(small) < this.#slots.serial(large));
    const first = isSmall ? small : large;
    if (this.#halves.get(half, HALF_FIRST) === first) return;
    const shelf = this.#halves.get(half, HALF_SHELF);
    const rest = this.#heap.remove(this.#shelf(shelf, SHELF_HEAP), half);
    this.#halves.set(half, HALF_FIRST, first);
    this.#setShelf(shelf, SHELF_HEAP, this.#heap.add(rest, half));
  }

  #newHolder(name: Uint32Array): number {
    const holder = this.#holders.take();
    for (const [i, word] of name.entries()) this.#holders.set(holder, i, word);
    this.#byName.add(this.#hash(name), holder);
    this.#recipients++;
    this.#memory += HOLDER_MEMORY;
    return holder;
  }

  #newHalf(shelf: number, box: Id, isNewBox: boolean): number {
    const half = this.#halves.take();
    this.#halves.set(half, HALF_SHELF, shelf);
    this.#halves.set(half, HALF_BOX, box[0]);
    this.#halves.set(half, HALF_BOX + 1, box[1]);
    this.#byBox.add(this.#hashOf(shelf >>> 1, box), half);
    this.#setShelf(shelf, SHELF_HEAP, this.#heap.add(this.#shelf(shelf, SHELF_HEAP), half));
    this.#memory += HALF_MEMORY;
    if (!isNewBox) return half;
    this.#holders.add(shelf >>> 1, HOLDER_BOXES, 1);
    this.#boxes++;
    return half;
  }

  /** Forgets a half without messages, and with the last half its recipient. */
  #dropHalf(half: number): void {
    const shelf = this.#halves.get(half, HALF_SHELF);
    const [holder, box] = [shelf >>> 1, this.#boxOf(half)];
    this.#setShelf(shelf, SHELF_HEAP, this.#heap.remove(this.#shelf(shelf, SHELF_HEAP), half));
    this.#byBox.remove(this.#hashOf(holder, box), half);
    this.#halves.drop(half);
    this.#memory -= HALF_MEMORY;
    if (this.#halvesAt(holder, box).length > 0) return;
    this.#boxes--;
    this.#holders.add(holder, HOLDER_BOXES, -1);
    if (this.#holders.get(holder, HOLDER_BOXES) > 0) return;
    this.#byName.remove(this.#hashOfHolder(holder), holder);
    this.#holders.drop(holder);
    this.#recipients--;
    this.#memory -= HOLDER_MEMORY;
  }

  /** The halves that hold messages: none, one, or two where a sender wrote as a stranger and as a contact. */
  #halvesOf({ recipient, box }: { recipient: string; box: string }): number[] {
    const [holder, id] = [this.#holderOf(recipient), parseId(box)];
    return holder === 0 || id === undefined ? [] : this.#halvesAt(holder, id);
  }

  #halvesAt(holder: number, box: Id): number[] {
    const halves: number[] = [];
    for (let at = this.#byBox.first(this.#hashOf(holder, box)); at !== 0; at = this.#halves.get(at, HALF_NEXT)) {
      if (this.#halves.get(at, HALF_SHELF) >>> 1 !== holder || this.#halves.get(at, HALF_BOX) !== box[0]) continue;
      if (this.#halves.get(at, HALF_BOX + 1) === box[1]) halves.push(at);
    }
    return halves;
  }

  #holderOf(recipient: string): number {
    const name = parseName(recipient);
    return name === undefined ? 0 : this.#findHolder(name);
  }

  #findHolder(name: Uint32Array): number {
    let holder = this.#byName.first(this.#hash(name));
    while (holder !== 0 && !this.#isNamed(holder, name)) holder = this.#holders.get(holder, HOLDER_NEXT);
    return holder;
  }

  #isNamed(holder: number, name: Uint32Array): boolean {
    for (let i = 0; i < NAME_WORDS; i++) if (this.#holders.get(holder, i) !== name[i]) return false;
    return true;
  }

  #hashOfHolder(holder: number): number {
    const name = new Uint32Array(NAME_WORDS);
    for (let i = 0; i < NAME_WORDS; i++) name[i] = this.#holders.get(holder, i);
    return this.#hash(name);
  }

  /** A message of the half with this id, and with these bytes if there are any. */
  #find(half: number, id: Id | undefined, bytes?: Uint8Array): number {
    if (id === undefined) return 0;
    for (let at = this.#byId.first(this.#hashOf(half, id)); at !== 0; at = this.#slots.get(at, NEXT)) {
      if (this.#slots.get(at, HALF) !== half || this.#slots.get(at, ID_LOW) !== id[0]) continue;
      if (this.#slots.get(at, ID_HIGH) !== id[1]) continue;
      if (bytes === undefined || equal(this.#slots.view(at), bytes)) return at;
    }
    return 0;
  }

  #list(holder: number): string[] {
    if (holder === 0) return [];
    const boxes: string[] = [];
    for (const shelf of [2 * holder, 2 * holder + 1])
      for (const half of this.#heap.each(this.#shelf(shelf, SHELF_HEAP))) {
        const box = this.#boxOf(half);
        // A box with two halves is listed once.
        if (!this.#isStranger(half) || this.#halvesAt(holder, box).length === 1) boxes.push(toHex(...box));
      }
    return boxes;
  }

  #next(halves: readonly number[], after: number): number {
    let next = 0;
    for (const half of halves)
      for (const field of [HALF_SMALLS, HALF_LARGES]) {
        const message = this.#order.after(this.#halves.get(half, field), after);
        if (next === 0 || (message !== 0 && this.#slots.serial(message) < this.#slots.serial(next))) next = message;
      }
    return next;
  }

  #orderField(message: number): typeof HALF_SMALLS | typeof HALF_LARGES {
    return this.#slots.length(message) < SMALL_BYTES ? HALF_SMALLS : HALF_LARGES;
  }

  #isStranger(half: number): boolean {
    return this.#halves.get(half, HALF_SHELF) % 2 === 1;
  }

  #boxOf(half: number): Id {
    return [this.#halves.get(half, HALF_BOX), this.#halves.get(half, HALF_BOX + 1)];
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

  #hashOfMessage(message: number): number {
    const id: Id = [this.#slots.get(message, ID_LOW), this.#slots.get(message, ID_HIGH)];
    return this.#hashOf(this.#slots.get(message, HALF), id);
  }

  /** Of a message's id in its half, or of a box id of its holder. */
  #hashOf(place: number, [low, high]: Id): number {
    this.#words[0] = place;
    this.#words[1] = low;
    this.#words[2] = high;
    return this.#hash(this.#words);
  }
}

/** The 32 bytes of a hashname as words; `undefined` for any other text. */
function parseName(text: string): Uint32Array | undefined {
  const bytes = fromBase32(text);
  if (bytes?.length !== 32) return undefined;
  const words = new Uint32Array(NAME_WORDS); // a view of the same bytes would cost 1 us: they would have to leave the heap
  for (let i = 0; i < 32; i++) words[i >> 2] = ((words[i >> 2] ?? 0) << 8) | (bytes[i] ?? 0);
  return words;
}

/** `undefined` for anything but 16 lower-case hex digits. */
function parseId(text: string): Id | undefined {
  if (text.length !== 16) return undefined;
  const words: [number, number] = [0, 0];
  for (let i = 0; i < 16; i++) {
    const code = text.charCodeAt(i);
    const digit = code >= 97 && code <= 102 ? code - 87 : code >= 48 && code <= 57 ? code - 48 : undefined;
    if (digit === undefined) return undefined;
    words[i >> 3] = ((words[i >> 3] ?? 0) << 4) | digit;
  }
  return [words[0] >>> 0, words[1] >>> 0];
}

function toHex(...words: Id): string {
  return words.map((word) => word.toString(16).padStart(8, "0")).join("");
}

function webRandom(length: number): Uint8Array {
  return crypto.getRandomValues(new Uint8Array(length));
}

const SMALL_BYTES = 1024; // seed 003: the last message of a sender "if it is <1024 bytes"
const MIN_COUNTED = 128; // or a quota of bytes would be no bound on the number of messages
const MAX_SUM: number = 2 ** 32 - 1; // sums are words

// A half: its shelf, the box id, the next with this hash; its messages under SMALL_BYTES and the others in order, what they
// count; the protected one (the newest small one of the box, if it is in this half), the first that may be pushed out.
const [HALF_SHELF, HALF_BOX, HALF_NEXT, HALF_SMALLS, HALF_LARGES, HALF_BYTES, HALF_KEPT, HALF_FIRST] = [
  0, 1, 3, 4, 5, 6, 7, 8,
];
const [HALF_CHILD, HALF_AFTER, HALF_BEFORE, HALF_WORDS] = [9, 10, 11, 12];
// A holder: its name, the next with this hash, how many boxes; and two shelves, each with its sum, that of what is protected,
// and its halves.
const [NAME_WORDS, HOLDER_NEXT, HOLDER_BOXES, SHELVES, HOLDER_WORDS] = [8, 8, 9, 10, 16];
const [SHELF_BYTES, SHELF_KEPT, SHELF_HEAP, SHELF_WORDS] = [0, 1, 2, 3];
const HALF_MEMORY: number = 4 * (HALF_WORDS + 1); // one for its place in the index
const HOLDER_MEMORY: number = 4 * (HOLDER_WORDS + 1);
