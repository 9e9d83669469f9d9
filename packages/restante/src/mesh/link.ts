/**
 * A link: the relation to one peer. It keeps trying while it is wanted, chooses the path to speak on, notices when the
 * other end is gone, and owns the exchange while there is one. protocol/exchange.md §6-7; of paths that lead by a
 * router, which it uses while there is no better one: protocol/routing.md §5
 */
import { Budget, equal, type Machine, type Random, type Time } from "../bytes/index.ts";
import { isRelayed, isStream, type Path, pathKey } from "../card/index.ts";
import { type Crypto, csidText, type Hashname, highestCommon, type Identity, type Keys } from "../crypto/index.ts";
import {
  type ChannelEvent,
  type ChannelsIn,
  Exchange,
  type ExchangeOut,
  encodeHandshake,
  fitsHandshake,
  type HandshakeMessage,
  type Held,
  keyPacket,
  type ReceivedHandshake,
} from "../e3x/index.ts";
import type { JsonObject } from "../wire/index.ts";

/** What channels can be asked for, see `Channels`. */
export type ChannelOp = Extract<ChannelsIn, { type: "open" | "send" | "took" | "fail" }>;

export type LinkIn =
  /** Keep a link, from now on or with what is new. Tries at once, unless that is under way already. */
  | { readonly type: "want"; readonly keys: Keys; readonly paths: readonly Path[]; readonly uri: string | undefined }
  | { readonly type: "unwant" }
  /** Send these messages with every handshake from now on, and with one at once where the link is up. */
  | { readonly type: "handshakes"; readonly messages: readonly HandshakeMessage[] }
  /** A handshake message of this peer, verified; being here it is approved. */
  | ({ readonly type: "handshake"; readonly path: Path; readonly csid: number } & {
      readonly key: Uint8Array;
    } & ReceivedHandshake)
  /** The BODY of a packet that carried our token, as in `ExchangeIn`. */
  | { readonly type: "packet"; readonly path: Path; readonly body: Uint8Array; readonly at?: number }
  | { readonly type: "lost"; readonly path: Path }
  | { readonly type: "stop"; readonly why: string }
  /** Addresses that the peer told of itself: tried with handshakes while there is only a router. */
  | { readonly type: "offered"; readonly paths: readonly Path[] }
  /** A router brought the peer's own key: it makes the hashname. */
  | { readonly type: "introduced"; readonly csid: number; readonly key: Uint8Array; readonly path: Path }
  /** The router of this path can be reached, after it could not or after it had forgotten everything. */
  | { readonly type: "relay"; readonly path: Path }
  /** This peer is to relay a handshake: look for it; and when it was `isRepeat`, make sure that it is there. */
  | { readonly type: "needed"; readonly isRepeat: boolean }
  /** Something is to go in masses to where the peer is: make sure that it is there, if that is not proven. */
  | { readonly type: "prove" }
  /** One packet that is never answered: a channel that is opened and forgotten. Nothing happens while the link is down. */
  | { readonly type: "post"; readonly ch: number; readonly head: JsonObject; readonly body: Uint8Array }
  | { readonly type: "forget"; readonly ch: number }
  | ChannelOp
  | { readonly type: "credit"; readonly bytes: number }
  | { readonly type: "tick" };

export type LinkOut =
  /**
   * An outer packet, to be framed and sent, or to be given to a router. `isRepeat`: nobody has answered it so far. `free`: as
   * in `ExchangeOut`.
   */
  | {
      readonly type: "transmit";
      readonly path: Path;
      readonly packet: Uint8Array;
      readonly isRepeat: boolean;
      readonly free?: number;
    }
  /** The input was really from the peer, and of use. */
  | { readonly type: "heard" }
  | { readonly type: "up"; readonly path: Path }
  /** The link, which is up, goes on by another path. */
  | { readonly type: "moved"; readonly path: Path }
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
  /** As in the input "handshakes". */
  readonly messages: readonly HandshakeMessage[];
  readonly cbor: boolean;
  /** Handshakes to addresses that peers told us, of all links. */
  readonly trials: Budget;
}

/** Our keys, in the clear, to somebody of whom we know only the hashname and a router. */
interface Introduction {
  readonly packets: readonly Uint8Array[];
  readonly began: Time;
  resends: number;
}

export class Link implements Machine<LinkIn, LinkOut> {
  readonly #options: LinkOptions;
  #remote: Remote | undefined;
  #exchange: Exchange | undefined;
  #isUp = false;
  #isDead = false; // no `at` is left for this pair: only a new hashname helps
  #isWanted = false;
  #wished: readonly Path[] = []; // where we were told to look
  #offered: readonly Path[] = []; // where the peer says that it is
  #uri: string | undefined;
  #messages: readonly HandshakeMessage[];
  #path: Path | undefined; // where the peer has proven to be
  #echoed: Path | undefined; // where it last answered a handshake of ours
  #asked: readonly { readonly path: Path; readonly at: Time }[] = []; // where handshakes of ours went, the latest first
  #learned: Path | undefined; // the last path in use that led straight there, for when we must look again
  #router: Path | undefined; // the last one that led by a router
  #relays: readonly Path[] = []; // all that lead by routers
  #targets: readonly Path[] = []; // where the handshake process under way goes
  #routes: readonly Path[] = [];
  readonly #channels = new Set<number>();
  #sent: Time = 0;
  #heard: Time = 0;
  #unheard: Time | undefined; // when the first channel packet left since the peer was heard
  #probed: Time = Number.NEGATIVE_INFINITY;
  #attempts = 0;
  #attempted: Time = Number.NEGATIVE_INFINITY;
  #retryAt: Time | undefined;
  #introduction: Introduction | undefined;
  #tries = 0; // to get away from a router
  #tryAt: Time | undefined;
  #isTick = false;
  #digests: readonly string[] = []; // of the handshakes that came last
  #isRepeated = false; // the one that is taken in came before
  readonly #trials: Budget = new Budget(TRIALS_PER_MINUTE / 60, TRIALS_PER_MINUTE);

  constructor(options: LinkOptions) {
    this.#options = options;
    this.#messages = options.messages;
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

  /** Whether the peer answered a handshake of ours on the path in use: what goes there is what the peer wants. */
  get isProven(): boolean {
    return this.#path !== undefined && isSame(this.#path, this.#echoed);
  }

  /** Whether the peer is, or was, or is said to be at this address. */
  isAt(path: Path): boolean {
    return [this.#path, this.#learned, ...this.#wished].some((known) => isSame(known, path));
  }

  /** The paths to this peer that lead by routers. A new array when they change. */
  get relays(): readonly Path[] {
    return this.#relays;
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
      case "handshakes":
        this.#messages = input.messages;
        return this.#isUp ? this.#begin([], now) : [];
      case "unwant":
        this.#isWanted = false;
        this.#retryAt = undefined;
        this.#introduction = undefined;
        return this.#isUp ? [] : this.#stop("unwanted", now);
      case "handshake":
        return this.#onHandshake(input, now);
      case "packet":
        return this.#pass(input, now, input.path);
      case "lost":
        return this.#onLost(input.path, now);
      case "stop":
        return this.#stop(input.why, now);
      case "tick":
        return this.#onTick(now);
      case "offered":
        this.#offered = input.paths.filter((path) => !isRelayed(path)).slice(0, OFFERED);
        this.#tryStraight(now);
        return [];
      case "introduced":
        return this.#onIntroduced(input, now);
      case "relay":
        return this.#onRelay(input.path, now);
      case "needed":
        return this.#onNeeded(input.isRepeat, now);
      case "prove":
        return this.isProven ? [] : this.#onNeeded(true, now, Number.NEGATIVE_INFINITY);
      case "post": {
        if (!this.#isUp) return [];
        const { ch, head, body } = input;
        const out = this.#pass({ type: "open", ch, reliable: false, head, body }, now);
        return [...out, ...this.#pass({ type: "forget", ch }, now)];
      }
      case "open":
        if (this.#exchange === undefined) return [{ type: "closed", ch: input.ch, err: "down" }];
        this.#channels.add(input.ch);
        return this.#pass(input, now);
      default:
        return this.#pass(input, now);
    }
  }

  deadline(): Time | undefined {
    if (this.#exchange === undefined) return earlier(this.#retryAt, this.#introduceAt());
    return earlier(this.#exchange.deadline(), earlier(this.#checkAt(), earlier(this.#doubtAt(), this.#straightAt())));
  }

  #want(keys: Keys, paths: readonly Path[], uri: string | undefined, now: Time): LinkOut[] {
    const { crypto, identity, hashname } = this.#options;
    // A longer one would not fit into a handshake; it comes from another peer's card, so it is no error of ours.
    const isNewUri = uri !== this.#uri;
    // Nobody is reached by a path that leads by themselves, or by us.
    const wished = paths.filter(({ hn }) => hn !== hashname && hn !== identity.hashname);
    const isNewPlace = !isSamePlaces(wished, this.#wished);
    const isNew = isNewUri || isNewPlace;
    this.#isWanted = true;
    this.#wished = wished;
    this.#uri = uri;
    this.#findRelays();
    if (isNewPlace) this.#tryStraight(now);
    const csid = highestCommon(crypto, identity.keys, keys);
    const key = csid === undefined ? undefined : keys.get(csid);
    if (this.#exchange === undefined && csid !== undefined && key !== undefined) this.#remote = { hashname, csid, key };
    if (this.#isUp) return isNewUri ? this.#begin([], now) : [];
    const isUnderWay = this.#exchange?.handshaking || (this.#introduction !== undefined && this.#remote === undefined);
    if (isUnderWay && !isNew) return [];
    this.#attempts = 0;
    return this.#attempt(now);
  }

  /** Looks for the peer wherever it may be. */
  #attempt(now: Time): LinkOut[] {
    this.#retryAt = undefined;
    this.#attempted = now;
    const places = this.#places();
    if (this.#isDead || places.length === 0) return [];
    if (this.#remote === undefined) return this.#introduce(now);
    this.#introduction = undefined;
    this.#exchange ??= this.#newExchange(this.#remote);
    return this.#begin(places, now);
  }

  /**
   * Begins a handshake process that goes to these paths and to the one in use. Routers get it at once only when there is
   * no straight path among these, else with the repeats: so the straight ones are answered first, if they work.
   */
  #begin(places: readonly Path[], now: Time): LinkOut[] {
    const all = unique(this.#path === undefined ? places : [this.#path, ...places]);
    const straight = all.filter((path) => !isRelayed(path));
    const byRouter = this.#path !== undefined && isRelayed(this.#path) ? [this.#path] : this.#relays;
    this.#route(this.#path, straight.length > 0 ? straight : byRouter);
    return this.#pass({ type: "start", extra: this.#extra() }, now);
  }

  /** Gives routers our keys for the peer, in each cipher set that we have: it answers with one that it has too. */
  #introduce(now: Time): LinkOut[] {
    if (this.#relays.length === 0) return [];
    const { crypto, identity, nextAt } = this.#options;
    const at = nextAt(0n, now);
    const packets = [...identity.pairs.keys()].map((csid) => {
      const body = keyPacket(crypto.backend, identity, csid);
      return encodeHandshake(at, { type: "key", json: { csid: csidText(csid) }, body });
    });
    this.#introduction = { packets, began: now, resends: 0 };
    return this.#sendIntroduction(false);
  }

  #sendIntroduction(isRepeat: boolean): LinkOut[] {
    const packets = this.#introduction?.packets ?? [];
    return this.#relays.flatMap((path) => packets.map((packet) => ({ type: "transmit", path, packet, isRepeat })));
  }

  #introduceAt(): Time | undefined {
    const introduction = this.#introduction;
    return introduction && introduction.began + (INTRODUCE_MS[introduction.resends] ?? INTRODUCED_MS);
  }

  #onIntroduceAt(now: Time): LinkOut[] {
    const introduction = this.#introduction;
    if (introduction === undefined) return [];
    const age = now - introduction.began;
    if (age >= INTRODUCED_MS) {
      this.#introduction = undefined;
      this.#retryLater(now);
      return [];
    }
    introduction.resends = INTRODUCE_MS.filter((offset) => offset <= age).length;
    return this.#sendIntroduction(true);
  }

  #onIntroduced(input: Extract<LinkIn, { type: "introduced" }>, now: Time): LinkOut[] {
    const { csid, key, path } = input;
    if (this.#remote === undefined) {
      if (!this.#isWanted) return [];
      this.#remote = { hashname: this.#options.hashname, csid, key };
      this.#learnRouter(path);
      return this.#attempt(now);
    }
    this.#learnRouter(path);
    // It has our hashname only: lost what it knew, or never had it. What we know is enough for a handshake.
    if (this.#exchange === undefined) return this.#onNeeded(false, now);
    if (this.#exchange.handshaking || now < this.#probed + PROBE_MS) return [];
    this.#probed = now;
    return this.#begin([path], now);
  }

  #onRelay(path: Path, now: Time): LinkOut[] {
    if (!this.#isUp) return this.#isWanted ? this.#attempt(now) : [];
    if (!isSame(path, this.#path)) return [];
    // A router that started anew has forgotten which packets are ours: a handshake tells it again.
    return this.#begin([], now);
  }

  /** `heard`: when the peer was last heard in a way that makes a handshake needless. */
  #onNeeded(isRepeat: boolean, now: Time, heard = this.#heard): LinkOut[] {
    if (this.#exchange === undefined)
      return this.#isWanted && now >= this.#attempted + ATTEMPT_MS ? this.#attempt(now) : [];
    const isEarly = now < Math.max(heard, this.#probed) + PROBE_MS;
    if (!this.#isUp || !isRepeat || isEarly || this.#exchange.handshaking) return [];
    this.#probed = now;
    return this.#begin([], now);
  }

  #onHandshake(input: Extract<LinkIn, { type: "handshake" }>, now: Time): LinkOut[] {
    const { path, csid, key, ...received } = input;
    this.#remote ??= { hashname: this.#options.hashname, csid, key };
    if (this.#isDead || csid !== this.#remote.csid || !equal(key, this.#remote.key)) return [];
    this.#introduction = undefined;
    if (isRelayed(path)) this.#learnRouter(path);
    this.#exchange ??= this.#newExchange(this.#remote);
    this.#isRepeated = this.#digests.includes(received.digest);
    if (!this.#isRepeated) this.#digests = [received.digest, ...this.#digests.slice(0, DIGESTS - 1)];
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
    const isDue = (at: Time | undefined): boolean => at !== undefined && at <= now;
    if (this.#exchange === undefined) {
      if (isDue(this.#introduceAt())) return this.#onIntroduceAt(now);
      return isDue(this.#retryAt) ? this.#attempt(now) : [];
    }
    this.#isTick = true;
    const out = this.#pass({ type: "tick" }, now);
    this.#isTick = false;
    if (isDue(this.#checkAt())) {
      // Without a wish and without a channel on either side nobody misses a silent link.
      const isIdle = !this.#isWanted && this.#channels.size === 0;
      return [...out, ...(isIdle ? this.#stop("idle", now) : this.#begin([], now))];
    }
    if (isDue(this.#doubtAt())) return [...out, ...this.#begin([], now)];
    if (isDue(this.#straightAt())) return [...out, ...this.#straighten(now)];
    return out;
  }

  /** When to make sure that the peer is still there, and to keep the path open. */
  #checkAt(): Time | undefined {
    if (!this.#isUp || this.#path === undefined || this.#exchange?.handshaking) return undefined;
    const quiet = isStream(this.#path) ? QUIET_STREAM_MS : QUIET_MS;
    // The peer's keepalives come as often as ours would: twice as long without a word is too long.
    const silence = this.#heard + 2 * quiet;
    return this.#isWanted ? Math.min(this.#sent + quiet, silence) : silence;
  }

  /** When to look whether a router still passes on what we say on channels. It tells nobody when it does not. */
  #doubtAt(): Time | undefined {
    if (!this.#isRelayed() || this.#exchange?.handshaking || this.#channels.size === 0) return undefined;
    return this.#unheard === undefined ? undefined : this.#unheard + DOUBT_MS;
  }

  /** When to try once more to do without a router. */
  #straightAt(): Time | undefined {
    return this.#isRelayed() && !this.#exchange?.handshaking ? this.#tryAt : undefined;
  }

  #isRelayed(): boolean {
    return this.#isUp && this.#path !== undefined && isRelayed(this.#path);
  }

  /** There is news about where the peer may be. */
  #tryStraight(now: Time): void {
    this.#tries = 0;
    if (this.#isRelayed()) this.#tryAt = now;
  }

  #straighten(now: Time): LinkOut[] {
    const straight = this.#places().filter((path) => !isRelayed(path));
    this.#tryAt = undefined;
    if (straight.length === 0) return [];
    this.#tries += 1;
    this.#tryAt = this.#nextTry(now);
    return this.#begin(straight, now);
  }

  #nextTry(now: Time): Time {
    return now + (TRY_MS[Math.min(this.#tries, TRY_MS.length - 1)] ?? 0);
  }

  /** Gives the exchange an input and does what it wants. `from`: the path that the input came from. */
  #pass(input: Parameters<Exchange["handle"]>[0], now: Time, from?: Path): LinkOut[] {
    const effects = this.#exchange?.handle(input, now) ?? [];
    if (input.type === "packet" && from === this.#path && effects.every(isUsual)) {
      // Most packets: what the exchange says is what the link says.
      if (effects.length > 0) this.#wasHeard(now);
      return effects as LinkOut[];
    }
    const out: LinkOut[] = [];
    for (const effect of effects) this.#follow(effect, now, from, out);
    return out;
  }

  #wasHeard(now: Time): void {
    this.#heard = now;
    this.#unheard = undefined;
    this.#attempts = 0;
  }

  #follow(effect: ExchangeOut, now: Time, from: Path | undefined, out: LinkOut[]): void {
    switch (effect.type) {
      case "send":
        if (effect.to === "channel") {
          if (this.#path === undefined) return;
          this.#sent = now;
          this.#unheard ??= now;
          const { bytes: packet, free = 0 } = effect;
          out.push({ type: "transmit", path: this.#path, packet, isRepeat: false, free });
          return;
        }
        for (const path of this.#destinations(effect.to, from)) {
          if (this.#isTrial(path, from) && !(this.#trials.take(now) && this.#options.trials.take(now))) continue;
          if (this.#path === undefined || isSame(path, this.#path)) this.#sent = now;
          if (effect.to !== "answer") this.#ask(path, now);
          out.push({ type: "transmit", path, packet: effect.bytes, isRepeat: this.#isTick && effect.to === "process" });
        }
        return;
      case "heard":
        this.#wasHeard(now);
        out.push(HEARD);
        if (from === undefined) return;
        this.#onHeard(effect.by === "echo" && !this.#hasAsked(from, now) ? "handshake" : effect.by, from, now, out);
        return;
      case "up":
        this.#retryAt = undefined;
        if (from !== undefined) this.#move(from, now, out);
        this.#isUp = true;
        if (from === undefined) return;
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

  /** A handshake of ours leaves on this path: an answer from there is one. */
  #ask(path: Path, now: Time): void {
    const others = this.#asked.filter((asked) => now < asked.at + ASKED_MS && !isSame(asked.path, path));
    this.#asked = [{ path, at: now }, ...others].slice(0, ASKED_LIMIT);
  }

  /**
   * Whoever is on the way can send an answer on from any other address. It proves a path only where we asked; from elsewhere
   * it says as much as a handshake does, and we ask there.
   */
  #hasAsked(path: Path, now: Time): boolean {
    return this.#asked.some((asked) => now < asked.at + ASKED_MS && isSame(asked.path, path));
  }

  #onHeard(by: "packet" | "handshake" | "echo", from: Path, now: Time, out: LinkOut[]): void {
    if (by === "echo") {
      if (!isRelayed(from) && isSame(from, this.#echoed)) this.#tries = 0; // a straight path that lasts
      this.#echoed = from;
    }
    if (this.#isUp && !isSame(from, this.#path)) this.#onMoved(by, from, now, out);
  }

  /** The peer, which is up, spoke from another path than the one in use. */
  #onMoved(by: "packet" | "handshake" | "echo", from: Path, now: Time, out: LinkOut[]): void {
    // Between a straight path and one by a router only an echo decides: what we give up works, perhaps better.
    const isOther = this.#path !== undefined && isRelayed(from) !== isRelayed(this.#path);
    if (by === "echo" || (by === "handshake" && !isOther)) {
      this.#move(from, now, out);
      // An echo answers us, so this path is proven in both directions; after its own handshake we try it ourselves. And
      // where the straight path has failed us, the peer may still believe in it.
      if (by === "handshake" || (isOther && isRelayed(from))) out.push(...this.#begin([], now));
      return;
    }
    // A channel packet may be a recording sent from anywhere: it moves nothing, but it is worth a handshake there.
    if (this.#exchange?.handshaking || now < this.#probed + PROBE_MS) return;
    this.#probed = now;
    out.push(...this.#begin([from], now));
  }

  #destinations(to: "answer" | "process" | "known", from: Path | undefined): readonly Path[] {
    switch (to) {
      case "answer":
        if (from === undefined) return [];
        // It asks again: perhaps it reaches us straight, and we don't reach it.
        return this.#isRepeated && !isRelayed(from) ? [from, ...this.#relays] : [from];
      case "process":
        // While a handshake is taken in, this is our doubt about it: to be answered there, or by the peer we know.
        if (from !== undefined)
          this.#route(this.#path, unique([from, ...(this.#path === undefined ? this.#targets : [this.#path])]));
        return this.#isTick ? unique([...this.#targets, ...this.#relays]) : this.#targets;
      case "known":
        return this.#path === undefined ? (from === undefined ? [] : [from]) : [this.#path];
    }
  }

  /** From now on we speak on this path. What the former one would take does not matter any more. */
  #move(path: Path, now: Time, out: LinkOut[]): void {
    const isNew = !isSame(path, this.#path);
    if (isRelayed(path)) this.#router = path;
    else this.#learned = path;
    this.#findRelays();
    if (isNew) this.#tryAt = isRelayed(path) ? this.#nextTry(now) : undefined;
    this.#route(path, this.#targets);
    if (isNew && this.#isUp) out.push({ type: "moved", path });
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
    this.#echoed = undefined;
    this.#asked = [];
    this.#unheard = undefined;
    this.#tries = 0;
    this.#route(undefined, []);
    if (wasUp || this.#isDead) out.push({ type: "down", why });
    this.#retryLater(now);
  }

  #retryLater(now: Time): void {
    if (!this.#isWanted || this.#isDead) return;
    const delay = RETRY_MS[Math.min(this.#attempts, RETRY_MS.length - 1)] ?? 0;
    this.#attempts += 1;
    // From 3/4 to 5/4 of it, so that peers which lost each other at the same time do not meet at the same time.
    this.#retryAt = now + delay * (0.75 + (this.#options.random(1)[0] ?? 0) / 512);
  }

  #newExchange(remote: Remote): Exchange {
    const { crypto, identity, random, handles, nextAt, held, cbor } = this.#options;
    return new Exchange({ crypto, identity, remote, random, handles, nextAt, held, cbor, extra: this.#extra() });
  }

  /** What goes with our keys: an admission URI, and what the application gave. */
  #extra(): readonly HandshakeMessage[] {
    const { crypto, identity } = this.#options;
    const csid = this.#remote?.csid;
    if (this.#uri === undefined || csid === undefined) return this.#messages;
    const uri: HandshakeMessage = { type: "uri", json: { uri: this.#uri }, body: new Uint8Array(0) };
    // One that is too long comes from another peer's card: no error of ours, so it is left out.
    return fitsHandshake(crypto, identity, csid, uri) ? [uri, ...this.#messages] : this.#messages;
  }

  /** Wherever the peer may be: straight paths first. */
  #places(): readonly Path[] {
    const known = this.#learned === undefined ? this.#wished : [this.#learned, ...this.#wished];
    const straight = unique([...known, ...this.#offered]).filter((path) => !isRelayed(path));
    return [...straight.slice(0, PLACES), ...this.#relays];
  }

  /** The peer can be reached by this router. One that was proven to do is worth more. */
  #learnRouter(path: Path): void {
    if (this.#relays.some((relay) => isSame(relay, path))) return;
    this.#router ??= path;
    this.#findRelays();
  }

  #findRelays(): void {
    const known = this.#router === undefined ? this.#wished : [this.#router, ...this.#wished];
    const relays = unique(known.filter(isRelayed)).slice(0, RELAYS);
    if (!isSamePlaces(relays, this.#relays)) this.#relays = relays;
  }

  /** Whether only the peer itself says that it is there: it could name anybody's address. */
  #isTrial(path: Path, from: Path | undefined): boolean {
    if (!this.#offered.some((offered) => isSame(offered, path))) return false;
    return ![from, this.#path, this.#learned, ...this.#wished].some((known) => isSame(known, path));
  }
}

/** Whether it has to do with nothing but a channel that is open. Where the peer is heard from the path in use, that is all. */
function isUsual(effect: ExchangeOut): boolean {
  return effect.type === "packet" || effect.type === "acked" || (effect.type === "heard" && effect.by === "packet");
}

function earlier(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

function isSame(a: Path | undefined, b: Path | undefined): boolean {
  if (a === undefined || b === undefined || a === b) return a === b;
  if (a.type !== b.type || a.ip !== b.ip || a.port !== b.port) return false;
  return a.url === b.url && a.name === b.name && a.hn === b.hn;
}

function isSamePlaces(a: readonly Path[], b: readonly Path[]): boolean {
  return a.length === b.length && a.every((path, i) => isSame(path, b[i]));
}

function unique(paths: readonly Path[]): readonly Path[] {
  return [...new Map(paths.map((path) => [pathKey(path), path])).values()];
}

const HEARD: LinkOut = { type: "heard" };
const QUIET_MS = 30_000; // nothing sent for so long: NATs forget after a minute or two
const QUIET_STREAM_MS = 5 * 60_000; // telehash v3/transports/tcp.md
const PROBE_MS = 5_000;
const RETRY_MS: readonly number[] = [30_000, 60_000, 120_000, 300_000, 600_000]; // after an attempt, which takes 30 s
const PLACES = 16; // as many paths as a card may give for one peer
const RELAYS = 4;
const DIGESTS = 8; // two handshakes of as many messages as anybody uses
const OFFERED = 8;
const TRIALS_PER_MINUTE = 24;
const ATTEMPT_MS = 30_000;
const ASKED_MS = 30_000; // as long as a handshake of ours waits for its answer
const ASKED_LIMIT = 32; // paths: more than one handshake goes to
const DOUBT_MS = 10_000; // a third of the time that a channel waits for its acknowledgements
/** Between tries to do without a router: what a keepalive costs, each. */
const TRY_MS: readonly number[] = [2_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000];
const INTRODUCE_MS: readonly number[] = [1_000, 3_000, 8_000, 20_000]; // as handshakes
const INTRODUCED_MS = 30_000;
