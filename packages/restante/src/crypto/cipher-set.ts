/** What a cipher set does for messages and channels. The laws of those there are: protocol/cs1a.md, cs2a.md, cs3a.md. */
import type { Random } from "../bytes/index.ts";
import type { KeyPair } from "./keys.ts";

/**
 * One cipher set. All BODYs are those of outer packets, without the HEAD. What peers sent is refused with `undefined`
 * or `false`, never with a throw; results hold no view of an argument, but for `verify` of an opened message.
 */
export interface CipherSet {
  /** 1..255; of the sets that two peers have in common the highest is used. */
  readonly csid: number;
  /**
   * For sets whose channel ciphers work `inPlace`: the bytes of a channel BODY before the inner packet, which is its end.
   */
  readonly channelFront?: number;
  /** Bytes of an outer message packet (LOB length, HEAD and BODY) less those of the inner packet. */
  readonly overhead: number;
  /** Whether an authenticator can be guessed in hours: then nobody gets many tries. */
  readonly isWeak?: true;
  /** A fresh pair for an identity. Sets whose library makes its own keys (RSA) draw nothing from `random`. */
  generate(random: Random): KeyPair;
  /**
   * The pair of a known secret; `undefined` when `secret` is none of this set. Where public keys have several forms (2a),
   * `key` chooses that of the pair, if it is one of them.
   */
  keyPair(secret: Uint8Array, key?: Uint8Array): KeyPair | undefined;
  /** Whether `key` has the form of a public key of this set. That a secret can be shared with it is not tested. */
  isKey(key: Uint8Array): boolean;
  /** Our side of a new exchange with the identity key `to`, all of it drawn from `random`; `undefined` when it is no usable key. */
  exchange(to: Uint8Array, random: Random): Ephemeral | undefined;
  /**
   * The BODY of a message of `inner` from the identity `from` to the identity key `to`, in the exchange of `ephemeral`,
   * which must be one with `to`. Draws only the nonce from `random`. `undefined` when `to` is no usable key.
   */
  seal(from: KeyPair, to: Uint8Array, ephemeral: Ephemeral, inner: Uint8Array, random: Random): Uint8Array | undefined;
  /** `seal` as a whole outer packet (00 01, the CSID, the BODY), for speed. Absent: put together of that. */
  sealOuter?(
    from: KeyPair,
    to: Uint8Array,
    ephemeral: Ephemeral,
    inner: Uint8Array,
    random: Random,
  ): Uint8Array | undefined;
  /** Decrypts a message BODY. Anyone can have written it: the sender is unproven until `verify`. */
  open(to: KeyPair, body: Uint8Array): OpenedMessage | undefined;
  /** The channel cipher of two exchanges, ours and theirs; `undefined` when theirs has no usable key. */
  channel(local: Ephemeral, remote: Uint8Array): ChannelCipher | undefined;
}

/** Our side of one exchange. Compared by identity: keep the object, since caches and counters hang on it. */
export interface Ephemeral {
  /** With what every message BODY of the exchange begins, at least 16 bytes: unique and stable for its life. */
  readonly prefix: Uint8Array;
  /** What the peer learns of it by opening a message: our half of the channel keys. */
  readonly key: Uint8Array;
  readonly secret: Uint8Array;
}

/** A message that decrypts. Who sent it is proven by `verify` alone. */
export interface OpenedMessage {
  readonly inner: Uint8Array;
  /** The `key` of the sender's exchange. */
  readonly ephemeral: Uint8Array;
  /** The `prefix` of the sender's exchange. */
  readonly prefix: Uint8Array;
  /**
   * Whether the identity `from` sealed this very BODY to us. Where the authenticator is a shared secret (1a, 3a), we
   * could have done it too. Reads the BODY that was opened and `inner`, which must not have changed since.
   */
  verify(from: Uint8Array): boolean;
}

/** Encrypts the channel packets of one exchange. */
export interface ChannelCipher {
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The BODY of a channel packet: the recipient's routing token (16 bytes), then what only the recipient can read. */
  seal(token: Uint8Array, inner: Uint8Array, random: Random): Uint8Array;
  /** The inner packet of a channel BODY; `undefined` when it is not from the other end, or changed. Ignores the token. */
  open(body: Uint8Array): Uint8Array | undefined;
  /** The same without copies. Absent where a set has nothing to gain by it. */
  readonly inPlace?: ChannelInPlace;
}

/** Encrypts and decrypts channel packets where they stand. What they yield is as `seal` and `open` have it. */
export interface ChannelInPlace {
  /**
   * Makes a BODY, in `bytes` from `at` (absent: 0) to their end, of what is nothing so far but the inner packet behind
   * `channelFront` bytes: fills those, and encrypts.
   */
  seal(token: Uint8Array, bytes: Uint8Array, random: Random, at?: number): void;
  /**
   * Opens the BODY that stands in `bytes` from `at` to their end. Gives where in them its inner packet begins, over which it was
   * written: a view of each would cost more than to hand this on. -1: it does not open, and is as it was.
   */
  open(bytes: Uint8Array, at: number): number;
}
