/**
 * The root machine: a table that says which child's output is whose input. Children decide; this file connects them.
 *
 *   mail (sealed parts) -> outbox, inbox, cache, join, revocation (channels) -> mesh (links, packets)
 *
 * Whom we know, let in and look for is decided in `peer/`: by functions that answer with steps, each for a child or for the
 * driver. Inputs of one turn run through a queue, so that no child is entered while another is at work. protocol/driver.md
 */

import {
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
import type { Mail, MailEvent, MailOut, OutboxEntry, Route } from "./mail/index.ts";
import type { MeshOut } from "./mesh/index.ts";
import {
  Acquaintance,
  Book,
  type Call,
  type Child,
  type Children,
  type ContactInfo,
  createChildren,
  Door,
  Joining,
  Links,
  OURS,
  OwnCard,
  type PeerStatus,
  Porter,
  type RequestInfo,
  type Role,
  type RootIn,
  type RootOptions,
  type RootOut,
  refuse,
  type Step,
  setHandshakes,
  type Task,
} from "./peer/index.ts";

export {
  type Call,
  type HandshakeInfo,
  handshakeProblem,
  type OutgoingMail,
  type PeerEvent,
  type PeerStatus,
  type RequestInfo,
  type RootIn,
  type RootOut,
} from "./peer/index.ts";

/** One peer, whole. Restarted from `saved` it goes on where its last commit left it; links and exchanges are new. */
export class Root implements Machine<RootIn, RootOut> {
  readonly #options: RootOptions;
  readonly #book: Book;
  readonly #door: Door;
  readonly #card: OwnCard;
  readonly #links: Links;
  readonly #porter: Porter;
  readonly #joining: Joining;
  readonly #acquaintance: Acquaintance;
  readonly #children: Children;
  readonly #deadlines = new Deadlines<Child>();
  /** Whose each open channel is. */
  readonly #owner = new Map<number, Role>();
  #queue: Task[] = [];
  #out: RootOut[] = [];
  #touched = new Set<Child>();
  #now: Time = 0;

  constructor(options: RootOptions) {
    const { crypto, identity, saved, cache, routes, asks = false } = options;
    const serves = cache && { ...cache, ...(routes === true && { routes: true as const }) };
    const door = new Door({ crypto, identity, saved, serves });
    const book = new Book(crypto.backend, saved);
    const links = new Links({ book, door, joining: (hashname) => this.#joining.address(hashname) });
    const porter = new Porter({ book, door, links, asks });
    const card = new OwnCard({ ...options, book, door });
    this.#options = options;
    this.#book = book;
    this.#door = door;
    this.#card = card;
    this.#links = links;
    this.#porter = porter;
    this.#joining = new Joining({ ...options, door, links, card });
    this.#acquaintance = new Acquaintance({ ...options, book, door, links, card });
    this.#children = createChildren(options, { book, door, card, porter, now: () => this.#now });
  }

  handle(input: RootIn, now: Time): RootOut[] {
    this.#now = now;
    this.#take(input);
    // A plain index: shift() on an array that grows while it is read would cost a copy per task.
    for (let i = 0; i < this.#queue.length; i++) {
      const task = this.#queue[i];
      if (task !== undefined) this.#run(task);
    }
    this.#queue = [];
    for (const child of this.#touched) this.#deadlines.set(child, this.#children[child]?.deadline());
    this.#touched.clear();
    const out = this.#out;
    this.#out = []; // what has left is not kept until the next turn
    return out;
  }

  deadline(): Time | undefined {
    return this.#deadlines.next();
  }

  // --- questions (no change, no effect) ---

  contacts(): ContactInfo[] {
    return this.#book.all().map((contact) => this.#acquaintance.info(contact));
  }

  requests(): RequestInfo[] {
    return (this.#children.mail?.requests() ?? []).map((request) => this.#acquaintance.requestInfo(request));
  }

  outbox(): readonly OutboxEntry[] {
    return this.#children.mail?.outbox() ?? [];
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
    };
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
    // Wakes what lay in the spool when we stopped.
    this.#post({ child: "mail", input: { type: "tick" } });
  }

  #call(req: number, call: Call): Step[] {
    if (this.#children.mail === undefined) return [refuse(req, "no-mail", "this peer only serves as a cache")];
    switch (call.type) {
      case "invite":
        return this.#acquaintance.invite(req, call.once, this.#now);
      case "add":
        return this.#acquaintance.add(req, call.link);
      case "accept":
        return this.#acquaintance.accept(req, call.request, this.#children.mail.requests());
      case "join":
        return this.#joining.join(req, call.link);
      case "leave":
        return this.#joining.leave(req, call.cache);
      case "close":
        return this.#acquaintance.close(req, call.link, this.#now);
      case "remove":
        return this.#acquaintance.remove(req, call.contact, this.#now);
      case "handshakes":
        return setHandshakes(req, this.#options, call.messages);
      case "ignore":
      case "send":
      case "cancel":
        return [{ child: "mail", input: { ...call, req } }];
    }
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
          if (out.type === "left") this.#post({ child: "cache", input: out });
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
      default:
        this.#fromRole("outbox", out);
    }
  }

  #fromCache(out: CacheOut): void {
    if (out.type === "boxes") this.#out.push(out);
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
        return this.#do(this.#joining.joined(out.req, out.answer));
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
      default:
        return this.#post({ child: "mesh", input: out });
    }
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
        return this.#do(this.#acquaintance.introduced(out, this.#now));
      case "card":
        return this.#do(this.#acquaintance.updated(out, this.#now));
      case "event":
        return this.#tell(out.event);
      case "reply":
      case "refuse":
        if (out.req !== OURS) this.#out.push(out);
        return;
      default:
        this.#out.push(out);
    }
  }

  #tell(event: MailEvent): void {
    if (event.type !== "request") {
      this.#out.push({ type: "event", event });
      return;
    }
    const request = this.requests().find((each) => each.request === event.request);
    if (request !== undefined) this.#out.push({ type: "event", event: { type: "request", ...request } });
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

type LinkWish = { type: "reach" | "release"; peer: Hashname };
type Opened = Extract<MeshOut, { type: "opened" }>;

/** Where a route hands over, and the admission URI to show there. */
function placeOf(route: Route): { via: Hashname; uri?: string } {
  if (route.type === "direct") return { via: route.peer };
  return { via: route.cache, ...(route.uri === "" ? {} : { uri: route.uri }) };
}
