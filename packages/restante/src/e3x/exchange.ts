/**
 * An exchange: the encryption state towards one remote endpoint. It runs handshakes until both ends have proven that
 * they live, then encrypts the packets of its channels. protocol/exchange.md §3-6
 *
 * Three rules carry it. Whoever sees a higher `at` echoes it. A remote token counts as proven once its owner has
 * answered something that only a live peer could have seen; a recording cannot (X34). What we began is resent until
 * it is answered, or everything ends after 30 seconds.
 */
import { assert, equal, type Machine, type Random, RestanteError, type Time, toHex } from "../bytes/index.ts";
import {
  type ChannelCipher,
  type Crypto,
  type Hashname,
  type Identity,
  type KeyPair,
  order,
  routingToken,
} from "../crypto/index.ts";
import { encodePacket } from "../wire/index.ts";
import { type ChannelEvent, Channels, type ChannelsIn, type Held } from "./channels.ts";
import { encodeHandshake, HANDSHAKE_BYTES, type HandshakeMessage, keyPacket, MAX_AT } from "./handshake.ts";
import { sealMessage } from "./message.ts";

/** A handshake message that came in: verified to be the remote's, and approved. */
export interface ReceivedHandshake {
  readonly at: bigint;
  /** The 16-byte routing token and the ephemeral key of the exchange that it belongs to. */
  readonly token: Uint8Array;
  readonly ephemeral: Uint8Array;
  /** Its type: "key", "uri", ... */
  readonly kind: string;
  /** Tells outer packets apart: equal exactly for equal bytes. */
  readonly digest: string;
}

export type ExchangeIn =
  /**
   * Begin a handshake process with a new `at`: at first, as a keepalive, to try a path. A process that is under way is
   * superseded. `extra`: messages to send besides the key message, kept for later; absent: those kept.
   */
  | { readonly type: "start"; readonly extra?: readonly HandshakeMessage[] }
  | ({ readonly type: "handshake" } & ReceivedHandshake)
  /** The BODY of a channel packet that carried our token. */
  | { readonly type: "packet"; readonly body: Uint8Array }
  /** End it now: channels close with `err`, nothing is sent, nothing more happens. */
  | { readonly type: "stop"; readonly err: string }
  | Exclude<ChannelsIn, { type: "received" } | { type: "reset" }>;

export type ExchangeOut =
  /**
   * An outer packet, for: "answer" where the handshake just handled came from; "process" wherever the remote may be
   * (our own handshake, first time and resends); "known" only where it is known to be; "channel" where it is.
   */
  | { readonly type: "send"; readonly bytes: Uint8Array; readonly to: "answer" | "process" | "known" | "channel" }
  /**
   * The input came from the remote. By "packet" (may be a replay), by a "handshake" that the remote began, or by its
   * "echo" of ours: the last two are proofs of life.
   */
  | { readonly type: "heard"; readonly by: "packet" | "handshake" | "echo" }
  /** Channels work from here on. Comes once, and after each `renewed`. */
  | { readonly type: "up" }
  /** The remote has a new exchange. All channels were closed before. */
  | { readonly type: "renewed" }
  /**
   * The end, after all channels were closed: 30 s without an answer; or for good, since no `at` is left or nothing can
   * be sealed to the remote's key.
   */
  | { readonly type: "timeout" }
  | { readonly type: "dead" }
  | ChannelEvent;

export interface ExchangeOptions {
  readonly crypto: Crypto;
  readonly identity: Identity;
  readonly remote: { readonly hashname: Hashname; readonly csid: number; readonly key: Uint8Array };
  readonly random: Random;
  /** Fresh channel handles, unique in the whole peer. */
  readonly handles: () => number;
  /** An even number above `above` and above every one it gave before. The exchange sets the order bit. */
  readonly nextAt: (above: bigint, now: Time) => bigint;
  /** As in "start". */
  readonly extra?: readonly HandshakeMessage[];
  /** Shared by all exchanges of the peer. */
  readonly held?: Held;
}

/** What is known of an exchange of the remote. The object stays the same for as long as it is known. */
export interface RemoteExchange {
  /** Its token in hex. */
  readonly name: string;
  readonly ephemeral: Uint8Array;
}

interface Session extends RemoteExchange {
  readonly token: Uint8Array;
  readonly cipher: ChannelCipher;
}

/** A handshake of ours as it goes over the wire, every time the same bytes. */
interface Handshake {
  readonly at: bigint;
  readonly packets: readonly Uint8Array[];
  repeated: Time; // when they last went out in answer to what the remote had sent before
}

/** A handshake that we originated: resent until it is answered. */
interface Process extends Handshake {
  readonly began: Time;
  resends: number;
  isOpen: boolean;
}

/** Our echo of a handshake that the remote originated, and what of that one has come so far. */
interface Echo extends Handshake {
  readonly of: Uint8Array; // the token of that one
  readonly seen: Map<string, string>; // digests by type
}

export class Exchange implements Machine<ExchangeIn, ExchangeOut> {
  /** Packets to us carry it (16 bytes). */
  readonly token: Uint8Array;
  /** The raw first 16 bytes of our messages: peers that never hash their token address us by these (X2). */
  readonly prefix: Uint8Array;
  readonly #options: ExchangeOptions;
  readonly #ephemeral: KeyPair;
  readonly #order: 0 | 1;
  readonly #channels: Channels;
  #extra: readonly HandshakeMessage[];
  #high = 0n; // the highest `at` sent or seen
  #own: Process | undefined;
  #echo: Echo | undefined;
  #session: Session | undefined;
  #candidate: Session | undefined; // sent a good handshake, but it may be a recording
  readonly #retired = new Set<string>(); // tokens of sessions that were replaced: they never come back
  #credit: number = Number.POSITIVE_INFINITY; // bytes that the path takes, once there is a session
  #isOver = false;

  constructor(options: ExchangeOptions) {
    const { crypto, identity, remote, random } = options;
    const [set, pair] = [crypto.sets.get(remote.csid), identity.pairs.get(remote.csid)];
    assert(set !== undefined && pair !== undefined, "an exchange uses a cipher set that we have");
    this.#options = options;
    this.#extra = options.extra ?? [];
    this.#ephemeral = set.generate(random);
    this.prefix = this.#ephemeral.key.slice(0, PREFIX_BYTES);
    this.token = routingToken(crypto.backend, this.prefix);
    this.#order = order(pair.key, remote.key);
    const { handles, held } = options;
    this.#channels = new Channels({ order: this.#order, handles, ...(held && { held }) });
    this.#channels.handle({ type: "credit", bytes: 0 }, 0); // packets wait in their channels until the first session
  }

  /** Whether a handshake process of ours waits for its answer. */
  get handshaking(): boolean {
    return this.#own?.isOpen === true;
  }

  /** The remote's exchanges, the proven one and the one on trial: token (hex) and ephemeral key. */
  get remotes(): readonly RemoteExchange[] {
    return [this.#session, this.#candidate].filter((session) => session !== undefined);
  }

  handle(input: ExchangeIn, now: Time): ExchangeOut[] {
    if (this.#isOver) return [];
    switch (input.type) {
      case "start":
        this.#extra = input.extra ?? this.#extra;
        return this.#originate(now);
      case "handshake":
        return this.#onHandshake(input, now);
      case "packet":
        return this.#onPacket(input.body, now);
      case "stop":
        return this.#end(input.err, now);
      case "tick":
        return [...this.#resend(now), ...this.#pass({ type: "tick" }, now)];
      case "credit":
        this.#credit = input.bytes;
        return this.#session === undefined ? [] : this.#pass(input, now);
      default:
        return this.#pass(input, now);
    }
  }

  deadline(): Time | undefined {
    if (this.#isOver) return undefined;
    const channels = this.#channels.deadline();
    const own = this.#own;
    if (!own?.isOpen) return channels;
    return Math.min(own.began + (RESEND_MS[own.resends] ?? TIMEOUT_MS), channels ?? Number.POSITIVE_INFINITY);
  }

  #onHandshake(received: ReceivedHandshake, now: Time): ExchangeOut[] {
    const { at, kind, digest } = received;
    const isEcho = at === this.#own?.at;
    if (isEcho || at > this.#high) {
      const session = this.#sessionOf(received);
      if (session === undefined) return [];
      return isEcho ? this.#onEcho(session, now) : this.#onNewer(received, session, now);
    }
    const echo = this.#echo;
    if (echo === undefined || at !== echo.at || !equal(received.token, echo.of)) return this.#onStale(now);
    const seen = echo.seen.get(kind);
    if (seen === undefined && echo.seen.size < KINDS) {
      echo.seen.set(kind, digest);
      return []; // one more message of a handshake that is answered already
    }
    return seen === digest ? repeat(echo, "answer", now) : this.#onStale(now);
  }

  /** The remote answers the handshake that we began last. */
  #onEcho(session: Session, now: Time): ExchangeOut[] {
    const own = this.#own;
    assert(own !== undefined, "an echo is of something");
    if (session === this.#session) {
      this.#candidate = undefined; // the session on trial did not answer, the old one did: it was a recording
      if (!own.isOpen) return [];
      own.isOpen = false;
      return [{ type: "heard", by: "echo" }];
    }
    // Only while nobody has answered: once it was answered, an echo under another token may be a recorded one.
    if (!own.isOpen) return this.#challenge(session, now);
    own.isOpen = false;
    return [{ type: "heard", by: "echo" }, ...this.#adopt(session, now)];
  }

  /** The remote began a handshake, higher than all before. */
  #onNewer(received: ReceivedHandshake, session: Session, now: Time): ExchangeOut[] {
    const { at, kind, digest } = received;
    this.#high = at;
    const packets = this.#seal(at);
    if (packets === undefined) return this.#over("dead", now);
    this.#echo = { at, packets, repeated: NEVER, of: session.token, seen: new Map([[kind, digest]]) };
    const out = send(packets, "answer");
    const isKnown = session === this.#session || session === this.#candidate;
    if (isKnown) {
      // Our own process has its answer: the remote is alive, on a token that it has proven before or proves so.
      if (this.#own !== undefined) this.#own.isOpen = false;
      out.push({ type: "heard", by: "handshake" });
      if (session === this.#candidate) out.push(...this.#adopt(session, now));
      this.#candidate = undefined;
    } else if (at < MAX_AT) out.push(...this.#challenge(session, now));
    return at === MAX_AT ? [...out, ...this.#over("dead", now)] : out;
  }

  /** A lower `at`, or an equal one with other bytes. The remote may have lost its state and must learn ours (X11). */
  #onStale(now: Time): ExchangeOut[] {
    const [own, echo] = [this.#own, this.#echo];
    const current = (own?.at ?? 0n) > (echo?.at ?? 0n) ? own : echo;
    return current === undefined ? [] : repeat(current, "known", now);
  }

  /** Puts a token on trial: a higher `at` of ours goes out, and who answers that under this token is alive (X34). */
  #challenge(session: Session, now: Time): ExchangeOut[] {
    this.#candidate = session;
    return this.#originate(now);
  }

  /** The session is proven: it becomes the one in use. */
  #adopt(session: Session, now: Time): ExchangeOut[] {
    const out: ExchangeOut[] = [];
    const old = this.#session;
    this.#session = session;
    this.#candidate = undefined;
    if (old !== undefined) {
      this.#retired.add(old.name);
      const [oldest] = this.#retired;
      if (this.#retired.size > RETIRED && oldest !== undefined) this.#retired.delete(oldest);
      out.push(...this.#pass({ type: "reset", err: "renewed" }, now), { type: "renewed" });
    }
    out.push({ type: "up" });
    if (old === undefined) out.push(...this.#pass({ type: "credit", bytes: this.#credit }, now));
    return out;
  }

  #onPacket(body: Uint8Array, now: Time): ExchangeOut[] {
    const out: ExchangeOut[] = [{ type: "heard", by: "packet" }];
    let inner = this.#session?.cipher.open(body);
    if (inner === undefined) {
      // What opens with the keys on trial was made with our ephemeral key, which no recording from before has seen.
      const candidate = this.#candidate;
      inner = candidate?.cipher.open(body);
      if (candidate === undefined || inner === undefined) return [];
      out.push(...this.#adopt(candidate, now));
    }
    return [...out, ...this.#pass({ type: "received", inner }, now)];
  }

  /** Begins a handshake of ours with a new `at`, above all that were sent or seen. */
  #originate(now: Time): ExchangeOut[] {
    const at = this.#options.nextAt(this.#high, now) | BigInt(this.#order);
    assert(at > this.#high, "an `at` only increases");
    const packets = at > MAX_AT ? undefined : this.#seal(at);
    if (packets === undefined) return this.#over("dead", now);
    this.#high = at;
    this.#own = { at, packets, repeated: NEVER, began: now, resends: 0, isOpen: true };
    return send(packets, "process");
  }

  #resend(now: Time): ExchangeOut[] {
    const own = this.#own;
    if (!own?.isOpen) return [];
    const age = now - own.began;
    if (age >= TIMEOUT_MS) return this.#over("timeout", now);
    const due = RESEND_MS.filter((offset) => offset <= age).length;
    if (due === own.resends) return [];
    own.resends = due; // after a long sleep the missed ones go as one
    return send(own.packets, "process");
  }

  /** All our handshake messages under one `at`; `undefined` when nothing can be sealed to the remote's key. */
  #seal(at: bigint): readonly Uint8Array[] | undefined {
    const { crypto, identity, remote, random } = this.#options;
    const [to, ephemeral] = [new Map([[remote.csid, remote.key]]), this.#ephemeral];
    const keys = keyPacket(crypto.backend, identity, remote.csid);
    const packets: Uint8Array[] = [];
    for (const message of [{ type: "key", json: {}, body: keys }, ...this.#extra]) {
      // A uri message carries our keys too: it can be verified alone, whichever comes first.
      const inner = encodeHandshake(at, message.type === "uri" ? { ...message, body: keys } : message);
      const packet = sealMessage(crypto, { from: identity, to, inner, random, ephemeral });
      if (packet === undefined) return undefined;
      if (packet.length >= HANDSHAKE_BYTES)
        throw new RestanteError("handshake-size", "a handshake message has less than 1400 bytes");
      packets.push(packet);
    }
    return packets;
  }

  /** The session of a token: the one in use, the one on trial, or a new one; `undefined` when it cannot be one again. */
  #sessionOf({ token, ephemeral }: ReceivedHandshake): Session | undefined {
    for (const known of [this.#session, this.#candidate])
      if (known !== undefined && equal(known.token, token)) return known;
    const name = toHex(token);
    if (this.#retired.has(name)) return undefined;
    const { crypto, remote } = this.#options;
    const cipher = crypto.sets.get(remote.csid)?.channel(this.#ephemeral, ephemeral);
    return cipher && { name, token, ephemeral, cipher };
  }

  /** Hands something to the channels and encrypts what they want sent. Without a session that reaches nobody. */
  #pass(input: ChannelsIn, now: Time): ExchangeOut[] {
    return this.#channels.handle(input, now).flatMap((out) => {
      if (out.type !== "transmit") return out;
      if (this.#session === undefined) return [];
      const { token, cipher } = this.#session;
      const bytes = encodePacket(undefined, cipher.seal(token, out.inner, this.#options.random));
      return { type: "send", bytes, to: "channel" };
    });
  }

  #over(type: "timeout" | "dead", now: Time): ExchangeOut[] {
    return [...this.#end(type, now), { type }];
  }

  #end(err: string, now: Time): ExchangeOut[] {
    // Nobody is told: the remote is gone, or shall not learn why.
    this.#isOver = true;
    this.#own = this.#echo = this.#session = this.#candidate = undefined;
    return this.#pass({ type: "reset", err }, now);
  }
}

function send(packets: readonly Uint8Array[], to: "answer" | "process" | "known"): ExchangeOut[] {
  return packets.map((bytes) => ({ type: "send", bytes, to }));
}

/** The same packets once more, at most once a second (X10, X11). */
function repeat(handshake: Handshake, to: "answer" | "known", now: Time): ExchangeOut[] {
  if (now - handshake.repeated < REPEAT_MS) return [];
  handshake.repeated = now;
  return send(handshake.packets, to);
}

/** Offsets from the first send. Seed 004, decision X3 */
const RESEND_MS: readonly number[] = [1_000, 3_000, 8_000, 20_000];
const TIMEOUT_MS = 30_000; // seed 004
const REPEAT_MS = 1_000; // decisions X10 and X11
const PREFIX_BYTES = 16; // seed 004, "Routing Token"
const RETIRED = 16;
const KINDS = 8; // types of messages in one handshake
const NEVER = Number.NEGATIVE_INFINITY;
