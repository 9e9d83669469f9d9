/** What the cache asks of its store, and hears from it. protocol/box.md §7 */
import type { Time } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { ChannelOp } from "./channel.ts";

/** Whom a message is from: the recipient itself, a sender that it named, or anybody with an invite. */
export type BoxClass = "member" | "contact" | "stranger";

/** What is granted to `sender` towards `to` for an admission URI, and the stamp that was shown with it. */
export type Admit = (
  uri: string | undefined,
  to: Hashname,
  sender: Hashname,
  now: Time,
  stamp: string | undefined,
) => BoxClass | undefined;

/**
 * What the store is asked; each has one answer with the same `op`. `BoxOp` and `BoxAnswer` are those of store/boxes.ts,
 * in the same words: neighbours do not import each other, and cache.test.ts holds the two equal.
 */
export type BoxOp = BoxRequest & { readonly op: number };

/** A `BoxOp` before it has its number. */
export type BoxRequest =
  | {
      readonly type: "put";
      readonly recipient: Hashname;
      readonly box: string;
      readonly id: string;
      readonly bytes: Uint8Array;
      readonly expires: Time;
      readonly class: BoxClass;
      readonly serial?: number;
      /** Further ones of the same box. */
      readonly more?: readonly PutMessage[] | undefined;
    }
  | {
      readonly type: "remove";
      readonly recipient: Hashname;
      readonly box: string;
      readonly id: string;
      readonly serial?: number;
    }
  | {
      readonly type: "remove-many";
      readonly recipient: Hashname;
      readonly box: string;
      /** Two numbers of 32 bits for each. */
      readonly ids: Uint32Array;
    }
  | { readonly type: "clear"; readonly recipient: Hashname; readonly box: string; readonly serial?: number }
  | { readonly type: "revoke"; readonly recipient: Hashname; readonly serials: readonly number[] }
  | { readonly type: "list"; readonly recipient: Hashname }
  | {
      readonly type: "read";
      readonly recipient: Hashname;
      readonly box: string;
      readonly after: number;
      readonly most?: number;
      readonly room?: number;
    }
  | { readonly type: "sweep" };

/** A message as it is put. `low`, `high`: its id as two numbers of 32 bits, signed, for who need not read the text. */
export interface PutMessage {
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly low?: number;
  readonly high?: number;
}

/** Where the messages of an `outbox` go: one object for each channel. */
export interface PutPlace {
  readonly recipient: Hashname;
  readonly box: string;
  readonly serial?: number;
}

/** A message as it is read. */
interface BoxMessage {
  /** Maybe made when it is asked for: a copy by spreading, as JSON or to another thread need not have it. */
  readonly id: string;
  readonly bytes: Uint8Array;
  readonly cursor: number;
}

export type BoxAnswer =
  | { readonly type: "done"; readonly op: number }
  | { readonly type: "list"; readonly op: number; readonly boxes: readonly string[] }
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

/** What a part of the cache wants: a channel operation, or something of the store. */
export type PartOut =
  | ChannelOp
  /** `place`: where a sender's messages go, if it is for a sender. Puts that go to the same are known by it. */
  | { type: "store"; request: BoxRequest; ch?: number; clears?: boolean; place?: PutPlace };
