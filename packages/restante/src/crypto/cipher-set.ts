/** What a cipher set does for messages and channels. The law of the one in use is protocol/cs3a.md. */
import type { Random } from "../bytes/index.ts";
import type { KeyPair } from "./keys.ts";

/**
 * One cipher set. All BODYs are those of outer packets, without the HEAD; the first 16 bytes of a message BODY are the
 * first 16 of the ephemeral key, hence unique and stable for an exchange. What peers sent is refused with `undefined`
 * or `false`, never with a throw; results hold no view of an argument.
 */
export interface CipherSet {
  /** 1..255; of the sets that two peers have in common the highest is used. */
  readonly csid: number;
  /** Bytes of an outer message packet (LOB length, HEAD and BODY) less those of the inner packet. */
  readonly overhead: number;
  /** A fresh pair, for an identity or for one exchange. */
  generate(random: Random): KeyPair;
  /** The pair of a known secret; `undefined` when `secret` is none of this set. */
  keyPair(secret: Uint8Array): KeyPair | undefined;
  /** Whether `key` has the form of a public key of this set. That a secret can be shared with it is not tested. */
  isKey(key: Uint8Array): boolean;
  /**
   * The BODY of a message of `inner` from the identity `from` to the identity key `to`, in the exchange of `ephemeral`.
   * Draws only the nonce from `random`. `undefined` when `to` is no usable key.
   */
  seal(from: KeyPair, to: Uint8Array, ephemeral: KeyPair, inner: Uint8Array, random: Random): Uint8Array | undefined;
  /** Decrypts a message BODY. Anyone can have written it: the sender is unproven until `verify`. */
  open(to: KeyPair, body: Uint8Array): OpenedMessage | undefined;
  /** Whether the identity `from` sealed this very BODY to us. (Or we did: the authenticator is a shared secret.) */
  verify(to: KeyPair, from: Uint8Array, body: Uint8Array): boolean;
  /** The channel cipher of two ephemeral keys, ours and theirs; `undefined` when theirs is no usable key. */
  channel(local: KeyPair, remote: Uint8Array): ChannelCipher | undefined;
}

export interface OpenedMessage {
  readonly inner: Uint8Array;
  /** The ephemeral key of the sender's exchange. */
  readonly ephemeral: Uint8Array;
}

/** Encrypts the channel packets of one exchange. */
export interface ChannelCipher {
  readonly sendKey: Uint8Array;
  readonly receiveKey: Uint8Array;
  /** The BODY of a channel packet: the recipient's routing token (16 bytes), then what only the recipient can read. */
  seal(token: Uint8Array, inner: Uint8Array, random: Random): Uint8Array;
  /** The inner packet of a channel BODY; `undefined` when it is not from the other end, or changed. Ignores the token. */
  open(body: Uint8Array): Uint8Array | undefined;
}
