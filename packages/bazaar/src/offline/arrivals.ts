/**
 * Messages that have come, online or not: opened, committed, and only then acknowledged; then offered to the application, one
 * after the other. What the application calls early is kept and offered again in the order of its type, when others were taken.
 */
import { sha256 } from "@noble/hashes/sha2.js";
import { fromBase64url, fromUtf8, type Time, toBase64url, toHex, utf8 } from "restante/protocol";
import {
  acknowledgedBy,
  type Cid,
  type Extension,
  encodeMessage,
  extensionOf,
  type Identity,
  type Message,
  magicId,
  type Opened,
  open,
  type PeerId,
  parseMessage,
  parsePeerId,
  split,
  TYPES,
} from "../format/index.ts";
import type { Contact, Save } from "./effects.ts";
import { isFleeting, messageKey } from "./posting.ts";
import { SEEN_PREFIX, Seen } from "./seen.ts";
import { backOff } from "./slots.ts";

/** What comes of arrivals, beside saves. */
export type ArrivalsOutput =
  | Save
  /** A committed message for the application; answered by `taken`. */
  | {
      readonly type: "offer";
      readonly id: number;
      readonly from: PeerId;
      readonly publicKey: Uint8Array;
      readonly message: Message;
      /** Absent: OpenBazaar's own message. Offline, its addressee is unproven. */
      readonly extension?: Extension | undefined;
      readonly way: "online" | "offline";
      /** When it came. */
      readonly at: Time;
    }
  /** Typing: for now only, never kept. */
  | { readonly type: "fleeting"; readonly from: PeerId; readonly message: Message }
  /** Tell the sender, for the sender's machine. */
  | {
      readonly type: "acknowledge";
      readonly to: Contact;
      readonly magic: Uint8Array;
      readonly isStranger: boolean;
    }
  /** A peer says that it has what this magic id points to, for the sender's machine. */
  | { readonly type: "acknowledged"; readonly from: PeerId; readonly magic: Uint8Array }
  /** The answer to a request. */
  | { readonly type: "reply"; readonly to: Contact; readonly message: Message };

/** What became of an offer: "early": offer it again when others have been taken. */
export type Taken = "done" | "early" | "refused";

/** What became of a content. "later": no room now, and not acknowledged; "bad": junk, and remembered as that. */
export type Verdict =
  | { readonly type: "new" | "known"; readonly opened: Opened }
  | { readonly type: "seen" | "bad" | "later" };

/** All keys of messages that wait for the application begin so. */
export const IN_PREFIX = "bazaar/in/";

interface Item {
  readonly n: number;
  readonly from: PeerId;
  readonly publicKey: Uint8Array;
  readonly message: Message;
  readonly way: "online" | "offline";
  readonly at: Time;
  readonly bytes: number;
}

export class Arrivals {
  readonly #identity: Identity;
  readonly #seen: Seen;
  readonly #items = new Map<number, Item>();
  readonly #banned = new Set<PeerId>();
  readonly #contacts = new Set<PeerId>();
  /** How many wait, and how many bytes, by sender; and of all strangers. */
  readonly #waiting = new Map<PeerId, { count: number; bytes: number }>();
  #strange = { count: 0, bytes: 0 };
  #bytes = 0;
  #next = 1;
  /** What is to be offered, in this order. */
  #round: Item[] = [];
  /** What was called early since something was taken last. */
  #early: Item[] = [];
  #wasTaken = false;
  /** When these are offered again although nothing was taken; how often that was in vain. */
  #retryAt: Time | undefined;
  #retries = 0;
  #offered: Item | undefined;
  #out: ArrivalsOutput[] = [];
  refused = 0;

  /** `records`: what is stored below IN_PREFIX and SEEN_PREFIX. */
  constructor(identity: Identity, records: Iterable<readonly [key: string, value: Uint8Array]>) {
    this.#identity = identity;
    const all = [...records];
    this.#seen = new Seen(all.filter(([key]) => key.startsWith(SEEN_PREFIX)));
    for (const [key, value] of all) {
      const item = key.startsWith(IN_PREFIX) ? parseItem(Number(key.slice(IN_PREFIX.length)), value) : undefined;
      if (item !== undefined) this.#keep(item);
    }
    this.#round = inOrder([...this.#items.values()]);
  }

  /** What has happened since this was last asked. */
  take(): ArrivalsOutput[] {
    const out = this.#out;
    this.#out = [];
    return out;
  }

  /** Drops everything from these peers from now on, at every entrance. */
  ban(peers: Iterable<PeerId>): void {
    this.#banned.clear();
    for (const peer of peers) this.#banned.add(peer);
  }

  isBanned(peer: PeerId): boolean {
    return this.#banned.has(peer);
  }

  /** Who is no stranger. */
  contacts(peers: Iterable<PeerId>): void {
    this.#contacts.clear();
    for (const peer of peers) this.#contacts.add(peer);
    this.#strange = { count: 0, bytes: 0 };
    for (const item of this.#items.values()) this.#countStrange(item, 1);
  }

  /** How many messages wait for the application. */
  get waiting(): number {
    return this.#items.size;
  }

  /** Whether the content is known; when it was acknowledged half a day ago, it is again: its pointer is still there. */
  isSeen(key: string, now: Time): boolean {
    const entry = this.#seen.get(`c-${key}`);
    const acked = entry?.acked;
    if (acked !== undefined && now - acked.at >= REACK_MS && !this.#banned.has(acked.to)) {
      this.#out.push(
        ...this.#seen.add(`c-${key}`, {
          ...entry,
          pool: entry?.pool ?? "stranger",
          at: entry?.at ?? now,
          acked: { ...acked, at: now },
        }),
      );
      this.#acknowledge({ id: acked.to, publicKey: acked.publicKey }, acked.magic);
    }
    return entry !== undefined;
  }

  /** Remembers that there is nothing to read at an address, or in a content. */
  junk(key: string, now: Time): void {
    this.#out.push(...this.#seen.add(`c-${key}`, { pool: "junk", at: now }));
  }

  /**
   * Takes a content: `isAcked`: whoever sent it waits for an acknowledgement (a relayed one is not for us to acknowledge).
   */
  content(content: Uint8Array, isAcked: boolean, now: Time): Verdict {
    const [root] = split(content);
    const key = root && contentKey(root.cid);
    if (key === undefined) return { type: "bad" };
    if (this.isSeen(key, now)) return { type: "seen" };
    const opened = open(this.#identity, content);
    const bad = (): Verdict => {
      this.refused++;
      this.junk(key, now);
      return { type: "bad" };
    };
    if (opened === undefined || this.#banned.has(opened.from)) return bad();
    const { from, publicKey, message } = opened;
    const magic = acknowledgedBy(message);
    if (magic !== undefined) {
      this.#out.push({ type: "acknowledged", from, magic });
      this.junk(key, now); // an acknowledgement is never acknowledged; once read, it is nothing
      return { type: "known", opened };
    }
    if (!isKept(message)) return bad();
    // What is older than all that we remember may have been shown before, and forgotten: anybody may have kept the bytes.
    const written = opened.extension?.time ?? now;
    if (written < now - OLD_MS) return bad();
    if (written > now + AHEAD_MS) return { type: "later" };
    const acked = { to: from, publicKey, magic: magicId(content), at: now };
    const said = messageKey(from, message);
    const pool = this.#contacts.has(from) ? "contact" : "stranger";
    const isNew = this.#seen.get(`m-${said}`) === undefined;
    if (isNew && !this.#commit(opened, said, "offline", now)) return { type: "later" };
    this.#out.push(...this.#seen.add(`c-${key}`, { pool, at: now, ...(isAcked && { acked }) }));
    // Behind the saves: they are on the disk before this leaves.
    if (isAcked) this.#acknowledge({ id: from, publicKey }, acked.magic);
    this.#offer();
    return { type: isNew ? "new" : "known", opened };
  }

  /** Takes a message that came online, on a stream of its sender. */
  message(from: Contact, message: Message, now: Time): void {
    const { requestId: _, isResponse, ...bare } = message;
    if (this.#banned.has(from.id) || isResponse || from.publicKey === undefined) return;
    const magic = acknowledgedBy(message);
    if (magic !== undefined) {
      this.#out.push({ type: "acknowledged", from: from.id, magic });
      return;
    }
    if (message.type === TYPES.PING) return this.#reply(from, message);
    if (isFleeting(message)) {
      this.#out.push({ type: "fleeting", from: from.id, message: bare });
      return;
    }
    if (message.type === TYPES.OFFLINE_RELAY && message.payload !== undefined) {
      if (message.payload.value.length <= CONTENT_BYTES) this.content(message.payload.value, false, now);
      return;
    }
    const extension = extensionOf(message);
    const isForUs = extension === undefined || (extension !== "bad" && extension.recipient === this.#identity.id);
    if (!isKept(message) || !isForUs) {
      this.refused++;
      return;
    }
    const said = messageKey(from.id, bare);
    if (this.#seen.get(`m-${said}`) === undefined) {
      const opened = { from: from.id, publicKey: from.publicKey, message: bare };
      if (!this.#commit(opened, said, "online", now)) return;
    }
    this.#reply(from, message); // behind the saves; nobody asks who does not know our extension
    this.#offer();
  }

  /** The application's answer to an offer. */
  taken(id: number, result: Taken, now: Time): void {
    const item = this.#offered;
    if (item === undefined || item.n !== id) return;
    this.#offered = undefined;
    if (result === "early") {
      this.#early.push(item);
      this.#retryAt ??= now + backOff(++this.#retries, RETRY_MS, RETRY_MOST_MS);
    } else {
      this.#forget(item);
      this.#wasTaken = true;
      this.#retries = 0;
    }
    this.#offer();
  }

  /** When `retry` is due: what is early for want of room or of a budget waits for time alone. */
  deadline(): Time | undefined {
    return this.#early.length > 0 ? this.#retryAt : undefined;
  }

  /** Offers once more what was early. */
  retry(): void {
    this.#retryAt = undefined;
    this.#round.push(...inOrder(this.#early));
    this.#early = [];
    this.#offer();
  }

  /** Offers the next message, unless one is under way. */
  start(): void {
    this.#offer();
  }

  sweep(now: Time): void {
    this.#out.push(...this.#seen.sweep(now));
    for (const item of this.#early) {
      if (now - item.at < EARLY_MS) continue;
      this.#early = this.#early.filter((other) => other !== item);
      this.refused++;
      this.#forget(item);
    }
  }

  /** Saves a message for the application. False when there is no room: then nothing was done. */
  #commit(
    { from, publicKey, message }: Pick<Opened, "from" | "publicKey" | "message">,
    said: string,
    way: "online" | "offline",
    now: Time,
  ): boolean {
    const signed = encodeMessage(message);
    const { count, bytes } = this.#waiting.get(from) ?? { count: 0, bytes: 0 };
    if (count >= SENDER_COUNT || bytes + signed.length > SENDER_BYTES) return false;
    if (this.#items.size >= ITEMS || this.#bytes + signed.length > ITEMS_BYTES) return false;
    // Strangers, of whom anybody can be as many as he likes, leave room for the others.
    const strange = this.#strange;
    const isFull = strange.count >= STRANGE_ITEMS || strange.bytes + signed.length > STRANGE_BYTES;
    if (isFull && !this.#contacts.has(from)) return false;
    const item: Item = { n: this.#next, from, publicKey, message, way, at: now, bytes: signed.length };
    this.#keep(item);
    this.#round.push(item);
    const pool = this.#contacts.has(from) ? "contact" : "stranger";
    this.#out.push({ type: "save", key: inKey(item.n), value: encodeItem(item, signed) });
    this.#out.push(...this.#seen.add(`m-${said}`, { pool, at: now }));
    return true;
  }

  #offer(): void {
    if (this.#offered !== undefined) return;
    if (this.#round.length === 0 && this.#wasTaken && this.#early.length > 0) {
      this.#round = inOrder(this.#early);
      this.#early = [];
      this.#wasTaken = false;
      this.#retryAt = undefined;
    }
    const item = this.#round.shift();
    if (item === undefined) return;
    if (this.#banned.has(item.from)) {
      this.#forget(item);
      return this.#offer();
    }
    this.#offered = item;
    const { n: id, from, publicKey, message, way, at } = item;
    const extension = extensionOf(message);
    const proof = extension !== undefined && extension !== "bad" ? { extension } : {};
    this.#out.push({ type: "offer", id, from, publicKey, message, way, at, ...proof });
  }

  #acknowledge(to: Contact, magic: Uint8Array): void {
    this.#out.push({ type: "acknowledge", to, magic, isStranger: !this.#contacts.has(to.id) });
  }

  #reply(to: Contact, { type, requestId }: Message): void {
    if (requestId === undefined) return;
    this.#out.push({ type: "reply", to, message: { type, requestId, isResponse: true } });
  }

  #keep(item: Item): void {
    this.#items.set(item.n, item);
    this.#next = Math.max(this.#next, item.n + 1);
    this.#bytes += item.bytes;
    const { count, bytes } = this.#waiting.get(item.from) ?? { count: 0, bytes: 0 };
    this.#waiting.set(item.from, { count: count + 1, bytes: bytes + item.bytes });
    this.#countStrange(item, 1);
  }

  #countStrange({ from, bytes }: Item, by: 1 | -1): void {
    if (this.#contacts.has(from)) return;
    this.#strange.count += by;
    this.#strange.bytes += by * bytes;
  }

  #forget(item: Item): void {
    this.#items.delete(item.n);
    this.#countStrange(item, -1);
    this.#bytes -= item.bytes;
    const { count, bytes } = this.#waiting.get(item.from) ?? { count: 1, bytes: item.bytes };
    if (count <= 1) this.#waiting.delete(item.from);
    else this.#waiting.set(item.from, { count: count - 1, bytes: bytes - item.bytes });
    this.#out.push({ type: "save", key: inKey(item.n), value: undefined });
  }
}

/** By what a content is remembered. */
export function contentKey(name: Cid | string): string {
  return toHex(sha256(utf8(name)).subarray(0, 16));
}

/** In the order of their types, those of one type as they came. */
function inOrder(items: readonly Item[]): Item[] {
  return [...items].sort((a, b) => rank(a.message.type) - rank(b.message.type) || a.n - b.n);
}

function rank(type: number): number {
  const place = ORDER.indexOf(type);
  return place === -1 ? ORDER.length : place;
}

/** Whether a message is for the application, and worth keeping. */
function isKept(message: Message): boolean {
  return ORDER.includes(message.type) && !isFleeting(message);
}

function inKey(n: number): string {
  return IN_PREFIX + String(n).padStart(15, "0");
}

function encodeItem({ from, publicKey, way, at }: Item, message: Uint8Array): Uint8Array {
  return utf8(JSON.stringify({ from, key: toBase64url(publicKey), way, at, message: toBase64url(message) }));
}

function parseItem(n: number, value: Uint8Array): Item | undefined {
  try {
    const { from, key, way, at, message } = JSON.parse(fromUtf8(value) ?? "");
    const [peer, publicKey, bytes] = [
      parsePeerId(String(from)),
      fromBase64url(String(key)),
      fromBase64url(String(message)),
    ];
    const parsed = bytes && parseMessage(bytes);
    if (!Number.isSafeInteger(n) || peer === undefined || publicKey === undefined || parsed === undefined)
      return undefined;
    return {
      n,
      from: peer,
      publicKey,
      message: parsed,
      way: way === "online" ? "online" : "offline",
      at: Number(at),
      bytes: bytes?.length ?? 0,
    };
  } catch {
    return undefined;
  }
}

/** D49: what others build on comes first. Ours, which has an order of its own, stands with the chats. */
const ORDER: readonly number[] = [
  TYPES.ORDER,
  TYPES.ORDER_CANCEL,
  TYPES.ORDER_REJECT,
  TYPES.ORDER_CONFIRMATION,
  TYPES.ORDER_PAYMENT,
  TYPES.ORDER_FULFILLMENT,
  TYPES.ORDER_COMPLETION,
  TYPES.DISPUTE_OPEN,
  TYPES.DISPUTE_UPDATE,
  TYPES.VENDOR_FINALIZED_PAYMENT,
  TYPES.DISPUTE_CLOSE,
  TYPES.REFUND,
  TYPES.CHAT,
  TYPES.SEALED,
  TYPES.FOLLOW,
  TYPES.UNFOLLOW,
  TYPES.MODERATOR_ADD,
  TYPES.MODERATOR_REMOVE,
];
/** The most bytes of an outbox file that is downloaded. */
export const CONTENT_BYTES: number = 4 * 1024 * 1024;
const ITEMS = 1000;
const ITEMS_BYTES = 64 * 1024 * 1024;
const STRANGE_ITEMS = 300;
const STRANGE_BYTES = 16 * 1024 * 1024;
const SENDER_COUNT = 64;
const SENDER_BYTES = 16 * 1024 * 1024;
const REACK_MS = 12 * 3_600_000; // as often as the sender publishes again
const EARLY_MS = 30 * 86_400_000;
const RETRY_MS = 60_000;
const RETRY_MOST_MS = 3_600_000;
const OLD_MS = 37 * 86_400_000; // republished for 30 days, and a pointer lives 7
const AHEAD_MS = 86_400_000;
