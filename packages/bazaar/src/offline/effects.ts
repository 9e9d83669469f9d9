/**
 * What the machines of sender and recipient ask for, and how they are answered: plain values, no I/O.
 *
 * The contract of whoever carries them out:
 * 1. The effects of one turn are carried out in their order. Whatever stands after a `save` leaves only when that is durable;
 *    when the batch fails, the machines are made anew from what is stored.
 * 2. Every effect with an `id` is answered exactly once by the input with the same `id` (`lookup`: by as many pages as there
 *    are, the last one marked). Ids are of one machine's life: an answer to an id that the machine does not know is ignored.
 * 3. `timeoutMs` is the world's to keep: a question that nobody answers is answered with a failure.
 */
import type { Cid, Message, PeerId, PointerRecord } from "../format/index.ts";

/** Somebody to reach. */
export interface Contact {
  /** The `Qm...` id: SHA-256 of the public key, also for Ed25519. */
  readonly id: PeerId;
  /** The libp2p PublicKey protobuf (36 bytes for Ed25519); absent while unknown. Its hash is `id`. */
  readonly publicKey?: Uint8Array | undefined;
  /** Multiaddrs as text to try first; may be empty. */
  readonly addrs?: readonly string[] | undefined;
}

/** Where pointers are kept: the peers closest to their key, or one push node. */
export type Place = "dht" | Contact;

/** One block of a stored message. */
export interface Block {
  readonly cid: Cid;
  readonly bytes: Uint8Array;
}

/** `undefined` deletes. The saves of one turn, and of turns grouped together, are one atomic and synced batch. */
export interface Save {
  readonly type: "save";
  readonly key: string;
  readonly value: Uint8Array | undefined;
}

/** What both machines may ask for. */
export type Effect =
  | Save
  /**
   * Keep the content under its name (hex SHA-256 of it) and serve the blocks (root first) to whoever asks for their CIDs,
   * until `remove`. Durable when answered with an address. Answer: `stored`. The same put again changes nothing.
   */
  | {
      readonly type: "put";
      readonly id: number;
      readonly name: string;
      readonly content: Uint8Array;
      readonly blocks: readonly Block[];
    }
  /** Read a stored content back. Answer: `content`. */
  | { readonly type: "get"; readonly id: number; readonly name: string }
  /** Forget a stored content and its blocks; unknown ones are no failure. Answer: `removed`. */
  | { readonly type: "remove"; readonly id: number; readonly name: string; readonly root: Cid }
  /** Hand a message over on a stream, online. Answer: `sent`: whether all of it was written and the stream ended well. */
  | {
      readonly type: "send";
      readonly id: number;
      readonly to: Contact;
      readonly message: Message;
      readonly timeoutMs: number;
    }
  /** As `send`, and wait for the answer (the world fills in `requestId`). Answer: `answered`. */
  | {
      readonly type: "request";
      readonly id: number;
      readonly to: Contact;
      readonly message: Message;
      readonly timeoutMs: number;
    }
  /** The public key of a peer: from a connection, from those who know it. Answer: `key`. */
  | { readonly type: "find-key"; readonly id: number; readonly peer: PeerId }
  /** Publish a pointer below `key` (34 bytes, `pointerKey`). Answer: `provided`. */
  | {
      readonly type: "provide";
      readonly id: number;
      readonly at: Place;
      readonly key: Uint8Array;
      readonly pointer: PointerRecord;
    }
  /** Take a pointer back by showing the preimage of its hash. Answer: `provided`. */
  | {
      readonly type: "withdraw";
      readonly id: number;
      readonly at: Place;
      readonly key: Uint8Array;
      /** The pointer's magic id. */
      readonly pointer: Uint8Array;
      readonly preimage: Uint8Array;
    }
  /** Ask for the pointers below `key`. Answer: `found`, page by page. */
  | { readonly type: "lookup"; readonly id: number; readonly at: Place; readonly key: Uint8Array }
  /**
   * Get the content at an address: `/ipfs/CID` by blocks, each verified by its CID, from these peers first; or by HTTPS.
   * Never more than `limit` bytes. Answer: `content`.
   */
  | {
      readonly type: "fetch";
      readonly id: number;
      readonly address: Uint8Array;
      readonly from: readonly Contact[];
      readonly limit: number;
    }
  /** Publish to a topic, for whoever listens. No answer. */
  | { readonly type: "publish"; readonly topic: string; readonly data: Uint8Array }
  /** Listen to a topic from now on. Its messages come as `heard`. No answer. */
  | { readonly type: "subscribe"; readonly topic: string };

/** The answers, by the id of the question. */
export type Answer =
  /** The content's address as a multiaddr in bytes; `undefined`: it could not be kept now. */
  | { readonly type: "stored"; readonly id: number; readonly address: Uint8Array | undefined }
  /** To `get` and `fetch`; `undefined`: not to be had now, or not what its address says. */
  | { readonly type: "content"; readonly id: number; readonly content: Uint8Array | undefined }
  | { readonly type: "removed"; readonly id: number; readonly ok: boolean }
  | { readonly type: "sent"; readonly id: number; readonly ok: boolean }
  /** `undefined`: no answer in time, or not reached. */
  | { readonly type: "answered"; readonly id: number; readonly message: Message | undefined }
  /** A libp2p PublicKey protobuf whose hash is the id asked for; `undefined`: not found. */
  | { readonly type: "key"; readonly id: number; readonly publicKey: Uint8Array | undefined }
  /** How many nodes took the pointer, or its withdrawal. */
  | { readonly type: "provided"; readonly id: number; readonly took: number }
  /** One page, and whose it is. The last page says how many nodes answered at all: none is no "there is nothing". */
  | {
      readonly type: "found";
      readonly id: number;
      readonly by?: PeerId;
      readonly pointers: readonly PointerRecord[];
      readonly last?: { readonly asked: number } | undefined;
    };
