/** A backlog: parcels whose turn has not come, first in, first out. What ended meanwhile is passed over. protocol/mail.md §10 */
import type { Parcel } from "./parcel.ts";

/** A queue that costs the same however long it is. */
export class Backlog {
  #parcels: Parcel[] = [];
  #head = 0;

  push(parcel: Parcel): void {
    this.#parcels.push(parcel);
  }

  /** The first that is still open, which leaves the queue; `undefined`: there is none. */
  take(): Parcel | undefined {
    while (this.#head < this.#parcels.length) {
      const parcel = this.#parcels[this.#head++];
      if (this.#head >= COMPACT && this.#head * 2 >= this.#parcels.length) {
        this.#parcels = this.#parcels.slice(this.#head);
        this.#head = 0;
      }
      if (parcel?.state === "open") return parcel;
    }
    return undefined;
  }

  clear(): void {
    this.#parcels = [];
    this.#head = 0;
  }
}

const COMPACT = 1024;
