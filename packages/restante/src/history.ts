/**
 * History: what the store keeps of mail that is over: the conversation with a contact, the search for words, and what is
 * erased because its time is over. Reads page by page beside the driver; what it erases goes through the machine.
 */
import { RestanteError, type Time } from "./bytes/index.ts";
import type { Hashname } from "./crypto/index.ts";
import {
  type ErasedFile,
  inOrder,
  type MailState,
  type InboxRecord as Received,
  type SentRecord,
  shownTime,
} from "./mail/index.ts";
import { KEEP_PREFIX } from "./peer/index.ts";
import type { Store } from "./store/index.ts";

/** A mail of a conversation. */
export interface HistoryEntry {
  /** "in": from the contact. "out": of ours. */
  readonly way: "in" | "out";
  /** Its number in the inbox; of ours, among what we sent. */
  readonly n: number;
  readonly id: string;
  readonly contact: string;
  /** When it was written, by its writer's clock, but a day after it came at most. */
  readonly time: Time;
  /** What the writer's clock said, where that was later. */
  readonly claimed?: Time;
  /** Of "in". */
  readonly received?: Time;
  readonly from?: Hashname;
  readonly kind: string;
  readonly suite?: string;
  readonly text?: string;
  /** The bytes of one of "in" are there as `Peer.file` gives them; those of ours went with the delivery. */
  readonly file?: { readonly name: string; readonly media: string; readonly size: number; readonly sha256: string };
  readonly why?: "damaged";
  /** Of "out": what became of it, if that is still known. */
  readonly state?: MailState;
  /** Mails that its writer had seen and that are not here: of another device of ours, erased, or sent before a restore. */
  readonly missing?: readonly string[];
}

/** A piece of a conversation. */
export interface ConversationPage {
  /** In the order of the conversation. */
  readonly entries: readonly HistoryEntry[];
  /** Where the page before this one ends; absent: nothing is before it. */
  readonly before?: string;
}

/** After how many days what was written with a contact is erased. */
export interface Retention {
  readonly contact: string;
  readonly days: number;
}

export interface HistoryOptions {
  readonly store: Store;
  readonly now: () => Time;
  /** Numbers of the newest mails. */
  readonly last: () => { readonly inbox: number; readonly sent: number };
  /** Whether a mail of ours is in the spool. */
  readonly isSpooled: (id: string) => Promise<boolean>;
  readonly stateOf: (id: string) => Promise<MailState | undefined>;
  /** `files`: those of contacts that go with them. */
  readonly erase: (keys: readonly string[], files: readonly ErasedFile[]) => Promise<unknown>;
}

/** Reads and erases. Everything rejects with what the store rejects with. */
export class History {
  readonly #options: HistoryOptions;

  constructor(options: HistoryOptions) {
    this.#options = options;
  }

  /**
   * The last `limit` (1 to 200) mails with a contact, or those before `before`. Mails that came or went near each other stand in
   * one page, and in it in the order of the conversation. Looks at 20,000 mails of all contacts at most, so that a page may
   * hold fewer although there are more before it. Throws "bad-request" for a limit or a `before` that is none.
   */
  async conversation(
    contact: string,
    { before, limit = 50 }: { before?: string; limit?: number } = {},
  ): Promise<ConversationPage> {
    checkLimit(limit);
    const log = new Log(this.#options.store, before === undefined ? this.#end() : parsePlace(before));
    const found: Record[] = [];
    for (let left = SCAN_LIMIT; left > 0 && found.length < limit; left--) {
      const record = await log.next();
      if (record === undefined) break;
      if (record.mail.contact === contact) found.push(record);
    }
    const ordered = inOrder(found.map((record) => ({ ...placeOf(record), record })));
    const known = new Set(ordered.map(({ id }) => id));
    const entries: HistoryEntry[] = [];
    for (const { record } of ordered) entries.push(await this.#entry(record, known));
    return { entries, ...((await log.isOver()) ? {} : { before: log.place }) };
  }

  /**
   * Mails in whose text or file name all these words stand, in any case and spelling that Unicode calls compatible, as words or
   * in them; the newest first, at most `limit` (1 to 200). It reads all mail until it has them: `signal` ends it. Nothing is
   * written, no index kept. Throws "bad-request" without a word.
   */
  async search(
    words: string,
    { contact, limit = 50, signal }: { contact?: string; limit?: number; signal?: AbortSignal } = {},
  ): Promise<HistoryEntry[]> {
    checkLimit(limit);
    const wanted = plain(words)
      .split(/\s+/u)
      .filter((word) => word !== "");
    if (wanted.length === 0 || words.length > MAX_WORDS)
      throw new RestanteError("bad-request", `a search is for a word at least, in ${MAX_WORDS} characters at most`);
    const log = new Log(this.#options.store, this.#end());
    const found: HistoryEntry[] = [];
    while (found.length < limit) {
      signal?.throwIfAborted();
      const record = await log.next();
      if (record === undefined) break;
      const { mail } = record;
      if (contact !== undefined && mail.contact !== contact) continue;
      const text = plain(`${mail.text ?? ""}\n${mail.file?.name ?? ""}`);
      if (wanted.every((word) => text.includes(word))) found.push(await this.#entry(record));
    }
    return found;
  }

  /** What is set. */
  async retentions(): Promise<Retention[]> {
    const pairs = await this.#options.store.load(KEEP_PREFIX);
    return pairs.map(([key, value]) => ({
      contact: key.slice(KEEP_PREFIX.length),
      ...jsonOf<{ days: number }>(value),
    }));
  }

  /**
   * Erase what is over its time, and say how many mails that were. What is on its way stays until it is settled. What remains
   * of an erased mail is docs/store.md's to say.
   */
  async sweep(isStopped: () => boolean = () => false): Promise<number> {
    const days = new Map((await this.retentions()).map((each) => [each.contact, each.days]));
    if (days.size === 0) return 0;
    const now = this.#options.now();
    let erased = 0;
    for (const group of [INBOX, SENT])
      for (let after = group; !isStopped(); ) {
        const page = await this.#options.store.list(group, after, WINDOW);
        const over = page
          .map(([, value]): Record => recordOf(group, jsonOf(value)))
          .filter(({ mail, at }) => at + (days.get(mail.contact) ?? Number.POSITIVE_INFINITY) * DAY_MS <= now);
        erased += await this.#erase(over);
        const last = page.at(-1);
        if (last === undefined) break;
        [after] = last;
      }
    return erased;
  }

  async #erase(over: readonly Record[]): Promise<number> {
    const { store, isSpooled, erase } = this.#options;
    const records: Record[] = [];
    for (const record of over) if (record.way === "in" || !(await isSpooled(record.mail.id))) records.push(record);
    if (records.length === 0) return 0;
    const keys: string[] = [];
    const files: ErasedFile[] = [];
    for (const record of records) {
      const { n, id } = record.mail;
      keys.push(numberKey(record.way === "in" ? INBOX : SENT, n));
      if (record.way === "out") keys.push(`ledger/${id}`);
      // Content first: after a crash in between the record leads here again.
      const { blob, parts, contact } = blobOf(record);
      if (blob === undefined) continue;
      await store.blobRemove(blob);
      files.push({ contact, parts });
    }
    await erase(keys, files);
    return records.length;
  }

  #end(): Place {
    const { inbox, sent } = this.#options.last();
    return { inbox: inbox + 1, sent: sent + 1 };
  }

  async #entry(record: Record, known?: ReadonlySet<string>): Promise<HistoryEntry> {
    const { n, id, contact, time, kind, text, file } = record.mail;
    const head = file && { name: file.name, media: file.media, size: file.size, sha256: file.sha256 };
    const said = { kind, ...(text !== undefined && { text }), ...(head && { file: head }) };
    if (record.way === "out") {
      const state = await this.#options.stateOf(id);
      return { way: "out", n, id, contact, time, ...said, ...(state && { state }) };
    }
    const { received, from, suite, why, after } = record.mail;
    const shown = shownTime(time, received);
    const missing = known === undefined ? [] : await this.#missing(contact, after, known);
    return {
      ...{ way: "in", n, id, contact, time: shown },
      ...(shown < time && { claimed: time }),
      ...{ received, from },
      ...said,
      ...(suite !== undefined && { suite }),
      ...(why && { why }),
      ...(missing.length > 0 && { missing }),
    };
  }

  async #missing(contact: string, after: readonly string[], known: ReadonlySet<string>): Promise<string[]> {
    const { store, isSpooled } = this.#options;
    const missing: string[] = [];
    for (const id of after) {
      if (known.has(id) || (await isSpooled(id)) || (await store.get(`ledger/${id}`)) !== undefined) continue;
      if ((await store.get(`seen/${contact}/${id}`)) === undefined) missing.push(id);
    }
    return missing;
  }
}

/** Below these numbers. */
interface Place {
  readonly inbox: number;
  readonly sent: number;
}

type Record = { readonly at: Time } & (
  | { readonly way: "in"; readonly mail: Received }
  | { readonly way: "out"; readonly mail: SentRecord }
);

/** Both lists as one, from the newest on, by the time at which each mail came or went here. */
class Log {
  readonly #inbox: Backwards;
  readonly #sent: Backwards;

  constructor(store: Store, { inbox, sent }: Place) {
    this.#inbox = new Backwards(store, INBOX, inbox);
    this.#sent = new Backwards(store, SENT, sent);
  }

  get place(): string {
    return `${this.#inbox.below}.${this.#sent.below}`;
  }

  async isOver(): Promise<boolean> {
    return (await this.#inbox.peek()) === undefined && (await this.#sent.peek()) === undefined;
  }

  async next(): Promise<Record | undefined> {
    const [theirs, ours] = [await this.#inbox.peek(), await this.#sent.peek()];
    return theirs !== undefined && (ours === undefined || isNewer(theirs, ours))
      ? this.#inbox.take()
      : this.#sent.take();
  }
}

/** A list of numbered records from its end on, read in pieces. */
class Backwards {
  readonly #store: Store;
  readonly #group: string;
  /** Ascending: taken from the end. */
  #window: Record[] = [];
  /** All from here on are taken, or in the window. */
  #read: number;
  #below: number;
  #first: number | undefined;

  constructor(store: Store, group: string, below: number) {
    this.#store = store;
    this.#group = group;
    this.#read = below;
    this.#below = below;
  }

  /** All from here on are taken. */
  get below(): number {
    return this.#below;
  }

  async peek(): Promise<Record | undefined> {
    // What is erased leaves holes, but nothing is read below the first that is there.
    this.#first ??= await this.#firstNumber();
    while (this.#window.length === 0 && this.#read > this.#first) {
      const low = Math.max(this.#first, this.#read - WINDOW);
      const pairs = await this.#store.list(this.#group, numberKey(this.#group, low - 1), this.#read - low);
      const records = pairs.map(([, value]): Record => recordOf(this.#group, jsonOf(value)));
      this.#window = records.filter(({ mail: { n } }) => n < this.#read);
      this.#read = low;
    }
    return this.#window.at(-1);
  }

  take(): Record | undefined {
    const record = this.#window.pop();
    this.#below = record?.mail.n ?? this.#read;
    return record;
  }

  async #firstNumber(): Promise<number> {
    const [pair] = await this.#store.list(this.#group, this.#group, 1);
    return pair === undefined ? Number.POSITIVE_INFINITY : Number(pair[0].slice(this.#group.length));
  }
}

/** In one millisecond, who answers is the newer. */
function isNewer(theirs: Record, ours: Record): boolean {
  return theirs.at === ours.at ? !ours.mail.after.includes(theirs.mail.id) : theirs.at > ours.at;
}

function recordOf(group: string, mail: Received | SentRecord): Record {
  if (group === SENT) return { way: "out", at: mail.time, mail: mail as SentRecord };
  const received = mail as Received;
  return { way: "in", at: received.received, mail: received };
}

function placeOf(record: Record): { id: string; after: readonly string[]; time: Time; line?: string; place?: number } {
  const { id, after, n, time } = record.mail;
  if (record.way === "out") return { id, after, time, line: "", place: n };
  const { from, epoch, seq, received } = record.mail;
  const line = epoch === undefined || seq === undefined ? {} : { line: `${from} ${epoch}`, place: seq };
  return { id, after, time: shownTime(time, received), ...line };
}

function parsePlace(text: string): Place {
  const match = /^(\d{1,12})\.(\d{1,12})$/.exec(text);
  if (match === null) throw new RestanteError("bad-request", "before is what a page said");
  return { inbox: Number(match[1]), sent: Number(match[2]) };
}

/** What lies of a received mail in a blob. */
function blobOf({ way, mail }: Record): { blob?: string; parts: number; contact: string } {
  const { contact } = mail;
  if (way === "out") return { contact, parts: 0 };
  const blob = mail.file?.blob || mail.blob;
  return { contact, parts: mail.file?.parts ?? mail.parts ?? 0, ...(blob && { blob }) };
}

function checkLimit(limit: number): void {
  if (!(Number.isInteger(limit) && limit >= 1 && limit <= MAX_PAGE))
    throw new RestanteError("bad-request", `limit is a whole number, 1 to ${MAX_PAGE}`);
}

/** What is alike for who searches is the same. */
function plain(text: string): string {
  return text.normalize("NFKC").toLowerCase();
}

function jsonOf<T>(value: Uint8Array): T {
  return JSON.parse(new TextDecoder().decode(value)) as T;
}

function numberKey(group: string, n: number): string {
  return `${group}${String(n).padStart(12, "0")}`;
}

const INBOX = "inbox/";
const SENT = "sent/";
const WINDOW = 200; // records read at once
const SCAN_LIMIT = 20_000; // some 0.3 s of decryption
const MAX_PAGE = 200;
const MAX_WORDS = 256;
const DAY_MS = 86_400_000;
