/**
 * The mesh: all links of a peer. Sorts what comes from the network (bytes, packets, handshakes, channels) to the link
 * that it belongs to, asks before anybody new is answered, and gives everything it sends a path and a frame.
 * protocol/exchange.md §5-8; by routers, and as one: protocol/routing.md
 */
import { Budget, Deadlines, type Machine, Shares, type Time, toHex } from "../bytes/index.ts";
import { isRelayed, isStream, type Path, pathKey } from "../card/index.ts";
import { type Hashname, type Keys, parseHashname } from "../crypto/index.ts";
import {
  type ChannelEvent,
  type Exchange,
  type HandshakeMessage,
  type Held,
  type PacketRow,
  parseKeyPacket,
  type RemoteExchange,
} from "../e3x/index.ts";
import { type JsonObject, parsePacket, text, uint } from "../wire/index.ts";
import type { DropReason, MeshIn, MeshOptions, MeshOut } from "./contract.ts";
import { Floors } from "./floors.ts";
import { Framing, type Unwrapped } from "./framing.ts";
import { Link } from "./link.ts";
import type { LinkIn, LinkOptions, LinkOut } from "./link-contract.ts";
import { type Known, type Opened, Opener, type Origin } from "./opener.ts";
import { Paths, pathAnswer } from "./paths.ts";
import { Requests } from "./requests.ts";
import { connectHead, fits, parseAttached, peerHead, Router } from "./routing.ts";
import { Sequence } from "./sequence.ts";

/** A link, and what it is entered under in the indexes. */
interface Entry {
  readonly hashname: Hashname;
  readonly link: Link;
  exchange: Exchange | undefined;
  ours: readonly string[]; // in #byToken
  theirs: readonly RemoteExchange[]; // in #bySender
  routes: readonly Path[]; // in #byPath
  relays: readonly Path[]; // in #byRouter
  deadline: Time | undefined; // in #deadlines
  uri: string | undefined; // the last that the peer showed
}

export class Mesh implements Machine<MeshIn, MeshOut> {
  /** How much was dropped, by reason, since the start. */
  readonly dropped: Readonly<Record<DropReason, number>>;
  readonly #dropped: Record<DropReason, number> = { ...NOTHING_DROPPED };
  readonly #options: MeshOptions;
  readonly #opener: Opener;
  readonly #framing: Framing;
  readonly #floors: Floors | undefined;
  readonly #sequence: Sequence;
  readonly #requests: Requests = new Requests();
  readonly #held: Held = { bytes: 0 };
  readonly #links = new Map<Hashname, Entry>();
  #lastToken: { readonly token: Uint8Array; readonly entry: Entry } | undefined;
  readonly #byToken = new Map<string, Entry>(); // both forms of our tokens: who sends under them
  readonly #bySender = new Map<string, { entry: Entry; prefix: Uint8Array }>(); // our peers' tokens
  readonly #byPath = new Map<string, Set<Entry>>();
  readonly #byRouter = new Map<string, Set<Entry>>(); // who may be reached by which router
  readonly #byChannel = new Map<number, Entry>();
  readonly #asked = new Map<number, number>(); // channels of our own: how many answers are taken yet
  readonly #router: Router | undefined;
  #routers: ReadonlySet<Hashname>;
  #messages: readonly HandshakeMessage[];
  readonly #paths: Paths;
  readonly #trials: Budget = new Budget(TRIALS_PER_SECOND);
  readonly #introductions: Shares<Hashname> = new Shares({
    common: new Budget(INTRODUCTIONS_PER_SECOND),
    share: () => new Budget(INTRODUCTIONS_OF_ONE),
    limit: ROUTERS,
  });
  #isSearching = false;
  #isLeaving = false; // nothing may wait any more
  readonly #touched: Entry[] = []; // by the packets that are being read, some more than once, and not yet in #deadlines
  readonly #deadlines: Deadlines<Hashname> = new Deadlines();

  constructor(options: MeshOptions) {
    const { crypto, identity, random } = options;
    this.dropped = this.#dropped;
    this.#options = options;
    this.#opener = new Opener(crypto, identity);
    const cipher = crypto.backend.chacha20;
    const layers = crypto.backend.into?.layers;
    this.#framing = new Framing({ cipher, layers, random, cloak: options.cloak !== false });
    const cloaks = (path: Path): boolean => this.#framing.cloaks(path);
    this.#floors = options.noise && new Floors({ cipher, random, noise: options.noise, cloaks });
    this.#sequence = new Sequence(options.saved);
    this.#router = options.routing && new Router(crypto.backend, options.routing);
    this.#routers = new Set(options.routers);
    this.#messages = options.handshakes ?? [];
    this.#paths = new Paths(options.paths);
  }

  handle(input: MeshIn, now: Time): MeshOut[] {
    const out = this.#take(input, now);
    const value = this.#sequence.unsaved();
    return value === undefined ? out : [{ type: "save", key: "mesh/at", value }, ...out];
  }

  deadline(): Time | undefined {
    const ours = earliest(earliest(this.#deadlines.next(), this.#framing.deadline()), this.#requests.deadline());
    return earliest(ours, earliest(this.#router?.deadline(), this.#floors?.deadline()));
  }

  /** Whether channels can be used with this peer now. */
  isUp(hashname: Hashname): boolean {
    return this.#links.get(hashname)?.link.state === "up";
  }

  /** All links, wanted or not, in no order. `path`: the one in use. */
  links(): { hashname: Hashname; state: "unresolved" | "down" | "up"; path: Path | undefined }[] {
    return [...this.#links.values()].map(({ hashname, link: { state, path } }) => ({ hashname, state, path }));
  }

  /** Of a link that is up: since when, and how long the other end took for its last answer to a handshake, in milliseconds. */
  measure(hashname: Hashname): { readonly since: Time; readonly roundTrip: number | undefined } | undefined {
    return this.#links.get(hashname)?.link.measure;
  }

  #take(input: MeshIn, now: Time): MeshOut[] {
    switch (input.type) {
      case "received":
        return this.#onReceived(input.path, input.bytes, now);
      case "path": {
        this.#framing.restart(input.path);
        const lost: LinkIn = { type: "lost", path: input.path };
        return input.open ? [] : this.#at(input.path).flatMap((entry) => this.#pass(entry, lost, now));
      }
      case "writable": {
        const onIt = this.#using(input.path);
        const byRouter = onIt.flatMap(({ hashname }) => this.#using({ type: "peer", hn: hashname }));
        const sharing = [...onIt, ...byRouter];
        const bytes = Math.floor(input.credit / Math.max(1, sharing.length));
        return sharing.flatMap((entry) => this.#pass(entry, { type: "credit", bytes }, now));
      }
      case "want": {
        const { hashname, keys, paths } = input.peer;
        if (hashname === this.#options.identity.hashname) return [];
        return this.#pass(this.#entry(hashname), { type: "want", keys, paths, uri: input.uri }, now);
      }
      case "handshakes":
        this.#messages = input.messages;
        return [...this.#links.values()].flatMap((entry) => this.#pass(entry, input, now));
      case "unwant":
      case "ping":
        return this.#pass(this.#links.get(input.hashname), input, now);
      case "approve":
        return this.#approve(input.hashname, now);
      case "reject":
        // A request stays where it is until its time is over: so its repeats are not asked about again.
        return this.#pass(this.#links.get(input.hashname), { type: "stop", why: "rejected" }, now);
      case "routers":
        this.#routers = new Set(input.hashnames.slice(0, ROUTERS));
        // A router may have been linked to us before we knew that it is one.
        return [...this.#links.values()].flatMap((entry) => this.#tellPaths(entry, now));
      case "paths":
        this.#paths.own = input.paths;
        return [...this.#links.values()].flatMap((entry) => this.#tellPaths(entry, now));
      case "open": {
        const { ch, peer, reliable, head, body, end = false } = input;
        const entry = this.#links.get(peer);
        if (entry === undefined) return [{ type: "closed", ch, err: "down" }];
        this.#byChannel.set(ch, entry);
        return this.#pass(entry, { type: "open", ch, reliable, head, body, end }, now);
      }
      case "leave":
        return this.#leave(now);
      case "tick":
        this.#requests.expire(now);
        this.#router?.expire(now);
        return [
          ...this.#deadlines.due(now).flatMap((hashname) => this.#wake(this.#links.get(hashname), now)),
          ...(this.#floors?.tick(now) ?? []),
          ...this.#framing
            .due(now)
            .filter((path) => this.#isAnswered(path, pathKey(path)))
            .map((path): MeshOut => ({ type: "transmit", path, bytes: this.#framing.acknowledgement(path) })),
        ];
      default:
        return this.#pass(this.#byChannel.get(input.ch), input, now);
    }
  }

  #leave(now: Time): MeshOut[] {
    this.#isLeaving = true;
    // Those first that need another link to be told.
    const links = [...this.#links.values()];
    const isRelayedTo = ({ link: { path } }: Entry): boolean => path !== undefined && isRelayed(path);
    const ordered = [...links.filter(isRelayedTo), ...links.filter((entry) => !isRelayedTo(entry))];
    return ordered.flatMap((entry) => {
      const ch = this.#options.handles();
      this.#asked.set(ch, 0);
      const out = this.#pass(entry, { type: "leave", ch }, now);
      this.#asked.delete(ch);
      return out;
    });
  }

  /** Its deadline came. */
  #wake(entry: Entry | undefined, now: Time): MeshOut[] {
    if (entry !== undefined) entry.deadline = undefined;
    return this.#pass(entry, { type: "tick" }, now);
  }

  #onReceived(path: Path, bytes: Uint8Array, now: Time): MeshOut[] {
    // Strangers must not make us undo as many rounds as peers with a link.
    const isPeer = this.#floors !== undefined && !isStream(path) && this.#byPath.has(pathKey(path));
    const floors = isPeer ? this.#floors : undefined;
    const packets = this.#framing.unwrap(path, bytes, floors?.depth(path, now));
    floors?.wasRead(path, packets[0]?.rounds, now);
    const out: MeshOut[] = [];
    // Old peers know no cloak on streams: who speaks with one does not wait, and mostly something is said there anyway.
    const isPatient =
      packets.length > 0 && isStream(path) && packets.every((one) => one !== undefined && one.rounds > 0);
    if (isPatient) this.#framing.owe(path, now);
    let row: Unwrapped[] = []; // channel packets with one token
    for (const unwrapped of packets) {
      const [first] = row;
      if (first !== undefined && unwrapped !== undefined && isInRow(first, unwrapped)) {
        row.push(unwrapped);
        continue;
      }
      if (first !== undefined) this.#onChannelPackets(path, first, row, now, out);
      row = [];
      if (unwrapped === undefined) this.#drop("noise");
      else if (isChannelPacket(unwrapped)) row.push(unwrapped);
      else out.push(...this.#onOpenPacket(path, unwrapped, now));
    }
    const [first] = row;
    if (first !== undefined) this.#onChannelPackets(path, first, row, now, out);
    for (const entry of this.#touched) this.#schedule(entry);
    this.#touched.length = 0;
    // Old C peers on streams send nothing more before they see a chunk. Strangers get not even that; but a peer that has
    // proven itself there without a cloak does, though its link is on another stream.
    if (packets.length === 0 || isPatient || !isStream(path)) return out;
    const key = pathKey(path);
    if (!this.#isAnswered(path, key)) return out;
    if (out.some((effect) => effect.type === "transmit" && pathKey(effect.path) === key)) return out;
    out.push({ type: "transmit", path, bytes: this.#framing.acknowledgement(path) });
    return out;
  }

  /** Whether what comes on this stream has an answer, if only a zero chunk. */
  #isAnswered(path: Path, key: string): boolean {
    return this.#framing.waits(path) && (this.#byPath.has(key) || this.#framing.isOld(path));
  }

  /** One with a head. */
  #onOpenPacket(path: Path, unwrapped: Unwrapped, now: Time): MeshOut[] {
    const bytes = unwrapped.bytes.subarray(unwrapped.at);
    const packet = parsePacket(bytes);
    if (packet === undefined || packet.body.length < TOKEN_BYTES) return this.#drop("packet");
    // On a socket a message is a handshake or nothing: mail never comes this way.
    if (packet.head.length !== 1) return this.#drop("packet");
    const origin = this.#at(path).length > 0 ? "expected" : "unasked";
    const { rounds } = unwrapped;
    return this.#onMessage(path, { packet: bytes, rounds }, packet.body, origin, undefined, now);
  }

  /** Packets with one token that came one after the other. `first`: of them. */
  #onChannelPackets(path: Path, first: Unwrapped, packets: readonly Unwrapped[], now: Time, out: MeshOut[]): void {
    const { bytes, at, rounds } = first;
    const last = this.#lastToken; // mostly it is the same peer again
    const start = at + LENGTH_BYTES;
    const isKnown = last !== undefined && isSameToken(bytes, start, last.token, 0);
    const token = isKnown ? "" : toHex(bytes.subarray(start, start + TOKEN_BYTES));
    const entry = isKnown ? last.entry : this.#byToken.get(token);
    if (entry !== undefined && !isKnown) {
      this.#lastToken = { token: bytes.slice(start, start + TOKEN_BYTES), entry };
    }
    if (entry === undefined) {
      for (const one of packets) out.push(...this.#bridge(path, token, one.bytes.subarray(one.at), now));
      return;
    }
    const place = this.#placeOf(entry, path);
    const effects = entry.link.handle({ type: "packets", path: place, packets }, now);
    // Of all the packets that came at once, its deadline is looked at after the last.
    if (this.#touched.at(-1) !== entry) this.#touched.push(entry);
    this.#index(entry);
    this.#floors?.follow(entry.hashname, entry.link, now);
    if (effects.some(({ type }) => type !== "dropped")) this.#framing.heard(path, rounds);
    this.#translate(entry, effects, now, out);
  }

  /** A handshake message, if it is one. `claimed`: whose it is, says the router that brought it. */
  #onMessage(
    path: Path,
    { packet, rounds }: { readonly packet: Uint8Array; readonly rounds: number },
    body: Uint8Array,
    origin: Origin,
    claimed: Hashname | undefined,
    now: Time,
  ): MeshOut[] {
    const sender = this.#sender(this.#opener.token(body));
    const opened = this.#opener.open(packet, body, sender, origin, now);
    if (typeof opened === "string") return this.#drop(opened);
    if (claimed !== undefined && opened.hashname !== claimed) return this.#drop("forged");
    const entry = this.#links.get(opened.hashname);
    if (entry !== undefined) return this.#onApproved(entry, opened, path, rounds, now);
    if (this.#links.size >= LINKS) return this.#drop("full");
    const request = this.#requests.add(opened, path, rounds, now);
    if (request === undefined) return this.#drop("stale");
    return [asHandshake([...request.messages.values()], opened, request.path, true)];
  }

  /** Who is known to use this token: a peer with a link, or one that waits for approval. */
  #sender(token: string): Known | undefined {
    const linked = this.#bySender.get(token);
    const key = linked?.entry.link.key;
    if (linked !== undefined && key !== undefined)
      return { hashname: linked.entry.hashname, key, prefix: linked.prefix };
    const waiting = this.#requests.sender(token);
    return waiting && { hashname: waiting.hashname, key: waiting.key };
  }

  #approve(hashname: Hashname, now: Time): MeshOut[] {
    const request = this.#requests.get(hashname);
    if (request === undefined) return [];
    this.#requests.remove(hashname);
    const entry = this.#entry(hashname);
    return [...request.messages.values()].flatMap((opened) => {
      entry.uri = uriOf(opened) ?? entry.uri; // known to who approved it
      return this.#onApproved(entry, opened, request.path, request.rounds, now);
    });
  }

  #onApproved(entry: Entry, opened: Opened, path: Path, rounds: number, now: Time): MeshOut[] {
    if (!isRelayed(path)) this.#framing.heard(path, rounds);
    const { csid, key, at, token, name, ephemeral, prefix, digest, message } = opened;
    this.#sequence.saw(at, now);
    const [kind, z] = [message.type, uint(message.json, "z")];
    const input: LinkIn = { type: "handshake", path, csid, key, at, token, name, ephemeral, prefix, digest, kind, z };
    const effects = this.#run(entry, input, now);
    const out = effects.length === 0 ? this.#drop("stale") : this.#translate(entry, effects, now);
    const uri = uriOf(opened);
    if (uri === undefined || uri === entry.uri) return out;
    entry.uri = uri;
    return [...out, asHandshake([opened], opened, path, false)];
  }

  #drop(reason: DropReason): MeshOut[] {
    this.#dropped[reason] += 1;
    return [];
  }

  /** Gives a link an input and does what it wants. */
  #pass(entry: Entry | undefined, input: LinkIn, now: Time): MeshOut[] {
    return entry === undefined ? [] : this.#translate(entry, this.#run(entry, input, now), now);
  }

  #run(entry: Entry, input: LinkIn, now: Time): LinkOut[] {
    const effects = entry.link.handle(input, now);
    this.#index(entry);
    this.#schedule(entry);
    this.#floors?.follow(entry.hashname, entry.link, now);
    return effects;
  }

  #translate(entry: Entry, effects: readonly LinkOut[], now: Time, out?: MeshOut[]): MeshOut[] {
    const [only] = effects;
    // Most of what leaves: no list is made for it beside the one that is given.
    if (out === undefined && effects.length === 1 && only?.type === "transmit") return this.#transmit(entry, only, now);
    return this.#translateInto(out ?? [], entry, effects, now);
  }

  #translateInto(out: MeshOut[], entry: Entry, effects: readonly LinkOut[], now: Time): MeshOut[] {
    let ours: Opening[] | undefined;
    for (const effect of effects) {
      if (effect.type === "opened" && OURS.includes(effect.kind)) {
        this.#asked.set(effect.ch, 0);
        ours ??= [];
        ours.push(effect);
      } else if (effect.type === "packets" && !this.#asked.has(effect.ch)) out.push(effect);
      else if (effect.type !== "heard") for (const one of this.#carryOut(entry, effect, now)) out.push(one);
    }
    for (const opening of ours ?? []) out.push(...this.#serve(entry, opening, now));
    return out;
  }

  #carryOut(entry: Entry, effect: Exclude<LinkOut, { type: "heard" }>, now: Time): MeshOut[] {
    const { hashname } = entry;
    switch (effect.type) {
      case "transmit":
        return this.#transmit(entry, effect, now);
      case "moved":
        return [...this.#proveForNoise(entry, now), ...this.#tellPaths(entry, now)];
      case "up":
        return [
          { type: "up", path: effect.path, hashname },
          ...this.#proveForNoise(entry, now),
          ...this.#onUp(entry, now),
        ];
      case "down":
        return [{ type: "down", why: effect.why, hashname }];
      case "renewed":
        return [{ type: "renewed", hashname }];
      case "dropped":
        this.#dropped.channel += effect.count;
        return [];
      case "pong":
        return [{ type: "pong", hashname, ms: effect.ms }];
      case "opened": {
        const { ch, reliable, kind, head, body } = effect;
        this.#byChannel.set(ch, entry);
        // One by one: what is spread has a shape of its own each time, and all that reads it later is slow.
        return [{ type: "opened", ch, peer: hashname, reliable, kind, head, body }];
      }
      case "closed":
        if (this.#asked.delete(effect.ch)) return [];
        this.#byChannel.delete(effect.ch);
        return [effect];
      default:
        if (!this.#asked.has(effect.ch)) return [effect];
        return effect.type === "packets" ? this.#onAnswers(entry, effect) : [];
    }
  }

  /** Puts an outer packet on its way: to an address, or to the router on the way to the peer. */
  #transmit({ hashname }: Entry, effect: Extract<LinkOut, { type: "transmit" }>, now: Time): MeshOut[] {
    const { path, bytes, isRepeat, free } = effect;
    if (!isRelayed(path)) return this.#send(path, bytes, true, now, free);
    const packet = free === 0 ? bytes : bytes.subarray(free);
    const router = this.#links.get(path.hn);
    const place = router?.link.path;
    const isUp = router?.link.state === "up" && place !== undefined && !isRelayed(place);
    if (parsePacket(packet)?.head.length === 0) return isUp ? this.#send(place, packet, true, now) : [];
    const head = peerHead(hashname, path.uri, packet);
    if (router === undefined || head === undefined || this.#isSearching) return [];
    // One router is never looked for on behalf of another: who writes our cards could make long chains of them.
    this.#isSearching = true;
    const out = this.#pass(router, { type: "needed", isRepeat }, now);
    this.#isSearching = false;
    return isUp ? [...out, ...this.#post(router, head, packet, now)] : out;
  }

  /** Sends an outer packet to an address, or leaves it to the noise floor there. `bytes` and `free`: as in `ExchangeOut`. */
  #send(path: Path, bytes: Uint8Array, isOurs: boolean, now: Time, free = 0): MeshOut[] {
    const floors = this.#isLeaving ? undefined : this.#floors;
    if (floors?.take(path, free === 0 ? bytes : bytes.subarray(free), isOurs, now)) return [];
    return [{ type: "transmit", path, bytes: this.#framing.wrap(path, bytes, free) }];
  }

  /** There is noise only where the peer answered a handshake of ours; who was called by it has not sent one. */
  #proveForNoise(entry: Entry, now: Time): MeshOut[] {
    return this.#floors?.needsProof(entry.link) ? this.#pass(entry, { type: "prove" }, now) : [];
  }

  /** A packet to which nothing is ever answered. */
  #post(entry: Entry, head: JsonObject, body: Uint8Array, now: Time): MeshOut[] {
    const ch = this.#options.handles();
    this.#asked.set(ch, 0);
    const out = this.#pass(entry, { type: "post", ch, head, body }, now);
    this.#asked.delete(ch);
    return out;
  }

  /** A link came up: it may be needed for others, and if it has only a router itself there may be better. */
  #onUp(entry: Entry, now: Time): MeshOut[] {
    const path: Path = { type: "peer", hn: entry.hashname };
    const waiting = [...(this.#byRouter.get(pathKey(path)) ?? [])];
    return [
      ...waiting.flatMap((other) => this.#pass(other, { type: "relay", path }, now)),
      ...this.#tellPaths(entry, now),
    ];
  }

  /** Tells our addresses to a peer that reaches us by a router only, and to our routers, who tell us how they see us. */
  #tellPaths(entry: Entry, now: Time): MeshOut[] {
    const { hashname, link } = entry;
    if (link.state !== "up" || link.path === undefined) return [];
    if (!isRelayed(link.path) && !this.#routers.has(hashname)) return [];
    const head = this.#paths.request(hashname, now);
    if (head === undefined) return [];
    const ch = this.#options.handles();
    this.#asked.set(ch, ANSWERS);
    return this.#pass(entry, { type: "open", ch, reliable: false, head, body: EMPTY, end: true }, now);
  }

  #onAnswers({ hashname }: Entry, { ch, packets }: PacketRow): MeshOut[] {
    const left = this.#asked.get(ch) ?? 0;
    const taken = packets.slice(0, left);
    this.#asked.set(ch, left - taken.length);
    return taken.flatMap(({ head }): MeshOut[] => {
      const path = this.#paths.seen(hashname, head, this.#routers.has(hashname));
      return path === undefined ? [] : [{ type: "seen", by: hashname, path }];
    });
  }

  /** A channel that is no application's business. Whatever becomes of it, on `peer` and `connect` nothing is said. */
  #serve(entry: Entry, { ch, kind, reliable, head, body }: Opening, now: Time): MeshOut[] {
    const answer: MeshOut[] = [];
    if (kind === "path" && !reliable && entry.link.path !== undefined) {
      const send: LinkIn = { type: "send", ch, head: pathAnswer(entry.link.path), body: EMPTY, end: true };
      answer.push(...this.#pass(entry, send, now));
    }
    const out = [...answer, ...this.#pass(entry, { type: "forget", ch }, now)];
    if (kind === "link") return out; // its end is the link's business, nothing else
    if (reliable) return [...out, ...this.#drop("route")];
    if (kind === "peer") {
      // What comes back for the asker passes only where it is proven to be, so that is seen to now, for example after our
      // restart: whatever becomes of the request, and as no router, too, or it would be an answer.
      const proof = this.#pass(entry, { type: "prove" }, now);
      return [...out, ...proof, ...this.#onPeer(entry, head, body, now)];
    }
    if (kind === "connect") return [...out, ...this.#onConnect(entry, head, body, now)];
    const paths = this.#paths.offered(entry.hashname, head, now);
    return paths.length === 0 ? out : [...out, ...this.#pass(entry, { type: "offered", paths }, now)];
  }

  /** A peer asks us to pass on a handshake. It never learns what came of that. */
  #onPeer(asker: Entry, head: JsonObject, body: Uint8Array, now: Time): MeshOut[] {
    const router = this.#router;
    const hashname = parseHashname(head["peer"]);
    const target = hashname && this.#links.get(hashname);
    const attached = parseAttached(body);
    const passed = connectHead(asker.hashname);
    if (router === undefined || target === undefined || attached === undefined || !fits(passed, body))
      return this.#drop("route");
    const isStraight = [asker, target].every(({ link: { path } }) => path !== undefined && !isRelayed(path));
    if (!isStraight || !router.admits(asker.hashname, target.hashname, now)) return this.#drop("route");
    if (attached.type === "handshake") router.connect(attached.body, asker.hashname, target.hashname, now);
    return this.#post(target, passed, body, now);
  }

  /** A packet for somebody else, if we are the router between the two. */
  #bridge(path: Path, token: string, packet: Uint8Array, now: Time): MeshOut[] {
    const bridge = this.#router?.find(token);
    if (this.#router === undefined || bridge === undefined) return this.#drop("token");
    const [from, to] = [this.#links.get(bridge.peer), this.#links.get(bridge.owner)];
    const isFrom = from !== undefined && this.#byPath.get(pathKey(path))?.has(from) === true;
    const place = to?.link.path;
    if (!isFrom || to === undefined || place === undefined || isRelayed(place)) return this.#drop("route");
    // Where the owner has not proven to be, nothing is sent in masses; but that can be mended.
    if (!to.link.isProven) return [...this.#drop("route"), ...this.#pass(to, { type: "prove" }, now)];
    if (!this.#router.passes(bridge, packet.length, now)) return this.#drop("route");
    return this.#send(place, packet, false, now);
  }

  /** A router brings a handshake of somebody. It is worth no more than one from anywhere else. */
  #onConnect({ hashname: via }: Entry, head: JsonObject, body: Uint8Array, now: Time): MeshOut[] {
    const path: Path = { type: "peer", hn: via };
    const hashname = parseHashname(head["peer"]);
    const known = hashname && this.#links.get(hashname);
    const isAwaited = known !== undefined && this.#byRouter.get(pathKey(path))?.has(known) === true;
    const attached = parseAttached(body);
    if (hashname === undefined || attached === undefined || !(isAwaited || this.#routers.has(via)))
      return this.#drop("route");
    if (hashname === via || hashname === this.#options.identity.hashname) return this.#drop("route");
    if (attached.type === "handshake") {
      const origin = { by: via, isSought: isAwaited };
      return this.#onMessage(path, { packet: body, rounds: 0 }, attached.body, origin, hashname, now);
    }
    const { csid, keys } = attached;
    const sender = csid === undefined ? undefined : parseKeyPacket(this.#options.crypto, csid, keys);
    if (csid === undefined || sender?.hashname !== hashname) return this.#drop("forged");
    const { pairs } = this.#options.identity;
    // It sends one for each set that it has: that of the best is the one that counts.
    if (!pairs.has(csid) || [...sender.intermediates.keys()].some((other) => other > csid && pairs.has(other)))
      return this.#drop("downgrade");
    if (known !== undefined) return this.#pass(known, { type: "introduced", csid, key: sender.key, path }, now);
    if (!this.#introductions.take(via, now)) return this.#drop("budget");
    return [{ type: "introduction", hashname, keys: new Map([[csid, sender.key]]), via }];
  }

  /** Where a channel packet of this peer's came from: from the router's address it comes by the router. */
  #placeOf({ link }: Entry, path: Path): Path {
    if (link.relays.length === 0) return path; // most links: this is on the way of every packet
    const isBy = ({ hn }: Path): boolean => hn !== undefined && this.#links.get(hn)?.link.isAt(path) === true;
    return link.relays.find(isBy) ?? path;
  }

  /** The links whose path in use this is. */
  #using(path: Path): readonly Entry[] {
    const key = pathKey(path);
    return this.#at(path).filter(({ link }) => link.path !== undefined && pathKey(link.path) === key);
  }

  #at(path: Path): readonly Entry[] {
    return [...(this.#byPath.get(pathKey(path)) ?? [])];
  }

  /** What all links have in common. */
  #shared(): Pick<LinkOptions, "held" | "trials" | "cbor"> {
    return { held: this.#held, trials: this.#trials, cbor: this.#options.cbor === true };
  }

  #entry(hashname: Hashname): Entry {
    const known = this.#links.get(hashname);
    if (known !== undefined) return known;
    const { crypto, identity, random, handles } = this.#options;
    const nextAt = (above: bigint, now: Time): bigint => this.#sequence.next(above, now);
    const entry: Entry = {
      hashname,
      link: new Link({
        crypto,
        identity,
        hashname,
        random,
        handles,
        nextAt,
        messages: this.#messages,
        ...this.#shared(),
      }),
      exchange: undefined,
      ours: [],
      theirs: NO_REMOTES,
      routes: [],
      relays: [],
      deadline: undefined,
      uri: undefined,
    };
    this.#links.set(hashname, entry);
    return entry;
  }

  /** Brings the indexes up to date with a link that has just done something. */
  #index(entry: Entry): void {
    const { link, hashname } = entry;
    const { exchange, routes, relays } = link;
    if (exchange !== entry.exchange) {
      this.#lastToken = undefined;
      for (const token of entry.ours) this.#byToken.delete(token);
      entry.exchange = exchange;
      entry.ours = exchange === undefined ? [] : [toHex(exchange.token), toHex(exchange.prefix)];
      for (const token of entry.ours) this.#byToken.set(token, entry);
    }
    const theirs = exchange?.remotes ?? NO_REMOTES;
    if (theirs !== entry.theirs) {
      for (const { name } of entry.theirs) this.#bySender.delete(name);
      for (const { name, prefix } of theirs) this.#bySender.set(name, { entry, prefix });
      entry.theirs = theirs;
    }
    if (routes !== entry.routes) {
      move(this.#byPath, entry, entry.routes, routes);
      entry.routes = routes;
    }
    if (relays !== entry.relays) {
      move(this.#byRouter, entry, entry.relays, relays);
      entry.relays = relays;
    }
    if (!link.isSpent) return;
    move(this.#byRouter, entry, relays, []);
    if (this.#links.get(hashname) === entry) this.#links.delete(hashname);
  }

  #schedule(entry: Entry): void {
    const { link, hashname } = entry;
    const at = link.deadline();
    if (at !== entry.deadline) this.#deadlines.set(hashname, at);
    entry.deadline = at;
  }
}

/** Takes a link out of an index by path and enters it anew. */
function move(index: Map<string, Set<Entry>>, entry: Entry, from: readonly Path[], to: readonly Path[]): void {
  for (const key of from.map(pathKey)) {
    const there = index.get(key);
    there?.delete(entry);
    if (there?.size === 0) index.delete(key);
  }
  for (const key of to.map(pathKey)) index.set(key, (index.get(key) ?? new Set()).add(entry));
}

/** Without a HEAD, as nothing else is. */
function isChannelPacket({ bytes, at }: Unwrapped): boolean {
  return bytes[at] === 0 && bytes[at + 1] === 0 && bytes.length >= at + LENGTH_BYTES + TOKEN_BYTES;
}

/** Whether it is a channel packet of the same exchange, under as many rounds. */
function isInRow(first: Unwrapped, packet: Unwrapped): boolean {
  if (packet.rounds !== first.rounds || !isChannelPacket(packet)) return false;
  return isSameToken(packet.bytes, packet.at + LENGTH_BYTES, first.bytes, first.at + LENGTH_BYTES);
}

/** Whether the token that stands in `bytes` from `at` on is that in `others` from `from` on. */
function isSameToken(bytes: Uint8Array, at: number, others: Uint8Array, from: number): boolean {
  for (let i = 0; i < TOKEN_BYTES; i++) if (bytes[at + i] !== others[from + i]) return false;
  return true;
}

function earliest(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

function asHandshake(messages: readonly Opened[], sender: Opened, path: Path, isNew: boolean): MeshOut {
  const keys: Keys = new Map([[sender.csid, sender.key]]);
  const { hashname } = sender;
  return { type: "handshake", hashname, keys, path, messages: messages.map(({ message }) => message), isNew };
}

function uriOf({ message }: Opened): string | undefined {
  return message.type === "uri" ? text(message.json, "uri") : undefined;
}

type Opening = Extract<ChannelEvent, { type: "opened" }>;

const OURS: readonly string[] = ["peer", "connect", "path", "link"];
const EMPTY: Uint8Array = new Uint8Array(0);
const ANSWERS = 4; // to one `path` request: one for each address of ours
const ROUTERS = 64;
const TRIALS_PER_SECOND = 10; // handshakes to addresses that peers told us; each peer's own share is 24 a minute
const INTRODUCTIONS_PER_SECOND = 10; // of all routers, and besides:
const INTRODUCTIONS_OF_ONE = 1;
const LENGTH_BYTES = 2; // of a HEAD: lob.md
const TOKEN_BYTES = 16;
const NO_REMOTES: readonly RemoteExchange[] = [];
const LINKS = 65_536; // beyond these only peers that we want
const NOTHING_DROPPED: Readonly<Record<DropReason, number>> = {
  "handshake-size": 0,
  budget: 0,
  unopened: 0,
  malformed: 0,
  downgrade: 0,
  forged: 0,
  noise: 0,
  packet: 0,
  token: 0,
  channel: 0,
  stale: 0,
  full: 0,
  route: 0,
};
