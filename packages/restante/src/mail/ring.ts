/**
 * A ring of forward keys: those that we made for one sending peer, the newest first. A key is deleted when the sender says
 * that it needs it no more, and a new one is made when the newest was used. protocol/forward.md §3
 */
import {
  asJson,
  assert,
  fromBase32,
  fromHex,
  ofJson,
  type Random,
  type Time,
  toBase32,
  toHex,
} from "../bytes/index.ts";
import type { Backend, KeyPair } from "../crypto/index.ts";
import type { Announcement } from "./acknowledgement.ts";
import { FORWARD_KEYS, forwardId, forwardPair } from "./forward.ts";
import { type ClosedPart, openPart, type Part } from "./inner.ts";

export interface RingOptions {
  readonly backend: Backend;
  readonly random: Random;
  /** Our store epoch, 16 hex: another one than in `saved` tells that the store was restored. */
  readonly by: string;
  /** What `encode` gave. */
  readonly saved: Uint8Array | undefined;
}

/** What became of a closed part. "gone": the key it was sealed to is not here, so it is nobody's fault. */
export type Unsealed = Part | "gone" | undefined;

/** The keys for one sender. Bounded, whatever the sender says; what changes them says so, and then they are to be saved. */
export class Ring {
  readonly #options: RingOptions;
  /** Names this run of announcements. Another one, when the sender may have heard later ones than we remember. */
  #ring: string;
  #turn: number;
  /** The newest first, and never none. */
  readonly #keys: Held[];
  /** Not told any more, and not deleted before a time. The newest last. */
  #aside: Aside[];
  /** Epoch of the sender's numbers, as far as it was met. */
  #of: string | undefined;
  /** Mail was sealed to the newest key: it is time for the next. */
  #isUsed: boolean;
  /** The present announcement went out, for all that we know. */
  #isTold = true;
  /** The store was restored since the ring was saved. */
  readonly isRestored: boolean;

  constructor(options: RingOptions) {
    this.#options = options;
    const { saved, by } = options;
    const record: RingRecord | undefined = saved && ofJson(saved);
    this.#ring = record?.ring ?? "";
    this.#turn = record?.turn ?? 0;
    this.#keys = (record?.keys ?? []).map(heldOf);
    this.#aside = (record?.aside ?? []).map(([key, secret, until]) => ({ ...heldOf([key, secret]), until }));
    this.#of = record?.of;
    this.#isUsed = record?.isUsed ?? false;
    this.isRestored = record !== undefined && record.by !== by;
    // A backup may hold what was deleted since, and lacks what was made since: the sender must hear what there really is.
    if (this.isRestored) {
      this.#keys.splice(FORWARD_KEYS - 1);
      this.#isUsed = true;
      this.#begin();
      this.#turnOver();
    }
  }

  /** Is there a key at all? None is made before there is somebody to tell it to. */
  get isEmpty(): boolean {
    return this.#keys.length === 0;
  }

  /** Makes the first key. */
  fill(): void {
    assert(this.isEmpty, "a ring is filled once");
    this.#isUsed = true;
    this.#begin();
    this.#turnOver();
  }

  /** What the sender should know, as it goes out now. */
  announce(): Announcement {
    assert(!this.isEmpty, "a ring is filled before it is told");
    this.#isTold = true;
    return { ring: this.#ring, turn: this.#turn, keys: this.#keys.map(({ key }) => key) };
  }

  /**
   * Opens a part, and takes over what its header says of older keys. `undefined`: not sealed by who knew the key, or no
   * mail. `isChanged`: to be saved.
   */
  open(closed: ClosedPart): { part: Unsealed; isChanged: boolean } {
    const { header } = closed;
    const held = [...this.#keys, ...this.#aside].find(({ key }) => forwardId(key) === header.key);
    if (held === undefined) return { part: "gone", isChanged: false };
    const part = openPart(this.#options.backend, held.pair, closed);
    if (part === undefined) return { part, isChanged: false };
    if (held === this.#keys[0]) this.#isUsed = true;
    return { part, isChanged: this.heed([header.key, ...header.uses]) };
  }

  /**
   * Takes over what the sender says: it seals to the first of these ids or to a later one, and its mail wants of those before
   * it the others here. What else lies before is deleted. Whether anything changed.
   */
  heed([newest, ...older]: readonly string[]): boolean {
    const at = this.#keys.findIndex(({ key }) => forwardId(key) === newest);
    const before = at < 0 ? [] : this.#keys.splice(at + 1);
    const kept = before.filter(({ key }) => older.includes(forwardId(key)));
    this.#keys.push(...kept);
    for (const held of before) if (!kept.includes(held)) held.pair.secret.fill(0);
    if (kept.length < before.length) this.#turn++;
    return this.#turnOver() || kept.length < before.length;
  }

  /**
   * The sender numbers its mail in this epoch, 16 hex; `isNew`: nothing came in it before. Where it is another than the last
   * one, the sender's store was put back to an older one: what it says from now on is true of the mail that it still knows. What
   * it has forgotten may lie somewhere, and wants the keys of now: they are put aside until then. Whether anything changed.
   */
  meet(epoch: string, isNew: boolean, until: Time): boolean {
    if (this.#of === epoch || (this.#of !== undefined && !isNew)) return false;
    const isOther = this.#of !== undefined;
    this.#of = epoch;
    if (!isOther) return true;
    const known = new Set(this.#keys.map(({ key }) => key));
    const copies = this.#keys.map(({ key, pair }) => ({ key, pair: { ...pair, secret: pair.secret.slice() }, until }));
    this.#aside = [...this.#aside.filter(({ key }) => !known.has(key)), ...copies.reverse()].slice(-ASIDE_LIMIT);
    return true;
  }

  /** When the next key that was put aside is deleted. */
  get asideUntil(): Time | undefined {
    return this.#aside.length === 0 ? undefined : Math.min(...this.#aside.map(({ until }) => until));
  }

  /** Deletes what was put aside until now. Whether anything changed. */
  expire(now: Time): boolean {
    const over = this.#aside.filter(({ until }) => until <= now);
    for (const { pair } of over) pair.secret.fill(0);
    this.#aside = this.#aside.filter(({ until }) => until > now);
    return over.length > 0;
  }

  /**
   * The sender used a key that is not here, so it has not heard what is, or heard something else: the keys get a new name,
   * which it takes for news whatever it heard before. At most once for each announcement. Whether anything changed.
   */
  rename(): boolean {
    if (!this.#isTold || this.isEmpty) return false;
    this.#begin();
    return true;
  }

  encode(): Uint8Array {
    const record: RingRecord = {
      by: this.#options.by,
      ring: this.#ring,
      turn: this.#turn,
      isUsed: this.#isUsed,
      keys: this.#keys.map(({ key, pair }) => [key, toBase32(pair.secret)]),
      ...(this.#of !== undefined && { of: this.#of }),
      ...(this.#aside.length > 0 && {
        aside: this.#aside.map(({ key, pair, until }) => [key, toBase32(pair.secret), until] as const),
      }),
    };
    return asJson(record);
  }

  #begin(): void {
    this.#ring = toHex(this.#options.random(RING_BYTES));
    this.#turn = 1;
    this.#isTold = false;
  }

  /** A new key where the newest was used. With all places taken it waits: to delete what mail may want would cost mail. */
  #turnOver(): boolean {
    if (!this.#isUsed || this.#keys.length >= FORWARD_KEYS) return false;
    const pair = forwardPair(this.#options.backend, this.#options.random);
    this.#keys.unshift({ key: toHex(pair.key), pair });
    this.#isUsed = false;
    this.#turn++;
    return true;
  }
}

interface Held {
  /** 64 hex. */
  readonly key: string;
  readonly pair: KeyPair;
}

interface Aside extends Held {
  readonly until: Time;
}

interface RingRecord {
  readonly by: string;
  readonly ring: string;
  readonly turn: number;
  readonly isUsed: boolean;
  readonly keys: readonly (readonly [key: string, secret: string])[];
  readonly of?: string;
  readonly aside?: readonly (readonly [key: string, secret: string, until: Time])[];
}

function heldOf([key, secret]: readonly [string, string]): Held {
  const pair = { key: fromHex(key), secret: fromBase32(secret) };
  assert(pair.key !== undefined && pair.secret !== undefined, "a record holds what was written");
  return { key, pair: { key: pair.key, secret: pair.secret } };
}

const RING_BYTES = 8;
const ASIDE_LIMIT = 2 * FORWARD_KEYS; // two restored backups, one after the other
