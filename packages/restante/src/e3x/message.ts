/**
 * Messages: sealed packets that need no session. Whoever holds the recipient's keys can make one, and the recipient
 * opens it at any later time with nothing but its identity. protocol/exchange.md §1
 */
import type { Random } from "../bytes/index.ts";
import { type Crypto, highestCommon, type Identity, type KeyPair, type Keys, routingToken } from "../crypto/index.ts";
import { encodePacket, parsePacket } from "../wire/index.ts";

export interface SealOptions {
  readonly from: Identity;
  /** The recipient's keys; the highest cipher set in common is used. */
  readonly to: Keys;
  /** Any bytes. That they are a packet is the application's business. */
  readonly inner: Uint8Array;
  /** Drawn in this order: the ephemeral pair when none is given, then the nonce. So equal draws give equal bytes. */
  readonly random: Random;
  /** The exchange that the message belongs to; absent: one made for this message alone. */
  readonly ephemeral?: KeyPair;
}

/** A message that was decrypted. Anyone can have written it until `verify` says who. */
export interface OpenMessage {
  readonly csid: number;
  readonly inner: Uint8Array;
  /** The ephemeral key of the sender's exchange. */
  readonly ephemeral: Uint8Array;
  /** The 16-byte routing token of that exchange. */
  readonly token: Uint8Array;
  /** Whether the owner of this identity key (of set `csid`) sealed it to us. */
  verify(senderKey: Uint8Array): boolean;
}

/**
 * The outer packet of a message: 00 01, the CSID, the BODY. `undefined` when the two have no cipher set in common or
 * the recipient's key is unusable. Never touches a link's exchange.
 */
export function sealMessage(crypto: Crypto, options: SealOptions): Uint8Array | undefined {
  const { from, to, inner, random } = options;
  const csid = highestCommon(crypto, from.keys, to);
  if (csid === undefined) return undefined;
  const [set, pair, key] = [crypto.sets.get(csid), from.pairs.get(csid), to.get(csid)];
  if (set === undefined || pair === undefined || key === undefined) return undefined;
  const body = set.seal(pair, key, options.ephemeral ?? set.generate(random), inner, random);
  return body && encodePacket(Uint8Array.of(csid), body);
}

/**
 * Decrypts an outer packet with one of our keys. `undefined` unless its HEAD is one byte that names a cipher set of
 * ours and the BODY opens. Keeps no state; what it returns views `outer` until `verify` is no longer called.
 */
export function openMessage(crypto: Crypto, identity: Identity, outer: Uint8Array): OpenMessage | undefined {
  const packet = parsePacket(outer);
  const csid = packet?.head[0];
  if (packet === undefined || packet.head.length !== 1 || csid === undefined) return undefined;
  const [set, pair] = [crypto.sets.get(csid), identity.pairs.get(csid)];
  if (set === undefined || pair === undefined) return undefined;
  const { body } = packet;
  const opened = set.open(pair, body);
  if (opened === undefined) return undefined;
  return {
    csid,
    inner: opened.inner,
    ephemeral: opened.ephemeral,
    token: routingToken(crypto.backend, body),
    verify: (senderKey) => set.isKey(senderKey) && set.verify(pair, senderKey, body),
  };
}
