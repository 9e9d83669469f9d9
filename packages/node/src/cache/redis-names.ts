/**
 * How things are called in a Redis Cluster that boxes of many recipients lie in. All names follow from the secret that the
 * cache nodes share, so they agree on them, and a dump of the cluster names nobody: neither a recipient, nor a box, nor a
 * message by the id that a sender knows.
 */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync } from "node:crypto";

/** What belongs to one recipient, under one hash tag: all of it is in one slot. */
export interface RecipientNames {
  readonly tag: string;
  readonly channel: string;
  /** A box (16 hex characters) by its name, 16 bytes. */
  box(box: string): Buffer;
  /** The message with this id in the box, 16 bytes. */
  message(box: string, id: string): Buffer;
  /** The serial (0 to 2^48 - 1) of a token in the recipient's name, 8 bytes. */
  serial(serial: number): Buffer;
  /** The box that a name stands for; `undefined` for bytes that are no name of this recipient. */
  boxOf(name: Uint8Array): string | undefined;
  /** Box and id of a message. */
  messageOf(name: Uint8Array): { box: string; id: string } | undefined;
}

/** The names of one cluster under one secret of 32 bytes. */
export class ClusterNames {
  readonly #key: Uint8Array;
  /** Tells stores apart that share a cluster. */
  readonly #store: string;
  readonly #slots: readonly string[] = slotTags();
  readonly #recent = new Map<string, RecipientNames>();

  constructor(clusterKey: Uint8Array) {
    this.#key = new Uint8Array(hkdfSync("sha256", clusterKey, NO_SALT, "restante/cluster-names/1", 32));
    this.#store = this.#hmac("store").toString("base64url").slice(0, 8);
  }

  of(recipient: string): RecipientNames {
    const known = this.#recent.get(recipient);
    if (known !== undefined) {
      this.#recent.delete(recipient);
      this.#recent.set(recipient, known);
      return known;
    }
    const tag = this.#hmac(`tag ${recipient}`).toString("base64url").slice(0, TAG_LENGTH);
    const names = recipientNames(tag, this.#hmac(`names ${recipient}`));
    this.#recent.set(recipient, names);
    if (this.#recent.size > MAX_RECENT) for (const oldest of this.#recent.keys()) return this.#forget(oldest, names);
    return names;
  }

  /**
   * The keys of a call: messages and their orders of the recipient with this tag, the two books of the slot, and of both what is
   * revoked.
   */
  keysOf(tag: string): string[] {
    const slot = slotOf(tag);
    return [`{${tag}}m`, `{${tag}}z`, ...this.books(slot), `{${tag}}r`, `${this.#bookOf(slot)}v`];
  }

  /** The two books of a slot: how much lies there in all, and who is due. */
  books(slot: number): [string, string] {
    const key = this.#bookOf(slot);
    return [`${key}c`, `${key}d`];
  }

  #bookOf(slot: number): string {
    return `{${this.#slots[slot]}}${this.#store}`;
  }

  #forget(recipient: string, names: RecipientNames): RecipientNames {
    this.#recent.delete(recipient);
    return names;
  }

  #hmac(text: string): Buffer {
    return createHmac("sha256", this.#key).update(text).digest();
  }
}

/** The slot (0 to 16383) of a key whose hash tag this is: CRC16, as the cluster specification has it. */
export function slotOf(tag: string): number {
  let crc = 0;
  for (let i = 0; i < tag.length; i++)
    crc = ((crc << 8) ^ (CRC16[((crc >> 8) ^ tag.charCodeAt(i)) & 0xff] ?? 0)) & 0xffff;
  return crc % SLOTS;
}

/** Where new messages of a recipient are announced. A channel of the same slot as its keys. */
export function channelOf(tag: string): string {
  return `{${tag}}n`;
}

function recipientNames(tag: string, key: Buffer): RecipientNames {
  // One block each, and every block means another thing: the bare permutation gives away no more than equality.
  const seal = (...hex: string[]): Buffer => {
    const cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    return cipher.update(hex.join(""), "hex");
  };
  const open = (name: Uint8Array): string | undefined => {
    if (name.length !== NAME_BYTES) return undefined;
    const decipher = createDecipheriv("aes-256-ecb", key, null).setAutoPadding(false);
    return decipher.update(name).toString("hex");
  };
  return {
    tag,
    channel: channelOf(tag),
    box: (box) => seal(box, NO_ID),
    message: (box, id) => seal(box, id),
    // Half a block is not to be opened again, and need not be.
    serial: (serial) => seal(NO_ID, serial.toString(16).padStart(16, "0")).subarray(0, SERIAL_BYTES),
    boxOf(name) {
      const opened = open(name);
      return opened?.endsWith(NO_ID) ? opened.slice(0, 16) : undefined;
    },
    messageOf(name) {
      // A second message under one id has one byte more in its name.
      const opened = open(name.subarray(0, NAME_BYTES));
      return opened === undefined ? undefined : { box: opened.slice(0, 16), id: opened.slice(16) };
    },
  };
}

/** For each slot a short tag that lies in it. */
function slotTags(): string[] {
  const tags: string[] = new Array(SLOTS);
  for (let n = 0, left = SLOTS; left > 0; n++) {
    const tag = n.toString(36);
    const slot = slotOf(tag);
    if (tags[slot] !== undefined) continue;
    tags[slot] = tag;
    left--;
  }
  return tags;
}

function crcTable(): Uint16Array {
  const table = new Uint16Array(256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte << 8;
    for (let bit = 0; bit < 8; bit++) crc = crc & 0x8000 ? (crc << 1) ^ 0x1021 : crc << 1;
    table[byte] = crc;
  }
  return table;
}

/** Hash slots of a Redis Cluster. */
export const SLOTS = 16_384;
const CRC16 = crcTable();
const TAG_LENGTH = 22; // base64url of 128 bits
const NAME_BYTES = 16;
const SERIAL_BYTES = 8;
const NO_ID = "0".repeat(16);
const NO_SALT = new Uint8Array(0);
const MAX_RECENT = 16_384; // recipients whose names are at hand; others cost three HMACs
