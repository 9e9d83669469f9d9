/** People: who is written to and hears from us: contacts, the state of each of their peers, and whose box is whose. Decides nothing. */
import { equal } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import { Allowance, allowanceKey } from "./allowance.ts";
import { type CorrespondentOptions, correspondent, type Correspondent as Peer, savedByPeer } from "./correspondent.ts";
import type { RankedCache } from "./delivery.ts";
import { MET, metKey } from "./received.ts";
import type { Destination } from "./route.ts";
import type { MailContact, MailOptions, ReadMail } from "./turn.ts";

/** What all peers share. */
export type PeopleOptions = Omit<MailOptions, "disk"> &
  Pick<CorrespondentOptions, "spool" | "slots" | "flights" | "disk">;

/** Contacts and their peers. A hashname is in one contact. */
export class People {
  readonly #options: PeopleOptions;
  readonly #contacts = new Map<string, MailContact>();
  readonly #peers = new Map<Hashname, Peer>();
  /** Whose box it is: known beforehand for every contact. */
  readonly #boxes = new Map<string, Hashname>();
  readonly #allowances = new Map<string, Allowance>();
  /** Saved state of peers that no contact has named yet. */
  readonly #saved: Map<Hashname, Map<string, Uint8Array>>;

  constructor(options: PeopleOptions) {
    this.#options = options;
    this.#saved = savedByPeer(options.saved);
  }

  contact(id: string): MailContact | undefined {
    return this.#contacts.get(id);
  }

  /** New or changed. Its peers come by `add`. */
  setContact(contact: MailContact): void {
    this.#contacts.set(contact.id, contact);
  }

  /** Its peers went by `remove`. */
  forget(id: string): void {
    this.#contacts.delete(id);
    this.#allowances.delete(id);
  }

  get(hashname: string): Peer | undefined {
    return this.#peers.get(hashname as Hashname);
  }

  /** Whose box for us it is. */
  ofBox(box: string): Peer | undefined {
    const hashname = this.#boxes.get(box);
    return hashname && this.#peers.get(hashname);
  }

  /** Who says that this key is its own in the bazaar. */
  ofBazaar(key: Uint8Array): Peer[] {
    return this.all().filter(({ bazaar }) => bazaar !== undefined && equal(bazaar.key, key));
  }

  all(): Peer[] {
    return [...this.#peers.values()];
  }

  /** The peers that this is a cache of, and the one that it is itself. */
  near(hashname: Hashname): Peer[] {
    return this.all().filter(
      (peer) => peer.hashname === hashname || peer.caches.some((each) => each.hashname === hashname),
    );
  }

  /** Whom to tell which of these mails the user has seen: those alone for whom the user wants it. */
  read(mails: readonly ReadMail[]): [Peer, ReadMail[]][] {
    const told = this.all().filter(({ contact }) => this.#contacts.get(contact)?.readMarks === true);
    const pairs = told.map((peer): [Peer, ReadMail[]] => [peer, mails.filter(({ from }) => from === peer.hashname)]);
    return pairs.filter(([, numbers]) => numbers.length > 0);
  }

  /** A peer of the contact, as it was when we saved it. */
  add(contact: string, to: Destination): Peer {
    const { hashname } = to;
    const saved = this.#saved.get(hashname) ?? new Map<string, Uint8Array>();
    this.#saved.delete(hashname);
    const peer = correspondent({
      ...this.#options,
      ...{ contact, to, saved },
      allowance: this.#allowanceOf(contact),
      isOwn: this.#contacts.get(contact)?.own === true,
    });
    this.#peers.set(hashname, peer);
    this.#boxes.set(peer.box, hashname);
    return peer;
  }

  remove({ hashname, box, received }: Peer): void {
    if (received.hasMet) this.#saved.set(hashname, new Map([[metKey(hashname), MET]]));
    this.#peers.delete(hashname);
    this.#boxes.delete(box);
  }

  /** Whether a contact has not been told yet of mail that came from it. */
  get isOwed(): boolean {
    return this.all().some(({ received }) => received.isDue);
  }

  /** How many mails of the contact are known to be missing. */
  missing(contact: string): number {
    return this.#of(contact).reduce((sum, { gaps }) => sum + gaps, 0);
  }

  /** The caches of the contact's peers, the best of each peer first. */
  cachesOf(contact: string): RankedCache[] {
    return this.#of(contact).flatMap(({ delivery }) => delivery.caches());
  }

  /** The newest mails of the contact. */
  recent({ peers }: MailContact): string[] {
    const seen = peers.flatMap(({ hashname }) => this.#peers.get(hashname)?.received.recent ?? []);
    return [...new Set(seen)].slice(-AFTER_IDS);
  }

  #of(contact: string): Peer[] {
    return this.all().filter((peer) => peer.contact === contact);
  }

  #allowanceOf(contact: string): Allowance {
    const known = this.#allowances.get(contact);
    if (known !== undefined) return known;
    const { saved, dailyBytes = DAILY_BYTES } = this.#options;
    const allowance = new Allowance({ contact, saved: saved.get(allowanceKey(contact)), limit: dailyBytes });
    this.#allowances.set(contact, allowance);
    return allowance;
  }
}

const DAILY_BYTES = 256 * 1024 * 1024;
const AFTER_IDS = 8;
