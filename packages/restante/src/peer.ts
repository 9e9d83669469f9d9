/**
 * The root machine: who is a contact, and which child's output is whose input. Children decide; this file connects them.
 *
 *   mail (sealed parts) -> outbox, inbox, cache, join (channels) -> mesh (links, packets)
 *
 * Inputs of one turn run through a queue, so that no child is entered while another is at work. protocol/driver.md
 */

import {
  type BoxAnswer,
  type BoxOp,
  boxId,
  Cache,
  type CacheIn,
  type ChannelOp,
  Inbox,
  type InboxIn,
  JOIN_CHANNEL,
  Join,
  type JoinIn,
  messageId,
  Outbox,
  type OutboxIn,
} from "./box/index.ts";
import { Deadlines, fromHex, type Machine, type Random, type Time, toHex } from "./bytes/index.ts";
import {
  admissionUri,
  type Card,
  encodeCard,
  encodeInvite,
  inviteProblem,
  type Path,
  parseCard,
  parseInvite,
  parseJoinAnswer,
  parseJoinLink,
} from "./card/index.ts";
import { type Crypto, type Hashname, hashnameOf, type Identity, type Keys } from "./crypto/index.ts";
import { fitsHandshake, type HandshakeMessage } from "./e3x/index.ts";
import { Mail, type MailEvent, type MailIn, type MailOut, type OutboxEntry } from "./mail/index.ts";
import { Mesh, type MeshIn, type MeshOut, type Noise } from "./mesh/index.ts";
import { asJson, Book, type Change, type Contact, type ContactInfo, Door, ofJson, Strangers } from "./peer/index.ts";

/** What the application asks. Each is answered by one `reply` or `refuse` with the same `req`. */
export type Call =
  /** A link for somebody to write to us. `once`: the first who uses it is accepted unasked, and nobody after. */
  | { type: "invite"; once: boolean }
  /** Become the contact of whoever made this invite. */
  | { type: "add"; link: string }
  | { type: "accept" | "ignore"; request: string }
  | { type: "send"; contact: string; mail: OutgoingMail; expires?: Time }
  | { type: "cancel"; id: string }
  /** Use the cache behind this join link for our own mail. */
  | { type: "join"; link: string }
  /** Send these with our keys in every handshake from now on, in place of those before. See `handshakeProblem`. */
  | { type: "handshakes"; messages: readonly HandshakeMessage[] };

/** A text, or a file whose bytes lie already in blob `blob`, in records of PART_CONTENT bytes. */
export type OutgoingMail =
  | { kind: "text"; text: string }
  | { kind: "file"; name: string; media: string; size: number; sha256: string; blob: string };

export type RootIn =
  | { type: "start" }
  | { type: "call"; req: number; call: Call }
  | { type: "received"; path: Path; bytes: Uint8Array }
  | { type: "path"; path: Path; open: boolean }
  | { type: "writable"; path: Path; credit: number }
  | { type: "boxes"; answers: readonly BoxAnswer[] }
  | { type: "read"; req: number; value: Uint8Array | undefined }
  | { type: "blob"; req: number; bytes: Uint8Array | undefined }
  | { type: "hash"; req: number; sha256: string }
  /** The application's word on an `ask`. Without effect when none is open, or the stranger was let in otherwise since. */
  | { type: "asked"; hashname: Hashname; ok: boolean }
  /** We are about to be stopped: say what others wait for. `owesAcknowledgement` tells when that is done. */
  | { type: "flush" }
  | { type: "tick" };

export type RootOut =
  | { type: "transmit"; path: Path; bytes: Uint8Array }
  | { type: "save"; key: string; value: Uint8Array | undefined }
  | { type: "read"; req: number; key: string }
  | { type: "blob-write"; blob: string; index: number; bytes: Uint8Array }
  | { type: "blob-read"; req: number; blob: string; index: number }
  | { type: "blob-hash"; req: number; blob: string; count: number; size: number }
  | { type: "blob-remove"; blob: string }
  | { type: "boxes"; op: BoxOp }
  /**
   * May this stranger have a link? All messages of its handshake that came so far. Answered by one `asked`. Until then, and
   * after a no, nothing is sent to it. What comes before the answer is asked about after it, if that is a no. Of one stranger
   * one question is open at a time, and 256 in all: about further strangers nothing is asked.
   */
  | ({ type: "ask" } & HandshakeInfo)
  | { type: "reply"; req: number; value: unknown }
  | { type: "refuse"; req: number; code: string; message: string }
  | { type: "event"; event: PeerEvent };

/** What the application is told unasked, always after it is committed. */
export type PeerEvent =
  | Exclude<MailEvent, { type: "request" }>
  | ({ type: "request" } & RequestInfo)
  /** There is a new contact, or we have a newer card of one. */
  | { type: "contact"; contact: ContactInfo; isNew: boolean }
  | { type: "link"; hashname: Hashname; up: boolean }
  /** The two hashnames have used up all numbers of handshakes: only a new identity, of us or of them, links them again. */
  | { type: "dead"; hashname: Hashname };

/** A stranger who wrote to us. `name` is what the stranger claims. */
export interface RequestInfo {
  readonly request: string;
  readonly hashname: Hashname;
  readonly name: string | undefined;
  /** When the first of it came. */
  readonly at: Time;
  readonly texts: readonly string[];
}

/** A handshake of somebody whom neither a contact, nor a token, nor an invite admits. The sender is proven. */
export interface HandshakeInfo {
  readonly hashname: Hashname;
  /** Its key of the cipher set in use. */
  readonly keys: Keys;
  readonly path: Path;
  /** By type: "key", "jwt", "uri", "tx"; one of each. What a "jwt" or "tx" says is for the application to verify. */
  readonly messages: readonly HandshakeMessage[];
}

export interface RootOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  /** Everything that was saved: the keys of the head space. */
  readonly saved: ReadonlyMap<string, Uint8Array>;
  /** Our own addresses, as given in cards. */
  readonly paths: readonly Path[];
  /** What people who get our card see. */
  readonly name?: string;
  /** Limits of the cache that we serve. Absent: a peer that offers no cache accepts, acknowledges and drops (X20). */
  readonly cache?: { readonly cap: number; readonly quota: number };
  /** Whether we pass on packets between those who use that cache, and contacts. */
  readonly routes?: boolean;
  /** False: no mail of our own, nothing is ever saved. */
  readonly mail: boolean;
  readonly cloak?: boolean;
  /** As the call "handshakes"; none without it. */
  readonly handshakes?: readonly HandshakeMessage[];
  /** Offer channel payloads in CBOR. */
  readonly cbor?: boolean;
  /** As in `MeshOptions`. */
  readonly noise?: Noise | undefined;
  /** Whether the application decides about strangers, by `ask`. Otherwise they are refused. */
  readonly asks?: boolean;
}

type Task =
  | { child: "mesh"; input: MeshIn }
  | { child: "outbox"; input: OutboxIn }
  | { child: "cache"; input: CacheIn }
  | { child: "inbox"; input: InboxIn }
  | { child: "join"; input: JoinIn }
  | { child: "mail"; input: MailIn };
type Child = Task["child"];
type Role = "outbox" | "cache" | "inbox" | "join";

/** One peer, whole. Restarted from `saved` it goes on where its last commit left it; links and exchanges are new. */
export class Root implements Machine<RootIn, RootOut> {
  readonly #options: RootOptions;
  readonly #mesh: Mesh;
  readonly #outbox: Outbox;
  readonly #cache: Cache;
  readonly #inbox: Inbox;
  readonly #join: Join;
  readonly #mail: Mail | undefined;
  readonly #deadlines = new Deadlines<Child>();
  readonly #book: Book;
  readonly #door: Door;
  /** Why a link is kept: "own" cache, "contact", or a role's name. No reason left: the mesh may drop it. */
  readonly #reasons = new Map<Hashname, Set<string>>();
  /** What a contact's cache is shown: the URI of the mail that goes there. */
  readonly #uris = new Map<Hashname, string>();
  /** Caches that have not answered yet, by the number of the call. */
  readonly #joining = new Map<number, { cache: Hashname; keys: Keys; paths: readonly Path[]; uri: string }>();
  readonly #owner = new Map<number, Role>();
  readonly #up = new Set<Hashname>();
  readonly #strangers = new Strangers<HandshakeInfo>();
  #card: { id: string; version: number; digest: string };
  #queue: Task[] = [];
  #out: RootOut[] = [];
  #touched = new Set<Child>();
  #now: Time = 0;
  #nextHandle = 1;

  constructor(options: RootOptions) {
    const { crypto, identity, random, saved } = options;
    this.#options = options;
    const { backend } = crypto;
    const handles = (): number => this.#nextHandle++;
    const self = identity.hashname;
    const serves = options.cache && { ...options.cache, ...(options.routes === true && { routes: true as const }) };
    this.#door = new Door({ crypto, identity, saved, serves });
    this.#book = new Book(backend, saved);
    const card = saved.get("peer/card");
    this.#card = card === undefined ? { id: toHex(random(16)), version: 0, digest: "" } : ofJson(card);
    this.#mesh = new Mesh({
      crypto,
      identity,
      random,
      handles,
      saved: saved.get("mesh/at"),
      cloak: options.cloak ?? true,
      routing: options.routes === true ? { allows: (from, to) => this.#mayReach(from, to) } : undefined,
      routers: this.#routers(),
      paths: options.paths,
      handshakes: options.handshakes ?? [],
      cbor: options.cbor ?? false,
      noise: options.noise,
    });
    this.#outbox = new Outbox({ handles });
    this.#cache = new Cache({
      backend,
      self,
      random,
      handles,
      cap: options.cache?.cap ?? 0,
      admit: (uri, to, sender, now) => this.#door.quotaClass(uri, to, sender, now),
    });
    this.#inbox = new Inbox({ backend, self, handles, isContact: (peer) => this.#book.of(peer) !== undefined });
    this.#join = new Join({ handles, answer: (uri, peer, now) => this.#door.joinAnswer(uri, peer, now) });
    if (!options.mail) return;
    this.#mail = new Mail({
      crypto,
      identity,
      random,
      boxId: (sender, recipient) => boxId(backend, sender, recipient),
      messageId: (box, bytes) => messageId(backend, box, bytes),
      cardFor: (reader) => encodeCard(this.#cardFor(reader)),
      isInvite: (secret) => this.#door.hasInvite(secret),
      saved: new Map([...saved].filter(([key]) => key.startsWith("mail/"))),
    });
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
    for (const child of this.#touched) this.#deadlines.set(child, this.#machine(child)?.deadline());
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
    return this.#book.all().map((contact) => this.#info(contact));
  }

  requests(): RequestInfo[] {
    return (this.#mail?.requests() ?? []).map(({ request, hashname, card, at, texts }) => {
      const name = parseCard(this.#options.crypto.backend, card)?.name;
      return { request, hashname, name, at, texts };
    });
  }

  outbox(): readonly OutboxEntry[] {
    return this.#mail?.outbox() ?? [];
  }

  /** The ledger of a mail that is not final yet; older ones are in the store under "ledger/<id>". */
  ledger(id: string): ReturnType<Mail["ledger"]> {
    return this.#mail?.ledger(id);
  }

  /** The one contact that `text` names: its id, one of its hashnames, its name, or an unambiguous start of one of them. */
  findContact(text: string): ContactInfo | undefined {
    const found = this.#book.find(text);
    return found && this.#info(found);
  }

  get owesAcknowledgement(): boolean {
    return this.#mail?.owesAcknowledgement ?? false;
  }

  status(): PeerStatus {
    const { identity, paths } = this.#options;
    return {
      hashname: identity.hashname,
      paths,
      links: this.#mesh.links().map(({ hashname, state }) => ({ hashname, state })),
      caches: this.#door.caches.map(({ hashname, cap }) => ({ hashname, up: this.#up.has(hashname), cap })),
      contacts: this.#book.size,
      requests: this.requests().length,
      inbox: this.#mail?.lastN() ?? 0,
    };
  }

  /** A link for recipients to join the cache that we serve. Stateless: it works until the identity changes. */
  joinLink(): string {
    return this.#door.joinLink(this.#options.paths);
  }

  // --- inputs ---

  #take(input: RootIn): void {
    switch (input.type) {
      case "start":
        return this.#start();
      case "call":
        return this.#call(input.req, input.call);
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
        return this.#onAsked(input.hashname, input.ok);
      case "tick":
        for (const child of this.#deadlines.due(this.#now)) this.#post({ child, input: { type: "tick" } } as Task);
    }
  }

  #start(): void {
    for (const { hashname } of this.#door.caches) this.#keep(hashname, "own");
    for (const contact of this.#book.all()) this.#use(contact);
    if (this.#mail === undefined) return;
    this.#checkCard();
    // Wakes what lay in the spool when we stopped.
    this.#post({ child: "mail", input: { type: "tick" } });
  }

  #call(req: number, call: Call): void {
    if (this.#mail === undefined) return this.#refuse(req, "no-mail", "this peer only serves as a cache");
    switch (call.type) {
      case "invite":
        return this.#invite(req, call.once);
      case "add":
        return this.#add(req, call.link);
      case "join":
        return this.#joinCache(req, call.link);
      case "handshakes":
        return this.#setHandshakes(req, call.messages);
      case "accept":
        return this.#accept(req, call.request);
      case "ignore":
        return this.#post({ child: "mail", input: { type: "ignore", req, request: call.request } });
      case "send": {
        const { contact, mail, expires } = call;
        return this.#post({
          child: "mail",
          input: { type: "send", req, contact, mail, ...(expires === undefined ? {} : { expires }) },
        });
      }
      case "cancel":
        return this.#post({ child: "mail", input: { type: "cancel", req, id: call.id } });
    }
  }

  #setHandshakes(req: number, messages: readonly HandshakeMessage[]): void {
    const { crypto, identity } = this.#options;
    const problem = handshakeProblem(crypto, identity, messages);
    if (problem !== undefined) return this.#refuse(req, "bad-handshake", problem);
    this.#post({ child: "mesh", input: { type: "handshakes", messages } });
    this.#out.push({ type: "reply", req, value: undefined });
  }

  // --- the table ---

  #post(task: Task): void {
    this.#queue.push(task);
  }

  #machine(child: Child): { deadline(): Time | undefined } | undefined {
    const machines = {
      mesh: this.#mesh,
      outbox: this.#outbox,
      cache: this.#cache,
      inbox: this.#inbox,
      join: this.#join,
      mail: this.#mail,
    };
    return machines[child];
  }

  #run(task: Task): void {
    this.#touched.add(task.child);
    const now = this.#now;
    switch (task.child) {
      case "mesh":
        for (const out of this.#mesh.handle(task.input, now)) this.#fromMesh(out);
        return;
      case "mail":
        for (const out of this.#mail?.handle(task.input, now) ?? []) this.#fromMail(out);
        return;
      case "outbox":
        for (const out of this.#outbox.handle(task.input, now)) {
          if (out.type === "deposited")
            this.#post({ child: "mail", input: { type: "delivered", id: out.id, ok: true } });
          else if (out.type === "failed")
            this.#post({ child: "mail", input: { type: "delivered", id: out.id, ok: false, why: out.why } });
          else this.#fromRole("outbox", out);
        }
        return;
      case "cache":
        for (const out of this.#cache.handle(task.input, now)) {
          if (out.type === "boxes") this.#out.push(out);
          else this.#fromRole("cache", out);
        }
        return;
      case "inbox":
        for (const out of this.#inbox.handle(task.input, now)) {
          if (out.type !== "message") this.#fromRole("inbox", out);
          else if (this.#mail !== undefined) this.#post({ child: "mail", input: out });
          else this.#post({ child: "inbox", input: { type: "done", via: out.via, box: out.box, id: out.id } });
        }
        return;
      case "join":
        for (const out of this.#join.handle(task.input, now)) {
          if (out.type === "joined") this.#onJoined(out.req, out.answer);
          else if (out.type === "not-joined") this.#notJoined(out.req, out.why);
          else this.#fromRole("join", out);
        }
    }
  }

  /** Channel operations and wishes for links, the same from each role. */
  #fromRole(role: Role, out: ChannelOp | LinkWish): void {
    switch (out.type) {
      case "reach":
        return this.#keep(out.peer, role);
      case "release":
        return this.#letGo(out.peer, role);
      case "open":
        this.#owner.set(out.ch, role);
        return this.#post({ child: "mesh", input: out });
      default:
        return this.#post({ child: "mesh", input: out });
    }
  }

  #fromMesh(out: MeshOut): void {
    switch (out.type) {
      case "transmit":
        this.#out.push(out);
        return;
      case "save":
        if (this.#mail !== undefined) this.#out.push(out);
        return;
      case "handshake":
        return this.#onHandshake(out);
      case "up":
      case "down": {
        const up = out.type === "up";
        if (up) this.#up.add(out.hashname);
        else this.#up.delete(out.hashname);
        this.#strangers.link(out.hashname, up);
        const input = { type: out.type, peer: out.hashname };
        for (const child of ["outbox", "cache", "inbox", "join"] as const) this.#post({ child, input });
        this.#post({ child: "mail", input: { type: "link", peer: out.hashname, up } });
        if (this.#book.of(out.hashname) !== undefined || this.#door.address(out.hashname) !== undefined)
          this.#out.push({ type: "event", event: { type: "link", hashname: out.hashname, up } });
        if (out.type === "down" && out.why === "dead")
          this.#out.push({ type: "event", event: { type: "dead", hashname: out.hashname } });
        return;
      }
      case "introduction":
        // Whom we know looks for us by a router: look back. Who nobody knows learns nothing.
        if (this.#book.of(out.hashname) !== undefined) this.#keep(out.hashname, "contact");
        return;
      case "seen":
        return;
      case "renewed":
        return this.#post({ child: "cache", input: { type: "renewed", peer: out.hashname } });
      case "opened": {
        const role = this.#roleFor(out);
        if (role === undefined) {
          this.#post({ child: "mesh", input: { type: "fail", ch: out.ch, err: "unknown type" } });
          return;
        }
        this.#owner.set(out.ch, role);
        return this.#post({ child: role, input: out });
      }
      default: {
        const role = this.#owner.get(out.ch);
        if (out.type === "closed") this.#owner.delete(out.ch);
        if (role !== undefined) this.#post({ child: role, input: out });
      }
    }
  }

  #roleFor({ kind, head, peer }: Extract<MeshOut, { type: "opened" }>): Role | undefined {
    switch (kind) {
      case "boxes":
        // Of our own caches alone: whoever else shows boxes wants to see what we do with them. The other role is silent.
        return this.#door.address(peer) === undefined ? "cache" : "inbox";
      case "inbox":
        return "cache";
      case "outbox":
        return head["to"] === this.#options.identity.hashname ? "inbox" : "cache";
      case JOIN_CHANNEL:
        return "join";
      default:
        return undefined;
    }
  }

  #fromMail(out: MailOut): void {
    switch (out.type) {
      case "deliver": {
        const { id, route, to, bytes, expires } = out;
        const x = Math.max(1, Math.ceil((expires - this.#now) / 1000));
        const { via, uri } = this.#via(route);
        this.#introduceWith(via, uri);
        this.#post({ child: "outbox", input: { type: "deposit", id, via, to, x, bytes, ...(uri ? { uri } : {}) } });
        return;
      }
      case "withdraw": {
        const { via, uri } = this.#via(out.route);
        this.#introduceWith(via, uri);
        const { to, ids } = out;
        this.#post({ child: "outbox", input: { type: "remove", via, to, ids, ...(uri ? { uri } : {}) } });
        return;
      }
      case "done":
        this.#post({ child: "inbox", input: out });
        return;
      case "introduce":
        return this.#onIntroduce(out);
      case "card":
        return this.#onCard(out);
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
    const request = this.requests().find((r) => r.request === event.request);
    if (request !== undefined) this.#out.push({ type: "event", event: { type: "request", ...request } });
  }

  #via(route: Extract<MailOut, { type: "deliver" }>["route"]): { via: Hashname; uri: string | undefined } {
    return route.type === "direct" ? { via: route.peer, uri: undefined } : { via: route.cache, uri: route.uri };
  }

  /**
   * A cache opens its door to the URI of any of its recipients. So it is shown that of the mail which wants to go there now:
   * a contact whose card gives a bad one for a cache keeps no other contact's mail away from it.
   */
  #introduceWith(via: Hashname, uri: string | undefined): void {
    if (uri === undefined || uri === "" || this.#up.has(via) || this.#uris.get(via) === uri) return;
    this.#uris.set(via, uri);
    const [reason] = this.#reasons.get(via) ?? [];
    if (reason !== undefined) this.#keep(via, reason);
  }

  #refuse(req: number, code: string, message: string): void {
    this.#out.push({ type: "refuse", req, code, message });
  }

  // --- links ---

  #keep(hashname: Hashname, reason: string): void {
    const reasons = this.#reasons.get(hashname) ?? new Set();
    this.#reasons.set(hashname, reasons);
    reasons.add(reason);
    const address = this.#address(hashname);
    if (address === undefined || address.paths.length === 0) return;
    const { keys, paths, uri } = address;
    const peer = { hashname, keys, paths: [...paths] };
    this.#post({ child: "mesh", input: { type: "want", peer, ...(uri === undefined ? {} : { uri }) } });
  }

  #letGo(hashname: Hashname, reason: string): void {
    const reasons = this.#reasons.get(hashname);
    if (reasons === undefined || !reasons.delete(reason) || reasons.size > 0) return;
    this.#reasons.delete(hashname);
    this.#uris.delete(hashname);
    this.#post({ child: "mesh", input: { type: "unwant", hashname } });
  }

  /** How to reach a hashname: as our own cache, as one that we join, as a contact, as a contact's cache. */
  #address(hashname: Hashname): { keys: Keys; paths: readonly Path[]; uri: string | undefined } | undefined {
    const joining = [...this.#joining.values()].find(({ cache }) => cache === hashname);
    const own = joining ?? this.#door.address(hashname);
    if (own !== undefined) return own;
    const known = this.#book.address(hashname);
    const uri = this.#book.of(hashname) === undefined ? this.#uris.get(hashname) : undefined;
    return known && { ...known, uri: uri ?? known.uri };
  }

  /** Who knocks: is let in, is told to the application, or hears nothing. */
  #onHandshake(out: Extract<MeshOut, { type: "handshake" }>): void {
    const { hashname, keys, path, messages, isNew } = out;
    const uri = uriIn(messages);
    const mayLink = this.#mayLink(out);
    // Of those whom nobody let in nothing is kept.
    if (uri !== undefined && (mayLink || !isNew)) this.#strangers.note(hashname, uri);
    if (mayLink) {
      this.#strangers.settle(hashname);
      this.#post({ child: "mesh", input: { type: "approve", hashname } });
    } else if (this.#options.asks === true && isNew) this.#ask({ hashname, keys, path, messages });
    // A key handshake whose `uri` part is still on its way is not decided: the mesh asks again when that comes.
    else if (uri !== undefined) this.#post({ child: "mesh", input: { type: "reject", hashname } });
  }

  #ask(handshake: HandshakeInfo): void {
    if (this.#strangers.asks(handshake)) this.#out.push({ type: "ask", ...handshake });
  }

  #onAsked(hashname: Hashname, ok: boolean): void {
    const verdict = this.#strangers.answered(hashname, ok);
    if (verdict === "nothing") return;
    if (verdict === "yes") return this.#post({ child: "mesh", input: { type: "approve", hashname } });
    // Whoever has become one of ours while the application thought about it stays so.
    if (this.#reasons.has(hashname) || this.#book.of(hashname) !== undefined) return;
    if (verdict === "no") this.#post({ child: "mesh", input: { type: "reject", hashname } });
    else this.#ask(verdict);
  }

  /** Whether `from` may reach `to` by us. */
  #mayReach(from: Hashname, to: Hashname): boolean {
    if (this.#book.of(from) !== undefined) return true;
    return this.#door.mayReach(this.#strangers.uriOf(from), from, to, this.#now);
  }

  /** Who may bring us peers: those of our caches that offer it. */
  #routers(): Hashname[] {
    return this.#door.caches.filter(({ routes }) => routes === true).map(({ hashname }) => hashname);
  }

  /** Whether this handshake may be answered. Nothing else decides if a stranger learns that we exist. */
  #mayLink({ hashname, messages }: Extract<MeshOut, { type: "handshake" }>): boolean {
    if (this.#reasons.has(hashname) || this.#book.of(hashname) !== undefined) return true;
    if (this.#strangers.isApproved(hashname)) return true;
    const uri = uriIn(messages);
    return uri !== undefined && this.#door.admits(uri, hashname, this.#now);
  }

  // --- our card ---

  #cardFor(reader: Hashname): Card {
    const { identity, paths, name } = this.#options;
    const { hashname, keys } = identity;
    return {
      id: idBytes(this.#card.id),
      version: this.#card.version,
      by: hashname,
      features: [],
      suites: ["static"],
      peers: [{ hashname, keys, paths, since: 0, caches: this.#door.cachesFor(reader) }],
      ...(name === undefined ? {} : { name }),
    };
  }

  /** Where we can be reached may have changed: then the card has a new version, and contacts get it as mail. */
  #checkCard(): void {
    const { crypto, identity } = this.#options;
    const content = encodeCard({ ...this.#cardFor(identity.hashname), version: 0 });
    const digest = toHex(crypto.backend.sha256(content).subarray(0, 16));
    if (digest === this.#card.digest) return;
    const isFirst = this.#card.version === 0;
    this.#card = { ...this.#card, version: this.#card.version + 1, digest };
    this.#out.push({ type: "save", key: "peer/card", value: asJson(this.#card) });
    if (!isFirst) for (const { id } of this.#book.all()) this.#sendCard(id);
  }

  #sendCard(contact: string): void {
    this.#post({ child: "mail", input: { type: "send", req: OURS, contact, mail: { kind: "card" } } });
  }

  // --- contacts ---

  #invite(req: number, once: boolean): void {
    const { identity, paths, name, random } = this.#options;
    const caches = this.#door.cachesFor(undefined);
    if (paths.length === 0 && caches.length === 0)
      return this.#refuse(req, "unreachable", "nobody could reach you yet: listen on an address or join a cache first");
    const secret = random(16);
    this.#out.push(...this.#door.invite(secret, once, this.#now));
    this.#post({ child: "mail", input: { type: "forgive" } });
    const { keys, hashname } = identity;
    const invite = { keys, hashname, paths, caches, card: idBytes(this.#card.id), secret };
    const link = encodeInvite(name === undefined ? invite : { ...invite, name });
    this.#out.push({ type: "reply", req, value: { link } });
  }

  #add(req: number, link: string): void {
    const { crypto, identity } = this.#options;
    const invite = parseInvite(crypto.backend, link);
    if (invite === undefined) return this.#refuse(req, "bad-invite", inviteProblem(link));
    if (invite.hashname === identity.hashname) return this.#refuse(req, "self", "this is your own invite");
    const change = this.#book.add(invite);
    if (typeof change === "string") return this.#refuse(req, change, REFUSALS[change]);
    this.#apply(change);
    // To a known contact, too: what we sent with an older invite may have shown a secret that is worth nothing any more.
    this.#sendCard(change.contact.id);
    this.#out.push({ type: "reply", req, value: this.#info(change.contact) });
  }

  #accept(req: number, request: string): void {
    const found = this.#mail?.requests().find((each) => each.request === request);
    const card = found && parseCard(this.#options.crypto.backend, found.card);
    if (found === undefined || card === undefined) return this.#refuse(req, "not-found", "there is no such request");
    const change = this.#book.meet(card, found.hashname);
    if (change === undefined) return this.#refuse(req, "known", REFUSALS.known);
    this.#welcome(req, request, change);
  }

  /** A stranger's first words. Who used an invite of ours, or whom we added ourselves, is expected. */
  #onIntroduce({ request, sender, card, secret }: Extract<MailOut, { type: "introduce" }>): void {
    const parsed = parseCard(this.#options.crypto.backend, card);
    const isInvited = secret !== undefined && this.#door.hasInvite(secret);
    if (parsed === undefined || !(isInvited || this.#book.of(sender.hashname) !== undefined)) return;
    const change = this.#book.meet(parsed, sender.hashname);
    if (change === undefined) return;
    if (secret !== undefined) this.#out.push(...this.#door.spend(secret));
    this.#welcome(OURS, request, change);
  }

  /** Take over a stranger's mail, and give our card: with it the new contact may leave more than a stranger may. */
  #welcome(req: number, request: string, change: Change): void {
    this.#apply(change);
    this.#post({ child: "mail", input: { type: "accept", req, request } });
    if (change.isNew) this.#sendCard(change.contact.id);
  }

  #onCard({ contact, from, card, secret }: Extract<MailOut, { type: "card" }>): void {
    const parsed = parseCard(this.#options.crypto.backend, card);
    const change = parsed && this.#book.update(contact, from, parsed);
    if (change !== undefined) this.#apply(change);
    // Two people may invite each other: an invite for one is used up by a contact, too.
    if (secret !== undefined) this.#out.push(...this.#door.spend(secret));
  }

  #apply({ contact, isNew, save }: Change): void {
    this.#out.push(save);
    this.#use(contact);
    this.#out.push({ type: "event", event: { type: "contact", contact: this.#info(contact), isNew } });
  }

  /** Mail and mesh learn what they need of a contact. */
  #use(contact: Contact): void {
    const peers = this.#book.peersOf(contact).map(({ hashname, keys, caches, paths }) => ({
      hashname,
      keys,
      direct: paths.length > 0 || caches.some(({ routes }) => routes === true),
      caches: caches.map(({ hashname, uri, cap, store }) => ({ hashname, uri, cap, store })),
    }));
    const { id, secret } = contact;
    this.#post({
      child: "mail",
      input: { type: "contact", contact: { id, peers, ...(secret === undefined ? {} : { secret }) } },
    });
    for (const hashname of contact.peers) this.#keep(hashname, "contact");
  }

  #info(contact: Contact): ContactInfo {
    return this.#book.info(contact, (hashname) => this.#up.has(hashname));
  }

  // --- joining a cache ---

  #joinCache(req: number, link: string): void {
    const { crypto, identity } = this.#options;
    const parsed = parseJoinLink(link);
    if (parsed === undefined) return this.#refuse(req, "bad-link", "this is not a join link of a cache");
    const { keys, paths, token } = parsed;
    const cache = hashnameOf(crypto.backend, keys);
    if (cache === identity.hashname) return this.#refuse(req, "self", "a peer cannot be its own cache");
    const caches = new Set([...this.#door.caches.map((each) => each.hashname), cache]);
    for (const each of this.#joining.values()) caches.add(each.cache);
    if (caches.size > MAX_CACHES) return this.#refuse(req, "full", `a peer has at most ${MAX_CACHES} caches`);
    const uri = admissionUri(token);
    this.#joining.set(req, { cache, keys, paths, uri });
    this.#post({ child: "join", input: { type: "join", req, cache, uri } });
  }

  #onJoined(req: number, head: Parameters<typeof parseJoinAnswer>[0]): void {
    const joining = this.#joining.get(req);
    const answer = parseJoinAnswer(head);
    if (joining === undefined || answer === undefined) return this.#notJoined(req, "refused");
    this.#joining.delete(req);
    const { keys, paths } = joining;
    const { cache, save } = this.#door.join({ ...answer, keys, paths });
    this.#out.push(save);
    this.#post({ child: "mesh", input: { type: "routers", hashnames: this.#routers() } });
    this.#keep(cache.hashname, "own");
    this.#checkCard();
    const { hashname, quota, cap } = cache;
    this.#out.push({ type: "reply", req, value: { cache: hashname, quota, cap } });
  }

  #notJoined(req: number, why: "unreachable" | "refused"): void {
    this.#joining.delete(req);
    this.#refuse(req, why, REFUSALS[why]);
  }
}

/**
 * What is wrong with messages that an application wants in its handshakes, in plain words; `undefined`: nothing. They are of
 * type "jwt" or "tx", one of each at most, and fit into a handshake of every set of ours.
 */
export function handshakeProblem(
  crypto: Crypto,
  identity: Identity,
  messages: readonly HandshakeMessage[],
): string | undefined {
  const types = messages.map(({ type }) => type);
  if (types.some((type) => !OWN_TYPES.includes(type))) return 'a handshake takes messages of type "jwt" and "tx"';
  if (new Set(types).size < types.length) return "a handshake has one message of each type";
  const areFit = messages.every((message) =>
    [...identity.pairs.keys()].every((csid) => fitsHandshake(crypto, identity, csid, message)),
  );
  return areFit ? undefined : "the message is too long for a handshake, which has less than 1400 bytes";
}

/** Figures for `status`: totals and one's own links, never what a cache holds for whom. */
export interface PeerStatus {
  readonly hashname: Hashname;
  readonly paths: readonly Path[];
  readonly links: readonly { hashname: Hashname; state: string }[];
  readonly caches: readonly { hashname: Hashname; up: boolean; cap: number }[];
  readonly contacts: number;
  readonly requests: number;
  readonly inbox: number;
}

type LinkWish = { type: "reach" | "release"; peer: Hashname };

/** The admission URI that a handshake shows. */
function uriIn(messages: readonly HandshakeMessage[]): string | undefined {
  const uri = messages.find(({ type }) => type === "uri")?.json["uri"];
  return typeof uri === "string" ? uri : undefined;
}

function idBytes(id: string): Uint8Array {
  return fromHex(id) ?? new Uint8Array(0);
}

/** Questions that we ask ourselves: nobody waits for their answers. */
const OWN_TYPES = ["jwt", "tx"];
const OURS = -1;
const MAX_CACHES = 8; // DESIGN 5: a card has at most 8 caches per peer
const REFUSALS = {
  known: "this peer belongs to another of your contacts already",
  claimed: "the invite says that it is from one of your contacts, but that contact has never named this peer",
  full: "the address book is full",
  refused: "the cache did not take us: its link may be old or revoked",
  unreachable: "the cache did not answer: is it running, and is its address reachable from here?",
} as const;
