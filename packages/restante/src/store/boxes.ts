/**
 * What a cache keeps for others, in memory alone: messages in boxes of recipients, within bounds. The cache role decides
 * nothing about room; every adapter applies the rules below, and `boxStoreSuite` in `restante/testing` proves that it does.
 * protocol/box.md §7
 */
import type { Time } from "../bytes/index.ts";

/**
 * Whom a message is from, as its token says: the recipient itself, a sender that the recipient named, or anybody with an
 * invite. Strangers have a small pool of their own, so they never push out what the others left.
 */
type BoxClass = "member" | "contact" | "stranger";

/**
 * One operation. `op` is a number that its answer repeats. `recipient` is a hashname (text), `box` and `id` 16 lower-case
 * hex characters. `bytes` (at least one) are handed over. `expires`: from this time on the message does not exist. `more`:
 * messages of the same box, put after it in this order, as if each had come alone; the one answer is for all.
 * `serial`, of the token under which a sender came: see `revoke`.
 */
export type BoxOp =
  | {
      readonly type: "put";
      readonly op: number;
      readonly recipient: string;
      readonly box: string;
      readonly id: string;
      readonly bytes: Uint8Array;
      readonly expires: Time;
      readonly class: BoxClass;
      readonly serial?: number;
      readonly more?: readonly PutMessage[] | undefined;
    }
  /** Every message with this id: two different ones may share it (X16). */
  | {
      readonly type: "remove";
      readonly op: number;
      readonly recipient: string;
      readonly box: string;
      readonly id: string;
      readonly serial?: number;
    }
  /** The same for each of these, by the recipient itself. `ids`: numbers of 32 bits, two for each, as `pairsHex` writes them. */
  | {
      readonly type: "remove-many";
      readonly op: number;
      readonly recipient: string;
      readonly box: string;
      readonly ids: Uint32Array;
    }
  | {
      readonly type: "clear";
      readonly op: number;
      readonly recipient: string;
      readonly box: string;
      readonly serial?: number;
    }
  /**
   * From now on nothing of this recipient's changes at the word of one of these serials, whoever was told: a store that others
   * put into as well remembers them, within bounds of its own. In one that nobody else uses it does nothing: who asks knows.
   */
  | { readonly type: "revoke"; readonly op: number; readonly recipient: string; readonly serials: readonly number[] }
  /** The recipient's boxes that hold messages. */
  | { readonly type: "list"; readonly op: number; readonly recipient: string }
  /**
   * The oldest message after `after`, which is 0 or the cursor of an earlier answer; and, if the store likes, those that
   * follow it, as far as there are no more than `most` in all, with no more than `room` bytes. Without these just the one.
   */
  | {
      readonly type: "read";
      readonly op: number;
      readonly recipient: string;
      readonly box: string;
      readonly after: number;
      readonly most?: number;
      readonly room?: number;
    }
  /** Erase what has expired, although nobody asks for it. */
  | { readonly type: "sweep"; readonly op: number };

/** A message as it is put. `low`, `high`: its id as two numbers of 32 bits, signed, for who need not read the text. */
interface PutMessage {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly low?: number;
  readonly high?: number;
}

/** A message as it is read. */
interface BoxMessage {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly cursor: number;
}

/** Each operation has one answer with its `op`. `gained` has none: it tells of new messages, and may come at any time. */
export type BoxAnswer =
  /** To put, remove, remove-many, clear and revoke, whatever came of it. */
  | { readonly type: "done"; readonly op: number }
  | { readonly type: "list"; readonly op: number; readonly boxes: readonly string[] }
  /**
   * A copy of the bytes, the caller's own. `cursor` is above 0 and grows within a box. `more`: those that follow, in order.
   * `isLast`: nothing follows these now, which a store need not say.
   */
  | {
      readonly type: "message";
      readonly op: number;
      readonly id: string;
      readonly bytes: Uint8Array;
      readonly cursor: number;
      readonly more?: readonly BoxMessage[];
      readonly isLast?: boolean;
    }
  | { readonly type: "dry"; readonly op: number }
  | { readonly type: "swept"; readonly op: number; readonly messages: number }
  | { readonly type: "gained"; readonly recipient: string; readonly box: string; readonly wasEmpty: boolean };

/** Bytes unless said otherwise. Message data shorter than 128 bytes counts as 128 (no sealed message is that short). */
export interface BoxLimits {
  /** Message data in one box: what `cap` on an inbox channel says. */
  readonly box: number;
  /** Message data for one recipient, of members and contacts. */
  readonly recipient: number;
  /** Message data in a stranger's box. */
  readonly strangerBox: number;
  /** Message data for one recipient, of all strangers together. */
  readonly strangers: number;
  /** Memory for everything: message data and what it costs to keep it. Beyond it nothing new is kept. */
  readonly total: number;
  /** Boxes of one recipient, a number. */
  readonly boxes: number;
  /** The longest time that anything is kept, ms. */
  readonly lifetime: Time;
}

/** Counts over everything, and of what became of messages since the start. Never per hashname (seed 003: status and volume). */
export interface BoxStats {
  readonly recipients: number;
  readonly boxes: number;
  readonly messages: number;
  readonly bytes: number;
  /** What `total` bounds. */
  readonly memory: number;
  readonly gained: number;
  readonly refused: number;
  readonly evicted: number;
  readonly expired: number;
}

/**
 * Boxes in dynamic memory. Never writes to a disk, never throws or rejects for lack of room or of a box.
 *
 * - A put that repeats a kept message (same box, same bytes) keeps its place and takes over the new `expires`.
 * - A full box loses its oldest messages for a new one. So does a recipient at quota, and so do a recipient's strangers: the
 *   oldest of the box that has most, the new message counted; of boxes that have the same, of that with the oldest.
 * - The newest message under 1024 bytes of each box goes only by removal, expiry or a newer one like it (X39). What
 *   cannot be fitted in without it is not kept.
 * - What is gone is overwritten with zeros first.
 */
export interface BoxStore {
  /** Answers of operations given one after the other may come late, but take effect in the order given. */
  handle(op: BoxOp, now: Time): BoxAnswer[] | Promise<BoxAnswer[]>;
  /** Counts and sums as they are now; of a store that others put into as well, as this node knows them. */
  stats(): BoxStats;
  /**
   * Of a store that others put into as well: whom to tell of what recipients gain that were asked for by `list`, and where to
   * ask who of them is still here. Called once, before anything else.
   */
  listen?(tell: (gained: Extract<BoxAnswer, { type: "gained" }>) => void, here: () => ReadonlySet<string>): void;
}

/** A `BoxStore` that answers at once. */
export interface MemoryBoxes extends BoxStore {
  handle(op: BoxOp, now: Time): BoxAnswer[];
}

/** DESIGN "Constants", and what a small machine has to spare. */
export const BOX_LIMITS: BoxLimits = {
  box: 8 * 1024 * 1024,
  recipient: 64 * 1024 * 1024,
  strangerBox: 8 * 1024,
  strangers: 256 * 1024,
  total: 1024 * 1024 * 1024,
  boxes: 4096,
  lifetime: 30 * 24 * 60 * 60 * 1000,
};
