/**
 * A cache machine on its own: a store behind it that answers at once, and channels by number. Bob is its recipient, alice
 * and mallory write to him; an outbox that shows `CONTACT` is a contact's, one that shows "guest" a stranger's.
 */
import { type BoxOp, boxId, Cache, type CacheIn, type CacheOut } from "../box/index.ts";
import type { Time } from "../bytes/index.ts";
import { type Backend, type Hashname, hashnameFromBytes, portable } from "../crypto/index.ts";
import { type BoxLimits, type BoxStats, memoryBoxStore } from "../store/index.ts";
import type { JsonObject } from "../wire/index.ts";
import { Chance } from "./chance.ts";

/** Somebody, by a number below 2^24. */
export function person(n: number): Hashname {
  return hashnameFromBytes(Uint8Array.from({ length: 32 }, (_, i) => (n >> (8 * (i % 3))) & 255));
}

export const self: Hashname = person(0);
export const alice: Hashname = person(1);
export const bob: Hashname = person(2);
export const mallory: Hashname = person(3);
/** Alice's, for bob. */
export const BOX: string = boxId(portable, alice, bob);
/** What a contact shows. */
export const CONTACT = "34";
const NOW: Time = 1_800_000_000_000;
const CAP = 8 * 1024 * 1024;
const NOTHING = new Uint8Array(0);

export interface DeskOptions {
  readonly seed?: number;
  readonly limits?: Partial<BoxLimits>;
  /** The store never answers. */
  readonly mute?: boolean;
  readonly serial?: (uri: string | undefined) => number | undefined;
  readonly backend?: Backend;
  /** Puts wait until `hand`, as in a peer until the end of its turn. */
  readonly gathers?: boolean;
}

/** A cache, with a store behind it that answers at once (or not at all), and channels by number. */
export class Desk {
  now: Time = NOW;
  /** What the store was asked. */
  ops: BoxOp[] = [];
  revoked = false;
  /** Changes with what the recipients have revoked. */
  revision = 0;
  readonly cache: Cache;
  readonly #store: ReturnType<typeof memoryBoxStore> | undefined;
  readonly #gathers: boolean;
  #waiting: BoxOp[] = [];
  #ch = 1;

  constructor(options: DeskOptions = {}) {
    const chance = new Chance(options.seed ?? 1);
    this.#store = options.mute ? undefined : memoryBoxStore(options.limits);
    this.#gathers = options.gathers === true;
    this.cache = new Cache({
      backend: options.backend ?? portable,
      self,
      random: (length) => Uint8Array.from({ length }, () => chance.between(0, 255)),
      handles: () => 10_000 + this.#ch++,
      cap: options.limits?.box ?? CAP,
      admit: (uri) => {
        if (this.revoked) return undefined;
        return uri === "guest" ? "stranger" : uri === CONTACT ? "contact" : undefined;
      },
      revision: () => this.revision,
      ...(options.serial && { serial: options.serial }),
      ...(this.#gathers && { gathers: true }),
    });
  }

  /** What the cache does about it, without what it asks of the store. */
  take(input: CacheIn): Exclude<CacheOut, { type: "boxes" }>[] {
    const outs: Exclude<CacheOut, { type: "boxes" }>[] = [];
    for (const out of this.cache.handle(input, this.now)) {
      if (out.type !== "boxes") outs.push(out);
      else if (this.#gathers) this.#waiting.push(out.op);
      else outs.push(...this.#ask(out.op));
    }
    return outs;
  }

  /** Asks the store what has waited. */
  hand(): Exclude<CacheOut, { type: "boxes" }>[] {
    const ops = this.#waiting.splice(0);
    return [...this.take({ type: "asked" }), ...ops.flatMap((op) => this.#ask(op))];
  }

  #ask(op: BoxOp): Exclude<CacheOut, { type: "boxes" }>[] {
    const more = op.type === "put" ? op.more?.map(({ id, bytes }) => ({ id, bytes: bytes.slice() })) : undefined;
    this.ops.push(op.type === "put" ? { ...op, bytes: op.bytes.slice(), ...(more && { more }) } : op);
    return (this.#store?.handle(op, this.now) ?? []).flatMap((answer) =>
      this.take({ type: "store", answers: [answer] }),
    );
  }

  outbox(peer: Hashname, fields: JsonObject = {}, body: Uint8Array = NOTHING): { ch: number; outs: CacheOut[] } {
    const ch = this.#ch++;
    const head = { type: "outbox", to: bob, uri: CONTACT, ...fields };
    return { ch, outs: this.take({ type: "opened", ch, peer, reliable: true, kind: "outbox", head, body }) };
  }

  inbox(peer: Hashname, box: JsonObject[string] = BOX, credit = 1000): { ch: number; outs: CacheOut[] } {
    const ch = this.#ch++;
    const outs = this.take({
      type: "opened",
      ch,
      peer,
      reliable: true,
      kind: "inbox",
      head: { type: "inbox", box },
      body: NOTHING,
    });
    return { ch, outs: [...outs, ...this.take({ type: "writable", ch, credit })] };
  }

  packet(ch: number, head: JsonObject, body: Uint8Array = NOTHING): CacheOut[] {
    return this.take({ type: "packet", ch, head, body });
  }

  /** The same for several that come one after the other. */
  packets(ch: number, packets: { head: JsonObject; body: Uint8Array }[]): CacheOut[] {
    return this.take({ type: "packets", ch, packets });
  }

  /** The ops since the last look, without reads and lists. */
  stored(): BoxOp[] {
    const changes = this.ops.filter((op) => op.type !== "read" && op.type !== "list");
    this.ops = [];
    return changes;
  }

  stats(): BoxStats | undefined {
    return this.#store?.stats();
  }

  /** The next deadline, and what happens then. */
  tick(): CacheOut[] {
    this.now = this.cache.deadline() ?? this.now;
    return this.take({ type: "tick" });
  }
}
