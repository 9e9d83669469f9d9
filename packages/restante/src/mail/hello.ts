/**
 * A hello: a part that says who writes, for a reader who need not know us. Binary, so that the little that must be read
 * before the sender is proven is a few bounded fields. protocol/mail.md §5
 */
import { assert, concat, Reader, RestanteError } from "../bytes/index.ts";
import { type Crypto, type Hashname, hashnameOf, type Identity, intermediate, type Keys } from "../crypto/index.ts";
import { HELLO_CARD_LIMIT, SECRET_BYTES } from "./constants.ts";

/** What a hello carries between its key part and its envelope. */
export interface Hello {
  /** The writer's card for this reader: 1 to 32768 bytes, opaque here. */
  readonly card: Uint8Array;
  /** The 16 bytes of the invite that was used. */
  readonly secret?: Uint8Array;
}

/** Who a hello claims to be from. That the sender holds the key is unproven until the authenticator is verified. */
export interface HelloKeys {
  /** Derived from the keys, never told. */
  readonly hashname: Hashname;
  /** The one key that came in full: of the cipher set in which the message is sealed. */
  readonly keys: Keys;
  /** Every cipher set that the hashname is made of, by its SHA-256(CSK): tells a downgrade. */
  readonly intermediates: ReadonlyMap<number, Uint8Array>;
}

/** Key part, card and secret, as they stand before the envelope. Throws RestanteError "bad-mail" for sizes out of bounds. */
export function encodeHello(crypto: Crypto, csid: number, identity: Identity, hello: Hello): Uint8Array {
  const { card, secret } = hello;
  if (card.length === 0 || card.length > HELLO_CARD_LIMIT || (secret && secret.length !== SECRET_BYTES)) {
    throw new RestanteError("bad-mail", "the card or the secret of a hello has a wrong size");
  }
  const key = identity.keys.get(csid);
  assert(key !== undefined, "a hello is sealed with a key of ours");
  const others = [...identity.keys].filter(([other]) => other !== csid).sort(([a], [b]) => a - b);
  const digests = others.map(([other, csk]) => concat(Uint8Array.of(other), intermediate(crypto.backend, csk)));
  return concat(
    Uint8Array.of(csid, ...u16(key.length)),
    key,
    Uint8Array.of(others.length),
    ...digests,
    Uint8Array.of(...u16(card.length)),
    card,
    Uint8Array.of(secret?.length ?? 0),
    secret ?? card.subarray(0, 0),
  );
}

/**
 * Reads the fixed key part of a hello and nothing else, so that it may be given an inner packet of an unproven sender:
 * no JSON is parsed. `undefined` unless the key has the form of a cipher set we speak, and the rest is in bounds.
 */
export function parseHelloKeys(crypto: Crypto, inner: Uint8Array): HelloKeys | undefined {
  const reader = new Reader(inner);
  reader.take(reader.u16()); // the head, unread
  const part = readKeyPart(reader);
  if (part === undefined || crypto.sets.get(part.csid)?.isKey(part.key) !== true) return undefined;
  const keys = new Map([[part.csid, part.key.slice()]]);
  const intermediates = new Map([...part.others, [part.csid, intermediate(crypto.backend, part.key)]]);
  return { hashname: hashnameOf(crypto.backend, keys, intermediates), keys, intermediates };
}

/** What stands in the BODY of an authenticated hello; views of `body`. The key part is checked in form only. */
export function parseHello(body: Uint8Array): { hello: Hello; envelope: Uint8Array } | undefined {
  const reader = new Reader(body);
  if (readKeyPart(reader) === undefined) return undefined;
  const card = reader.take(reader.u16());
  const length = reader.u8();
  const secret = reader.take(length);
  if (card === undefined || secret === undefined || (length !== 0 && length !== SECRET_BYTES)) return undefined;
  if (card.length === 0 || card.length > HELLO_CARD_LIMIT) return undefined;
  return { hello: { card, ...(length !== 0 && { secret }) }, envelope: reader.rest() };
}

interface KeyPart {
  csid: number;
  key: Uint8Array;
  /** Intermediates of the other cipher sets. */
  others: [csid: number, digest: Uint8Array][];
}

function readKeyPart(reader: Reader): KeyPart | undefined {
  const csid = reader.u8() ?? 0;
  const key = reader.take(reader.u16());
  const count = reader.u8();
  if (csid === 0 || key === undefined || key.length > KEY_LIMIT || count === undefined) return undefined;
  if (count > OTHERS_LIMIT) return undefined;
  const others: [number, Uint8Array][] = [];
  for (let i = 0, last = 0; i < count; i++) {
    const other = reader.u8() ?? 0;
    const digest = reader.take(DIGEST_BYTES);
    if (digest === undefined || other <= last || other === csid) return undefined;
    others.push([other, digest.slice()]);
    last = other;
  }
  return { csid, key, others };
}

function u16(value: number): [number, number] {
  return [value >> 8, value & 0xff];
}

const KEY_LIMIT = 1024; // bytes of a CSK
const OTHERS_LIMIT = 7; // a peer has at most 8 cipher sets
const DIGEST_BYTES = 32;
