/**
 * Messages: sealed packets that need no session. Whoever holds the recipient's keys can make one, and the recipient
 * opens it at any later time with nothing but its identity. protocol/exchange.md §1
 */
import type { Random } from "../bytes/index.ts";
import {
  type Backend,
  type CipherSet,
  type Crypto,
  type Ephemeral,
  highestCommon,
  type Identity,
  type Keys,
  type OpenedMessage,
  routingToken,
} from "../crypto/index.ts";
import { encodePacket } from "../wire/index.ts";

/** Who seals what for whom. */
export interface SealOptions {
  readonly from: Identity;
  /** The recipient's keys; the highest cipher set in common is used. */
  readonly to: Keys;
  /** Any bytes. That they are a packet is the application's business. */
  readonly inner: Uint8Array;
  /** Drawn in this order: the exchange when none is given, then the nonce. So equal draws give equal bytes. */
  readonly random: Random;
  /** The exchange that the message belongs to; absent: one made for this message alone. */
  readonly ephemeral?: Ephemeral;
}

/** A message that was decrypted. Anyone can have written it until `verify` says who. */
export interface OpenMessage {
  readonly csid: number;
  readonly inner: Uint8Array;
  /** The key of the sender's exchange, and with what all its messages begin; see `Ephemeral`. */
  readonly ephemeral: Uint8Array;
  readonly prefix: Uint8Array;
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
  const ephemeral = options.ephemeral ?? set.exchange(key, random);
  if (ephemeral === undefined) return undefined;
  if (set.sealOuter !== undefined) return set.sealOuter(pair, key, ephemeral, inner, random);
  const body = set.seal(pair, key, ephemeral, inner, random);
  return body && encodePacket(Uint8Array.of(csid), body);
}

/**
 * Decrypts an outer packet with one of our keys. `undefined` unless its HEAD is one byte that names a cipher set of
 * ours and the BODY opens. Keeps no state; what it returns views `outer` until `verify` is no longer called.
 */
export function openMessage(crypto: Crypto, identity: Identity, outer: Uint8Array): OpenMessage | undefined {
  const csid = outer[CSID_AT];
  if (csid === undefined || outer[0] !== 0 || outer[1] !== 1) return undefined;
  const [set, pair] = [crypto.sets.get(csid), identity.pairs.get(csid)];
  if (set === undefined || pair === undefined) return undefined;
  const opened = set.open(pair, outer.subarray(CSID_AT + 1));
  return opened && new Opened(crypto.backend, set, opened);
}

/** A class, since an object with a getter costs more to make than all the rest of opening a message. */
class Opened implements OpenMessage {
  readonly csid: number;
  readonly inner: Uint8Array;
  readonly ephemeral: Uint8Array;
  readonly prefix: Uint8Array;
  readonly #backend: Backend;
  readonly #set: CipherSet;
  readonly #opened: OpenedMessage;

  constructor(backend: Backend, set: CipherSet, opened: OpenedMessage) {
    this.csid = set.csid;
    this.inner = opened.inner;
    this.ephemeral = opened.ephemeral;
    this.prefix = opened.prefix;
    this.#backend = backend;
    this.#set = set;
    this.#opened = opened;
  }

  get token(): Uint8Array {
    return routingToken(this.#backend, this.prefix); // mail has no use for it
  }

  verify(senderKey: Uint8Array): boolean {
    return this.#set.isKey(senderKey) && this.#opened.verify(senderKey);
  }
}

const CSID_AT = 2; // behind the LOB length 00 01
