/**
 * What the bazaar costs: a publication and a search among 8, 16 and 32 nodes of its DHT, which are another process; a message
 * from its sender's `send` to its sender's "delivered"; an idle node's memory; and the sender's machine alone with much in the
 * outbox. docs/benches.md
 */
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import {
  type Bazaar,
  type BazaarOptions,
  type BazaarProgress,
  bazaarSeed,
  type Contact,
  createBazaar,
  folderStorage,
} from "@restante/bazaar";
import { identityFromSeed, magicId, parsePeerId, sealedMessage } from "@restante/bazaar/format";
import { Outgoing, type OutgoingInput, type OutgoingOutput } from "@restante/bazaar/offline";
import { memoryStore } from "restante";
import { fromBase64url, utf8 } from "restante/protocol";
import { Chance } from "restante/testing";
import type { Idle, Order, Servers } from "./bazaar-nodes.ts";
import { type Bench, cpuTime, median, type Result } from "./harness.ts";
import { ServerProcess } from "./server-process.ts";

export interface BazaarSizes {
  /** Nodes of the DHT, in each run. */
  readonly nodes: readonly number[];
  /** Messages that are published, searches that are made, and messages that are delivered. */
  readonly published: number;
  readonly searches: number;
  readonly delivered: number;
  /** Messages in the outboxes that are compared. */
  readonly outbox: readonly [few: number, many: number];
}

export function bazaar(
  sizes: BazaarSizes = { nodes: [8, 16, 32], published: 20, searches: 10, delivered: 50, outbox: [10, 10_000] },
): Bench[] {
  const perSize = sizes.nodes.flatMap((nodes) =>
    ["publish.ms", "publish.messages", "lookup.ms", "lookup.messages"].map((what) => `bazaar.${what}_at_${nodes}`),
  );
  const net = ["bazaar.publish.cpu_ms", ...perSize, "bazaar.delivered.cpu_ms", "bazaar.idle_bytes"];
  return [
    { keys: net, run: () => overNetwork(sizes) },
    { keys: ["bazaar.outbox.cpu_ms", "bazaar.outbox.growth_1000x"], run: async () => outboxes(sizes.outbox) },
  ];
}

async function overNetwork(sizes: BazaarSizes): Promise<Record<string, Result>> {
  const results: Record<string, Result> = {};
  const dir = await mkdtemp(join(tmpdir(), "restante-bench-"));
  try {
    for (const count of sizes.nodes) {
      const nodes = new ServerProcess(process.execPath, [
        NODES,
        orderOf({ is: "servers", nodes: count, admitted: PAIR }),
      ]);
      try {
        const { cards } = JSON.parse(await nodes.line(/^\{/)) as Servers;
        const bootstrap = cards.flatMap(({ addrs }) => addrs).slice(0, BOOTSTRAP);
        Object.assign(
          results,
          await published(dir, count, bootstrap, sizes),
          await searched(dir, count, bootstrap, sizes),
        );
        if (count !== sizes.nodes.at(-1)) continue;
        Object.assign(results, await delivered(dir, bootstrap, pushNode(cards), sizes.delivered));
        Object.assign(results, await idle(bootstrap));
      } finally {
        await nodes.stop();
      }
    }
  } finally {
    await rm(dir, { recursive: true, force: true });
  }
  return results;
}

/** To somebody who is not there, one after the other, without push nodes: stored, pointed to, the block offered to the DHT. */
async function published(
  dir: string,
  nodes: number,
  bootstrap: readonly string[],
  { published: count, nodes: all }: BazaarSizes,
): Promise<Record<string, Result>> {
  const person = await Person.open("alice", dir, { bootstrap });
  const nowhere: Contact = { ...contactOf("bob"), addrs: ["/ip4/127.0.0.1/tcp/1"] };
  const one = async (ref: string): Promise<number> => {
    const begun = performance.now();
    await person.bazaar.send({ ref, to: nowhere, message: sealedMessage(BODY) });
    await person.until(ref, "published");
    return performance.now() - begun;
  };
  for (let i = 0; i < WARM; i++) await one(`warm-${i}`);
  await person.quiet();
  const [asked, cpu] = [person.bazaar.stats().asked, cpuTime()];
  const times: number[] = [];
  for (let i = 0; i < count; i++) times.push(await one(`letter-${i}`));
  await person.quiet();
  const spent = (cpuTime() - cpu) / 1000 / count;
  const messages = (2 * (person.bazaar.stats().asked - asked)) / count;
  await person.stop();
  return {
    ...(nodes === all.at(-1) && { "bazaar.publish.cpu_ms": { value: tenths(spent), unit: "ms" } }),
    [`bazaar.publish.ms_at_${nodes}`]: { value: tenths(median(times)), unit: "ms" },
    [`bazaar.publish.messages_at_${nodes}`]: { value: Math.round(messages), unit: "messages" },
  };
}

/** For pointers to somebody who has none, by somebody who knows the neighbourhood already. */
async function searched(
  dir: string,
  nodes: number,
  bootstrap: readonly string[],
  { searches: count }: BazaarSizes,
): Promise<Record<string, Result>> {
  const { bazaar, stop } = await Person.open("carol", dir, { bootstrap });
  const ended = (): number => bazaar.stats().retrieve?.searches ?? 0;
  const one = async (): Promise<number> => {
    const [before, begun] = [ended(), performance.now()];
    bazaar.scan();
    while (ended() === before) await pause(POLL_MS);
    return performance.now() - begun;
  };
  while (ended() === 0) await pause(POLL_MS); // that of the start
  for (let i = 0; i < WARM; i++) await one();
  const asked = bazaar.stats().asked;
  const times: number[] = [];
  for (let i = 0; i < count; i++) times.push(await one());
  const messages = (2 * (bazaar.stats().asked - asked)) / count;
  await stop();
  return {
    [`bazaar.lookup.ms_at_${nodes}`]: { value: tenths(median(times)), unit: "ms" },
    [`bazaar.lookup.messages_at_${nodes}`]: { value: Math.round(messages), unit: "messages" },
  };
}

/** Both ends of messages that wait at a push node until their recipient comes, and of their acknowledgements. */
async function delivered(
  dir: string,
  bootstrap: readonly string[],
  pushNodes: readonly Contact[],
  count: number,
): Promise<Record<string, Result>> {
  const alice = await Person.open("alice", dir, { bootstrap, pushNodes });
  const to: Contact = { ...contactOf("bob"), addrs: ["/ip4/127.0.0.1/tcp/1"] };
  const round = async (name: string, letters: number): Promise<number> => {
    const begun = cpuTime();
    const refs = Array.from({ length: letters }, (_, i) => `${name}-${i}`);
    for (const ref of refs) await alice.bazaar.send({ ref, to, message: sealedMessage(BODY), nodes: pushNodes });
    for (const ref of refs) await alice.until(ref, "published");
    const bob = await Person.open("bob", dir, { bootstrap, pushNodes });
    // What he could not tell her at once lies at the push node: she would look there each minute.
    const look = setInterval(() => alice.bazaar.scan(), LOOK_MS);
    for (const ref of refs) await alice.until(ref, "delivered");
    clearInterval(look);
    await bob.stop();
    return (cpuTime() - begun) / 1000 / letters;
  };
  await round("warm", WARM);
  const spent = await round("letter", count);
  await alice.stop();
  return { "bazaar.delivered.cpu_ms": { value: tenths(spent), unit: "ms" } };
}

async function idle(bootstrap: readonly string[]): Promise<Record<string, Result>> {
  const node = new ServerProcess(process.execPath, [NODES, orderOf({ is: "idle", bootstrap })]);
  try {
    const { bytes } = JSON.parse(await node.line(/^\{/)) as Idle;
    return { "bazaar.idle_bytes": { value: bytes, unit: "B" } };
  } finally {
    await node.stop();
  }
}

/**
 * The sender's machine alone: what a message costs it from `send` to its acknowledgement, with 10 in the outbox and with
 * 10,000. Every question is answered at once, and well.
 */
function outboxes([small, large]: BazaarSizes["outbox"]): Record<string, Result> {
  const [few, many] = [new Outbox(small), new Outbox(large)];
  const [costs, ratios]: [number[], number[]] = [[], []];
  for (let i = 0; i < ROUNDS; i++) {
    const [low, high] = [few.round(), many.round()];
    if (i < WARM) continue;
    costs.push(high);
    ratios.push(high / low);
  }
  return {
    "bazaar.outbox.cpu_ms": { value: Math.round(median(costs)) / 1000, unit: "ms" },
    "bazaar.outbox.growth_1000x": { value: Math.round(median(ratios) * 100) / 100, unit: "x" },
  };
}

class Outbox {
  readonly #machine: Outgoing;
  readonly #to = contactOf("bob");
  readonly #done = new Set<string>();
  #now = 1_700_000_000_000;
  #sent = 0;
  /** The pointers that were published since the start, in order. */
  readonly #magics: Uint8Array[] = [];

  constructor(waiting: number) {
    const { random } = new Chance(waiting);
    this.#machine = new Outgoing({ identity: identityFromSeed(seedOf("alice")), random, nodes: [] }, []);
    this.#handle({ type: "start" });
    for (let i = 0; i < waiting; i++) this.#send();
  }

  /** So many are sent, as many older ones are acknowledged, and an hour's deadlines pass. CPU time per message, in microseconds. */
  round(): number {
    const begun = cpuTime();
    for (let i = 0; i < ROUND; i++) {
      this.#send();
      const magic = this.#magics.shift();
      if (magic) this.#handle({ type: "acknowledged", from: this.#to.id, magic });
    }
    this.#now += 3_600_000 / ROUNDS;
    for (let at = this.#machine.deadline(); at !== undefined && at <= this.#now; at = this.#machine.deadline())
      this.#handle({ type: "tick" });
    if (this.#done.size !== ROUND) throw new Error(`${this.#done.size} were delivered`);
    this.#done.clear();
    return (cpuTime() - begun) / ROUND;
  }

  #send(): void {
    const ref = `letter-${this.#sent++}`;
    this.#handle({ type: "send", ref, to: this.#to, message: sealedMessage(BODY) });
  }

  #handle(input: OutgoingInput): void {
    const inputs: OutgoingInput[] = [input];
    for (let next = inputs.shift(); next; next = inputs.shift()) {
      for (const out of this.#machine.handle(next, this.#now)) {
        const answer = this.#answer(out);
        if (answer) inputs.push(answer);
      }
    }
  }

  #answer(out: OutgoingOutput): OutgoingInput | undefined {
    switch (out.type) {
      case "put":
        this.#magics.push(magicId(out.content));
        return { type: "stored", id: out.id, address: ADDRESS };
      case "remove":
        return { type: "removed", id: out.id, ok: true };
      case "send":
        return { type: "sent", id: out.id, ok: false };
      case "request":
        return { type: "answered", id: out.id, message: undefined };
      case "provide":
      case "withdraw":
        return { type: "provided", id: out.id, took: 8 };
      case "progress":
        if (out.state === "delivered") this.#done.add(out.ref);
        return undefined;
      default:
        return undefined;
    }
  }
}

/** Somebody with a bazaar in this process. */
class Person {
  readonly bazaar: Bazaar;
  readonly stop: () => Promise<void>;
  readonly #seen: Map<string, Set<string>>;
  readonly #waiting: (() => void)[];

  private constructor(bazaar: Bazaar, seen: Map<string, Set<string>>, waiting: (() => void)[]) {
    this.bazaar = bazaar;
    this.stop = () => bazaar.stop();
    this.#seen = seen;
    this.#waiting = waiting;
  }

  /** Joined, and with its first search behind it. */
  static async open(name: string, dir: string, options: Partial<BazaarOptions>): Promise<Person> {
    const seen = new Map<string, Set<string>>();
    const waiting: (() => void)[] = [];
    const onProgress = ({ ref, state }: BazaarProgress): void => {
      seen.set(ref, (seen.get(ref) ?? new Set()).add(state));
      for (const resolve of waiting.splice(0)) resolve();
    };
    const bazaar = await createBazaar({
      seed: seedOf(name),
      store: memoryStore(),
      storage: folderStorage(join(dir, name)),
      listen: ["/ip4/127.0.0.1/tcp/0"],
      network: "local",
      onMessage: () => "done",
      onProgress,
      ...options,
    });
    await bazaar.joined(AbortSignal.timeout(JOIN_MS));
    return new Person(bazaar, seen, waiting);
  }

  async until(ref: string, state: string): Promise<void> {
    while (!this.#seen.get(ref)?.has(state)) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Until it asks nobody anything for a moment. */
  async quiet(): Promise<void> {
    for (let before = -1; before !== this.bazaar.stats().asked; ) {
      before = this.bazaar.stats().asked;
      await pause(QUIET_MS);
    }
  }
}

function seedOf(name: string): Uint8Array {
  return bazaarSeed(utf8(`somebody of the bench: ${name}`.padEnd(32)));
}

function contactOf(name: string): Contact {
  const { id, publicKey } = identityFromSeed(seedOf(name));
  return { id, publicKey };
}

function pushNode(cards: Servers["cards"]): Contact[] {
  const card = cards.at(-1);
  const [id, publicKey] = [parsePeerId(card?.id ?? ""), fromBase64url(card?.publicKey ?? "")];
  if (id === undefined || publicKey === undefined) throw new Error("the nodes did not start");
  return [{ id, publicKey, addrs: card?.addrs ?? [] }];
}

function orderOf(order: Order): string {
  return JSON.stringify(order);
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

const NODES = fileURLToPath(new URL("../../dist/bench/bazaar-nodes.js", import.meta.url)); // built, wherever we run
const PAIR = ["alice", "bob"].map((name) => contactOf(name).id);
const BODY = new Chance(5).random(1023); // a sealed text
const ADDRESS = utf8("somewhere");
const BOOTSTRAP = 4;
const WARM = 5;
const ROUND = 20;
const ROUNDS = 25;
const JOIN_MS = 60_000;
const POLL_MS = 1;
const QUIET_MS = 500;
const LOOK_MS = 2000;
