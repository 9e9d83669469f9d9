/**
 * The root machine: a table that says which child's output is whose input. Children decide; this file connects them.
 *
 *   mail (sealed parts) -> outbox, inbox, cache, join, revocation (channels) -> mesh (links, packets)
 *
 * Whom we know, let in and look for is decided in `peer/`: by functions that answer with steps, each for a child or for the
 * driver. Inputs of one turn run through a queue, so that no child is entered while another is at work. protocol/driver.md
 */

import {
  boxId,
  type CacheOut,
  type ChannelOp,
  type InboxOut,
  JOIN_CHANNEL,
  type JoinOut,
  type OutboxOut,
  REVOKE_CHANNEL,
} from "./box/index.ts";
import { Deadlines, type Machine, type Time } from "./bytes/index.ts";
import type { Hashname } from "./crypto/index.ts";
import type { Mail, MailEvent, MailOut, Route } from "./mail/index.ts";
import type { MeshOut } from "./mesh/index.ts";
import {
  Acquaintance,
  Blocked,
  type BlockedInfo,
  Book,
  type CacheInfo,
  type Call,
  type Child,
  type Children,
  type Contact,
  type ContactInfo,
  createChildren,
  type DeviceInfo,
  Devices,
  Door,
  Family,
  FanOut,
  Joining,
  keep,
  Links,
  type ListedEntry,
  type ListInfo,
  Lists,
  OURS,
  OwnCard,
  ownCaches,
  type PeerStatus,
  Porter,
  type RequestInfo,
  type Role,
  type RootIn,
  type RootOptions,
  type RootOut,
  refuse,
  type SafetyInfo,
  type Step,
  sendCard,
  setHandshakes,
  type Task,
} from "./peer/index.ts";

export {
  type BlockedInfo,
  type CacheInfo,
  type Call,
  type DeviceInfo,
  type FannedOut,
  type FanRecord,
  type HandshakeInfo,
  handshakeProblem,
  type ListedEntry,
  type ListInfo,
  type OutgoingMail,
  type PeerEvent,
  type PeerStatus,
  type RequestInfo,
  type RootIn,
  type RootOut,
  type SafetyInfo,
} from "./peer/index.ts";

/** One peer, whole. Restarted from `saved` it goes on where its last commit left it; links and exchanges are new. */
export class Root implements Machine<RootIn, RootOut> {
  readonly #options: RootOptions;
  readonly #blocked: Blocked;
  readonly #book: Book;
  readonly #door: Door;
  readonly #card: OwnCard;
  readonly #links: Links;
  readonly #porter: Porter;
  readonly #joining: Joining;
  readonly #acquaintance: Acquaintance;
  readonly #family: Family;
  readonly #lists: Lists;
  readonly #fanOut: FanOut;
  readonly #children: Children;
  readonly #deadlines = new Deadlines<Child>();
  /** Whose each open channel is. */
  readonly #owner = new Map<number, Role>();
  #queue: Task[] = [];
  /** Packets that were dealt with in this turn, by channel: all of a channel are acknowledged at once. */
  readonly #taken = new Map<number, number>();
  /** Channels on which a packet of this turn has carried some of that. */
  readonly #carried = new Set<number>();
  /** What the store of the cache is asked after everything else of the turn: what senders hear never waits for it (C45). */
  #asked: RootOut[] = [];
  #out: RootOut[] = [];
  #touched = new Set<Child>();
  #now: Time = 0;

  constructor(options: RootOptions) {
    const { crypto, identity, saved, cache, routes, asks = false } = options;
    const serves = cache && { ...cache, ...(routes === true && { routes: true as const }) };
    const door = new Door({ crypto, identity, saved, serves });
    const boxOf = (sender: Hashname): string => boxId(crypto.backend, sender, identity.hashname);
    const blocked = new Blocked({ saved, boxOf });
    const book = new Book(crypto.backend, saved);
    const links = new Links({ book, door, joining: (hashname) => this.#joining.address(hashname) });
    const porter = new Porter({ blocked, book, door, links, asks });
    const devices = new Devices(crypto.backend, identity.hashname, saved);
    const card = new OwnCard({ ...options, book, door, devices });
    this.#options = options;
    this.#blocked = blocked;
    this.#book = book;
    this.#door = door;
    this.#card = card;
    this.#links = links;
    this.#porter = porter;
    this.#joining = new Joining({ ...options, door, links, card });
    const missing = (contact: string): number => this.#children.mail?.missing(contact) ?? 0;
    const tells = {
      changed: (contact: Contact, isNew: boolean, from?: Contact): Step[] => this.#family.changed(contact, isNew, from),
      forgotten: (contact: Contact, now: Time, from?: Contact): Step[] => this.#family.forgotten(contact, now, from),
    };
    this.#acquaintance = new Acquaintance({ ...options, blocked, book, door, links, card, missing, tells });
    this.#family = new Family({ ...options, book, door, card, devices, acquaintance: this.#acquaintance });
    this.#children = createChildren(options, { blocked, book, door, card, porter, now: () => this.#now });
    this.#lists = new Lists(saved);
    const isKnown = (id: string): boolean => this.#children.mail?.ledger(id) !== undefined;
    this.#fanOut = new FanOut({ ...options, isKnown });
  }

  handle(input: RootIn, now: Time): RootOut[] {
    this.#now = now;
    this.#take(input);
    // A plain index: shift() on an array that grows while it is read would cost a copy per task.
    for (let i = 0; i < this.#queue.length; i++) {
      const task = this.#queue[i];
      if (task !== undefined) this.#run(task);
      if (i === this.#queue.length - 1 && this.#taken.size > 0) this.#acknowledge();
    }
    this.#queue = [];
    this.#carried.clear();
    for (const child of this.#touched) this.#deadlines.set(child, this.#children[child]?.deadline());
    this.#touched.clear();
    const out = this.#asked.length > 0 ? this.#out.concat(this.#asked) : this.#out;
    this.#asked = [];
    this.#out = []; // what has left is not kept until the next turn
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  // --- questions (no change, no effect) ---

  contacts(): ContactInfo[] {
    return this.#book.people().map((contact) => this.#acquaintance.info(contact));
  }

  requests(): RequestInfo[] {
    return (this.#children.mail?.requests() ?? []).map((request) => this.#acquaintance.requestInfo(request));
  }

  /** One entry for each mail, and one for each mail to a list. */
  outbox(): readonly ListedEntry[] {
    return this.#fanOut.outbox(this.#children.mail?.outbox() ?? []);
  }

  /** Ours; empty when there is only one. */
  devices(): DeviceInfo[] {
    return this.#family.list();
  }

  lists(): ListInfo[] {
    return this.#lists.all();
  }

  list(name: string): ListInfo | undefined {
    return this.#lists.get(name);
  }

  /** The ledger of a mail that is not final yet; older ones are in the store under "ledger/<id>". */
  ledger(id: string): ReturnType<Mail["ledger"]> {
    return this.#children.mail?.ledger(id);
  }

  /** The one contact that `text` names: its id, one of its hashnames, its name, or an unambiguous start of one of them. */
  findContact(text: string): ContactInfo | undefined {
    const found = this.#book.find(text);
    return found && this.#acquaintance.info(found);
  }

  /** Whom we do not want to hear of, oldest first. */
  blocked(): BlockedInfo[] {
    return this.#blocked.all();
  }

  /** What to compare with a contact, for each of its devices; `undefined`: there is no such contact. */
  safety(contact: string): SafetyInfo[] | undefined {
    return this.#acquaintance.safety(contact);
  }

  /** Up to which mail the user has seen the inbox. */
  get seen(): number {
    return this.#children.mail?.seen() ?? 0;
  }

  get owesAcknowledgement(): boolean {
    return this.#children.mail?.owesAcknowledgement ?? false;
  }

  status(): PeerStatus {
    const { identity, paths } = this.#options;
    return {
      hashname: identity.hashname,
      paths,
      links: this.#children.mesh.links().map(({ hashname, state }) => ({ hashname, state })),
      channels: this.#owner.size,
      caches: this.#door.caches.map(({ hashname, cap }) => ({ hashname, up: this.#links.isUp(hashname), cap })),
      contacts: this.#book.size,
      requests: this.requests().length,
      inbox: this.#children.mail?.lastN() ?? 0,
      sent: this.#children.mail?.lastSent() ?? 0,
      copiedAt: this.#children.mail?.copiedAt,
    };
  }

  /** Our caches with their last tests, then those of our contacts: of each contact the best first, as its next mail sees it. */
  caches(): CacheInfo[] {
    const tests = this.#children.mail?.cacheTests() ?? [];
    const own = this.#door.caches.map(({ hashname: cache, cap }): CacheInfo => {
      const test = tests.find((each) => each.cache === cache);
      return { cache, up: this.#links.isUp(cache), cap, ...(test && { test }) };
    });
    const theirs = this.#book.people().flatMap(({ id: contact }) =>
      (this.#children.mail?.cachesOf(contact) ?? []).map(({ offer: { hashname: cache, cap }, ...account }) => ({
        ...{ cache, contact, cap },
        ...account,
      })),
    );
    return [...own, ...theirs];
  }

  /** A link for recipients to join the cache that we serve. Stateless: it works until the identity changes. */
  joinLink(): string {
    return this.#door.joinLink(this.#options.paths);
  }

  // --- the table: inputs of the driver ---

  #take(input: RootIn): void {
    switch (input.type) {
      case "start":
        return this.#start();
      case "call":
        return this.#do(this.#call(input.req, input.call));
      case "received":
      case "path":
      case "writable":
        return this.#post({ child: "mesh", input });
      case "boxes":
        for (const answer of input.answers) this.#post({ child: "cache", input: { type: "store", answer } });
        return;
      case "read":
      case "blob":
      case "hash":
      case "flush":
        return this.#post({ child: "mail", input });
      case "stamp":
        return this.#post({ child: "outbox", input });
      case "asked":
        return this.#do(this.#porter.asked(input.hashname, input.ok));
      case "tick":
        for (const child of this.#deadlines.due(this.#now)) this.#post({ child, input: { type: "tick" } } as Task);
    }
  }

  #start(): void {
    for (const { hashname } of this.#door.caches) this.#do(this.#links.keep(hashname, "own"));
    this.#do(this.#acquaintance.start());
    if (this.#children.mail === undefined) return;
    this.#do(this.#card.check());
    this.#do(this.#family.check(this.#now));
    this.#do([ownCaches(this.#door, this.#options.identity)]);
    // Wakes what lay in the spool when we stopped.
    this.#post({ child: "mail", input: { type: "tick" } });
  }

  #call(req: number, call: Call): Step[] {
    if (this.#children.mail === undefined) return [refuse(req, "no-mail", "this peer only serves as a cache")];
    switch (call.type) {
      case "invite":
        return this.#acquaintance.invite(req, call, this.#now);
      case "add":
        return this.#acquaintance.add(req, call.link);
      case "accept":
        return this.#acquaintance.accept(req, call.request, this.#children.mail.requests());
      case "join":
        return this.#joining.join(req, call.link);
      case "leave":
        return [...this.#joining.leave(req, call.cache), ...this.#family.check(this.#now)];
      case "device-link":
        return this.#family.link(req, this.#now);
      case "device-add":
        return this.#family.add(req, call.link, this.#now);
      case "device-remove":
        return this.#family.remove(req, call.hashname, this.#now);
      case "close":
        return this.#acquaintance.close(req, call.link, this.#now);
      case "remove":
        return [...this.#acquaintance.remove(req, call.contact, this.#now), ...this.#unlisted()];
      case "list":
        return this.#lists.set(req, call, (id) => this.#isPerson(id));
      case "send-list":
        return this.#fanOut.send(req, call.list, call.to, call.expires);
      case "block":
        return [
          ...this.#acquaintance.block(req, call.who, this.#children.mail.requests(), this.#now),
          ...this.#unlisted(),
        ];
      case "unblock":
        return this.#acquaintance.unblock(req, call.hashname);
      case "read-marks":
        return this.#acquaintance.setReadMarks(req, call.contact, call.on);
      case "seen":
        return [{ child: "mail", input: { ...call, req } }];
      case "verify":
        return this.#acquaintance.verify(req, call.contact, call.said);
      case "test-caches":
        return [{ child: "mail", input: { type: "test", req } }];
      case "handshakes":
        return setHandshakes(req, this.#options, call.messages);
      case "cancel": {
        const mails = this.#fanOut.mailsOf(call.id);
        if (mails === undefined) return [{ child: "mail", input: { ...call, req } }];
        const isOpen = (id: string): boolean => OPEN.has(this.ledger(id)?.at(-1)?.state ?? "");
        if (!mails.some(isOpen)) return [refuse(req, "final", "each of the mails to this list is final already")];
        const each = mails.map((id): Step => ({ child: "mail", input: { type: "cancel", req: OURS, id } }));
        return [...each, { type: "reply", req, value: { id: call.id } }];
      }
      case "keep":
        return keep(req, call, (id) => this.#isPerson(id));
      case "ignore":
      case "send":
      case "erase":
        return [{ child: "mail", input: { ...call, req } }];
    }
  }

  #isPerson(id: string): boolean {
    const contact = this.#book.get(id);
    return contact !== undefined && !contact.own;
  }

  /** Who is a contact no more is in no list any more. */
  #unlisted(): Step[] {
    const gone = new Set(this.#lists.all().flatMap(({ contacts }) => contacts.filter((id) => !this.#book.get(id))));
    return [...gone].flatMap((id) => this.#lists.drop(id));
  }

  // --- the table: outputs of the children ---

  #run(task: Task): void {
    this.#touched.add(task.child);
    const now = this.#now;
    switch (task.child) {
      case "mesh":
        for (const out of this.#children.mesh.handle(task.input, now)) this.#fromMesh(out);
        return;
      case "mail":
        for (const out of this.#children.mail?.handle(task.input, now) ?? []) this.#fromMail(out);
        return;
      case "outbox":
        for (const out of this.#children.outbox.handle(task.input, now)) this.#fromOutbox(out);
        return;
      case "cache":
        for (const out of this.#children.cache.handle(task.input, now)) this.#fromCache(out);
        return;
      case "inbox":
        for (const out of this.#children.inbox.handle(task.input, now)) this.#fromInbox(out);
        return;
      case "join":
        for (const out of this.#children.join.handle(task.input, now)) this.#fromJoin(out);
        return;
      case "revocation":
        for (const out of this.#children.revocation.handle(task.input, now))
          if (out.type === "left" || out.type === "revoked") this.#post({ child: "cache", input: out });
          else this.#fromRole("revocation", out);
    }
  }

  #fromMesh(out: MeshOut): void {
    switch (out.type) {
      case "transmit":
        this.#out.push(out);
        return;
      case "save":
        if (this.#children.mail !== undefined) this.#out.push(out);
        return;
      case "handshake":
        return this.#do(this.#porter.handshake(out, this.#now));
      case "up":
        return this.#fromLink(out.hashname, true);
      case "down":
        this.#fromLink(out.hashname, false);
        if (out.why === "dead") this.#out.push({ type: "event", event: { type: "dead", hashname: out.hashname } });
        return;
      case "introduction":
        return this.#do(this.#links.introduced(out.hashname));
      case "seen":
        return;
      case "renewed":
        this.#post({ child: "cache", input: { type: "renewed", peer: out.hashname } });
        this.#post({ child: "mail", input: { type: "renewed", peer: out.hashname } });
        return this.#post({ child: "revocation", input: { type: "up", peer: out.hashname } });
      case "opened":
        return this.#fromOpened(out);
      default: {
        const role = this.#owner.get(out.ch);
        if (out.type === "closed") this.#owner.delete(out.ch);
        if (role !== undefined) this.#post({ child: role, input: out });
      }
    }
  }

  #fromLink(hashname: Hashname, up: boolean): void {
    this.#porter.link(hashname, up);
    const input = { type: up ? "up" : "down", peer: hashname } as const;
    for (const child of ["outbox", "cache", "inbox", "join", "revocation"] as const) this.#post({ child, input });
    this.#post({ child: "mail", input: { type: "link", peer: hashname, up } });
    this.#do(this.#links.changed(hashname, up));
  }

  #fromOpened(out: Opened): void {
    const role = this.#roleFor(out);
    if (role === undefined)
      return this.#post({ child: "mesh", input: { type: "fail", ch: out.ch, err: "unknown type" } });
    this.#owner.set(out.ch, role);
    this.#post({ child: role, input: out });
  }

  #roleFor({ kind, head, peer }: Opened): Role | undefined {
    switch (kind) {
      case "boxes":
        // Of our own caches alone: whoever else shows boxes wants to see what we do with them. The other role is silent.
        return this.#door.uses(peer) ? "inbox" : "cache";
      case "inbox":
        return "cache";
      case "outbox":
        return head["to"] === this.#options.identity.hashname ? "inbox" : "cache";
      case JOIN_CHANNEL:
        return "join";
      case REVOKE_CHANNEL:
        return "revocation";
      default:
        return undefined;
    }
  }

  #fromOutbox(out: OutboxOut): void {
    switch (out.type) {
      case "deposited":
        return this.#post({ child: "mail", input: { type: "delivered", id: out.id, ok: true } });
      case "failed":
        return this.#post({ child: "mail", input: { type: "delivered", id: out.id, ok: false, why: out.why } });
      case "find-stamp": {
        const task = { ...out.task, sender: this.#options.identity.hashname };
        this.#out.push({ ...out, task });
        return;
      }
      case "forget-stamp":
        this.#out.push(out);
        return;
      default:
        this.#fromRole("outbox", out);
    }
  }

  #fromCache(out: CacheOut): void {
    if (out.type === "boxes") this.#asked.push(out);
    else this.#fromRole("cache", out);
  }

  #fromInbox(out: InboxOut): void {
    if (out.type !== "message") return this.#fromRole("inbox", out);
    if (this.#children.mail !== undefined) return this.#post({ child: "mail", input: out });
    this.#post({ child: "inbox", input: { type: "done", via: out.via, box: out.box, id: out.id } });
  }

  #fromJoin(out: JoinOut): void {
    switch (out.type) {
      case "joined":
        this.#do(this.#joining.joined(out.req, out.answer));
        return this.#do(this.#family.check(this.#now));
      case "not-joined":
        return this.#do(this.#joining.failed(out.req, out.why));
      default:
        this.#fromRole("join", out);
    }
  }

  /** Channel operations and wishes for links, the same from each role. */
  #fromRole(role: Role, out: ChannelOp | LinkWish): void {
    switch (out.type) {
      case "reach":
        return this.#do(this.#links.keep(out.peer, role));
      case "release":
        return this.#do(this.#links.letGo(out.peer, role));
      case "open":
        this.#owner.set(out.ch, role);
        return this.#post({ child: "mesh", input: out });
      case "took":
        this.#taken.set(out.ch, (this.#taken.get(out.ch) ?? 0) + (out.count ?? 1));
        return;
      default:
        if (out.type === "send") this.#acknowledgeBeside(out.ch);
        return this.#post({ child: "mesh", input: out });
    }
  }

  /**
   * What leaves can carry what was taken on its channel. Only the first that leaves in a turn: an acknowledgement beside
   * content asks for another one, and for all that is taken after it one at the end of the turn is enough.
   */
  #acknowledgeBeside(ch: number): void {
    const count = this.#taken.get(ch);
    if (count === undefined || this.#carried.has(ch)) return;
    this.#taken.delete(ch);
    this.#carried.add(ch);
    this.#post({ child: "mesh", input: { type: "took", ch, count } });
  }

  /** What was taken on all channels. */
  #acknowledge(): void {
    for (const [ch, count] of this.#taken) this.#post({ child: "mesh", input: { type: "took", ch, count } });
    this.#taken.clear();
  }

  #fromMail(out: MailOut): void {
    switch (out.type) {
      case "deliver": {
        const { id, to, bytes, expires } = out;
        const place = placeOf(out.route);
        const x = Math.max(1, Math.ceil((expires - this.#now) / 1000));
        this.#do(this.#links.show(place.via, place.uri));
        return this.#post({ child: "outbox", input: { type: "deposit", ...place, id, to, x, bytes } });
      }
      case "withdraw": {
        const { to, ids } = out;
        const place = placeOf(out.route);
        this.#do(this.#links.show(place.via, place.uri));
        return this.#post({ child: "outbox", input: { type: "remove", ...place, to, ids } });
      }
      case "done":
        return this.#post({ child: "inbox", input: out });
      case "introduce":
        return this.#do(this.#family.introduced(out, this.#now) ?? this.#acquaintance.introduced(out, this.#now));
      case "card":
        return this.#do(this.#acquaintance.updated(out, this.#now));
      case "sync":
        this.#do(this.#family.synced(out, this.#now));
        return this.#do(this.#unlisted());
      case "event":
        return this.#tell(out.event);
      case "reply":
      case "refuse": {
        const answer = out.type === "reply" ? (out.value as { id: string }) : out;
        const steps = this.#fanOut.answered(out.req, answer, this.#now);
        if (steps !== undefined) return this.#do(steps);
        if (out.req !== OURS) this.#out.push(out);
        return;
      }
      default:
        this.#out.push(out);
    }
  }

  #tell(event: MailEvent): void {
    if (event.type === "state") {
      const { saves, fan } = this.#fanOut.told(event);
      this.#do(saves);
      this.#out.push({ type: "event", event: fan === undefined ? event : { ...event, list: fan } });
      return;
    }
    if (event.type !== "request") {
      this.#out.push({ type: "event", event });
      // What its store had of us it may have no longer, our newest card among that.
      if (event.type === "restored" && !this.#isCardOnItsWay(event.contact)) this.#do([sendCard(event.contact)]);
      const device = event.type === "restored" ? this.#book.get(event.contact) : undefined;
      if (device?.own) this.#do(this.#family.tellAgain(device));
      return;
    }
    const request = this.requests().find((each) => each.request === event.request);
    // Whoever is expected was taken in already.
    if (request === undefined || this.#book.isPeer(request.hashname)) return;
    this.#out.push({ type: "event", event: { type: "request", ...request } });
  }

  #isCardOnItsWay(contact: string): boolean {
    return this.#children.mail?.isSendingCard(contact) ?? false;
  }

  // --- hands ---

  #post(task: Task): void {
    this.#queue.push(task);
  }

  #do(steps: readonly Step[]): void {
    for (const step of steps) {
      if ("child" in step) this.#queue.push(step);
      else this.#out.push(step);
    }
  }
}

const OPEN: ReadonlySet<string> = new Set(["queued", "handed"]);

type LinkWish = { type: "reach" | "release"; peer: Hashname };
type Opened = Extract<MeshOut, { type: "opened" }>;

/** Where a route hands over, and the admission URI to show there. */
function placeOf(route: Route): { via: Hashname; uri?: string } {
  if (route.type === "direct") return { via: route.peer };
  return { via: route.cache, ...(route.uri === "" ? {} : { uri: route.uri }) };
}
