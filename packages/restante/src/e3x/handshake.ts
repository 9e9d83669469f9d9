/** Handshake messages: what two endpoints tell each other to make an exchange. protocol/exchange.md §2-3 */
import { fromBase32, toBase32 } from "../bytes/index.ts";
import {
  type Backend,
  type Crypto,
  csidText,
  type Hashname,
  hashnameOf,
  type Identity,
  intermediate,
  type Keys,
  parseCsid,
} from "../crypto/index.ts";
import { encodePacket, type JsonObject, parsePacket, text, uint64 } from "../wire/index.ts";

/** One message of a handshake. All messages of one handshake share one `at` and differ in type. */
export interface HandshakeMessage {
  /** "key", "uri", "jwt", "tx", or whatever a peer wrote. */
  readonly type: string;
  /** The head without `at`. */
  readonly json: JsonObject;
  readonly body: Uint8Array;
}

/** The sender in a key packet. That the sender wrote it is proven by verifying the message with `key`. */
export interface KeyPacket {
  readonly hashname: Hashname;
  /** The sender's key of the cipher set in use. */
  readonly key: Uint8Array;
  /** SHA-256 of the sender's keys of other cipher sets, by CSID. */
  readonly intermediates: Keys;
}

/**
 * Our keys for a handshake: head {own CSID: true, other CSIDs: base32 of SHA-256 of the key}, body the raw key. Made once for
 * each identity: not to be changed.
 */
export function keyPacket(backend: Backend, identity: Identity, csid: number): Uint8Array {
  const known = KEY_PACKETS.get(identity) ?? new Map<number, Uint8Array>();
  const packet = known.get(csid) ?? encodeKeyPacket(backend, identity, csid);
  KEY_PACKETS.set(identity, known.set(csid, packet));
  return packet;
}

function encodeKeyPacket(backend: Backend, identity: Identity, csid: number): Uint8Array {
  const head: Record<string, string | true> = {};
  for (const [other, key] of [...identity.keys].sort(([a], [b]) => a - b)) {
    // The old JS peer computes a wrong hashname when the own CSID is left out.
    head[csidText(other)] = other === csid ? true : toBase32(intermediate(backend, key));
  }
  return encodePacket(head, identity.keys.get(csid));
}

/**
 * The sender that a key packet of cipher set `csid` speaks of: the hashname follows from the key and the intermediates
 * and is claimed nowhere. The own CSID may be absent or have any value, and a bare key is one without intermediates.
 * `undefined` for a body that is no key of the set, and for intermediates that are not 32 bytes or more than 8.
 */
export function parseKeyPacket(crypto: Crypto, csid: number, body: Uint8Array): KeyPacket | undefined {
  const set = crypto.sets.get(csid);
  if (set === undefined) return undefined;
  const packet = parsePacket(body);
  const isAttached = packet !== undefined && set.isKey(packet.body) && (packet.json ?? packet.head.length === 0);
  if (!isAttached && !set.isKey(body)) return undefined;
  const key = (isAttached ? packet.body : body).slice();
  const intermediates = parseIntermediates(csid, (isAttached && packet.json) || {});
  if (intermediates === undefined) return undefined;
  return { hashname: hashnameOf(crypto.backend, new Map([[csid, key]]), intermediates), key, intermediates };
}

/** The inner packet of one handshake message. A key handshake goes without `type`: right under every text (X4). */
export function encodeHandshake(at: bigint, message: HandshakeMessage): Uint8Array {
  const { json, type, body } = message;
  const fields = json["type"] === undefined ? json : withoutType(json);
  return encodePacket(type === "key" ? { ...fields, at } : { ...fields, type, at }, body);
}

/** Only what was received has one. */
function withoutType({ type: _, ...fields }: JsonObject): JsonObject {
  return fields;
}

/**
 * Whether a message of ours fits into a handshake with peers that use set `csid`, whatever `at` it will have. A "uri"
 * message is counted with our keys, which it carries. False also for a set that we do not have.
 */
export function fitsHandshake(crypto: Crypto, identity: Identity, csid: number, message: HandshakeMessage): boolean {
  const set = crypto.sets.get(csid);
  if (set === undefined || !identity.pairs.has(csid)) return false;
  const body = message.type === "uri" ? keyPacket(crypto.backend, identity, csid) : message.body;
  const inner = encodeHandshake(MAX_AT, { ...message, json: { ...message.json, z: 1 }, body });
  return set.overhead + inner.length < HANDSHAKE_BYTES;
}

/**
 * Reads a decrypted inner packet as a handshake message. "link" and no type at all are given out as "key".
 * `undefined` unless `at` is a whole number from 1 to 2^64-1, `type` is text or absent, and a "uri" has its `uri`.
 */
export function parseHandshake(inner: Uint8Array): { at: bigint; message: HandshakeMessage } | undefined {
  const packet = parsePacket(inner);
  const at = uint64(packet?.json, "at");
  if (packet?.json === undefined || at === undefined || at === 0n) return undefined;
  const { json } = packet;
  Reflect.deleteProperty(json, "at"); // nobody else has it. A copy without it would take as long as all the rest
  const named = json["type"] === undefined ? "key" : text(json, "type");
  if (named === undefined || (named === "uri" && !text(json, "uri"))) return undefined;
  return { at, message: { type: named === "link" ? "key" : named, json, body: packet.body } };
}

function parseIntermediates(csid: number, json: JsonObject): Keys | undefined {
  const intermediates = new Map<number, Uint8Array>();
  for (const [name, value] of Object.entries(json)) {
    const other = parseCsid(name);
    if (other === undefined || other === csid) continue;
    const digest = typeof value === "string" ? fromBase32(value) : undefined;
    if (digest?.length !== DIGEST_BYTES || intermediates.size === INTERMEDIATES) return undefined;
    intermediates.set(other, digest);
  }
  return intermediates;
}

/** The largest `at`: whoever sees it used can send no more handshakes to that peer. Seed 004 */
export const MAX_AT: bigint = 2n ** 64n - 1n;
/** Outer handshake packets are shorter than this many bytes. Seeds 000 and 004, decision X6 */
export const HANDSHAKE_BYTES = 1400;
const KEY_PACKETS = new WeakMap<Identity, Map<number, Uint8Array>>();
const DIGEST_BYTES = 32;
const INTERMEDIATES = 8;
