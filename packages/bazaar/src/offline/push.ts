/**
 * The push node's part: it keeps the blocks of messages for the peers that it lets in, asks for those that it lacks, and gives
 * them to whoever knows their names. No I/O: blocks lie with the caller. protocol/bazaar-network.md §5
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { equal, type Time } from "restante/protocol";
import { type Cid, cidOf } from "../format/ids.ts";

/** What must happen, in this order. */
export type PushEffect =
  | { readonly type: "keep"; readonly cid: Cid; readonly bytes: Uint8Array }
  | { readonly type: "forget"; readonly cid: Cid }
  | { readonly type: "save"; readonly name: string; readonly row: BundleRow | undefined };

/** The blocks of one message of one peer, for whoever saves it. */
export interface BundleRow {
  readonly peer: string;
  /** All blocks of the message in the peer's order, and how many bytes each has: 0 for one that has not come. */
  readonly blocks: readonly { readonly cid: Cid; readonly size: number }[];
  readonly until: Time;
  /** SHA-256 of the secret that withdraws it. */
  readonly withdraw?: Uint8Array;
}

/** What a push node keeps for others. */
export interface PushLimits {
  /** Bytes for one peer, and in all. */
  readonly perPeer: number;
  readonly total: number;
  /** Messages of one peer. */
  readonly bundles: number;
  /** Blocks of one message; bytes of one block. */
  readonly blocks: number;
  readonly blockBytes: number;
}

/** A block of a unixfs file is at most 262,158 bytes. */
export const PUSH_LIMITS: PushLimits = {
  perPeer: 64 * 1024 * 1024,
  total: 1024 * 1024 * 1024,
  bundles: 2_000,
  blocks: 128,
  blockBytes: 270_000,
};

/** How long a message is kept after the last STORE of it: as long as its pointer. */
export const BUNDLE_LIFE_MS: number = 7 * 24 * 3600 * 1000;

/** The role. Whoever uses it calls `expire` first. Peers are called by one name each, of the caller's choice; only those let in are listened to. */
export class PushNode {
  readonly #limits: PushLimits;
  readonly #admitted: Set<string>;
  #guests: ReadonlySet<string> = new Set();
  /** By peer and root; the one whose time ends first stands first. */
  readonly #bundles = new Map<string, Bundle>();
  readonly #blocks = new Map<Cid, Held>();
  readonly #used = new Map<string, { bytes: number; bundles: number }>();
  /** Blocks asked for: until when they may come, by peer. */
  readonly #awaited = new Map<string, Map<Cid, Time>>();
  #bytes = 0;

  constructor(options: { readonly admitted?: Iterable<string>; readonly limits?: Partial<PushLimits> } = {}) {
    this.#limits = { ...PUSH_LIMITS, ...options.limits };
    this.#admitted = new Set(options.admitted);
  }

  /** Bytes of all blocks that are kept. */
  get bytes(): number {
    return this.#bytes;
  }

  /** These, and only these, are let in from now on, beside those of the options. What is kept for others runs out. */
  admit(guests: Iterable<string>): void {
    this.#guests = new Set(guests);
  }

  /** Takes in what was saved, at the start. */
  load(rows: Iterable<BundleRow>, now: Time): PushEffect[] {
    for (const row of [...rows].sort((a, b) => a.until - b.until)) {
      const bundle: Bundle = { ...row, name: bundleName(row.peer, row.blocks[0]?.cid), blocks: new Set() };
      this.#add(bundle);
      for (const { cid, size } of row.blocks) this.#fill(this.#tie(bundle, cid), size);
    }
    return this.expire(now);
  }

  /**
   * A peer's STORE: which of these blocks are wanted of it. The list is that of one message, its root first; the same root
   * again renews its time. `undefined`: refused, because the peer is not let in, has no room left, or the list is none.
   */
  store(peer: string, cids: readonly Cid[], now: Time): { wanted: Cid[]; effects: PushEffect[] } | undefined {
    const isList = cids.length > 0 && cids.length <= this.#limits.blocks;
    const isLetIn = this.#admitted.has(peer) || this.#guests.has(peer);
    if (!isLetIn || !isList) return undefined;
    const name = bundleName(peer, cids[0]);
    const used = this.#used.get(peer);
    const wanted = [...new Set(cids)].filter((cid) => !this.#blocks.get(cid)?.size);
    // Nobody knows how large the blocks are: there is room for all that may come, or the peer is told now.
    const { perPeer, total, blockBytes } = this.#limits;
    const own = this.#expected(peer, wanted, now);
    const lent = this.#lent(peer, cids);
    const isTooMuch =
      (used?.bytes ?? 0) + lent + own * blockBytes > perPeer ||
      this.#bytes + (own + this.#expectedOfOthers(peer, now)) * blockBytes > total;
    if ((wanted.length > 0 || lent > 0) && isTooMuch) return undefined;
    const before = this.#bundles.get(name);
    if (!before && (used?.bundles ?? 0) >= this.#limits.bundles) return undefined;
    const withdraw = before?.withdraw;
    const bundle: Bundle = {
      peer,
      name,
      blocks: new Set(),
      until: now + BUNDLE_LIFE_MS,
      ...(withdraw && { withdraw }),
    };
    this.#bundles.delete(name);
    this.#add(bundle);
    for (const cid of new Set(cids)) this.#tie(bundle, cid);
    // Only now, so that what stays in the message is not forgotten in between.
    const effects = before ? this.#detach(before) : [];
    const awaited = this.#awaited.get(peer) ?? new Map<Cid, Time>();
    for (const cid of wanted) awaited.set(cid, now + AWAITED_MS);
    if (awaited.size > 0) this.#awaited.set(peer, awaited);
    return { wanted, effects: [...effects, this.#save(bundle)] };
  }

  /** A block that came. `undefined`: nobody asked this peer for it, it is too large, or it is not what its name says. */
  block(peer: string, cid: Cid, bytes: Uint8Array, now: Time): PushEffect[] | undefined {
    const awaited = this.#awaited.get(peer);
    if ((awaited?.get(cid) ?? 0) <= now || bytes.length > this.#limits.blockBytes || bytes.length === 0)
      return undefined;
    if (cidOf(bytes) !== cid) return undefined;
    awaited?.delete(cid);
    if (awaited?.size === 0) this.#awaited.delete(peer);
    const held = this.#blocks.get(cid);
    if (held === undefined || held.size > 0) return [];
    // Who listed it too, and did not send it in time, may have no room for it any more.
    const late = [...held.bundles].filter(
      (other) => other.peer !== peer && !this.#hasRoom(other.peer, cid, bytes.length, now),
    );
    const effects = late.flatMap((bundle) => this.#remove(bundle));
    if (held.bundles.size === 0) return effects;
    this.#fill(held, bytes.length);
    return [...effects, { type: "keep", cid, bytes }, ...[...held.bundles].map((bundle) => this.#save(bundle))];
  }

  /** Whether the block is kept here. */
  has(cid: Cid): boolean {
    return (this.#blocks.get(cid)?.size ?? 0) > 0;
  }

  /** The peer's pointer to this root has that hash: its secret ends the message here too. */
  pointed(peer: string, root: Cid, withdraw: Uint8Array): PushEffect[] {
    const bundle = this.#bundles.get(bundleName(peer, root));
    if (bundle === undefined) return [];
    bundle.withdraw = withdraw;
    return [this.#save(bundle)];
  }

  /** Somebody showed the secret: the messages that it ends are forgotten. */
  withdraw(preimage: Uint8Array): PushEffect[] {
    const hash = sha256(preimage);
    const ended = [...this.#bundles.values()].filter(({ withdraw }) => withdraw && equal(withdraw, hash));
    return ended.flatMap((bundle) => this.#remove(bundle));
  }

  /** Forgets what is over. */
  expire(now: Time): PushEffect[] {
    const effects: PushEffect[] = [];
    for (const bundle of this.#bundles.values()) {
      if (bundle.until > now) break;
      effects.push(...this.#remove(bundle));
    }
    return effects;
  }

  /** When something is over next. */
  deadline(): Time | undefined {
    const [first] = this.#bundles.values();
    return first?.until;
  }

  /** How many blocks may still come from a peer, with those of a new list. */
  #expected(peer: string, wanted: readonly Cid[], now: Time): number {
    const awaited = this.#stillAwaited(peer, now);
    const more = wanted.filter((cid) => !awaited?.has(cid));
    return (awaited?.size ?? 0) + more.length;
  }

  #expectedOfOthers(peer: string, now: Time): number {
    let sum = 0;
    for (const other of [...this.#awaited.keys()]) if (other !== peer) sum += this.#stillAwaited(other, now)?.size ?? 0;
    return sum;
  }

  #stillAwaited(peer: string, now: Time): ReadonlyMap<Cid, Time> | undefined {
    const awaited = this.#awaited.get(peer);
    for (const [cid, until] of awaited ?? []) if (until <= now) awaited?.delete(cid);
    if (awaited?.size === 0) this.#awaited.delete(peer);
    return awaited;
  }

  #add(bundle: Bundle): void {
    this.#bundles.set(bundle.name, bundle);
    const used = this.#used.get(bundle.peer) ?? { bytes: 0, bundles: 0 };
    used.bundles++;
    this.#used.set(bundle.peer, used);
  }

  /** The block is one of the message's from now on. Of a peer it counts once, however many of its messages it is in. */
  #tie(bundle: Bundle, cid: Cid): Held {
    const held = this.#blocks.get(cid) ?? { size: 0, bundles: new Set(), peers: new Map() };
    this.#blocks.set(cid, held);
    if (held.bundles.has(bundle)) return held;
    bundle.blocks.add(cid);
    held.bundles.add(bundle);
    const times = held.peers.get(bundle.peer) ?? 0;
    held.peers.set(bundle.peer, times + 1);
    if (times === 0) this.#use(bundle.peer, held.size);
    return held;
  }

  /** The block has come. */
  #fill(held: Held, size: number): void {
    if (held.size > 0) return;
    held.size = size;
    this.#bytes += size;
    for (const peer of held.peers.keys()) this.#use(peer, size);
  }

  #use(peer: string, bytes: number): void {
    const used = this.#used.get(peer);
    if (used) used.bytes += bytes;
  }

  /** Bytes of the list that others have brought, and that would count as the peer's as well. */
  #lent(peer: string, cids: readonly Cid[]): number {
    const held = [...new Set(cids)].flatMap((cid) => this.#blocks.get(cid) ?? []);
    return held.reduce((sum, { size, peers }) => sum + (peers.has(peer) ? 0 : size), 0);
  }

  /** Whether a peer has room for a block that another one brings. For what it still may bring itself there is. */
  #hasRoom(peer: string, cid: Cid, size: number, now: Time): boolean {
    const awaited = this.#stillAwaited(peer, now);
    if (awaited?.has(cid)) return true;
    const { perPeer, blockBytes } = this.#limits;
    return (this.#used.get(peer)?.bytes ?? 0) + size + (awaited?.size ?? 0) * blockBytes <= perPeer;
  }

  #remove(bundle: Bundle): PushEffect[] {
    this.#bundles.delete(bundle.name);
    return [...this.#detach(bundle), { type: "save", name: bundle.name, row: undefined }];
  }

  /** Forgets the blocks that were of this message alone. */
  #detach(bundle: Bundle): PushEffect[] {
    const effects: PushEffect[] = [];
    const used = this.#used.get(bundle.peer);
    if (used) used.bundles--;
    for (const cid of bundle.blocks) {
      const held = this.#blocks.get(cid);
      if (held === undefined) continue;
      held.bundles.delete(bundle);
      const times = (held.peers.get(bundle.peer) ?? 0) - 1;
      if (times > 0) held.peers.set(bundle.peer, times);
      else if (held.peers.delete(bundle.peer)) this.#use(bundle.peer, -held.size);
      if (held.bundles.size > 0) continue;
      this.#blocks.delete(cid);
      this.#bytes -= held.size;
      if (held.size > 0) effects.push({ type: "forget", cid });
    }
    if (used?.bundles === 0) this.#used.delete(bundle.peer);
    return effects;
  }

  #save({ peer, name, until, withdraw, blocks }: Bundle): PushEffect {
    const sizes = [...blocks].map((cid) => ({ cid, size: this.#blocks.get(cid)?.size ?? 0 }));
    return { type: "save", name, row: { peer, until, blocks: sizes, ...(withdraw && { withdraw }) } };
  }
}

interface Bundle {
  readonly peer: string;
  readonly name: string;
  readonly blocks: Set<Cid>;
  readonly until: Time;
  withdraw?: Uint8Array;
}

/** A block of one or several messages; `size` 0 as long as it has not come. */
interface Held {
  size: number;
  readonly bundles: Set<Bundle>;
  /** In how many messages of each peer it is. */
  readonly peers: Map<string, number>;
}

function bundleName(peer: string, root: Cid | undefined): string {
  return `${peer}/${root ?? ""}`;
}

const AWAITED_MS = 10 * 60 * 1000; // as long as a slow line may take for a large message
