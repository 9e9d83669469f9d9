/**
 * Opens what claims to be a handshake, at a bounded price. Each opening costs two Diffie-Hellman operations or an RSA
 * decryption, and anybody can ask for as many as the wire carries: so there are budgets, one for those of each side, and
 * one for each peer with a link. protocol/exchange.md §8
 */
import { Budget, Budgets, equal, Shares, type Time, toHex } from "../bytes/index.ts";
import { type Crypto, type Hashname, type Identity, routingToken } from "../crypto/index.ts";
import {
  HANDSHAKE_BYTES,
  type HandshakeMessage,
  type KeyPacket,
  openMessage,
  parseHandshake,
  parseKeyPacket,
} from "../e3x/index.ts";

/** A handshake message whose sender is proven. */
export interface Opened {
  readonly hashname: Hashname;
  readonly csid: number;
  readonly key: Uint8Array;
  readonly at: bigint;
  readonly token: Uint8Array;
  /** The token in hex. */
  readonly name: string;
  readonly ephemeral: Uint8Array;
  readonly prefix: Uint8Array;
  readonly digest: string;
  readonly message: HandshakeMessage;
}

/** Who uses a token, as far as a handshake under it was seen before. */
export interface Known {
  readonly hashname: Hashname;
  readonly key: Uint8Array;
  /** With what all messages of that exchange begin, if the peer has a link. Always the same array for an exchange. */
  readonly prefix?: Uint8Array;
}

/**
 * Where it came from: a path to which we sent a handshake, or any other; or by a router, from a peer that we seek there or
 * any other. Each has a budget of its own, so that what comes in masses from one side keeps nobody out on another; and of
 * those by routers each router has a share.
 */
export type Origin = "expected" | "unasked" | { readonly by: Hashname; readonly isSought: boolean };

/** What the body of a key message said. */
interface ReadKeys {
  readonly csid: number;
  readonly body: Uint8Array;
  readonly packet: KeyPacket;
}

/** The routing token of messages that begin with these bytes. */
interface Token {
  readonly start: Uint8Array;
  readonly token: Uint8Array;
  readonly name: string; // in hex
}

export type Refusal = "handshake-size" | "budget" | "unopened" | "malformed" | "downgrade" | "forged";

export class Opener {
  readonly #crypto: Crypto;
  readonly #identity: Identity;
  readonly #expected: Budget = new Budget(OPENINGS_PER_SECOND);
  readonly #unasked: Budget = new Budget(OPENINGS_PER_SECOND);
  readonly #sought: Shares<Hashname> = byRouter();
  readonly #brought: Shares<Hashname> = byRouter();
  readonly #links: Budgets<Hashname> = new Budgets(() => new Budget(LINK_PER_SECOND, LINK_AT_ONCE), LINKS);
  #lastToken: Token | undefined; // mostly the next message is of the same exchange
  readonly #keyPackets = new Map<Hashname, ReadKeys>(); // the last of each sender; parsed least recently first
  readonly #warm = new Map<Uint8Array, number>(); // prefixes whose secrets are remembered, with their CSIDs; used least recently first

  constructor(crypto: Crypto, identity: Identity) {
    this.#crypto = crypto;
    this.#identity = identity;
  }

  /** The routing token (hex) of a message BODY: to find out who is known to use it. */
  token(body: Uint8Array): string {
    return this.#tokenOf(body).name;
  }

  /**
   * Opens and verifies an outer packet with this BODY. `known`: the user of its token. Gives the reason when it is no
   * handshake of a type that is used here, from a proven sender, in the cipher set that the two of us must use. Never
   * throws.
   */
  open(outer: Uint8Array, body: Uint8Array, known: Known | undefined, origin: Origin, now: Time): Opened | Refusal {
    if (outer.length >= HANDSHAKE_BYTES) return "handshake-size";
    // The token alone does not tell, for it covers only 16 bytes of the prefix.
    const prefix = known?.prefix !== undefined && startsWith(body, known.prefix) ? known.prefix : undefined;
    const linked = prefix === undefined ? undefined : known;
    if (!this.#pays(outer[CSID_AT], prefix, linked?.hashname, origin, now)) return "budget";
    const opened = openMessage(this.#crypto, this.#identity, outer);
    if (opened === undefined) return "unopened";
    const handshake = parseHandshake(opened.inner);
    if (handshake === undefined || !TYPES.includes(handshake.message.type)) return "malformed";
    const { at, message } = handshake;
    const { csid, ephemeral } = opened;
    const carriesKeys = message.type === "key" || (message.type === "uri" && message.body.length > 0);
    const sender = carriesKeys ? this.#keys(csid, message.body, known?.hashname) : undefined;
    if (carriesKeys && sender === undefined) return "malformed";
    // The hashname holds digests of all the peer's keys: one of a better set in common shows that this one is forced.
    for (const other of sender?.intermediates.keys() ?? [])
      if (other > csid && this.#identity.pairs.has(other)) return "downgrade";
    const who = sender ?? known;
    if (who === undefined || who.hashname === this.#identity.hashname) return "forged";
    // An exchange has one owner. To look whether it is another's costs as much as an opening, and was not paid for.
    if (linked !== undefined && linked.hashname !== who.hashname) return "forged";
    if (!opened.verify(who.key)) return "forged";
    if (prefix !== undefined) this.#warmed(prefix, csid);
    const { token, name } = this.#tokenOf(body);
    // Under a key that all know: who could make two messages with one digest is their sender, whom it would harm alone.
    const digest = toHex(this.#crypto.backend.siphash(token, outer));
    const { hashname, key } = who;
    return { hashname, csid, key, at, token, name, ephemeral, prefix: opened.prefix, digest, message };
  }

  /** The token of a message BODY, which is that of its first bytes. */
  #tokenOf(body: Uint8Array): Token {
    const last = this.#lastToken;
    if (last !== undefined && startsWith(body, last.start)) return last;
    const token = routingToken(this.#crypto.backend, body);
    const found = { start: body.slice(0, TOKEN_BYTES), token, name: toHex(token) };
    this.#lastToken = found;
    return found;
  }

  /** All messages of a sender carry the same keys: its hashname need not be computed for each. `claimed`: whose it may be. */
  #keys(csid: number, body: Uint8Array, claimed: Hashname | undefined): KeyPacket | undefined {
    const last = claimed === undefined ? undefined : this.#keyPackets.get(claimed);
    if (last !== undefined && last.csid === csid && equal(last.body, body)) return last.packet;
    const packet = parseKeyPacket(this.#crypto, csid, body);
    if (packet !== undefined)
      remember(this.#keyPackets, packet.hashname, { csid, body: body.slice(), packet }, KEY_PACKETS);
    return packet;
  }

  /**
   * Whether somebody pays for opening a message of this set. Nobody has to where the secrets of an exchange are remembered:
   * that is as cheap as a channel packet. Else it is the peer with a link whose exchange it is, and then the side it came from.
   */
  #pays(
    csid: number | undefined,
    prefix: Uint8Array | undefined,
    owner: Hashname | undefined,
    origin: Origin,
    now: Time,
  ): boolean {
    // Where an authenticator has 4 bytes, every try counts.
    const isWeak = this.#crypto.sets.get(csid ?? 0)?.isWeak === true;
    if (prefix !== undefined && !isWeak) {
      // Under another set the same bytes are another exchange, which is not remembered.
      if (this.#warm.get(prefix) === csid) return true;
      if (owner !== undefined && this.#links.of(owner).take(now)) return true;
    }
    const isCheap = csid === CURVE25519 && this.#crypto.backend.isFast === true;
    const cost = isCheap ? 1 / CHEAPER : 1;
    if (origin === "expected") return this.#expected.take(now, cost);
    if (origin === "unasked") return this.#unasked.take(now, cost);
    return (origin.isSought ? this.#sought : this.#brought).take(origin.by, now);
  }

  /** A message of this exchange was opened and verified: now its secrets are remembered, for a while. */
  #warmed(prefix: Uint8Array, csid: number): void {
    remember(this.#warm, prefix, csid, WARM);
  }
}

/** Enters this as the latest of `limit`, of which the oldest goes. */
function remember<K, V>(all: Map<K, V>, key: K, value: V, limit: number): void {
  all.delete(key);
  const [oldest] = all.size >= limit ? all.keys() : [];
  if (oldest !== undefined) all.delete(oldest);
  all.set(key, value);
}

function byRouter(): Shares<Hashname> {
  const share = (): Budget => new Budget(ROUTER_PER_SECOND, ROUTER_AT_ONCE);
  return new Shares({ common: new Budget(OPENINGS_PER_SECOND), share, limit: ROUTERS });
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  for (let i = 0; i < prefix.length; i++) if (bytes[i] !== prefix[i]) return false;
  return true;
}

const TOKEN_BYTES = 16; // and as many of a message tell its token: seed 004, "Routing Token"
const CSID_AT = 2; // behind the LOB length 00 01
const OPENINGS_PER_SECOND = 50; // some 0.15 s of one core with the portable backend
const CURVE25519 = 0x3a;
const CHEAPER = 10; // where a Diffie-Hellman operation takes 25 us: 500 are then less than a tenth of one core
const ROUTER_PER_SECOND = 2; // of each router's own, for so many that are busy
const ROUTER_AT_ONCE = 8;
const ROUTERS = 32;
const LINK_PER_SECOND = 1 / 8; // a keepalive comes every 30 s, and when it goes wrong five times in that
const LINK_AT_ONCE = 4;
const LINKS = 65_536; // as many as there may be
const WARM = 512; // half of the secrets that a cipher set remembers: strangers, whom it remembers too, push out the others
const KEY_PACKETS = 256; // of peers that shake hands at once, as many as wait for approval: 1.4 KB each at most, mostly 60 B
/** One slot each before approval. Seed 004, "Message Types" */
const TYPES: readonly string[] = ["key", "uri", "jwt", "tx"];
