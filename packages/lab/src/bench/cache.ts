/**
 * A cache as others use it: a `restante serve --cache-only` in a process of its own, TCP, real links and their encryption. Those
 * who use it are in this process, so that their CPU time is not the cache's. docs/benches.md
 */
import { loadBackend } from "@restante/node";
import {
  admissionUri,
  type Backend,
  createCrypto,
  createIdentity,
  type Hashname,
  mintToken,
  pooled,
  recipientKey,
} from "restante/protocol";
import { Client } from "./cache-client.ts";
import { type RunningCache, startCacheProcess } from "./cache-server.ts";
import type { Bench, Result } from "./harness.ts";

/** How much is done. Those of the recorded results are the default. */
export interface CacheLoad {
  readonly recipients: number;
  /** Messages for each. */
  readonly messages: number;
  /** Recipients that fetch what there is, and links that lie idle. */
  readonly links: number;
  readonly live: number;
  /** Rounds of deposits before anything is measured. */
  readonly warm: number;
  /** Options for the Node that runs the cache, such as --cpu-prof. */
  readonly node?: readonly string[];
}

/** One run gives all keys, since a drain needs deposits. */
export function cache(load: CacheLoad = LOAD): Bench {
  return {
    keys: [
      "cache.deposit.cpu_ms_per_1k",
      "cache.deposit.growth_10x",
      "cache.drain.cpu_ms_per_1k",
      "cache.link.cpu_ms_per_1k",
      "cache.live.cpu_ms_per_1k",
      "cache.live.p50_ms",
      "cache.live.p99_ms",
      "cache.idle_bytes_per_link",
    ],
    run: () => measure(load),
  };
}

async function measure(load: CacheLoad): Promise<Record<string, Result>> {
  const backend = await loadBackend(() => {});
  const { deposited, drained } = await withCache(backend, load, async (bed) => {
    for (let i = 0; i < load.warm; i++) await bed.deposit(load.messages, PASSING_S);
    await pause(2 * PASSING_S * 1000); // the store is empty again, and the compiler has settled
    const rounds: number[] = [];
    for (let i = 0; i < TENFOLD; i++) rounds.push(await bed.deposit(load.messages));
    const mean = (costs: readonly number[]): number => costs.reduce((sum, cost) => sum + cost, 0) / costs.length;
    const first = mean(rounds.slice(0, 2));
    const deposited = { first, growth: mean(rounds.slice(-2)) / first };
    return { deposited, drained: await bed.drain(TENFOLD * load.messages) };
  });
  const { links, live } = await withCache(backend, load, async (bed) => ({
    links: await bed.links(),
    live: await bed.live(),
  }));
  const ms = (value: number): Result => ({ value: hundredths(value), unit: "ms" });
  return {
    "cache.deposit.cpu_ms_per_1k": ms(deposited.first),
    "cache.deposit.growth_10x": { value: hundredths(deposited.growth), unit: "x" },
    "cache.drain.cpu_ms_per_1k": ms(drained),
    "cache.link.cpu_ms_per_1k": ms(links.cpu),
    "cache.live.cpu_ms_per_1k": ms(live.cpu),
    "cache.live.p50_ms": ms(live.p50),
    "cache.live.p99_ms": ms(live.p99),
    "cache.idle_bytes_per_link": { value: Math.round(links.memory), unit: "B" },
  };
}

async function withCache<T>(backend: Backend, load: CacheLoad, act: (bed: TestBed) => Promise<T>): Promise<T> {
  const server = await startCacheProcess(backend, load.node);
  const bed = new TestBed(backend, server, load);
  try {
    return await act(bed);
  } finally {
    await bed.close();
    await server.stop();
  }
}

/** A cache, and all who use it. CPU times are the cache's, in milliseconds per 1000. */
class TestBed {
  readonly #backend: Backend;
  readonly #cache: RunningCache;
  readonly #load: CacheLoad;
  readonly #clients: Client[] = [];
  readonly #names: Hashname[] = []; // recipients that are not here
  readonly #recipients: Client[];

  constructor(backend: Backend, running: RunningCache, load: CacheLoad) {
    this.#backend = backend;
    this.#cache = running;
    this.#load = load;
    this.#recipients = Array.from({ length: load.links }, () => this.#client());
    this.#names.push(...this.#recipients.map(({ identity }) => identity.hashname));
    const crypto = createCrypto(backend);
    while (this.#names.length < load.recipients) this.#names.push(createIdentity(crypto, random).hashname);
  }

  /** So many to each recipient, by four new senders with 64 under way each; one channel for all that a sender has for one. */
  async deposit(messages: number, x?: number): Promise<number> {
    const senders = await Promise.all(Array.from({ length: SENDERS }, () => this.#sender()));
    const before = this.#cache.process.cpuMs();
    await Promise.all(senders.map((sender, i) => this.#send(sender, i, messages, x)));
    const used = this.#cache.process.cpuMs() - before;
    await Promise.all(senders.map((sender) => sender.close()));
    return (used / (this.#names.length * messages)) * 1000;
  }

  /** Those that are here link, and fetch and remove `messages` each, 16 at a time. */
  async drain(messages: number): Promise<number> {
    const before = this.#cache.process.cpuMs();
    await pool(this.#recipients, async (client) => {
      let left = messages;
      await new Promise<void>((resolve, reject) => {
        client.onMessage = () => {
          if (--left === 0) resolve();
        };
        client.link(this.#cache, this.#memberUri(client.identity.hashname)).catch(reject);
      });
    });
    await pause(SETTLE_MS); // the last removals
    const used = this.#cache.process.cpuMs() - before;
    return (used / (this.#recipients.length * messages)) * 1000;
  }

  /** Recipients link and have nothing to fetch. */
  async links(): Promise<{ cpu: number; memory: number }> {
    const [cpu, memory] = [this.#cache.process.cpuMs(), this.#cache.process.memory()];
    await pool(this.#recipients, (client) => client.link(this.#cache, this.#memberUri(client.identity.hashname)));
    await pause(SETTLE_MS);
    const count = this.#recipients.length;
    return {
      cpu: ((this.#cache.process.cpuMs() - cpu) / count) * 1000,
      memory: (this.#cache.process.memory() - memory) / count,
    };
  }

  /** From the deposit to the recipient, which has its inbox open: one after the other. */
  async live(): Promise<{ p50: number; p99: number; cpu: number }> {
    const recipient = at(this.#recipients, 0);
    const { hashname } = recipient.identity;
    const sender = await this.#sender();
    const uri = this.#contactUri(hashname, sender.identity.hashname);
    const times: number[] = [];
    let before = 0;
    for (let i = 0; i < this.#load.live + WARM; i++) {
      if (i === WARM) before = this.#cache.process.cpuMs();
      const start = performance.now();
      const came = new Promise<void>((resolve) => {
        recipient.onMessage = () => {
          if (i >= WARM) times.push(performance.now() - start);
          resolve();
        };
      });
      await Promise.all([sender.deposit(hashname, uri, random(MESSAGE)), came]);
    }
    const cpu = ((this.#cache.process.cpuMs() - before) / this.#load.live) * 1000;
    times.sort((a, b) => a - b);
    const quantile = (share: number): number => at(times, Math.floor(times.length * share));
    return { p50: quantile(0.5), p99: quantile(0.99), cpu };
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map((client) => client.close()));
  }

  async #send(sender: Client, index: number, messages: number, x?: number): Promise<void> {
    const names = this.#names.filter((_, i) => i % SENDERS === index);
    const uris = names.map((name) => this.#contactUri(name, sender.identity.hashname));
    let next = 0;
    const lane = async (): Promise<void> => {
      for (let i = next++; i < names.length * messages; i = next++) {
        const to = Math.floor(i / messages);
        await sender.deposit(at(names, to), at(uris, to), random(MESSAGE), x);
      }
    };
    await Promise.all(Array.from({ length: UNDER_WAY }, lane));
  }

  async #sender(): Promise<Client> {
    const sender = this.#client();
    await sender.link(this.#cache, this.#contactUri(at(this.#names, 0), sender.identity.hashname));
    return sender;
  }

  #client(): Client {
    const client = new Client(this.#backend, random);
    this.#clients.push(client);
    return client;
  }

  #memberUri(recipient: Hashname): string {
    const key = recipientKey(this.#backend, this.#cache.key, recipient);
    const grant = { recipient, class: "member" as const, until: 0, serial: 1, sender: recipient };
    return admissionUri(mintToken(this.#backend, key, grant));
  }

  #contactUri(recipient: Hashname, sender: Hashname): string {
    const key = recipientKey(this.#backend, this.#cache.key, recipient);
    return admissionUri(mintToken(this.#backend, key, { recipient, class: "contact", until: 0, serial: 2, sender }));
  }
}

async function pool<T>(all: readonly T[], act: (one: T) => Promise<void>): Promise<void> {
  const left = [...all];
  const lane = async (): Promise<void> => {
    for (let one = left.shift(); one !== undefined; one = left.shift()) await act(one);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, lane));
}

function at<T>(list: readonly T[], index: number): T {
  const one = list[index];
  if (one === undefined) throw new Error("too few");
  return one;
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}

const random = pooled((length) => crypto.getRandomValues(new Uint8Array(length)));
const LOAD: CacheLoad = { recipients: 1000, messages: 20, links: 200, live: 500, warm: 4 };
const SENDERS = 4;
const TENFOLD = 10; // rounds of deposits; the first two and the last two are measured
const PASSING_S = 1; // for this long are messages kept that only warm it
const UNDER_WAY = 64; // of each sender
const AT_ONCE = 16; // recipients that link
const MESSAGE = 256;
const WARM = 100;
const SETTLE_MS = 300;
