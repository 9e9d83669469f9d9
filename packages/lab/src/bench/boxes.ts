/** What a cache's memory store costs: CPU time beside a map of buffers, memory, and pauses when a million messages lie there. */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { memoryBoxStore } from "restante";
import { toBase32 } from "restante/protocol";
import { type Bench, collectorDuring, cpuTime, median, type Result } from "./harness.ts";

export function boxes(): Bench[] {
  return [
    { keys: STEPS.map((step) => `boxes.${step}`), run: operations },
    { keys: ["cache.bytes_per_message", "cache.gc_max_ms"], run: million },
  ];
}

type Store = ReturnType<typeof memoryBoxStore>;
type Op = Parameters<Store["handle"]>[0];

/** The same messages put, read and removed, in turns with what is least: a map of maps of buffers. No rules, no times. */
async function operations(): Promise<Record<string, Result>> {
  const store = memoryBoxStore();
  const map = new Map<string, Map<string, Buffer>>();
  const places = Array.from({ length: ROUND }, (_, i) => ({
    ...place(scatter(i) % ROUND_BOXES),
    id: hex(scatter(i), i),
  }));
  const ours: Record<Step, (at: Place, i: number) => void> = {
    put: (at, i) => deposit(store, at, i),
    read: (at) => store.handle({ type: "read", op: 1, ...at, after: 0 }, NOW),
    remove: (at) => store.handle({ type: "remove", op: 1, ...at }, NOW),
  };
  const least: typeof ours = {
    put({ recipient, box, id }, i) {
      const name = recipient + box;
      let messages = map.get(name);
      if (messages === undefined) {
        messages = new Map();
        map.set(name, messages);
      }
      messages.set(id, Buffer.from(message(i)));
    },
    read({ recipient, box }) {
      for (const [, bytes] of map.get(recipient + box) ?? []) return Buffer.from(bytes);
    },
    remove({ recipient, box, id }) {
      const messages = map.get(recipient + box);
      messages?.delete(id);
      if (messages?.size === 0) map.delete(recipient + box);
    },
  };
  const costs: Record<Step, [number, number][]> = { put: [], read: [], remove: [] };
  for (let round = -WARM_ROUNDS; round < ROUNDS; round++)
    for (const step of STEPS) {
      const [a, b] = [ours, least].map((work) => {
        const before = cpuTime();
        for (const [i, at] of places.entries()) work[step](at, i);
        return ((cpuTime() - before) * 1000) / ROUND;
      });
      if (round >= 0) costs[step].push([a ?? 0, b ?? 0]);
    }
  const result = (step: Step): Result => ({
    value: Math.round(median(costs[step].map(([cost]) => cost))),
    unit: "ns",
    ceiling: Math.round(median(costs[step].map(([, best]) => best))),
    ratio: Math.round(median(costs[step].map(([cost, best]) => best / cost)) * 100) / 100,
  });
  return Object.fromEntries(STEPS.map((step) => [`boxes.${step}`, result(step)]));
}

/** A million messages of 256 bytes in 100,000 boxes of 1000 recipients: deposited, pushed out, drained, cleared. */
async function million(): Promise<Record<string, Result>> {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const memory = (): number => {
    for (let i = 0; i < 2; i++) collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const run = async (store: Store, messages: number): Promise<number> => {
    const before = memory();
    longest = Math.max(longest, (await collectorDuring(() => fill(store, messages))).gc.longest);
    const grown = memory() - before;
    longest = Math.max(longest, (await collectorDuring(() => empty(store, messages))).gc.longest);
    return grown / messages;
  };
  let longest = 0;
  const store = memoryBoxStore({ total: Number.POSITIVE_INFINITY, box: PER_BOX * BYTES });
  await run(store, 20_000); // for the compiler
  longest = 0;
  const perMessage = await run(store, MESSAGES);
  const value = Math.round(perMessage * 10) / 10;
  return {
    "cache.bytes_per_message": { value, unit: "B", ceiling: BYTES, ratio: Math.round((100 * BYTES) / value) / 100 },
    "cache.gc_max_ms": { value: longest, unit: "ms" },
  };
}

async function fill(store: Store, messages: number): Promise<void> {
  for (let i = 0; i < messages; i++) {
    deposit(store, { ...place(i % (messages / PER_BOX)), id: hex(scatter(i), i) }, i);
    if (i % TURN === 0) await turn();
  }
  if (store.stats().messages !== messages) throw new Error("not all of them are there");
}

/** A tenth more, which pushes out as many; then a tenth is read and removed, and the rest cleared. */
async function empty(store: Store, messages: number): Promise<void> {
  const boxes = messages / PER_BOX;
  for (let i = 0; i < messages / 10; i++) {
    deposit(store, { ...place(scatter(i) % boxes), id: hex(i, 7) }, messages + i);
    if (i % TURN === 0) await turn();
  }
  for (let n = 0; n < boxes; n++) {
    const at = place(n);
    while (n % 10 === 0) {
      const [read] = store.handle({ type: "read", op: 1, ...at, after: 0 }, NOW);
      if (read?.type !== "message") break;
      store.handle({ type: "remove", op: 1, ...at, id: read.id }, NOW);
    }
    store.handle({ type: "clear", op: 1, ...at }, NOW);
    if (n % (TURN / PER_BOX) === 0) await turn();
  }
  if (store.stats().messages !== 0) throw new Error("something is left");
}

function deposit(store: Store, at: Place, i: number): void {
  const expires = NOW + 1 + scatter(i);
  const op: Op = { type: "put", op: 1, ...at, bytes: message(i), expires, class: "contact" };
  store.handle(op, NOW);
}

interface Place {
  readonly recipient: string;
  readonly box: string;
  readonly id: string;
}

function place(box: number): Omit<Place, "id"> {
  return { recipient: RECIPIENTS[box % RECIPIENTS.length] ?? "", box: hex(box, 9) };
}

/** Message number `i`, in the same bytes each time: a store takes a copy. */
function message(i: number): Uint8Array {
  MESSAGE.fill(1);
  new DataView(MESSAGE.buffer).setUint32(0, i);
  return MESSAGE;
}

/** Spreads numbers over 32 bits, each to another one. */
function scatter(i: number): number {
  return Math.imul(i + 1, 0x9e3779b1) >>> 0;
}

function hex(high: number, low: number): string {
  return [high, low].map((word) => word.toString(16).padStart(8, "0")).join("");
}

function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

type Step = "put" | "read" | "remove";
const STEPS: readonly Step[] = ["put", "read", "remove"];
const NOW = 1_700_000_000_000;
const BYTES = 256;
const MESSAGE = new Uint8Array(BYTES);
const RECIPIENTS = Array.from({ length: 1000 }, (_, i) => toBase32(Uint8Array.of(i >> 8, i, ...new Uint8Array(30))));
const ROUND = 20_000;
const ROUND_BOXES = 2000;
const WARM_ROUNDS = 3;
const ROUNDS = 11;
const MESSAGES = 1_000_000;
const PER_BOX = 10;
const TURN = 1000;
