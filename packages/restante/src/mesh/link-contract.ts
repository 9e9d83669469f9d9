/** What a link takes, tells, and is made with. What it does with that: link.ts. */
import type { Budget, Random, Time } from "../bytes/index.ts";
import type { Path } from "../card/index.ts";
import type { Crypto, Hashname, Identity, Keys } from "../crypto/index.ts";
import type { ChannelEvent, ChannelsIn, HandshakeMessage, Held, OuterPacket, ReceivedHandshake } from "../e3x/index.ts";
import type { JsonObject } from "../wire/index.ts";

/** What channels can be asked for, see `Channels`. */
export type ChannelOp = Extract<ChannelsIn, { type: "open" | "send" | "took" | "fail" }>;

export type LinkIn =
  /** Keep a link, from now on or with what is new. Tries at once, unless that is under way already. */
  | { readonly type: "want"; readonly keys: Keys; readonly paths: readonly Path[]; readonly uri: string | undefined }
  | { readonly type: "unwant" }
  /** Have the peer answer, see `MeshIn`. */
  | { readonly type: "ping" }
  /** Send these messages with every handshake from now on, and with one at once where the link is up. */
  | { readonly type: "handshakes"; readonly messages: readonly HandshakeMessage[] }
  /** A handshake message of this peer, verified; being here it is approved. */
  | ({ readonly type: "handshake"; readonly path: Path; readonly csid: number } & {
      readonly key: Uint8Array;
      readonly name: string;
    } & ReceivedHandshake)
  /** Packets that carried our token and came one after the other, as in `ExchangeIn`. */
  | { readonly type: "packets"; readonly path: Path; readonly packets: readonly OuterPacket[] }
  | { readonly type: "lost"; readonly path: Path }
  | { readonly type: "stop"; readonly why: string }
  /** We are about to go: tell the peer, on this channel, and end the link. Waits for nothing. */
  | { readonly type: "leave"; readonly ch: number }
  /** Addresses that the peer told of itself: tried with handshakes while there is only a router. */
  | { readonly type: "offered"; readonly paths: readonly Path[] }
  /** A router brought the peer's own key: it makes the hashname. */
  | { readonly type: "introduced"; readonly csid: number; readonly key: Uint8Array; readonly path: Path }
  /** The router of this path can be reached, after it could not or after it had forgotten everything. */
  | { readonly type: "relay"; readonly path: Path }
  /** This peer is to relay a handshake: look for it; and when it was `isRepeat`, make sure that it is there. */
  | { readonly type: "needed"; readonly isRepeat: boolean }
  /** Something is to go in masses to where the peer is: make sure that it is there, if that is not proven. */
  | { readonly type: "prove" }
  /** One packet that is never answered: a channel that is opened and forgotten. Nothing happens while the link is down. */
  | { readonly type: "post"; readonly ch: number; readonly head: JsonObject; readonly body: Uint8Array }
  | { readonly type: "forget"; readonly ch: number }
  | ChannelOp
  | { readonly type: "credit"; readonly bytes: number }
  | { readonly type: "tick" };

export type LinkOut =
  /**
   * An outer packet, to be framed and sent, or to be given to a router. `isRepeat`: nobody has answered it so far. `bytes` and
   * `free`: as in `ExchangeOut`.
   */
  | Transmit
  /** The input was really from the peer, and of use, or some of its packets were. */
  | { readonly type: "heard" }
  /** As in `ExchangeOut`. */
  | { readonly type: "dropped"; readonly count: number }
  | { readonly type: "up"; readonly path: Path }
  /** The link, which is up, goes on by another path. */
  | { readonly type: "moved"; readonly path: Path }
  | { readonly type: "down"; readonly why: string }
  | { readonly type: "renewed" }
  | { readonly type: "pong"; readonly ms: number }
  | ChannelEvent;

export interface Transmit {
  readonly type: "transmit";
  readonly path: Path;
  readonly bytes: Uint8Array;
  readonly isRepeat: boolean;
  readonly free: number;
}

export interface LinkOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly hashname: Hashname;
  readonly random: Random;
  readonly handles: () => number;
  readonly nextAt: (above: bigint, now: Time) => bigint;
  /** Shared by all links. */
  readonly held: Held;
  /** As in the input "handshakes". */
  readonly messages: readonly HandshakeMessage[];
  readonly cbor: boolean;
  /** Handshakes to addresses that peers told us, of all links. */
  readonly trials: Budget;
}
