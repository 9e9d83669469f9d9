/** The inbox: shows each mail once. What was shown is a key in the store, asked for when a mail is whole. mail.md §8 */
import { asJson, fromUtf8, type Machine, ofJson, type Save, type Time, toBase32 } from "../bytes/index.ts";
import type { Hashname } from "../crypto/index.ts";
import type { FileHead } from "./envelope.ts";
import type { Arrival } from "./received-contract.ts";

/** A mail as the application gets it, and as it lies under "inbox/<n, 12 digits>" as JSON. */
export interface InboxRecord {
  /** Its place in the inbox, from 1, in the order of arrival. */
  readonly n: number;
  readonly contact: string;
  /** The peer of the contact that sent it. */
  readonly from: Hashname;
  /** 32 hex, once per contact. */
  readonly id: string;
  /** Mails that the writer had seen. */
  readonly after: readonly string[];
  /** Its number, and the epoch of the writer's store that counts so. Absent in what came before these were kept. */
  readonly epoch?: string;
  readonly seq?: number;
  /** When it was written, by the writer's clock: that may be any time. `shownTime` is for people. */
  readonly time: Time;
  /** When it was whole here. */
  readonly received: Time;
  readonly kind: string;
  /**
   * Its security label. "static": whoever steals our key opens a recording of it. "forward": not once the key it was sealed
   * to is deleted. Absent in what came before labels.
   */
  readonly suite?: string;
  /** Of kind "text". */
  readonly text?: string;
  /** Of kind "file": records 0 to `parts` - 1 of the blob are the content. */
  readonly file?: FileHead & { readonly blob: string; readonly parts: number };
  /** Of a kind we do not know: its content in base32, or where it lies when it had several parts. */
  readonly content?: string;
  readonly blob?: string;
  readonly parts?: number;
  /** "damaged": the content was not what its digest says, and is not kept. */
  readonly why?: "damaged";
}

export type InboxIn =
  /** Answered by `judged`. */
  | { type: "arrived"; arrival: Arrival; contact: string }
  | { type: "show"; arrival: Arrival; contact: string; isDamaged: boolean }
  | { type: "read"; req: number; value: Uint8Array | undefined }
  | { type: "hash"; req: number; sha256: string }
  /** The user has seen all up to this one. */
  | { type: "seen"; n: number };

export type InboxOut =
  | Save
  | { type: "read"; req: number; key: string }
  | { type: "blob-hash"; req: number; blob: string; count: number; size: number }
  | { type: "judged"; arrival: Arrival; isNew: boolean; isDamaged: boolean }
  | { type: "mail"; record: InboxRecord };

/** Judges and shows mails. */
export class Inbox implements Machine<InboxIn, InboxOut> {
  readonly #reads: () => number;
  /** By the key under which the store knows them: those that wait for the same answer. Only the first has asked. */
  readonly #waiting = new Map<string, Arrival[]>();
  readonly #asked = new Map<number, { key: string; arrival: Arrival }>();
  #last: number;
  #seen: number;
  #out: InboxOut[] = [];

  /** `saved`: the value of "mail/n". `reads`: numbers for reads, unique in the whole `Mail`. */
  constructor(options: { saved: Uint8Array | undefined; reads: () => number }) {
    this.#reads = options.reads;
    const record: CountRecord = options.saved === undefined ? { last: 0, seen: 0 } : ofJson(options.saved);
    this.#last = record.last;
    this.#seen = record.seen;
  }

  handle(input: InboxIn, now: Time): InboxOut[] {
    this.#take(input, now);
    const out = this.#out;
    this.#out = []; // what has left is not kept until the next turn
    return out;
  }

  deadline(): undefined {
    return undefined;
  }

  /** Number of the newest mail; 0 when there is none. */
  get last(): number {
    return this.#last;
  }

  get unread(): number {
    return this.#last - this.#seen;
  }

  #take(input: InboxIn, now: Time): void {
    switch (input.type) {
      case "arrived": {
        const key = seenKey(input.contact, input.arrival.id);
        const line = this.#waiting.get(key) ?? [];
        this.#waiting.set(key, line);
        line.push(input.arrival);
        if (line.length === 1) this.#ask(key, input.arrival);
        return;
      }
      case "show":
        this.#show(input.arrival, input.contact, input.isDamaged, now);
        return;
      case "read": {
        const asked = this.#asked.get(input.req);
        this.#asked.delete(input.req);
        if (asked === undefined) return;
        if (input.value !== undefined) {
          this.#judge(asked, false, false);
          return;
        }
        this.#check(asked);
        return;
      }
      case "hash": {
        const asked = this.#asked.get(input.req);
        this.#asked.delete(input.req);
        if (asked !== undefined) this.#judge(asked, true, input.sha256 !== asked.arrival.file?.sha256);
        return;
      }
      case "seen":
        this.#seen = Math.max(this.#seen, Math.min(input.n, this.#last));
        this.#save();
    }
  }

  #ask(key: string, arrival: Arrival): void {
    const req = this.#reads();
    this.#asked.set(req, { key, arrival });
    this.#out.push({ type: "read", req, key });
  }

  #check(asked: { key: string; arrival: Arrival }): void {
    const { file, blob, parts, kind } = asked.arrival;
    if (kind !== "file" || blob === undefined) {
      this.#judge(asked, true, false);
      return;
    }
    if (file === undefined || file.size > parts * RECORD_BYTES) {
      this.#judge(asked, true, true);
      return;
    }
    const req = this.#reads();
    this.#asked.set(req, asked);
    this.#out.push({ type: "blob-hash", req, blob, count: parts, size: file.size });
  }

  #judge({ key, arrival }: { key: string; arrival: Arrival }, isNew: boolean, isDamaged: boolean): void {
    this.#out.push({ type: "judged", arrival, isNew, isDamaged });
    const line = this.#waiting.get(key)?.slice(1) ?? [];
    if (line.length === 0) this.#waiting.delete(key);
    else this.#waiting.set(key, line);
    // The next one asks anew: whether the first was shown is known to the store only.
    const next = line[0];
    if (next !== undefined) this.#ask(key, next);
  }

  #show(arrival: Arrival, contact: string, isDamaged: boolean, now: Time): void {
    const { from, id, after, epoch, seq, time, kind, suite = "static", content, file, blob, parts } = arrival;
    const text = kind === "text" && content !== undefined ? fromUtf8(content) : undefined;
    const n = ++this.#last;
    const isWhole = !isDamaged && blob !== undefined;
    const record: InboxRecord = {
      n,
      contact,
      from,
      id,
      after,
      // Under a number that another mail has, it has none.
      ...(!arrival.isRepeat && { epoch, seq }),
      time,
      received: now,
      kind,
      suite,
      ...(text !== undefined && { text }),
      ...(text === undefined && content !== undefined && { content: toBase32(content) }),
      ...(file !== undefined && { file: { ...file, blob: isWhole ? blob : "", parts } }),
      ...(file === undefined && isWhole && { blob, parts }),
      ...(isDamaged && { why: "damaged" }),
    };
    this.#out.push({ type: "save", key: inboxKey(n), value: asJson(record) });
    this.#out.push({ type: "save", key: seenKey(contact, id), value: asJson({ n }) });
    this.#save();
    this.#out.push({ type: "mail", record });
  }

  #save(): void {
    const record: CountRecord = { last: this.#last, seen: this.#seen };
    this.#out.push({ type: "save", key: COUNT_KEY, value: asJson(record) });
  }
}

/** The key of the nth mail of the inbox: keys sort as the numbers do. */
function inboxKey(n: number): string {
  return `inbox/${String(n).padStart(12, "0")}`;
}

function seenKey(contact: string, id: string): string {
  return `seen/${contact}/${id}`;
}

interface CountRecord {
  readonly last: number;
  readonly seen: number;
}

const COUNT_KEY = "mail/n";
const RECORD_BYTES = 32 * 1024; // of a blob, at most
