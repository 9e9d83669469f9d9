/**
 * Roots side by side, without a driver: each effect of each turn can be looked at. Above `meshes.ts`, below `World`: whole
 * peers, but a wire without faults, and a disk that takes everything at once.
 */
import { assert, type Random, type Time } from "../bytes/index.ts";
import { findStamp, type Invite, type Path, parseInvite, type StampTask } from "../card/index.ts";
import { type Crypto, createCrypto, createIdentity, type Hashname, type Identity, portable } from "../crypto/index.ts";
import { Mesh, type MeshIn, type MeshOut } from "../mesh/index.ts";
import { Book } from "../peer/index.ts";
import { type Call, type PeerEvent, Root, type RootIn, type RootOut } from "../peer.ts";
import { type BoxStore, memoryBoxStore } from "../store/index.ts";
import { Chance } from "./chance.ts";
import { cs01 } from "./cipher-set-01.ts";
import { pageOf } from "./mail-world.ts";

/** What all of them use: a cipher set that is fast, and not secure. */
export const crypto: Crypto = createCrypto(portable, [cs01()]);

export const MINUTE: number = 60_000;
export const HOUR: number = 60 * MINUTE;
/** Limits of the caches here. */
export const CACHE: { readonly cap: number; readonly quota: number } = { cap: 8 << 20, quota: 64 << 20 };

interface Machine {
  deadline(): Time | undefined;
  tick(): void;
  receive(from: Path, bytes: Uint8Array): void;
}

/** Roots side by side on a wire that neither loses nor waits, without a driver: every effect can be looked at. */
export class Bench {
  now: Time = 1_800_000_000_000;
  readonly chance: Chance = new Chance(5);
  readonly machines: Map<string, Machine> = new Map();
  /** "from to" of every packet. */
  readonly packets: string[] = [];
  readonly #queue: (() => void)[] = [];

  transmit(from: string, { name = "" }: Path, bytes: Uint8Array): void {
    this.packets.push(`${from} ${name}`);
    const copy = bytes.slice();
    this.later(() => this.machines.get(name)?.receive({ type: "mem", name: from }, copy));
  }

  later(run: () => void): void {
    this.#queue.push(run);
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
      const due = [...this.machines.values()].map((machine) => machine.deadline() ?? end + 1);
      const at = Math.max(this.now, Math.min(...due));
      if (at > end) break;
      this.now = at;
      for (const machine of this.machines.values()) if ((machine.deadline() ?? end + 1) <= at) machine.tick();
    }
    this.now = end;
  }

  /** How many packets went from one to the other so far. */
  count(from: string, to: string): number {
    return this.packets.filter((packet) => packet === `${from} ${to}`).length;
  }
}

interface SideOptions {
  readonly mail?: boolean;
  readonly cache?: typeof CACHE;
  readonly paths?: Path[];
  readonly asks?: boolean;
}

/** A root with all that it ever put out. What it saves is saved at once. */
export class Side implements Machine {
  readonly name: string;
  readonly identity: Identity;
  readonly outs: RootOut[] = [];
  readonly disk: Map<string, Uint8Array> = new Map();
  /** What the user calls it, from the next restart on. */
  called: string;
  /** Whether stamps are found as soon as they are asked for. */
  finds = true;
  readonly answers: Map<number, { value?: unknown; code?: string }> = new Map();
  root: Root;
  readonly #bench: Bench;
  readonly #make: () => Root;
  #paths: readonly Path[];
  readonly #boxes: BoxStore = memoryBoxStore();
  #req = 1;

  constructor(bench: Bench, name: string, options: SideOptions = {}) {
    this.#bench = bench;
    this.name = name;
    this.called = name;
    const { mail = true, cache, paths = [{ type: "mem", name }], asks = false } = options;
    const random: Random = bench.chance.fork().random;
    const identity = createIdentity(crypto, random);
    this.identity = identity;
    this.#paths = paths;
    const served = cache === undefined ? {} : { cache };
    this.#make = () =>
      new Root({
        crypto,
        identity,
        random,
        paths: this.#paths,
        name: this.called,
        mail,
        asks,
        cloak: false,
        saved: new Map(this.disk),
        ...served,
      });
    this.root = this.#make();
    bench.machines.set(name, this);
    this.handle({ type: "start" });
  }

  get hashname(): Hashname {
    return this.identity.hashname;
  }

  /** As after a crash: what was saved, and nothing else. */
  restart(): void {
    this.root = this.#make();
    this.handle({ type: "start" });
  }

  /** Restarts at another address. */
  moveTo(name: string): void {
    this.#paths = [{ type: "mem", name }];
    this.#bench.machines.set(name, this);
    this.restart();
  }

  deadline(): Time | undefined {
    return this.root.deadline();
  }

  tick(): void {
    this.handle({ type: "tick" });
  }

  receive(path: Path, bytes: Uint8Array): void {
    this.handle({ type: "received", path, bytes });
  }

  handle(input: RootIn): void {
    for (const out of this.root.handle(input, this.#bench.now)) {
      this.outs.push(kept(out));
      this.#perform(out);
    }
  }

  /** The answer, if it came in this time. */
  call(call: Call, wait = 0): { value?: unknown; code?: string } | undefined {
    const req = this.#req++;
    this.handle({ type: "call", req, call });
    this.#bench.run(wait);
    return this.answers.get(req);
  }

  invite(once = true, work = 0): string {
    const value = this.call({ type: "invite", once, work })?.value as { link: string } | undefined;
    return value?.link ?? "";
  }

  events<T extends PeerEvent["type"]>(type: T): Extract<PeerEvent, { type: T }>[] {
    const events = this.outs.flatMap((out) => (out.type === "event" ? [out.event] : []));
    return events.filter((event): event is Extract<PeerEvent, { type: T }> => event.type === type);
  }

  texts(): (string | undefined)[] {
    return this.events("mail").map(({ text }) => text);
  }

  /** How many messages it keeps for others. */
  held(): number {
    return this.#boxes.stats().messages;
  }

  contact(of: Side): string | undefined {
    return this.root.findContact(of.hashname)?.id;
  }

  #perform(out: RootOut): void {
    const bench = this.#bench;
    switch (out.type) {
      case "transmit":
        return bench.transmit(this.name, out.path, out.bytes);
      case "save":
        if (out.value === undefined) this.disk.delete(out.key);
        else this.disk.set(out.key, out.value);
        return;
      case "read":
        return bench.later(() => this.handle({ type: "read", req: out.req, value: this.disk.get(out.key) }));
      case "list": {
        const { req, prefix, after, limit } = out;
        return bench.later(() => this.handle({ type: "listed", req, pairs: pageOf(this.disk, prefix, after, limit) }));
      }
      case "boxes": {
        const answers = this.#boxes.handle(out.op, bench.now);
        if (Array.isArray(answers)) bench.later(() => this.handle({ type: "boxes", answers }));
        return;
      }
      case "find-stamp":
        if (this.finds) bench.later(() => this.handle({ type: "stamp", req: out.req, stamp: stampFor(out.task) }));
        return;
      case "reply":
        this.answers.set(out.req, { value: out.value });
        return;
      case "refuse":
        this.answers.set(out.req, { code: out.code });
    }
  }
}

/** A cache's store wipes the bytes that it is done with: what is looked at later must be a copy. */
function kept(out: RootOut): RootOut {
  if (out.type !== "boxes" || out.op.type !== "put") return out;
  const more = out.op.more?.map(({ id, bytes }) => ({ id, bytes: bytes.slice() }));
  return { ...out, op: { ...out.op, bytes: out.op.bytes.slice(), more } };
}

/** A peer that is nothing but a mesh: it links to whom it likes, and opens what channels it likes. */
export class Wild implements Machine {
  readonly identity: Identity;
  readonly outs: MeshOut[] = [];
  readonly #bench: Bench;
  readonly #name: string;
  readonly #mesh: Mesh;

  constructor(bench: Bench, name: string, identity?: Identity) {
    this.#bench = bench;
    this.#name = name;
    const { random } = bench.chance.fork();
    this.identity = identity ?? createIdentity(crypto, random);
    let handle = 1000;
    this.#mesh = new Mesh({ crypto, identity: this.identity, random, handles: () => handle++, cloak: false });
    bench.machines.set(name, this);
  }

  want({ name, identity: { hashname, keys } }: Side, uri?: string): void {
    const peer = { hashname, keys, paths: [{ type: "mem", name }] };
    this.handle({ type: "want", peer, ...(uri === undefined ? {} : { uri }) });
  }

  deadline(): Time | undefined {
    return this.#mesh.deadline();
  }

  tick(): void {
    this.handle({ type: "tick" });
  }

  receive(path: Path, bytes: Uint8Array): void {
    this.handle({ type: "received", path, bytes });
  }

  handle(input: MeshIn): void {
    for (const out of this.#mesh.handle(input, this.#bench.now)) {
      this.outs.push(out);
      if (out.type === "transmit") this.#bench.transmit(this.#name, out.path, out.bytes);
    }
  }
}

/** `b` uses an invite of `a`: from then on they are contacts. */
export function befriend(bench: Bench, a: Side, b: Side): void {
  b.call({ type: "add", link: a.invite() }, MINUTE);
  assert(a.contact(b) !== undefined && b.contact(a) !== undefined, "the two are contacts after a minute");
  bench.run(MINUTE);
}

/** The stamp that is asked for. */
export function stampFor(task: StampTask): Uint8Array {
  const stamp = findStamp(portable, task, 0, 2 ** 20);
  assert(stamp !== undefined, "tests ask for little work");
  return stamp;
}

/** What an invite says. */
export function invite(link: string): Invite {
  const parsed = parseInvite(portable, link);
  if (parsed === undefined) throw new Error("no invite");
  return parsed;
}

/** The admission URIs that `reader` has for the caches of `owner`. */
export function urisOf(reader: Side, owner: Side): string[] {
  const card = new Book(portable, reader.disk).of(owner.hashname)?.card;
  return card?.peers.flatMap(({ caches }) => caches.map(({ uri }) => uri)) ?? [];
}

/** Alice, bob and the caches that bob joined; bob is away. */
export function away(...names: string[]): {
  bench: Bench;
  alice: Side;
  bob: Side;
  caches: Side[];
  send(text: string): unknown;
} {
  const bench = new Bench();
  const [alice, bob] = [new Side(bench, "alice"), new Side(bench, "bob")];
  const caches = names.map((name) => new Side(bench, name, { mail: false, cache: CACHE }));
  for (const cache of caches) bob.call({ type: "join", link: cache.root.joinLink() }, MINUTE);
  befriend(bench, alice, bob);
  bench.machines.delete("bob");
  alice.restart(); // else she would believe in her link for a while
  bench.run(MINUTE);
  const contact = alice.contact(bob) ?? "";
  return {
    bench,
    alice,
    bob,
    caches,
    send: (text) => alice.call({ type: "send", contact, mail: { kind: "text", text } }, MINUTE),
  };
}

/** What was left at a cache for somebody. */
export function putsFor(cache: Side, recipient: Side): { box: string; id: string; bytes: Uint8Array }[] {
  return cache.outs.flatMap((out) => {
    if (out.type !== "boxes" || out.op.type !== "put" || out.op.recipient !== recipient.hashname) return [];
    const { box, more = [] } = out.op;
    return [out.op, ...more].map(({ id, bytes }) => ({ box, id, bytes }));
  });
}
