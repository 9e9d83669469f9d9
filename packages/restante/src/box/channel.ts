/**
 * Channels as the roles of a box see them: what they ask of a link, and what a link tells them. The mesh speaks the same
 * words; the parent carries them between the two. protocol/box.md §4
 */
import type { Hashname } from "../crypto/index.ts";
import type { JsonObject } from "../wire/index.ts";

/** What a role asks. `ch` is a number unique in this peer; who opens draws it. */
export type ChannelOp =
  | { type: "open"; ch: number; peer: Hashname; reliable: boolean; head: JsonObject; body: Uint8Array; end?: boolean }
  /** `isGiven`: the body is nobody else's any more, so it need not be copied. `asks`: its acknowledgement is waited for. */
  | { type: "send"; ch: number; head: JsonObject; body: Uint8Array; end?: boolean; isGiven?: boolean; asks?: boolean }
  /** One content packet of a reliable channel is dealt with, or `count`; the other side's window moves on. */
  | { type: "took"; ch: number; count?: number }
  | { type: "fail"; ch: number; err: string };

/** The other side opened a channel. When reliable, this packet too owes one `took`. */
export interface ChannelOpened {
  type: "opened";
  ch: number;
  peer: Hashname;
  reliable: boolean;
  kind: string;
  head: JsonObject;
  body: Uint8Array;
}

/** What happens on a channel. `body` is a view into something larger: copy what you keep. */
export type ChannelEvent =
  | ChannelOpened
  /** In order when reliable; each owes one `took`. */
  | { type: "packet"; ch: number; head: JsonObject; body: Uint8Array }
  /** So many more of our content packets, the opening one included, have been taken by the other side. */
  | { type: "acked"; ch: number; count: number }
  /** Nothing more will come from the other side. */
  | { type: "ended"; ch: number }
  /** The last word about `ch`. */
  | { type: "closed"; ch: number; err: string | undefined }
  /** So many packets may be sent now. Replaces what was said before. */
  | { type: "writable"; ch: number; credit: number };

/** The body of a packet that carries none. */
export const NOTHING: Uint8Array = new Uint8Array(0);
