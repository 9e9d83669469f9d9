/** What a mesh takes, tells, and is made with. */
import type { Random } from "../bytes/index.ts";
import type { Path } from "../card/index.ts";
import type { Crypto, Hashname, Identity, Keys } from "../crypto/index.ts";
import type { ChannelEvent, HandshakeMessage } from "../e3x/index.ts";
import type { Noise } from "./floors.ts";
import type { ChannelOp } from "./link-contract.ts";
import type { Refusal } from "./opener.ts";
import type { Routing } from "./routing.ts";

export type MeshIn =
  /** A datagram, or any piece of a stream in order. The bytes are ours from now on. */
  | { readonly type: "received"; readonly path: Path; readonly bytes: Uint8Array }
  /** A connection came or went. */
  | { readonly type: "path"; readonly path: Path; readonly open: boolean }
  /** The path takes so many bytes now; unlimited before the first of these. */
  | { readonly type: "writable"; readonly path: Path; readonly credit: number }
  /**
   * Have a link and keep it. Again: with new paths or another admission URI, or to try at once. `keys` must be those of
   * the hashname. A URI that is too long for a handshake is left out. Paths of type `peer` lead by
   * routers, to which there must be links too: want them. With such a path `keys` may be empty: then the router brings
   * the peer our keys, and perhaps it answers.
   */
  | {
      readonly type: "want";
      readonly peer: { readonly hashname: Hashname; readonly keys: Keys; readonly paths: readonly Path[] };
      readonly uri?: string;
    }
  /** Ask the peer for a sign of life, over its link, or by looking for it once more. Answered by `pong`, when there is one. */
  | { readonly type: "ping"; readonly hashname: Hashname }
  /** Stop trying. A link that is up stays for as long as the peer keeps it or channels are open. */
  | { readonly type: "unwant"; readonly hashname: Hashname }
  /** The answer to a `handshake`. What was not approved in 30 s is forgotten. */
  | { readonly type: "approve"; readonly hashname: Hashname }
  /** Nothing is sent, and an existing link ends. */
  | { readonly type: "reject"; readonly hashname: Hashname }
  /** The routers that may bring us peers, in place of those before. Links to them are wanted as any other. */
  | { readonly type: "routers"; readonly hashnames: readonly Hashname[] }
  /**
   * Messages of types "jwt" and "tx", one of each, to send with our keys in every handshake from now on, in place of those
   * before; on links that are up with one at once. They must fit (`fitsHandshake`) for every set of ours.
   */
  | { readonly type: "handshakes"; readonly messages: readonly HandshakeMessage[] }
  /** Our own addresses, in place of those before: told to peers that we reach by a router only, and to our routers. */
  | { readonly type: "paths"; readonly paths: readonly Path[] }
  /** Opens a channel; see `Channels`. Closed at once ("down") when there is neither a link nor an attempt. */
  | (Extract<ChannelOp, { type: "open" }> & { readonly peer: Hashname })
  | Exclude<ChannelOp, { type: "open" }>
  /** We are about to be stopped: who has a link with us is told, in one packet each, and all links end ("left"). */
  | { readonly type: "leave" }
  | { readonly type: "tick" };

export type MeshOut =
  | { readonly type: "transmit"; readonly path: Path; readonly bytes: Uint8Array }
  /**
   * A handshake of a proven sender: all its messages so far. `isNew`: nothing is answered before `approve`; asked
   * again when more messages come. Otherwise only news: a peer with a link shows another admission URI.
   */
  | {
      readonly type: "handshake";
      readonly hashname: Hashname;
      readonly keys: Keys;
      readonly path: Path;
      readonly messages: readonly HandshakeMessage[];
      readonly isNew: boolean;
    }
  /**
   * Somebody who knows our hashname and nothing else, brought by the router `via`. That the keys are the hashname's is
   * certain, that it is there is not: `want` it with these keys and the path {type: "peer", hn: via} to find out.
   */
  | { readonly type: "introduction"; readonly hashname: Hashname; readonly keys: Keys; readonly via: Hashname }
  /** A peer says at which address it sees us. */
  | { readonly type: "seen"; readonly by: Hashname; readonly path: Path }
  /** The link works. Again after `renewed`. */
  | { readonly type: "up"; readonly hashname: Hashname; readonly path: Path }
  /**
   * The link is no longer up: "timeout", "idle", "path" (the connection was lost, and the peer does not answer elsewhere),
   * "left" (the peer said so, or we did), "rejected"; or it never will be: "dead", the two need new hashnames. Its channels
   * were closed before.
   */
  | { readonly type: "down"; readonly hashname: Hashname; readonly why: string }
  /** The peer answered after a `ping`; `ms` is what its answer to our handshake took. */
  | { readonly type: "pong"; readonly hashname: Hashname; readonly ms: number }
  /** The peer started anew; all channels were closed before. */
  | { readonly type: "renewed"; readonly hashname: Hashname }
  /** Must be durable before anything that follows it leaves. Give it back as `saved` after a restart. */
  | { readonly type: "save"; readonly key: "mesh/at"; readonly value: Uint8Array }
  | Exclude<ChannelEvent, { type: "opened" }>
  | (Extract<ChannelEvent, { type: "opened" }> & { readonly peer: Hashname });

export interface MeshOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  /** Fresh channel handles, unique in the whole peer. */
  readonly handles: () => number;
  /** The value of the last `save`, if any. */
  readonly saved?: Uint8Array | undefined;
  /** Whether we cloak towards those who have not spoken yet; yes unless `false`. */
  readonly cloak?: boolean;
  /** Pass on packets between others; not without this. */
  readonly routing?: Routing | undefined;
  /** As the input `handshakes`; none without it. */
  readonly handshakes?: readonly HandshakeMessage[];
  /** Whether to offer channel payloads in CBOR, some 20 bytes shorter and dearer to read; no unless `true`. */
  readonly cbor?: boolean;
  /** As the input `routers`; none without it. */
  readonly routers?: readonly Hashname[];
  /** As the input `paths`; before either nobody is told where we are. */
  readonly paths?: readonly Path[];
  /**
   * Send noise on links without end, so that who counts and measures datagrams learns less: see `Noise` for what it
   * costs and protocol/cloaking.md §6 for what is still seen. Not on streams. None without it.
   */
  readonly noise?: Noise | undefined;
}

/** Why something from the network was dropped. */
export type DropReason =
  | Refusal
  | "noise" // too long, or nothing under its cloak
  | "packet" // no packet, or one of a kind that is not used here
  | "token" // a channel packet for an exchange that is not ours
  | "channel" // a channel packet that does not open
  | "stale" // a handshake that changes nothing: a repeat, an older one, one of another key
  | "route" // what is not ours to pass on, over a limit, or without a way; what a router brings that is none of ours
  | "full"; // no room for one more link that we did not ask for
