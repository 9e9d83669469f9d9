/**
 * Our own devices: how one comes to the others, and what each tells them. To contacts they are one: all give out one card,
 * under one id, that names all of them. Between themselves they are contacts that the user never sees. protocol/card.md §6
 */
import { asJson, fromHex, ofJson, type Random, type Save, type Time, toHex } from "../bytes/index.ts";
import {
  cardFor,
  inviteProblem,
  MAX_DEVICES,
  type Path,
  parseCard,
  parseInvite,
  parseSync,
  type Sync,
  syncTexts,
} from "../card/index.ts";
import type { Crypto, Hashname, Identity } from "../crypto/index.ts";
import type { MailOut } from "../mail/index.ts";
import type { Acquaintance } from "./acquaintance.ts";
import type { Book, Contact } from "./book.ts";
import type { DeviceInfo, RootOptions } from "./contract.ts";
import type { Devices } from "./devices.ts";
import type { Door } from "./door.ts";
import { type OwnCard, sendCard } from "./own-card.ts";
import { OURS, refuse, type Step } from "./step.ts";

export interface FamilyOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  readonly saved: ReadonlyMap<string, Uint8Array>;
  readonly paths: readonly Path[];
  readonly bazaar?: RootOptions["bazaar"];
  readonly book: Book;
  readonly door: Door;
  readonly card: OwnCard;
  readonly devices: Devices;
  readonly acquaintance: Acquaintance;
  /** Asks our caches for other keys, where those that we have are outdated. */
  readonly renew: () => Step[];
}

/** Decides who is one of us. */
export class Family {
  readonly #options: FamilyOptions;
  /** The secret of the invite by which we wait for the device that takes us in, hex. */
  #waiting: string | undefined;
  /** Contacts that are none any more, since when: another device that has not heard of it yet does not bring one back. */
  readonly #forgotten: Map<string, Time>;

  constructor(options: FamilyOptions) {
    this.#options = options;
    const saved = options.saved.get(WAITING);
    this.#waiting = saved && ofJson<{ secret: string }>(saved).secret;
    const forgotten: [id: string, at: Time][] = [];
    for (const [key, value] of options.saved)
      if (key.startsWith(FORGOTTEN)) forgotten.push([key.slice(FORGOTTEN.length), ofJson<{ at: Time }>(value).at]);
    this.#forgotten = new Map(forgotten.sort(([, a], [, b]) => a - b));
  }

  /** What has changed of ourselves is told to the others. */
  check(now: Time): Step[] {
    const { book, devices, identity, paths, door, bazaar, card } = this.#options;
    if (book.devices().length === 0) return [];
    const { offer } = door;
    const more = { ...(bazaar && { bazaar: bazaar.address }), ...(offer && { offer }) };
    const own = { keys: identity.keys, paths, caches: door.caches, ...more };
    const saves = devices.describe(own, now);
    const isRenamed = card.takeRenamed();
    return saves.length === 0 && !isRenamed ? [] : [...saves, ...this.#tellAll(this.#family())];
  }

  list(): DeviceInfo[] {
    const { devices, identity, book } = this.#options;
    const known = new Set(devices.others().map(({ hashname }) => hashname));
    const waiting = book.devices().flatMap(({ peers }) => peers.filter((hashname) => !known.has(hashname)));
    if (known.size + waiting.length === 0) return [];
    return [
      { hashname: identity.hashname, isThis: true, isReady: true },
      ...[...known].map((hashname) => ({ hashname, isThis: false, isReady: true })),
      ...waiting.map((hashname) => ({ hashname, isThis: false, isReady: false })),
    ];
  }

  /** A link by which another device takes us in. Only for who knows nobody yet: its own contacts would know it no more. */
  link(req: number, now: Time): Step[] {
    const { random, book, door, acquaintance } = this.#options;
    if (book.all().length > 0)
      return [refuse(req, "not-new", "only a device without contacts can be added to another")];
    // One that was made before and is still open is given out again: beside another it would be the invite of a stranger.
    const open = fromHex(this.#waiting ?? "");
    const secret = open !== undefined && door.hasInvite(open) ? open : random(16);
    const steps = acquaintance.invite(req, { once: true, secret }, now);
    if (steps.some((step) => "type" in step && step.type === "refuse")) return steps;
    return [this.#wait(toHex(secret)), ...steps];
  }

  /** Take in the device that made this link. */
  add(req: number, link: string, now: Time): Step[] {
    const { crypto, identity, book, card, devices, acquaintance } = this.#options;
    const invite = parseInvite(crypto.backend, link);
    if (invite === undefined) return [refuse(req, "bad-invite", inviteProblem(link))];
    if (invite.hashname === identity.hashname) return [refuse(req, "self", "this is this device itself")];
    if (book.devices().length >= MAX_OTHER) return [refuse(req, "full", `at most ${MAX_OTHER} other devices`)];
    if (!devices.hasRoom) return [refuse(req, "full", `at most ${MAX_DEVICES} devices, with those that were removed`)];
    const known = book.of(invite.hashname) ?? book.get(toHex(invite.card));
    const change = known !== undefined && !known.own ? "known" : book.add(invite, true);
    if (typeof change === "string") return [refuse(req, change, "this is of somebody whom you know already")];
    const { contact } = change;
    return [
      card.startFamily(),
      ...acquaintance.applied(change),
      // No more than any invite's owner is told: whether it was that of a new device only what comes back shows.
      sendCard(contact.id),
      ...this.check(now),
      ...this.tellAgain(contact),
      { type: "reply", req, value: { hashname: invite.hashname } },
    ];
  }

  /** All that a device of ours has to know: it is new, or has lost what it knew. */
  tellAgain(device: Contact): Step[] {
    if (!this.#isProven(device)) return [];
    const people = this.#options.book.people();
    return [
      ...this.#tell(device, this.#family()),
      ...people.flatMap((person) => this.#tell(device, this.#aboutContact(person, device))),
    ];
  }

  /** A device that is lost: contacts write to it no more, and it hears nothing any more. */
  remove(req: number, hashname: Hashname, now: Time): Step[] {
    const { book, card, devices, acquaintance } = this.#options;
    const contact = book.of(hashname);
    const isKnown = devices.others().some((each) => each.hashname === hashname);
    if (!contact?.own && !isKnown) return [refuse(req, "not-found", "this is no device of yours")];
    return [
      ...devices.merge({ hashname, at: now, gone: true }),
      ...this.#outdate(isKnown),
      ...(contact?.own ? acquaintance.dropped(contact, now) : []),
      ...card.check(),
      ...this.#tellAll(this.#family()),
      { type: "reply", req, value: {} },
    ];
  }

  /** A stranger's first words: it is the device that takes us in. */
  introduced(
    { request, sender, card, secret }: Extract<MailOut, { type: "introduce" }>,
    now: Time,
  ): Step[] | undefined {
    const { crypto, book, door, acquaintance } = this.#options;
    const isWaited = secret !== undefined && toHex(secret) === this.#waiting && door.hasInvite(secret);
    // Whoever became a contact meanwhile would be lost with the id that they know.
    if (isWaited && book.size > 0) return [];
    const parsed = isWaited ? parseCard(crypto.backend, card) : undefined;
    const change = parsed && book.meet(parsed, sender.hashname, true);
    if (change === undefined || secret === undefined) return undefined;
    return [
      ...acquaintance.spent(secret, now),
      ...acquaintance.applied(change),
      { child: "mail", input: { type: "accept", req: OURS, request } },
      sendCard(change.contact.id),
      ...this.check(now),
      // It showed our secret. What it is told now shows it that this is a new device, and not somebody with an invite.
      ...this.#tell(change.contact, this.#family()),
    ];
  }

  /** What another of our devices has us know. */
  synced({ contact: id, text }: Extract<MailOut, { type: "sync" }>, now: Time): Step[] {
    const { crypto, book } = this.#options;
    const from = book.get(id);
    const sync = from?.own ? parseSync(crypto.backend, text) : undefined;
    if (from === undefined || sync === undefined) return [];
    switch (sync.type) {
      case "family":
        return this.#isProven(from) ? this.#join(from, sync, now) : this.#proven(from, sync, now);
      case "contact":
        if (!sync.isNew && this.#isForgotten(toHex(sync.card.id), now)) return [];
        return this.#options.acquaintance.adopt(sync.card, sync.shown, from);
      case "forget": {
        const contact = book.get(sync.contact);
        return contact === undefined || contact.own ? [] : this.#options.acquaintance.dropped(contact, now, from);
      }
    }
  }

  /** A contact is new, or known better, or is none any more: the others hear of it, but who told us. */
  changed(contact: Contact, isNew: boolean, from?: Contact): Step[] {
    const { id } = contact;
    const saves: Save[] =
      isNew && this.#forgotten.delete(id) ? [{ type: "save", key: FORGOTTEN + id, value: undefined }] : [];
    const told = (device: Contact): Sync => ({ ...this.#aboutContact(contact, device), ...(isNew && { isNew }) });
    return [...saves, ...this.#others(from).flatMap((device) => this.#tell(device, told(device)))];
  }

  forgotten({ id }: Contact, now: Time, from?: Contact): Step[] {
    if (this.#options.book.devices().length === 0) return [];
    const [oldest] = this.#forgotten.size < MAX_FORGOTTEN ? [] : this.#forgotten.keys();
    if (oldest !== undefined) this.#forgotten.delete(oldest);
    this.#forgotten.delete(id);
    this.#forgotten.set(id, now);
    return [
      ...(oldest === undefined ? [] : [{ type: "save", key: FORGOTTEN + oldest, value: undefined } as const]),
      { type: "save", key: FORGOTTEN + id, value: asJson({ at: now }) },
      ...this.#others(from).flatMap((device) => this.#tell(device, { type: "forget", contact: id })),
    ];
  }

  /** What another device told before it heard of it is on its way as long as a cache keeps it. */
  #isForgotten(id: string, now: Time): boolean {
    const at = this.#forgotten.get(id);
    return at !== undefined && now < at + FORGOTTEN_MS;
  }

  /** Whether it has told us of itself, as only a device does: the owner of an ordinary invite takes us for a contact. */
  #isProven({ peers }: Contact): boolean {
    return peers.some((hashname) => this.#options.devices.isKnown(hashname));
  }

  /** A device that we took in, or that took us in, says what it is. All that we know goes to it now. */
  #proven(from: Contact, sync: Extract<Sync, { type: "family" }>, now: Time): Step[] {
    const { devices, card } = this.#options;
    const itself = sync.devices.filter((each) => !("gone" in each) && from.peers.includes(each.hashname));
    const saves = itself.flatMap((each) => devices.merge(each));
    if (saves.length === 0) return [];
    if (this.#waiting !== undefined) return [...saves, ...this.#join(from, sync, now)];
    return [
      ...saves,
      ...card.check(),
      ...this.tellAgain(from),
      ...this.#others(from).flatMap((each) => this.#tell(each, this.#family())),
    ];
  }

  #join(
    from: Contact,
    { card: id, version, name, renamed = 0, devices: told }: Extract<Sync, { type: "family" }>,
    now: Time,
  ): Step[] {
    const { card, devices, book } = this.#options;
    const isOurs = toHex(card.id) === id;
    const isFirst = !isOurs && this.#waiting !== undefined && book.size === 0;
    if (!isOurs && !isFirst) return [];
    const others = devices.others().map(({ hashname }) => hashname);
    const isOneLess = told.some((each) => "gone" in each && others.includes(each.hashname));
    const saves = told.flatMap((each) => devices.merge(each));
    const gone = told.filter((each) => "gone" in each).flatMap(({ hashname }) => book.of(hashname) ?? []);
    const steps = [
      ...(isFirst
        ? [card.adopt(fromHex(id) ?? card.id, name, renamed), this.#wait(undefined)]
        : card.rename(name, renamed)),
      ...card.raise(version),
      ...saves,
      ...this.#outdate(isOneLess),
      ...gone.flatMap((device) => (device.own ? this.#options.acquaintance.dropped(device, now) : [])),
      ...card.check(),
    ];
    const relayed = saves.length === 0 ? [] : this.#others(from).flatMap((each) => this.#tell(each, this.#family()));
    return [...steps, ...this.check(now), ...relayed];
  }

  /** Who was one of us has the keys of our caches, and could let in anybody in our name. */
  #outdate(isOneLess: boolean): Step[] {
    return isOneLess ? [...this.#options.door.outdate(), ...this.#options.renew()] : [];
  }

  #family(): Sync {
    const { card, devices } = this.#options;
    const { id, version, name, renamed } = card;
    return { type: "family", card: toHex(id), version, name, renamed, devices: devices.everything() };
  }

  #aboutContact({ card, peers }: Contact, { peers: [device] }: Contact): Extract<Sync, { type: "contact" }> {
    const { identity } = this.#options;
    return { type: "contact", card: cardFor(card, device ?? identity.hashname, identity.hashname), shown: peers };
  }

  #others(from: Contact | undefined): Contact[] {
    return this.#options.book.devices().filter((each) => each.id !== from?.id && this.#isProven(each));
  }

  #tellAll(sync: Sync): Step[] {
    return this.#others(undefined).flatMap((device) => this.#tell(device, sync));
  }

  #tell({ id: contact }: Contact, sync: Sync): Step[] {
    // It may sleep for long: as long as anything is offered at all.
    const expires = Number.MAX_SAFE_INTEGER;
    return syncTexts(sync).map((text) => {
      const mail = { kind: "sync", text } as const;
      return { child: "mail", input: { type: "send", req: OURS, contact, mail, expires } };
    });
  }

  #wait(secret: string | undefined): Save {
    this.#waiting = secret;
    return { type: "save", key: WAITING, value: secret === undefined ? undefined : asJson({ secret }) };
  }
}

const WAITING = "peer/waiting";
const FORGOTTEN = "peer/forgotten/";
const FORGOTTEN_MS = 30 * 86_400_000; // as long as any cache keeps what a device told
const MAX_FORGOTTEN = 1_000;
const MAX_OTHER = 7;
