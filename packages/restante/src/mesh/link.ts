/**
 * A link: the relation to one peer. It keeps trying while it is wanted, chooses the path to speak on, notices when the
 * other end is gone, and owns the exchange while there is one. protocol/exchange.md §6-7
 */
import { equal, type Machine, type Random, type Time } from "../bytes/index.ts";
import { isStream, type Path, pathKey } from "../card/index.ts";
import { type Crypto, type Hashname, highestCommon, type Identity, type Keys } from "../crypto/index.ts";
import {
  type ChannelEvent,
  type ChannelsIn,
  Exchange,
  type ExchangeOut,
  type HandshakeMessage,
  type Held,
  type ReceivedHandshake,
} from "../e3x/index.ts";
import { encodeJson } from "../wire/index.ts";

/** What channels can be asked for, see `Channels`. */
export type ChannelOp = Extract<ChannelsIn, { type: "open" | "send" | "took" | "fail" }>;

export type LinkIn =
  /** Keep a link, from now on or with what is new. Tries at once, unless that is under way already. */
  | { readonly type: "want"; readonly keys: Keys; readonly paths: readonly Path[]; readonly uri: string | undefined }
  | { readonly type: "unwant" }
  /** A handshake message of this peer, verified; being here it is approved. */
  | ({ readonly type: "handshake"; readonly path: Path; readonly csid: number } & {
      readonly key: Uint8Array;
    } & ReceivedHandshake)
  /** The BODY of a packet that carried our token. */
  | { readonly type: "packet"; readonly path: Path; readonly body: Uint8Array }
  | { readonly type: "lost"; readonly path: Path }
  | { readonly type: "stop"; readonly why: string }
  | ChannelOp
  | { readonly type: "credit"; readonly bytes: number }
  | { readonly type: "tick" };

export type LinkOut =
  /** An outer packet, to be framed and sent. */
  | { readonly type: "transmit"; readonly path: Path; readonly packet: Uint8Array }
  /** The input was really from the peer, and of use. */
  | { readonly type: "heard" }
  | { readonly type: "up"; readonly path: Path }
  | { readonly type: "down"; readonly why: string }
  | { readonly type: "renewed" }
  | ChannelEvent;

interface Remote {
  readonly hashname: Hashname;
  readonly csid: number;
  readonly key: Uint8Array;
}

export interface LinkOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly hashname: Hashname;
  readonly random: Random;
  readonly handles: () => number;
  readonly nextAt: (above: bigint, now: Time) => bigint;
  /** Shared by all links. */
  readonly held: Held;
}

export class Link implements Machine<LinkIn, LinkOut> {
  readonly #options: LinkOptions;
  #remote: Remote | undefined;
  #exchange: Exchange | undefined;
  #isUp = false;
  #isDead = false; // no `at` is left for this pair: only a new hashname helps
  #isWanted = false;
  #wished: readonly Path[] = []; // where we were told to look
  #uri: string | undefined;
  #path: Path | undefined; // where the peer has proven to be
  #learned: Path | undefined; // the last such path, for when we must look again
  #targets: readonly Path[] = []; // where the handshake process under way goes
  #routes: readonly Path[] = [];
  readonly #channels = new Set<number>();
  #sent: Time = 0;
  #heard: Time = 0;
  #probed: Time = Number.NEGATIVE_INFINITY;
  #attempts = 0;
  #retryAt: Time | undefined;

  constructor(options: LinkOptions) {
    this.#options = options;
  }

  /** The exchange in use or being made. */
  get exchange(): Exchange | undefined {
    return this.#exchange;
  }

  /** The paths that belong to this link now: in use, or with a handshake under way. A new array when they change. */
  get routes(): readonly Path[] {
    return this.#routes;
  }

  /** The path in use. */
  get path(): Path | undefined {
    return this.#path;
  }

  /** The peer's key of the cipher set in use. */
  get key(): Uint8Array | undefined {
    return this.#remote?.key;
  }

  get state(): "unresolved" | "down" | "up" {
    if (this.#isUp) return "up";
    return this.#remote !== undefined && this.#places().length > 0 ? "down" : "unresolved";
  }

  /** Nothing is left to keep. */
  get isSpent(): boolean {
    return !this.#isWanted && this.#exchange === undefined;
  }

  handle(input: LinkIn, now: Time): LinkOut[] {
    switch (input.type) {
      case "want":
        return this.#want(input.keys, input.paths, input.uri, now);
      case "unwant":
        this.#isWanted = false;
        this.#retryAt = undefined;
        return this.#isUp ? [] : this.#stop("unwanted", now);
      case "handshake":
        return this.#onHandshake(input, now);
      case "packet":
        return this.#pass({ type: "packet", body: input.body }, now, input.path);
      case "lost":
        return this.#onLost(input.path, now);
      case "stop":
        return this.#stop(input.why, now);
      case "tick":
        return this.#onTick(now);
      case "open":
        if (this.#exchange === undefined) return [{ type: "closed", ch: input.ch, err: "down" }];
        this.#channels.add(input.ch);
        return this.#pass(input, now);
      default:
        return this.#pass(input, now);
    }
  }

  deadline(): Time | undefined {
    if (this.#exchange === undefined) return this.#retryAt;
    return earlier(this.#exchange.deadline(), this.#checkAt());
  }

  #want(keys: Keys, paths: readonly Path[], uri: string | undefined, now: Time): LinkOut[] {
    const { crypto, identity, hashname } = this.#options;
    // A longer one would not fit into a handshake; it comes from another peer's card, so it is no error of ours.
    const fitting = uri !== undefined && encodeJson(uri).length <= URI_BYTES ? uri : undefined;
    const isNewUri = fitting !== this.#uri;
    const isNew = isNewUri || !isSamePlaces(paths, this.#wished);
    this.#isWanted = true;
    this.#wished = [...paths];
    this.#uri = fitting;
    const csid = highestCommon(crypto, identity.keys, keys);
    const key = csid === undefined ? undefined : keys.get(csid);
    if (this.#exchange === undefined && csid !== undefined && key !== undefined) this.#remote = { hashname, csid, key };
    if (this.#isUp) return isNewUri ? this.#begin([], now) : [];
    if (this.#exchange?.handshaking && !isNew) return [];
    this.#attempts = 0;
    return this.#attempt(now);
  }

  /** Looks for the peer wherever it may be. */
  #attempt(now: Time): LinkOut[] {
    this.#retryAt = undefined;
    const places = this.#places();
    if (this.#isDead || this.#remote === undefined || places.length === 0) return [];
    this.#exchange ??= this.#newExchange(this.#remote);
    return this.#begin(places, now);
  }

  /** Begins a handshake process that goes to these paths and to the one in use. */
  #begin(places: readonly Path[], now: Time): LinkOut[] {
    this.#route(this.#path, this.#path === undefined ? places : unique([this.#path, ...places]));
    return this.#pass({ type: "start", extra: this.#extra() }, now);
  }

  #onHandshake(input: Extract<LinkIn, { type: "handshake" }>, now: Time): LinkOut[] {
    const { path, csid, key, ...received } = input;
    this.#remote ??= { hashname: this.#options.hashname, csid, key };
    if (this.#isDead || csid !== this.#remote.csid || !equal(key, this.#remote.key)) return [];
    this.#exchange ??= this.#newExchange(this.#remote);
    const out = this.#pass(received, now, path);
    const isIdle = !this.#isUp && this.#exchange !== undefined && !this.#exchange.handshaking;
    return isIdle ? [...out, ...this.#stop("unusable", now)] : out;
  }

  /** A connection is gone: speak elsewhere, and find out whether the peer is there. */
  #onLost(path: Path, now: Time): LinkOut[] {
    if (isSame(this.#learned, path)) this.#learned = undefined;
    if (!this.#isUp || !isSame(this.#path, path)) return [];
    const places = this.#places(); // the lost one among them if we can dial it
    const [next] = places;
    if (next === undefined) return this.#stop("path", now);
    const out: LinkOut[] = [];
    this.#move(next, now, out);
    out.push(...this.#begin(places, now));
    return out;
  }

  #onTick(now: Time): LinkOut[] {
    if (this.#exchange === undefined) return (this.#retryAt ?? now + 1) <= now ? this.#attempt(now) : [];
    const out = this.#pass({ type: "tick" }, now);
    if ((this.#checkAt() ?? now + 1) > now) return out;
    // Without a wish and without a channel on either side nobody misses a silent link.
    const isIdle = !this.#isWanted && this.#channels.size === 0;
    return [...out, ...(isIdle ? this.#stop("idle", now) : this.#begin([], now))];
  }

  /** When to make sure that the peer is still there, and to keep the path open. */
  #checkAt(): Time | undefined {
    if (!this.#isUp || this.#path === undefined || this.#exchange?.handshaking) return undefined;
    const quiet = isStream(this.#path) ? QUIET_STREAM_MS : QUIET_MS;
    // The peer's keepalives come as often as ours would: twice as long without a word is too long.
    const silence = this.#heard + 2 * quiet;
    return this.#isWanted ? Math.min(this.#sent + quiet, silence) : silence;
  }

  /** Gives the exchange an input and does what it wants. `from`: the path that the input came from. */
  #pass(input: Parameters<Exchange["handle"]>[0], now: Time, from?: Path): LinkOut[] {
    const out: LinkOut[] = [];
    for (const effect of this.#exchange?.handle(input, now) ?? []) this.#follow(effect, now, from, out);
    return out;
  }

  #follow(effect: ExchangeOut, now: Time, from: Path | undefined, out: LinkOut[]): void {
    switch (effect.type) {
      case "send":
        for (const path of this.#destinations(effect.to, from)) {
          if (this.#path === undefined || isSame(path, this.#path)) this.#sent = now;
          out.push({ type: "transmit", path, packet: effect.bytes });
        }
        return;
      case "heard":
        this.#heard = now;
        this.#attempts = 0;
        out.push({ type: "heard" });
        if (this.#isUp && from !== undefined && !isSame(from, this.#path)) this.#onMoved(effect.by, from, now, out);
        return;
      case "up":
        this.#isUp = true;
        this.#retryAt = undefined;
        if (from === undefined) return;
        this.#move(from, now, out);
        out.push({ type: "up", path: from });
        return;
      case "timeout":
      case "dead":
        this.#isDead = effect.type === "dead";
        this.#end(effect.type, now, out);
        return;
      case "opened":
        this.#channels.add(effect.ch);
        out.push(effect);
        return;
      case "closed":
        this.#channels.delete(effect.ch);
        out.push(effect);
        return;
      default:
        out.push(effect);
    }
  }

  /** The peer, which is up, spoke from another path than the one in use. */
  #onMoved(by: "packet" | "handshake" | "echo", from: Path, now: Time, out: LinkOut[]): void {
    if (by !== "packet") {
      this.#move(from, now, out);
      // An echo answers us, so this path is proven in both directions; after its own handshake we try it ourselves.
      if (by === "handshake") out.push(...this.#begin([], now));
      return;
    }
    // A channel packet may be a recording sent from anywhere: it moves nothing, but it is worth a handshake there.
    if (this.#exchange?.handshaking || now < this.#probed + PROBE_MS) return;
    this.#probed = now;
    out.push(...this.#begin([from], now));
  }

  #destinations(to: "answer" | "process" | "known" | "channel", from: Path | undefined): readonly Path[] {
    switch (to) {
      case "answer":
        return from === undefined ? [] : [from];
      case "process":
        // While a handshake is taken in, this is our doubt about it: to be answered there, or by the peer we know.
        if (from !== undefined)
          this.#route(this.#path, unique([from, ...(this.#path === undefined ? this.#targets : [this.#path])]));
        return this.#targets;
      case "known":
        return this.#path === undefined ? (from === undefined ? [] : [from]) : [this.#path];
      case "channel":
        return this.#path === undefined ? [] : [this.#path];
    }
  }

  /** From now on we speak on this path. What the former one would take does not matter any more. */
  #move(path: Path, now: Time, out: LinkOut[]): void {
    const isNew = !isSame(path, this.#path);
    this.#learned = path;
    this.#route(path, this.#targets);
    if (isNew) out.push(...this.#pass({ type: "credit", bytes: Number.POSITIVE_INFINITY }, now));
  }

  #route(path: Path | undefined, targets: readonly Path[]): void {
    this.#path = path;
    this.#targets = targets.slice(0, PLACES + 1);
    this.#routes = path === undefined ? this.#targets : unique([path, ...this.#targets]);
  }

  #stop(why: string, now: Time): LinkOut[] {
    const out: LinkOut[] = [];
    if (this.#exchange === undefined) return out;
    for (const effect of this.#exchange.handle({ type: "stop", err: why }, now))
      this.#follow(effect, now, undefined, out);
    this.#end(why, now, out);
    return out;
  }

  /** The exchange is over, its channels are closed. */
  #end(why: string, now: Time, out: LinkOut[]): void {
    const wasUp = this.#isUp;
    this.#exchange = undefined;
    this.#isUp = false;
    this.#route(undefined, []);
    if (wasUp || this.#isDead) out.push({ type: "down", why });
    if (!this.#isWanted || this.#isDead) return;
    const delay = RETRY_MS[Math.min(this.#attempts, RETRY_MS.length - 1)] ?? 0;
    this.#attempts += 1;
    // From 3/4 to 5/4 of it, so that peers which lost each other at the same time do not meet at the same time.
    this.#retryAt = now + delay * (0.75 + (this.#options.random(1)[0] ?? 0) / 512);
  }

  #newExchange(remote: Remote): Exchange {
    const { crypto, identity, random, handles, nextAt, held } = this.#options;
    return new Exchange({ crypto, identity, remote, random, handles, nextAt, held, extra: this.#extra() });
  }

  #extra(): readonly HandshakeMessage[] {
    return this.#uri === undefined ? [] : [{ type: "uri", json: { uri: this.#uri }, body: new Uint8Array(0) }];
  }

  #places(): readonly Path[] {
    return unique(this.#learned === undefined ? this.#wished : [this.#learned, ...this.#wished]).slice(0, PLACES);
  }
}

function earlier(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

function isSame(a: Path | undefined, b: Path | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return a === b;
  return a.type === b.type && a.ip === b.ip && a.port === b.port && a.url === b.url && a.name === b.name;
}

function isSamePlaces(a: readonly Path[], b: readonly Path[]): boolean {
  return a.length === b.length && a.every((path, i) => isSame(path, b[i]));
}

function unique(paths: readonly Path[]): readonly Path[] {
  return [...new Map(paths.map((path) => [pathKey(path), path])).values()];
}

const QUIET_MS = 30_000; // nothing sent for so long: NATs forget after a minute or two
const QUIET_STREAM_MS = 5 * 60_000; // telehash v3/transports/tcp.md
const PROBE_MS = 5_000;
const RETRY_MS: readonly number[] = [30_000, 60_000, 120_000, 300_000, 600_000]; // after an attempt, which takes 30 s
const PLACES = 16; // as many paths as a card may give for one peer
const URI_BYTES = 400; // with our keys and the sealing of any cipher set this stays under 1400 bytes
