/** The machines below the root. None knows of another: what they ask of the rest is given to them as functions here. */
import { boxId, Cache, Inbox, Join, messageId, Outbox, Revocation } from "../box/index.ts";
import type { Time } from "../bytes/index.ts";
import { admissionSerial, encodeCard } from "../card/index.ts";
import { Mail } from "../mail/index.ts";
import { Mesh } from "../mesh/index.ts";
import type { Blocked } from "./blocked.ts";
import type { Book } from "./book.ts";
import type { RootOptions } from "./contract.ts";
import type { Door } from "./door.ts";
import type { OwnCard } from "./own-card.ts";
import type { Porter } from "./porter.ts";

export interface Children {
  readonly mesh: Mesh;
  readonly outbox: Outbox;
  readonly cache: Cache;
  readonly inbox: Inbox;
  readonly join: Join;
  readonly revocation: Revocation;
  /** `undefined`: a peer without mail of its own. */
  readonly mail: Mail | undefined;
}

/** Whom the machines ask. */
export interface Advice {
  readonly blocked: Blocked;
  readonly book: Book;
  readonly door: Door;
  readonly card: OwnCard;
  readonly porter: Porter;
  /** The time of the present turn. */
  readonly now: () => Time;
}

export function createChildren(options: RootOptions, { blocked, book, door, card, porter, now }: Advice): Children {
  const { crypto, identity, random, saved } = options;
  const { backend } = crypto;
  const self = identity.hashname;
  let next = 1;
  const handles = (): number => next++; // of channels: no two children may use one
  const mesh = new Mesh({
    crypto,
    identity,
    random,
    handles,
    saved: saved.get("mesh/at"),
    cloak: options.cloak ?? true,
    routing: options.routes === true ? { allows: (from, to) => porter.mayReach(from, to, now()) } : undefined,
    routers: door.routers,
    paths: options.paths,
    handshakes: options.handshakes ?? [],
    cbor: options.cbor ?? false,
    noise: options.noise,
  });
  const outbox = new Outbox({ handles });
  const cache = new Cache({
    backend,
    self,
    random,
    handles,
    cap: options.cache?.cap ?? 0,
    admit: (uri, to, sender, time, stamp) => door.quotaClass(uri, to, sender, time, stamp),
    revision: (to) => door.revision(to),
    ...(options.cache?.secret !== undefined && { serial: admissionSerial }),
  });
  const inbox = new Inbox({ backend, self, handles, isContact: (peer) => book.isPeer(peer) });
  const join = new Join({ handles, answer: (uri, peer, time) => door.joinAnswer(uri, peer, time) });
  const revocation = new Revocation({
    handles,
    tells: (own, time) => door.revocations(own, time),
    next: (time) => door.nextRevocation(time),
    isRecipient: (uri, peer, time) => door.isRecipient(uri, peer, time),
    revoke: (recipient, serials, time) => door.revoke(recipient, serials, time),
  });
  if (!options.mail) return { mesh, outbox, cache, inbox, join, revocation, mail: undefined };
  const mail = new Mail({
    crypto,
    identity,
    random,
    boxId: (sender, recipient) => boxId(backend, sender, recipient),
    messageId: (box, bytes) => messageId(backend, box, bytes),
    cardFor: (reader) => encodeCard(card.for(reader)),
    isInvite: (secret) => door.hasInvite(secret),
    isBlocked: (box) => blocked.hasBox(box),
    ...(options.copies !== undefined && { copies: options.copies }),
    ...(options.keepSent !== undefined && { keepSent: options.keepSent }),
    ...(options.dailyBytes !== undefined && { dailyBytes: options.dailyBytes }),
    saved: new Map([...saved].filter(([key]) => key.startsWith("mail/"))),
  });
  return { mesh, outbox, cache, inbox, join, revocation, mail };
}
