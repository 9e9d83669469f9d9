/** What the store in memory takes beside the messages themselves: counted in the arrays that it holds, not in what a system says. */
import { Session } from "node:inspector/promises";
import { expect, test } from "vitest";
import { toBase32 } from "../bytes/index.ts";
import { Chance } from "../testing/chance.ts";
import { BOX_LIMITS, type BoxLimits } from "./boxes.ts";
import { MemoryBoxStore } from "./memory-boxes.ts";

const MIB = 1024 * 1024;
const MINUTE = 60_000;

test("a message of 256 bytes takes at most 48 more, of a hundred thousand in ten thousand boxes", async () => {
  const [messages, boxes] = [100_000, 10_000];
  const before = await allArrays();
  const store = storeOf();
  for (let n = 0; n < messages; n++) put(store, { box: n % boxes, id: n, length: 256, expires: MINUTE + n });
  expect(store.stats()).toMatchObject({ messages, boxes, recipients: PEOPLE.length });
  expect(store.held() / messages).toBeLessThanOrEqual(256 + 48);
  // What `total` bounds is what lies there, and no array is left out of the count.
  expect(Math.abs(store.held() / store.stats().memory - 1)).toBeLessThan(0.02);
  const grown = (await allArrays()) - before;
  expect(grown).toBeGreaterThan(256 * messages);
  expect(grown).toBeLessThan(store.held() + MIB / 4);
});

test("after a day of random deposits and removals the store holds little more than what lies there, and then nothing", () => {
  const store = storeOf();
  const chance = new Chance(11);
  const kept: Place[] = [];
  let [id, peak, mostBoxes] = [0, 0, 0];
  for (let now = 0; now < 24 * 60 * MINUTE; now += MINUTE) {
    const isRush = now > 8 * 60 * MINUTE && now < 10 * 60 * MINUTE;
    for (let n = 0; n < (isRush ? 400 : 40); n++) {
      const expires = now + chance.between(1, 600) * MINUTE;
      const place = { box: chance.between(0, 99_999), id: id++, length: chance.pick(LENGTHS), expires };
      put(store, place, now);
      kept.push(place);
      if (chance.happens(0.4)) remove(store, chance.pick(kept), now);
      if (chance.happens(0.01)) clear(store, chance.pick(kept), now);
    }
    store.handle({ type: "sweep", op: 1 }, now);
    const { memory, boxes } = store.stats();
    mostBoxes = Math.max(mostBoxes, boxes);
    // Besides: a slab for each size, and the records of boxes, which stay where they are when those around them go.
    expect(store.held()).toBeLessThan(1.1 * memory + LENGTHS.length * SLAB + BOX_RECORD * mostBoxes);
    peak = Math.max(peak, store.held());
  }
  expect(peak).toBeGreaterThan(2 * store.held());
  expect(peak).toBeGreaterThan(30 * MIB);
  store.handle({ type: "sweep", op: 1 }, 2 * 24 * 60 * MINUTE);
  expect(store.stats()).toMatchObject({ messages: 0, boxes: 0, recipients: 0 });
  expect(store.held()).toBeLessThan(MIB / 2);
});

interface Place {
  readonly box: number;
  readonly id: number;
  readonly length: number;
  readonly expires: number;
}

function storeOf(limits: Partial<BoxLimits> = {}): MemoryBoxStore {
  return new MemoryBoxStore({ ...BOX_LIMITS, ...limits }, (length) => new Uint8Array(length).fill(7));
}

function put(store: MemoryBoxStore, { length, expires, ...place }: Place, now = 0): void {
  const bytes = new Uint8Array(length).fill(1);
  store.handle({ type: "put", op: 1, ...whereOf(place), bytes, expires, class: "contact" }, now);
}

function remove(store: MemoryBoxStore, place: Place, now: number): void {
  store.handle({ type: "remove", op: 1, ...whereOf(place) }, now);
}

function clear(store: MemoryBoxStore, place: Place, now: number): void {
  store.handle({ type: "clear", op: 1, ...whereOf(place) }, now);
}

/** Ids that lie far from each other, as those that are hashes do. */
function whereOf({ box, id }: Pick<Place, "box" | "id">): { recipient: string; box: string; id: string } {
  return { recipient: PEOPLE[box % PEOPLE.length] ?? "", box: hex(box), id: hex(id) };
}

function hex(n: number): string {
  return [Math.imul(n + 1, 0x9e3779b1), n].map((word) => (word >>> 0).toString(16).padStart(8, "0")).join("");
}

/** Bytes of all arrays that live in this thread, after a collection of garbage. */
async function allArrays(): Promise<number> {
  const inspector = new Session();
  inspector.connect();
  try {
    const { result } = await inspector.post("Runtime.evaluate", { expression: "ArrayBuffer.prototype" });
    const { objects } = await inspector.post("Runtime.queryObjects", { prototypeObjectId: result.objectId ?? "" });
    const sum = await inspector.post("Runtime.callFunctionOn", {
      objectId: objects.objectId ?? "",
      functionDeclaration: "function () { return this.reduce((sum, { byteLength }) => sum + byteLength, 0); }",
      returnByValue: true,
    });
    return Number(sum.result.value);
  } finally {
    inspector.disconnect();
  }
}

const PEOPLE = Array.from({ length: 100 }, (_, n) => toBase32(Uint8Array.of(n, ...new Uint8Array(31))));
const SLAB: number = MIB / 2;
const BOX_RECORD = 72; // bytes
const LENGTHS: readonly number[] = [200, 256, 700, 1023, 2048];
