/**
 * What the recipients of a cache have revoked. In memory alone, and only as much as fits: every recipient tells it again with
 * its next link. protocol/admission.md §6
 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";

interface Revoked {
  /** Told last, last. */
  readonly serials: Set<number>;
  /** Changes with the serials, and is never that of an earlier record. */
  revision: number;
  /** When it was told last. */
  at: Time;
  /** It came when most of the room was taken: it is on sufferance until there is room again. */
  isLate: boolean;
}

/**
 * Serials of each recipient. Names are free, so whoever makes many recipients can fill any memory. What must not happen is that
 * they thereby push out what others told before, so room is taken from, in this order: whom nobody heard of for long; what
 * somebody told beyond a share that is enough for people, from whoever has most; recipients that came when there was hardly any
 * room; and else what was told just now is not kept. A recipient that came in time, tells again now and then and keeps to its share
 * is never pushed out by anybody.
 */
export class Revocations {
  /** Told last, last. */
  readonly #byRecipient = new Map<Hashname, Revoked>();
  /** Those that are late, told last, last. */
  readonly #late = new Set<Hashname>();
  /** Those with more than their share, by the number of their serials. */
  readonly #large: Set<Hashname>[] = [];
  #cost = 0;
  #revision = 0;

  has(recipient: Hashname, serial: number): boolean {
    return this.#byRecipient.get(recipient)?.serials.has(serial) === true;
  }

  /** Another number whenever what `has` says of this recipient may have changed. 0: nothing is revoked. */
  revision(recipient: Hashname): number {
    return this.#byRecipient.get(recipient)?.revision ?? 0;
  }

  add(recipient: Hashname, serials: readonly number[], now: Time): void {
    if (serials.length === 0) return;
    const known = this.#byRecipient.get(recipient);
    const isCrowded = this.#cost > CROWDED;
    const revoked = known ?? { serials: new Set<number>(), revision: ++this.#revision, at: now, isLate: isCrowded };
    revoked.at = now;
    revoked.isLate &&= isCrowded;
    this.#byRecipient.delete(recipient);
    this.#byRecipient.set(recipient, revoked);
    this.#late.delete(recipient);
    if (revoked.isLate) this.#late.add(recipient);
    if (known === undefined) this.#cost += RECORD_COST;
    this.#change(recipient, revoked, () => {
      const fresh = serials.filter((serial) => !revoked.serials.has(serial));
      // Told once more, they are the last again: what the recipient has forgotten goes first, not what it still tells.
      for (const serial of serials) if (revoked.serials.delete(serial)) revoked.serials.add(serial);
      for (const serial of fresh) revoked.serials.add(serial);
      if (fresh.length > 0) revoked.revision = ++this.#revision;
      drop(revoked.serials, revoked.serials.size - MAX_SERIALS);
    });
    while (this.#cost > MAX_COST) this.#makeRoom(recipient, revoked, now);
  }

  #makeRoom(newest: Hashname, revoked: Revoked, now: Time): void {
    const over = this.#cost - MAX_COST;
    const [[oldest, untold] = [newest, revoked]] = this.#byRecipient;
    if (untold.at + SILENCE_MS <= now) return this.#forget(oldest, untold);
    while (this.#large.at(-1)?.size === 0) this.#large.pop();
    for (const largest of this.#large.at(-1) ?? []) return this.#trim(largest, over);
    for (const late of this.#late) if (late !== newest) return this.#forgetKnown(late);
    if (over >= revoked.serials.size) return this.#forget(newest, revoked);
    this.#change(newest, revoked, () => dropLast(revoked.serials, over));
    revoked.revision = ++this.#revision;
  }

  /** Of whoever has most, the oldest go: as many as are needed, and no more than what is beyond its share. */
  #trim(recipient: Hashname, over: number): void {
    const revoked = this.#byRecipient.get(recipient);
    if (revoked === undefined) return;
    this.#change(recipient, revoked, () => drop(revoked.serials, Math.min(over, revoked.serials.size - SHARE)));
    revoked.revision = ++this.#revision;
  }

  #forgetKnown(recipient: Hashname): void {
    const revoked = this.#byRecipient.get(recipient);
    if (revoked !== undefined) this.#forget(recipient, revoked);
  }

  #forget(recipient: Hashname, revoked: Revoked): void {
    if (!this.#byRecipient.delete(recipient)) return;
    this.#late.delete(recipient);
    this.#change(recipient, revoked, () => revoked.serials.clear());
    this.#cost -= RECORD_COST;
  }

  /** Does what changes the number of serials, and keeps count. */
  #change(recipient: Hashname, { serials }: Revoked, change: () => void): void {
    const before = serials.size;
    change();
    const after = serials.size;
    this.#cost += after - before;
    if (after === before) return;
    if (before > SHARE) this.#large[before - SHARE - 1]?.delete(recipient);
    if (after <= SHARE) return;
    while (this.#large.length < after - SHARE) this.#large.push(new Set());
    this.#large[after - SHARE - 1]?.add(recipient);
  }
}

function drop(serials: Set<number>, count: number): void {
  let left = count;
  for (const serial of serials) {
    if (left-- <= 0) return;
    serials.delete(serial);
  }
}

/** What was told just now is last. */
function dropLast(serials: Set<number>, count: number): void {
  for (const serial of [...serials].slice(-count)) serials.delete(serial);
}

/** Of one recipient. admission.md §6 */
export const MAX_SERIALS = 2000;
const SHARE = 200; // what nobody can take: one packet
const MAX_COST: number = 1 << 20; // serials: some 40 MB in the worst case
const CROWDED: number = MAX_COST - MAX_COST / 8;
const RECORD_COST = 16; // what a recipient costs besides
const SILENCE_MS: Time = 30 * 24 * 60 * 60 * 1000; // as long as mail is kept
