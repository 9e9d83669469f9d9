/**
 * Which channel ids are ours to give, and which of the peer's are still to come. The order of an exchange keeps both
 * sides apart: ODD counts 1, 3, 5, ..., EVEN 2, 4, 6, ... protocol/channels.md §2
 */

/** The ids of one exchange. Holds 256 numbers, whatever the peer sends. */
export class ChannelIds {
  readonly #first: number;
  readonly #last: number;
  /** By turn, so two ids less than IDS_BACK turns apart never share a place. Most exchanges never need it. */
  #seen: Uint32Array | undefined;
  #next: number;
  #highest = 0;

  /** `order` is ours: 1 = ODD. `last` is the highest id that we give, 2^32-1 unless a test wants to see it reached. */
  constructor(order: 0 | 1, last: number = MAX_CHANNEL_ID) {
    this.#first = order === 1 ? 1 : 2;
    this.#last = last;
    this.#next = this.#first;
  }

  /** A new id of ours, higher than all before; `undefined` when there is none left and the exchange must be renewed. */
  next(): number | undefined {
    if (this.#next > this.#last) return undefined;
    const id = this.#next;
    this.#next += 2;
    return id;
  }

  /**
   * Whether the peer may open this channel: an id of its parity that it did not use before. Ids come in increasing
   * order but for opens that overtake each other, so one up to 256 turns behind the highest is still good.
   */
  isFresh(id: number): boolean {
    const isTheirs = id % 2 !== this.#first % 2;
    return isTheirs && id > 0 && id > this.#highest - 2 * IDS_BACK && this.#seen?.[turnOf(id)] !== id;
  }

  /** Notes that the peer used this id: from now on it is not fresh. */
  use(id: number): void {
    this.#seen ??= new Uint32Array(IDS_BACK);
    this.#seen[turnOf(id)] = id;
    this.#highest = Math.max(this.#highest, id);
  }

  /** A new exchange: both sides count from the start again. */
  reset(): void {
    this.#next = this.#first;
    this.#highest = 0;
    this.#seen = undefined;
  }
}

/** The highest channel id there is (channels.md, "Channel IDs"). */
export const MAX_CHANNEL_ID = 0xffffffff;

function turnOf(id: number): number {
  return (id >>> 1) % IDS_BACK;
}

// The text asks for two. A lost open of a reliable channel comes again after a second or more, and meanwhile a busy
// peer opens many others: with a short memory they would shut it out for good.
const IDS_BACK = 256;
