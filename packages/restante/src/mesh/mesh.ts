/**
 * The mesh: all links of a peer. Sorts what comes from the network (bytes, packets, handshakes, channels) to the link
 * that it belongs to, asks before anybody new is answered, and gives everything it sends a path and a frame.
 * protocol/exchange.md §5-8
 */
import { Deadlines, type Machine, type Random, type Time, toHex } from "../bytes/index.ts";
import { isStream, type Path, pathKey } from "../card/index.ts";
import type { Crypto, Hashname, Identity, Keys } from "../crypto/index.ts";
import type { ChannelEvent, Exchange, HandshakeMessage, Held, RemoteExchange } from "../e3x/index.ts";
import { parsePacket, text } from "../wire/index.ts";
import { Framing, type Unwrapped } from "./framing.ts";
import { type ChannelOp, Link, type LinkIn, type LinkOut } from "./link.ts";
import { type Known, type Opened, Opener, type Refusal } from "./opener.ts";
import { Requests } from "./requests.ts";
import { Sequence } from "./sequence.ts";

export type MeshIn =
  /** A datagram, or any piece of a stream in order. The bytes are ours from now on. */
  | { readonly type: "received"; readonly path: Path; readonly bytes: Uint8Array }
  /** A connection came or went. */
  | { readonly type: "path"; readonly path: Path; readonly open: boolean }
  /** The path takes so many bytes now; unlimited before the first of these. */
  | { readonly type: "writable"; readonly path: Path; readonly credit: number }
  /**
   * Have a link and keep it. Again: with new paths or another admission URI, or to try at once. `keys` must be those of
   * the hashname. A URI that is too long for a handshake (400 bytes as JSON) is left out.
   */
  | {
      readonly type: "want";
      readonly peer: { readonly hashname: Hashname; readonly keys: Keys; readonly paths: readonly Path[] };
      readonly uri?: string;
    }
  /** Stop trying. A link that is up stays for as long as the peer keeps it or channels are open. */
  | { readonly type: "unwant"; readonly hashname: Hashname }
  /** The answer to a `handshake`. What was not approved in 30 s is forgotten. */
  | { readonly type: "approve"; readonly hashname: Hashname }
  /** Nothing is sent, and an existing link ends. */
  | { readonly type: "reject"; readonly hashname: Hashname }
  /** Opens a channel; see `Channels`. Closed at once ("down") when there is neither a link nor an attempt. */
  | (Extract<ChannelOp, { type: "open" }> & { readonly peer: Hashname })
  | Exclude<ChannelOp, { type: "open" }>
  | { readonly type: "tick" };

export type MeshOut =
  | { readonly type: "transmit"; readonly path: Path; readonly bytes: Uint8Array }
  /**
   * A handshake of a proven sender: all its messages so far. `isNew`: nothing is answered before `approve`; asked
   * again when more messages come. Otherwise only news: a peer with a link shows another admission URI.
   */
  | {
      readonly type: "handshake";
      readonly hashname: Hashname;
      readonly keys: Keys;
      readonly path: Path;
      readonly messages: readonly HandshakeMessage[];
      readonly isNew: boolean;
    }
  /** The link works. Again after `renewed`. */
  | { readonly type: "up"; readonly hashname: Hashname; readonly path: Path }
  /**
   * The link is no longer up: "timeout", "idle", "path" (the connection was lost), "rejected"; or it never will be:
   * "dead", the two need new hashnames. Its channels were closed before.
   */
  | { readonly type: "down"; readonly hashname: Hashname; readonly why: string }
  /** The peer started anew; all channels were closed before. */
  | { readonly type: "renewed"; readonly hashname: Hashname }
  /** Must be durable before anything that follows it leaves. Give it back as `saved` after a restart. */
  | { readonly type: "save"; readonly key: "mesh/at"; readonly value: Uint8Array }
  | Exclude<ChannelEvent, { type: "opened" }>
  | (Extract<ChannelEvent, { type: "opened" }> & { readonly peer: Hashname });

export interface MeshOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly random: Random;
  /** Fresh channel handles, unique in the whole peer. */
  readonly handles: () => number;
  /** The value of the last `save`, if any. */
  readonly saved?: Uint8Array | undefined;
  /** Whether we cloak towards those who have not spoken yet; yes unless `false`. */
  readonly cloak?: boolean;
}

/** Why something from the network was dropped. */
export type DropReason =
  | Refusal
  | "noise" // too long, or nothing under its cloak
  | "packet" // no packet, or one of a kind that is not used here
  | "token" // a channel packet for an exchange that is not ours
  | "channel" // a channel packet that does not open
  | "stale" // a handshake that changes nothing: a repeat, an older one, one of another key
  | "full"; // no room for one more link that we did not ask for

/** A link, and what it is entered under in the indexes. */
interface Entry {
  readonly hashname: Hashname;
  readonly link: Link;
  exchange: Exchange | undefined;
  ours: readonly string[]; // in #byToken
  theirs: readonly RemoteExchange[]; // in #bySender
  routes: readonly Path[]; // in #byPath
  uri: string | undefined; // the last that the peer showed
}

export class Mesh implements Machine<MeshIn, MeshOut> {
  /** How much was dropped, by reason, since the start. */
  readonly dropped: Readonly<Record<DropReason, number>>;
  readonly #dropped: Record<DropReason, number> = { ...NOTHING_DROPPED };
  readonly #options: MeshOptions;
  readonly #opener: Opener;
  readonly #framing: Framing;
  readonly #sequence: Sequence;
  readonly #requests: Requests = new Requests();
  readonly #held: Held = { bytes: 0 };
  readonly #links = new Map<Hashname, Entry>();
  readonly #byToken = new Map<string, Entry>(); // both forms of our tokens: who sends under them
  readonly #bySender = new Map<string, { entry: Entry; ephemeral: Uint8Array }>(); // our peers' tokens
  readonly #byPath = new Map<string, Set<Entry>>();
  readonly #byChannel = new Map<number, Entry>();
  readonly #deadlines: Deadlines<Hashname> = new Deadlines();

  constructor(options: MeshOptions) {
    const { crypto, identity, random } = options;
    this.dropped = this.#dropped;
    this.#options = options;
    this.#opener = new Opener(crypto, identity);
    this.#framing = new Framing({ cipher: crypto.backend.chacha20, random, cloak: options.cloak !== false });
    this.#sequence = new Sequence(options.saved);
  }

  handle(input: MeshIn, now: Time): MeshOut[] {
    const out = this.#take(input, now);
    const value = this.#sequence.unsaved();
    return value === undefined ? out : [{ type: "save", key: "mesh/at", value }, ...out];
  }

  deadline(): Time | undefined {
    const [links, requests] = [this.#deadlines.next(), this.#requests.deadline()];
    return links === undefined || requests === undefined ? (links ?? requests) : Math.min(links, requests);
  }

  /** Whether channels can be used with this peer now. */
  isUp(hashname: Hashname): boolean {
    return this.#links.get(hashname)?.link.state === "up";
  }

  /** All links, wanted or not, in no order. `path`: the one in use. */
  links(): { hashname: Hashname; state: "unresolved" | "down" | "up"; path: Path | undefined }[] {
    return [...this.#links.values()].map(({ hashname, link: { state, path } }) => ({ hashname, state, path }));
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
        const key = pathKey(input.path);
        const sharing = this.#at(input.path).filter(
          ({ link: { path } }) => path !== undefined && pathKey(path) === key,
        );
        const bytes = Math.floor(input.credit / Math.max(1, sharing.length));
        return sharing.flatMap((entry) => this.#pass(entry, { type: "credit", bytes }, now));
      }
      case "want": {
        const { hashname, keys, paths } = input.peer;
        if (hashname === this.#options.identity.hashname) return [];
        return this.#pass(this.#entry(hashname), { type: "want", keys, paths, uri: input.uri }, now);
      }
      case "unwant":
        return this.#pass(this.#links.get(input.hashname), input, now);
      case "approve":
        return this.#approve(input.hashname, now);
      case "reject":
        // A request stays where it is until its time is over: so its repeats are not asked about again.
        return this.#pass(this.#links.get(input.hashname), { type: "stop", why: "rejected" }, now);
      case "open": {
        const { peer, ...operation } = input;
        const entry = this.#links.get(peer);
        if (entry === undefined) return [{ type: "closed", ch: input.ch, err: "down" }];
        this.#byChannel.set(input.ch, entry);
        return this.#pass(entry, operation, now);
      }
      case "tick":
        this.#requests.expire(now);
        return this.#deadlines.due(now).flatMap((hashname) => this.#pass(this.#links.get(hashname), input, now));
      default:
        return this.#pass(this.#byChannel.get(input.ch), input, now);
    }
  }

  #onReceived(path: Path, bytes: Uint8Array, now: Time): MeshOut[] {
    const packets = this.#framing.unwrap(path, bytes);
    const out = packets.flatMap((unwrapped) => {
      if (unwrapped === undefined) return this.#drop("noise");
      return this.#onPacket(path, unwrapped, now);
    });
    // Old C peers on streams send nothing more before they see a chunk. Strangers get not even that.
    if (packets.length === 0 || !isStream(path) || this.#at(path).length === 0) return out;
    const key = pathKey(path);
    const isAnswered = out.some((effect) => effect.type === "transmit" && pathKey(effect.path) === key);
    return isAnswered ? out : [...out, { type: "transmit", path, bytes: new Uint8Array(1) }];
  }

  #onPacket(path: Path, unwrapped: Unwrapped, now: Time): MeshOut[] {
    const packet = parsePacket(unwrapped.packet);
    if (packet === undefined || packet.body.length < TOKEN_BYTES) return this.#drop("packet");
    if (packet.head.length === 0) return this.#onChannelPacket(path, unwrapped.rounds, packet.body, now);
    // On a socket a message is a handshake or nothing: mail never comes this way.
    return packet.head.length === 1 ? this.#onMessage(path, unwrapped, packet.body, now) : this.#drop("packet");
  }

  #onChannelPacket(path: Path, rounds: number, body: Uint8Array, now: Time): MeshOut[] {
    const entry = this.#byToken.get(toHex(body.subarray(0, TOKEN_BYTES)));
    if (entry === undefined) return this.#drop("token");
    const effects = this.#run(entry, { type: "packet", path, body }, now);
    if (effects.length === 0) return this.#drop("channel");
    this.#framing.heard(path, rounds);
    return this.#translate(entry, effects);
  }

  #onMessage(path: Path, { packet, rounds }: Unwrapped, body: Uint8Array, now: Time): MeshOut[] {
    const sender = this.#sender(this.#opener.token(body));
    const opened = this.#opener.open(packet, body, sender, this.#at(path).length > 0, now);
    if (typeof opened === "string") return this.#drop(opened);
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
      return { hashname: linked.entry.hashname, key, ephemeral: linked.ephemeral };
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
    this.#framing.heard(path, rounds);
    const { csid, key, at, token, ephemeral, digest, message } = opened;
    const input: LinkIn = { type: "handshake", path, csid, key, at, token, ephemeral, digest, kind: message.type };
    const effects = this.#run(entry, input, now);
    const out = effects.length === 0 ? this.#drop("stale") : this.#translate(entry, effects);
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
    return entry === undefined ? [] : this.#translate(entry, this.#run(entry, input, now));
  }

  #run(entry: Entry, input: LinkIn, now: Time): LinkOut[] {
    const effects = entry.link.handle(input, now);
    this.#index(entry);
    return effects;
  }

  #translate(entry: Entry, effects: readonly LinkOut[]): MeshOut[] {
    const { hashname } = entry;
    return effects.flatMap((effect): MeshOut[] => {
      switch (effect.type) {
        case "heard":
          return [];
        case "transmit": {
          const { path, packet } = effect;
          return [{ type: "transmit", path, bytes: this.#framing.wrap(path, packet) }];
        }
        case "up":
        case "down":
        case "renewed":
          return [{ ...effect, hashname }];
        case "opened":
          this.#byChannel.set(effect.ch, entry);
          return [{ ...effect, peer: hashname }];
        case "closed":
          this.#byChannel.delete(effect.ch);
          return [effect];
        default:
          return [effect];
      }
    });
  }

  #at(path: Path): readonly Entry[] {
    return [...(this.#byPath.get(pathKey(path)) ?? [])];
  }

  #entry(hashname: Hashname): Entry {
    const known = this.#links.get(hashname);
    if (known !== undefined) return known;
    const { crypto, identity, random, handles } = this.#options;
    const nextAt = (above: bigint, now: Time): bigint => this.#sequence.next(above, now);
    const entry: Entry = {
      hashname,
      link: new Link({ crypto, identity, hashname, random, handles, nextAt, held: this.#held }),
      exchange: undefined,
      ours: [],
      theirs: [],
      routes: [],
      uri: undefined,
    };
    this.#links.set(hashname, entry);
    return entry;
  }

  /** Brings the indexes up to date with a link that has just done something. */
  #index(entry: Entry): void {
    const { link, hashname } = entry;
    const { exchange, routes } = link;
    if (exchange !== entry.exchange) {
      for (const token of entry.ours) this.#byToken.delete(token);
      entry.exchange = exchange;
      entry.ours = exchange === undefined ? [] : [toHex(exchange.token), toHex(exchange.prefix)];
      for (const token of entry.ours) this.#byToken.set(token, entry);
    }
    const theirs = exchange?.remotes ?? [];
    if (theirs.length !== entry.theirs.length || theirs.some((remote, i) => remote !== entry.theirs[i])) {
      for (const { name } of entry.theirs) this.#bySender.delete(name);
      for (const { name, ephemeral } of theirs) this.#bySender.set(name, { entry, ephemeral });
      entry.theirs = theirs;
    }
    if (routes !== entry.routes) {
      for (const path of entry.routes) this.#leave(pathKey(path), entry);
      for (const path of routes) this.#enter(pathKey(path), entry);
      entry.routes = routes;
    }
    this.#deadlines.set(hashname, link.deadline());
    if (link.isSpent) this.#links.delete(hashname);
  }

  #enter(path: string, entry: Entry): void {
    const there = this.#byPath.get(path) ?? new Set();
    this.#byPath.set(path, there.add(entry));
  }

  #leave(path: string, entry: Entry): void {
    const there = this.#byPath.get(path);
    there?.delete(entry);
    if (there?.size === 0) this.#byPath.delete(path);
  }
}

function asHandshake(messages: readonly Opened[], sender: Opened, path: Path, isNew: boolean): MeshOut {
  const keys: Keys = new Map([[sender.csid, sender.key]]);
  const { hashname } = sender;
  return { type: "handshake", hashname, keys, path, messages: messages.map(({ message }) => message), isNew };
}

function uriOf({ message }: Opened): string | undefined {
  return message.type === "uri" ? text(message.json, "uri") : undefined;
}

const TOKEN_BYTES = 16;
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
};
