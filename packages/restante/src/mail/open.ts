/**
 * Opening a sealed message: first the proof of who sent it, then parsing. Only what came out of a box or an outbox channel
 * belongs here, never what came from a socket. protocol/mail.md §7
 */
import { type Crypto, type Hashname, highestCommon, type Identity, type Keys } from "../crypto/index.ts";
import { openMessage } from "../e3x/index.ts";
import { parseHelloKeys } from "./hello.ts";

/** An inner packet whose sender is proven. */
export interface Opened {
  readonly inner: Uint8Array;
  /** `keys` holds one key: that of the cipher set of the message. */
  readonly sender: { readonly hashname: Hashname; readonly keys: Keys };
}

/**
 * The inner packet of a message that this peer of a contact sealed for us, not parsed. `undefined` when it was anybody
 * else, when the bytes are damaged, or when a lower cipher set than the highest common one was used.
 */
export function openFromContact(
  crypto: Crypto,
  identity: Identity,
  sealed: Uint8Array,
  senderKeys: Keys,
): Uint8Array | undefined {
  const opened = openMessage(crypto, identity, sealed);
  if (opened === undefined || opened.csid !== highestCommon(crypto, identity.keys, senderKeys)) return undefined;
  const key = senderKeys.get(opened.csid);
  return key !== undefined && opened.verify(key) ? opened.inner : undefined;
}

/**
 * The inner packet of a hello from somebody unknown, that lay in the box `box`. Two DHs at most, and of what an unproven
 * sender wrote only the fixed key part is read: its keys must make a hashname for which `boxIdOf` (box id from that sender
 * to us) gives `box`, and the sender must hold them. `undefined` for all else, and for a lower cipher set than the highest
 * that both have.
 */
export function openFromStranger(
  crypto: Crypto,
  identity: Identity,
  sealed: Uint8Array,
  box: string,
  boxIdOf: (sender: Hashname) => string,
): Opened | undefined {
  const opened = openMessage(crypto, identity, sealed);
  const claim = opened && parseHelloKeys(crypto, opened.inner);
  const key = claim?.keys.get(opened?.csid ?? 0);
  if (opened === undefined || claim === undefined || key === undefined) return undefined;
  const higher = [...claim.intermediates.keys()].some((csid) => csid > opened.csid && identity.pairs.has(csid));
  if (higher || boxIdOf(claim.hashname) !== box || !opened.verify(key)) return undefined;
  return { inner: opened.inner, sender: { hashname: claim.hashname, keys: claim.keys } };
}

/** Whether somebody sealed this for us. Who it was nobody knows: anybody can. */
export function isSealedFor(crypto: Crypto, identity: Identity, sealed: Uint8Array): boolean {
  return openMessage(crypto, identity, sealed) !== undefined;
}
