/**
 * Inner packets of channels as CBOR (RFC 8949): some 20 bytes shorter, for links where that matters. Each form can be made
 * from the other. telehash v3, e3x/compression.md, z = 1; protocol/channels.md §9
 */
import { encode, type Token, Tokenizer, Type } from "cborg";
import { concat, fromUtf8 } from "../bytes/index.ts";
import { encodePacket, type Json, parsePacket } from "../wire/index.ts";
import { MAX_CHANNEL_ID } from "./channel-ids.ts";
import { MAX_SEQ } from "./reliable.ts";

/**
 * The CBOR of an inner packet of ours: a packet whose head has a valid `c`. Fields that are not the channel's travel in a
 * map when all of them are texts and whole numbers and there is no BODY, else in a packet in a byte string, with the BODY.
 */
export function encodePayload(packet: Uint8Array): Uint8Array {
  const { json = {}, body } = parsePacket(packet) ?? { body: NOTHING };
  const { c = 0, type, seq, ack, miss, ...others } = json;
  const acks = [ack, ...(Array.isArray(miss) ? miss : [])];
  const hasAcks = acks.every(isSeq) && (miss === undefined || acks.length > 1);
  const rest = {
    ...others,
    ...(typeof type === "string" ? {} : { type }),
    ...(isSeq(seq) ? {} : { seq }),
    ...(hasAcks ? {} : { ack, miss }),
  };
  const fields = Object.entries(rest).filter(([, value]) => value !== undefined);
  const isPlain = body.length === 0 && fields.every(([, value]) => fitsMap(value));
  const values: unknown[] = [c];
  if (!isPlain) values.push(encodePacket(rest, body));
  else if (fields.length > 0) values.push(new Map(fields));
  if (typeof type === "string") values.push(type);
  if (isSeq(seq)) values.push(seq);
  if (hasAcks) values.push(acks);
  return concat(...values.map((value) => encode(value)));
}

/**
 * The inner packet that these bytes stand for. `undefined` unless they are a stream of values as compression.md has it:
 * the channel id; then, each at most once and in this order, a byte string, a map, a text, a whole number, a list of those.
 * Refused besides: in a map, values that are neither texts nor whole numbers within 2^53-1, a key twice, and another
 * `c`; indefinite lengths; numbers in more bytes than they need; text that is not UTF-8. Never throws; takes time in
 * proportion.
 */
export function decodePayload(payload: Uint8Array): Uint8Array | undefined {
  try {
    return new Reader(payload).read();
  } catch {
    return undefined; // cborg refuses by throwing
  }
}

/** One value after the other. Nothing is nested deeper than a map or list, so nothing recurs. */
class Reader {
  readonly #tokens: Tokenizer;
  readonly #head: Record<string, Json | undefined> = {};
  #body: Uint8Array = NOTHING;

  constructor(payload: Uint8Array) {
    this.#tokens = new Tokenizer(payload, STRICT);
  }

  read(): Uint8Array | undefined {
    const c = integer(this.#tokens.next());
    if (c === undefined || c < 1 || c > MAX_CHANNEL_ID) return undefined;
    let last = -1;
    while (!this.#tokens.done()) {
      const token = this.#tokens.next();
      const place = ORDER.findIndex((type) => Type.equals(token.type, type));
      if (place <= last || !this.#take(token, c)) return undefined;
      last = place;
    }
    return encodePacket({ c, ...this.#head }, this.#body);
  }

  /** False: refused. */
  #take(token: Token, c: number): boolean {
    const { type } = token;
    if (Type.equals(type, Type.bytes)) return this.#takePacket(token.value, c);
    if (Type.equals(type, Type.map)) return this.#takeMap(token.value);
    if (Type.equals(type, Type.array)) return this.#takeList(token.value);
    const name = Type.equals(type, Type.string) ? "type" : "seq";
    this.#head[name] = name === "type" ? string(token) : integer(token);
    return this.#head[name] !== undefined;
  }

  #takePacket(bytes: Uint8Array, c: number): boolean {
    const packet = parsePacket(bytes);
    if (packet === undefined || (packet.head.length > 0 && packet.json === undefined)) return false;
    Object.assign(this.#head, packet.json, { c });
    this.#body = packet.body;
    return true;
  }

  #takeMap(size: number): boolean {
    const keys = new Set<string>();
    for (let i = 0; i < size; i++) {
      const key = string(this.#tokens.next());
      const token = this.#tokens.next();
      const value = string(token) ?? integer(token);
      if (key === undefined || value === undefined || FORBIDDEN_KEYS.includes(key) || keys.has(key)) return false;
      keys.add(key);
      this.#head[key] = value;
    }
    return true;
  }

  #takeList(size: number): boolean {
    const numbers: number[] = [];
    for (let i = 0; i < size; i++) {
      const number = integer(this.#tokens.next());
      if (number === undefined || number < 0) return false;
      numbers.push(number);
    }
    const [ack, ...miss] = numbers;
    if (ack !== undefined) this.#head["ack"] = ack;
    if (miss.length > 0) this.#head["miss"] = miss;
    return true;
  }
}

function integer(token: Token): number | undefined {
  const isInteger = Type.equals(token.type, Type.uint) || Type.equals(token.type, Type.negint);
  return isInteger && Number.isSafeInteger(token.value) ? token.value : undefined;
}

function string(token: Token): string | undefined {
  if (!Type.equals(token.type, Type.string)) return undefined;
  return token.byteValue === undefined ? token.value : fromUtf8(token.byteValue); // cborg reads it leniently
}

function isSeq(value: Json | undefined): value is number {
  return typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= MAX_SEQ;
}

function fitsMap(value: Json | undefined): boolean {
  return typeof value === "string" || (typeof value === "number" && Number.isSafeInteger(value));
}

const STRICT = { strict: true, allowIndefinite: false, allowUndefined: false, retainStringBytes: true };
/** What may follow the channel id. */
const ORDER: readonly Type[] = [Type.bytes, Type.map, Type.string, Type.uint, Type.array];
/** In a map: the first as in JSON, protocol/lob.md §2; and by the second a packet would be of two channels. */
const FORBIDDEN_KEYS = ["__proto__", "c"];
const NOTHING = new Uint8Array(0);
