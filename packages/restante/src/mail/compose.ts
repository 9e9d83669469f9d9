/** Composing: what a draft becomes for a contact, and how it goes to each of its peers; or why it cannot be sent. */
import { type Random, type Time, toHex } from "../bytes/index.ts";
import type { Crypto, Hashname, Identity } from "../crypto/index.ts";
import { addresseeOf, mailOf, REFUSALS, tooLarge } from "./draft.ts";
import type { Hello } from "./hello.ts";
import type { People } from "./people.ts";
import type { Ownerless, Posted } from "./posted.ts";
import type { Destination } from "./route.ts";
import type { Content } from "./sealing.ts";
import type { Addressee, Spool } from "./spool.ts";
import type { Draft, MailContact } from "./turn.ts";

/** A mail that can be sent. */
export interface Composed {
  readonly mail: Ownerless;
  readonly content: Content;
  readonly to: readonly Addressee[];
}

/** Why one cannot. */
export interface Refusal {
  readonly code: string;
  readonly message: string;
}

export interface ComposerOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  readonly cardFor: (reader: Hashname) => Uint8Array;
  /** Files above it go over links alone, unless somebody insists. */
  readonly waitForLink?: number;
  readonly people: People;
  readonly spool: Spool;
}

/** Makes mails of drafts. */
export class Composer {
  readonly #options: ComposerOptions;

  constructor(options: ComposerOptions) {
    this.#options = options;
  }

  /** For all peers of a contact. */
  compose(
    draft: Draft,
    {
      contact: id,
      now,
      expires,
      insist,
      id: mailId = toHex(this.#options.random(ID_BYTES)),
    }: {
      contact: string;
      now: Time;
      expires?: Time | undefined;
      insist?: boolean | undefined;
      id?: string | undefined;
    },
  ): Composed | Refusal {
    const { people, random, spool, waitForLink = WAIT_FOR_LINK } = this.#options;
    const contact = people.contact(id);
    if (contact === undefined) return { code: "not-found", message: "there is no such contact" };
    const problem = tooLarge(draft);
    if (problem !== undefined) return { code: "too-large", message: problem };
    const isPatient = draft.kind === "file" && draft.size > waitForLink && insist !== true;
    const after = people.recent(contact);
    const made = mailOf(draft, { id: mailId, contact: id, now, expires, isPatient });
    const mail = { ...made, ...(after.length > 0 && { after: after.length }) };
    if (!spool.hasLine(id, mail.parts)) return { code: "full", message: "mail waits for too many contacts already" };
    const to: Addressee[] = [];
    for (const peer of contact.peers) {
      if (people.get(peer.hashname)?.contact !== id) continue;
      const addressee = this.#addressee(contact, peer, mail, after);
      if (typeof addressee === "string")
        return { code: addressee, message: REFUSALS[addressee] ?? "it cannot be sent" };
      to.push(addressee);
    }
    const text = draft.kind === "text" || draft.kind === "sync" ? { text: draft.text } : {};
    return { mail, to, content: { seed: random(SEED_BYTES), after, ...text } };
  }

  /** How a mail goes to a peer whose turn it is; `undefined`: what its key or its size forbids waits until it is another. */
  address(mail: Posted, peer: Hashname): Addressee | undefined {
    const contact = this.#options.people.contact(mail.contact);
    const to = contact?.peers.find(({ hashname }) => hashname === peer);
    if (contact === undefined || to === undefined) return undefined;
    // Which they are is with the content; how long they are is the same for all.
    const after = Array.from({ length: mail.after ?? 0 }, (_, i) => i.toString(16).padStart(2 * ID_BYTES, "0"));
    const addressee = this.#addressee(contact, to, mail, after);
    return typeof addressee === "string" ? undefined : addressee;
  }

  /** How we present ourselves to a peer of a contact; `undefined`: it is of none any more. */
  hello(peer: Hashname): Hello | undefined {
    const { people } = this.#options;
    const contact = people.contact(people.get(peer)?.contact ?? "");
    return contact && this.#hello(contact, peer);
  }

  #hello({ secret }: MailContact, reader: Hashname): Hello {
    return { card: this.#options.cardFor(reader), ...(secret && { secret }) };
  }

  #addressee(contact: MailContact, to: Destination, mail: Ownerless, after: readonly string[]): Addressee | string {
    const number = this.#options.spool.next(to.hashname);
    const hasHello = number.hello || mail.kind === "card";
    const hello = hasHello ? this.#hello(contact, to.hashname) : undefined;
    return addresseeOf(this.#options, { to, mail, number, after, hello });
  }
}

const WAIT_FOR_LINK = 16 * 1024 ** 2;
const ID_BYTES = 16;
const SEED_BYTES = 32;
