import { expect, test } from "vitest";
import type { Random, Time } from "./bytes/index.ts";
import { encodeInvite, type Invite, type Path, parseInvite, secretUri } from "./card/index.ts";
import { createCrypto, createIdentity, type Hashname, type Identity, portable } from "./crypto/index.ts";
import { Mesh, type MeshIn, type MeshOut } from "./mesh/index.ts";
import { type Call, type PeerEvent, Root, type RootIn, type RootOut } from "./peer.ts";
import { type BoxStore, memoryBoxStore } from "./store/index.ts";
import { Chance } from "./testing/chance.ts";
import { cs01 } from "./testing/cipher-set-01.ts";
import { type SimPeer, World } from "./testing/world.ts";

// --- roots side by side, without a driver: every effect can be looked at ---

const crypto = createCrypto(portable, [cs01()]);
const START = 1_800_000_000_000;
const MINUTE = 60_000;

/** Roots on a wire that neither loses nor waits. */
class Bench {
  now: Time = START;
  readonly sides = new Map<string, { handle(input: RootIn): void; deadline(): Time | undefined }>();
  /** Who sent how many bytes to whom. */
  readonly packets: { from: string; to: string; size: number }[] = [];
  readonly chance = new Chance(5);
  #queue: (() => void)[] = [];

  side(name: string, options: { mail?: boolean; cache?: { cap: number; quota: number }; paths?: Path[] } = {}): Side {
    return new Side(this, name, options);
  }

  transmit(from: string, path: Path, bytes: Uint8Array): void {
    const to = path.name ?? "";
    this.packets.push({ from, to, size: bytes.length });
    const input: RootIn = { type: "received", path: { type: "mem", name: from }, bytes: bytes.slice() };
    this.later(() => this.sides.get(to)?.handle(input));
  }

  later(run: () => void): void {
    this.#queue.push(run);
  }

  run(ms: number): void {
    const end = this.now + ms;
    for (;;) {
      for (let next = this.#queue.shift(); next !== undefined; next = this.#queue.shift()) next();
      const due = [...this.sides.values()].map((side) => side.deadline() ?? end + 1);
      const at = Math.max(this.now, Math.min(...due));
      if (at > end) break;
      this.now = at;
      for (const side of this.sides.values())
        if ((side.deadline() ?? end + 1) <= at) side.handle({ type: "tick" });
    }
    this.now = end;
  }
}

/** One root with all that it ever put out. */
class Side {
  readonly identity: Identity;
  readonly outs: RootOut[] = [];
  readonly disk = new Map<string, Uint8Array>();
  readonly answers = new Map<number, { value?: unknown; code?: string }>();
  root: Root;
  readonly #bench: Bench;
  readonly #make: () => Root;
  readonly #boxes: BoxStore = memoryBoxStore();
  #req = 1;

  constructor(
    bench: Bench,
    readonly_name: string,
    { mail = true, cache, paths }: { mail?: boolean; cache?: { cap: number; quota: number }; paths?: Path[] },
  ) {
    this.#bench = bench;
    const random: Random = bench.chance.fork().random;
    this.identity = createIdentity(crypto, random);
    const own: Path[] = paths ?? [{ type: "mem", name: readonly_name }];
    const common = { crypto, identity: this.identity, random, paths: own, name: readonly_name, mail, cloak: false };
    this.#make = () => new Root({ ...common, saved: new Map(this.disk), ...(cache === undefined ? {} : { cache }) });
    this.root = this.#make();
    this.name = readonly_name;
    bench.sides.set(readonly_name, this);
    this.handle({ type: "start" });
  }

  readonly name: string;

  restart(): void {
    this.root = this.#make();
    this.handle({ type: "start" });
  }

  deadline(): Time | undefined {
    return this.root.deadline();
  }

  handle(input: RootIn): void {
    const bench = this.#bench;
    for (const out of this.root.handle(input, bench.now)) {
      this.outs.push(out);
      if (out.type === "transmit") bench.transmit(this.name, out.path, out.bytes);
      else if (out.type === "save" && out.value !== undefined) this.disk.set(out.key, out.value);
      else if (out.type === "save") this.disk.delete(out.key);
      else if (out.type === "read")
        bench.later(() => this.handle({ type: "read", req: out.req, value: this.disk.get(out.key) }));
      else if (out.type === "boxes") {
        const answers = this.#boxes.handle(out.op, bench.now);
        if (Array.isArray(answers)) bench.later(() => this.handle({ type: "boxes", answers }));
      } else if (out.type === "reply") this.answers.set(out.req, { value: out.value });
      else if (out.type === "refuse") this.answers.set(out.req, { code: out.code });
    }
  }

  /** The answer so far, if there is one. */
  call(call: Call, wait = 0): { value?: unknown; code?: string } | undefined {
    const req = this.#req++;
    this.handle({ type: "call", req, call });
    if (wait > 0) this.#bench.run(wait);
    return this.answers.get(req);
  }

  invite(once = true): string {
    return (this.call({ type: "invite", once })?.value as { link: string }).link;
  }

  events<T extends PeerEvent["type"]>(type: T): Extract<PeerEvent, { type: T }>[] {
    return this.outs.flatMap((out) => (out.type === "event" && out.event.type === type ? [out.event] : [])) as Extract<
      PeerEvent,
      { type: T }
    >[];
  }

  contact(of: Side | SimPeer): string | undefined {
    return this.root.findContact(of.identity.hashname)?.id;
  }
}
