/**
 * The root machine: a table that says which child's output is whose input. Children decide; this file connects them.
 *
 *   mail (sealed parts) -> outbox, inbox, cache, join, revocation (channels) -> mesh (links, packets)
 *                                            application (channels of its own) -> mesh
 *
 * Whom we know, let in and look for is decided in `peer/`: by functions that answer with steps, each for a child or for the
 * driver. Inputs of one turn run through a queue, so that no child is entered while another is at work. protocol/driver.md
 */

import type { ApplicationOut } from "./application/index.ts";
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
import type { Mail, MailEvent, MailOut } from "./mail/index.ts";
import type { MeshOut } from "./mesh/index.ts";
import {
  Acquaintance,
  Blocked,
  type BlockedInfo,
  Book,
  type CacheInfo,
  Calls,
  type Child,
  type Children,
  type Contact,
  type ContactInfo,
  cacheInfos,
  createChildren,
  type DeviceInfo,
  Devices,
  Dispatch,
  Door,
  ESTRANGED,
  Family,
  FanOut,
  forRole,
  inForce,
  isSecondDeposit,
  Joining,
  Links,
  type ListedEntry,
  type ListInfo,
  Lists,
  type OfferInfo,
  OURS,
  OwnCard,
  offersTo,
  ownCaches,
  type PeerStatus,
  Porter,
  type Reporters,
  type RequestInfo,
  type Role,
  type RootIn,
  type RootOptions,
  type RootOut,
  type SafetyInfo,
  type Step,
  sendCard,
  statusOf,
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
  type LinkInfo,
  type ListedEntry,
  type ListInfo,
  type OfferInfo,
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
  readonly #given: RootOptions;
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
  readonly #calls: Calls;
  readonly #dispatch: Dispatch;
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
  #touched: Child[] = [];
  #now: Time = 0;

  constructor(given: RootOptions) {
    const options = inForce(given);
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
    this.#given = given;
    this.#blocked = blocked;
    this.#book = book;
    this.#door = door;
    this.#card = card;
    this.#links = links;
    this.#porter = porter;
    this.#joining = new Joining({ ...options, book, door, links, card });
    const missing = (contact: string): number => this.#children.mail?.missing(contact) ?? 0;
    const tells = {
      changed: (contact: Contact, isNew: boolean, from?: Contact): Step[] => this.#family.changed(contact, isNew, from),
      forgotten: (contact: Contact, now: Time, from?: Contact): Step[] => this.#family.forgotten(contact, now, from),
    };
    const isTelling = (contact: string): boolean => this.#isCardOnItsWay(contact);
    this.#acquaintance = new Acquaintance({ ...options, blocked, book, door, links, card, missing, isTelling, tells });
    const renew = (): Step[] => this.#joining.renew();
    this.#family = new Family({ ...options, book, door, card, devices, renew, acquaintance: this.#acquaintance });
    this.#children = createChildren(options, { blocked, book, door, card, links, porter, now: () => this.#now });
    this.#lists = new Lists(saved);
    const isKnown = (contact: string, id: string): boolean => this.#children.mail?.mayHave(contact, id) ?? false;
    this.#fanOut = new FanOut({ ...options, isKnown });
    this.#dispatch = new Dispatch({ crypto, identity, book, links });
    const [joining, acquaintance, family] = [this.#joining, this.#acquaintance, this.#family];
    const [lists, fanOut, { mail }] = [this.#lists, this.#fanOut, this.#children];
    this.#calls = new Calls({
      ...{ options, given, mail, book, door, card, joining, acquaintance, family, lists, fanOut },
    });
  }

  handle(input: RootIn, now: Time): RootOut[] {
    this.#now = now;
    this.#take(input);
    if (this.#book.ages(now)) this.#do(this.#acquaintance.aged(now));
    // A plain index: shift() on an array that grows while it is read would cost a copy per task.
    for (let i = 0; i < this.#queue.length; i++) {
      const task = this.#queue[i];
      if (task !== undefined) this.#run(task);
      if (i === this.#queue.length - 1) this.#endTurn();
    }
    this.#queue = [];
    // To clear a set takes memory, even when it is empty.
    if (this.#carried.size > 0) this.#carried.clear();
    for (const child of this.#touched) this.#deadlines.set(child, this.#children[child]?.deadline());
    this.#touched.length = 0;
    if (this.#asked.length > 0) this.#children.cache.handle(ASKED, now);
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

  /** The ledger of a mail in memory; of others the store has it: what waits far behind, and what is over under "ledger/<id>". */
  ledger(id: string): ReturnType<Mail["ledger"]> {
    return this.#children.mail?.ledger(id);
  }

  /** The one contact that `text` names: its id, one of its hashnames, its name, or an unambiguous start of one of them. */
  findContact(text: string): ContactInfo | undefined {
    const found = this.#book.find(text);
    return found && this.#acquaintance.info(found);
  }

  /** The keys by which contacts are found in the bazaar. */
  carried(): Uint8Array[] {
    const peers = this.#book.all().flatMap((contact) => this.#book.peersOf(contact));
    return peers.flatMap(({ bazaar }) => (bazaar === undefined ? [] : [bazaar.key]));
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
    return statusOf(this.#reporters(), { given: this.#given, channels: this.#owner.size });
  }

  /** Our caches with their last tests, then those of our contacts: of each contact the best first, as its next mail sees it. */
  caches(): CacheInfo[] {
    return cacheInfos(this.#reporters());
  }

  /** Caches that contacts offer us, and that are not ours yet. */
  offers(): OfferInfo[] {
    return offersTo(this.#reporters());
  }

  get isServing(): boolean {
    return this.#door.isServing;
  }

  /** A link for recipients to join the cache that we serve. Stateless: it works until the identity changes. */
  joinLink(): string {
    return this.#door.joinLink(this.#options.paths);
  }

  #reporters(): Reporters {
    const { mail, mesh } = this.#children;
    return { mail, mesh, door: this.#door, book: this.#book, links: this.#links, card: this.#card };
  }

  // --- the table: inputs of the driver ---

  #take(input: RootIn): void {
    switch (input.type) {
      case "start":
        return this.#start();
      case "call":
        return this.#do(this.#calls.take(input.req, input.call, this.#now));
      case "received":
      case "path":
      case "writable":
        return this.#post({ child: "mesh", input });
      case "leave":
        for (const out of this.#children.mesh.handle(input, this.#now))
          if (out.type === "transmit") this.#out.push(out);
        return;
      case "boxes":
        return this.#post({ child: "cache", input: { type: "store", answers: input.answers } });
      case "read":
      case "listed":
      case "blob":
      case "hash":
      case "space":
      case "flush":
        return this.#post({ child: "mail", input });
      case "delivered":
      case "brought":
        return this.#fromBazaar(input);
      case "stamp":
        return this.#post({ child: "outbox", input });
      case "asked":
        return this.#do(this.#porter.asked(input.hashname, input.ok));
      case "tick":
        for (const child of this.#deadlines.due(this.#now)) this.#post({ child, input: { type: "tick" } } as Task);
    }
  }

  #fromBazaar(input: Extract<RootIn, { type: "delivered" | "brought" }>): void {
    if (this.#children.mail !== undefined) this.#post({ child: "mail", input });
    else if (input.type === "brought") this.#out.push({ type: "taken", number: input.number, keep: true });
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

  // --- the table: outputs of the children ---

  #run(task: Task): void {
    if (!this.#touched.includes(task.child)) this.#touched.push(task.child);
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
      case "application":
        for (const out of this.#children.application.handle(task.input, now)) this.#fromApplication(out);
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
      case "pong":
        this.#out.push({ type: "event", event: out });
        return;
      case "introduction":
        return this.#do(this.#links.introduced(out.hashname));
      case "seen":
        return;
      case "renewed":
        this.#post({ child: "cache", input: { type: "renewed", peer: out.hashname } });
        this.#post({ child: "mail", input: { type: "renewed", peer: out.hashname } });
        this.#post({ child: "inbox", input: { type: "up", peer: out.hashname } });
        return this.#post({ child: "revocation", input: { type: "up", peer: out.hashname } });
      case "opened":
        return this.#fromOpened(out);
      default: {
        const role = this.#owner.get(out.ch);
        if (out.type === "closed") this.#owner.delete(out.ch);
        if (role !== undefined) for (const task of forRole(role, out)) this.#post(task);
      }
    }
  }

  #fromLink(hashname: Hashname, up: boolean): void {
    this.#porter.link(hashname, up);
    const input = { type: up ? "up" : "down", peer: hashname } as const;
    for (const child of ["outbox", "cache", "inbox", "join", "revocation"] as const) this.#post({ child, input });
    if (up) this.#post({ child: "application", input: { type: "up", peer: hashname } });
    this.#post({ child: "mail", input: { type: "link", peer: hashname, up } });
    this.#do(this.#links.changed(hashname, up));
    if (up) this.#do(this.#joining.renew(hashname));
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
        // Whoever is no contact sees what there is for a type that nobody serves.
        return this.#children.application.serves(kind) && this.#book.isPeer(peer) ? "application" : undefined;
    }
  }

  #fromOutbox(out: OutboxOut): void {
    if ((out.type === "deposited" || out.type === "failed") && isSecondDeposit(out.id)) return;
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
    if (out.type !== "message" && out.type !== "keeps") return this.#fromRole("inbox", out);
    if (this.#children.mail !== undefined) return this.#post({ child: "mail", input: out });
    if (out.type === "keeps") return;
    this.#post({ child: "inbox", input: { type: "done", via: out.via, box: out.box, id: out.id } });
  }

  #fromJoin(out: JoinOut): void {
    switch (out.type) {
      case "joined":
        this.#do(this.#joining.joined(out.req, out.answer, this.#now));
        return this.#do(this.#family.check(this.#now));
      case "not-joined":
        return this.#do(this.#joining.failed(out.req, out.why));
      case "save":
        return this.#do([out]);
      default:
        this.#fromRole("join", out);
    }
  }

  #fromApplication(out: ApplicationOut): void {
    if (out.type === "reply" || out.type === "refuse") this.#out.push(out);
    else this.#fromRole("application", out);
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
    this.#post({ child: "mesh", input: { type: "took", ch, count, isFollowed: true } });
  }

  /** What waited for all else. Removals come first: they carry acknowledgements. */
  #endTurn(): void {
    if (this.#children.inbox.hasGathered) this.#post({ child: "inbox", input: { type: "gathered" } });
    else if (this.#taken.size > 0) this.#acknowledge();
  }

  /** What was taken on all channels. */
  #acknowledge(): void {
    for (const [ch, count] of this.#taken) this.#post({ child: "mesh", input: { type: "took", ch, count } });
    this.#taken.clear();
  }

  #fromMail(out: MailOut): void {
    switch (out.type) {
      case "deliver":
        return this.#do(this.#dispatch.deliver(out, this.#now));
      case "withdraw":
        return this.#do(this.#dispatch.withdraw(out, this.#now));
      case "done":
      case "again":
        return this.#post({ child: "inbox", input: out });
      case "unanswered":
        return this.#do(this.#acquaintance.unanswered(out.contact, this.#now));
      case "introduce":
        return this.#do(this.#family.introduced(out, this.#now) ?? this.#acquaintance.introduced(out, this.#now));
      case "card":
        this.#do(this.#acquaintance.updated(out, this.#now));
        this.#do([ESTRANGED]); // a device may have left its card
        return this.#do(this.#family.check(this.#now));
      case "sync":
        this.#do(this.#family.synced(out, this.#now));
        this.#do([ESTRANGED]);
        return this.#do(this.#calls.unlisted());
      case "event":
        if (out.event.type === "copied") this.#do(this.#card.copied(this.#now));
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

const ASKED = { type: "asked" } as const;

type LinkWish = { type: "reach" | "release"; peer: Hashname };
type Opened = Extract<MeshOut, { type: "opened" }>;
