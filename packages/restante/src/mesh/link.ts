/**
 * A link: the relation to one peer. It keeps trying while it is wanted, chooses the path to speak on, notices when the
 * other end is gone, and owns the exchange while there is one. protocol/exchange.md §6-7; of paths that lead by a
 * router, which it uses while there is no better one: protocol/routing.md §5
 */
import { Budget, equal, type Machine, type Time } from "../bytes/index.ts";
import { isRelayed, isStream, type Path } from "../card/index.ts";
import { csidText, type Hashname, highestCommon, type Keys } from "../crypto/index.ts";
import {
  Exchange,
  type ExchangeOut,
  encodeHandshake,
  fitsHandshake,
  type HandshakeMessage,
  keyPacket,
} from "../e3x/index.ts";
import type { LinkIn, LinkOptions, LinkOut, Transmit } from "./link-contract.ts";
import { isSame, isSamePlaces, unique } from "./places.ts";

interface Remote {
  readonly hashname: Hashname;
  readonly csid: number;
  readonly key: Uint8Array;
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
  #since: Time = 0; // when it came up
  #isDead = false; // no `at` is left for this pair: only a new hashname helps
  #isWanted = false;
  #wished: readonly Path[] = []; // where we were told to look
  #offered: readonly Path[] = []; // where the peer says that it is
  #uri: string | undefined;
  #messages: readonly HandshakeMessage[];
  #path: Path | undefined; // where the peer has proven to be
  #echoed: Path | undefined; // where it last answered a handshake of ours
  #asked: readonly { readonly path: Path; readonly at: Time; readonly isAgain: boolean }[] = []; // where handshakes of ours went, the latest first
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
  #leftFrom: Path | undefined; // where the peer was that said goodbye: the one place to call first
  #visits = 0; // goodbyes in a row after less than `LASTED_MS`
  #introduction: Introduction | undefined;
  #tries = 0; // to get away from a router
  #tryAt: Time | undefined;
  #isTick = false;
  #roundTrip: number | undefined;
  #pinged: Time | undefined; // since when somebody waits for an answer
  #digests: readonly string[] = []; // of the handshakes that came last
  #isRepeated = false; // the one that is taken in came before
  #stray: Path | undefined; // where the last handshake came from, if it is of an exchange that we never saw
  #lostAt: Time | undefined; // when a connection was lost, if the peer has not answered since
  #mutual: number | undefined; // a channel "link" of the peer's, whose end is that of the link
  #calls: Budget | undefined; // handshakes to where a card says that the peer is, and it was not heard
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

  /** When it came up, and how long the answer to the last handshake took on the path in use. `undefined` while it is down. */
  get measure(): { readonly since: Time; readonly roundTrip: number | undefined } | undefined {
    return this.#isUp ? { since: this.#since, roundTrip: this.#roundTrip } : undefined;
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
      case "ping":
        this.#pinged ??= now;
        this.#leftFrom = undefined;
        if (!this.#isUp) return this.#onNeeded(false, now);
        return this.#exchange?.handshaking ? [] : this.#begin([], now);
      case "handshake":
        return this.#onHandshake(input, now);
      case "packets":
        return this.#pass(input, now, input.path);
      case "credit":
        return this.#pass({ ...input, isPaced: this.#path !== undefined && isPaced(this.#path) }, now);
      case "lost":
        return this.#onLost(input.path, now);
      case "stop":
        return this.#stop(input.why, now);
      case "leave":
        return this.#leave(input.ch, now);
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
    const ends = earlier(this.#checkAt(), this.#goneAt());
    return earlier(this.#exchange.deadline(), earlier(ends, earlier(this.#doubtAt(), this.#straightAt())));
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
    this.#leftFrom = undefined;
    return this.#attempt(now);
  }

  /** Looks for the peer wherever it may be, or only where it was when it left. */
  #attempt(now: Time): LinkOut[] {
    this.#retryAt = undefined;
    this.#attempted = now;
    const places = this.#leftFrom === undefined ? this.#places() : [this.#leftFrom];
    this.#leftFrom = undefined;
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
    return this.#relays.flatMap((path) => packets.map((packet) => transmit(path, packet, isRepeat)));
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
    const { path, csid, key } = input;
    this.#remote ??= { hashname: this.#options.hashname, csid, key };
    if (this.#isDead || csid !== this.#remote.csid || !equal(key, this.#remote.key)) return [];
    this.#introduction = undefined;
    if (isRelayed(path)) this.#learnRouter(path);
    this.#exchange ??= this.#newExchange(this.#remote);
    this.#isRepeated = this.#digests.includes(input.digest);
    if (!this.#isRepeated) this.#digests = [input.digest, ...this.#digests.slice(0, DIGESTS - 1)];
    this.#stray = this.#exchange.remembers(input.name) ? undefined : path;
    const out = this.#pass(input, now, path);
    const isIdle = !this.#isUp && this.#exchange !== undefined && !this.#exchange.handshaking;
    return isIdle ? [...out, ...this.#stop("unusable", now)] : out;
  }

  /** A connection is gone: speak elsewhere, and find out whether the peer is there. */
  #onLost(path: Path, now: Time): LinkOut[] {
    if (isSame(this.#learned, path)) this.#learned = undefined;
    if (!this.#isUp) return [];
    this.#lostAt ??= now;
    // Not the path in use: the peer answers there at once, or it is gone as a whole.
    if (!isSame(this.#path, path)) return this.#exchange?.handshaking ? [] : this.#begin([], now);
    const places = this.#places(); // the lost one among them if we can dial it
    const [next] = places;
    if (next === undefined) return this.#stop("path", now);
    const out: LinkOut[] = [];
    this.#move(next, now, out);
    out.push(...this.#begin(places, now));
    return out;
  }

  #leave(ch: number, now: Time): LinkOut[] {
    this.#isWanted = false;
    if (!this.#isUp) return this.#stop(LEFT, now);
    const { head, body } = FAREWELL;
    const out = this.#pass({ type: "open", ch, reliable: false, head, body, end: true }, now);
    return [...out, ...this.#stop(LEFT, now)];
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
    if (isDue(this.#goneAt())) {
      const gone = this.#stop("path", now);
      return [...out, ...gone, ...(this.#isWanted ? this.#attempt(now) : [])];
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

  /** When the peer is taken for gone: a connection with it was lost, and it has not answered a handshake since. */
  #goneAt(): Time | undefined {
    return this.#lostAt !== undefined && this.#exchange?.handshaking ? this.#lostAt + LOST_MS : undefined;
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
    const exchange = this.#exchange;
    const effects = exchange?.handle(input, now) ?? [];
    if (input.type === "packets" && from === this.#path && effects.every(isUsual)) {
      // Most packets: what the exchange says is what the link says.
      if (effects.length > 0) this.#wasHeard(now);
      return effects as LinkOut[];
    }
    const [first] = effects;
    // What leaves on a channel, mostly one packet at a time. An array that grows takes room for 16 more at once.
    if (effects.length === 1 && first?.type === "send" && first.to === "channel" && this.#path !== undefined) {
      this.#sent = now;
      this.#unheard ??= now;
      return [transmit(this.#path, first.bytes, false, first.free)];
    }
    const out: LinkOut[] = [];
    for (const effect of effects) {
      // The peer may say goodbye in the midst of a row: nothing of what comes behind that is told but what was told before and ends.
      const isOver = this.#exchange !== exchange && effect.type !== "closed" && effect.type !== "dropped";
      if (!isOver) this.#follow(effect, now, from, out);
    }
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
          out.push(transmit(this.#path, effect.bytes, false, effect.free));
          return;
        }
        for (const path of this.#destinations(effect.to, from, now)) {
          if (!this.#mayAsk(path, from, now)) continue;
          if (this.#path === undefined || isSame(path, this.#path)) this.#sent = now;
          if (effect.to !== "answer") this.#ask(path, now);
          out.push(transmit(path, effect.bytes, this.#isTick && effect.to === "process"));
        }
        return;
      case "heard":
        this.#wasHeard(now);
        if (effect.by !== "packet") this.#lostAt = undefined;
        out.push(HEARD);
        if (from === undefined) return;
        this.#onHeard(effect.by === "echo" && !this.#hasAsked(from, now) ? "handshake" : effect.by, from, now, out);
        return;
      case "up":
        this.#retryAt = undefined;
        if (from !== undefined) this.#move(from, now, out);
        if (!this.#isUp) this.#since = now;
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
        if (effect.kind === FAREWELL.head.type && !effect.reliable) this.#mutual = effect.ch;
        out.push(effect);
        return;
      case "ended":
        out.push(effect);
        if (effect.ch === this.#mutual) for (const one of this.#stop(LEFT, now)) out.push(one);
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
    // Of an answer to one that went twice nobody knows to which of them it is.
    const isAgain = this.#isTick && this.#hasAsked(path, now);
    this.#asked = [{ path, at: now, isAgain }, ...others].slice(0, ASKED_LIMIT);
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
      const asked = this.#asked.find(({ path }) => isSame(path, from));
      if (asked !== undefined && !asked.isAgain) this.#roundTrip = now - asked.at;
      if (this.#pinged !== undefined) {
        // Where it is not known which of several was answered: as long as it took in all.
        out.push({ type: "pong", ms: now - (asked === undefined || asked.isAgain ? this.#pinged : asked.at) });
        this.#pinged = undefined;
      }
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

  #destinations(to: "answer" | "process" | "known", from: Path | undefined, now: Time): readonly Path[] {
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
        return this.#knownPlaces(from, now);
    }
  }

  /**
   * Where a handshake with an old number is answered: where the peer is known to be. Where it came from only if it may be
   * that of a peer that lost its count and moved, and from a budget, for it may be a recording that somebody plays.
   */
  #knownPlaces(from: Path | undefined, now: Time): readonly Path[] {
    const stray = this.#stray;
    this.#stray = undefined;
    if (this.#path === undefined) return from === undefined ? [] : [from];
    if (stray === undefined || isSame(stray, this.#path)) return [this.#path];
    return this.#trials.take(now) && this.#options.trials.take(now) ? [this.#path, stray] : [this.#path];
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
    // As long as nobody says what it takes, a window of our own has to do.
    const credit = { type: "credit", bytes: Number.POSITIVE_INFINITY, isPaced: false } as const;
    if (isNew) out.push(...this.#pass(credit, now));
  }

  #route(path: Path | undefined, targets: readonly Path[]): void {
    this.#path = path;
    if (targets !== this.#targets) this.#targets = targets.slice(0, PLACES + 1);
    const routes = path === undefined ? this.#targets : unique([path, ...this.#targets]);
    if (!isSamePlaces(routes, this.#routes)) this.#routes = routes;
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
    const hasLeft = wasUp && why === LEFT;
    const hasLasted = wasUp && now >= this.#since + LASTED_MS;
    this.#exchange = undefined;
    this.#isUp = false;
    this.#echoed = undefined;
    this.#roundTrip = undefined;
    this.#pinged = undefined;
    this.#asked = [];
    this.#unheard = undefined;
    this.#lostAt = undefined;
    this.#mutual = undefined;
    this.#tries = 0;
    // Who leaves may start anew at once. But who comes and leaves all the time must not have us call all that its card names.
    this.#leftFrom = hasLeft ? this.#path : undefined;
    if (hasLasted) this.#visits = 0;
    else if (hasLeft) this.#attempts = this.#visits++;
    this.#route(undefined, []);
    if (wasUp || this.#isDead) out.push({ type: "down", why });
    this.#retryLater(now, hasLeft && hasLasted ? LEFT_MS : undefined);
  }

  /** `first`: instead of the next of the ordinary times. */
  #retryLater(now: Time, first?: number): void {
    if (!this.#isWanted || this.#isDead) return;
    const delay = first ?? RETRY_MS[Math.min(this.#attempts, RETRY_MS.length - 1)] ?? 0;
    if (first === undefined) this.#attempts += 1;
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

  /** Whether there is a handshake left for this place. Where the peer has not been heard, its card or itself may name anybody's. */
  #mayAsk(path: Path, from: Path | undefined, now: Time): boolean {
    const isThis = (other: Path | undefined): boolean => isSame(other, path);
    if (isRelayed(path) || [from, this.#path, this.#learned].some(isThis)) return true;
    if (this.#wished.some(isThis)) {
      this.#calls ??= new Budget(CALLS_PER_MINUTE / 60, CALLS);
      return this.#calls.take(now);
    }
    return !this.#offered.some(isThis) || (this.#trials.take(now) && this.#options.trials.take(now));
  }
}

/** Whether it has to do with nothing but a channel that is open. Where the peer is heard from the path in use, that is all. */
function isUsual(effect: ExchangeOut): boolean {
  return effect.type === "packets" || effect.type === "acked" || (effect.type === "heard" && effect.by === "packet");
}

/** Whether TCP carries it, which bounds by itself what is under way. */
function isPaced(path: Path): boolean {
  return isStream(path) || path.type === "ws";
}

/** Written in one place, so that all have one shape. */
function transmit(path: Path, bytes: Uint8Array, isRepeat: boolean, free = 0): Transmit {
  return { type: "transmit", path, bytes, isRepeat, free };
}

function earlier(a: Time | undefined, b: Time | undefined): Time | undefined {
  return a === undefined || b === undefined ? (a ?? b) : Math.min(a, b);
}

const HEARD: LinkOut = { type: "heard" };
/** The end of a link as telehash had it while a link was a channel: an `end` on an unreliable one of type "link". */
const FAREWELL = { head: Object.freeze({ type: "link" }), body: new Uint8Array(0) };
const LEFT = "left";
const LEFT_MS = 8_000; // a service that is started anew is back by then
const LASTED_MS = 60_000; // a link that was up for so long was no visit
const QUIET_MS = 30_000; // nothing sent for so long: NATs forget after a minute or two
const QUIET_STREAM_MS = 5 * 60_000; // telehash v3/transports/tcp.md
const PROBE_MS = 5_000;
const RETRY_MS: readonly number[] = [30_000, 60_000, 120_000, 300_000, 600_000]; // after an attempt, which takes 30 s
const PLACES = 16; // as many paths as a card may give for one peer
const RELAYS = 4;
const DIGESTS = 8; // two handshakes of as many messages as anybody uses
const OFFERED = 8;
const TRIALS_PER_MINUTE = 24;
const CALLS = 2 * PLACES * 5; // two attempts, with all resends, at everything that a card may name
const CALLS_PER_MINUTE = 40;
const ATTEMPT_MS = 30_000;
const ASKED_MS = 30_000; // as long as a handshake of ours waits for its answer
const ASKED_LIMIT = 32; // paths: more than one handshake goes to
const LOST_MS = 2_500; // the handshake and its first resend, with more than a second for the answer
const DOUBT_MS = 10_000; // a third of the time that a channel waits for its acknowledgements
/** Between tries to do without a router: what a keepalive costs, each. */
const TRY_MS: readonly number[] = [2_000, 10_000, 30_000, 60_000, 120_000, 300_000, 600_000];
const INTRODUCE_MS: readonly number[] = [1_000, 3_000, 8_000, 20_000]; // as handshakes
const INTRODUCED_MS = 30_000;
