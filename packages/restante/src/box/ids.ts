/** The two ids of a box and its messages: 8 bytes, written as 16 hex characters. protocol/box.md §2, §3 */
import { assert, concat, fromHex, toHex, wordsHex } from "../bytes/index.ts";
import { type Backend, type Hashname, hashnameBytes } from "../crypto/index.ts";
import { flag, type JsonObject } from "../wire/index.ts";

/**
 * The box of one sender's messages to one recipient, the same at every cache: SipHash-2-4 of the recipient's 32 bytes
 * under the first 16 bytes of the sender's hashname. 16 hex characters. Directed: the way back is another box.
 * Half of a hashname is no secret, so whoever guesses the pair recognises the box. seed 003, "Box IDs"
 */
export function boxId(backend: Backend, sender: Hashname, recipient: Hashname): string {
  const key = hashnameBytes(sender).slice(0, 2 * ID_BYTES);
  return toHex(backend.siphash(key, hashnameBytes(recipient)));
}

/**
 * The id of a message in `box` (16 hex characters): SipHash-2-4 of its bytes under the box id twice. 16 hex characters.
 * Names copies for removal and for nothing else: 64 bits are found twice by whoever wants to. seed 003, "Message IDs"
 */
export function messageId(backend: Backend, box: string, bytes: Uint8Array): string {
  return new MessageIds(backend, box).of(bytes);
}

/** The ids of many messages of one box. */
export class MessageIds {
  readonly #backend: Backend;
  readonly #key: Uint8Array;

  constructor(backend: Backend, box: string) {
    const half = fromHex(box);
    assert(half?.length === ID_BYTES, "a box id is 16 hex characters");
    this.#backend = backend;
    this.#key = concat(half, half);
  }

  of(bytes: Uint8Array): string {
    return toHex(this.#backend.siphash(this.#key, bytes));
  }

  /** The message with its id. */
  name(bytes: Uint8Array): NamedMessage {
    const { into, siphash } = this.#backend;
    if (into === undefined) return new NamedMessage(siphash(this.#key, bytes), bytes);
    into.siphash(lately, this.#key, bytes);
    return new NamedMessage(lately, bytes);
  }
}

/** A message on its way to a store, with its id as two words of 32 bits: the text, which takes as long to read as to write, is made for who asks. */
class NamedMessage {
  readonly bytes: Uint8Array;
  /** The first four bytes of the id, as a signed number, and the others. */
  readonly low: number;
  readonly high: number;

  constructor(id: Uint8Array, bytes: Uint8Array) {
    this.bytes = bytes;
    this.low = wordOf(id, 0);
    this.high = wordOf(id, 4);
  }

  get id(): string {
    return wordsHex(this.low, this.high);
  }
}

function wordOf(id: Uint8Array, at: number): number {
  return ((id[at] ?? 0) << 24) | ((id[at + 1] ?? 0) << 16) | ((id[at + 2] ?? 0) << 8) | (id[at + 3] ?? 0);
}

/** Ids one behind the other as words of 32 bits, two for each. */
export function idWords(ids: Uint8Array): Uint32Array {
  const words = new Uint32Array(ids.length / 4);
  for (let i = 0; i < words.length; i++) words[i] = wordOf(ids, 4 * i);
  return words;
}

/** A box or message id as a peer wrote it; `undefined` for anything but 16 lower-case hex characters. */
export function parseId(value: unknown): string | undefined {
  return typeof value === "string" && value.length === 2 * ID_BYTES && fromHex(value) ? value : undefined;
}

/** The message that a packet of `outbox` or `inbox` asks to remove: an id, and nothing of a message with it. box.md §5 */
export function removedId(head: JsonObject, body: Uint8Array): string | undefined {
  return body.length > 0 || flag(head, "done") || flag(head, "clear") ? undefined : parseId(head["id"]);
}

const lately = new Uint8Array(8); // the id that was made last: an array for each costs more than to make it
/** Bytes of a box id and of a message id: one SipHash output. */
export const ID_BYTES = 8;
/** The most ids that one packet has as its BODY. seed 003, of `boxes`: "only up to 120 IDs are included per message" */
export const IDS_PER_PACKET = 120;
