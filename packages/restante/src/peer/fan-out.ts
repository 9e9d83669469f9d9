/**
 * Fan-out: a mail to a list is a mail to each of its contacts, with an id of its own that names all of them here. No two
 * recipients get the same id, so that they cannot see by it that they are in one list.
 */
import { asJson, ofJson, type Random, type Time, toHex } from "../bytes/index.ts";
import type { MailEvent, OutboxEntry } from "../mail/index.ts";
import type { OutgoingMail } from "./contract.ts";
import { OURS, refuse, type Step } from "./step.ts";

export interface FanOutOptions {
  readonly random: Random;
  /** Keys "peer/fan/...". */
  readonly saved: ReadonlyMap<string, Uint8Array>;
  /** Whether the spool may still know a mail to a contact. */
  readonly isKnown: (contact: string, mail: string) => boolean;
}

/** What `send` is answered with. */
export interface FannedOut {
  readonly id: string;
  /** To how many contacts it goes. */
  readonly contacts: number;
  /** To whom it cannot be sent, and why: a code. */
  readonly refused: readonly (readonly [contact: string, code: string])[];
}

/** The value of "ledger/<id>" of a mail to a list. */
export interface FanRecord {
  readonly id: string;
  readonly list: string;
  readonly created: Time;
  /** Of each contact, its mail. */
  readonly mails: readonly (readonly [contact: string, mail: string])[];
}

/** Knows which mails are one. */
export class FanOut {
  readonly #options: FanOutOptions;
  /** Those of which the spool knows a mail. */
  readonly #fans = new Map<string, SavedFan>();
  /** By the id of a mail, that of the mail to the list. */
  readonly #fanOf = new Map<string, string>();
  /** By the number of the call to the mail machine: those that are being sent in this turn. */
  readonly #asked = new Map<number, { sending: Sending; contact: string }>();
  #next = OURS - 1;

  constructor(options: FanOutOptions) {
    this.#options = options;
    for (const [key, value] of options.saved) if (key.startsWith(FAN)) this.#add(ofJson(value));
  }

  /** Answered when each of the mails is, in the same turn. */
  send(
    req: number,
    list: string,
    to: readonly { readonly contact: string; readonly mail: OutgoingMail }[],
    {
      expires,
      insist,
      id = toHex(this.#options.random(ID_BYTES)),
    }: { readonly expires?: Time; readonly insist?: boolean; readonly id?: string },
  ): Step[] {
    if (to.length === 0) return [refuse(req, "not-found", "there is nobody in this list")];
    const sending: Sending = { req, id, list, left: to.length, mails: [], refused: [] };
    const how = { ...(expires !== undefined && { expires }), ...(insist && { insist }) };
    return to.map(({ contact, mail }): Step => {
      const own = this.#next--;
      this.#asked.set(own, { sending, contact });
      return { child: "mail", input: { type: "send", req: own, contact, mail, ...how } };
    });
  }

  /** The answer to one of the mails; `undefined`: it is none of ours. */
  answered(req: number, answer: { readonly id: string } | { readonly code: string }, now: Time): Step[] | undefined {
    const asked = this.#asked.get(req);
    if (asked === undefined) return undefined;
    this.#asked.delete(req);
    const { sending, contact } = asked;
    if ("id" in answer) sending.mails.push([contact, answer.id]);
    else sending.refused.push([contact, answer.code]);
    return --sending.left > 0 ? [] : this.#sent(sending, now);
  }

  /** The outbox with one entry for each mail to a list. */
  outbox(entries: readonly OutboxEntry[]): ListedEntry[] {
    if (this.#fans.size === 0) return [...entries];
    const groups = new Map<string, OutboxEntry[]>();
    const rest: ListedEntry[] = [];
    for (const entry of entries) {
      const fan = this.#fanOf.get(entry.id);
      if (fan === undefined) rest.push(entry);
      else groups.set(fan, [...(groups.get(fan) ?? []), entry]);
    }
    return [...rest, ...[...groups].flatMap(([id, mails]) => this.#entry(id, mails))].sort(
      (a, b) => a.created - b.created,
    );
  }

  /** The mails of a mail to a list, with their contacts; `undefined`: it is none, or all of them are over for long. */
  mailsOf(id: string): FanRecord["mails"] | undefined {
    return this.#fans.get(id)?.mails;
  }

  /** What the application is told about a mail, with the mail to a list that it belongs to; and what is to be saved before. */
  told(event: Extract<MailEvent, { type: "state" }>): { saves: Step[]; fan: string | undefined } {
    const fan = this.#fanOf.get(event.id);
    const saved = fan === undefined ? undefined : this.#fans.get(fan);
    const isNews = event.state === "delivered" && saved !== undefined && !saved.delivered.includes(event.id);
    if (!isNews) return { saves: [], fan };
    const after: SavedFan = { ...saved, delivered: [...saved.delivered, event.id] };
    this.#add(after);
    return { saves: [{ type: "save", key: FAN + saved.id, value: asJson(after) }], fan };
  }

  #sent({ req, id, list, mails, refused }: Sending, now: Time): Step[] {
    const [first] = refused;
    if (mails.length === 0) return [refuse(req, first?.[1] ?? "refused", "it can be sent to nobody in this list")];
    const record: FanRecord = { id, list, created: now, mails };
    const saved: SavedFan = { ...record, delivered: [] };
    const value: FannedOut = { id, contacts: mails.length, refused };
    const steps: Step[] = [
      ...this.#sweep(),
      { type: "save", key: FAN + id, value: asJson(saved) },
      { type: "save", key: `ledger/${id}`, value: asJson(record) },
      { type: "reply", req, value },
    ];
    this.#add(saved);
    return steps;
  }

  /** Forgets what the spool has forgotten: so there are never more than there are mails. */
  #sweep(): Step[] {
    return [...this.#fans.values()].flatMap(({ id, mails }): Step[] => {
      if (mails.some(([contact, mail]) => this.#options.isKnown(contact, mail))) return [];
      this.#fans.delete(id);
      for (const [, mail] of mails) this.#fanOf.delete(mail);
      return [{ type: "save", key: FAN + id, value: undefined }];
    });
  }

  #entry(id: string, mails: readonly OutboxEntry[]): ListedEntry[] {
    const fan = this.#fans.get(id);
    // Nothing is said to be further than the mail that is furthest behind.
    const [last] = [...mails].sort((a, b) => BEHIND.indexOf(a.state) - BEHIND.indexOf(b.state));
    if (fan === undefined || last === undefined) return [];
    const handed = mails.reduce((sum, mail) => sum + mail.handed, 0);
    const list = { name: fan.list, delivered: fan.delivered.length, of: fan.mails.length };
    const delivered = { k: list.delivered, n: list.of };
    return [{ ...last, id, contact: "", handed, delivered, list }];
  }

  #add(fan: SavedFan): void {
    this.#fans.set(fan.id, fan);
    for (const [, mail] of fan.mails) this.#fanOf.set(mail, fan.id);
  }
}

/** A mail in the outbox. Of one to a list `contact` is empty, and the state is that of the contact that is furthest behind. */
export interface ListedEntry extends OutboxEntry {
  readonly list?: {
    readonly name: string;
    /** How many of its contacts have it. */
    readonly delivered: number;
    readonly of: number;
  };
}

interface Sending {
  readonly req: number;
  readonly id: string;
  readonly list: string;
  left: number;
  readonly mails: (readonly [string, string])[];
  readonly refused: (readonly [string, string])[];
}

interface SavedFan extends FanRecord {
  /** Mails that were delivered. */
  readonly delivered: readonly string[];
}

const FAN = "peer/fan/";
const ID_BYTES = 16;
const BEHIND: readonly OutboxEntry["state"][] = ["queued", "handed", "delivered", "read", "expired", "cancelled"];
