/**
 * What was written to and fro by OpenBazaar's chat, kept in the store: bounded in number, bytes and days, so that no stranger
 * can fill it, and none can push out what others wrote. docs/bazaar.md
 */
import { innerId, type Moment, type PeerId } from "@restante/bazaar/format";
import type { Store } from "restante";
import { fromUtf8, toHex, utf8 } from "restante/protocol";

/** A message. Nobody changes it: what changes is another one in its place. */
export interface ChatRecord {
  /** As its writer computed it; others may have the same. */
  readonly messageId: string;
  /** With whom; "" for one that we wrote to several. */
  readonly peerId: PeerId | "";
  readonly subject: string;
  readonly text: string;
  /** As its writer says. */
  readonly time: Moment;
  readonly isOutgoing: boolean;
  readonly isRead: boolean;
  /** When it came or was written here, in milliseconds since 1970. */
  readonly at: number;
  /** Of one that came: whether it says for whom it is (protocol/bazaar.md §7), or came over a connection of its writer. */
  readonly isProven?: boolean;
  /** Of one that came: whether its writer knows our extension. */
  readonly isExtended?: boolean;
  /** Of one of ours: under which name, and to whom; who has it not yet; how many will not get it. */
  readonly sent?: {
    readonly name: string;
    readonly to: readonly PeerId[];
    readonly waiting: readonly number[];
    readonly failed: number;
  };
}

export interface ChatLimits {
  readonly messages: number;
  /** Of subjects and texts, in UTF-8. */
  readonly bytes: number;
  /** How long a message is kept. */
  readonly days: number;
}

const CHAT_LIMITS: ChatLimits = { messages: 20_000, bytes: 32 * 1024 * 1024, days: 365 };

export interface Conversation {
  readonly peerId: PeerId;
  readonly unread: number;
  readonly last: ChatRecord;
}

/** All of them, in memory and in the store. What is not committed did not happen: then the change rejects. */
export class Conversations {
  readonly #store: Store;
  readonly #own: PeerId;
  readonly #limits: ChatLimits;
  /** By their places, the oldest first. */
  readonly #records = new Map<number, Kept>();
  readonly #known = new Set<string>();
  readonly #peers = new Map<string, { bytes: number; places: Set<number> }>();
  #bytes = 0;
  #next = 1;
  #changing: Promise<unknown> = Promise.resolve();

  /** `own`: our id, which stands in what a message is known by. */
  constructor(store: Store, own: PeerId, limits: Partial<ChatLimits> = {}) {
    this.#store = store;
    this.#own = own;
    this.#limits = { ...CHAT_LIMITS, ...limits };
  }

  /** Reads what is stored. Records of a form that is not ours are left alone. */
  async load(): Promise<void> {
    for (const [key, value] of await this.#store.load(PREFIX)) {
      const place = Number(key.slice(PREFIX.length));
      const record = parseRecord(value);
      if (record !== undefined && Number.isSafeInteger(place)) this.#keep(place, record);
    }
  }

  /** Keeps a message. False when it is here already. The oldest of whoever has most make room for it. */
  async add(record: ChatRecord): Promise<boolean> {
    return await this.#change(async () => {
      const key = this.#keyOf(record);
      if (this.#known.has(key)) return false;
      const place = this.#next++;
      const leaving = this.#crowdedOut(record);
      await this.#store.commit([
        ...leaving.map((old) => ({ key: keyAt(old), value: undefined })),
        { key: keyAt(place), value: encodeRecord(record) },
      ]);
      for (const old of leaving) this.#forget(old);
      this.#keep(place, record);
      return true;
    });
  }

  /** With one peer, or to several at once (""), about one subject; the newest first, from below the one with this id. */
  messages(peer: PeerId | "", subject: string, limit: number, below?: string): ChatRecord[] {
    const found: ChatRecord[] = [];
    const places = [...(this.#peers.get(peer)?.places ?? [])].reverse();
    let isBelow = below === undefined || below === "";
    for (const place of places) {
      const record = this.#records.get(place)?.record;
      if (record === undefined || record.subject !== subject) continue;
      if (found.length >= limit) break;
      if (isBelow) found.push(record);
      else isBelow = record.messageId === below;
    }
    return found;
  }

  /** Those without a subject: with a subject it is about an order. The one with the newest message first. */
  conversations(): Conversation[] {
    const found: (Conversation & { readonly place: number })[] = [];
    for (const [peerId, { places }] of this.#peers) {
      const of = [...places].flatMap((place) => {
        const record = this.#records.get(place)?.record;
        return record?.subject === "" ? [{ place, record }] : [];
      });
      const last = of.at(-1);
      if (last === undefined || peerId === "") continue;
      const unread = of.filter(({ record }) => !record.isOutgoing && !record.isRead).length;
      found.push({ peerId: peerId as PeerId, unread, last: last.record, place: last.place });
    }
    return found.sort((a, b) => b.place - a.place).map(({ peerId, unread, last }) => ({ peerId, unread, last }));
  }

  /** The newest message that came from this peer. */
  lastFrom(peer: PeerId): ChatRecord | undefined {
    for (const place of [...(this.#peers.get(peer)?.places ?? [])].reverse()) {
      const record = this.#records.get(place)?.record;
      if (record?.isOutgoing === false) return record;
    }
    return undefined;
  }

  /** What came is read. Gives the id of the newest of them; `undefined` when there was none unread. */
  async read(peer: PeerId | "", subject: string): Promise<string | undefined> {
    const isUnread = (record: ChatRecord): boolean =>
      !record.isOutgoing && !record.isRead && record.subject === subject;
    return await this.#mark(peer, isUnread);
  }

  /** The peer has read what we wrote, up to and with the one of this id. False when there is no such one. */
  async readThere(peer: PeerId, subject: string, upTo: string): Promise<boolean> {
    const isOurs = (record: ChatRecord): boolean => record.isOutgoing && record.subject === subject;
    let last = 0;
    for (const place of this.#peers.get(peer)?.places ?? []) {
      const record = this.#records.get(place)?.record;
      if (record?.messageId === upTo && isOurs(record)) last = place;
    }
    if (last === 0) return false;
    await this.#mark(peer, (record, place) => isOurs(record) && !record.isRead && place <= last);
    return true;
  }

  /** A delivery of ours has ended. Unknown names change nothing. */
  async ended(name: string, index: number, isDelivered: boolean): Promise<void> {
    await this.#change(async () => {
      for (const [place, { record }] of this.#records) {
        const { sent } = record;
        if (sent?.name !== name || !sent.waiting.includes(index)) continue;
        const waiting = sent.waiting.filter((other) => other !== index);
        const failed = sent.failed + (isDelivered ? 0 : 1);
        await this.#replace([[place, { ...record, sent: { ...sent, waiting, failed } }]]);
        return;
      }
    });
  }

  /** Ours that somebody has not got yet. */
  undelivered(): ChatRecord[] {
    return [...this.#records.values()]
      .map(({ record }) => record)
      .filter(({ sent }) => sent && sent.waiting.length > 0);
  }

  /** Forgets one message here, whoever else has it. Several may have its id: the newest goes. False: there is none. */
  async removeMessage(id: string): Promise<ChatRecord | undefined> {
    const found = [...this.#records].filter(([, { record }]) => record.messageId === id).at(-1);
    if (found !== undefined) await this.#remove([found[0]]);
    return found?.[1].record;
  }

  /** Forgets all that was written with a peer. */
  async removeConversation(peer: PeerId): Promise<void> {
    await this.#remove([...(this.#peers.get(peer)?.places ?? [])]);
  }

  /** Forgets what is older than it may be. */
  async expire(now: number): Promise<void> {
    const end = now - this.#limits.days * DAY_MS;
    await this.#remove([...this.#records].filter(([, { record }]) => record.at < end).map(([place]) => place));
  }

  async #mark(peer: string, isMeant: (record: ChatRecord, place: number) => boolean): Promise<string | undefined> {
    return await this.#change(async () => {
      const marked: [number, ChatRecord][] = [];
      for (const place of this.#peers.get(peer)?.places ?? []) {
        const record = this.#records.get(place)?.record;
        if (record !== undefined && isMeant(record, place)) marked.push([place, { ...record, isRead: true }]);
      }
      if (marked.length > 0) await this.#replace(marked);
      return marked.at(-1)?.[1].messageId;
    });
  }

  async #replace(changed: readonly [number, ChatRecord][]): Promise<void> {
    await this.#store.commit(changed.map(([place, record]) => ({ key: keyAt(place), value: encodeRecord(record) })));
    for (const [place, record] of changed) {
      const kept = this.#records.get(place);
      if (kept !== undefined) kept.record = record;
    }
  }

  async #remove(places: readonly number[]): Promise<void> {
    if (places.length === 0) return;
    await this.#change(async () => {
      await this.#store.commit(places.map((place) => ({ key: keyAt(place), value: undefined })));
      for (const place of places) this.#forget(place);
    });
  }

  /** Which have to leave for this one. Whoever takes most of the room gives it. */
  #crowdedOut(record: ChatRecord): number[] {
    const leaving: number[] = [];
    const left = new Map([...this.#peers].map(([peer, { bytes, places }]) => [peer, { bytes, places: [...places] }]));
    let [bytes, count] = [this.#bytes + sizeOf(record), this.#records.size + 1];
    while (count > this.#limits.messages || bytes > this.#limits.bytes) {
      const isLong = bytes > this.#limits.bytes;
      const weight = (of: { bytes: number; places: number[] }): number => (isLong ? of.bytes : of.places.length);
      const [most] = [...left.values()].sort((a, b) => weight(b) - weight(a));
      const place = most?.places.shift();
      const size = place === undefined ? undefined : this.#records.get(place)?.size;
      if (most === undefined || place === undefined || size === undefined) break;
      leaving.push(place);
      most.bytes -= size;
      bytes -= size;
      count--;
    }
    return leaving;
  }

  #keep(place: number, record: ChatRecord): void {
    const [size, key] = [sizeOf(record), this.#keyOf(record)];
    this.#records.set(place, { record, size, key });
    this.#known.add(key);
    this.#next = Math.max(this.#next, place + 1);
    this.#bytes += size;
    const of = this.#peers.get(record.peerId) ?? { bytes: 0, places: new Set() };
    of.bytes += size;
    of.places.add(place);
    this.#peers.set(record.peerId, of);
  }

  #forget(place: number): void {
    const kept = this.#records.get(place);
    if (kept === undefined) return;
    this.#records.delete(place);
    this.#known.delete(kept.key);
    this.#bytes -= kept.size;
    const of = this.#peers.get(kept.record.peerId);
    if (of === undefined) return;
    of.bytes -= kept.size;
    of.places.delete(place);
    if (of.places.size === 0) this.#peers.delete(kept.record.peerId);
  }

  /** What a message is known by (X14): its id could be another one's. */
  #keyOf({ peerId, isOutgoing, text, subject, time, sent }: ChatRecord): string {
    const other = (peerId || sent?.name || "") as PeerId;
    const [from, to] = isOutgoing ? [this.#own, other] : [other, this.#own];
    return toHex(innerId({ from, to, text, subject, time }));
  }

  /** One after the other: each sees what the one before has left. */
  async #change<T>(act: () => Promise<T>): Promise<T> {
    const changing = this.#changing.then(act);
    this.#changing = changing.catch(() => {});
    return await changing;
  }
}

interface Kept {
  record: ChatRecord;
  readonly size: number;
  readonly key: string;
}

function sizeOf({ subject, text }: ChatRecord): number {
  return utf8(subject).length + utf8(text).length;
}

function keyAt(place: number): string {
  return PREFIX + String(place).padStart(15, "0");
}

function encodeRecord(record: ChatRecord): Uint8Array {
  return utf8(JSON.stringify(record));
}

/** We wrote it: what is checked is only that it is whole. */
function parseRecord(bytes: Uint8Array): ChatRecord | undefined {
  try {
    const record = JSON.parse(fromUtf8(bytes) ?? "") as ChatRecord;
    return typeof record.text === "string" && typeof record.time.seconds === "number" ? record : undefined;
  } catch {
    return undefined;
  }
}

const PREFIX = "ob/chat/";
const DAY_MS = 86_400_000;
