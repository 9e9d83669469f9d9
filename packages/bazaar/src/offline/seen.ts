/**
 * What has been seen: contents, so that none is downloaded twice, and messages, so that none is shown twice. Bounded: the oldest
 * of a pool go first, and strangers have a pool of their own, so that they cannot push out what contacts sent.
 */
import { fromBase64url, fromUtf8, toBase64url, utf8 } from "restante/protocol";
import { type PeerId, parsePeerId } from "../format/index.ts";
import type { Save } from "./effects.ts";

export interface SeenEntry {
  readonly pool: Pool;
  readonly at: number;
  /** Of a content that was acknowledged: to whom, and when last. */
  readonly acked?: Acked | undefined;
}

interface Acked {
  readonly to: PeerId;
  readonly publicKey: Uint8Array;
  readonly magic: Uint8Array;
  readonly at: number;
}

/** "junk": what we cannot open, and what is not for a reader. */
export type Pool = "contact" | "stranger" | "junk";

/** All keys of its records begin so. */
export const SEEN_PREFIX = "bazaar/seen/";

export class Seen {
  readonly #entries = new Map<string, SeenEntry>();
  /** The keys of each pool, oldest first. */
  readonly #pools: Record<Pool, Set<string>> = { contact: new Set(), stranger: new Set(), junk: new Set() };

  /** `records`: what is stored below SEEN_PREFIX. Damaged ones are forgotten. */
  constructor(records: Iterable<readonly [key: string, value: Uint8Array]>) {
    const entries: [string, SeenEntry][] = [];
    for (const [key, value] of records) {
      const entry = parse(value);
      if (entry !== undefined) entries.push([key.slice(SEEN_PREFIX.length), entry]);
    }
    entries.sort(([, a], [, b]) => a.at - b.at);
    for (const [key, entry] of entries) this.#put(key, entry);
  }

  get(key: string): SeenEntry | undefined {
    return this.#entries.get(key);
  }

  get size(): number {
    return this.#entries.size;
  }

  /** Remembers; what has to be forgotten for it is among the saves. */
  add(key: string, entry: SeenEntry): Save[] {
    this.#put(key, entry);
    const saves: Save[] = [{ type: "save", key: SEEN_PREFIX + key, value: encode(entry) }];
    const pool = this.#pools[entry.pool];
    for (const oldest of pool) {
      if (pool.size <= LIMITS[entry.pool]) break;
      saves.push(this.#drop(oldest));
    }
    return saves;
  }

  /** Forgets what is older than anything that would still be taken, at most 1000 at a time. */
  sweep(now: number): Save[] {
    const saves: Save[] = [];
    for (const pool of Object.values(this.#pools)) {
      for (const key of pool) {
        const entry = this.#entries.get(key);
        if (saves.length >= SWEEP || (entry !== undefined && now - entry.at < LIFE_MS)) break;
        saves.push(this.#drop(key));
      }
    }
    return saves;
  }

  #put(key: string, entry: SeenEntry): void {
    const old = this.#entries.get(key);
    if (old !== undefined) this.#pools[old.pool].delete(key);
    this.#entries.set(key, entry);
    this.#pools[entry.pool].add(key);
  }

  #drop(key: string): Save {
    const entry = this.#entries.get(key);
    this.#entries.delete(key);
    if (entry !== undefined) this.#pools[entry.pool].delete(key);
    return { type: "save", key: SEEN_PREFIX + key, value: undefined };
  }
}

function encode({ pool, at, acked }: SeenEntry): Uint8Array {
  const { to, publicKey, magic } = acked ?? {};
  return utf8(
    JSON.stringify({
      pool,
      at,
      ...(publicKey && magic && { to, key: toBase64url(publicKey), magic: toBase64url(magic), acked: acked?.at }),
    }),
  );
}

function parse(value: Uint8Array): SeenEntry | undefined {
  try {
    const { pool, at, to, key, magic, acked } = JSON.parse(fromUtf8(value) ?? "");
    if (!Object.hasOwn(LIMITS, pool) || typeof at !== "number") return undefined;
    const peer = typeof to === "string" ? parsePeerId(to) : undefined;
    const [publicKey, id] = [fromBase64url(String(key)), fromBase64url(String(magic))];
    const isAcked = peer !== undefined && publicKey !== undefined && id !== undefined;
    return { pool, at, ...(isAcked && { acked: { to: peer, publicKey, magic: id, at: Number(acked) } }) };
  } catch {
    return undefined;
  }
}

const LIMITS: Readonly<Record<Pool, number>> = { contact: 40_000, stranger: 8000, junk: 20_000 };
const LIFE_MS = 39 * 86_400_000; // longer than a message is taken after the time that it says: Arrivals
const SWEEP = 1000;
