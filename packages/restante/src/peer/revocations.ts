/**
 * What the recipients of a cache have revoked. In memory alone, and only as much as fits: every recipient tells it again with
 * its next link. protocol/admission.md §6
 */
import type { Hashname } from "../crypto/index.ts";

interface Revoked {
  readonly serials: Set<number>;
  /** Changes with the serials, and is never that of an earlier record. */
  revision: number;
}

/** Serials of each recipient. */
export class Revocations {
  /** Told last, last. */
  readonly #byRecipient = new Map<Hashname, Revoked>();
  #cost = 0;
  #revision = 0;

  has(recipient: Hashname, serial: number): boolean {
    return this.#byRecipient.get(recipient)?.serials.has(serial) === true;
  }

  /** Another number whenever what `has` says of this recipient may have changed. 0: nothing is revoked. */
  revision(recipient: Hashname): number {
    return this.#byRecipient.get(recipient)?.revision ?? 0;
  }

  add(recipient: Hashname, serials: readonly number[]): void {
    const fresh = serials.filter((serial) => !this.has(recipient, serial));
    const known = this.#byRecipient.get(recipient);
    // Told once more, they are the last again: what the recipient has forgotten goes first, not what it still tells.
    for (const serial of serials) if (known?.serials.delete(serial)) known.serials.add(serial);
    if (fresh.length === 0) return;
    const revoked = known ?? { serials: new Set(), revision: 0 };
    this.#cost += (known === undefined ? RECORD_COST : 0) + fresh.length;
    for (const serial of fresh) revoked.serials.add(serial);
    for (const oldest of revoked.serials) {
      if (revoked.serials.size <= MAX_SERIALS) break;
      revoked.serials.delete(oldest);
      this.#cost--;
    }
    revoked.revision = ++this.#revision;
    this.#byRecipient.delete(recipient);
    this.#byRecipient.set(recipient, revoked);
    while (this.#cost > MAX_COST) this.#forgetLargest();
  }

  /** Whoever has revoked most: one who fills this memory on purpose pushes himself out first. Under many names, each a recipient, he can push out others. */
  #forgetLargest(): void {
    let largest: Hashname | undefined;
    let size = 0;
    for (const [recipient, { serials }] of this.#byRecipient)
      if (serials.size > size) [largest, size] = [recipient, serials.size];
    if (largest === undefined) return;
    this.#byRecipient.delete(largest);
    this.#cost -= RECORD_COST + size;
  }
}

/** Of one recipient. admission.md §6 */
export const MAX_SERIALS = 2000;
const MAX_COST = 1 << 20; // serials: some 40 MB in the worst case
const RECORD_COST = 16; // what a recipient costs besides
