/** Correspondents: the peers of our contacts, each with the mail to it, the mail from it, and what tells it what came. */
import { ofJson, type Random, toHex } from "../bytes/index.ts";
import { type Crypto, type Hashname, highestCommon, type Identity, type Keys } from "../crypto/index.ts";
import { encodeAck } from "./acknowledgement.ts";
import type { Allowance } from "./allowance.ts";
import { Delivery, type Told } from "./delivery.ts";
import type { Disk } from "./disk.ts";
import { Received, ringKey } from "./received.ts";
import type { Account } from "./repute.ts";
import { Ring } from "./ring.ts";
import type { CacheOffer, CarrierUse, Destination } from "./route.ts";
import { sealSeeded } from "./seal.ts";
import type { Slots } from "./slots.ts";
import type { Spool } from "./spool.ts";

/** One peer of a contact. */
export interface Correspondent {
  readonly hashname: Hashname;
  readonly contact: string;
  /** Its box for us. */
  readonly box: string;
  keys: Keys;
  caches: readonly CacheOffer[];
  bazaar: Destination["bazaar"];
  readonly delivery: Delivery;
  readonly received: Received;
  /** Our forward keys for it: `received` keeps them. */
  readonly ring: Ring;
  gaps: number;
}

export interface CorrespondentOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  readonly boxId: (sender: Hashname, recipient: Hashname) => string;
  readonly messageId: (box: string, bytes: Uint8Array) => string;
  /** See `MailOptions`. */
  readonly copies?: number;
  readonly window?: number;
  readonly carrier?: CarrierUse;
  readonly spool: Spool;
  readonly slots: Slots;
  /** Numbers for flights, unique in the whole `Mail`. */
  readonly flights: () => number;
  readonly contact: string;
  readonly to: Destination;
  /** What the contact may still make us keep. */
  readonly allowance: Allowance;
  /** Where its files go. */
  readonly disk: Disk;
  /** Another device of ours. */
  readonly isOwn: boolean;
  /** All records with its hashname in the key. */
  readonly saved: ReadonlyMap<string, Uint8Array>;
}

/** A peer as it was when we saved it; a new one without that. */
export function correspondent(options: CorrespondentOptions): Correspondent {
  const { crypto, identity, random, boxId, messageId, spool, contact, to, saved } = options;
  const { hashname, keys, caches, bazaar } = to;
  const told = saved.get(toldKey(hashname));
  const reputes = saved.get(reputeKey(hashname));
  const ownBox = boxId(identity.hashname, hashname);
  const delivery = new Delivery({
    peer: hashname,
    slots: options.slots,
    flights: options.flights,
    chance: () => (random(1)[0] ?? 0) / 255,
    have: (parcel) => spool.have(parcel),
    forget: (parcel) => spool.forget(parcel),
    messageId: (bytes) => messageId(ownBox, bytes),
    told: new Map(told === undefined ? [] : ofJson<(readonly [Hashname, Told])[]>(told)),
    reputes: new Map(reputes === undefined ? [] : ofJson<(readonly [Hashname, Account])[]>(reputes)),
    ...(options.copies !== undefined && { copies: options.copies }),
    ...(options.window !== undefined && { window: options.window }),
    ...(options.carrier !== undefined && { carrier: options.carrier }),
  });
  const { backend } = crypto;
  const ring = new Ring({ backend, random, by: spool.next(hashname).epoch, saved: saved.get(ringKey(hashname)) });
  const received = new Received({
    peer: hashname,
    fresh: () => random(SEED_BYTES),
    digest: (bytes) => toHex(backend.sha256(bytes)),
    allowance: options.allowance,
    disk: options.disk,
    contact,
    isOwn: options.isOwn,
    ...{ ring, saved },
  });
  const box = boxId(hashname, identity.hashname);
  return { hashname, contact, box, keys, caches, bazaar, delivery, received, ring, gaps: received.gaps() };
}

/** What tells it all that came from it, sealed; `undefined`: there is no cipher set in common. */
export function acknowledgementTo(
  { hashname, keys, received, ring }: Correspondent,
  {
    crypto,
    identity,
    spool,
    saysRead,
  }: {
    readonly crypto: Crypto;
    readonly identity: Identity;
    readonly spool: Spool;
    /** Whether the user wants it to know what was read. */
    readonly saysRead: boolean;
  },
): Uint8Array | undefined {
  const csid = highestCommon(crypto, identity.keys, keys);
  if (csid === undefined) return undefined;
  const { epoch, floor } = spool.next(hashname);
  const uses = spool.uses(hashname);
  const shown = received.shown();
  const marked = received.marked();
  const twice = received.twice();
  const left = spool.left(hashname);
  const cancelled = spool.cancelled(hashname);
  const read = saysRead ? received.read() : undefined;
  const inner = encodeAck(crypto, csid, {
    from: identity.hashname,
    to: hashname,
    by: epoch,
    ownEpoch: epoch,
    floor,
    reports: received.report(),
    keys: ring.announce(),
    ...(uses && { uses }),
    ...(shown && { shown }),
    ...(marked && { marked }),
    ...(twice && { twice }),
    ...(left && { left }),
    ...(read && { read }),
    ...(cancelled && { cancelled }),
  });
  // A seed of its own: unchanged state makes the same bytes, which are no second message to a cache.
  const seeded = { seed: received.seed, recipient: hashname, generation: 0, inner };
  return sealSeeded(crypto, identity, keys, seeded);
}

/** The records with a hashname in the key, by that. */
export function savedByPeer(saved: ReadonlyMap<string, Uint8Array>): Map<Hashname, Map<string, Uint8Array>> {
  const found = new Map<Hashname, Map<string, Uint8Array>>();
  for (const [key, value] of saved) {
    const peer = PEER_KEY.exec(key)?.[1] as Hashname | undefined;
    if (peer !== undefined) found.set(peer, (found.get(peer) ?? new Map<string, Uint8Array>()).set(key, value));
  }
  return found;
}

/** Where it is saved what a peer was told last, and at which caches that lies. */
export function toldKey(peer: Hashname): string {
  return `mail/told/${peer}`;
}

/** Where it is saved what its caches brought. */
export function reputeKey(peer: Hashname): string {
  return `mail/repute/${peer}`;
}

const SEED_BYTES = 32;
const PEER_KEY = /^mail\/(?:in|met|told|repute|file|keys)\/([a-z2-7]{52})(?:\/|$)/;
