/**
 * An exchange: the encryption state towards one remote endpoint. It runs handshakes until both ends have proven that
 * they live, then encrypts the packets of its channels. What it decides about handshakes is in handshaking.ts; here are
 * the keys, the bytes and the channels. protocol/exchange.md §3-6
 */
import { assert, type Machine, type Random, RestanteError, type Time, toHex } from "../bytes/index.ts";
import {
  type ChannelCipher,
  type Crypto,
  type Ephemeral,
  type Hashname,
  type Identity,
  order,
  routingToken,
} from "../crypto/index.ts";
import { encodePacket } from "../wire/index.ts";
import {
  type ChannelEvent,
  Channels,
  type ChannelsIn,
  type ChannelsOut,
  type Held,
  type InnerPacket,
} from "./channels.ts";
import { encodeHandshake, HANDSHAKE_BYTES, type HandshakeMessage, keyPacket } from "./handshake.ts";
import {
  deadline,
  type Handshaking,
  type HandshakingIn,
  type HandshakingOut,
  isCurrent,
  NOTHING,
  step,
  type Token,
} from "./handshaking.ts";
import { sealMessage } from "./message.ts";
import { decodePayload, encodePayload } from "./payload.ts";

/** A handshake message that came in: verified to be the remote's, and approved. */
export interface ReceivedHandshake {
  readonly at: bigint;
  /** The 16-byte routing token of the exchange that it belongs to, its key, and its prefix (see `Ephemeral`). */
  readonly token: Uint8Array;
  readonly ephemeral: Uint8Array;
  readonly prefix: Uint8Array;
  /** The token in hex, where that is known already. */
  readonly name?: string | undefined;
  /** The encoding of channel payloads that its sender states; absent is 0. */
  readonly z?: number | undefined;
  /** Its type: "key", "uri", ... */
  readonly kind: string;
  /** Tells outer packets of one sender apart. */
  readonly digest: string;
}

/** A packet as it goes over the wire, without cloak and chunks: it stands in `bytes` from `at` to the end. */
export interface OuterPacket {
  readonly bytes: Uint8Array;
  readonly at: number;
}

/** What an exchange is told: by its user, by the wire, and by the channels' user. */
export type ExchangeIn =
  /**
   * Begin a handshake process with a new `at`: at first, as a keepalive, to try a path. A process that is under way is
   * superseded. `extra`: messages to send besides the key message, kept for later; absent: those kept.
   */
  | { readonly type: "start"; readonly extra?: readonly HandshakeMessage[] }
  | ({ readonly type: "handshake" } & ReceivedHandshake)
  /** Channel packets that carried our token, in the order in which they came. They may be overwritten. */
  | { readonly type: "packets"; readonly packets: readonly OuterPacket[] }
  /** End it now: channels close with `err`, nothing is sent, nothing more happens. */
  | { readonly type: "stop"; readonly err: string }
  | Exclude<ChannelsIn, { type: "received" } | { type: "reset" }>;

/** What has to happen, in this order. */
export type ExchangeOut =
  /**
   * An outer packet, for: "answer" where the handshake just handled came from; "process" wherever the remote may be
   * (our own handshake, first time and resends); "known" only where it is known to be; "channel" where it is. It stands in
   * `bytes` from `free` to the end; what stands before is for what is put around it.
   */
  | {
      readonly type: "send";
      readonly bytes: Uint8Array;
      readonly to: "answer" | "process" | "known" | "channel";
      readonly free: number;
    }
  /**
   * The input came from the remote, or some of its packets. By "packet" (may be a replay), by a "handshake" that the remote began, or by its
   * "echo" of ours: the last two are proofs of life.
   */
  | { readonly type: "heard"; readonly by: "packet" | "handshake" | "echo" }
  /** So many packets of the input were of no use: not the remote's, or no packets under its keys. Comes last. */
  | { readonly type: "dropped"; readonly count: number }
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

/** Between whom an exchange is, and where its chance, handles and numbers come from. */
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
  /** Offer channel payloads in CBOR; used when the remote offers it too. */
  readonly cbor?: boolean;
}

/** What is known of an exchange of the remote. The object stays the same for as long as it is known. */
export interface RemoteExchange {
  /** Its token in hex. */
  readonly name: string;
  /** With what all its messages begin. */
  readonly prefix: Uint8Array;
}

interface Session extends RemoteExchange {
  readonly token: Uint8Array;
  readonly cipher: ChannelCipher;
  readonly isCbor: boolean;
  /** What came under its keys before it was proven, opened. A peer that lives sends it right behind its handshake. */
  readonly early: Uint8Array[];
}

/**
 * One exchange, from its first handshake until "dead" or "stop"; afterwards it answers nothing. Throws (our bug) when the identity
 * has no key of the remote's cipher set. protocol/exchange.md §3-6
 */
export class Exchange implements Machine<ExchangeIn, ExchangeOut> {
  /** Packets to us carry it (16 bytes). */
  readonly token: Uint8Array;
  /** The raw first 16 bytes of our messages: peers that never hash their token address us by these (X2). */
  readonly prefix: Uint8Array;
  readonly #options: ExchangeOptions;
  readonly #ephemeral: Ephemeral | undefined; // none: the remote has a key that nothing can be sealed to
  readonly #order: 0 | 1;
  readonly #channels: Channels;
  readonly #isWeak: boolean;
  #guesses = 0;
  #extra: readonly HandshakeMessage[];
  #state: Handshaking | undefined = NOTHING; // none: it is over
  readonly #sealed = new Map<bigint, readonly Uint8Array[]>(); // our handshakes by `at`, for every time the same bytes
  readonly #sessions = new Map<Token, Session>(); // the session and the candidate
  // What follows from the state, so that no packet has to look it up:
  #session: Session | undefined;
  #candidate: Session | undefined;
  #remotes: readonly RemoteExchange[] = [];
  #handshakeAt: Time | undefined;
  #credit: number = Number.POSITIVE_INFINITY; // bytes that the path takes, once there is a session
  readonly #gathered: ExchangeOut[] = []; // what an input led to, while it is taken

  constructor(options: ExchangeOptions) {
    const { crypto, identity, remote, random } = options;
    const [set, pair] = [crypto.sets.get(remote.csid), identity.pairs.get(remote.csid)];
    assert(set !== undefined && pair !== undefined, "an exchange uses a cipher set that we have");
    this.#options = options;
    this.#extra = options.extra ?? [];
    this.#isWeak = set.isWeak === true;
    this.#ephemeral = set.exchange(remote.key, random);
    this.prefix = this.#ephemeral?.prefix.slice(0, PREFIX_BYTES) ?? random(PREFIX_BYTES);
    this.token = routingToken(crypto.backend, this.prefix);
    this.#order = order(pair.key, remote.key);
    const { handles, held } = options;
    // Where the cipher can work in place, channels leave room for all that stands before an inner packet.
    const front = set.channelFront === undefined || options.cbor ? 0 : FREE + LENGTH_BYTES + set.channelFront;
    this.#channels = new Channels({ order: this.#order, handles, front, ...(held && { held }) });
    this.#channels.handle({ type: "credit", bytes: 0 }, 0); // packets wait in their channels until the first session
  }

  /** Whether a handshake process of ours waits for its answer. */
  get handshaking(): boolean {
    return this.#state?.own?.isOpen === true;
  }

  /** The remote's exchanges, the proven one and the one on trial. A new array when they change. */
  get remotes(): readonly RemoteExchange[] {
    return this.#remotes;
  }

  /** Whether this, in hex, is the token of the session, of the candidate, or of a session that was replaced: not of a new exchange. */
  remembers(token: Token): boolean {
    const { session, candidate, retired } = this.#state ?? NOTHING;
    return token === session || token === candidate || retired.includes(token);
  }

  handle(input: ExchangeIn, now: Time): ExchangeOut[] {
    if (this.#state === undefined) return [];
    switch (input.type) {
      case "start":
        return this.#step(input, now, input.extra);
      case "handshake":
        return this.#onHandshake(this.#state, input, now);
      case "packets":
        return this.#onPackets(input.packets, now);
      case "stop":
        return this.#end(input.err, now);
      case "tick":
        return [...this.#step(input, now), ...this.#pass(input, now)];
      case "credit":
        this.#credit = input.bytes;
        return this.#state.session === undefined ? [] : this.#pass(input, now);
      default:
        return this.#pass(input, now);
    }
  }

  deadline(): Time | undefined {
    if (this.#state === undefined) return undefined;
    const handshakes = this.#handshakeAt;
    const channels = this.#channels.deadline();
    return handshakes === undefined || channels === undefined
      ? (handshakes ?? channels)
      : Math.min(handshakes, channels);
  }

  #onHandshake(state: Handshaking, received: ReceivedHandshake, now: Time): ExchangeOut[] {
    const { at, kind, digest } = received;
    const token = received.name ?? toHex(received.token);
    if (!this.#sessions.has(token) && isCurrent(state, { at, token })) {
      const session = this.#newSession(token, received);
      if (session === undefined) return [];
      this.#sessions.set(token, session);
    }
    return this.#step({ type: "handshake", at, token, kind, digest }, now);
  }

  #onPackets(packets: readonly OuterPacket[], now: Time): ExchangeOut[] {
    const out: ExchangeOut[] = [];
    let opened: InnerPacket[] = [];
    let dropped = 0;
    for (const packet of packets) {
      const inner = this.#session && open(this.#session, packet);
      if (inner === NO_PAYLOAD) dropped++;
      else if (inner !== undefined) opened.push(inner);
      else {
        this.#heard(opened, now, out);
        opened = [];
        if (!this.#onOtherPacket(packet, now, out)) dropped++;
      }
    }
    this.#heard(opened, now, out);
    if (dropped > 0) out.push({ type: "dropped", count: dropped });
    return out;
  }

  /**
   * The session's remote was heard, with these packets. Nearly all that come are such, and change nothing about handshakes
   * (handshaking.ts, `onPacket`).
   */
  #heard(opened: readonly InnerPacket[], now: Time, out: ExchangeOut[]): void {
    if (opened.length === 0) return;
    out.push(HEARD);
    this.#passInto(out, { type: "received", packets: opened }, now);
  }

  /** One that is none of the session. False: it is of no use, at least for now. */
  #onOtherPacket(packet: OuterPacket, now: Time, out: ExchangeOut[]): boolean {
    const candidate = this.#candidate;
    const opened = candidate && open(candidate, packet);
    if (candidate !== undefined && opened !== undefined) {
      if (opened === NO_PAYLOAD) return false;
      const done = this.#step({ type: "packet", token: candidate.name }, now);
      if (candidate !== this.#session) {
        if (candidate.early.length < EARLY) candidate.early.push(opened.inner.slice(opened.at)); // not with the datagram around it
        return false;
      }
      for (const effect of done) out.push(effect);
      this.#passInto(out, { type: "received", packets: [opened] }, now);
      return true;
    }
    // A guess at a weak authenticator. The next exchange has other keys, so none is guessed at for long.
    if (!this.#isWeak || ++this.#guesses !== GUESSES) return false;
    for (const effect of this.#over("timeout", now)) out.push(effect);
    return true;
  }

  /** Takes a step and does what it decides. `extra`: messages to send from now on besides the key message. */
  #step(input: HandshakingIn, now: Time, extra = this.#extra): ExchangeOut[] {
    const former = this.#state;
    assert(former !== undefined, "what is over takes no step");
    const { nextAt } = this.#options;
    const { state, out } = step(former, input, now, (above) => nextAt(above, now) | BigInt(this.#order));
    // Before anything changes: messages that are too long are the caller's error, and leave everything as it was.
    for (const effect of out)
      if (effect.type === "send" && !this.#sealed.has(effect.at)) {
        const packets = this.#seal(effect.at, extra);
        if (packets === undefined) return this.#over("dead", now);
        this.#sealed.set(effect.at, packets);
      }
    this.#extra = extra;
    this.#enter(state);
    const done: ExchangeOut[] = [];
    for (const effect of out) {
      if (effect.type === "heard") done.push(effect);
      else done.push(...this.#follow(effect, former, now));
    }
    if (state !== former) this.#forget();
    return done;
  }

  #enter(state: Handshaking | undefined): void {
    if (state === this.#state) return;
    this.#state = state;
    const [session, candidate] = [this.#sessionOf(state?.session), this.#sessionOf(state?.candidate)];
    if (session !== this.#session || candidate !== this.#candidate) {
      this.#session = session;
      this.#candidate = candidate;
      this.#remotes = [session, candidate].filter((one) => one !== undefined);
    }
    this.#handshakeAt = state && deadline(state);
  }

  #sessionOf(name: Token | undefined): Session | undefined {
    return name === undefined ? undefined : this.#sessions.get(name);
  }

  #follow(effect: HandshakingOut, former: Handshaking, now: Time): ExchangeOut[] {
    switch (effect.type) {
      case "send":
        return (this.#sealed.get(effect.at) ?? []).map((bytes) => ({ type: "send", bytes, to: effect.to, free: 0 }));
      case "renewed":
        return [...this.#pass({ type: "reset", err: "renewed" }, now), { type: "renewed" }];
      case "up": {
        const early = (this.#session?.early.splice(0) ?? []).map((inner) => ({ inner, at: 0 }));
        return [
          { type: "up" },
          ...(former.session === undefined ? this.#pass({ type: "credit", bytes: this.#credit }, now) : []),
          ...this.#pass({ type: "received", packets: early }, now),
        ];
      }
      case "heard":
        return [effect];
      default:
        return this.#over(effect.type, now);
    }
  }

  /** Keeps bytes and keys of nothing but what the state speaks of. */
  #forget(): void {
    const { own, echo, session, candidate } = this.#state ?? NOTHING;
    for (const at of this.#sealed.keys()) if (at !== own?.at && at !== echo?.at) this.#sealed.delete(at);
    for (const name of this.#sessions.keys()) if (name !== session && name !== candidate) this.#sessions.delete(name);
  }

  /** All our handshake messages under one `at`; `undefined` when nothing can be sealed to the remote's key. */
  #seal(at: bigint, extra: readonly HandshakeMessage[]): readonly Uint8Array[] | undefined {
    const { crypto, identity, remote, random } = this.#options;
    const [to, ephemeral] = [new Map([[remote.csid, remote.key]]), this.#ephemeral];
    if (ephemeral === undefined) return undefined;
    const keys = keyPacket(crypto.backend, identity, remote.csid);
    const packets: Uint8Array[] = [];
    for (const message of [{ type: "key", json: {}, body: keys }, ...extra]) {
      // A uri message carries our keys too: it can be verified alone, whichever comes first.
      // What we say of payloads stands in each, so that it counts whichever comes first.
      const json = this.#options.cbor ? { ...message.json, z: CBOR } : message.json;
      const inner = encodeHandshake(at, { ...message, json, ...(message.type === "uri" && { body: keys }) });
      const packet = sealMessage(crypto, { from: identity, to, inner, random, ephemeral });
      if (packet === undefined) return undefined;
      if (packet.length >= HANDSHAKE_BYTES)
        throw new RestanteError("handshake-size", "a handshake message has less than 1400 bytes");
      packets.push(packet);
    }
    return packets;
  }

  /** The keys with an exchange of the remote; `undefined` when its ephemeral key is none to share a secret with. */
  #newSession(name: Token, { token, ephemeral, prefix, z }: ReceivedHandshake): Session | undefined {
    const { crypto, remote } = this.#options;
    const cipher = this.#ephemeral && crypto.sets.get(remote.csid)?.channel(this.#ephemeral, ephemeral);
    return cipher && { name, token, prefix, cipher, isCbor: this.#options.cbor === true && z === CBOR, early: [] };
  }

  /** Hands something to the channels and encrypts what they want sent. Without a session that reaches nobody. */
  #pass(input: ChannelsIn, now: Time): ExchangeOut[] {
    const all = this.#gathered;
    if (all.length > 0) all.length = 0; // the input before was an error of the caller, which was thrown
    this.#passInto(all, input, now);
    return taken(all);
  }

  #passInto(out: ExchangeOut[], input: ChannelsIn, now: Time): void {
    const start = out.length;
    const all: (ExchangeOut | ChannelsOut)[] = out;
    this.#channels.handle(input, now, all as ChannelsOut[]); // which reads nothing of it
    let to = start;
    for (let i = start; i < all.length; i++) {
      const effect = all[i];
      if (effect === undefined) continue;
      if (effect.type !== "transmit") all[to++] = effect;
      else if (this.#session !== undefined) all[to++] = this.#encrypt(this.#session, effect);
    }
    if (to < all.length) all.length = to;
  }

  /** The outer packet of a channel packet. */
  #encrypt({ cipher, token, isCbor }: Session, { inner, at }: Extract<ChannelsOut, { type: "transmit" }>): ExchangeOut {
    const { random } = this.#options;
    if (at === 0 || cipher.inPlace === undefined) {
      const body = cipher.seal(token, isCbor ? encodePayload(inner) : inner, random);
      return { type: "send", bytes: encodePacket(undefined, body), to: "channel", free: 0 };
    }
    cipher.inPlace.seal(token, inner, random, FREE + LENGTH_BYTES);
    // The length of its HEAD is 0, as it was from the beginning.
    return { type: "send", bytes: inner, to: "channel", free: FREE };
  }

  #over(type: "timeout" | "dead", now: Time): ExchangeOut[] {
    return [...this.#end(type, now), { type }];
  }

  #end(err: string, now: Time): ExchangeOut[] {
    // Nobody is told: the remote is gone, or shall not learn why.
    this.#enter(undefined);
    this.#forget();
    return this.#pass({ type: "reset", err }, now);
  }
}

/** All of a list that is used again. An array that grows takes room for 16 more at once, and what is given is mostly one or two. */
function taken(all: ExchangeOut[]): ExchangeOut[] {
  const out = all.slice();
  while (all.length > 0) all.pop(); // which keeps its memory
  return out;
}

/** The inner packet, where the outer one stood if that can be; `NO_PAYLOAD` where that is none. `undefined`: it is not of this session. */
function open({ cipher, isCbor }: Session, { bytes, at }: OuterPacket): InnerPacket | undefined {
  const body = at + LENGTH_BYTES;
  if (cipher.inPlace !== undefined && !isCbor) {
    const start = cipher.inPlace.open(bytes, body);
    return start < 0 ? undefined : { inner: bytes, at: start };
  }
  const payload = cipher.open(bytes.subarray(body));
  const inner = isCbor && payload !== undefined ? decodePayload(payload) : payload;
  if (inner !== undefined) return { inner, at: 0 };
  return payload === undefined ? undefined : NO_PAYLOAD;
}

const HEARD: ExchangeOut = { type: "heard", by: "packet" };
const NO_PAYLOAD: InnerPacket = { inner: new Uint8Array(0), at: 0 };
const CBOR = 1; // telehash v3, e3x/compression.md. 2, deflate before encryption, tells lengths: never offered (CRIME)
const EARLY = 16; // packets, each of less than 2048 bytes: the initial window of a channel
const LENGTH_BYTES = 2; // of a HEAD: lob.md
const FREE = 40; // for four rounds of a cloak, and the counts of the chunks of 1432 bytes
const GUESSES = 2 ** 16; // of the 2^32 values of an authenticator of set 1a
const PREFIX_BYTES = 16; // seed 004, "Routing Token"
