/**
 * What a mail costs the mail machine, with little and with very much in the spool: CPU time, memory, the time to start again.
 * Two machines with a store in memory each, and two caches that take everything; no channels, links or packets.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import {
  type Backend,
  box,
  type CipherSet,
  createCrypto,
  createIdentity,
  cs3a,
  type Hashname,
  type Identity,
  mail,
  portable,
} from "restante/protocol";
import { Chance, cs01, simulate } from "restante/testing";
import { type Bench, cpuTime, median, type Result } from "./harness.ts";

export function spool(backend: Backend): Bench[] {
  return [
    { keys: ["mail.send.cpu_ms", "mail.receive.cpu_ms"], run: async () => cost(backend) },
    {
      keys: ["mail.growth_10x", "mail.spool.bytes_per_mail", "mail.restart_ms_at_1e5"],
      run: async () => {
        const { growth, bytes, restart } = full(backend, SPOOL);
        return { "mail.growth_10x": growth, "mail.spool.bytes_per_mail": bytes, "mail.restart_ms_at_1e5": restart };
      },
    },
    {
      keys: ["million.growth_10x", "million.spool.bytes_per_mail", "million.restart_ms"],
      isLarge: true,
      run: async () => {
        const { growth, bytes, restart } = full(backend, 1_000_000);
        return { "million.growth_10x": growth, "million.spool.bytes_per_mail": bytes, "million.restart_ms": restart };
      },
    },
    { keys: ["mail.copies_per_mail"], run: async () => copies() },
  ];
}

/** With 1000 in the spool, under cipher set 3a. */
function cost(backend: Backend): Record<string, Result> {
  const pair = new Pair((of) => cs3a(of), backend);
  pair.fill(1000);
  const costs = Array.from({ length: ROUNDS }, () => pair.round()).slice(WARM);
  const ms = (us: readonly number[]): Result => ({ value: thousandths(median(us) / 1000), unit: "ms" });
  return {
    "mail.send.cpu_ms": ms(costs.map(({ send }) => send)),
    "mail.receive.cpu_ms": ms(costs.map(({ receive }) => receive)),
  };
}

/**
 * All that a mail costs its sender with so many in the spool beside a tenth of them, under a cipher set that costs
 * nothing and would hide it; and a machine that starts with what another left in its store.
 */
function full(backend: Backend, spool: number): { growth: Result; bytes: Result; restart: Result } {
  setFlagsFromString("--expose-gc");
  const collect: () => void = runInNewContext("gc");
  const memory = (): number => {
    for (let i = 0; i < 2; i++) collect();
    const { heapUsed, external } = process.memoryUsage();
    return heapUsed + external;
  };
  const [few, many] = [new Pair(cs01, backend), new Pair(cs01, backend)];
  few.fill(spool / 10);
  many.fill(spool);
  const ratios: number[] = [];
  for (let round = 0; round < ROUNDS; round++) {
    const [small, large] = [few.round().send, many.round().send];
    if (round >= WARM) ratios.push(large / small);
  }
  few.alice.start(); // for the compiler
  many.alice.stop();
  const [before, begun] = [memory(), cpuTime()];
  many.alice.start();
  const ms = (cpuTime() - begun) / 1000;
  const bytes = (memory() - before) / spool;
  return {
    growth: { value: hundredths(median(ratios)), unit: "x" },
    bytes: { value: Math.round(bytes), unit: "B" },
    restart: { value: Math.round(ms), unit: "ms" },
  };
}

/** In simulated worlds whose caches are honest: at least 2, for so many caches each mail is left at. */
function copies(): Record<string, Result> {
  let [deposits, parts] = [0, 0];
  for (let seed = 1; seed <= WORLDS; seed++) {
    const report = simulate({ seed, peers: 4, caches: 2, days: 3, loss: 0.16 });
    deposits += report.deposits;
    parts += report.parts;
  }
  return { "mail.copies_per_mail": { value: hundredths(deposits / parts), unit: "x" } };
}

/** Alice, whose mail is measured, and Bob, who is away while it piles up. */
class Pair {
  readonly alice: Side;
  readonly bob: Side;

  constructor(set: (backend: Backend) => CipherSet, backend: Backend) {
    const { random } = new Chance(1);
    const crypto = createCrypto(backend, [set(backend)]);
    const [caches, [a, b]] = [2, 2].map((count) =>
      Array.from({ length: count }, () => createIdentity(crypto, random)),
    ) as [Identity[], [Identity, Identity]];
    const at = caches.map(({ hashname }) => hashname);
    this.alice = new Side({ crypto, random, identity: a, other: b, caches: at });
    this.bob = new Side({ crypto, random, identity: b, other: a, caches: at });
    // Until he has answered once every part would carry her card.
    this.alice.send();
    this.#deliver();
  }

  fill(count: number): void {
    for (let i = 0; i < count; i++) this.alice.send();
  }

  /** Some more are sent, as many arrive and are acknowledged. CPU time per mail, in microseconds. */
  round(): { send: number; receive: number } {
    let begun = cpuTime();
    for (let i = 0; i < ROUND; i++) this.alice.send();
    let send = cpuTime() - begun;
    begun = cpuTime();
    const answers = this.#fetch(ROUND);
    const receive = cpuTime() - begun;
    begun = cpuTime();
    this.alice.take(answers);
    this.alice.pass(MINUTES);
    send += cpuTime() - begun;
    return { send: send / ROUND, receive: receive / ROUND };
  }

  #deliver(): void {
    this.alice.take(this.#fetch(ROUND));
    this.alice.pass(MINUTES);
  }

  #fetch(count: number): Uint8Array[] {
    const arrived = this.bob.arrived;
    const messages = this.alice.left.splice(0, count);
    this.bob.take(messages);
    this.bob.pass(MINUTES);
    if (this.bob.arrived !== arrived + messages.length) throw new Error("a mail did not arrive");
    return this.bob.left.splice(0);
  }
}

/** A mail machine, its store, and what it left at the first cache. */
class Side {
  readonly left: Uint8Array[] = [];
  arrived = 0;
  readonly #options: SideOptions;
  readonly #store = new Store();
  readonly #todo: mail.MailIn[] = [];
  #mail: mail.Mail | undefined;
  #now = NOW;

  constructor(options: SideOptions) {
    this.#options = options;
    this.start();
  }

  stop(): void {
    this.#mail = undefined;
  }

  start(): void {
    const { crypto, identity, random, other, caches } = this.#options;
    this.#mail = new mail.Mail({
      crypto,
      identity,
      random,
      boxId: (sender, recipient) => box.boxId(portable, sender, recipient),
      messageId: (name, bytes) => box.messageId(portable, name, bytes),
      cardFor: () => new Uint8Array(200),
      keepSent: false,
      saved: this.#store.heads,
    });
    const offers = caches.map((hashname) => ({ hashname, uri: "", cap: 1 << 23, store: hashname }));
    const { hashname, keys } = other;
    const peers = [{ hashname, keys, caches: offers, direct: false }];
    this.#give({ type: "contact", contact: { id: CONTACT, peers } });
    this.#give({ type: "tick" });
  }

  send(): void {
    this.#give({ type: "send", req: 1, contact: CONTACT, mail: { kind: "text", text: TEXT } });
  }

  take(messages: readonly Uint8Array[]): void {
    const { identity, other, caches } = this.#options;
    const name = box.boxId(portable, other.hashname, identity.hashname);
    const [via = identity.hashname] = caches;
    for (const bytes of messages) {
      const id = box.messageId(portable, name, bytes);
      this.#give({ type: "message", via, direct: false, box: name, id, bytes });
    }
  }

  pass(duration: number): void {
    const end = this.#now + duration;
    for (let at = this.#mail?.deadline() ?? end; at < end; at = this.#mail?.deadline() ?? end) {
      this.#now = Math.max(this.#now, at);
      this.#give({ type: "tick" });
    }
    this.#now = end;
  }

  #give(input: mail.MailIn): void {
    this.#todo.push(input);
    for (let next = this.#todo.shift(); next !== undefined; next = this.#todo.shift())
      for (const out of this.#mail?.handle(next, this.#now) ?? []) this.#carryOut(out);
  }

  #carryOut(out: mail.MailOut): void {
    switch (out.type) {
      case "save":
        this.#store.set(out.key, out.value);
        return;
      case "list": {
        const { req, prefix, after, limit } = out;
        this.#todo.push({ type: "listed", req, pairs: this.#store.list(prefix, after, limit) });
        return;
      }
      case "read":
        this.#todo.push({ type: "read", req: out.req, value: this.#store.get(out.key) });
        return;
      case "deliver":
        if (out.route.type === "cache" && out.route.cache === this.#options.caches[0]) this.left.push(out.bytes);
        this.#todo.push({ type: "delivered", id: out.id, ok: true });
        return;
      case "event":
        if (out.event.type === "mail") this.arrived++;
        return;
      case "refuse":
        throw new Error(out.message);
      default:
    }
  }
}

/** In memory, with the keys that are loaded at start apart, and what stands in line in its order. */
class Store {
  readonly heads = new Map<string, Uint8Array>();
  readonly #values = new Map<string, Uint8Array>();
  readonly #order: string[] = [];

  get(key: string): Uint8Array | undefined {
    return this.#values.get(key);
  }

  set(key: string, value: Uint8Array | undefined): void {
    const values = key.startsWith("mail/") ? this.heads : this.#values;
    // One contact and texts alone: each key comes behind those that are there.
    if (key.startsWith("queue/") && value !== undefined && !values.has(key)) this.#order.push(key);
    if (value === undefined) values.delete(key);
    else values.set(key, value);
  }

  list(prefix: string, after: string, limit: number): [string, Uint8Array][] {
    let [low, high] = [0, this.#order.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.#order[middle] ?? "") > after) high = middle;
      else low = middle + 1;
    }
    const found: [string, Uint8Array][] = [];
    for (; low < this.#order.length && found.length < limit; low++) {
      const key = this.#order[low] ?? "";
      const value = this.#values.get(key);
      if (value !== undefined && key.startsWith(prefix)) found.push([key, value]);
    }
    return found;
  }
}

interface SideOptions {
  readonly crypto: ReturnType<typeof createCrypto>;
  readonly random: (length: number) => Uint8Array;
  readonly identity: Identity;
  readonly other: Identity;
  readonly caches: readonly Hashname[];
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}

function thousandths(value: number): number {
  return Math.round(value * 1000) / 1000;
}

const SPOOL = 100_000;
const ROUND = 100;
const ROUNDS = 25;
const WARM = 5;
const WORLDS = 7;
const NOW = 1_700_000_000_000;
const MINUTES = 150_000; // until what may have to be taken back after a crash is over
const CONTACT = "c".repeat(32);
const TEXT = "line of text ".repeat(20);
