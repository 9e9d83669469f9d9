/**
 * Which of a peer's mails our user has seen: told in acknowledgements, to contacts for whom the user turned it on, and to
 * nobody else. protocol/mail.md §9
 */
import type { Json } from "../wire/index.ts";
import { isHex } from "./envelope.ts";
import { type Range, Ranges } from "./ranges.ts";
import { addNewest, parseRanges } from "./shown.ts";

/** Of one epoch of the reader's. */
export interface Read {
  /** 16 hex. */
  readonly epoch: string;
  /** Numbers of mails, the newest: 1 to 8 ranges, ascending, disjoint, not adjacent. */
  readonly ranges: readonly Range[];
}

/** The recipient's account of one sender: bounded, so that what was seen long ago is not told any more. */
export class Reads {
  /** The epoch of which something was seen last is the last. */
  readonly #epochs = new Map<string, Ranges>();

  /** The user has seen this mail. */
  note(epoch: string, seq: number): void {
    const ranges = this.#epochs.get(epoch) ?? new Ranges();
    addNewest(ranges, seq, seq, READ_RANGES);
    this.#epochs.delete(epoch);
    this.#epochs.set(epoch, ranges);
    const [oldest] = this.#epochs.keys();
    if (this.#epochs.size > READ_EPOCHS && oldest !== undefined) this.#epochs.delete(oldest);
  }

  /** What an acknowledgement says; `undefined`: nothing. */
  tell(): readonly Read[] | undefined {
    const told = [...this.#epochs].map(([epoch, ranges]) => ({ epoch, ranges: [...ranges.list()] }));
    return told.length === 0 ? undefined : told;
  }

  /** What was told before, as an account to go on with. */
  static of(told: readonly Read[] | undefined): Reads {
    const reads = new Reads();
    for (const { epoch, ranges } of told ?? []) {
      const own = new Ranges();
      for (const [first, last] of ranges) addNewest(own, first, last, READ_RANGES);
      reads.#epochs.set(epoch, own);
    }
    return reads;
  }
}

/** As it stands in the head: each epoch a list of its name, then first and last number of each range. */
export function encodeReads(told: readonly Read[]): Json {
  return told.map(({ epoch, ranges }) => [epoch, ...ranges.flat()]);
}

/** What `encodeReads` wrote; `undefined` for all that is not exactly as protocol/mail.md §9 has it. */
export function parseReads(json: Json | undefined): readonly Read[] | undefined {
  if (!Array.isArray(json) || json.length < 1 || json.length > READ_EPOCHS) return undefined;
  const told = (json as readonly Json[]).flatMap((each): Read[] => {
    const [epoch, ...numbers]: readonly Json[] = Array.isArray(each) ? each : [];
    const ranges = parseRanges(numbers, READ_RANGES);
    return typeof epoch === "string" && isHex(epoch, EPOCH_BYTES) && ranges ? [{ epoch, ranges }] : [];
  });
  const isWhole = told.length === json.length && new Set(told.map(({ epoch }) => epoch)).size === told.length;
  return isWhole ? told : undefined;
}

const READ_EPOCHS = 4;
const READ_RANGES = 8;
const EPOCH_BYTES = 8;
