/** What the channels of applications take and tell. protocol/application.md */
import type { Hashname } from "../crypto/index.ts";
import type { ChannelEvent, ChannelsIn, PacketEvent } from "../e3x/index.ts";
import type { JsonObject } from "../wire/index.ts";

/**
 * What the application asks, each with its answer: one `reply` with that value, or one `refuse`. `ch` is the number of a channel,
 * as `open` and `accept` told it. A `body` is ours from now on. What waits when a channel ends is refused ("channel-closed").
 */
export type ApplicationCall =
  /** Give us the channels of this type that others open. Codes: "bad-type", "known", "full". */
  | { readonly type: "serve"; readonly kind: string }
  /** No more of them; those that nobody accepted are refused, those that are open stay. */
  | { readonly type: "unserve"; readonly kind: string }
  /** The next channel of this type: an `Opening`, once somebody opened one. Codes: "not-served", "busy". */
  | { readonly type: "accept"; readonly kind: string }
  /**
   * Open one to the first device of a contact that is there; `to` names it, or one of its hashnames. The answer is an `Opening`
   * without content, which says nothing of whether the other end serves the type. Waits for a link for `wait` milliseconds at most,
   * 40 s without it; 0: only a link that is there will do. Codes: "not-found", "unreachable", "full", "bad-type", "bad-packet", "too-large".
   */
  | {
      readonly type: "open";
      readonly to: string;
      readonly kind: string;
      readonly reliable: boolean;
      readonly head: JsonObject;
      readonly body: Uint8Array;
      readonly wait?: number;
    }
  /**
   * Answered when the packet is on its way: on a reliable channel when there is room for it among those that the other end has not
   * taken yet. With `end` it is our last. Codes: "channel-closed", "channel-ended", "busy" (64 wait), "bad-packet", "too-large".
   */
  | {
      readonly type: "send";
      readonly ch: number;
      readonly head: JsonObject;
      readonly body: Uint8Array;
      readonly end?: boolean;
    }
  /** The next packet, a `Content`; `undefined` behind the last. Codes: "channel-closed", "busy" (one waits already). */
  | { readonly type: "receive"; readonly ch: number }
  /** Answered when the channel is over, with the reason; `undefined`: both ends ended it, and all was taken. Code: "busy". */
  | { readonly type: "watch"; readonly ch: number }
  /** End it at once, and tell the other end why. */
  | { readonly type: "fail"; readonly ch: number; readonly why: string };

/** A packet as the application has it. */
export interface Content {
  readonly head: JsonObject;
  readonly body: Uint8Array;
}

/** A channel that has just been opened. `content`: of the packet that opened it, where it was the other end; the head without `type`. */
export interface Opening {
  readonly ch: number;
  readonly peer: Hashname;
  readonly kind: string;
  readonly reliable: boolean;
  readonly content?: Content;
}

export type ApplicationIn =
  | { readonly type: "call"; readonly req: number; readonly call: ApplicationCall }
  /** A link came up, or went down: then its channels were closed before. */
  | { readonly type: "up" | "down"; readonly peer: Hashname }
  /** Some who were contacts may be none any more. */
  | { readonly type: "contacts" }
  | Exclude<ChannelEvent, { type: "opened" | "packets" }>
  | PacketEvent
  | Opened
  | { readonly type: "tick" };

/** A channel of a type that is served; its opener may open one. */
export type Opened = Extract<ChannelEvent, { type: "opened" }> & { readonly peer: Hashname };

export type ApplicationOut =
  | (Extract<ChannelsIn, { type: "open" }> & { readonly peer: Hashname })
  | Extract<ChannelsIn, { type: "send" | "took" | "fail" }>
  | { readonly type: "reach" | "release"; readonly peer: Hashname }
  | { readonly type: "reply"; readonly req: number; readonly value: unknown }
  | { readonly type: "refuse"; readonly req: number; readonly code: string; readonly message: string };

export interface ApplicationOptions {
  /** Fresh channel handles, unique in the whole peer. */
  readonly handles: () => number;
  /** Whether channels may be open between us and this peer. */
  readonly isContact: (peer: Hashname) => boolean;
  /** Whose device it is; `undefined`: nobody's. */
  readonly contactOf: (peer: Hashname) => string | undefined;
  /** Whom this names: devices of one contact, the likeliest first; empty: nobody who may be called. */
  readonly peersOf: (to: string) => readonly Hashname[];
  readonly isUp: (peer: Hashname) => boolean;
}
