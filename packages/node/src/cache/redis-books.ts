/**
 * What a cluster holds in all, by slot: what the servers said last, and what our own calls changed since. A server carries out
 * the calls of one connection in order and answers in that order, so with each slot the two add up.
 */
import { SLOTS } from "./redis-names.ts";

/** Message data in bytes, and numbers of everything. */
export interface Holdings {
  readonly messages: number;
  readonly data: number;
  readonly boxes: number;
  readonly recipients: number;
}

/** Sums that are kept up to date. */
export class Books {
  readonly #slots = new Float64Array(SLOTS * COUNTS);
  readonly #sums = new Float64Array(COUNTS);

  get sums(): Holdings {
    // Until the servers are asked again, what ended by itself or was lost may be counted still.
    const [messages = 0, data = 0, boxes = 0, recipients = 0] = this.#sums.map((sum) => Math.max(0, sum));
    return { messages, data, boxes, recipients };
  }

  /** A call has changed what is in this slot. */
  add(slot: number, change: Holdings): void {
    countsOf(change).forEach((count, i) => {
      this.#sums[i] = (this.#sums[i] ?? 0) + count;
      this.#slots[slot * COUNTS + i] = (this.#slots[slot * COUNTS + i] ?? 0) + count;
    });
  }

  /** This is in the slot now. */
  set(slot: number, held: Holdings): void {
    countsOf(held).forEach((count, i) => {
      const was = this.#slots[slot * COUNTS + i] ?? 0;
      this.#sums[i] = (this.#sums[i] ?? 0) + count - was;
      this.#slots[slot * COUNTS + i] = count;
    });
  }
}

/** What a book of a slot says: two numbers, each of which has two counts. */
export function parseBook([messages, boxes]: readonly (string | null)[]): Holdings {
  const [m, b] = [BigInt(messages ?? 0), BigInt(boxes ?? 0)];
  return {
    messages: Number(m / UNIT),
    data: Number(m % UNIT),
    boxes: Number(b / UNIT),
    recipients: Number(b % UNIT),
  };
}

function countsOf({ messages, data, boxes, recipients }: Holdings): number[] {
  return [messages, data, boxes, recipients];
}

const COUNTS = 4;
const UNIT = 2n ** 40n; // MANY in the function
