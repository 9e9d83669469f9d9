/** The machines below the root. None knows of another: what they ask of the rest is given to them as functions here. */
import { Application } from "../application/index.ts";
import { boxId, Cache, Inbox, Join, messageId, Outbox, Revocation } from "../box/index.ts";
import type { Time } from "../bytes/index.ts";
import { admissionSerial, encodeCard } from "../card/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Mail } from "../mail/index.ts";
import { Mesh } from "../mesh/index.ts";
import type { Blocked } from "./blocked.ts";
import type { Book } from "./book.ts";
import type { RootOptions } from "./contract.ts";
import type { Door } from "./door.ts";
import type { Links } from "./links.ts";
import type { OwnCard } from "./own-card.ts";
import type { Porter } from "./porter.ts";

export interface Children {
  readonly mesh: Mesh;
  readonly outbox: Outbox;
  readonly cache: Cache;
  readonly inbox: Inbox;
  readonly join: Join;
  readonly revocation: Revocation;
  readonly application: Application;
  /** `undefined`: a peer without mail of its own. */
  readonly mail: Mail | undefined;
}

/** Whom the machines ask. */
export interface Advice {
  readonly blocked: Blocked;
  readonly book: Book;
  readonly door: Door;
  readonly card: OwnCard;
  readonly links: Links;
  readonly porter: Porter;
  /** The time of the present turn. */
  readonly now: () => Time;
}

export function createChildren(options: RootOptions, advice: Advice): Children {
  const { blocked, book, door, card, links, porter, now } = advice;
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
    gathers: true,
    admit: (uri, to, sender, time, stamp) => door.quotaClass(uri, to, sender, time, stamp),
    revision: (to) => door.revision(to),
    ...(options.cache?.secret !== undefined && { serial: admissionSerial }),
  });
  const [isContact, isOurs] = [(peer: Hashname) => book.isPeer(peer), (cache: Hashname) => door.uses(cache)];
  const inbox = new Inbox({ backend, self, handles, isContact, isOurs, gathers: true });
  const join = new Join({
    handles,
    answer: (uri, peer, time, edition) => {
      return door.joinAnswer(uri, peer, time, edition, book.isPeer(peer) ? book.of(peer)?.id : undefined);
    },
  });
  const revocation = new Revocation({
    handles,
    tells: (own, time) => door.revocations(own, time),
    next: (time) => door.nextRevocation(time),
    isRecipient: (uri, peer, time) => door.isRecipient(uri, peer, time),
    revoke: (recipient, serials, time) => door.revoke(recipient, serials, time),
  });
  const application = new Application({
    handles,
    isContact: (peer) => book.isPeer(peer),
    contactOf: (peer) => book.of(peer)?.id,
    peersOf: (to) => book.peersAt(to),
    isUp: (peer) => links.isUp(peer),
  });
  if (!options.mail) return { mesh, outbox, cache, inbox, join, revocation, application, mail: undefined };
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
    ...(options.window !== undefined && { window: options.window }),
    ...(options.bazaar !== undefined && { carrier: options.bazaar.use }),
    ...(options.keepSent !== undefined && { keepSent: options.keepSent }),
    ...(options.dailyBytes !== undefined && { dailyBytes: options.dailyBytes }),
    ...(options.disk !== undefined && { disk: options.disk }),
    ...(options.waitForLink !== undefined && { waitForLink: options.waitForLink }),
    saved: new Map([...saved].filter(([key]) => key.startsWith("mail/"))),
  });
  return { mesh, outbox, cache, inbox, join, revocation, application, mail };
}
