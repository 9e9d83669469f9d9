/**
 * Which mail stands under which number: the beginnings of the ids of those that were committed last. An acknowledgement tells
 * them, so that a sender whose store was copied sees that its number is taken by a mail of the other copy, before it
 * believes that its own arrived. protocol/mail.md §9
 */
import type { Json } from "../wire/index.ts";
import { SEQ_LIMIT } from "./constants.ts";
import { isHex } from "./envelope.ts";

/** Of one epoch of the reader's. */
export interface Marked {
  /** 16 hex. */
  readonly epoch: string;
  /** Ascending in `seq`. `mark`: the first 8 hex of the id of the mail. */
  readonly marks: readonly { readonly seq: number; readonly mark: string }[];
}

/** The recipient's account of one sender: of the 32 mails of which something was committed last. */
export class Marks {
  /** The newest last. */
  readonly #entries: { readonly epoch: string; readonly seq: number; readonly mark: string }[] = [];

  /** Something of this mail was committed. */
  note(epoch: string, seq: number, id: string): void {
    const known = this.#entries.findIndex((each) => each.epoch === epoch && each.seq === seq);
    if (known >= 0) this.#entries.splice(known, 1);
    this.#entries.push({ epoch, seq, mark: markOf(id) });
    if (this.#entries.length > MARKS_LIMIT) this.#entries.shift();
  }

  /** Is it this mail that has the number? `undefined`: not known any more. */
  is(epoch: string, seq: number, id: string): boolean | undefined {
    const known = this.#entries.find((each) => each.epoch === epoch && each.seq === seq);
    return known && known.mark === markOf(id);
  }

  /** Numbers of this epoch below are of no more use. */
  cut(epoch: string, floor: number): void {
    const kept = this.#entries.filter((each) => each.epoch !== epoch || each.seq >= floor);
    if (kept.length < this.#entries.length) this.#entries.splice(0, this.#entries.length, ...kept);
  }

  /** What an acknowledgement says: of the 4 epochs that came last, the latest last. `undefined`: nothing. */
  tell(): readonly Marked[] | undefined {
    const newest = new Set(this.#entries.map(({ epoch }) => epoch).reverse());
    const epochs = [...newest].slice(0, MARKED_EPOCHS).reverse();
    const told = epochs.map((epoch) => ({
      epoch,
      marks: this.#entries
        .filter((each) => each.epoch === epoch)
        .map(({ seq, mark }) => ({ seq, mark }))
        .sort((a, b) => a.seq - b.seq),
    }));
    return told.length === 0 ? undefined : told;
  }

  /** What was told before, as an account to go on with. */
  static of(told: readonly Marked[] | undefined): Marks {
    const marks = new Marks();
    for (const { epoch, marks: list } of told ?? [])
      for (const { seq, mark } of list) marks.#entries.push({ epoch, seq, mark });
    return marks;
  }
}

/** How an acknowledgement names a mail. */
export function markOf(id: string): string {
  return id.slice(0, MARK_LENGTH);
}

/** As it stands in the head: each epoch a list of its name, then for each run of numbers the first, and all marks in one text. */
export function encodeMarked(told: readonly Marked[]): Json {
  return told.map(({ epoch, marks }) => {
    const list: (string | number)[] = [epoch];
    let next = 0;
    for (const { seq, mark } of marks) {
      if (seq === next) list.push(`${list.pop()}${mark}`);
      else list.push(seq, mark);
      next = seq + 1;
    }
    return list;
  });
}

/** What `encodeMarked` wrote; `undefined` for all that is not exactly as protocol/mail.md §9 has it. */
export function parseMarked(json: Json | undefined): readonly Marked[] | undefined {
  if (!Array.isArray(json) || json.length < 1 || json.length > MARKED_EPOCHS) return undefined;
  const told = (json as readonly Json[]).flatMap((each) => parseEpoch(each) ?? []);
  const count = told.reduce((sum, { marks }) => sum + marks.length, 0);
  const isWhole = told.length === json.length && new Set(told.map(({ epoch }) => epoch)).size === told.length;
  return isWhole && count <= MARKS_LIMIT ? told : undefined;
}

function parseEpoch(json: Json): Marked | undefined {
  const list: readonly Json[] = Array.isArray(json) ? json : [];
  const [epoch, ...runs] = list;
  if (typeof epoch !== "string" || !isHex(epoch, EPOCH_BYTES)) return undefined;
  if (runs.length < 2 || runs.length > 2 * MARKS_LIMIT || runs.length % 2 !== 0) return undefined;
  const marks: { seq: number; mark: string }[] = [];
  let least = 1;
  for (let i = 0; i < runs.length; i += 2) {
    const [first, text] = [runs[i], runs[i + 1]];
    if (typeof first !== "number" || !Number.isSafeInteger(first) || first < least) return undefined;
    if (typeof text !== "string" || !MARK_RUN.test(text) || text.length > MARKS_LIMIT * MARK_LENGTH) return undefined;
    for (let at = 0; at < text.length; at += MARK_LENGTH)
      marks.push({ seq: first + at / MARK_LENGTH, mark: text.slice(at, at + MARK_LENGTH) });
    least = first + text.length / MARK_LENGTH + 1; // runs that touch are one
    if (least > SEQ_LIMIT + 2) return undefined;
  }
  return { epoch, marks };
}

const MARKS_LIMIT = 32;
const MARKED_EPOCHS = 4;
const MARK_LENGTH = 8; // 32 bits: two mails of two copies under one number are not taken for one, but one time in 4e9
const MARK_RUN = /^(?:[0-9a-f]{8})+$/;
const EPOCH_BYTES = 8;
