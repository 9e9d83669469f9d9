/** Calls: what the user asks for, and who decides it. Each is answered with one `reply` or `refuse`. protocol/driver.md */
import type { Time } from "../bytes/index.ts";
import { uploadKey } from "../mail/index.ts";
import type { Acquaintance } from "./acquaintance.ts";
import type { Book } from "./book.ts";
import type { Children } from "./children.ts";
import type { Call, RootOptions } from "./contract.ts";
import type { Door } from "./door.ts";
import type { Family } from "./family.ts";
import type { FanOut } from "./fan-out.ts";
import { setHandshakes } from "./handshakes.ts";
import type { Joining } from "./joining.ts";
import type { Lists } from "./lists.ts";
import type { OwnCard } from "./own-card.ts";
import { keep } from "./retention.ts";
import { serve } from "./serving.ts";
import { ESTRANGED, OURS, refuse, type Step } from "./step.ts";

/** Those who decide. */
export interface CallsOptions {
  /** In force now. */
  readonly options: RootOptions;
  /** With which the root was made. */
  readonly given: RootOptions;
  readonly mail: Children["mail"];
  readonly book: Book;
  readonly door: Door;
  readonly card: OwnCard;
  readonly joining: Joining;
  readonly acquaintance: Acquaintance;
  readonly family: Family;
  readonly lists: Lists;
  readonly fanOut: FanOut;
}

/** Takes calls. */
export class Calls {
  readonly #options: CallsOptions;

  constructor(options: CallsOptions) {
    this.#options = options;
  }

  /** What follows from the call, the answer with the number `req` among it, unless a child answers. */
  take(req: number, call: Call, now: Time): Step[] {
    const steps = this.#take(req, call, now);
    return ESTRANGING.has(call.type) ? [...steps, ESTRANGED] : steps;
  }

  /** Who is a contact no more is in no list any more. */
  unlisted(): Step[] {
    const { book, lists } = this.#options;
    const gone = new Set(lists.all().flatMap(({ contacts }) => contacts.filter((id) => !book.get(id))));
    return [...gone].flatMap((id) => lists.drop(id));
  }

  #take(req: number, call: Call, now: Time): Step[] {
    const { mail, door, card, joining, acquaintance, family, lists, fanOut } = this.#options;
    if (mail === undefined) return [refuse(req, "no-mail", "this peer only serves as a cache")];
    switch (call.type) {
      case "invite":
        return acquaintance.invite(req, call, now);
      case "add":
        return acquaintance.add(req, call.link);
      case "accept":
        return acquaintance.accept(req, call.request, mail.requests());
      case "join":
        return joining.join(req, call.link);
      case "take-offer":
        return joining.take(req, call.contact);
      case "offer":
        return this.#offer(req, call, now);
      case "serve":
        return serve(req, call.on, this.#options.given, door);
      case "leave":
        return [...joining.leave(req, call.cache), ...family.check(now)];
      case "device-link":
        return family.link(req, now);
      case "device-add":
        return family.add(req, call.link, now);
      case "device-remove":
        return family.remove(req, call.hashname, now);
      case "close":
        return acquaintance.close(req, call.link, now);
      case "remove":
        return [...acquaintance.remove(req, call.contact, now), ...this.unlisted()];
      case "list":
        return lists.set(req, call, (id) => this.#isPerson(id));
      case "send-list":
        return fanOut.send(req, call.list, call.to, call);
      case "block":
        return [...acquaintance.block(req, call.who, mail.requests(), now), ...this.unlisted()];
      case "unblock":
        return acquaintance.unblock(req, call.hashname);
      case "ping":
        return this.#ping(req, call.contact);
      case "read-marks":
        return acquaintance.setReadMarks(req, call.contact, call.on);
      case "rename":
        return [...card.give(call.name), { type: "reply", req, value: undefined }];
      case "verify":
        return acquaintance.verify(req, call.contact, call.said);
      case "test-caches":
        return [{ child: "mail", input: { type: "test", req } }];
      case "handshakes":
        return setHandshakes(req, this.#options.options, call.messages);
      case "channel":
        return [{ child: "application", input: { type: "call", req, call: call.ask } }];
      case "cancel":
        return this.#cancel(req, call, mail);
      case "upload":
        return [
          { type: "save", key: uploadKey(call.blob), value: new Uint8Array(1) },
          { type: "reply", req, value: {} },
        ];
      case "keep":
        return keep(req, call, (id) => this.#isPerson(id));
      case "seen":
      case "ignore":
      case "send":
      case "erase":
        return [{ child: "mail", input: { ...call, req } }];
    }
  }

  /** To all contacts, or to none any more. */
  #offer(req: number, { on, end }: Extract<Call, { type: "offer" }>, now: Time): Step[] {
    const { door, card, acquaintance, family } = this.#options;
    if (!door.isServing) return [refuse(req, "no-cache", "this peer serves no cache that could be offered")];
    return [
      door.setOffered(on),
      ...(end ? acquaintance.endOffered(() => true, now) : []),
      ...card.check(),
      ...family.check(now),
      { type: "reply", req, value: { on } },
    ];
  }

  #ping(req: number, id: string): Step[] {
    const { book } = this.#options;
    const contact = book.get(id);
    if (contact === undefined || contact.own) return [refuse(req, "not-found", "there is no such contact")];
    const hashnames = book.peersOf(contact).map(({ hashname }) => hashname);
    const asked = hashnames.map((hashname): Step => ({ child: "mesh", input: { type: "ping", hashname } }));
    return [...asked, { type: "reply", req, value: hashnames }];
  }

  /** One mail, or one mail to a list: then each of those that are not over. */
  #cancel(req: number, call: Extract<Call, { type: "cancel" }>, mail: NonNullable<Children["mail"]>): Step[] {
    const mails = this.#options.fanOut.mailsOf(call.id);
    if (mails === undefined) return [{ child: "mail", input: { ...call, req } }];
    const isOpen = ([contact, id]: readonly [string, string]): boolean => {
      const state = mail.ledger(id)?.at(-1)?.state;
      return state === undefined ? mail.mayHave(contact, id) : OPEN.has(state);
    };
    if (!mails.some(isOpen)) return [refuse(req, "final", "each of the mails to this list is final already")];
    const each = mails.map(([, id]): Step => ({ child: "mail", input: { type: "cancel", req: OURS, id } }));
    return [...each, { type: "reply", req, value: { id: call.id } }];
  }

  #isPerson(id: string): boolean {
    const contact = this.#options.book.get(id);
    return contact !== undefined && !contact.own;
  }
}

const OPEN: ReadonlySet<string> = new Set(["queued", "handed"]);
/** What makes contacts no contacts. */
const ESTRANGING: ReadonlySet<Call["type"]> = new Set(["remove", "block", "device-remove"]);
