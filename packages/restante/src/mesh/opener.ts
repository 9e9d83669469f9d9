/**
 * Opens what claims to be a handshake, at a bounded price. Each opening costs two Diffie-Hellman operations, and
 * strangers can ask for as many as the wire carries: so there are budgets, and peers with a link are not subject to
 * them. protocol/exchange.md §8
 */
import { equal, type Time, toHex } from "../bytes/index.ts";
import { type Crypto, type Hashname, type Identity, routingToken } from "../crypto/index.ts";
import { HANDSHAKE_BYTES, type HandshakeMessage, openMessage, parseHandshake, parseKeyPacket } from "../e3x/index.ts";
import { Budget } from "./budget.ts";

/** A handshake message whose sender is proven. */
export interface Opened {
  readonly hashname: Hashname;
  readonly csid: number;
  readonly key: Uint8Array;
  readonly at: bigint;
  readonly token: Uint8Array;
  readonly ephemeral: Uint8Array;
  readonly prefix: Uint8Array;
  readonly digest: string;
  readonly message: HandshakeMessage;
}

/** Who uses a token, as far as a handshake under it was seen before. */
export interface Known {
  readonly hashname: Hashname;
  readonly key: Uint8Array;
  /** With what all messages of that exchange begin, if the peer has a link. */
  readonly prefix?: Uint8Array;
}

/**
 * Where it came from: a path to which we sent a handshake, or any other; straight, or by a router. Each has a budget of
 * its own, so that what comes in masses from one side keeps nobody out on another.
 */
export type Origin = "expected" | "unasked" | "relayed" | "relayed-unasked";

export type Refusal = "handshake-size" | "budget" | "unopened" | "malformed" | "downgrade" | "forged";

export class Opener {
  readonly #crypto: Crypto;
  readonly #identity: Identity;
  readonly #budgets: Readonly<Record<Origin, Budget>> = {
    expected: new Budget(OPENINGS_PER_SECOND),
    unasked: new Budget(OPENINGS_PER_SECOND),
    relayed: new Budget(OPENINGS_PER_SECOND),
    "relayed-unasked": new Budget(OPENINGS_PER_SECOND),
  };

  constructor(crypto: Crypto, identity: Identity) {
    this.#crypto = crypto;
    this.#identity = identity;
  }

  /** The routing token (hex) of a message BODY: to find out who is known to use it. */
  token(body: Uint8Array): string {
    return toHex(routingToken(this.#crypto.backend, body));
  }

  /**
   * Opens and verifies an outer packet with this BODY. `known`: the user of its token. Gives the reason when it is no
   * handshake of a type that is used here, from a proven sender, in the cipher set that the two of us must use. Never
   * throws.
   */
  open(outer: Uint8Array, body: Uint8Array, known: Known | undefined, origin: Origin, now: Time): Opened | Refusal {
    if (outer.length >= HANDSHAKE_BYTES) return "handshake-size";
    // In an exchange that we know both secrets are remembered: as cheap as a channel packet. The token alone does not
    // tell, for it covers only 16 bytes of the prefix.
    // But where an authenticator has 4 bytes, every try counts.
    const isWeak = this.#crypto.sets.get(outer[2] ?? 0)?.isWeak === true;
    const isCheap = !isWeak && known?.prefix !== undefined && startsWith(body, known.prefix);
    if (!isCheap && !this.#budgets[origin].take(now)) return "budget";
    const opened = openMessage(this.#crypto, this.#identity, outer);
    if (opened === undefined) return "unopened";
    const handshake = parseHandshake(opened.inner);
    if (handshake === undefined || !TYPES.includes(handshake.message.type)) return "malformed";
    const { at, message } = handshake;
    const { csid, token, ephemeral, prefix } = opened;
    const carriesKeys = message.type === "key" || (message.type === "uri" && message.body.length > 0);
    const sender = carriesKeys ? parseKeyPacket(this.#crypto, csid, message.body) : undefined;
    if (carriesKeys && sender === undefined) return "malformed";
    // The hashname holds digests of all the peer's keys: one of a better set in common shows that this one is forced.
    for (const other of sender?.intermediates.keys() ?? [])
      if (other > csid && this.#identity.pairs.has(other)) return "downgrade";
    const who = sender ?? known;
    if (who === undefined || who.hashname === this.#identity.hashname || !opened.verify(who.key)) return "forged";
    const digest = toHex(this.#crypto.backend.sha256(outer));
    return { hashname: who.hashname, csid, key: who.key, at, token, ephemeral, prefix, digest, message };
  }
}

function startsWith(bytes: Uint8Array, prefix: Uint8Array): boolean {
  return equal(bytes.subarray(0, prefix.length), prefix);
}

const OPENINGS_PER_SECOND = 50; // some 0.15 s of one core with the portable backend
/** One slot each before approval. Seed 004, "Message Types" */
const TYPES: readonly string[] = ["key", "uri", "jwt", "tx"];
